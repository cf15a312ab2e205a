"""Whose decision counts: roles, binding to digests, separation of duties, rejections, waivers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sluice.api.release import Outcome, Phase
from sluice.decision.model import Allowance
from sluice.decision.people import Signoff, staffed
from sluice.decision.reasons import Reason
from tests.unit.decision import case as c
from tests.unit.decision.test_decide import result_of, verdict_of, with_policy

if TYPE_CHECKING:
    from sluice.decision.world import World

PAST = "2026-11-20T11:00:00Z"
SECURITY: dict[str, Any] = {"role": "security", "username": "sam@example.com", "groups": ["appsec"]}


def only_security_missing() -> World:
    world = c.verified_world()
    world.put("ReleaseApproval", c.approval("by-owner", world, role="owner", username="olga@example.com", groups=["payments-ml-leads"]))
    return world


def approve(world: World, **spec: Any) -> tuple[Allowance, Reason]:  # noqa: ANN401 - fields of the spec
    world.put("ReleaseApproval", c.approval("second", world, **(SECURITY | spec)))
    verdict = verdict_of(world)
    return verdict.allows, next(finding.reason for finding in verdict.approvals if finding.name == "second")


def test_the_second_approval_in_the_right_role_lets_it_serve() -> None:
    assert approve(only_security_missing()) == (Allowance.SERVE, Reason.Counted)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"groups": ["everybody"], "username": "eve@example.com"}, Reason.RoleNotGranted),
        ({"role": "legal"}, Reason.RoleNotGranted),
        ({"releaseDigest": c.digest_of("another release")}, Reason.ReleaseChanged),
        ({"evidenceDigest": c.digest_of("other evidence")}, Reason.EvidenceChanged),
        ({"expires": "2026-11-20T11:59:59Z"}, Reason.Expired),
        ({"approver": None}, Reason.NotStamped),
        ({"username": c.TRAINER}, Reason.SeparationOfDuties),
        ({"username": "oidc:" + c.TRAINER.upper()}, Reason.SeparationOfDuties),
        ({"username": c.EVALUATOR}, Reason.SeparationOfDuties),
        ({"username": "tina@example.com"}, Reason.SeparationOfDuties),
        ({"groups": ["appsec", "train-admins"]}, Reason.SeparationOfDuties),
    ],
)
def test_an_approval_that_must_not_count_does_not_and_says_why(spec: dict[str, Any], reason: Reason) -> None:
    assert approve(only_security_missing(), **spec) == (Allowance.NOTHING, reason)


def test_one_person_in_two_roles_counts_once() -> None:
    world = c.verified_world()
    for role in ("owner", "security"):
        both = ["payments-ml-leads", "appsec"]
        world.put("ReleaseApproval", c.approval(f"as-{role}", world, role=role, username="olga@example.com", groups=both))
    assert result_of(verdict_of(world), "approvals").message.startswith("1 of 2")
    world.put("ReleaseApproval", c.approval("third", world, **SECURITY))
    assert verdict_of(world).allows is Allowance.SERVE


def test_people_are_seated_where_they_are_needed_whatever_the_order() -> None:
    both, one = [Signoff(username="ann", role="a"), Signoff(username="ann", role="b")], Signoff(username="bob", role="a")
    for signoffs in ([*both, one], [one, *reversed(both)]):
        assert staffed(signoffs, {"a": 1, "b": 1}) == {"a": 1, "b": 1}


def test_new_evidence_for_the_same_requirement_does_not_kill_approvals() -> None:
    world = c.approved_world()
    world.put("ReleaseEvidence", c.evidence("again", c.sign(c.model_signature_statement(c.WEIGHTS_FILES), when=c.NOW)))
    assert verdict_of(world).allows is Allowance.SERVE


def test_an_approval_dies_when_the_evidence_it_saw_goes() -> None:
    world = c.approved_world()
    world.remove("ReleaseEvidence", c.Key(namespace=c.NAMESPACE, name="signature"))
    world.put("ReleaseEvidence", c.evidence("again", c.sign(c.model_signature_statement(c.WEIGHTS_FILES), when=c.NOW)))
    verdict = verdict_of(world)
    assert verdict.phase is Phase.AWAITING_APPROVAL
    assert {finding.reason for finding in verdict.approvals} == {Reason.EvidenceChanged}


def test_a_rejection_stops_an_approved_release_until_it_is_deleted() -> None:
    world = c.approved_world()
    world.put("ReleaseApproval", c.approval("no", world, role="security", username="sven@example.com", groups=["appsec"], decision="Reject"))
    rejected = verdict_of(world)
    assert (rejected.allows, rejected.phase, rejected.hopeless) == (Allowance.NOTHING, Phase.REJECTED, True)
    world.remove("ReleaseApproval", c.Key(namespace=c.NAMESPACE, name="no"))
    assert verdict_of(world).allows is Allowance.SERVE


def test_a_rejection_by_somebody_without_the_role_changes_nothing() -> None:
    world = c.approved_world()
    world.put("ReleaseApproval", c.approval("no", world, role="security", username="eve@example.com", groups=[], decision="Reject"))
    assert verdict_of(world).allows is Allowance.SERVE


def test_an_approval_of_another_namespace_is_about_another_release() -> None:
    world = only_security_missing()
    elsewhere = c.approval("second", world, **SECURITY)
    elsewhere["metadata"]["namespace"] = "other"
    world.put("ReleaseApproval", elsewhere)
    assert verdict_of(world).allows is Allowance.NOTHING


def waiver(world: World, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of the spec
    spec = {
        "release": {"name": c.NAME},
        "releaseDigest": verdict_of(world).release_digest,
        "requirements": ["weights-signed"],
        "reason": "Signing is down until Monday",
        "riskOwner": "payments-risk",
        "ticket": "https://changes.example.com/RISK-77",
        "compensatingControls": "On-call watches",
        "expires": "2026-11-30T00:00:00Z",
        "approver": {"username": "sam@example.com", "groups": ["appsec"]},
    }
    return c.item("ReleaseWaiver", "waived", spec | more)


def unsigned() -> World:
    world = c.verified_world()
    world.remove("ReleaseEvidence", c.Key(namespace=c.NAMESPACE, name="signature"))
    return world


def test_a_waiver_is_shown_as_waived_never_as_satisfied_and_ends() -> None:
    world = unsigned()
    c.waive(world, waiver(world))
    result = result_of(verdict_of(world), "weights-signed")
    assert result.outcome is Outcome.WAIVED
    for said in ("Signing is down", "payments-risk", "RISK-77", "On-call watches", "sam@example.com"):
        assert said in result.message
    assert result_of(verdict_of(world, days=10), "weights-signed").outcome is Outcome.MISSING


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"requirements": ["quality"]}, Reason.NothingToWaive),
        ({"approver": {"username": "eve@example.com", "groups": []}}, Reason.NothingToWaive),
        ({"approver": {"username": "tina@example.com", "groups": ["appsec"]}}, Reason.SeparationOfDuties),
        ({"approver": None}, Reason.NotStamped),
        ({"releaseDigest": c.digest_of("another release")}, Reason.ReleaseChanged),
        ({"expires": "2026-11-20T00:00:00Z"}, Reason.Expired),
    ],
)
def test_a_waiver_that_must_not_count_does_not_and_says_why(spec: dict[str, Any], reason: Reason) -> None:
    world = unsigned()
    c.waive(world, waiver(world, **spec))
    verdict = verdict_of(world)
    assert [finding.reason for finding in verdict.waivers] == [reason]
    assert result_of(verdict, "weights-signed").outcome is Outcome.MISSING


def test_nobody_may_waive_what_policy_does_not_let_them() -> None:
    spec = c.policy_spec()
    del spec["requirements"][0]["waivableBy"]
    world = with_policy(unsigned(), spec)
    c.waive(world, waiver(world))
    assert result_of(verdict_of(world), "weights-signed").outcome is Outcome.MISSING


@pytest.mark.parametrize("ends", ["0000-01-01T00:00:00Z", "2030-01-01T00:00:00+99:00", "2030-01-01T00:00:00Ztx", "9999-12-31T23:59:59-12:00", ""])
def test_an_end_that_the_api_server_takes_and_nobody_can_read_spoils_that_object_only(ends: str) -> None:
    world = c.approved_world()
    world.put("ReleaseApproval", c.approval("spoilt", world, **(SECURITY | {"expires": ends})))
    waiver = {"release": {"name": c.NAME}, "releaseDigest": c.digest_of("x"), "requirements": ["quality"], "reason": "r", "riskOwner": "o", "ticket": "t"}
    world.put("ReleaseWaiver", c.item("ReleaseWaiver", "spoilt", waiver | {"expires": ends}))
    assert verdict_of(world).allows is Allowance.SERVE
    key = c.Key(namespace=c.NAMESPACE, name="spoilt")
    for unreadable in (world.approvals[key], world.waivers[key]):
        assert str(unreadable).startswith("spec.expires: ")
        assert "2026-01-31T12:00:00Z" in str(unreadable)


def test_a_requirement_speaks_only_of_decisions_that_could_count_for_it() -> None:
    spec = c.policy_spec()
    spec["requirements"][-1]["counts"] = {"owner": 1}
    spec["requirements"].append({"name": "security-approval", "type": "Approval", "counts": {"security": 1}})
    world = with_policy(c.verified_world(), spec)
    world.put("ReleaseApproval", c.approval("of-owner", world, role="owner", username="olga@example.com", groups=["payments-ml-leads"], expires=PAST))
    world.put("ReleaseApproval", c.approval("of-security", world, role="security", username="sam@example.com", groups=[], expires=PAST))
    world.put("ReleaseApproval", c.approval("no", world, role="owner", username="eve@example.com", groups=[], decision="Reject"))
    world.put("ReleaseApproval", c.approval("slip", world, role="securty", username="sam@example.com", groups=[]))
    told = {name: result_of(verdict_of(world), name).message for name in ("approvals", "security-approval")}
    assert {name: [each for each in ("of-owner", "of-security", "no by", "slip") if each in message] for name, message in told.items()} == {
        "approvals": ["of-owner", "slip"], "security-approval": ["of-security", "slip"],
    }  # fmt: skip


def test_people_who_hold_the_role_are_told_first_that_they_do_not_count() -> None:
    world = c.verified_world()
    world.put("ReleaseApproval", c.approval("z-olga", world, role="owner", username="olga@example.com", groups=["payments-ml-leads"], expires=PAST))
    for index in range(20):
        world.put("ReleaseApproval", c.approval(f"a-{index}", world, role="owner", username="eve@example.com", groups=[]))
    assert "nobody; z-olga by olga@example.com as owner does not count: it ended" in result_of(verdict_of(world), "approvals").message


def test_an_approval_of_what_the_release_was_says_who_gave_it_when_and_what_changed() -> None:
    world = c.verified_world()
    old = c.approval("by-security", world, **SECURITY)
    old["metadata"]["creationTimestamp"] = "2026-11-19T08:00:00Z"
    old["spec"]["releaseDigest"] = c.digest_of("another release")
    world.put("ReleaseApproval", old)
    who = "by-security by sam@example.com as security (2026-11-19T08:00:00Z) does not count: "
    message = result_of(verdict_of(world), "approvals").message
    assert f"{who}the release has changed since: it names release digest {c.digest_of('another release')}" in message
    old["spec"] |= {"releaseDigest": verdict_of(world).release_digest, "evidenceDigest": c.digest_of("old evidence")}
    world.put("ReleaseApproval", old)
    message = result_of(verdict_of(world), "approvals").message
    assert f"{who}the evidence has changed since: it was given on evidence {c.digest_of('old evidence')}" in message


def test_a_message_grows_with_no_number_of_decisions_that_do_not_count() -> None:
    world = c.verified_world()
    for index in range(200):
        world.put("ReleaseApproval", c.approval(f"spam-{index}", world, role="owner", username="eve@example.com", groups=[]))
    message = result_of(verdict_of(world), "approvals").message
    assert message.count("does not count") == 8
    assert "and 192 more that do not count" in message


def test_a_waived_signature_does_not_hide_who_could_have_made_it() -> None:
    spec = c.policy_spec()
    for requirement in spec["requirements"][:2]:
        requirement["waivableBy"] = ["security"]
    world = with_policy(c.verified_world(), spec)
    for name in ("signature", "packaging", "server"):
        world.remove("ReleaseEvidence", c.Key(namespace=c.NAMESPACE, name=name))
    c.waive(world, waiver(world, requirements=["weights-signed", "built-here"]))
    world.put("ReleaseApproval", c.approval("by-security", world, role="security", username="sven@example.com", groups=["appsec"]))
    world.put("ReleaseApproval", c.approval("by-owner", world, role="owner", username="tina@example.com", groups=["payments-ml-leads"]))
    assert verdict_of(world).allows is Allowance.NOTHING
    assert {finding.reason for finding in verdict_of(world).approvals} == {Reason.Counted, Reason.SeparationOfDuties}
    world.put("ReleaseApproval", c.approval("by-another", world, role="owner", username="olga@example.com", groups=["payments-ml-leads"]))
    assert verdict_of(world).allows is Allowance.SERVE
