"""What a requirement of type Canary comes to, and what never helps."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sluice.api.release import Phase
from sluice.decision.model import Allowance, Result, Verdict
from sluice.decision.problems import policy_problems
from sluice.decision.reasons import Reason
from sluice.decision.world import World
from tests.unit.decision import case as c


def verdict_of(world: World, key: c.Key = c.KEY, **later: Any) -> Verdict:  # noqa: ANN401 - arguments of timedelta
    verdict = world.verdict(key, now=c.NOW + timedelta(**later))
    assert verdict is not None
    return verdict


def canary_of(world: World, key: c.Key = c.KEY, **later: Any) -> Result:  # noqa: ANN401 - arguments of timedelta
    return next(result for result in verdict_of(world, key, **later).results if result.requirement == "canary")


def with_policy(world: World, **changes: Any) -> World:  # noqa: ANN401 - fields of the requirement
    world.put("ReleasePolicy", c.canary_policy(c.canary_requirement(**changes)))
    return world


def with_suite(world: World, **changes: Any) -> World:  # noqa: ANN401 - fields of the suite
    world.put("ScoringSuite", c.item("ScoringSuite", "churn-core", c.suite_spec(**changes)))
    return world


def with_run(world: World, decision: str, name: str = "churn-2-1-0-1", **changes: Any) -> World:  # noqa: ANN401 - fields of the run
    world.put("CanaryRun", c.run(name, decision=decision, **changes))
    return world


# The way of a release.


def test_a_release_that_lacks_nothing_but_the_canary_may_be_scored_and_not_serve() -> None:
    verdict = verdict_of(c.canary_world())
    assert (verdict.allows, verdict.phase) == (Allowance.CANARY, Phase.CANARY)
    assert [result.reason for result in verdict.open] == [Reason.CanaryNotRun]
    assert not verdict.hopeless


def test_what_is_due_pins_everything_that_a_run_depends_on() -> None:
    world = with_policy(c.canary_world(), margins={"accuracy": "0.01"}, falsePromotionRate="0.01", minimum=100, minDuration="10m")
    (due,) = verdict_of(world).due
    assert (due.policy, due.requirement, due.release, due.baseline, due.suite) == ("customer-facing", "canary", c.NAME, c.BASELINE, "churn-core")
    assert due.release_digest == verdict_of(world).release_digest
    assert due.baseline_digest == verdict_of(world, c.BASELINE_KEY).release_digest
    assert due.suite_digest == world.canaries.suites[c.Key(c.NAMESPACE, "churn-core")].digest  # type: ignore[union-attr]
    assert (str(due.terms.margin), str(due.terms.margins["accuracy"]), due.terms.planned, due.terms.minimum) == ("0.02", "0.01", 3000, 100)
    assert (str(due.terms.false_rollback_rate), str(due.terms.false_promotion_rate), due.terms.max_duration) == ("0.05", "0.01", "1h")
    assert due.terms.min_duration == "10m"


def test_while_it_is_scored_it_may_still_be_scored_and_says_by_which_run() -> None:
    world = with_run(c.canary_world(), "Pending")
    result = canary_of(world)
    assert (result.reason, result.run) == (Reason.CanaryRunning, "churn-2-1-0-1")
    assert verdict_of(world).allows is Allowance.CANARY


def test_a_promoted_release_serves() -> None:
    verdict = verdict_of(c.promoted_world())
    assert (verdict.allows, verdict.phase, verdict.due) == (Allowance.SERVE, Phase.SERVING, ())
    assert canary_of(c.promoted_world()).reason is Reason.CanaryPassed


def test_a_rolled_back_release_is_denied_for_ever() -> None:
    verdict = verdict_of(with_run(c.canary_world(), "RollBack"))
    assert (verdict.allows, verdict.phase, verdict.hopeless) == (Allowance.NOTHING, Phase.ROLLED_BACK, True)
    assert verdict.open[0].reason is Reason.CanaryRolledBack
    assert "BecauseRollBack" in verdict.open[0].message


def test_an_inconclusive_run_holds_and_says_who_may_waive() -> None:
    world = with_run(with_policy(c.canary_world(), waivableBy=["security"]), "Inconclusive")
    verdict = verdict_of(world)
    assert (verdict.allows, verdict.phase, verdict.hopeless, verdict.due) == (Allowance.NOTHING, Phase.CANARY, False, ())
    assert verdict.open[0].reason is Reason.CanaryInconclusive
    assert "security" in (verdict.open[0].remedy or "")


def test_an_inconclusive_run_rolls_back_when_policy_says_so() -> None:
    verdict = verdict_of(with_run(with_policy(c.canary_world(), onInconclusive="RollBack"), "Inconclusive"))
    assert (verdict.phase, verdict.hopeless, verdict.open[0].reason) == (Phase.ROLLED_BACK, True, Reason.CanaryInconclusive)


# What a run is about.


@pytest.mark.parametrize(
    "changes",
    [
        {"releaseDigest": c.digest_of("another release")},
        {"baselineDigest": c.digest_of("another baseline")},
        {"baseline": {"name": "churn-1-9-0"}},
        {"suiteDigest": c.digest_of("another suite")},
        {"suite": {"name": "other-core"}},
        {"margin": "0.03"},
        {"margins": {"accuracy": "0.5"}},
        {"falsePromotionRate": "0.1"},
        {"planned": 2999},
    ],
    ids=",".join,
)
def test_a_promotion_of_something_else_or_on_looser_terms_does_not_count(changes: dict[str, Any]) -> None:
    world = with_run(c.canary_world(), "Promote", **changes)
    assert canary_of(world).reason is Reason.CanaryNotRun
    assert verdict_of(world).allows is Allowance.CANARY


def test_a_minimum_that_policy_asks_is_kept() -> None:
    assert canary_of(with_run(with_policy(c.canary_world(), minimum=500), "Promote")).reason is Reason.CanaryNotRun
    assert canary_of(with_run(with_policy(c.canary_world(), minimum=500), "Promote", minimum=500)).reason is Reason.CanaryPassed


@pytest.mark.parametrize(("kept", "counts"), [("10m", True), ("600s", True), ("1h", True), ("9m59s", False), (None, False)])
def test_a_promotion_counts_where_the_candidate_was_asked_for_as_long_as_policy_wants_now(kept: str | None, counts: bool) -> None:
    changes: dict[str, Any] = {"minDuration": kept} if kept else {}
    world = with_run(with_policy(c.canary_world(), minDuration="10m"), "Promote", **changes)
    assert (canary_of(world).reason is Reason.CanaryPassed) is counts
    assert canary_of(with_run(c.canary_world(), "Promote", **changes)).reason is Reason.CanaryPassed


@pytest.mark.parametrize(("least", "told"), [("59m", []), ("1h", [Reason.MinDurationTooLong]), ("2h", [Reason.MinDurationTooLong])])
def test_a_policy_that_wants_more_time_than_it_gives_is_told(least: str, told: list[Reason]) -> None:
    world = with_policy(c.canary_world(), minDuration=least)
    usable = world.policies["customer-facing"]
    assert [problem.reason for problem in policy_problems(usable.spec, world.trust_roots)] == told  # type: ignore[union-attr]


STAGES = [{"share": "0.05", "for": "10m"}, {"share": "0.25", "for": "1h"}]


@pytest.mark.parametrize(
    ("kept", "counts"),
    [
        (STAGES, True),
        ([{"share": "0.050", "for": "600s"}, {"share": "0.2", "for": "2h"}], True),
        ([{"share": "0.05", "for": "70m"}], True),
        (None, False),
        ([{"share": "0.05", "for": "9m"}, {"share": "0.25", "for": "2h"}], False),
        ([{"share": "0.06", "for": "10m"}, {"share": "0.25", "for": "1h"}], False),
        ([{"share": "0.05", "for": "69m"}], False),
    ],
    ids=str,
)
def test_a_promotion_counts_where_users_met_no_more_of_it_at_any_moment_than_policy_lets_them_now(kept: list[dict[str, str]] | None, counts: bool) -> None:
    changes: dict[str, Any] = {"exposure": kept} if kept else {}
    world = with_run(with_policy(c.canary_world(), exposure=STAGES), "Promote", **changes)
    assert (canary_of(world).reason is Reason.CanaryPassed) is counts
    # What policy does not ask for any more takes no promotion away.
    assert canary_of(with_run(c.canary_world(), "Promote", **changes)).reason is Reason.CanaryPassed


def test_a_promotion_that_might_have_left_a_stage_out_counts_only_where_policy_allows_that() -> None:
    for asks, keeps, counts in (("Hold", "Skip", False), ("Skip", "Skip", True), ("Skip", "Hold", True), ("Hold", "Hold", True)):
        world = with_run(with_policy(c.canary_world(), exposure=STAGES, onShareTooSmall=asks), "Promote", exposure=STAGES, onShareTooSmall=keeps)
        assert (canary_of(world).reason is Reason.CanaryPassed) is counts, (asks, keeps)


@pytest.mark.parametrize(
    "changes",
    [
        {"margin": "0.020"},
        {"margin": "0.01"},
        {"margins": {"accuracy": "0.02"}},
        {"falsePromotionRate": "0.01"},
        {"falseRollbackRate": "0.2"},
        {"planned": 5000},
    ],
    ids=lambda changes: ",".join(f"{field}={value}" for field, value in changes.items()),
)
def test_a_promotion_on_terms_that_are_no_looser_counts(changes: dict[str, Any]) -> None:
    assert canary_of(with_run(c.canary_world(), "Promote", **changes)).reason is Reason.CanaryPassed


@pytest.mark.parametrize(
    "changes",
    [{"planned": 2000}, {"margin": "0.05"}, {"maxDuration": "2h"}, {"minDuration": "1m"}, {"margins": {"accuracy": "0.05"}}, {"exposure": STAGES}],
    ids=str,
)
def test_other_terms_than_those_of_an_inconclusive_run_are_a_new_question(changes: dict[str, Any]) -> None:
    world = with_policy(with_run(c.canary_world(), "Inconclusive"), **changes)
    assert (canary_of(world).reason, verdict_of(world).allows) == (Reason.CanaryNotRun, Allowance.CANARY)


@pytest.mark.parametrize(
    "changes",
    [{"suiteDigest": c.digest_of("another")}, {"margin": "0"}, {"baselineDigest": c.digest_of("another")}, {"policy": "other", "requirement": "other"}],
    ids=str,
)
def test_a_roll_back_counts_whatever_it_was_asked(changes: dict[str, Any]) -> None:
    assert verdict_of(with_run(c.promoted_world(), "RollBack", "churn-2-1-0-2", **changes)).phase is Phase.ROLLED_BACK


def test_a_roll_back_of_a_former_release_of_the_same_name_is_about_something_else() -> None:
    world = with_run(c.promoted_world(), "RollBack", "churn-2-1-0-2", releaseDigest=c.digest_of("former"))
    assert verdict_of(world).allows is Allowance.SERVE


def test_a_roll_back_outlives_the_requirement_that_asked_for_it() -> None:
    world = with_run(c.canary_world(), "RollBack")
    world.put("ReleasePolicy", c.item("ReleasePolicy", "customer-facing", c.policy_spec(), namespace=""))
    verdict = verdict_of(world)
    assert (verdict.allows, verdict.phase) == (Allowance.NOTHING, Phase.ROLLED_BACK)
    assert len({(result.policy, result.requirement) for result in verdict.results}) == len(verdict.results)


def test_a_roll_back_by_a_requirement_that_is_now_another_is_shown_once() -> None:
    world = with_run(c.canary_world(), "RollBack", requirement="quality")
    world.put("ReleasePolicy", c.item("ReleasePolicy", "customer-facing", c.policy_spec(), namespace=""))
    assert [result.reason for result in verdict_of(world).results if result.requirement == "quality"] == [Reason.CanaryRolledBack]


def waiver(world: World) -> dict[str, Any]:
    spec = {
        "release": {"name": c.NAME}, "releaseDigest": verdict_of(world).release_digest, "requirements": ["canary"], "reason": "no baseline fits",
        "riskOwner": "payments-risk", "ticket": "RISK-1", "expires": "2026-12-01T00:00:00Z", "approver": {"username": "sam@example.com", "groups": []},
    }  # fmt: skip
    return c.item("ReleaseWaiver", "no-canary", spec)


def test_what_is_not_known_can_be_waived_and_what_was_found_cannot() -> None:
    world = with_policy(c.canary_world(), waivableBy=["security"])
    c.waive(world, waiver(world))
    assert verdict_of(with_run(world, "Inconclusive")).allows is Allowance.SERVE
    assert verdict_of(with_run(world, "RollBack", "churn-2-1-0-2")).phase is Phase.ROLLED_BACK


def test_a_run_that_cannot_be_read_holds() -> None:
    broken = c.run("churn-2-1-0-2", decision="RollBack")
    del broken["spec"]["seed"]
    world = c.promoted_world()
    world.put("CanaryRun", broken)
    assert canary_of(world).reason is Reason.CanaryRunInvalid
    assert verdict_of(world).allows is Allowance.NOTHING


def test_a_decision_that_this_version_does_not_know_holds() -> None:
    world = c.canary_world()
    world.put("CanaryRun", c.run("churn-2-1-0-1", decision="PromoteAnyway"))
    assert canary_of(world).reason is Reason.CanaryRunInvalid


def test_nothing_is_scored_before_everything_else_is_there() -> None:
    world = c.canary_world()
    world.remove("ReleaseEvidence", c.Key(namespace=c.NAMESPACE, name="evaluation"))
    verdict = verdict_of(world)
    assert (verdict.allows, verdict.due) == (Allowance.NOTHING, ())


def test_every_requirement_asks_for_its_own_run() -> None:
    world = c.canary_world()
    world.put("ScoringSuite", c.item("ScoringSuite", "red-team", c.suite_spec(repeats=3)))
    world.put("ReleasePolicy", c.canary_policy(c.canary_requirement(), c.canary_requirement(name="red-team", suite={"name": "red-team"})))
    world.put("CanaryRun", c.run("churn-2-1-0-1", decision="Promote"))
    verdict = verdict_of(world)
    assert verdict.allows is Allowance.CANARY
    assert [due.suite for due in verdict.due] == ["red-team"]


# The suite.


def test_without_its_suite_a_release_waits() -> None:
    world = c.canary_world()
    world.remove("ScoringSuite", c.Key(c.NAMESPACE, "churn-core"))
    assert (canary_of(world).reason, verdict_of(world).allows) == (Reason.SuiteNotFound, Allowance.NOTHING)


def test_a_suite_that_cannot_be_read_is_no_suite() -> None:
    assert canary_of(with_suite(c.canary_world(), scorers="all of them")).reason is Reason.SuiteInvalid


def test_a_suite_that_compares_nothing_is_no_suite() -> None:
    assert canary_of(with_suite(c.canary_world(), scorers=[{"name": "tokens", "type": "Tokens"}])).reason is Reason.SuiteInvalid


def test_a_margin_for_a_metric_that_the_suite_does_not_have_is_not_ignored() -> None:
    assert canary_of(with_policy(c.canary_world(), margins={"acuracy": "0.001"})).reason is Reason.SuiteInvalid


def test_a_promotion_on_a_suite_that_was_replaced_does_not_count() -> None:
    assert canary_of(with_suite(c.promoted_world(), repeats=2)).reason is Reason.CanaryNotRun


def test_only_the_suite_that_policy_pins_is_used() -> None:
    world = with_policy(c.canary_world(), suite={"name": "churn-core", "digest": c.digest_of("pinned")})
    assert (canary_of(world).reason, verdict_of(world).allows) == (Reason.SuiteNotPermitted, Allowance.NOTHING)
    (due,) = verdict_of(c.canary_world()).due
    assert canary_of(with_policy(c.canary_world(), suite={"name": "churn-core", "digest": due.suite_digest})).reason is Reason.CanaryNotRun


def test_a_promotion_on_the_pinned_suite_outlives_the_suite_in_the_namespace() -> None:
    (due,) = verdict_of(c.canary_world()).due
    world = with_policy(c.promoted_world(), suite={"name": "churn-core", "digest": due.suite_digest})
    world.remove("ScoringSuite", c.Key(c.NAMESPACE, "churn-core"))
    assert canary_of(world).reason is Reason.CanaryPassed
