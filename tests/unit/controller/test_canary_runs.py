"""What the status of a run says, and that a decision is never made twice or changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import pytest

from sluice.api.canary import CanaryDecision, CanaryPhase, CanaryStatus
from sluice.cluster.errors import ApiError, Forbidden, WebhookSilent
from sluice.cluster.events import EventRecorder
from sluice.cluster.feed import WorldFeed
from sluice.cluster.resource import CANARY_RUNS, DEPLOYMENTS, JOBS, PODS, SERVICES
from sluice.controller.canary import CanaryReconciler
from sluice.controller.canary_exposure import begin, seen_of, standing_of
from sluice.controller.canary_samples import SampleKeeper
from sluice.controller.canary_status import Seen, completed, decision_of, is_complete, status_of_run
from sluice.controller.conditions import Moment
from sluice.controller.observe import Metrics
from sluice.decision.run_reasons import RunReason
from sluice.decision.world import World
from sluice.rollout.exposure import Exposing
from sluice.rollout.exposure import Standing as Exposure
from sluice.rollout.scoring_job import ScorerImage
from sluice.rollout.statistics_client import StatisticsClient
from sluice.scoring.judgement import Decision, Judgement, Standing
from sluice.scoring.tally import MissingAnswers
from tests.unit.api_memory import MemoryClient
from tests.unit.controller.canary_made import RUN, Object, made
from tests.unit.decision import case as c
from tests.unit.decision.test_monitors import finding, watching

AT = c.Key(c.NAMESPACE, RUN)
IMAGE = ScorerImage(reference="registry.example.com/sluice@sha256:" + "1" * 64, controller_namespace="sluice-system")


# The status.


SEEN = Seen(phase=CanaryPhase.SCORING, decision=CanaryDecision.PENDING, reason="Scoring", message="open: accuracy", planned=400, started_at=c.NOW)
STANDING = Standing(metric="accuracy", slice="all", units=120, estimate=-0.01, low=-0.04, high=0.02, promote=3.2, roll_back=0.1, more=80)
JUDGED = Judgement(decision=Decision.PENDING, reason="Scoring", message="open: accuracy", units=120, looks=3, gates={"leaks": 0})

SILENT = MissingAnswers(side="candidate", asked=120, missing=3, first="answered 404: no such model")


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


def test_a_status_says_who_did_not_answer_and_why() -> None:
    status = status_of_run(replace(SEEN, judgement=JUDGED, missing=(SILENT,)), moment())
    assert status is not None
    CanaryStatus.model_validate(status)
    assert status["missingAnswers"] == [{"side": "candidate", "asked": 120, "missing": 3, "first": "answered 404: no such model"}]


def test_an_ending_without_statistics_keeps_what_was_counted() -> None:
    before = status_of_run(replace(SEEN, judgement=JUDGED, standings=(STANDING,), missing=(SILENT,)), moment())
    assert before is not None
    end = replace(SEEN, phase=CanaryPhase.DECIDED, decision=CanaryDecision.INCONCLUSIVE, reason="TimeOver", started_at=None)
    after = status_of_run(end, moment(before))
    assert after is not None
    assert (after["metrics"], after["startedAt"], after["units"]) == (before["metrics"], before["startedAt"], 120)
    assert after["missingAnswers"] == before["missingAnswers"]
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
        samples=SampleKeeper(client=client, scorers=StatisticsClient(), events=events, place=None),
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


@pytest.mark.parametrize("refusal", [Forbidden(403, "Forbidden", "exceeded quota"), WebhookSilent(500, "InternalError", "mjob.kb.io does not answer")])
async def test_a_refusal_of_the_cluster_is_told_and_tried_again(monkeypatch: pytest.MonkeyPatch, refusal: ApiError) -> None:
    async def refused(*_: object, **__: object) -> None:
        raise refusal

    client, world = await made()
    monkeypatch.setattr("sluice.controller.canary.advance", refused)
    assert await reconciler(client, Feed(world)).settle(AT) == 5.0
    status = stored(client)["status"]
    assert (status["phase"], status["reason"]) == ("Pending", "RefusedByCluster")
    assert refusal.message in status["message"]


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
