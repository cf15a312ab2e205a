"""What people outside of the pipeline vouch for: a change ticket, an impact assessment, a vendor. Described in docs/governance.md, with a schema for each.

A ticket and an assessment are about one release: their subject is its release digest, which binds its name, its authority and every artifact. A vendor's
assurance is about a model that many releases use: its subject is the document that they name.

The times are the signer's word, as in drills: whoever may say that a change was approved may say when.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from sluice.evidence.reading import MALFORMED, moment
from sluice.provenance.errors import ProvenanceError, closed
from sluice.provenance.statement import Statement, digests_of, sha256_in, text
from sluice.provenance.strict_json import JsonObject, member

CHANGE_TICKET: Final = "https://sluice.dev/change-ticket/v1"
IMPACT_ASSESSMENT: Final = "https://sluice.dev/impact-assessment/v1"
VENDOR_ASSURANCE: Final = "https://sluice.dev/vendor-assurance/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeTicket:
    """What became of a change ticket."""

    ticket: str
    """As `change.ticket` of the release names it."""
    approved: bool
    by: str
    """Who decided, in the words of the system that keeps the ticket."""
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpactAssessment:
    """What an assessment came to."""

    document: str
    """`sha256:<hex>` of the document, as `change.impact.assessment` of the release names it."""
    acceptable: bool
    by: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorAssurance:
    """That a model which a vendor runs may be used, and for how long."""

    vendor: str
    model: str
    version: str | None
    """None: every version."""
    valid_from: datetime
    valid_until: datetime


Assurance = ChangeTicket | ImpactAssessment | VendorAssurance


def parse_assurance(statement: Statement) -> Assurance:
    """Read one of the three. Raises ProvenanceError (PredicateMalformed)."""
    with closed(MALFORMED, "the assurance does not parse"):
        if statement.predicate_type not in _READERS:
            raise ProvenanceError(MALFORMED, f"the statement is of type {statement.predicate_type!r}, which is no assurance")
        members, read = _READERS[statement.predicate_type]
        if unknown := sorted(statement.predicate.keys() - members):
            # A condition in a member that we do not know (`unless`) would be read by people and by nobody else.
            raise ProvenanceError(MALFORMED, f"the predicate has a member {unknown[0][:80]!r}; this one has {', '.join(sorted(members))}")
        return read(statement.predicate)


def _ticket(predicate: JsonObject) -> ChangeTicket:
    return ChangeTicket(
        ticket=_said(predicate, "ticket"),
        approved=_is(predicate, "state", "Approved", "Rejected"),
        by=_said(predicate, "decidedBy"),
        at=moment(predicate, "decidedAt", where="predicate"),
    )


def _assessment(predicate: JsonObject) -> ImpactAssessment:
    document = member(predicate, "document", dict, where="predicate", reason=MALFORMED)
    digest = sha256_in(digests_of(document, where="predicate.document", reason=MALFORMED))
    if digest is None:
        raise ProvenanceError(MALFORMED, "predicate.document has no digest.sha256")
    return ImpactAssessment(
        document=digest,
        acceptable=_is(predicate, "outcome", "Acceptable", "NotAcceptable"),
        by=_said(predicate, "assessedBy"),
        at=moment(predicate, "assessedAt", where="predicate"),
    )


def _vendor(predicate: JsonObject) -> VendorAssurance:
    found = VendorAssurance(
        vendor=_said(predicate, "vendor"),
        model=_said(predicate, "model"),
        version=_said(predicate, "version") if "version" in predicate else None,
        valid_from=moment(predicate, "validFrom", where="predicate"),
        valid_until=moment(predicate, "validUntil", where="predicate"),
    )
    if found.valid_until <= found.valid_from:
        raise ProvenanceError(MALFORMED, "predicate.validUntil is not after predicate.validFrom")
    return found


def _is(predicate: JsonObject, key: str, yes: str, no: str) -> bool:
    said = _said(predicate, key)
    if said not in {yes, no}:
        raise ProvenanceError(MALFORMED, f"predicate.{key} is {said[:40]!r}; it is {yes} or {no}")
    return said == yes


def _said(predicate: JsonObject, key: str) -> str:
    return text(predicate, key, where="predicate", reason=MALFORMED)


_READERS: Mapping[str, tuple[frozenset[str], Callable[[JsonObject], Assurance]]] = MappingProxyType(
    {
        CHANGE_TICKET: (frozenset({"ticket", "state", "decidedBy", "decidedAt"}), _ticket),
        IMPACT_ASSESSMENT: (frozenset({"document", "outcome", "assessedBy", "assessedAt"}), _assessment),
        VENDOR_ASSURANCE: (frozenset({"vendor", "model", "version", "validFrom", "validUntil"}), _vendor),
    }
)
"""Type to the members that its predicate may have, and who reads it."""
PREDICATE_TYPES = frozenset(_READERS)
