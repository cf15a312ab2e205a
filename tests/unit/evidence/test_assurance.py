"""What people vouch for: read exactly as it is written, and refused when something in it could be meant otherwise."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sluice.evidence.assurance import (
    CHANGE_TICKET,
    IMPACT_ASSESSMENT,
    PREDICATE_TYPES,
    VENDOR_ASSURANCE,
    ChangeTicket,
    ImpactAssessment,
    VendorAssurance,
    parse_assurance,
)
from sluice.provenance.errors import ProvenanceError, Reason
from tests.unit.evidence import made

DOCS = Path(__file__).parents[3] / "docs"
Object = dict[str, Any]
GOOD: dict[str, Object] = {
    CHANGE_TICKET: {"ticket": "https://changes.example.com/CHG-1", "state": "Approved", "decidedBy": "CAB", "decidedAt": "2026-11-20T09:00:00Z"},
    IMPACT_ASSESSMENT: {
        "document": {"digest": {"sha256": made.hex_of(made.FILE)}}, "outcome": "Acceptable", "assessedBy": "R. Isk", "assessedAt": "2026-11-19T09:00:00Z",
    },
    VENDOR_ASSURANCE: {
        "vendor": "Acme AI", "model": "acme-large", "version": "2026-10", "validFrom": "2026-01-01T00:00:00Z", "validUntil": "2027-01-01T00:00:00Z",
    },
}  # fmt: skip
BAD: list[tuple[str, Object]] = [
    (CHANGE_TICKET, {"ticket": ""}),
    (CHANGE_TICKET, {"state": "approved"}),
    (CHANGE_TICKET, {"state": "Open"}),
    (CHANGE_TICKET, {"decidedBy": None}),
    (CHANGE_TICKET, {"decidedAt": "2026-11-20T09:00:00+01:00"}),
    (CHANGE_TICKET, {"decidedAt": "yesterday"}),
    (CHANGE_TICKET, {"unless": "it rains"}),
    (IMPACT_ASSESSMENT, {"document": made.FILE}),
    (IMPACT_ASSESSMENT, {"document": {"uri": "https://example.com/dpia.pdf"}}),
    (IMPACT_ASSESSMENT, {"document": {"digest": {"sha256": "abc"}}}),
    (IMPACT_ASSESSMENT, {"outcome": "Fine"}),
    (IMPACT_ASSESSMENT, {"assessedAt": None}),
    (VENDOR_ASSURANCE, {"vendor": None}),
    (VENDOR_ASSURANCE, {"version": ""}),
    (VENDOR_ASSURANCE, {"versions": ["2026-10"]}),
    (VENDOR_ASSURANCE, {"validUntil": None}),
]


def changed(predicate_type: str, changes: Object) -> Object:
    return {key: value for key, value in (GOOD[predicate_type] | changes).items() if value is not None}


def test_each_says_what_it_is_about_what_it_came_to_who_and_when() -> None:
    ticket, assessment, vendor = (parse_assurance(made.parsed(kind, GOOD[kind])) for kind in (CHANGE_TICKET, IMPACT_ASSESSMENT, VENDOR_ASSURANCE))
    assert ticket == ChangeTicket(ticket="https://changes.example.com/CHG-1", approved=True, by="CAB", at=datetime(2026, 11, 20, 9, tzinfo=UTC))
    assert assessment == ImpactAssessment(document=made.FILE, acceptable=True, by="R. Isk", at=datetime(2026, 11, 19, 9, tzinfo=UTC))
    assert vendor == VendorAssurance(
        vendor="Acme AI", model="acme-large", version="2026-10", valid_from=datetime(2026, 1, 1, tzinfo=UTC), valid_until=datetime(2027, 1, 1, tzinfo=UTC)
    )


def test_a_rejection_is_no_approval_and_a_missing_version_is_every_version() -> None:
    ticket = parse_assurance(made.parsed(CHANGE_TICKET, changed(CHANGE_TICKET, {"state": "Rejected"})))
    assessment = parse_assurance(made.parsed(IMPACT_ASSESSMENT, changed(IMPACT_ASSESSMENT, {"outcome": "NotAcceptable"})))
    vendor = parse_assurance(made.parsed(VENDOR_ASSURANCE, changed(VENDOR_ASSURANCE, {"version": None})))
    assert isinstance(ticket, ChangeTicket)
    assert isinstance(assessment, ImpactAssessment)
    assert isinstance(vendor, VendorAssurance)
    assert (ticket.approved, assessment.acceptable, vendor.version) == (False, False, None)


@pytest.mark.parametrize(("predicate_type", "changes"), BAD)
def test_what_could_be_meant_otherwise_is_refused(predicate_type: str, changes: Object) -> None:
    with pytest.raises(ProvenanceError) as refused:
        parse_assurance(made.parsed(predicate_type, changed(predicate_type, changes)))
    assert refused.value.reason is Reason.PredicateMalformed


@pytest.mark.parametrize("until", ["2026-01-01T00:00:00Z", "2025-01-01T00:00:00Z"])
def test_an_assurance_that_ends_before_it_begins_is_refused(until: str) -> None:
    with pytest.raises(ProvenanceError, match="validUntil is not after"):
        parse_assurance(made.parsed(VENDOR_ASSURANCE, changed(VENDOR_ASSURANCE, {"validUntil": until})))


def test_a_statement_of_another_type_is_none() -> None:
    with pytest.raises(ProvenanceError, match="which is no assurance"):
        parse_assurance(made.parsed(made.DATASET_TYPE, GOOD[CHANGE_TICKET]))


@pytest.mark.parametrize("predicate_type", sorted(PREDICATE_TYPES))
def test_the_published_schemas_agree_with_what_is_read(predicate_type: str) -> None:
    name = predicate_type.removeprefix("https://sluice.dev/").removesuffix("/v1")
    schema = json.loads((DOCS / f"{name}.schema.json").read_text(encoding="utf-8"))
    assert schema["$id"] == predicate_type
    jsonschema.validate(GOOD[predicate_type], schema)
    for changes in (changes for of, changes in BAD if of == predicate_type):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(changed(predicate_type, changes), schema)
