"""What a release has to say of itself: the plan to go back, and who carries the risk that remains."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.api.release import Outcome, Phase
from sluice.controller.conditions import Moment
from sluice.controller.release_status import status_of
from sluice.decision.model import Allowance, Release, Result, Verdict
from sluice.decision.problems import policy_problems
from sluice.decision.reasons import Reason
from tests.unit.decision import case as c

Object = dict[str, Any]
PLAN: Object = {"name": "way-back", "type": "RollbackPlan"}
RISK: Object = {"name": "risk", "type": "ResidualRisk", "ownerRoles": ["risk"]}
CRITERIA: Object = {"criteria": "precision below the baseline", "drillMaxAge": "30d"}
OWNER: Object = {"owner": "payments-risk", "statement": "offers may be too high for a day"}
NEXT = "churn-2-2-0"
NEXT_KEY = c.Key(namespace=c.NAMESPACE, name=NEXT)


def policy(*requirements: Object) -> Object:
    spec = c.policy_spec()
    spec["requirements"] += requirements
    spec["roles"].append({"name": "risk", "subjects": [{"kind": "Group", "name": "payments-risk"}, {"kind": "User", "name": "rita@example.com"}]})
    return c.item("ReleasePolicy", "customer-facing", spec, namespace="")


def put(world: c.World, name: str = c.NAME, *, baseline: str | None = c.BASELINE, serving: bool = False, **fields: Any) -> None:  # noqa: ANN401 - JSON
    """Apply a release with these fields and let the people of the policy sign it off; `serving`: its status says that it serves."""
    change = {"type": "Quantize"} | ({"baseline": {"name": baseline}} if baseline else {})
    item = c.item("ModelRelease", name, c.release_spec() | {"change": change, "rollback": CRITERIA} | fields)
    world.put("ModelRelease", item)
    key = c.Key(namespace=c.NAMESPACE, name=name)
    c.approve(world, key)
    if serving:
        release = world.releases[key]
        assert isinstance(release, Release)
        world.put("ModelRelease", item | {"status": {"phase": "Serving", "releaseDigest": release.digest}})


def planned(*requirements: Object, **fields: Any) -> c.World:  # noqa: ANN401 - fields of the release
    """A world in which the release and its baseline lack nothing, and policy asks for these."""
    world = c.verified_world()
    world.put("ReleasePolicy", policy(*requirements or [PLAN]))
    put(world, c.BASELINE, baseline=None, version="2.0.0")
    put(world, **fields)
    return world


def verdict_of(world: c.World, key: c.Key = c.KEY) -> Verdict:
    verdict = world.verdict(key, now=c.NOW)
    assert verdict is not None
    return verdict


def result_of(world: c.World, requirement: str = "way-back", key: c.Key = c.KEY) -> Result:
    return next(result for result in verdict_of(world, key).results if result.requirement == requirement)


def reject(world: c.World, key: c.Key) -> None:
    world.remove("ReleaseApproval", c.Key(namespace=c.NAMESPACE, name=f"{key.name}-by-security"))


def test_a_release_with_a_plan_and_a_baseline_that_may_serve_may_serve() -> None:
    world = planned()
    result = result_of(world)
    assert (result.outcome, result.reason, verdict_of(world).allows) == (Outcome.SATISFIED, Reason.RollbackPlanned, Allowance.SERVE)
    assert result.message == f"back to {c.BASELINE}, which may serve, when: precision below the baseline"


@pytest.mark.parametrize(
    ("fields", "reason", "words"),
    [
        ({"rollback": None}, Reason.RollbackPlanMissing, "no spec.rollback"),
        ({"rollback": {"criteria": "any"}}, Reason.RollbackPlanIncomplete, "spec.rollback.drillMaxAge is not set"),
        ({"rollback": {"criteria": "any", "drillMaxAge": "31d"}}, Reason.RollbackPlanIncomplete, "drillMaxAge is 31d; policy customer-facing asks"),
    ],
    ids=["no-plan", "no-drill", "too-rare"],
)
def test_a_plan_that_lacks_what_policy_asks_can_never_become_right(fields: Object, reason: Reason, words: str) -> None:
    world = planned(PLAN | {"drillMaxAge": "30d"}, **fields)
    result = result_of(world)
    assert (result.outcome, result.reason, verdict_of(world).hopeless) == (Outcome.FAILED, reason, True)
    assert words in result.message
    assert result.remedy is not None
    assert result.remedy.startswith("apply a new ModelRelease with spec.rollback")


@pytest.mark.parametrize("promised", ["30d", "29d23h"])
def test_a_plan_that_promises_what_policy_asks_or_more_suffices(promised: str) -> None:
    assert result_of(planned(PLAN | {"drillMaxAge": "30d"}, rollback={"criteria": "any", "drillMaxAge": promised})).outcome is Outcome.SATISFIED


def test_nobody_plans_to_go_back_to_a_release_that_may_not_serve() -> None:
    world = planned()
    reject(world, c.BASELINE_KEY)
    result = result_of(world)
    assert (result.outcome, result.reason) == (Outcome.MISSING, Reason.BaselineNotEntitled)
    assert f"its baseline {c.BASELINE} is not entitled to serve (approvals: ApprovalMissing)" in result.message
    assert (verdict_of(world).allows, verdict_of(world).phase) == (Allowance.NOTHING, Phase.AWAITING_EVIDENCE)
    touched = world.put("ReleaseApproval", c.approval("again", world, role="security", username="sam@example.com", groups=[], key=c.BASELINE_KEY))
    assert c.KEY in touched
    assert result_of(world).outcome is Outcome.SATISFIED


def test_a_baseline_that_is_not_there_is_waited_for() -> None:
    world = planned()
    world.remove("ModelRelease", c.BASELINE_KEY)
    assert (result_of(world).outcome, result_of(world).reason) == (Outcome.MISSING, Reason.BaselineNotEntitled)


def test_a_baseline_of_another_model_is_none() -> None:
    world = planned()
    put(world, c.BASELINE, baseline=None, model="fraud")
    assert (result_of(world).outcome, result_of(world).reason) == (Outcome.FAILED, Reason.BaselineOfAnotherModel)


def test_the_first_release_of_a_model_needs_a_plan_and_no_baseline_and_others_may_not_leave_theirs_out() -> None:
    world = planned()
    assert result_of(world, key=c.BASELINE_KEY).reason is Reason.FirstRelease
    put(world, c.BASELINE, baseline=None, serving=True)
    put(world, baseline=None)
    assert (result_of(world).outcome, result_of(world).reason) == (Outcome.FAILED, Reason.BaselineMissing)
    put(world, c.BASELINE, baseline=None, rollback=None)
    assert result_of(world, key=c.BASELINE_KEY).reason is Reason.RollbackPlanMissing


def test_what_serves_already_goes_on_when_its_baseline_ends_its_service_and_says_so() -> None:
    world = planned()
    put(world, serving=True)
    assert "which may serve" in result_of(world).message
    reject(world, c.BASELINE_KEY)
    result = result_of(world)
    assert (result.outcome, verdict_of(world).allows) == (Outcome.SATISFIED, Allowance.SERVE)
    assert "it serves already, and goes on: nobody could stand in for it" in result.message
    put(world, serving=True, rollback=None)
    assert result_of(world).reason is Reason.RollbackPlanMissing


def test_a_status_about_another_release_of_the_same_name_keeps_nothing_in_service() -> None:
    world = planned()
    reject(world, c.BASELINE_KEY)
    item = c.item("ModelRelease", c.NAME, c.release_spec() | {"rollback": CRITERIA}) | {"status": {"phase": "Serving", "releaseDigest": c.digest_of("former")}}
    world.put("ModelRelease", item)
    assert result_of(world).outcome is Outcome.MISSING


def test_a_baseline_with_a_baseline_of_its_own_is_one_to_go_back_to_once_it_serves() -> None:
    world = planned()
    put(world, NEXT, baseline=c.NAME, version="2.2.0")
    assert result_of(world, key=NEXT_KEY).reason is Reason.BaselineNotEntitled
    put(world, serving=True)
    assert result_of(world, key=NEXT_KEY).outcome is Outcome.SATISFIED
    # Its own baseline may go by then: the way back has one step.
    world.remove("ModelRelease", c.BASELINE_KEY)
    assert result_of(world, key=NEXT_KEY).outcome is Outcome.SATISFIED
    reject(world, c.KEY)
    assert result_of(world, key=NEXT_KEY).outcome is Outcome.MISSING


# The risk that remains.


@pytest.mark.parametrize("owner", ["payments-risk", "rita@example.com"])
def test_a_risk_that_somebody_in_the_role_carries_is_carried_and_shown(owner: str) -> None:
    world = planned(RISK, residualRisk=OWNER | {"owner": owner})
    result, verdict = result_of(world, "risk"), verdict_of(world)
    assert (result.outcome, result.reason, verdict.allows, verdict.risk_owner) == (Outcome.SATISFIED, Reason.RiskOwned, Allowance.SERVE, owner)
    assert owner in result.message
    assert "(risk) carries what remains: offers may be too high for a day" in result.message


@pytest.mark.parametrize(
    ("fields", "reason", "words"),
    [
        ({}, Reason.RiskOwnerMissing, "no spec.residualRisk"),
        ({"residualRisk": OWNER | {"owner": "olga@example.com"}}, Reason.RiskOwnerNotPermitted, "is olga@example.com, who is in no role"),
        ({"residualRisk": OWNER | {"owner": "payments-ml-leads"}}, Reason.RiskOwnerNotPermitted, "may carry risks (risk)"),
    ],
    ids=["nobody", "a-stranger", "another-role"],
)
def test_a_risk_that_nobody_may_carry_stops_the_release(fields: Object, reason: Reason, words: str) -> None:
    result = result_of(planned(RISK, **fields), "risk")
    assert (result.outcome, result.reason) == (Outcome.FAILED, reason)
    assert words in result.message
    assert "spec.residualRisk" in (result.remedy or "")


def test_the_owner_of_the_risk_stands_in_the_status_whoever_asks() -> None:
    world = planned(PLAN, residualRisk=OWNER)
    release = world.releases[c.KEY]
    assert isinstance(release, Release)
    status = status_of(release, verdict_of(world), Moment(previous={}, generation=1, now=c.NOW))
    assert status["risk"] == {"tier": "standard", "owner": "payments-risk"}
    about = {condition["type"]: condition["status"] for condition in status["conditions"]}
    assert about == {"Ready": "True", "Verified": "True", "EvidenceComplete": "True", "Approved": "True"}


def test_a_role_that_policy_does_not_define_is_named() -> None:
    world = planned(RISK | {"ownerRoles": ["nobody"]}, residualRisk=OWNER)
    known = world.policies["customer-facing"]
    problems = policy_problems(known.spec, world.trust_roots)  # type: ignore[union-attr]
    assert [problem.message for problem in problems] == ["spec.requirements[risk].ownerRoles: no role is called 'nobody'"]
    result = result_of(world, "risk")
    assert result.reason is Reason.RiskOwnerNotPermitted
    assert (result.remedy or "").endswith("is one of those whom the platform team gives such a role")
