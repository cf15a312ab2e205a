"""What monitors find, what follows from it, and that it cannot be undone by asking otherwise."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from sluice.api.monitor import Monitor, OnDrift
from sluice.api.release import Outcome, Phase
from sluice.decision.gate import Action
from sluice.decision.model import Allowance, Release, Verdict
from sluice.decision.monitors import Wanted, wanted_for
from sluice.decision.reasons import Reason
from sluice.decision.world import World
from tests.unit.decision import case as c
from tests.unit.decision.test_gate import decided, pod

REFUSALS: dict[str, Any] = {
    "name": "refusals", "prometheus": {"query": "x[$period]", "answer": "Counts", "label": "refused", "event": "true"}, "period": "1m", "detects": "Mean",
    "reference": {"mean": "0.1"}, "falseAlarmEvery": 10_000, "onDrift": "RollBack",
}  # fmt: skip
AT = "2026-11-20T11:00:00Z"


def finding(ask: str, cause: str = "Drift") -> dict[str, Any]:
    return {"cause": cause, "ask": ask, "at": AT, "message": f"{cause} it is"}


def watching(name: str = "m-1", *findings: dict[str, Any], key: c.Key = c.KEY, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of the spec
    """A ReleaseMonitor of a release of the approved world."""
    release = (c.canary_world() if key == c.BASELINE_KEY else c.approved_world()).releases[key]
    assert isinstance(release, Release)
    spec = {"release": {"name": key.name}, "releaseDigest": release.digest, "policy": "customer-facing", "monitor": REFUSALS} | changes
    return c.item("ReleaseMonitor", name, spec) | {"status": {"phase": "Watching", "findings": list(findings)}}


def with_monitors(*items: dict[str, Any]) -> World:
    world = c.approved_world()
    for item in items:
        world.put("ReleaseMonitor", item)
    return world


def verdict_of(world: World, key: c.Key = c.KEY) -> Verdict:
    verdict = world.verdict(key, now=c.NOW)
    assert verdict is not None
    return verdict


# What follows from a finding.


def test_a_release_that_is_watched_and_well_serves() -> None:
    verdict = verdict_of(with_monitors(watching()))
    assert (verdict.allows, verdict.phase) == (Allowance.SERVE, Phase.SERVING)
    assert (verdict.watched, verdict.alarms) == (True, ())
    assert not verdict_of(with_monitors()).watched


@pytest.mark.parametrize("cause", ["Drift", "Silence"])
def test_an_alert_takes_nothing_away_and_is_told(cause: str) -> None:
    verdict = verdict_of(with_monitors(watching("m-1", finding("Alert", cause))))
    assert (verdict.allows, verdict.phase) == (Allowance.SERVE, Phase.SERVING)
    assert [alarm.message for alarm in verdict.alarms] == [f"monitor refusals: {cause} it is"]


def test_drift_that_rolls_back_is_for_ever_and_says_by_which_monitor() -> None:
    verdict = verdict_of(with_monitors(watching("m-1", finding("RollBack"))))
    assert (verdict.allows, verdict.phase, verdict.hopeless, verdict.rolled_back) == (Allowance.NOTHING, Phase.ROLLED_BACK, True, True)
    (result,) = verdict.open
    assert (result.policy, result.requirement, result.outcome, result.reason) == ("customer-facing", "refusals", Outcome.FAILED, Reason.DriftRolledBack)
    assert "Drift it is" in result.message
    assert "mrm/m-1" in (result.remedy or "")


@pytest.mark.parametrize(("cause", "says"), [("Drift", "it drifted after release"), ("Silence", "nobody knows how it behaves")])
def test_a_withdrawn_release_serves_no_more_and_can_come_back(cause: str, says: str) -> None:
    world = with_monitors(watching("m-1", finding("Withdraw", cause)))
    verdict = verdict_of(world)
    assert (verdict.allows, verdict.phase, verdict.hopeless, verdict.withdrawn) == (Allowance.NOTHING, Phase.WITHDRAWN, False, True)
    assert (verdict.open[0].reason, verdict.open[0].outcome) == (Reason.Withdrawn, Outcome.MISSING)
    assert verdict.open[0].message.startswith(says)
    assert world.remove("ReleaseMonitor", c.Key(c.NAMESPACE, "m-1")) == {c.KEY}
    assert verdict_of(world).phase is Phase.SERVING


def test_of_several_findings_the_strongest_counts_and_all_are_told() -> None:
    asks = [[alarm.finding.ask for alarm in verdict_of(world).alarms] for world in (
        with_monitors(watching("m-1", finding("Alert", "Silence"), finding("RollBack")), watching("m-2", finding("Withdraw"))),
        with_monitors(watching("m-1", finding("Withdraw")), watching("m-2", finding("RollBack"), finding("Alert", "Silence"))),
    )]  # fmt: skip
    assert asks == [[OnDrift.ROLL_BACK, OnDrift.WITHDRAW, OnDrift.ALERT]] * 2
    world = with_monitors(watching("m-1", finding("Withdraw")), watching("m-2", finding("RollBack")))
    assert [result.reason for result in verdict_of(world).open] == [Reason.DriftRolledBack], "one result for each monitor of a policy"


def test_two_monitors_that_stop_a_release_are_two_results() -> None:
    other = watching("m-2", finding("RollBack"), monitor=REFUSALS | {"name": "accuracy"})
    verdict = verdict_of(with_monitors(watching("m-1", finding("Withdraw")), other))
    assert [(result.requirement, result.reason) for result in verdict.open] == [("accuracy", Reason.DriftRolledBack), ("refusals", Reason.Withdrawn)]
    assert verdict.phase is Phase.ROLLED_BACK


def test_a_monitor_of_the_name_of_a_requirement_is_shown_in_its_place() -> None:
    verdict = verdict_of(with_monitors(watching("m-1", finding("Withdraw"), monitor=REFUSALS | {"name": "quality"})))
    names = [(result.policy, result.requirement) for result in verdict.results]
    assert len(names) == len(set(names)), "the API server takes each name once"
    assert [result.reason for result in verdict.open] == [Reason.Withdrawn]


# What a finding is about.


def test_a_finding_counts_for_the_digest_that_it_pins_only() -> None:
    verdict = verdict_of(with_monitors(watching("m-1", finding("RollBack"), releaseDigest=c.digest_of("something else"))))
    assert (verdict.allows, verdict.watched, verdict.alarms) == (Allowance.SERVE, False, ())


def test_a_finding_counts_for_the_release_that_it_names_only() -> None:
    assert verdict_of(with_monitors(watching("m-1", finding("RollBack"), release={"name": "other"}))).allows is Allowance.SERVE
    elsewhere = watching("m-1", finding("RollBack"))
    elsewhere["metadata"]["namespace"] = "other"
    assert verdict_of(with_monitors(elsewhere)).allows is Allowance.SERVE


def test_a_release_that_is_applied_again_finds_its_finding_still_there() -> None:
    world = with_monitors(watching("m-1", finding("RollBack")))
    world.remove("ModelRelease", c.KEY)
    world.put("ModelRelease", c.item("ModelRelease", c.NAME, c.release_spec()))
    assert verdict_of(world).phase is Phase.ROLLED_BACK


@pytest.mark.parametrize("ask", ["Withdraw", "RollBack"])
def test_a_finding_counts_whatever_policies_ask_now(ask: str) -> None:
    world = with_monitors(watching("m-1", finding(ask)))
    assert not c.policy_spec().get("monitors"), "the policy has forgotten the monitor"
    assert verdict_of(world).allows is Allowance.NOTHING
    world.remove("ReleasePolicy", c.Key("", "customer-facing"))
    verdict = verdict_of(world)
    assert (verdict.rolled_back, verdict.withdrawn) == (ask == "RollBack", ask == "Withdraw"), "nor does the last policy take it along"


def test_no_waiver_covers_what_was_found() -> None:
    world = with_monitors(watching("m-1", finding("RollBack"), monitor=REFUSALS | {"name": "weights-signed"}))
    spec = {
        "release": {"name": c.NAME}, "releaseDigest": verdict_of(world).release_digest, "requirements": ["weights-signed"], "reason": "r", "riskOwner": "o",
        "ticket": "t", "expires": "2026-12-01T00:00:00Z", "approver": {"username": "sam@example.com", "groups": []},
    }  # fmt: skip
    c.waive(world, c.item("ReleaseWaiver", "w", spec))
    assert verdict_of(world).waivers[0].counts
    assert verdict_of(world).phase is Phase.ROLLED_BACK


def test_what_was_found_about_a_baseline_keeps_others_from_being_compared_with_it() -> None:
    world = c.canary_world()
    assert verdict_of(world).allows is Allowance.CANARY
    assert c.KEY in world.put("ReleaseMonitor", watching("m-0", finding("Withdraw"), key=c.BASELINE_KEY)), "the candidate depends on it"
    assert [result.reason for result in verdict_of(world).open] == [Reason.BaselineNotEntitled]
    assert verdict_of(world, c.BASELINE_KEY).phase is Phase.WITHDRAWN


def test_a_release_that_waits_for_people_says_that_it_was_withdrawn_first() -> None:
    world = c.verified_world()
    world.put("ReleaseMonitor", watching("m-1", finding("Withdraw")))
    assert [result.reason for result in verdict_of(world).open] == [Reason.Withdrawn, Reason.ApprovalMissing]


# What cannot be read.


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "spec": (watching(monitor={"name": "refusals"}), "spec.monitor"),
    "ask": (watching("m-1", finding("Explode")), "status.findings"),
    "cause": (watching("m-1", finding("Alert", "Boredom")), "status.findings"),
    "more-than-this-version-knows": (watching("m-1", finding("Alert") | {"until": AT}), "status.findings"),
    "no-list": (watching() | {"status": {"findings": "none"}}, "status.findings"),
    "no-finding": (watching() | {"status": {"findings": ["x"]}}, "status.findings"),
    "silence-that-rolls-back": (watching("m-1", finding("RollBack", "Silence")), "silence does not roll back"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_monitor_that_cannot_be_read_holds_its_release_and_rolls_nothing_back(name: str) -> None:
    item, says = BROKEN[name]
    verdict = verdict_of(with_monitors(item))
    assert (verdict.allows, verdict.phase, verdict.hopeless) == (Allowance.NOTHING, Phase.PENDING, False)
    (result,) = verdict.open
    assert result.reason is Reason.MonitorInvalid
    assert says in result.message
    world = with_monitors(item)
    world.put("ReleaseMonitor", watching(item["metadata"]["name"]))
    assert verdict_of(world).allows is Allowance.SERVE


def test_a_monitor_that_cannot_be_read_hides_no_finding() -> None:
    verdict = verdict_of(with_monitors(watching("m-0", finding("Explode")), watching("m-1", finding("RollBack"))))
    assert verdict.phase is Phase.ROLLED_BACK


def test_a_monitor_without_a_status_has_found_nothing() -> None:
    item = watching()
    del item["status"]
    assert verdict_of(with_monitors(item)).allows is Allowance.SERVE


def test_a_monitor_touches_the_release_that_it_names_and_named() -> None:
    world = with_monitors(watching())
    assert world.put("ReleaseMonitor", watching("m-1", finding("Withdraw"), release={"name": "other"})) == {c.KEY, c.Key(c.NAMESPACE, "other")}
    assert verdict_of(world).allows is Allowance.SERVE


def test_which_monitors_there_are_is_known() -> None:
    world = with_monitors(watching(), watching("m-2"))
    assert set(world.monitors.keys) == {c.Key(c.NAMESPACE, "m-1"), c.Key(c.NAMESPACE, "m-2")}
    world.remove("ReleaseMonitor", c.Key(c.NAMESPACE, "m-1"))
    assert set(world.monitors.keys) == {c.Key(c.NAMESPACE, "m-2")}


# Pods.


def test_pods_of_a_withdrawn_release_wait_and_those_of_a_rolled_back_one_are_denied() -> None:
    held = decided(with_monitors(watching("m-1", finding("Withdraw"))), pod())
    assert (held.action, held.reason) == (Action.HOLD, Reason.Withdrawn)
    assert held.lines[0] == "held by sluice: churn/2.1.0 was withdrawn in namespace payments (Withdrawn)"
    assert held.lines[-1].endswith("or apply a new ModelRelease")
    denied = decided(with_monitors(watching("m-1", finding("RollBack"))), pod())
    assert (denied.action, denied.reason) == (Action.DENY, Reason.DriftRolledBack)
    assert decided(with_monitors(watching("m-1", finding("Alert"))), pod()).action is Action.ALLOW


# What policies ask for.


def asking(*monitors: dict[str, Any], **changes: Any) -> tuple[Wanted, ...]:  # noqa: ANN401 - fields of the policy
    world = c.approved_world()
    world.put("ReleasePolicy", c.item("ReleasePolicy", "customer-facing", c.policy_spec() | {"monitors": list(monitors)} | changes, namespace=""))
    release = world.releases[c.KEY]
    assert isinstance(release, Release)
    verdict = world.verdict(c.KEY, now=c.NOW)
    assert verdict is not None
    return wanted_for(world.case(release), verdict.risks)


def test_what_is_wanted_pins_release_policy_and_definition() -> None:
    (wanted,) = asking(REFUSALS)
    assert (wanted.spec.release.name, wanted.spec.release_digest) == (c.NAME, verdict_of(c.approved_world()).release_digest)
    assert (wanted.spec.policy, wanted.spec.reference) == ("customer-facing", None)
    assert wanted.spec.monitor.model_dump(mode="json", by_alias=True, exclude_unset=True) == REFUSALS
    assert wanted.name.startswith("churn-2-1-0-refusals-")


def test_only_releases_of_the_tier_are_watched_and_all_while_nobody_knows_the_tier() -> None:
    assert [wanted.spec.monitor.name for wanted in asking(REFUSALS | {"tiers": ["standard"]}, REFUSALS | {"name": "x", "tiers": ["high"]})] == ["refusals"]
    unknown = [{"name": "high", "when": "release.training.run == ''"}]
    assert len(asking(REFUSALS | {"tiers": ["standard"]}, REFUSALS | {"name": "x", "tiers": ["high"]}, tiers=unknown)) == 2


def test_a_policy_that_asks_for_nothing_or_does_not_select_wants_nothing() -> None:
    assert asking() == ()
    assert asking(REFUSALS, selector={"namespaces": {"matchLabels": {"team": "x"}}}) == ()


OTHER: dict[str, Any] = {
    "name": "others", "prometheus": REFUSALS["prometheus"] | {"query": "y[$period]"}, "period": "2m", "detects": "Distribution", "reference": {"mean": "0.2"},
    "changes": "Rise", "tolerance": "0.01", "scale": {"low": "0", "high": "2"}, "missing": "0", "falseAlarmEvery": 100, "onDrift": "Alert",
    "silentAfter": "4m", "onSilence": "Withdraw", "probe": {"suite": {"name": "s"}, "metric": "m"},
}  # fmt: skip


@pytest.mark.parametrize("field", OTHER)
def test_what_is_watched_in_another_way_is_another_monitor(field: str) -> None:
    (before,), (after,) = asking(REFUSALS), asking(REFUSALS | {field: OTHER[field]})
    assert before.name != after.name


def test_every_field_of_a_definition_is_tried_above() -> None:
    assert set(OTHER) == {field.alias for field in Monitor.model_fields.values()}


def test_names_are_the_same_each_time_and_never_too_long() -> None:
    (wanted,) = asking(deepcopy(REFUSALS))
    assert wanted.name == asking(REFUSALS)[0].name
    (long,) = asking(REFUSALS | {"name": "r" * 63})
    assert len(long.name) < 253
