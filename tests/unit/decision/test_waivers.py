"""Nobody waives alone: who may approve a waiver, and what ends that."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.api.release import Outcome
from sluice.decision.reasons import Reason
from tests.unit.decision import case as c
from tests.unit.decision import signed as s
from tests.unit.decision.test_decide import result_of, verdict_of, with_policy
from tests.unit.decision.test_people import unsigned, waiver

Object = dict[str, Any]
SVEN: Object = {"role": "security", "username": "sven@example.com"}


def outcome(known: c.World) -> tuple[Outcome, Reason]:
    verdict = verdict_of(known)
    return result_of(verdict, "weights-signed").outcome, verdict.waivers[0].reason


def waiting() -> tuple[c.World, Object]:
    known = unsigned()
    asked = waiver(known)
    known.put("ReleaseWaiver", asked)
    return known, asked


def test_a_waiver_waits_for_somebody_else_and_says_whom_to_ask() -> None:
    known, asked = waiting()
    assert outcome(known) == (Outcome.MISSING, Reason.WaiverNotApproved)
    (finding,) = verdict_of(known).waivers
    assert finding.message == "nobody waives alone: it waits for somebody else in role security"
    assert finding.remedy == "kubectl sluice approve waiver/waived -n payments --role security"
    result = result_of(verdict_of(known), "weights-signed")
    assert result.message.endswith(f"; waiver waived by sam@example.com does not count (WaiverNotApproved): {finding.message}")
    assert (result.remedy or "").endswith(f"; or {finding.remedy}")
    assert "waived" not in result_of(verdict_of(known), "approvals").message
    known.put("ReleaseApproval", c.waiver_approval("of-waiver", asked, **SVEN))
    assert outcome(known) == (Outcome.WAIVED, Reason.Counted)


@pytest.mark.parametrize(
    ("by", "reason"),
    [
        ({"username": "sam@example.com"}, Reason.SeparationOfDuties),
        ({"username": "tina@example.com"}, Reason.SeparationOfDuties),
        ({"username": "eve@example.com", "groups": ()}, Reason.RoleNotGranted),
        ({"role": "owner", "username": "olga@example.com", "groups": ("payments-ml-leads",)}, Reason.Counted),
        ({"expires": "2026-11-20T11:00:00Z"}, Reason.Expired),
        ({"releaseDigest": c.digest_of("another release")}, Reason.ReleaseChanged),
        ({"waiver": {"name": "waived", "digest": c.digest_of("another waiver")}}, Reason.WaiverChanged),
        ({"waiver": {"name": "other", "digest": c.digest_of("another waiver")}}, Reason.WaiverChanged),
        ({"approver": None}, Reason.NotStamped),
    ],
    ids=["who-asks", "the-trainer", "nobody", "the-owner", "ended", "another-release", "another-waiver", "no-waiver", "not-stamped"],
)
def test_a_waiver_is_not_approved_by(by: Object, reason: Reason) -> None:
    known, asked = waiting()
    given = c.waiver_approval("of-waiver", asked, **(SVEN | {key: value for key, value in by.items() if key != "waiver"}))
    given["spec"] |= {key: value for key, value in by.items() if key == "waiver"}
    known.put("ReleaseApproval", given)
    assert verdict_of(known).approvals[0].reason is reason
    assert outcome(known) == (Outcome.MISSING, Reason.WaiverNotApproved)


@pytest.mark.parametrize(
    "change", [{"reason": "other"}, {"expires": "2026-12-30T00:00:00Z"}, {"riskOwner": "x"}, {"ticket": "t"}, {"compensatingControls": "x"}]
)
def test_a_waiver_that_is_written_anew_is_approved_anew(change: Object) -> None:
    known, asked = waiting()
    known.put("ReleaseApproval", c.waiver_approval("of-waiver", asked, **SVEN))
    known.put("ReleaseWaiver", waiver(known, **change))
    assert outcome(known) == (Outcome.MISSING, Reason.WaiverNotApproved)
    assert verdict_of(known).approvals[0].reason is Reason.WaiverChanged


def test_a_waiver_that_waits_says_which_role_is_still_missing() -> None:
    spec = c.policy_spec()
    spec["requirements"][0]["waiverCounts"] = {"owner": 1, "security": 1}
    known = with_policy(unsigned(), spec)
    asked = waiver(known)
    known.put("ReleaseWaiver", asked)
    assert verdict_of(known).waivers[0].message.endswith("somebody else in role owner or security")
    known.put("ReleaseApproval", c.waiver_approval("by-owner", asked, role="owner", username="olga@example.com", groups=("payments-ml-leads",)))
    assert verdict_of(known).waivers[0].message.endswith("somebody else in role security")
    assert verdict_of(known).waivers[0].remedy.endswith("--role security")


def test_a_message_grows_with_no_number_of_waivers_and_what_can_become_right_comes_first() -> None:
    known, _ = waiting()
    for index in range(50):
        known.put("ReleaseWaiver", waiver(known, approver={"username": "eve@example.com"}) | {"metadata": {"name": f"a-{index}", "namespace": c.NAMESPACE}})
    message = result_of(verdict_of(known), "weights-signed").message
    assert message.count("does not count (") == 4
    assert "waiver waived by sam@example.com" in message
    assert message.endswith("and 47 more waivers that do not count")


def test_an_approval_of_a_waiver_is_none_of_the_release_and_lives_through_new_evidence() -> None:
    known, asked = waiting()
    known.put("ReleaseApproval", c.waiver_approval("of-waiver", asked, **SVEN))
    assert result_of(verdict_of(known), "approvals").message.startswith("0 of 2")
    known.remove("ReleaseEvidence", c.Key(c.NAMESPACE, "packaging"))
    assert outcome(known) == (Outcome.WAIVED, Reason.Counted)


def test_a_rejection_of_a_waiver_ends_it_and_not_the_release() -> None:
    known, asked = waiting()
    known.put("ReleaseApproval", c.waiver_approval("of-waiver", asked, **SVEN))
    no = c.waiver_approval("no", asked, role="owner", username="olga@example.com", groups=("payments-ml-leads",), decision="Reject", comment="too long")
    known.put("ReleaseApproval", no)
    assert outcome(known) == (Outcome.MISSING, Reason.WaiverRejected)
    assert (verdict_of(known).rejected, verdict_of(known).waivers[0].message) == (False, "olga@example.com rejected it as owner: too long")


def test_an_approval_of_a_waiver_is_taken_back_as_any_other() -> None:
    known, asked = waiting()
    known.put("ReleaseApproval", c.waiver_approval("of-waiver", asked, **SVEN))
    back = c.approval(
        "back", known, role="security", username="sam@example.com", groups=[], decision="Revoke", revokes="uid-ReleaseApproval-payments-of-waiver"
    )
    del back["spec"]["evidenceDigest"]
    known.put("ReleaseApproval", back)
    assert outcome(known) == (Outcome.MISSING, Reason.WaiverNotApproved)


def test_policy_says_how_many_approve_in_which_role() -> None:
    spec = c.policy_spec()
    spec["requirements"][0]["waiverCounts"] = {"owner": 1, "security": 1}
    known = with_policy(unsigned(), spec)
    asked = waiver(known)
    c.waive(known, asked)
    assert outcome(known) == (Outcome.MISSING, Reason.WaiverNotApproved)
    both = c.waiver_approval("by-owner", asked, role="owner", username="sven@example.com", groups=("payments-ml-leads",))
    known.put("ReleaseApproval", both)
    assert outcome(known) == (Outcome.MISSING, Reason.WaiverNotApproved), "one person in two roles counts once"
    known.put("ReleaseApproval", c.waiver_approval("by-olga", asked, role="owner", username="olga@example.com", groups=("payments-ml-leads",)))
    assert outcome(known) == (Outcome.WAIVED, Reason.Counted)


def test_a_role_of_one_policy_approves_no_waiver_for_another() -> None:
    known, asked = waiting()
    other = c.policy_spec()
    other["roles"][1]["subjects"] = [{"kind": "User", "name": "sam@example.com"}, {"kind": "User", "name": "sue@example.com"}]
    known.put("ReleasePolicy", c.item("ReleasePolicy", "stricter", other, namespace=""))
    known.put("ReleaseApproval", c.waiver_approval("of-waiver", asked, **SVEN))
    outcomes = {each.policy: each.outcome for each in verdict_of(known).results if each.requirement == "weights-signed"}
    assert outcomes == {"customer-facing": Outcome.WAIVED, "stricter": Outcome.MISSING}


def test_a_waiver_is_approved_by_a_signature_and_who_asks_does_not_sign_for_it() -> None:
    for name, reason in (("sam@example.com", Reason.WaiverNotApproved), ("sue@example.com", Reason.Counted)):
        known = s.world()
        known.remove("ReleaseEvidence", c.Key(namespace=c.NAMESPACE, name="signature"))
        asked = waiver(known, approver={"username": name, "groups": ["appsec"]})
        known.put("ReleaseWaiver", asked)
        named = c.waiver_approval("x", asked, **SVEN)["spec"]["waiver"]
        s.put(known, "by-sam", s.by_sam(known, waiver=named, evidenceDigest=None))
        assert verdict_of(known).waivers[0].reason is reason


def test_the_status_of_a_waiver_and_of_its_approval_know_of_each_other() -> None:
    known, asked = waiting()
    known.put("ReleaseApproval", c.waiver_approval("of-waiver", asked, **SVEN))
    release, key = known.releases[c.KEY], c.Key(c.NAMESPACE, "waived")
    for item in (known.waivers[key], known.approvals[c.Key(c.NAMESPACE, "of-waiver")]):
        finding = known.finding(item, release, now=c.NOW)  # type: ignore[arg-type]
        assert finding is not None
        assert finding.counts
