"""Lifting and resuming: only what is entitled, only what was judged, and nothing twice."""

from __future__ import annotations

import tracemalloc
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from sluice.cluster.events import EventRecorder
from sluice.cluster.resource import DEPLOYMENTS, EVENTS, PODS
from sluice.decision.gate import Action, Decision
from sluice.decision.pod import PodView
from sluice.decision.reasons import Reason
from sluice.rollout.actuation import Actuation, Announcer, Settled
from sluice.rollout.owners import releases_of, settle_deployment
from sluice.rollout.pods import settle_pod
from tests.unit.api_memory import MemoryClient

Object = dict[str, Any]
ALLOW = Decision(action=Action.ALLOW, reason=Reason.Entitled, message="may serve")
HOLD = Decision(action=Action.HOLD, reason=Reason.ApprovalMissing, message="waits", remedy="ask security")
DENY = Decision(action=Action.DENY, reason=Reason.ImageNotInRelease, message="foreign image")
OTHER_GATE, GATE = {"name": "example.com/quota"}, {"name": "sluice.dev/release"}
READY = {"type": "Initialized", "status": "True"}
SERVING = {"type": "sluice.dev/serving", "status": "True"}


def pod(*, gated: bool = True, **metadata: object) -> Object:
    meta: Object = {"namespace": "payments", "name": "churn-1", "uid": "u1", "resourceVersion": "7", "labels": {"sluice.dev/release": "churn-2"}}
    spec: Object = {"containers": [{"name": "server", "image": "x"}], "readinessGates": [{"conditionType": "sluice.dev/serving"}]}
    if gated:
        spec["schedulingGates"] = [OTHER_GATE, GATE]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta | metadata, "spec": spec, "status": {"phase": "Pending", "conditions": [READY]}}


def deployment(*, held: str | None = "churn-2", paused: bool | None = True) -> Object:
    annotations = {"note": "kept"} | ({} if held is None else {"sluice.dev/held": held})
    template = {"metadata": {"labels": {"sluice.dev/release": "churn-2"}}, "spec": {"containers": [{"name": "server", "image": "x"}]}}
    spec = {"replicas": 2, "template": template} | ({} if paused is None else {"paused": paused})
    meta = {"namespace": "payments", "name": "churn", "uid": "d1", "resourceVersion": "3", "annotations": annotations}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}


class Bench:
    """A server, a judge who always says the same, and what people heard."""

    def __init__(self, decision: Decision) -> None:
        self.client = MemoryClient()
        self.asked: list[PodView] = []
        self._decision = decision
        events = EventRecorder(self.client, controller="sluice.dev/controller", instance="test")
        self.tools = Actuation(client=self.client, judge=self._judge, announcer=Announcer(events))

    def _judge(self, view: PodView, namespace: str) -> Decision:
        assert namespace == "payments"
        self.asked.append(view)
        return self._decision

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(obj["reason"], obj["action"]) for path, obj in self.client.objects.items() if path.startswith(EVENTS.path("payments"))]

    @property
    def changes(self) -> list[tuple[str, str]]:
        return [(verb, path) for verb, path in self.client.writes if verb != "create"]


async def test_an_entitled_pod_loses_our_gate_only_and_its_condition_is_set_beside_the_others() -> None:
    bench = Bench(ALLOW)
    path = bench.client.put(PODS, pod())
    assert await settle_pod(pod(), bench.tools) is Settled.DONE
    stored = bench.client.objects[path]
    assert stored["spec"]["schedulingGates"] == [OTHER_GATE]
    conditions = {item["type"]: item["status"] for item in stored["status"]["conditions"]}
    assert conditions == {"Initialized": "True", "sluice.dev/serving": "True"}
    # The condition first: a Pod whose gate is off may be ready at once.
    assert [verb for verb, _ in bench.changes] == ["apply", "patch"]
    assert bench.told == [("Entitled", "Lift")]


async def test_a_second_look_at_a_lifted_pod_writes_nothing_and_asks_nobody() -> None:
    bench = Bench(ALLOW)
    path = bench.client.put(PODS, pod())
    await settle_pod(pod(), bench.tools)
    bench.client.writes.clear()
    bench.asked.clear()
    bench.client.objects[path]["spec"]["schedulingGates"] = []
    assert await settle_pod(bench.client.objects[path], bench.tools) is Settled.DONE
    assert (bench.client.writes, bench.asked) == ([], [])


@pytest.mark.parametrize("decision", [HOLD, DENY])
async def test_a_pod_that_is_not_entitled_is_left_as_it_is_and_told_once(decision: Decision) -> None:
    bench = Bench(decision)
    path = bench.client.put(PODS, pod())
    for _ in range(3):
        assert await settle_pod(pod(), bench.tools) is Settled.WAITING
    assert bench.changes == []
    assert bench.client.objects[path] == pod()
    assert bench.told == [(str(decision.reason), str(decision.action))]


async def test_a_pod_is_told_again_when_the_answer_is_another() -> None:
    bench = Bench(HOLD)
    await settle_pod(pod(), bench.tools)
    bench._decision = DENY
    await settle_pod(pod(), bench.tools)
    assert len(bench.told) == 2


async def test_only_the_pod_that_was_judged_is_lifted() -> None:
    bench = Bench(ALLOW)
    successor = pod(uid="u2", resourceVersion="7")
    path = bench.client.put(PODS, successor)
    assert await settle_pod(pod(), bench.tools) is Settled.CHANGED
    assert bench.client.objects[path] == successor
    changed = pod(resourceVersion="8")
    path = bench.client.put(PODS, changed)
    assert await settle_pod(pod(), bench.tools) is Settled.CHANGED
    assert bench.client.objects[path] == changed


async def test_the_gate_is_taken_off_no_other_pod_though_the_condition_is_set_already() -> None:
    newers: list[Object] = [{"uid": "u2"}, {"resourceVersion": "8"}]
    for newer in newers:
        bench = Bench(ALLOW)
        judged, changed = pod(), pod(**newer)
        for item in (judged, changed):
            item["status"]["conditions"] = [SERVING]
        path = bench.client.put(PODS, changed)
        assert await settle_pod(judged, bench.tools) is Settled.CHANGED
        assert bench.client.objects[path] == changed


async def test_a_pod_that_is_gone_is_no_error() -> None:
    bench = Bench(ALLOW)
    assert await settle_pod(pod(), bench.tools) is Settled.DONE


@pytest.mark.parametrize(
    "item",
    [pod(deletionTimestamp="2026-11-20T12:00:00Z"), pod() | {"status": {"phase": "Succeeded"}}, pod() | {"spec": {"containers": "none"}}],
)
async def test_pods_that_are_over_or_are_no_pods_are_left_alone(item: Object) -> None:
    bench = Bench(ALLOW)
    bench.client.put(PODS, item)
    assert await settle_pod(item, bench.tools) is Settled.DONE
    assert bench.client.writes == []


@pytest.mark.parametrize("decision", [HOLD, DENY])
async def test_a_running_pod_is_never_touched_whatever_is_decided(decision: Decision) -> None:
    bench = Bench(decision)
    running = pod(gated=False) | {"status": {"phase": "Running", "conditions": [SERVING]}}
    path = bench.client.put(PODS, running)
    assert await settle_pod(deepcopy(running), bench.tools) is Settled.DONE
    assert bench.client.objects[path] == running
    assert bench.client.writes == []


async def test_a_held_deployment_is_resumed_in_one_write_and_keeps_what_is_not_ours() -> None:
    bench = Bench(ALLOW)
    path = bench.client.put(DEPLOYMENTS, deployment())
    assert await settle_deployment(deployment(), bench.tools) is Settled.DONE
    stored = bench.client.objects[path]
    assert "paused" not in stored["spec"]
    assert stored["metadata"]["annotations"] == {"note": "kept"}
    assert len(bench.changes) == 1
    assert bench.told == [("Entitled", "Resume")]


async def test_a_pause_that_is_not_ours_stays() -> None:
    bench = Bench(ALLOW)
    theirs = deployment(held=None)
    path = bench.client.put(DEPLOYMENTS, theirs)
    assert await settle_deployment(theirs, bench.tools) is Settled.DONE
    assert bench.client.objects[path] == theirs


@pytest.mark.parametrize("decision", [HOLD, DENY])
async def test_a_deployment_that_is_not_entitled_stays_held_and_is_told_once(decision: Decision) -> None:
    bench = Bench(decision)
    path = bench.client.put(DEPLOYMENTS, deployment())
    for _ in range(2):
        assert await settle_deployment(deployment(), bench.tools) is Settled.WAITING
    assert bench.client.objects[path] == deployment()
    assert len(bench.told) == 1


async def test_a_deployment_that_changed_after_the_judgement_is_judged_again() -> None:
    bench = Bench(ALLOW)
    newer = deployment()
    newer["metadata"]["resourceVersion"] = "4"
    newer["spec"]["template"]["metadata"]["labels"]["sluice.dev/release"] = "churn-3"
    path = bench.client.put(DEPLOYMENTS, newer)
    assert await settle_deployment(deployment(), bench.tools) is Settled.CHANGED
    assert bench.client.objects[path] == newer


async def test_a_deployment_that_vanished_and_one_without_a_template_stop_nobody() -> None:
    bench = Bench(ALLOW)
    assert await settle_deployment(deployment(), bench.tools) is Settled.DONE
    strange = deployment()
    strange["spec"]["template"]["spec"] = {"containers": [None]}
    assert await settle_deployment(strange, bench.tools) is Settled.WAITING


async def test_a_deployment_without_pause_loses_the_annotation_only() -> None:
    bench = Bench(ALLOW)
    path = bench.client.put(DEPLOYMENTS, deployment(paused=None))
    assert await settle_deployment(deployment(paused=None), bench.tools) is Settled.DONE
    assert "sluice.dev/held" not in bench.client.objects[path]["metadata"]["annotations"]


def test_a_deployment_concerns_the_release_it_names_and_the_one_it_is_held_for() -> None:
    assert releases_of(deployment(held="churn-1")) == {"churn-1", "churn-2"}
    assert releases_of(deployment(held="")) == {"churn-2"}
    assert releases_of({"metadata": {}, "spec": {}}) == frozenset()


async def test_remembering_what_was_told_costs_the_same_however_much_it_was() -> None:
    bench = Bench(HOLD)
    announcer = Announcer(EventRecorder(bench.client, controller="sluice.dev/controller", instance="test"))
    tracemalloc.start()
    try:
        for uid in range(20):
            await announcer.tell(pod(uid=str(uid)), replace(HOLD, message="x" * 1_000_000), action="Hold")
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 5_000_000


async def test_what_was_told_is_forgotten_in_the_order_it_was_told() -> None:
    bench = Bench(HOLD)
    events = EventRecorder(bench.client, controller="sluice.dev/controller", instance="test")
    announcer = Announcer(events, remembered=2)
    for uid in ("a", "b", "c", "c", "a"):
        await announcer.tell(pod(uid=uid), HOLD, action="Hold")
    assert len(bench.told) == 4
