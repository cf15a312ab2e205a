"""Documents that describe models and datasets, as the payload of a statement or as a file that a signed statement names by digest.

The second way is in-toto's reference predicate: large documents are attached, and the statement names them. A reference without attached files says nothing
here: nobody fetches what it points to. Several documents of one statement are read as one.

Specification: https://github.com/in-toto/attestation/blob/main/spec/predicates/reference.md
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from sluice.evidence import croissant, cyclonedx, spdx
from sluice.evidence.attachments import attached
from sluice.evidence.lineage import BillOfMaterials, DatasetDescription
from sluice.provenance.errors import ProvenanceError, Reason, closed
from sluice.provenance.statement import Statement
from sluice.provenance.strict_json import JsonObject, parse_object

REFERENCE = "https://in-toto.io/attestation/reference/v0.1"
BYTES_LIMIT = 4_194_304
Document = DatasetDescription | BillOfMaterials
_Read = Callable[[JsonObject, frozenset[str]], Document]
_FORMATS: tuple[tuple[Callable[[JsonObject], bool], _Read], ...] = (
    (cyclonedx.recognises, cyclonedx.read),
    (spdx.recognises, spdx.read),
    (croissant.recognises, croissant.read),
)
_PAYLOADS: Mapping[str, _Read] = MappingProxyType(
    dict.fromkeys(cyclonedx.PREDICATE_TYPES, cyclonedx.read)
    | dict.fromkeys(spdx.PREDICATE_TYPES, spdx.read)
    | dict.fromkeys(croissant.PREDICATE_TYPES, croissant.read)
)
BILL_TYPES = cyclonedx.PREDICATE_TYPES | spdx.PREDICATE_TYPES
DATASET_TYPES = croissant.PREDICATE_TYPES


def read_payload(statement: Statement) -> Document:
    """Read the document that the predicate is. Raises ProvenanceError (PredicateMalformed)."""
    with closed(Reason.PredicateMalformed, "the document does not parse"):
        return _PAYLOADS[statement.predicate_type](statement.predicate, _subjects(statement))


def read_references(statement: Statement, attachments: Mapping[str, bytes]) -> Document:
    """Read the attached documents that a reference statement names.

    Raises ProvenanceError: PredicateMalformed, AttachmentMissing, AttachmentMismatch.
    """
    with closed(Reason.PredicateMalformed, "the documents do not parse"):
        read = [_read(name, content, _subjects(statement)) for name, content in attached(statement, "references", attachments)]
        datasets = tuple(dataset for document in read for dataset in document.datasets)
        bills = [document for document in read if isinstance(document, BillOfMaterials)]
        if not bills:
            return DatasetDescription(datasets=datasets)
        if len(bills) < len(read):
            raise ProvenanceError(Reason.PredicateMalformed, "a dataset and a bill of materials are named in one statement: sign one for each")
        return BillOfMaterials(makings=tuple(making for bill in bills for making in bill.makings), datasets=datasets)


def _read(name: str, content: bytes, subjects: frozenset[str]) -> Document:
    document = parse_object(content, what=f"document {name[:200]!r}", limit=BYTES_LIMIT, reason=Reason.PredicateMalformed)
    for recognises, read in _FORMATS:
        if recognises(document):
            return read(document, subjects)
    raise ProvenanceError(
        Reason.PredicateMalformed, f"document {name[:200]!r} is of no format that we read (CycloneDX 1.6 or 1.7, SPDX 3.0, Croissant 1.0 or 1.1)"
    )


def _subjects(statement: Statement) -> frozenset[str]:
    return frozenset(digest for subject in statement.subjects for digest in subject.digests)
