"""What never changes once it is stored, said by the API server itself: every field of what people sign off and runs pin, and what was found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from e2e.cluster import StepFailed
from tests.cluster.namespace import Namespace
from tests.cluster.test_resources import DIGEST, EXAMPLES, KINDS_BY_NAME, PROBE, Object

pytestmark = pytest.mark.usefixtures("ungated")


IMMUTABLE: dict[str, Object] = {
    "ModelRelease": {
        "model": "other", "version": "2.1.1", "owner": {"group": "g", "contact": "c"}, "change": {"type": "Prune"},
        "artifacts": [{"name": "w", "type": "Dataset", "digest": DIGEST}], "training": {"run": "r"}, "vendor": {"name": "v", "model": "m"},
        "authority": {"serviceAccount": "root"}, "residualRisk": {"owner": "o", "statement": "s"}, "stages": ["production"], "rollback": {"criteria": "c"},
    },
    "ReleaseEvidence": {"bundle": {"inline": "AA=="}, "attachments": [{"name": "f", "inline": "AA=="}]},
    "ReleaseApproval": {
        "release": {"name": "other"}, "releaseDigest": DIGEST, "evidenceDigest": DIGEST, "role": "owner", "decision": "Reject", "comment": "c",
        "expires": "2027-01-01T00:00:00Z", "approver": {"username": "u"},
    },
    "ReleaseWaiver": {
        "release": {"name": "other"}, "releaseDigest": DIGEST, "requirements": ["canary"], "reason": "r", "riskOwner": "o", "ticket": "t",
        "compensatingControls": "c", "expires": "2027-01-01T00:00:00Z", "approver": {"username": "u"},
    },
    "ScoringSuite": {
        "protocol": {"type": "OpenInference", "port": 1, "model": "other"}, "cases": {"inline": "x"}, "slices": ["tenant"],
        "scorers": [{"name": "o", "type": "Regex"}], "repeats": 2,
    },
    "CanaryRun": {
        "release": {"name": "o"}, "releaseDigest": DIGEST, "baseline": {"name": "o"}, "baselineDigest": DIGEST, "suite": {"name": "o"}, "suiteDigest": DIGEST,
        "recording": {"digest": DIGEST, "count": 1, "evidence": DIGEST, "configMap": {"name": "o", "key": "o"}},
        "policy": "o", "requirement": "o", "workload": {"apiVersion": "v1", "kind": "O", "name": "o"}, "seed": 1, "shards": 1, "planned": 5000, "minimum": 20,
        "margin": "0.5", "margins": {"o": "0.5"}, "falseRollbackRate": "0.4", "falsePromotionRate": "0.4", "minDuration": "2m", "maxDuration": "2h",
        "baselinePods": "Serving", "exposure": [{"share": "0.5", "for": "1m"}], "onShareTooSmall": "Skip",
    },
    "ReleaseMonitor": {"release": {"name": "o"}, "releaseDigest": DIGEST, "policy": "o", "monitor": PROBE},
    "ReleaseDrill": {"release": {"name": "o"}, "deployment": {"name": "o"}, "place": "ScratchNamespace"},
}  # fmt: skip


ANOTHER: Object = {
    "approver": {"username": "v"}, "vendor": {"name": "v", "model": "v"},
    "recording": {"digest": DIGEST, "count": 2, "evidence": DIGEST, "configMap": {"name": "o", "key": "o"}},
}  # fmt: skip
"""Of what no example has, a second value."""
SET_ONCE = {("ReleaseMonitor", "reference"), ("ReleaseApproval", "waiver"), ("ReleaseApproval", "revokes")}
"""Left out of the test of what never changes: these have their own."""


def required(kind: str) -> set[str]:
    return {field.alias or name for name, field in KINDS_BY_NAME[kind].spec.model_fields.items() if field.is_required()}


def refusal(ns: Namespace, name: str, kind: str, spec: Object) -> str:
    return said(lambda: ns.patch(kind, name, {"spec": spec}, dry_run=True))


def said(change: Callable[[], object]) -> str:
    """Why a change is refused; nothing when it is not."""
    try:
        change()
    except StepFailed as refused:
        return str(refused)
    return ""


@pytest.mark.parametrize("kind", list(IMMUTABLE))
def test_every_field_of_these_kinds_is_immutable(ns: Namespace, kind: str) -> None:
    others = IMMUTABLE[kind]
    full = {field: value for field, value in {**others, **EXAMPLES[kind]["spec"]}.items() if (kind, field) not in SET_ONCE}
    bare = {field: value for field, value in full.items() if field in required(kind) or field == "evidenceDigest"}
    assert set(others) == set(full), "a field is missing in this test"
    for name, spec in (("full", full), ("bare", bare)):
        ns.create({"apiVersion": "sluice.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
    for field, value in others.items():
        swap = value if full[field] != value else EXAMPLES[kind]["spec"].get(field) or ANOTHER[field]
        assert f"{field} is immutable" in refusal(ns, "full", kind, {field: _whole(full[field], swap)})
        if field not in required(kind):
            assert f"{field} is immutable" in refusal(ns, "full", kind, {field: None})
            assert f"{field} is immutable" in refusal(ns, "bare", kind, {field: value})
        assert refusal(ns, "full", kind, {field: full[field]}) == ""


def _whole(before: Any, after: Any) -> Any:  # noqa: ANN401 - any value
    """A merge patch that puts `after` in the place of `before`."""
    if isinstance(before, dict) and isinstance(after, dict):
        return {**dict.fromkeys(before), **after}
    return after


def test_what_a_decision_is_about_neither_changes_nor_comes_later(ns: Namespace) -> None:
    given = {field: value for field, value in EXAMPLES["ReleaseApproval"]["spec"].items() if field not in {"evidenceDigest", "expires"}}
    about = {"waiver": {"name": "w", "digest": DIGEST}, "revokes": "uid"}
    for field, value in about.items():
        decided = given | {field: value, "decision": "Revoke" if field == "revokes" else "Approve"}
        ns.create({"apiVersion": "sluice.dev/v1alpha1", "kind": "ReleaseApproval", "metadata": {"name": field}, "spec": decided})
    ns.create(EXAMPLES["ReleaseApproval"])
    assert "waiver is immutable" in refusal(ns, "waiver", "ReleaseApproval", {"waiver": {"name": "v"}})
    assert "revokes is immutable" in refusal(ns, "revokes", "ReleaseApproval", {"revokes": "another"})
    for field, value in about.items():
        assert f"{field} is immutable" in refusal(ns, field, "ReleaseApproval", {field: None})
        assert f"{field} is immutable" in refusal(ns, EXAMPLES["ReleaseApproval"]["metadata"]["name"], "ReleaseApproval", {field: value})


def test_a_reference_is_frozen_once(ns: Namespace) -> None:
    spec = {field: value for field, value in EXAMPLES["ReleaseMonitor"]["spec"].items() if field != "reference"}
    ns.create({"apiVersion": "sluice.dev/v1alpha1", "kind": "ReleaseMonitor", "metadata": {"name": "learns"}, "spec": spec})
    ns.patch("mrm", "learns", {"spec": {"reference": {"mean": "{}"}}})
    for other in ({"mean": "{ }"}, {"mean": None, "distribution": "{}"}, None):
        assert "reference is frozen" in refusal(ns, "learns", "ReleaseMonitor", {"reference": other})


ALERT = {"cause": "Silence", "ask": "Alert", "at": "2026-11-21T12:00:00Z", "message": "nothing heard"}
STAYS = [{**ALERT, "cause": "Drift"}, {**ALERT, "ask": "Withdraw"}, {**ALERT, "cause": "Drift", "ask": "RollBack"}]


def found(ns: Namespace, *findings: Object) -> str:
    status = {"phase": "Watching", "findings": list(findings)}
    return said(lambda: ns.patch("mrm", "watches", {"status": status}, subresource="status"))


@pytest.mark.parametrize("finding", STAYS, ids=lambda finding: f"{finding['cause']}-{finding['ask']}")
def test_nobody_takes_a_finding_back(ns: Namespace, finding: Object) -> None:
    ns.create({**EXAMPLES["ReleaseMonitor"], "metadata": {"name": "watches"}})
    other = {**ALERT, "cause": {"Drift": "Silence", "Silence": "Drift"}[finding["cause"]]}
    assert found(ns, finding) == ""
    assert "a finding stays" in found(ns)
    assert "a finding stays" in found(ns, other)
    assert "a finding stays" in found(ns, {**finding, "ask": "Alert", "message": "less"})
    assert found(ns, finding, other) == ""
    gone = [{"op": "remove", "path": "/status/findings"}]
    assert "a finding stays" in said(lambda: ns.patch("mrm", "watches", gone, how="json", subresource="status"))


def test_an_alert_about_silence_goes_and_silence_never_rolls_back(ns: Namespace) -> None:
    ns.create({**EXAMPLES["ReleaseMonitor"], "metadata": {"name": "watches"}})
    assert found(ns, ALERT) == ""
    assert found(ns) == ""
    assert "silence does not roll back" in found(ns, {**ALERT, "ask": "RollBack"})


def test_an_optional_part_deep_in_a_release_neither_comes_nor_goes(ns: Namespace) -> None:
    ns.create(EXAMPLES["ModelRelease"])
    name = EXAMPLES["ModelRelease"]["metadata"]["name"]
    assert "change is immutable" in refusal(ns, name, "ModelRelease", {"change": {"ticket": None}})
    assert "authority is immutable" in refusal(ns, name, "ModelRelease", {"authority": {"secrets": None}})
    assert "change is immutable" in refusal(ns, name, "ModelRelease", {"change": {"impact": {"assessment": None}}})
    assert refusal(ns, name, "ModelRelease", {}) == ""
