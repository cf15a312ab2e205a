"""A canary run step by step, killed between any two requests, and every way in which it ends without statistics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from sluice.api.canary import CanaryDecision
from sluice.cluster.resource import CONFIG_MAPS, DEPLOYMENTS, JOBS, PODS, REPLICA_SETS
from sluice.decision.gate import Action
from sluice.decision.reasons import Reason
from sluice.rollout.comparison import Endpoints, Plan, Scoring, Starting, Waiting
from sluice.rollout.endings import Ending
from sluice.rollout.readings import Readings
from sluice.rollout.remote_scorers import JudgePods
from tests.unit.rollout.canary_bench import ALLOW, NAMESPACE, NOW, Bench, Killed

MADE = {
    "Pod churn-2-1-candidate", "Pod churn-2-1-baseline", "ConfigMap churn-2-1-plan", "NetworkPolicy churn-2-1-scorer", "NetworkPolicy churn-2-1-models",
    "Job churn-2-1-scorer",
}  # fmt: skip
CANDIDATE, BASELINE = "churn-2-1-candidate", "churn-2-1-baseline"
LATE = NOW + timedelta(seconds=601)


async def test_a_run_makes_two_pods_then_scorers_and_reads_what_they_say() -> None:
    bench = Bench()
    bench.scorers.difference = -300
    first = await bench.step()
    assert isinstance(first, Starting)
    assert bench.names == MADE - {"ConfigMap churn-2-1-plan", "Job churn-2-1-scorer"}
    made = [path for verb, path in bench.client.writes if verb == "create"]
    assert "networkpolicies" in made[1], "who may talk to a Pod is settled before it is there"
    assert "/pods/" in made[2]
    second = await bench.step()
    assert isinstance(second, Starting)
    assert bench.names == MADE
    scoring = await bench.step()
    assert isinstance(scoring, Scoring)
    assert [look.tallies["accuracy"]["all"] for look in scoring.merged.looks] == [{-300: 10_000}, {-300: 10_000}]
    assert scoring.merged.finished


async def test_only_scheduling_gates_are_lifted_so_that_no_service_sends_users_there() -> None:
    bench = Bench()
    await bench.until_scoring()
    for name in (CANDIDATE, BASELINE):
        pod = bench.pod(name)
        assert pod["spec"]["schedulingGates"] == []
        assert pod["spec"]["readinessGates"] == [{"conditionType": "sluice.dev/serving"}]
        assert "sluice.dev/serving" not in [item["type"] for item in pod["status"]["conditions"]]


async def test_the_deployment_is_never_written() -> None:
    bench = Bench()
    await bench.until_scoring()
    await bench.tidy()
    assert not [path for _, path in bench.client.writes if "/deployments/" in path or "/replicasets/" in path]


@pytest.mark.parametrize("after", [False, True])
async def test_a_run_ends_the_same_whenever_the_process_is_killed_around_a_write(after: bool) -> None:
    whole = Bench()
    expected = await whole.until_scoring()
    writes = len(whole.client.writes)
    assert writes >= 8
    for kill_at in range(1, writes + 1):
        bench = Bench()
        made = 0

        def die(kill_at: int = kill_at) -> None:
            nonlocal made
            made += 1
            if made == kill_at:
                raise Killed

        if after:
            bench.client.after_write = die
        else:
            bench.client.before_write = die
        with pytest.raises(Killed):
            await bench.until_scoring()
        bench.client.after_write = bench.client.before_write = lambda: None
        bench.readings = Readings()
        bench.kubelet()
        again = await bench.until_scoring()
        assert again == expected, f"killed around write {kill_at}"
        assert bench.names == MADE
        assert [verb for verb, path in bench.client.writes if verb == "create"].count("create") <= writes + 1


async def test_tidying_up_ends_the_same_whenever_it_is_killed_and_takes_nothing_but_its_own() -> None:
    for kill_at in range(1, 7):
        bench = Bench()
        await bench.until_scoring()
        left = kill_at

        def die() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed

        bench.client.after_write = die
        with pytest.raises(Killed):
            await bench.tidy()
        bench.client.after_write = lambda: None
        assert (await bench.tidy()) is (kill_at == 6)
        assert await bench.tidy()
        assert bench.names == set()
        assert DEPLOYMENTS.path(NAMESPACE, "churn") in bench.client.objects
        first = next(path for verb, path in bench.client.writes if verb == "delete")
        assert first.endswith(f"/{CANDIDATE}"), "the candidate goes first"


async def test_what_has_our_name_but_another_owner_is_not_touched() -> None:
    bench = Bench()
    foreign = {"kind": "Job", "metadata": {"namespace": NAMESPACE, "name": "churn-2-1-scorer", "uid": "j9"}, "spec": {"completions": 0}}
    path = bench.client.put(JOBS, foreign)
    assert (await ending(bench)).reason == "NameTaken"
    assert await bench.tidy()
    assert bench.client.objects[path] == foreign


async def test_a_statement_that_was_read_stands_when_its_shard_is_scored_again() -> None:
    bench = Bench()
    bench.scorers.difference, bench.scorers.looks = -1000, 1
    bench.scorers.gates = {"leaks": 1}
    await bench.until_scoring()
    bench.scorers.difference, bench.scorers.looks, bench.scorers.gates = 1000, 2, {}
    again = await bench.step()
    assert isinstance(again, Scoring)
    assert [look.tallies["accuracy"]["all"] for look in again.merged.looks] == [{-1000: 10_000}, {1000: 10_000}]
    assert again.merged.gates == {"leaks": 2}


async def test_a_pod_that_goes_before_the_first_question_is_made_again() -> None:
    for gone in (CANDIDATE, BASELINE):
        bench = Bench()
        bench.broken = {gone}
        await bench.step()
        del bench.client.objects[PODS.path(NAMESPACE, gone)]
        bench.broken = set()
        await bench.until_scoring()
        assert bench.names == MADE


async def test_a_pod_that_was_ended_gives_its_name_to_another() -> None:
    bench = Bench()
    await bench.step()
    bench.pod(CANDIDATE)["status"]["phase"] = "Failed"
    uid = bench.pod(CANDIDATE)["metadata"]["uid"]
    await bench.until_scoring()
    assert bench.pod(CANDIDATE)["metadata"]["uid"] != uid


async def test_a_plan_for_an_address_that_changed_before_the_job_was_made_is_replaced() -> None:
    bench = Bench()
    await bench.step()
    stale = {"namespace": NAMESPACE, "name": "churn-2-1-plan", "uid": "c9", "ownerReferences": [{"uid": "run-1", "controller": True}]}
    bench.client.put(CONFIG_MAPS, {"kind": "ConfigMap", "metadata": stale, "data": {"plan.json": "another", "cases.jsonl": ""}})
    await bench.until_scoring()
    stored = bench.client.objects[CONFIG_MAPS.path(NAMESPACE, "churn-2-1-plan")]
    assert stored["data"]["plan.json"] == "http://10.0.0.10:8080 http://10.0.0.11:8080"


async def test_nothing_is_made_while_the_deployment_is_not_held_or_no_template_names_the_baseline() -> None:
    bench = Bench()
    bench.client.objects[DEPLOYMENTS.path(NAMESPACE, "churn")]["metadata"]["annotations"] = {}
    waits = await bench.step()
    assert isinstance(waits, Waiting)
    assert waits.reason == "WorkloadNotHeld"
    bench = Bench()
    del bench.client.objects[REPLICA_SETS.path(NAMESPACE, "churn-old")]
    waits = await bench.step()
    assert isinstance(waits, Waiting)
    assert waits.reason == "BaselineNotRunning"
    assert bench.client.writes == []


@pytest.mark.parametrize("release", ["churn-1", "churn-2"])
async def test_neither_a_candidate_nor_a_baseline_starts_that_may_not(release: str) -> None:
    bench = Bench()
    bench.denied[release] = replace(ALLOW, action=Action.DENY, reason=Reason.ImageNotInRelease)
    waits = await bench.step()
    assert isinstance(waits, Waiting)
    assert waits.reason == "ImageNotInRelease"
    assert bench.names == set()


@pytest.mark.parametrize("release", ["churn-1", "churn-2"])
async def test_a_run_ends_when_one_side_may_not_run_any_more_and_goes_on_while_we_are_only_blind(release: str) -> None:
    bench = Bench()
    await bench.until_scoring()
    bench.denied[release] = replace(ALLOW, action=Action.HOLD, reason=Reason.NotReady)
    assert isinstance(await bench.step(), Scoring)
    bench.denied[release] = replace(ALLOW, action=Action.HOLD, reason=Reason.ApprovalMissing)
    end = await ending(bench)
    assert (end.decision, end.reason) == (CanaryDecision.INCONCLUSIVE, "NotPermitted")


def lost(name: str) -> Callable[[Bench], None]:
    def lose(bench: Bench) -> None:
        del bench.client.objects[PODS.path(NAMESPACE, name)]

    return lose


def crashing(name: str) -> Callable[[Bench], None]:
    def crash(bench: Bench) -> None:
        status = bench.pod(name)["status"]
        status["containerStatuses"] = [{"name": "server", "restartCount": 4, "ready": False}]
        status["conditions"][1]["status"] = "False"

    return crash


def moved(bench: Bench) -> None:
    bench.pod(CANDIDATE)["status"]["podIP"] = "10.0.0.99"


def job_failed(bench: Bench) -> None:
    bench.job["status"] = {"conditions": [{"type": "Failed", "status": "True", "reason": "FailedIndexes", "message": "1 of 2"}]}


def refused(bench: Bench) -> None:
    terminated = {"exitCode": 65, "message": "INFO something else\nline 3: id 'c-1' is there twice"}
    bench.pod("churn-2-1-scorer-1-abcde")["status"] = {"phase": "Failed", "containerStatuses": [{"name": "scorer", "state": {"terminated": terminated}}]}
    job_failed(bench)


def job_deleted(bench: Bench) -> None:
    del bench.client.objects[JOBS.path(NAMESPACE, "churn-2-1-scorer")]
    bench.run["status"] = {"startedAt": "2026-11-20T12:00:00Z"}


@pytest.mark.parametrize(
    ("happens", "decision", "reason"),
    [
        (lost(CANDIDATE), CanaryDecision.INCONCLUSIVE, "CandidateLost"),
        (lost(BASELINE), CanaryDecision.INCONCLUSIVE, "BaselineLost"),
        (crashing(CANDIDATE), CanaryDecision.ROLL_BACK, "CandidateDoesNotStart"),
        (crashing(BASELINE), CanaryDecision.INCONCLUSIVE, "BaselineDoesNotStart"),
        (moved, CanaryDecision.INCONCLUSIVE, "StatisticsRefused"),
        (job_failed, CanaryDecision.INCONCLUSIVE, "ScoringFailed"),
        (job_deleted, CanaryDecision.INCONCLUSIVE, "ScoringFailed"),
        (refused, CanaryDecision.INCONCLUSIVE, "CasesInvalid"),
    ],
)
async def test_a_comparison_that_is_disturbed_ends_and_starts_not_over(happens: Callable[[Bench], None], decision: CanaryDecision, reason: str) -> None:
    bench = Bench()
    await bench.until_scoring()
    happens(bench)
    end = await ending(bench)
    assert (end.decision, end.reason) == (decision, reason)


async def test_the_judges_of_a_run_are_those_that_its_job_was_made_with() -> None:
    bench = Bench()
    bench.comparison = bench.comparing(judges=[JudgePods(metric="helpful", release="judge-1", port=9000, token=None)])
    asked: list[Endpoints] = []

    def plan(endpoints: Endpoints) -> Plan:
        asked.append(endpoints)
        return bench.plan(replace(endpoints, judges=()))

    bench.comparison = replace(bench.comparison, plan=plan)
    for _ in range(4):
        assert isinstance(await bench.step(), Starting)
    assert JOBS.path(NAMESPACE, "churn-2-1-scorer") not in bench.client.objects, "nobody was there to judge"
    judge = {"metadata": {"namespace": NAMESPACE, "name": "judge-a", "uid": "u", "labels": {"sluice.dev/release": "judge-1"}, "creationTimestamp": "1"}}
    conditions = [{"type": name, "status": "True", "lastTransitionTime": "2026-11-20T12:00:00Z"} for name in ("PodScheduled", "ContainersReady", "Ready")]
    bench.client.put(PODS, judge | {"spec": {}, "status": {"phase": "Running", "podIP": "10.0.5.1", "conditions": conditions}})
    await bench.until_scoring()
    del bench.client.objects[PODS.path(NAMESPACE, "judge-a")]
    await bench.until_scoring()
    assert {endpoints.judges for endpoints in asked} == {(("helpful", ("http://10.0.5.1:9000",)),)}


async def test_what_a_scorer_refuses_is_told_in_its_own_words() -> None:
    bench = Bench()
    await bench.until_scoring()
    refused(bench)
    assert str(await ending(bench)) == "the scorer refuses its plan or its cases: line 3: id 'c-1' is there twice"


@pytest.mark.parametrize(
    ("broken", "decision", "reason"),
    [
        ({CANDIDATE}, CanaryDecision.ROLL_BACK, "CandidateDoesNotStart"),
        ({BASELINE}, CanaryDecision.INCONCLUSIVE, "BaselineDoesNotStart"),
        ({CANDIDATE, BASELINE}, CanaryDecision.INCONCLUSIVE, "BaselineDoesNotStart"),
    ],
)
async def test_a_candidate_that_does_not_start_is_blamed_only_where_its_baseline_does(broken: set[str], decision: CanaryDecision, reason: str) -> None:
    bench = Bench()
    bench.broken = broken
    for _ in range(3):
        assert isinstance(await bench.step(), Starting)
    with pytest.raises(Ending) as raised:
        await bench.step(now=LATE)
    assert (raised.value.decision, raised.value.reason) == (decision, reason)


async def test_a_candidate_that_no_node_takes_is_not_rolled_back() -> None:
    bench = Bench()
    await bench.step()
    bench.pod(CANDIDATE)["status"]["conditions"] = [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "lastTransitionTime": "2026-11-20T12:00:00Z"}
    ]
    with pytest.raises(Ending) as raised:
        await bench.step(now=LATE)
    assert (raised.value.decision, raised.value.reason) == (CanaryDecision.INCONCLUSIVE, "CandidateNotScheduled")


async def test_time_that_a_pod_spent_behind_our_gate_is_not_held_against_it() -> None:
    bench = Bench()
    bench.denied["churn-2"] = bench.denied["churn-1"] = replace(ALLOW, action=Action.HOLD, reason=Reason.NotReady)
    bench.denied.clear()
    bench.client.before_write = lambda: None
    await bench.step()
    for name in (CANDIDATE, BASELINE):
        bench.pod(name)["status"]["conditions"] = [
            {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "lastTransitionTime": "2026-11-20T12:00:00Z"}
        ]
    assert isinstance(await bench.step(now=LATE), Starting)


async def test_scoring_ends_when_its_time_is_over() -> None:
    bench = Bench()
    await bench.until_scoring()
    assert isinstance(await bench.step(now=NOW + timedelta(seconds=3599)), Scoring)
    with pytest.raises(Ending) as raised:
        await bench.step(now=NOW + timedelta(seconds=3601))
    assert (raised.value.decision, raised.value.reason) == (CanaryDecision.INCONCLUSIVE, "TimeOver")


async def test_pods_that_serve_may_be_the_baseline_and_the_same_one_to_the_end() -> None:
    bench = Bench()
    bench.comparison = bench.comparing(own_baseline=False)
    waits = await bench.step()
    assert isinstance(waits, Waiting)
    assert waits.reason == "BaselineNotRunning"
    serve(bench, "churn-a", "2026-11-02T00:00:00Z", "10.0.2.1")
    serve(bench, "churn-b", "2026-11-01T00:00:00Z", "10.0.2.2")
    await bench.until_scoring()
    assert f"Pod {BASELINE}" not in bench.names
    assert "http://10.0.2.2:8080" in bench.client.objects[CONFIG_MAPS.path(NAMESPACE, "churn-2-1-plan")]["data"]["plan.json"]
    del bench.client.objects[PODS.path(NAMESPACE, "churn-b")]
    assert (await ending(bench)).reason == "BaselineLost"


def serve(bench: Bench, name: str, made: str, address: str) -> None:
    labels = {"app": "churn", "sluice.dev/release": "churn-1"}
    conditions = [{"type": type_, "status": "True", "lastTransitionTime": made} for type_ in ("PodScheduled", "ContainersReady", "Ready")]
    meta = {"namespace": NAMESPACE, "name": name, "uid": name, "resourceVersion": "1", "creationTimestamp": made, "labels": labels}
    bench.client.put(PODS, {"metadata": meta, "spec": {"containers": []}, "status": {"phase": "Running", "podIP": address, "conditions": conditions}})


async def ending(bench: Bench) -> Ending:
    for _ in range(4):
        try:
            await bench.step()
        except Ending as end:
            return end
    raise AssertionError("the run goes on")
