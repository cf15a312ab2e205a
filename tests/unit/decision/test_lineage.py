"""Who is compared with whom, who is the first release of a model, and whom a change touches."""

from __future__ import annotations

import pytest

from sluice.api.release import Outcome
from sluice.decision.model import Allowance
from sluice.decision.reasons import Reason
from sluice.decision.world import MOST_RIVALS
from tests.unit.decision import case as c
from tests.unit.decision.test_canary import canary_of, verdict_of, with_run


def test_the_first_release_of_a_model_needs_no_run() -> None:
    result = canary_of(c.canary_world(), c.BASELINE_KEY)
    assert (result.outcome, result.reason) == (Outcome.SATISFIED, Reason.FirstRelease)


def test_a_release_that_leaves_out_its_baseline_is_denied_while_another_may_serve() -> None:
    world = c.canary_world()
    world.put("ModelRelease", c.item("ModelRelease", "churn-9", c.first_release_spec("9.0.0")))
    key = c.Key(c.NAMESPACE, "churn-9")
    c.approve(world, key)
    verdict = verdict_of(world, key)
    assert (verdict.hopeless, verdict.open[0].reason) == (True, Reason.BaselineMissing)
    assert f"spec.change.baseline.name: {c.BASELINE}" in (verdict.open[0].remedy or "")


def test_another_model_is_no_rival() -> None:
    world = c.canary_world()
    world.put("ModelRelease", c.item("ModelRelease", "fraud-1", c.first_release_spec() | {"model": "fraud"}))
    assert canary_of(world, c.Key(c.NAMESPACE, "fraud-1")).reason is Reason.FirstRelease


def test_the_first_release_stays_the_first_when_its_descendants_serve() -> None:
    world = c.promoted_world()
    served = c.item("ModelRelease", c.NAME, c.release_spec())
    served["status"] = {"phase": "Serving", "releaseDigest": verdict_of(world).release_digest}
    world.put("ModelRelease", served)
    assert verdict_of(world).allows is Allowance.SERVE
    assert verdict_of(world, c.BASELINE_KEY).allows is Allowance.SERVE


def test_a_release_that_serves_goes_before_an_older_one_that_names_no_baseline_either() -> None:
    world = c.canary_world()
    older = c.item("ModelRelease", "churn-1", c.first_release_spec("1.0.0"))
    older["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    world.put("ModelRelease", older)
    serving = c.item("ModelRelease", c.BASELINE, c.first_release_spec())
    serving["metadata"]["creationTimestamp"] = "2026-06-01T00:00:00Z"
    serving["status"] = {"phase": "Serving", "releaseDigest": verdict_of(world, c.BASELINE_KEY).release_digest}
    world.put("ModelRelease", serving)
    c.approve(world, c.Key(c.NAMESPACE, "churn-1"))
    assert canary_of(world, c.Key(c.NAMESPACE, "churn-1")).reason is Reason.BaselineMissing
    assert verdict_of(world, c.BASELINE_KEY).allows is Allowance.SERVE


def test_of_two_first_releases_that_do_not_serve_yet_the_older_one_may() -> None:
    world = c.canary_world()
    older = c.item("ModelRelease", "churn-1", c.first_release_spec("1.0.0"))
    older["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    world.put("ModelRelease", older)
    c.approve(world, c.Key(c.NAMESPACE, "churn-1"))
    assert verdict_of(world, c.Key(c.NAMESPACE, "churn-1")).allows is Allowance.SERVE
    assert canary_of(world, c.BASELINE_KEY).reason is Reason.BaselineMissing


def test_a_status_of_another_release_of_the_same_name_puts_nobody_first() -> None:
    world = c.canary_world()
    forged = c.item("ModelRelease", "churn-9", c.first_release_spec("9.0.0")) | {"status": {"phase": "Serving", "releaseDigest": c.digest_of("former")}}
    world.put("ModelRelease", forged)
    c.approve(world, c.Key(c.NAMESPACE, "churn-9"))
    assert canary_of(world, c.Key(c.NAMESPACE, "churn-9")).reason is Reason.BaselineMissing


def test_with_more_rivals_than_are_looked_at_a_release_without_a_baseline_waits() -> None:
    world = c.canary_world()
    for number in range(MOST_RIVALS + 1):
        world.put("ModelRelease", c.item("ModelRelease", f"a-{number}", c.first_release_spec(f"1.{number}")))
    world.remove("ReleaseApproval", c.Key(c.NAMESPACE, f"{c.BASELINE}-by-owner"))
    result = canary_of(world, c.BASELINE_KEY)
    assert (result.outcome, result.reason) == (Outcome.MISSING, Reason.BaselineMissing)


def test_nothing_is_compared_with_a_baseline_that_is_not_entitled() -> None:
    world = c.canary_world()
    world.remove("ReleaseApproval", c.Key(c.NAMESPACE, f"{c.BASELINE}-by-owner"))
    assert (canary_of(world).reason, verdict_of(world).allows) == (Reason.BaselineNotEntitled, Allowance.NOTHING)
    running = with_run(world, "Pending")
    assert (canary_of(running).reason, verdict_of(running).allows) == (Reason.BaselineNotEntitled, Allowance.NOTHING)


def test_a_baseline_that_only_claims_to_be_the_first_is_not_entitled() -> None:
    world = c.canary_world()
    first = c.item("ModelRelease", "churn-1", c.first_release_spec("1.0.0"))
    first["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    world.put("ModelRelease", first)
    assert verdict_of(world).allows is Allowance.CANARY
    c.approve(world, c.Key(c.NAMESPACE, "churn-1"))
    assert (canary_of(world).reason, verdict_of(world).allows) == (Reason.BaselineNotEntitled, Allowance.NOTHING)


def test_a_baseline_that_is_not_there_is_waited_for() -> None:
    world = c.canary_world()
    world.remove("ModelRelease", c.BASELINE_KEY)
    assert (canary_of(world).reason, verdict_of(world).hopeless) == (Reason.BaselineNotEntitled, False)


def test_a_promoted_release_outlives_its_baseline() -> None:
    world = c.promoted_world()
    world.remove("ReleaseApproval", c.Key(c.NAMESPACE, f"{c.BASELINE}-by-owner"))
    assert verdict_of(world).allows is Allowance.SERVE
    world.remove("ModelRelease", c.BASELINE_KEY)
    assert verdict_of(world).allows is Allowance.SERVE


def test_a_baseline_that_became_another_release_is_another_comparison() -> None:
    world = c.promoted_world()
    world.put("ModelRelease", c.item("ModelRelease", c.BASELINE, c.first_release_spec("2.0.1")))
    c.approve(world, c.BASELINE_KEY)
    assert canary_of(world).reason is Reason.CanaryNotRun


def test_a_baseline_of_another_model_is_none() -> None:
    world = c.canary_world()
    world.put("ModelRelease", c.item("ModelRelease", c.BASELINE, c.first_release_spec() | {"model": "fraud"}))
    assert (canary_of(world).outcome, canary_of(world).reason) == (Outcome.FAILED, Reason.BaselineOfAnotherModel)


@pytest.mark.parametrize("names", [[c.NAME], ["churn-a", c.NAME], ["churn-a", "churn-b", "churn-a"]], ids=str)
def test_releases_that_name_each_other_in_a_circle_wait(names: list[str]) -> None:
    world = c.canary_world()
    for name, baseline in zip([c.NAME, *names], names, strict=False):
        world.put("ModelRelease", c.item("ModelRelease", name, c.release_spec() | {"change": {"type": "Prune", "baseline": {"name": baseline}}}))
    c.approve(world, c.KEY)
    assert canary_of(world).reason is Reason.BaselineNotEntitled


def test_when_the_baseline_ends_by_time_the_candidate_is_looked_at_again() -> None:
    world = c.canary_world()
    expires = "2026-11-20T13:00:00Z"
    world.put(
        "ReleaseApproval",
        c.approval(f"{c.BASELINE}-by-owner", world, role="owner", username="o@x", groups=["payments-ml-leads"], key=c.BASELINE_KEY, expires=expires),
    )
    assert canary_of(world, hours=2).reason is Reason.BaselineNotEntitled
    changes_at = verdict_of(world).changes_at
    assert changes_at is not None
    assert changes_at.isoformat().replace("+00:00", "Z") <= expires


# Whom a change touches.


def test_a_suite_touches_the_releases_whose_policies_name_it() -> None:
    world = c.canary_world()
    assert c.KEY in world.put("ScoringSuite", c.item("ScoringSuite", "churn-core", c.suite_spec(repeats=2)))
    assert world.put("ScoringSuite", c.item("ScoringSuite", "other", c.suite_spec())) == frozenset()
    assert c.KEY in world.remove("ScoringSuite", c.Key(c.NAMESPACE, "churn-core"))


def test_a_run_touches_its_release_when_it_comes_changes_and_goes() -> None:
    world = c.canary_world()
    assert c.KEY in world.put("CanaryRun", c.run("churn-2-1-0-1"))
    assert c.KEY in world.put("CanaryRun", c.run("churn-2-1-0-1", decision="RollBack"))
    assert c.KEY in world.remove("CanaryRun", c.Key(c.NAMESPACE, "churn-2-1-0-1"))
    assert verdict_of(world).allows is Allowance.CANARY


def test_what_touches_the_baseline_touches_whoever_is_compared_with_it() -> None:
    world = c.canary_world()
    assert c.KEY in world.remove("ReleaseApproval", c.Key(c.NAMESPACE, f"{c.BASELINE}-by-owner"))
    assert c.KEY in world.remove("ModelRelease", c.BASELINE_KEY)
    assert c.KEY in world.put("ModelRelease", c.item("ModelRelease", c.BASELINE, c.first_release_spec()))


def test_what_touches_a_rival_of_the_baseline_touches_who_is_compared_with_the_baseline() -> None:
    world = c.canary_world()
    key = c.Key(c.NAMESPACE, "churn-9")
    world.put("ModelRelease", c.item("ModelRelease", key.name, c.first_release_spec("9.0.0")))
    c.approve(world, key)
    assert world.remove("ReleaseApproval", c.Key(c.NAMESPACE, "churn-9-by-owner")) == {key, c.BASELINE_KEY, c.KEY}
    assert world.remove("ModelRelease", key) == {key, c.BASELINE_KEY, c.KEY}


def test_without_a_canary_in_the_policy_releases_do_not_touch_each_other() -> None:
    world = c.canary_world()
    world.put("ReleasePolicy", c.item("ReleasePolicy", "customer-facing", c.policy_spec(), namespace=""))
    assert world.remove("ReleaseApproval", c.Key(c.NAMESPACE, f"{c.BASELINE}-by-owner")) == frozenset({c.BASELINE_KEY})
