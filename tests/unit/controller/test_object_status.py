"""Evidence, decisions of people, policies and trust roots say about themselves what is wrong and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.controller.conditions import Moment
from sluice.controller.object_status import STATUSES
from sluice.decision import decide, people
from sluice.decision.finding import Finding
from sluice.decision.model import Policy
from sluice.decision.people import Decision
from sluice.decision.problems import policy_problems
from sluice.decision.reasons import Reason
from tests.unit.decision import case, signed
from tests.unit.decision.test_monitors import REFUSALS

Object = dict[str, Any]
MOMENT = Moment(previous={}, generation=1, now=case.NOW)


def condition(world: case.World, kind: str, name: str, *, namespace: str = case.NAMESPACE) -> tuple[str, str, str]:
    status = STATUSES[kind](world, case.Key(namespace=namespace, name=name), MOMENT)
    assert status is not None
    (only,) = status["conditions"]
    return only["status"], only["reason"], only["message"]


def test_verified_evidence_says_what_it_speaks_of_and_who_signed() -> None:
    status = STATUSES["ReleaseEvidence"](case.verified_world(), case.Key(namespace=case.NAMESPACE, name="signature"), MOMENT)
    assert status is not None
    assert status["signer"] == {"identity": case.TRAINER, "issuer": case.ISSUER, "trustRoot": "ci"}
    assert status["subjects"] == [{"digest": case.weights_digest()}]
    assert status["predicateType"] == "https://model_signing/signature/v1.0"
    assert status["bundleDigest"].startswith("sha256:")


def counted(world: case.World, name: str) -> tuple[str, str, str]:
    status = STATUSES["ReleaseEvidence"](world, case.Key(case.NAMESPACE, name), MOMENT)
    assert status is not None
    verified, found = status["conditions"]
    assert (verified["type"], verified["status"], found["type"]) == ("Verified", "True", "Counted")
    return found["status"], found["reason"], found["message"]


def test_a_signed_decision_says_of_itself_whether_it_counts_and_if_not_why() -> None:
    world = signed.world()
    signed.put(world, "by-sam", signed.by_sam(world, comment="looked at"))
    assert counted(world, "by-sam") == ("True", "Counted", "Approve by sam@example.com as security: looked at")
    signed.put(world, "by-olga", signed.by_olga(world, role="security"))
    assert counted(world, "by-olga")[:2] == ("False", "RoleNotGranted")
    signed.put(world, "ended", signed.by_sam(world, expires="2026-11-20T11:30:00Z"))
    assert counted(world, "ended")[:2] == ("False", "Expired")
    world.put("ModelRelease", case.item("ModelRelease", case.NAME, case.release_spec() | {"stages": ["production", "staging"]}))
    assert counted(world, "by-sam")[:2] == ("False", "ReleaseChanged")
    world.put("ModelRelease", case.item("ModelRelease", case.NAME, {"model": 3}))
    assert counted(world, "by-sam")[:2] == ("False", "ReleaseInvalid")
    world.remove("ModelRelease", case.KEY)
    assert counted(world, "by-sam") == ("False", "ReleaseNotFound", f"subject: there is no ModelRelease {case.NAME} in namespace {case.NAMESPACE}")


def test_a_signed_decision_where_nobody_holds_a_role_says_so_and_evidence_of_another_kind_says_nothing_of_it() -> None:
    world = signed.world()
    signed.put(world, "by-sam", signed.by_sam(world))
    world.remove("ReleasePolicy", case.Key("", "customer-facing"))
    assert counted(world, "by-sam")[:2] == ("False", "NoPolicyMatches")
    assert condition(world, "ReleaseEvidence", "signature")[:2] == ("True", "SignatureVerified")


def test_a_signed_decision_that_calls_its_release_otherwise_is_about_the_one_of_its_digest() -> None:
    world = signed.world()
    said = signed.statement(world, "security")
    said["subject"][0]["name"] = "whatever"
    signed.put(world, "by-sam", case.sign(said, identity="sam@example.com", issuer=signed.PEOPLE))
    assert counted(world, "by-sam")[:2] == ("True", "Counted")


def test_evidence_that_is_no_base64_says_how_to_encode_it() -> None:
    world = case.verified_world()
    world.put("ReleaseEvidence", case.item("ReleaseEvidence", "broken", {"bundle": {"inline": "%%%"}}))
    value, reason, message = condition(world, "ReleaseEvidence", "broken")
    assert (value, reason) == ("False", "Base64Malformed")
    assert "spec.bundle.inline" in message
    assert "base64 -w0" in message


def test_evidence_without_any_trust_root_names_what_is_missing() -> None:
    world = case.World()
    world.put("ReleaseEvidence", case.evidence("signature", case.bundles()["signature"]))
    assert condition(world, "ReleaseEvidence", "signature")[:2] == ("False", "TrustRootMissing")


def test_a_sign_off_that_counts_says_so_and_one_of_another_release_says_which() -> None:
    world = case.approved_world()
    assert condition(world, "ReleaseApproval", "by-owner")[:2] == ("True", "Counted")
    stray = case.approval("stray", world, role="owner", username="olga@example.com", groups=["payments-ml-leads"], releaseDigest=case.digest_of("other"))
    world.put("ReleaseApproval", stray)
    assert condition(world, "ReleaseApproval", "stray")[:2] == ("False", "ReleaseChanged")


@pytest.mark.parametrize(
    ("spec", "reason"),
    [({"release": {"name": "nowhere"}}, "ReleaseNotFound"), ({"release": {"name": "nowhere"}, "role": "NO"}, "ObjectInvalid")],
)
def test_a_sign_off_that_leads_nowhere_says_why(spec: Object, reason: str) -> None:
    world = case.verified_world()
    world.put("ReleaseApproval", case.approval("odd", world, role="owner", username="olga@example.com", groups=[]) | {})
    odd = case.approval("odd", world, role="owner", username="olga@example.com", groups=[])
    odd["spec"] |= spec
    world.put("ReleaseApproval", odd)
    assert condition(world, "ReleaseApproval", "odd")[:2] == ("False", reason)


def test_a_sign_off_of_a_release_that_cannot_be_read_or_that_no_policy_selects_says_so() -> None:
    world = case.approved_world()
    world.remove("ReleasePolicy", case.Key(namespace="", name="customer-facing"))
    assert condition(world, "ReleaseApproval", "by-owner")[:2] == ("False", "NoPolicyMatches")
    world.put("ModelRelease", case.item("ModelRelease", case.NAME, case.release_spec() | {"stages": []}))
    assert condition(world, "ReleaseApproval", "by-owner")[:2] == ("False", "ReleaseInvalid")


def test_a_policy_that_can_be_used_is_accepted() -> None:
    world = case.verified_world()
    assert condition(world, "ReleasePolicy", "customer-facing", namespace="")[:2] == ("True", "Accepted")
    world.put("ReleasePolicy", case.item("ReleasePolicy", "customer-facing", case.policy_spec() | {"monitors": [REFUSALS]}, namespace=""))
    assert condition(world, "ReleasePolicy", "customer-facing", namespace="")[:2] == ("True", "Accepted")


@pytest.mark.parametrize(
    ("edit", "reason", "says"),
    [
        (lambda spec: spec["signers"][1].update(trustRoot="gone"), Reason.TrustRootNotFound, "spec.signers[eval-ci].trustRoot: there is no TrustRoot 'gone'"),
        (lambda spec: spec["signers"].append({"name": "hand", "trustRoot": "ci", "key": "hand", "may": ["Evaluation"]}), Reason.SignerUnverifiable,
         "spec.signers[hand].key: TrustRoot 'ci' has no key 'hand'"),
        (lambda spec: spec["requirements"][3]["counts"].update(legal=1), Reason.RoleNotDefined, "[approvals].counts: no role is called 'legal'"),
        (lambda spec: spec["requirements"][0].update(waivableBy=["cfo"]), Reason.RoleNotDefined, "spec.requirements[weights-signed].waivableBy"),
        (lambda spec: spec["requirements"][2].update(tiers=["hgih"]), Reason.TierNotDefined, "spec.requirements[quality].tiers: no tier is called 'hgih'"),
        (lambda spec: spec.update(monitors=[REFUSALS | {"silentAfter": "1s"}]), Reason.MonitorUnusable, "spec.monitors[refusals]: a period of 0:01:00 and"),
        (lambda spec: spec.update(monitors=[REFUSALS | {"tiers": ["hgih"]}]), Reason.TierNotDefined, "spec.monitors[refusals].tiers: no tier is called 'hgih'"),
        (lambda spec: spec["signers"][1]["may"].append("Provenance"), Reason.BuilderNotPaired, "spec.signers[trainer-ci].builders: it may sign for"),
        (lambda spec: spec["tiers"][0].update(when="release.("), Reason.PolicyInvalid, "spec.tiers[high].when"),
    ],
)  # fmt: skip
def test_a_policy_that_names_what_is_not_there_says_field_value_and_remedy(edit: Any, reason: Reason, says: str) -> None:  # noqa: ANN401 - a lambda
    world, spec = case.verified_world(), case.policy_spec()
    edit(spec)
    world.put("ReleasePolicy", case.item("ReleasePolicy", "customer-facing", spec, namespace=""))
    value, found, message = condition(world, "ReleasePolicy", "customer-facing", namespace="")
    assert (value, found) == ("False", reason)
    assert says in message
    if reason is not Reason.PolicyInvalid:
        assert " → " in message


def test_a_trust_root_that_does_not_parse_says_so_and_so_does_a_policy_that_relies_on_it() -> None:
    world = case.verified_world()
    assert condition(world, "TrustRoot", "ci", namespace="")[:2] == ("True", "Accepted")
    world.put("TrustRoot", case.item("TrustRoot", "ci", {"sigstore": {"trustedRoot": "{"}}, namespace=""))
    assert condition(world, "TrustRoot", "ci", namespace="")[:2] == ("False", "TrustRootInvalid")
    policy = world.policies["customer-facing"]
    assert isinstance(policy, Policy)
    assert {problem.reason for problem in policy_problems(policy.spec, world.trust_roots)} == {Reason.TrustRootInvalid}


@pytest.mark.parametrize("kind", sorted(STATUSES))
def test_what_is_gone_has_no_status(kind: str) -> None:
    assert STATUSES[kind](case.World(), case.Key(namespace="", name="gone"), MOMENT) is None


def test_the_status_of_one_sign_off_looks_at_no_other_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    world = case.approved_world()
    for index in range(50):
        world.put("ReleaseApproval", case.approval(f"spam-{index}", world, role="owner", username="eve@example.com", groups=[]))
    looked_at: list[str] = []
    really = people.approval_finding

    def noted(approval: Decision, *args: Any, **kwargs: Any) -> Finding:  # noqa: ANN401 - handed on
        looked_at.append(approval.name)
        return really(approval, *args, **kwargs)

    monkeypatch.setattr(decide, "approval_finding", noted)
    assert condition(world, "ReleaseApproval", "by-owner")[:2] == ("True", "Counted")
    assert condition(world, "ReleaseApproval", "spam-7")[:2] == ("False", "RoleNotGranted")
    assert looked_at == ["by-owner", "spam-7"]


def test_a_suite_says_the_digest_that_a_policy_may_pin() -> None:
    world = case.canary_world()
    status = STATUSES["ScoringSuite"](world, case.Key(namespace=case.NAMESPACE, name="churn-core"), MOMENT)
    (due,) = world.verdict(case.KEY, now=case.NOW).due  # type: ignore[union-attr]
    assert status is not None
    assert status["digest"] == due.suite_digest
    assert condition(world, "ScoringSuite", "churn-core")[:2] == ("True", "Accepted")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"scorers": "all"}, "spec.scorers"),
        ({"scorers": [{"name": "tokens", "type": "Tokens"}]}, "none of them compares"),
        ({"scorers": [{"name": "answer", "type": "Regex", "pattern": "("}]}, "scorer answer: Regex.pattern"),
        ({"scorers": [{"name": "cost", "type": "Cost"}]}, "Cost.promptPrice is missing"),
        ({"cases": {"inline": "{}"}}, "spec.cases.inline: line 1"),
        ({"protocol": {"type": "Http", "port": 80, "http": {"path": "/x"}}}, "protocol: http.body"),
    ],
    ids=["unreadable", "idle", "pattern", "price", "cases", "protocol"],
)
def test_a_suite_that_cannot_be_used_says_why(changes: Object, says: str) -> None:
    world = case.World()
    world.put("ScoringSuite", case.item("ScoringSuite", "churn-core", case.suite_spec(**changes)))
    value, reason, message = condition(world, "ScoringSuite", "churn-core")
    assert (value, reason) == ("False", "SuiteInvalid")
    assert says in message
    assert STATUSES["ScoringSuite"](world, case.Key(namespace=case.NAMESPACE, name="other"), MOMENT) is None
