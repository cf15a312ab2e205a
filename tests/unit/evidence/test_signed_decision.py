"""A signed decision is read whole or not at all."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sluice.api.approval import ApprovalDecision
from sluice.evidence import signed_decision
from sluice.evidence.signed_decision import PREDICATE_TYPE, SignedDecision, parse_decision
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.statement import parse_statement

DIGEST = "sha256:" + "a" * 64
APPROVES: dict[str, Any] = {
    "role": "security", "decision": "Approve", "evidenceDigest": DIGEST, "decidedAt": "2026-11-20T11:00:00Z", "expires": "2026-12-20T00:00:00Z",
}  # fmt: skip
REVOKES: dict[str, Any] = {"role": "security", "decision": "Revoke", "revokes": DIGEST, "decidedAt": "2026-11-20T11:00:00Z"}
AMISS: list[tuple[dict[str, Any], str]] = [
    ({"unless": "it rains"}, "a member 'unless'"),
    ({"decision": "approve"}, "predicate.decision is 'approve'; it is Approve, Reject, Revoke"),
    ({"role": None}, "predicate has no 'role'"),
    ({"role": "App Sec"}, "predicate.role is 'App Sec'"),
    ({"evidenceDigest": None}, "predicate.evidenceDigest goes with approvals and rejections of a release"),
    ({"evidenceDigest": "sha512:" + "a" * 128}, "predicate.evidenceDigest is 'sha512:"),
    ({"evidenceDigest": DIGEST.upper()}, "predicate.evidenceDigest is"),
    ({"waiver": {"name": "quality", "digest": DIGEST}}, "predicate.evidenceDigest goes with"),
    ({"evidenceDigest": None, "waiver": {"name": "quality"}}, "digest"),
    ({"evidenceDigest": None, "waiver": {"name": "quality", "digest": DIGEST, "until": "x"}}, "predicate.waiver has a member 'until'"),
    ({"revokes": DIGEST}, "predicate.revokes goes with the decision Revoke"),
    ({"expires": None}, "an approval that is signed ends"),
    ({"expires": "2026-11-20T11:00:00Z"}, "predicate.expires is not after predicate.decidedAt"),
    ({"decidedAt": None}, "decidedAt"),
    ({"decidedAt": "2026-11-20T11:00:00+00:00"}, "it is written like"),
    ({"comment": "two\nlines"}, "predicate.comment"),
]
NO_REVOCATION: list[dict[str, Any]] = [
    {"revokes": None}, {"evidenceDigest": DIGEST}, {"expires": "2026-12-20T00:00:00Z"}, {"waiver": {"name": "w", "digest": DIGEST}},
]  # fmt: skip
SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "approval.schema.json").read_text(encoding="utf-8"))
RELEASE = {"name": "churn", "digest": {"sha256": "b" * 64}}


def read(predicate: dict[str, Any], subjects: list[dict[str, Any]] | None = None) -> SignedDecision:
    document = {
        "_type": "https://in-toto.io/Statement/v1", "predicateType": PREDICATE_TYPE, "subject": subjects or [RELEASE],
        "predicate": _without_none(predicate),
    }  # fmt: skip
    return parse_decision(parse_statement(json.dumps(document).encode()))


def test_everything_that_is_said_is_read() -> None:
    assert read(APPROVES | {"comment": "see CHG-1"}) == SignedDecision(
        release="churn", role="security", decision=ApprovalDecision.APPROVE, evidence_digest=DIGEST, waiver=None, revokes=None,
        decided_at=datetime(2026, 11, 20, 11, tzinfo=UTC), expires=datetime(2026, 12, 20, tzinfo=UTC), comment="see CHG-1",
    )  # fmt: skip
    of_waiver = read(APPROVES | {"evidenceDigest": None, "waiver": {"name": "quality", "digest": DIGEST}})
    assert of_waiver.waiver == ("quality", DIGEST)
    assert read(REVOKES).revokes == DIGEST
    assert read(APPROVES | {"decision": "Reject", "expires": None}).expires is None


@pytest.mark.parametrize(("changes", "says"), AMISS)
def test_an_approval_with_anything_amiss_is_none(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ProvenanceError, match=re.escape(says)) as refused:
        read(APPROVES | changes)
    assert refused.value.reason is Reason.PredicateMalformed


@pytest.mark.parametrize("changes", NO_REVOCATION)
def test_a_revocation_is_of_one_approval_and_for_ever(changes: dict[str, Any]) -> None:
    with pytest.raises(ProvenanceError):
        read(REVOKES | changes)


@pytest.mark.parametrize("subjects", [[RELEASE, RELEASE | {"digest": {"sha256": "c" * 64}}], [RELEASE, {"name": "x", "digest": {"gitCommit": "a" * 40}}]])
def test_a_decision_is_about_one_release(subjects: list[dict[str, Any]]) -> None:
    with pytest.raises(ProvenanceError, match="it is about one release"):
        read(APPROVES, subjects)


def test_the_published_schema_agrees_with_what_is_read() -> None:
    assert SCHEMA["$id"] == PREDICATE_TYPE
    assert SCHEMA["properties"].keys() == signed_decision._MEMBERS
    of_waiver = APPROVES | {"evidenceDigest": None, "waiver": {"name": "quality", "digest": DIGEST}}
    for good in (APPROVES, APPROVES | {"comment": "see CHG-1"}, of_waiver, APPROVES | {"decision": "Reject", "expires": None}, REVOKES):
        assert isinstance(read(good), SignedDecision)
        jsonschema.validate(_without_none(good), SCHEMA)
    # That one time is after another is nothing that a schema can say.
    amiss = [APPROVES | changes for changes, says in AMISS if "is not after" not in says] + [REVOKES | changes for changes in NO_REVOCATION]
    for bad in amiss:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(_without_none(bad), SCHEMA)


def _without_none(predicate: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in predicate.items() if value is not None}
