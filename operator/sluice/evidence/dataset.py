"""Our own plain statement about a dataset: `https://sluice.dev/dataset/v1`, described in docs/lineage.md and docs/dataset-statement.schema.json.

The subjects are the dataset, by digest: an OCI manifest, one file, or the name-binding digest of a set of files. The predicate says all that is asked of it,
so that nobody has to guess what an absent member means: no class of data is an empty list.
"""

from __future__ import annotations

from sluice.evidence.lineage import Dataset, DatasetDescription
from sluice.evidence.reading import texts
from sluice.provenance.errors import ProvenanceError, Reason, closed
from sluice.provenance.statement import Statement, text
from sluice.provenance.strict_json import member

PREDICATE_TYPE = "https://sluice.dev/dataset/v1"
LICENCE_LIMIT = 64
DATA_CLASS_LIMIT = 64
_MALFORMED = Reason.PredicateMalformed
_MEMBERS = ("name", "licences", "dataClasses", "collection.scope")


def parse_dataset(statement: Statement) -> DatasetDescription:
    """Read a statement about one dataset. Raises ProvenanceError (PredicateMalformed)."""
    with closed(_MALFORMED, "the dataset statement does not parse"):
        if statement.predicate_type != PREDICATE_TYPE:
            raise ProvenanceError(_MALFORMED, f"the statement is of type {statement.predicate_type!r}, not {PREDICATE_TYPE!r}")
        predicate = statement.predicate
        collection = member(predicate, "collection", dict, where="predicate", reason=_MALFORMED)
        if unknown := sorted((predicate.keys() - {"name", "licences", "dataClasses", "collection"}) | (collection.keys() - {"scope"})):
            # `license` beside `licences` would be read by people and by nobody else.
            raise ProvenanceError(_MALFORMED, f"the predicate has a member {unknown[0][:80]!r}; a dataset statement has {', '.join(_MEMBERS)}")
        licences = texts(predicate, "licences", where="predicate", limit=LICENCE_LIMIT)
        if not licences:
            raise ProvenanceError(_MALFORMED, "predicate.licences is empty; name the licence, or LicenseRef-… for one that SPDX does not list")
        dataset = Dataset(
            digests=frozenset(digest for subject in statement.subjects for digest in subject.digests),
            name=text(predicate, "name", where="predicate", reason=_MALFORMED),
            licences=frozenset(licences),
            data_classes=frozenset(texts(predicate, "dataClasses", where="predicate", limit=DATA_CLASS_LIMIT)),
            collection_scope=text(collection, "scope", where="predicate.collection", reason=_MALFORMED),
        )
        return DatasetDescription(datasets=(dataset,))
