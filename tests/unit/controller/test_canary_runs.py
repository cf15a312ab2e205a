"""Which runs are made, what their status says, and that a decision is never made twice or changed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import pytest

from sluice.api.canary import CanaryDecision, CanaryPhase, CanarySpec, CanaryStatus
from sluice.cluster.events import EventRecorder
from sluice.cluster.feed import WorldFeed
from sluice.cluster.resource import CANARY_RUNS, CONFIG_MAPS, DEPLOYMENTS, JOBS, PODS, SERVICES
from sluice.controller.canary import CanaryReconciler
from sluice.controller.canary_exposure import begin, seen_of, standing_of
from sluice.controller.canary_inputs import resolve
from sluice.controller.canary_samples import SampleKeeper
from sluice.controller.canary_start import asked_for, start_runs
from sluice.controller.canary_status import Seen, completed, decision_of, is_complete, status_of_run
from sluice.controller.conditions import Moment
from sluice.controller.observe import Metrics
from sluice.decision.model import Verdict
from sluice.decision.run_reasons import RunReason
from sluice.decision.world import World
from sluice.rollout.canary import Endpoints, Waiting
from sluice.rollout.endings import Ending
from sluice.rollout.exposure import Exposing
from sluice.rollout.exposure import Standing as Exposure
from sluice.rollout.remote_scorers import JudgePods
from sluice.rollout.scoring_job import CasesImage, ScorerImage
from sluice.rollout.statistics_client import StatisticsClient
from sluice.scoring.cases import StatedCases
from sluice.scoring.judgement import Decision, Judgement, Standing
from sluice.scoring.plan import read_plan
from tests.unit.api_memory import MemoryClient
from tests.unit.decision import case as c
from tests.unit.decision.test_monitors import finding, watching
from tests.unit.rollout.canary_bench import Killed

Object = dict[str, Any]
RUN = f"{c.NAME}-1"
AT = c.Key(c.NAMESPACE, RUN)
IMAGE = ScorerImage(reference="registry.example.com/sluice@sha256:" + "1" * 64, controller_namespace="sluice-system")


def verdict_of(world: World) -> Verdict:
    verdict = world.verdict(c.KEY, now=c.NOW)
    assert verdict is not None
    return verdict


def held(release: str = c.NAME, name: str = "churn") -> Object:
    return {"metadata": {"namespace": c.NAMESPACE, "name": name, "uid": "d1", "annotations": {"sluice.dev/held": release}}, "spec": {"template": {}}}


def runs_in(client: MemoryClient) -> list[Object]:
    return [obj for path, obj in client.objects.items() if "/canaryruns/" in path]


async def made(world: World | None = None) -> tuple[MemoryClient, World]:
    """A run that was just made, and a world that has seen it."""
    client, world = MemoryClient(), world or c.canary_world()
    client.put(DEPLOYMENTS, held())
    await start_runs(client, c.KEY, verdict_of(world))
    (run,) = runs_in(client)
    world.put("CanaryRun", run)
    return client, world


# Making runs.


async def test_a_run_is_made_once_a_deployment_is_held_for_the_release() -> None:
    client, world = MemoryClient(), c.canary_world()
    client.put(DEPLOYMENTS, held("another"))
    await start_runs(client, c.KEY, verdict_of(world))
    assert runs_in(client) == []
    client.put(DEPLOYMENTS, held())
    await start_runs(client, c.KEY, verdict_of(world))
    (run,) = runs_in(client)
    spec = CanarySpec.model_validate(run["spec"])
    assert (run["metadata"]["name"], spec.workload.name, spec.release.name, spec.baseline.name) == (RUN, "churn", c.NAME, c.BASELINE)
    assert "ownerReferences" not in run["metadata"], "a release that is deleted and applied again stays rolled back"
    world.put("CanaryRun", run)
    assert [result.run for result in verdict_of(world).open] == [RUN]


async def test_a_run_is_never_made_a_second_time_though_nobody_has_seen_the_first_one_yet() -> None:
    client, world = MemoryClient(), c.canary_world()
    client.put(DEPLOYMENTS, held())

    def die() -> None:
        raise Killed

    client.after_write = die
    with suppress(Killed):
        await start_runs(client, c.KEY, verdict_of(world))
    client.after_write = lambda: None
    for _ in range(3):
        await start_runs(client, c.KEY, verdict_of(world))
    assert len(runs_in(client)) == 1


async def test_other_terms_are_another_run_with_another_seed() -> None:
    client, world = await made()
    world.put("ReleasePolicy", c.canary_policy(c.canary_requirement(margin="0.01")))
    await start_runs(client, c.KEY, verdict_of(world))
    names = [run["metadata"]["name"] for run in runs_in(client)]
    assert names == [RUN, f"{c.NAME}-2"]
    assert len({run["spec"]["seed"] for run in runs_in(client)}) == 2
    old, new = runs_in(client)
    assert not asked_for(old, verdict_of(world).due)
    assert asked_for(new, verdict_of(world).due)


async def test_a_run_pins_the_stages_that_policy_asks_for_as_they_are_written() -> None:
    world = c.canary_world()
    asked = {"exposure": [{"share": "0.050", "for": "90m"}], "onShareTooSmall": "Skip"}
    world.put("ReleasePolicy", c.canary_policy(c.canary_requirement(**asked)))
    client, world = await made(world)
    (run,) = runs_in(client)
    assert {name: run["spec"][name] for name in asked} == asked
    assert asked_for(run, verdict_of(world).due)


async def test_nothing_is_made_for_a_release_that_may_not_be_scored() -> None:
    client = MemoryClient()
    client.put(DEPLOYMENTS, held())
    for world in (c.verified_world(), c.promoted_world()):
        await start_runs(client, c.KEY, verdict_of(world))
    assert runs_in(client) == []


# What a run pins.


async def test_what_a_run_compares_follows_from_its_spec_and_its_suite() -> None:
    client, world = await made()
    run = runs_in(client)[0]
    inputs = await resolve(run, CanarySpec.model_validate(run["spec"]), world, client)
    assert not isinstance(inputs, Waiting)
    assert (inputs.comparison.candidate, inputs.comparison.baseline, str(inputs.comparison.workload)) == (c.NAME, c.BASELINE, "Deployment churn")
    plans = [inputs.comparison.plan(Endpoints(candidate=f"http://10.0.0.{n}:80", baseline="http://10.0.0.9:80")) for n in (1, 1, 2)]
    assert plans[0].digest == plans[1].digest != plans[2].digest
    assert set(inputs.terms.margins) == {"accuracy"}


async def test_there_are_no_more_scorers_than_the_cases_of_the_suite_need() -> None:
    client, world = await made()
    run = runs_in(client)[0]
    assert run["spec"]["shards"] == 7, "planned are 3,000"
    inputs = await resolve(run, CanarySpec.model_validate(run["spec"]), world, client)
    assert not isinstance(inputs, Waiting)
    assert (inputs.terms.planned, inputs.comparison.shards) == (1, 1)


async def test_a_suite_that_became_another_one_ends_the_run() -> None:
    client, world = await made()
    run = runs_in(client)[0]
    world.put("ScoringSuite", c.item("ScoringSuite", "churn-core", c.suite_spec(repeats=2)))
    with pytest.raises(Ending) as raised:
        await resolve(run, CanarySpec.model_validate(run["spec"]), world, client)
    assert (raised.value.decision, raised.value.reason) == (CanaryDecision.INCONCLUSIVE, "SuiteChanged")


async def test_a_case_that_no_scorer_could_ask_ends_the_run_before_a_pod_is_made() -> None:
    world = c.canary_world()
    world.put("ScoringSuite", c.item("ScoringSuite", "churn-core", c.suite_spec(cases={"inline": '{"id": "c-1", "input": {"prompt": "?"}}'})))
    client, world = await made(world)
    run = runs_in(client)[0]
    with pytest.raises(Ending, match="case 'c-1': the Open Inference Protocol needs at least one tensor") as raised:
        await resolve(run, CanarySpec.model_validate(run["spec"]), world, client)
    assert (raised.value.decision, raised.value.reason) == (CanaryDecision.INCONCLUSIVE, "CasesInvalid")


async def test_cases_in_a_config_map_are_those_of_the_digest_or_none() -> None:
    text = c.CASE
    cases = {"configMap": {"name": "cases", "key": "all", "digest": "sha256:" + __import__("hashlib").sha256(text.encode()).hexdigest()}}
    world = c.canary_world()
    world.put("ScoringSuite", c.item("ScoringSuite", "churn-core", c.suite_spec(cases=cases)))
    client, world = await made(world)
    run = runs_in(client)[0]
    spec = CanarySpec.model_validate(run["spec"])
    for data in ({}, {"data": {"all": text + " "}}, {"data": {"all": 7}}):
        client.put(CONFIG_MAPS, {"metadata": {"namespace": c.NAMESPACE, "name": "cases"}, **data})
        waits = await resolve(run, spec, world, client)
        assert isinstance(waits, Waiting)
        assert waits.reason == "CasesNotFound"
    client.put(CONFIG_MAPS, {"metadata": {"namespace": c.NAMESPACE, "name": "cases"}, "data": {"all": text}})
    assert not isinstance(await resolve(run, spec, world, client), Waiting)


async def test_cases_in_an_image_are_planned_by_what_the_suite_says_and_fetched_by_no_process_of_ours() -> None:
    cases = {"oci": {"reference": "registry.example.com/cases@sha256:" + "2" * 64, "digest": "sha256:" + "3" * 64, "count": 250}}
    world = c.canary_world()
    world.put("ScoringSuite", c.item("ScoringSuite", "churn-core", c.suite_spec(cases=cases)))
    client, world = await made(world)
    run = runs_in(client)[0]
    inputs = await resolve(run, CanarySpec.model_validate(run["spec"]), world, client)
    assert not isinstance(inputs, Waiting)
    plan = read_plan(inputs.comparison.plan(Endpoints(candidate="http://10.0.0.1:80", baseline="http://10.0.0.9:80")).text.encode())
    assert (plan.cases_digest, plan.cases_count, plan.planned, inputs.terms.planned) == ("sha256:" + "3" * 64, 250, 250, 250)
    stated = StatedCases(digest=plan.cases_digest, count=250)
    assert inputs.comparison.cases == CasesImage(reference="registry.example.com/cases@sha256:" + "2" * 64, path="cases.jsonl", stated=stated)


def judged_by(digest: str) -> Object:
    judge = {"release": c.BASELINE, "releaseDigest": digest, "port": 9000, "model": "judge", "rubric": "Prefer the kinder one."}
    own = {"image": "registry.example.com/own@sha256:" + "4" * 64}
    scorers = [{"name": "own", "type": "Container", "container": own}, {"name": "helpful", "type": "LLMJudge", "judge": judge}]
    return c.item("ScoringSuite", "churn-core", c.suite_spec(scorers=scorers))


async def test_a_release_that_serves_may_judge_and_containers_are_asked_beside_the_scorer() -> None:
    world = c.canary_world()
    digest = world.releases[c.BASELINE_KEY].digest  # type: ignore[union-attr]
    world.put("ScoringSuite", judged_by(digest))
    client, world = await made(world)
    run = runs_in(client)[0]
    inputs = await resolve(run, CanarySpec.model_validate(run["spec"]), world, client)
    assert not isinstance(inputs, Waiting)
    assert inputs.comparison.judges == (JudgePods(metric="helpful", release=c.BASELINE, port=9000, token=None),)
    at = Endpoints(candidate="http://10.0.0.1:80", baseline="http://10.0.0.9:80", judges=(("helpful", ("http://10.0.0.3:9000",)),))
    plan = read_plan(inputs.comparison.plan(at).text.encode())
    (own,) = inputs.comparison.containers
    assert plan.scorer_endpoints == {"own": [f"http://127.0.0.1:{own.port}"], "helpful": ["http://10.0.0.3:9000"]}
    assert {"lost:own", "lost:helpful", "swapped:helpful", "known:helpful"} <= set(plan.expected(0).metrics)


async def test_a_judge_that_is_another_one_is_waited_for_and_ends_a_run_that_was_under_way() -> None:
    world = c.canary_world()
    world.put("ScoringSuite", judged_by("sha256:" + "0" * 64))
    client, world = await made(world)
    run = runs_in(client)[0]
    spec = CanarySpec.model_validate(run["spec"])
    waits = await resolve(run, spec, world, client)
    assert isinstance(waits, Waiting)
    assert waits.reason == "JudgeNotServing"
    with pytest.raises(Ending, match="has release digest"):
        await resolve(run | {"status": {"startedAt": "2026-11-20T12:00:00Z"}}, spec, world, client)


# The status.


SEEN = Seen(phase=CanaryPhase.SCORING, decision=CanaryDecision.PENDING, reason="Scoring", message="open: accuracy", planned=400, started_at=c.NOW)
STANDING = Standing(metric="accuracy", slice="all", units=120, estimate=-0.01, low=-0.04, high=0.02, promote=3.2, roll_back=0.1, more=80)
JUDGED = Judgement(decision=Decision.PENDING, reason="Scoring", message="open: accuracy", units=120, looks=3, gates={"leaks": 0})


def moment(previous: Mapping[str, Any] | None = None) -> Moment:
    return Moment(previous=previous or {}, generation=1, now=c.NOW + timedelta(minutes=1))


def test_a_status_says_how_far_a_run_is_in_the_words_of_the_api() -> None:
    status = status_of_run(replace(SEEN, judgement=JUDGED, standings=(STANDING,)), moment())
    assert status is not None
    CanaryStatus.model_validate(status)
    assert (status["phase"], status["decision"], status["units"], status["planned"]) == ("Scoring", "Pending", 120, 400)
    assert status["metrics"] == [
        {"name": "accuracy", "slice": "all", "pairs": 120, "estimate": "-0.0100", "interval": ["-0.0400", "0.0200"],
         "evidence": {"promote": "3.2", "rollBack": "0.1"}, "towards": "Promote", "pairsToDecide": 80},
    ]  # fmt: skip
    assert status["startedAt"] == "2026-11-20T12:00:00Z"
    assert "decidedAt" not in status


@pytest.mark.parametrize("final", ["Promote", "RollBack", "Inconclusive"])
def test_a_decision_is_final(final: str) -> None:
    assert status_of_run(SEEN, moment({"decision": final})) is None
    assert status_of_run(replace(SEEN, phase=CanaryPhase.DECIDED, decision=CanaryDecision.PROMOTE), moment({"decision": final})) is None


def test_an_ending_without_statistics_keeps_what_was_counted() -> None:
    before = status_of_run(replace(SEEN, judgement=JUDGED, standings=(STANDING,)), moment())
    assert before is not None
    end = replace(SEEN, phase=CanaryPhase.DECIDED, decision=CanaryDecision.INCONCLUSIVE, reason="TimeOver", started_at=None)
    after = status_of_run(end, moment(before))
    assert after is not None
    assert (after["metrics"], after["startedAt"], after["units"]) == (before["metrics"], before["startedAt"], 120)
    assert after["decidedAt"] == "2026-11-20T12:01:00Z"


def test_a_run_of_which_nothing_is_left_says_so_and_nothing_else_changes() -> None:
    decided = status_of_run(replace(SEEN, phase=CanaryPhase.DECIDED, decision=CanaryDecision.PROMOTE), moment())
    assert decided is not None
    assert not is_complete({"status": decided})
    complete = completed(moment(decided))
    assert complete is not None
    assert is_complete({"status": complete})
    assert {name: value for name, value in complete.items() if name != "conditions"} == {name: value for name, value in decided.items() if name != "conditions"}
    assert completed(moment()) is None


def test_a_live_share_keeps_what_the_comparison_came_to() -> None:
    compared = replace(SEEN, judgement=JUDGED, standings=(STANDING,), decision=CanaryDecision.PROMOTE)
    status = status_of_run(begin(compared, now=c.NOW), moment())
    assert status is not None
    assert (status["phase"], status["decision"], status["exposure"]["startedAt"]) == ("Exposing", "Pending", "2026-11-20T12:00:00Z")
    standing = Exposure(started_at=c.NOW, stage=1, since=c.NOW + timedelta(seconds=5), ends=2, share=Decimal("0.05"), pods=1)
    later = status_of_run(seen_of(Exposing(standing=standing, reason=RunReason.Exposing, message="stage 2")), moment(status))
    assert later is not None
    CanaryStatus.model_validate(later)
    assert {name: later[name] for name in ("metrics", "units", "planned", "startedAt")} == {
        name: status[name] for name in ("metrics", "units", "planned", "startedAt")
    }
    assert standing_of({"status": later}) == replace(standing, share=Decimal(0), pods=0), "what is counted anew at each look is not believed"
    lost = Seen(phase=CanaryPhase.DECIDED, decision=CanaryDecision.INCONCLUSIVE, reason="CandidateLost", message="it is gone")
    ended = status_of_run(lost, moment(later))
    assert ended is not None
    assert ended["exposure"] == later["exposure"]


# The reconciler.


class Feed:
    """What the reconciler asks of a feed."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.why = ""

    def blind(self, *, max_age_seconds: float) -> str:
        assert max_age_seconds == 90
        return self.why


def reconciler(client: MemoryClient, feed: Feed, *, image: ScorerImage | None = IMAGE, metrics: Metrics | None = None) -> CanaryReconciler:
    events = EventRecorder(client, controller="sluice.dev/controller", instance="test")
    return CanaryReconciler(
        client=client,
        feed=cast("WorldFeed", feed),
        events=events,
        scorers=StatisticsClient(),
        image=image,
        start_seconds=600,
        max_age_seconds=90,
        metrics=(metrics or Metrics(leads=lambda: True)).canaries,
        key=c.controller_key,
        samples=SampleKeeper(client=client, scorers=StatisticsClient(), events=events, repository=None),
    )


def stored(client: MemoryClient) -> Object:
    return client.objects[CANARY_RUNS.path(c.NAMESPACE, RUN)]


async def test_a_run_that_cannot_begin_says_what_it_waits_for() -> None:
    client, world = await made()
    feed = Feed(world)
    assert await reconciler(client, feed, image=None).settle(AT) == 5.0
    assert stored(client)["status"]["reason"] == "ScorerImageMissing"
    feed.why = "it last heard from the API server 200 s ago"
    assert await reconciler(client, feed).settle(AT) == 5.0
    assert stored(client)["status"]["reason"] == "NotReady"
    feed.why = ""
    del client.objects[DEPLOYMENTS.path(c.NAMESPACE, "churn")]
    await reconciler(client, feed).settle(AT)
    assert (stored(client)["status"]["phase"], stored(client)["status"]["reason"]) == ("Pending", "WorkloadNotHeld")
    assert [path for verb, path in client.writes if "/pods/" in path] == []


async def test_a_run_that_nobody_asks_for_any_more_ends_and_leaves_nothing() -> None:
    client, world = await made()
    client.put(PODS, {"metadata": {"namespace": c.NAMESPACE, "name": f"{RUN}-candidate", "uid": "p1", "ownerReferences": [owner(client)]}})
    world.put("ReleasePolicy", c.canary_policy(c.canary_requirement(margin="0.01")))
    metrics = Metrics(leads=lambda: True)
    looks = reconciler(client, Feed(world), metrics=metrics)
    assert await looks.settle(AT) == 0.0
    assert b'sluice_canary_decisions_total{decision="Inconclusive",reason="NotAskedFor",release_namespace="payments"} 1.0' in metrics.render()
    assert (stored(client)["status"]["decision"], stored(client)["status"]["reason"]) == ("Inconclusive", "NotAskedFor")
    assert await looks.settle(AT) == 1.0
    assert b'sluice_canary_runs{phase="Decided",release_namespace="payments"} 1.0' in metrics.render()
    assert await looks.settle(AT) is None
    assert is_complete(stored(client))
    assert b"sluice_canary_runs{" not in metrics.render()
    assert b'sluice_canary_cleanup_duration_seconds_count{decision="Inconclusive"} 1.0' in metrics.render()
    assert PODS.path(c.NAMESPACE, f"{RUN}-candidate") not in client.objects
    writes = len(client.writes)
    assert await looks.settle(AT) is None
    assert len(client.writes) == writes


def owner(client: MemoryClient) -> Object:
    return {"uid": stored(client)["metadata"]["uid"], "controller": True}


async def exposing() -> tuple[MemoryClient, World]:
    """A run whose comparison was good, and whose candidate serves one of two users."""
    world = c.canary_world()
    world.put("ReleasePolicy", c.canary_policy(c.canary_requirement(exposure=[{"share": "0.5", "for": "10m"}])))
    client, world = await made(world)
    run = stored(client)
    compared = replace(SEEN, judgement=JUDGED, standings=(STANDING,), decision=CanaryDecision.PROMOTE)
    run["status"] = status_of_run(begin(compared, now=datetime.now(UTC)), moment())
    run["metadata"] |= {"generation": 1}
    labels = {"app": "churn", "sluice.dev/release": c.NAME, "sluice.dev/canary-run": RUN, "sluice.dev/canary-role": "candidate"}
    spec = {"serviceAccountName": "churn", "containers": [{"name": "server", "image": f"registry.example.com/server@{c.SERVER}"}]}
    for name, mine, owners in ((f"{RUN}-candidate", labels, [owner(client)]), ("churn-0", {"app": "churn"}, [])):
        meta = {"namespace": c.NAMESPACE, "name": name, "uid": name, "resourceVersion": "1", "labels": mine, "ownerReferences": owners}
        conditions = [{"type": type_, "status": "True", "lastTransitionTime": "2026-11-20T12:00:00Z"} for type_ in ("PodScheduled", "ContainersReady", "Ready")]
        status = {"phase": "Running", "podIP": "10.0.0.7", "conditions": conditions}
        client.put(PODS, {"kind": "Pod", "metadata": meta, "spec": spec, "status": status})
    client.put(SERVICES, {"metadata": {"namespace": c.NAMESPACE, "name": "churn"}, "spec": {"selector": {"app": "churn"}}})
    left = {"metadata": {"namespace": c.NAMESPACE, "name": f"{RUN}-scorer", "uid": "j1", "ownerReferences": [owner(client)]}}
    client.put(JOBS, left)
    return client, world


def serving(client: MemoryClient) -> str:
    conditions = client.objects[PODS.path(c.NAMESPACE, f"{RUN}-candidate")]["status"]["conditions"]
    return next((item["status"] for item in conditions if item["type"] == "sluice.dev/serving"), "")


async def test_a_live_share_goes_on_without_the_comparison_and_asks_no_scorer() -> None:
    client, world = await exposing()
    looks = reconciler(client, Feed(world), image=None)
    assert await looks.settle(AT) == 1.0
    assert (serving(client), stored(client)["status"]["phase"]) == ("True", "Exposing")
    assert JOBS.path(c.NAMESPACE, f"{RUN}-scorer") not in client.objects
    await looks.settle(AT)
    assert stored(client)["status"]["exposure"] | {"since": "", "startedAt": ""} == {
        "stage": 0,
        "pods": 1,
        "share": "0.5000",
        "ends": 0,
        "since": "",
        "startedAt": "",
    }
    assert stored(client)["status"]["units"] == 120


async def test_a_live_share_ends_when_a_monitor_finds_something_and_when_nobody_asks_for_it() -> None:
    client, world = await exposing()
    looks = reconciler(client, Feed(world))
    await looks.settle(AT)
    world.put("ReleaseMonitor", watching("m-1", finding("Alert")))
    assert await looks.settle(AT) == 0.0
    assert (serving(client), stored(client)["status"]["decision"], stored(client)["status"]["reason"]) == ("False", "Inconclusive", "MonitorAlarmed")
    client, world = await exposing()
    looks = reconciler(client, Feed(world))
    await looks.settle(AT)
    world.put("ReleasePolicy", c.canary_policy(c.canary_requirement(exposure=[{"share": "0.4", "for": "10m"}])))
    assert await looks.settle(AT) == 0.0
    assert (serving(client), stored(client)["status"]["reason"]) == ("False", "NotAskedFor")


async def test_a_controller_that_is_blind_shows_the_candidate_to_nobody_and_goes_on_when_it_sees() -> None:
    client, world = await exposing()
    feed = Feed(world)
    looks = reconciler(client, feed)
    await looks.settle(AT)
    feed.why = "it last heard from the API server 200 s ago"
    await looks.settle(AT)
    assert (serving(client), stored(client)["status"]["phase"]) == ("False", "Exposing")
    feed.why = ""
    await looks.settle(AT)
    assert serving(client) == "True"


async def test_a_release_that_is_gone_ends_its_run() -> None:
    client, world = await made()
    world.remove("ModelRelease", c.KEY)
    await reconciler(client, Feed(world)).settle(AT)
    assert (stored(client)["status"]["decision"], stored(client)["status"]["reason"]) == ("Inconclusive", "ReleaseGone")


async def test_a_run_that_is_gone_is_no_error() -> None:
    client, world = await made()
    del client.objects[CANARY_RUNS.path(c.NAMESPACE, RUN)]
    assert await reconciler(client, Feed(world)).settle(AT) is None


def test_a_status_that_cannot_be_read_has_not_decided() -> None:
    assert decision_of({"status": {"decision": "Maybe"}}) is CanaryDecision.PENDING
    assert decision_of({}) is CanaryDecision.PENDING
