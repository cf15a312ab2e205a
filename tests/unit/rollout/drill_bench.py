"""A cluster in memory for one drill: a Deployment with its past, a kubelet, and an endpoint controller that needs a moment."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from sluice.cluster.events import EventRecorder
from sluice.cluster.feed import WorldFeed
from sluice.cluster.resource import DEPLOYMENTS, DRILLS, ENDPOINT_SLICES, NAMESPACES, PODS, REPLICA_SETS, SERVICES, Resource
from sluice.controller.drill import DrillReconciler
from sluice.controller.drill_metrics import DrillMetrics
from sluice.controller.observe import Metrics
from sluice.decision.records import Key
from sluice.decision.world import World
from tests.unit.api_memory import MemoryClient
from tests.unit.decision import case as c
from tests.unit.decision.test_drills import drilled_world

Object = dict[str, Any]
NAME = "before-the-holidays"
AT = Key(namespace=c.NAMESPACE, name=NAME)
DRILL = DRILLS.path(c.NAMESPACE, NAME)
SCRATCH = "payments-drills"


def scratch_namespace(**labels: str | None) -> Object:
    """What the platform team prepares; a label that is None is left out."""
    wanted = {"sluice.dev/govern": "true", "sluice.dev/stage": "production", "sluice.dev/scratch-for": c.NAMESPACE}
    changed = wanted | {f"sluice.dev/{name.replace('_', '-')}": value for name, value in labels.items()}
    return {"metadata": {"name": SCRATCH, "labels": {name: value for name, value in changed.items() if value is not None}}}


class Memory(MemoryClient):
    """Gives Pods a status, as the API server does."""

    async def create(self, resource: Resource, obj: Object, namespace: str | None = None) -> Object:
        return await super().create(resource, {**obj, "status": {"conditions": []}} if resource is PODS else obj, namespace)


class Feed:
    """What the reconciler asks of a feed."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.why = ""

    def blind(self, *, max_age_seconds: float) -> str:
        assert max_age_seconds == 90
        return self.why


class Bench:
    """Everything about one drill. `look()` is one look of the controller, after which the cluster moves and the watches deliver."""

    def __init__(self, world: World | None = None, *, name: str = NAME, spec: Object | None = None, scratch: bool = False) -> None:
        self.client = Memory()
        self.client.now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.feed = Feed(world or drilled_world())
        self.name = name
        self.namespace = SCRATCH if scratch else c.NAMESPACE
        """Where it is done."""
        self.broken: set[str] = set()
        """Pods that never become ready."""
        self.deaf = False
        """Whether endpoints follow nothing."""
        self.phases: list[str] = []
        self._delivered: Object | None = None
        spec = {"release": {"name": c.NAME}} | ({"place": "ScratchNamespace"} if scratch else {}) | (spec or {})
        if scratch:
            self.feed.world.put("Namespace", scratch_namespace())
        meta = {"namespace": c.NAMESPACE, "name": name, "uid": "drill-uid-1", "resourceVersion": "1", "generation": 1, "creationTimestamp": self.client.now}
        self.path = self.client.put(DRILLS, {"apiVersion": DRILLS.api_version, "kind": DRILLS.kind, "metadata": meta, "spec": spec})
        self.client.put(NAMESPACES, {"metadata": {"name": "kube-system", "uid": "cluster-1"}})
        self.client.put(DEPLOYMENTS, self._deployment())
        self.client.put(REPLICA_SETS, self._replica_set())
        self.deliver()
        self.restart()

    def restart(self) -> None:
        """A new process, that knows nothing."""
        self.metrics = Metrics(leads=lambda: True)
        drills: DrillMetrics = self.metrics.drills
        drills.known(lambda: tuple(self.feed.world.drills.items()))
        self.reconciler = DrillReconciler(
            client=self.client, feed=cast("WorldFeed", self.feed), events=EventRecorder(self.client, controller="sluice.dev/controller", instance="test"),
            key=c.controller_key, start_seconds=600, max_age_seconds=90, metrics=drills,
        )  # fmt: skip

    def deliver(self) -> None:
        """The watch brings the drill as it is now, when it has changed."""
        now = self.client.objects.get(self.path)
        if now == self._delivered:
            return
        self._delivered = deepcopy(now)
        if now is None:
            self.feed.world.remove("ReleaseDrill", Key(namespace=c.NAMESPACE, name=self.name))
        else:
            self.feed.world.put("ReleaseDrill", now)

    async def look(self) -> float | None:
        """Look once."""
        again = await self.reconciler.settle(Key(namespace=c.NAMESPACE, name=self.name))
        self.collect()
        self.kubelet()
        self.deliver()
        if (phase := self.status.get("phase")) and phase not in self.phases[-1:]:
            self.phases.append(phase)
        return again

    async def until_over(self, *, looks: int = 60) -> Mapping[str, Any]:
        """Look until there is nothing more to do."""
        for _ in range(looks):
            if await self.look() is None:
                return self.status
        raise AssertionError(f"not over: {self.status}")

    async def until(self, phase: str) -> None:
        """Look until it is in a phase."""
        for _ in range(40):
            if self.status.get("phase") == phase:
                return
            await self.look()
        raise AssertionError(f"not {phase}: {self.status}")

    def collect(self) -> None:
        """Take along what is owned by something that is no more, as the garbage collector does: never across namespaces."""
        there = {(obj["metadata"].get("namespace"), obj["metadata"].get("uid")) for obj in self.client.objects.values()}
        for path, obj in list(self.client.objects.items()):
            owners = obj["metadata"].get("ownerReferences") or ()
            if owners and all((obj["metadata"]["namespace"], owner["uid"]) not in there for owner in owners):
                del self.client.objects[path]

    def kubelet(self) -> None:
        """Start Pods without a gate; endpoints are the Pods that are ready and whose condition is set."""
        ready = []
        for pod in self.pods():
            status = pod["status"]
            started = not pod["spec"].get("schedulingGates")
            if started and "phase" not in status:
                containers = "False" if pod["metadata"]["name"] in self.broken else "True"
                status |= {"phase": "Running", "podIP": "10.0.0.1"}
                status["conditions"] += [_condition("PodScheduled", "True"), _condition("ContainersReady", containers)]
            conditions = {item["type"]: item["status"] for item in status["conditions"]}
            if conditions.get("ContainersReady") == conditions.get("sluice.dev/serving") == "True":
                ready.append(pod["metadata"]["uid"])
        if self.deaf:
            return
        endpoints = [{"addresses": ["10.0.0.1"], "conditions": {"ready": True}, "targetRef": {"kind": "Pod", "uid": uid}} for uid in ready]
        labels = {"kubernetes.io/service-name": self.name}
        self.client.put(ENDPOINT_SLICES, {"metadata": {"namespace": self.namespace, "name": f"{self.name}-x", "labels": labels}, "endpoints": endpoints})

    @property
    def status(self) -> Mapping[str, Any]:
        """What the drill says."""
        return self.client.objects.get(self.path, {}).get("status") or {}

    def pods(self) -> list[Object]:
        """The Pods there are."""
        return [obj for path, obj in self.client.objects.items() if "/pods/" in path]

    def pod(self, role: str) -> Object:
        """One of them."""
        return self.client.objects[PODS.path(self.namespace, f"{self.name}-{role}")]

    def left(self) -> list[str]:
        """What the drill made that is still there, its evidence left out."""
        owners = {"drill-uid-1"}
        if (service := self.client.objects.get(SERVICES.path(SCRATCH, self.name))) is not None:
            owners.add(service["metadata"]["uid"])
        mine = [path for path, obj in self.client.objects.items() if any(ref.get("uid") in owners for ref in obj["metadata"].get("ownerReferences") or ())]
        return [*mine, *(path for path in self.client.objects if f"/namespaces/{SCRATCH}/" in path and "/endpointslices/" not in path and path not in mine)]

    def evidence(self) -> list[Object]:
        """The evidence there is."""
        return [obj for path, obj in self.client.objects.items() if "/releaseevidences/" in path]

    def age(self, seconds: float) -> None:
        """Let the drill have been made, and begun, earlier."""
        drill = self.client.objects[self.path]
        earlier = (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
        drill["metadata"]["creationTimestamp"] = earlier
        if "startedAt" in (drill.get("status") or {}):
            drill["status"]["startedAt"] = earlier

    @staticmethod
    def _deployment() -> Object:
        meta = {"namespace": c.NAMESPACE, "name": "churn", "uid": "d1", "resourceVersion": "3", "annotations": {"sluice.dev/held": c.NAME}}
        return {"metadata": meta, "spec": {"template": template(c.NAME), "paused": True}}

    @staticmethod
    def _replica_set() -> Object:
        owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "churn", "uid": "d1", "controller": True}
        meta = {"namespace": c.NAMESPACE, "name": "churn-old", "uid": "r1", "creationTimestamp": "2026-11-01T00:00:00Z", "ownerReferences": [owner]}
        return {"metadata": meta, "spec": {"template": template(c.BASELINE)}}


def template(release: str) -> Object:
    """A Pod template that names a release."""
    container = {"name": "server", "image": f"registry.example.com/server@{c.SERVER}", "env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s"}}}]}
    return {
        "metadata": {"labels": {"app": "churn", "sluice.dev/release": release, "pod-template-hash": "abc"}},
        "spec": {"serviceAccountName": "churn", "containers": [container]},
    }


def _condition(type_: str, status: str) -> Object:
    return {"type": type_, "status": status, "lastTransitionTime": "2026-11-20T12:00:00Z"}
