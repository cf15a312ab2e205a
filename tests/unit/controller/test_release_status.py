"""A verdict in the words of the API: golden for people, exact for machines."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.api.base import Model
from sluice.api.release import Outcome, ReleaseStatus
from sluice.api.requirement import RequirementType
from sluice.api.trigger import SecurityChange
from sluice.controller.conditions import Moment, cut, differs
from sluice.controller.release_status import missing, status_of, unreadable_status
from sluice.decision.finding import Finding
from sluice.decision.model import Release, Result, Verdict
from sluice.decision.reasons import Reason
from sluice.decision.triggers import Fired, PolicyRisk
from tests.unit.decision import case
from tests.unit.decision.test_monitors import finding, watching

Object = dict[str, Any]
LATER = case.NOW + timedelta(hours=1)


def moment(previous: Object | None = None, **changes: Any) -> Moment:  # noqa: ANN401 - fields of Moment
    return replace(Moment(previous=previous or {}, generation=1, now=case.NOW), **changes)


def judged(world: case.World) -> tuple[Release, Verdict]:
    release, verdict = world.releases[case.KEY], world.verdict(case.KEY, now=case.NOW)
    assert isinstance(release, Release)
    assert verdict is not None
    return release, verdict


def conditions(status: Object) -> dict[str, tuple[str, str]]:
    return {item["type"]: (item["status"], item["reason"]) for item in status["conditions"]}


def test_a_release_that_waits_for_sign_offs_says_so_in_every_place_people_look() -> None:
    status = status_of(*judged(case.verified_world()), moment())
    assert status["phase"] == "AwaitingApproval"
    assert status["missing"] == "approvals: owner, security"
    assert status["risk"] == {"tier": "standard"}
    assert conditions(status) == {
        "Ready": ("False", "ApprovalMissing"),
        "Reconciling": ("True", "ApprovalMissing"),
        "Verified": ("True", "SignatureVerified"),
        "EvidenceComplete": ("True", "EvidenceComplete"),
        "Approved": ("False", "ApprovalMissing"),
    }
    assert [(item["name"], item["outcome"]) for item in status["requirements"]] == [
        ("weights-signed", "Satisfied"),
        ("built-here", "Satisfied"),
        ("quality", "Satisfied"),
        ("approvals", "Missing"),
    ]
    ready = next(item for item in status["conditions"] if item["type"] == "Ready")
    assert ready["message"].endswith("→ kubectl sluice approve mr/churn-2-1-0 -n payments --role owner")
    assert ready["lastTransitionTime"] == "2026-11-20T12:00:00Z"
    assert "approvals" not in status


def test_an_entitled_release_has_nothing_missing_and_neither_reconciling_nor_stalled() -> None:
    status = status_of(*judged(case.approved_world()), moment())
    assert conditions(status) == {
        "Ready": ("True", "Entitled"),
        "Verified": ("True", "SignatureVerified"),
        "EvidenceComplete": ("True", "EvidenceComplete"),
        "Approved": ("True", "Approved"),
    }
    assert "missing" not in status
    assert [item["username"] for item in status["approvals"]] == ["olga@example.com", "sam@example.com"]


def health_of(*findings: Object) -> tuple[str, str, str] | None:
    world = case.approved_world()
    world.put("ReleaseMonitor", watching("m-1", *findings))
    status = status_of(*judged(world), moment())
    return next(((item["status"], item["reason"], item["message"]) for item in status["conditions"] if item["type"] == "Healthy"), None)


def test_a_release_is_healthy_while_its_monitors_find_nothing_and_says_what_they_found() -> None:
    assert health_of() == ("True", "WithinEnvelope", "no monitor found drift, and none is silent")
    assert health_of(finding("Alert", "Silence")) == ("False", "MonitorSilent", "monitor refusals: Silence it is → Alert (mrm/m-1)")
    told = health_of(finding("RollBack"), finding("Alert", "Silence"))
    assert told == ("False", "DriftFound", "monitor refusals: Drift it is → RollBack (mrm/m-1); monitor refusals: Silence it is → Alert (mrm/m-1)")
    assert "Healthy" not in conditions(status_of(*judged(case.approved_world()), moment())), "nobody watches it"


def test_a_release_that_only_alarms_is_ready_all_the_same() -> None:
    world = case.approved_world()
    world.put("ReleaseMonitor", watching("m-1", finding("Alert")))
    status = status_of(*judged(world), moment())
    assert (status["phase"], conditions(status)["Ready"]) == ("Serving", ("True", "Entitled"))


@pytest.mark.parametrize(("ask", "phase", "reason", "kstatus"), [
    ("Withdraw", "Withdrawn", "Withdrawn", "Reconciling"), ("RollBack", "RolledBack", "DriftRolledBack", "Stalled"),
])  # fmt: skip
def test_what_a_monitor_took_out_of_service_says_so(ask: str, phase: str, reason: str, kstatus: str) -> None:
    world = case.approved_world()
    world.put("ReleaseMonitor", watching("m-1", finding(ask)))
    status = status_of(*judged(world), moment())
    assert (status["phase"], status["missing"]) == (phase, "refusals")
    assert conditions(status)["Ready"] == ("False", reason)
    assert conditions(status)[kstatus] == ("True", reason)
    assert ("customer-facing", "refusals", reason) in [(item["policy"], item["name"], item["reason"]) for item in status["requirements"]]


def test_a_rejected_release_is_stalled_and_names_who_objects() -> None:
    world = case.approved_world()
    world.put("ReleaseApproval", case.approval("no", world, role="security", username="sam@example.com", groups=[], decision="Reject"))
    status = status_of(*judged(world), moment())
    assert status["phase"] == "Rejected"
    assert status["missing"] == "rejected as security by sam@example.com"
    assert conditions(status)["Stalled"] == ("True", "Rejected")
    assert conditions(status)["Ready"] == ("False", "Rejected")
    assert "Reconciling" not in conditions(status)


def test_an_objection_is_named_before_what_else_is_missing() -> None:
    world = case.verified_world()
    world.put("ReleaseApproval", case.approval("no", world, role="security", username="sam@example.com", groups=[], decision="Reject"))
    assert missing(judged(world)[1]) == "rejected as security by sam@example.com; approvals: owner, security"


def test_without_a_policy_there_are_no_conditions_about_requirements() -> None:
    world = case.verified_world()
    world.remove("ReleasePolicy", case.Key(namespace="", name="customer-facing"))
    status = status_of(*judged(world), moment())
    assert conditions(status) == {"Ready": ("False", "NoPolicyMatches"), "Reconciling": ("True", "NoPolicyMatches")}


def test_an_unreadable_release_says_which_field_and_what_to_do() -> None:
    world = case.World()
    world.put("ModelRelease", case.item("ModelRelease", case.NAME, case.release_spec() | {"stages": []}))
    problem = world.releases[case.KEY]
    status = unreadable_status(str(problem), moment())
    assert conditions(status) == {"Ready": ("False", "ReleaseInvalid"), "Stalled": ("True", "ReleaseInvalid")}
    message = status["conditions"][0]["message"]
    assert "spec.stages" in message
    assert "delete it, and apply one that is right" in message
    assert status["phase"] == "Pending"


@given(st.sampled_from(["verified", "approved", "empty"]), st.integers(min_value=0, max_value=10**6), st.integers(min_value=0, max_value=100))
def test_the_same_verdict_on_its_own_status_gives_the_same_bytes_whatever_the_time(which: str, seconds: int, generation: int) -> None:
    world = {"verified": case.verified_world, "approved": case.approved_world, "empty": _without_evidence}[which]()
    release, verdict = judged(world)
    first = status_of(release, verdict, moment(generation=generation))
    again = status_of(release, verdict, moment(first, generation=generation, now=case.NOW + timedelta(seconds=seconds)))
    assert again == first
    assert not differs(again, first)


def _without_evidence() -> case.World:
    world = case.verified_world()
    for name in case.bundles():
        world.remove("ReleaseEvidence", case.Key(namespace=case.NAMESPACE, name=name))
    return world


def test_a_transition_time_changes_only_when_the_status_of_that_condition_does() -> None:
    before = status_of(*judged(_without_evidence()), moment())
    after = status_of(*judged(case.verified_world()), moment(before, now=LATER))
    times = {item["type"]: item["lastTransitionTime"] for item in after["conditions"]}
    old, new = "2026-11-20T12:00:00Z", "2026-11-20T13:00:00Z"
    assert times == {"Ready": old, "Reconciling": old, "Verified": new, "EvidenceComplete": new, "Approved": old}
    # The reason changed without the status: no transition, and still worth writing.
    assert conditions(before)["Ready"] != conditions(after)["Ready"]
    assert differs(after, before)


def test_the_order_of_list_items_is_no_difference_and_their_content_is() -> None:
    status = status_of(*judged(case.approved_world()), moment())
    shuffled = deepcopy(status)
    for name in ("conditions", "requirements", "approvals"):
        shuffled[name].reverse()
    assert not differs(status, shuffled)
    shuffled["requirements"][0]["message"] += "."
    assert differs(status, shuffled)
    assert differs(status, None)


def test_whatever_is_in_a_verdict_the_status_fits_the_schema() -> None:
    long = "ö" * 10_000
    results = tuple(
        Result(policy="p", requirement=f"r{number}", outcome=Outcome.FAILED, reason=Reason.CheckFailed, message=long, remedy=long,
               evidence=(case.digest_of("x"),) * 100, type=RequirementType.EVALUATION)
        for number in range(300)
    )  # fmt: skip
    people = tuple(Finding(name=f"a{n}", counts=True, reason=Reason.Counted, message="m", role="owner", username="u", rejects=True) for n in range(100))
    fired = tuple(Fired(policy="p", trigger="t", change=SecurityChange.TOOL_ADDED, detail=long) for _ in range(100))
    risks = tuple(PolicyRisk(policy=tier, tier=tier, fired=fired) for tier in ("standard", "high"))
    verdict = Verdict(release_digest=case.digest_of("r"), evidence_digest=case.digest_of("e"), risks=risks, results=results, approvals=people)
    release, _ = judged(case.verified_world())
    status = status_of(release, verdict, moment())
    read: Model = ReleaseStatus.model_validate(status)
    assert isinstance(read, ReleaseStatus)
    assert (len(read.requirements), len(read.approvals)) == (256, 64)
    assert read.risk is not None
    assert (read.risk.tier, len(read.risk.triggers)) == ("high,standard", 64)
    assert len(missing(verdict)) > 1024
    assert cut("abc", 2) == "a…"


def scored(decision: str | None, *more: tuple[str, str]) -> Object:
    world = case.canary_world()
    for name, came_to in () if decision is None else (("churn-2-1-0-1", decision), *more):
        world.put("CanaryRun", case.run(name, decision=came_to))
    return status_of(*judged(world), moment())


def test_before_it_is_scored_a_release_names_no_run_and_reconciles() -> None:
    status = scored(None)
    assert (status["phase"], status["missing"], "canary" in status) == ("Canary", "canary", False)
    assert conditions(status)["CanaryPassed"] == ("False", "CanaryNotRun")
    assert conditions(status)["EvidenceComplete"] == ("True", "EvidenceComplete")
    assert "Reconciling" in conditions(status)


@pytest.mark.parametrize(
    ("decision", "phase", "passed", "kstatus"),
    [
        ("Pending", "Canary", ("False", "CanaryRunning"), "Reconciling"),
        ("Inconclusive", "Canary", ("False", "CanaryInconclusive"), "Reconciling"),
        ("RollBack", "RolledBack", ("False", "CanaryRolledBack"), "Stalled"),
        ("Promote", "Serving", ("True", "CanaryPassed"), "Ready"),
    ],
)
def test_a_release_says_which_run_it_rests_on_and_what_it_came_to(decision: str, phase: str, passed: tuple[str, str], kstatus: str) -> None:
    status = scored(decision)
    assert (status["phase"], status["canary"]) == (phase, {"run": {"name": "churn-2-1-0-1"}, "decision": decision})
    assert conditions(status)["CanaryPassed"] == passed
    assert kstatus in conditions(status)


def test_of_several_runs_the_one_that_rolled_back_is_named() -> None:
    assert scored("Promote", ("churn-2-1-0-2", "RollBack"))["canary"] == {"run": {"name": "churn-2-1-0-2"}, "decision": "RollBack"}
