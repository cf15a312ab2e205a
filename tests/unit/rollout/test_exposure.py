"""Users meet a share of the candidate: never more than a stage allows, not a moment longer than it is well, and whoever dies in between."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from sluice.api.canary import CanaryDecision
from sluice.cluster.resource import DEPLOYMENTS, NETWORK_POLICIES, PODS
from sluice.decision.reasons import Reason
from sluice.rollout.endings import Ending
from sluice.rollout.exposure import Hands, drained, pause
from tests.unit.rollout.canary_bench import Killed
from tests.unit.rollout.exposure_bench import CANDIDATE, NAMESPACE, Exposed

CLOSED = NETWORK_POLICIES.path(NAMESPACE, "churn-2-1-models")


async def test_users_meet_the_candidate_stage_by_stage_and_it_is_over_after_the_last() -> None:
    bench = Exposed()
    first = await bench.until_exposed()
    assert (first.standing.stage, first.standing.pods, str(first.standing.share)) == (0, 1, "0.0500")
    assert first.message == "stage 1 of 2, at most 5.00% for 60 s: one Pod among 20 of Service churn (5.00%)"
    assert (await bench.look(seconds=59)).standing.stage == 0
    assert (await bench.look(seconds=2)).standing.stage == 1
    assert bench.exposed
    last = await bench.look(seconds=59)
    assert (last.over, last.standing.stage) == (False, 1)
    assert (await bench.look(seconds=2)).over


async def test_only_then_may_others_than_scorers_reach_it() -> None:
    bench = Exposed(others=18)
    await bench.look()
    assert CLOSED in bench.client.objects
    bench = Exposed()
    await bench.until_exposed()
    assert CLOSED not in bench.client.objects
    assert [verb for verb, _ in bench.client.writes] == ["delete", "apply"]


async def test_a_pod_that_is_more_than_the_share_is_held_with_numbers_and_what_to_do() -> None:
    bench = Exposed(others=18)
    held = await bench.look()
    assert not bench.exposed
    assert (held.reason, held.standing.pods) == ("ShareTooSmall", 0)
    assert "5.26% of Service churn, beside 18 that are ready; it begins with 19 beside it" in held.message
    bench.pod("churn-18", {"app": "churn"})
    bench.kubelet()
    assert (await bench.until_exposed()).standing.pods == 1


async def test_a_policy_may_take_the_next_stage_instead_and_one_that_none_fits_is_over_without_any_user() -> None:
    bench = Exposed(others=3, skips=True)
    assert (await bench.until_exposed()).standing.stage == 1
    bench = Exposed(others=2, skips=True)
    assert (await bench.look()).over
    assert not bench.exposed


@pytest.mark.parametrize("others", [0, 18])
async def test_it_is_taken_out_when_others_go_and_its_share_grows_too_large_and_the_stage_begins_again(others: int) -> None:
    bench = Exposed()
    await bench.until_exposed()
    await bench.look(seconds=50)
    for number in range(others, 19):
        bench.client.objects[PODS.path(NAMESPACE, f"churn-{number}")]["status"]["conditions"] = []
    bench.client.objects = {path: item for path, item in bench.client.objects.items() if item.get("status", {}).get("conditions") != []}
    assert (await bench.look()).reason == "ShareTooSmall"
    assert not bench.exposed
    for number in range(others, 19):
        bench.pod(f"churn-{number}", {"app": "churn"})
    bench.kubelet()
    assert (await bench.until_exposed()).standing.stage == 0
    assert (await bench.look(seconds=50)).standing.stage == 0


async def test_the_service_that_would_send_most_users_there_counts() -> None:
    bench = Exposed()
    bench.service("all", {"app": "churn"})
    bench.service("others", {"app": "other"})
    bench.service("outside", None)
    await bench.until_exposed()
    bench.service("preview", {"sluice.dev/release": "churn-2"})
    assert "100.00% of Service preview, beside 0" in (await bench.look()).message
    assert not bench.exposed


async def test_without_a_service_nobody_would_meet_it_and_that_is_said() -> None:
    bench = Exposed()
    bench.service("churn", {"app": "other"})
    assert "no Service selects" in (await bench.look()).message


def gone(bench: Exposed) -> None:
    del bench.client.objects[bench.candidate_path]


def evicted(bench: Exposed) -> None:
    bench.candidate["metadata"]["deletionTimestamp"] = "2026-11-20T12:00:00Z"


def ended(bench: Exposed) -> None:
    bench.candidate["status"]["containerStatuses"][0] |= {"state": {"terminated": {"exitCode": 1}}, "ready": False}
    bench.condition("ContainersReady", "False")


def restarted(bench: Exposed) -> None:
    bench.candidate["status"]["containerStatuses"][0]["restartCount"] = 1


def unready(bench: Exposed) -> None:
    bench.condition("ContainersReady", "False")


def node_silent(bench: Exposed) -> None:
    bench.condition("Ready", "False")


def alarmed(bench: Exposed) -> None:
    bench.alarm = "monitor refusals: more of them"


def not_held(bench: Exposed) -> None:
    bench.client.objects[DEPLOYMENTS.path(NAMESPACE, "churn")]["metadata"]["annotations"] = {}


def not_permitted(bench: Exposed) -> None:
    bench.deny(Reason.ApprovalMissing)


EVENTS = [
    (gone, CanaryDecision.INCONCLUSIVE, "CandidateLost"),
    (evicted, CanaryDecision.INCONCLUSIVE, "CandidateLost"),
    (ended, CanaryDecision.ROLL_BACK, "CandidateFailed"),
    (restarted, CanaryDecision.ROLL_BACK, "CandidateFailed"),
    (unready, CanaryDecision.INCONCLUSIVE, "CandidateNotReady"),
    (node_silent, CanaryDecision.INCONCLUSIVE, "CandidateNotReady"),
    (alarmed, CanaryDecision.INCONCLUSIVE, "MonitorAlarmed"),
    (not_held, CanaryDecision.INCONCLUSIVE, "NotAskedFor"),
    (not_permitted, CanaryDecision.INCONCLUSIVE, "NotPermitted"),
]


@pytest.mark.parametrize(("happens", "decision", "reason"), EVENTS, ids=lambda item: getattr(item, "__name__", ""))
async def test_it_ends_at_once_and_users_meet_it_no_more(happens: Callable[[Exposed], None], decision: CanaryDecision, reason: str) -> None:
    bench = Exposed()
    await bench.until_exposed()
    happens(bench)
    with pytest.raises(Ending) as raised:
        await bench.look()
    assert (raised.value.decision, raised.value.reason) == (decision, reason)
    assert bench.candidate_path not in bench.client.objects or not bench.exposed


@pytest.mark.parametrize(("happens", "decision", "reason"), EVENTS[2:], ids=lambda item: getattr(item, "__name__", ""))
async def test_why_it_was_taken_out_outlives_the_process_and_what_passes(happens: Callable[[Exposed], None], decision: CanaryDecision, reason: str) -> None:
    bench = Exposed()
    await bench.until_exposed()
    happens(bench)

    def die() -> None:
        raise Killed

    bench.client.after_write = die
    with pytest.raises(Killed):
        await bench.look()
    # All is well again, but nobody knows what users met meanwhile.
    bench.client.after_write = lambda: None
    bench.alarm, bench.denied = "", None
    bench.condition("ContainersReady", "True")
    bench.client.objects[DEPLOYMENTS.path(NAMESPACE, "churn")]["metadata"]["annotations"] = {"sluice.dev/held": "churn-2"}
    bench.kubelet()
    with pytest.raises(Ending) as raised:
        await bench.look()
    assert (raised.value.decision, raised.value.reason) == (decision, reason)
    assert not bench.exposed


async def test_restarts_from_before_are_not_held_against_it_and_one_that_is_not_ready_is_waited_for() -> None:
    bench = Exposed()
    restarted(bench)
    unready(bench)
    assert "is not ready" in (await bench.look()).message
    bench.condition("ContainersReady", "True")
    await bench.until_exposed()
    assert bench.standing.ends == 1


async def test_how_often_it_had_ended_is_written_down_before_users_meet_it() -> None:
    bench = Exposed()
    restarted(bench)
    await bench.look()
    assert (bench.exposed, bench.standing.ends) == (False, 1)
    await bench.until_exposed()
    assert not (await bench.look()).over


async def test_it_takes_no_longer_than_its_stages_and_the_patience_of_the_policy() -> None:
    bench = Exposed(others=18)
    assert not (await bench.look(seconds=3719)).over
    with pytest.raises(Ending) as raised:
        await bench.look(seconds=2)
    assert (raised.value.decision, raised.value.reason) == (CanaryDecision.INCONCLUSIVE, "ExposureTimeOver")


@pytest.mark.parametrize("after", [False, True])
async def test_it_ends_the_same_whenever_the_process_is_killed_around_a_write(after: bool) -> None:
    for kill_at in (1, 2):
        bench = Exposed()
        left = kill_at

        def die() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed

        if after:
            bench.client.after_write = die
        else:
            bench.client.before_write = die
        with pytest.raises(Killed):
            await bench.until_exposed()
        bench.client.after_write = bench.client.before_write = lambda: None
        bench.kubelet()
        await bench.until_exposed()
        assert CLOSED not in bench.client.objects
        await bench.look(seconds=61)
        assert (await bench.look(seconds=61)).over


async def test_while_nothing_can_be_known_nobody_meets_it_and_the_stage_begins_again() -> None:
    bench = Exposed()
    await bench.until_exposed()
    hands = Hands(client=bench.client, judge=bench._judge, router=bench.router)
    paused = await pause(bench.run, bench.standing, hands, why="nothing was heard for 200 s")
    assert not bench.exposed
    assert paused.standing.since is None
    bench.standing = paused.standing
    assert (await bench.until_exposed()).standing.stage == 0


async def test_a_candidate_that_users_met_stays_until_no_service_knows_it() -> None:
    bench = Exposed()
    await bench.until_exposed()
    assert not await drained(bench.candidate, bench.router, message="over", now=bench.now)
    assert not bench.exposed
    since = bench.router.exposure(bench.candidate).since
    assert since is not None
    assert not await drained(bench.candidate, bench.router, message="over", now=since)
    writes = len(bench.client.writes)
    assert await drained(bench.candidate, bench.router, message="over", now=since + timedelta(minutes=1))
    assert len(bench.client.writes) == writes
    never = Exposed()
    assert await drained(never.candidate, never.router, message="over", now=never.now)
    assert never.client.writes == []


async def test_a_pod_of_the_same_name_that_is_somebody_elses_is_not_shown_to_users() -> None:
    bench = Exposed()
    bench.candidate["metadata"]["ownerReferences"] = []
    with pytest.raises(Ending) as raised:
        await bench.look()
    assert raised.value.reason == "NameTaken"
    assert CANDIDATE in bench.candidate_path
    assert not bench.exposed
