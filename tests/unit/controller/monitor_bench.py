"""A release that serves, a policy that wants it watched, and a source that answers as the test says."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast

from sluice.api.monitor import MonitorSpec
from sluice.cluster.events import EventRecorder
from sluice.cluster.feed import WorldFeed
from sluice.cluster.resource import MONITORS, PODS
from sluice.controller.monitors import MonitorReconciler
from sluice.controller.observe import Metrics
from sluice.decision.world import World
from sluice.scoring.drift.histogram import Histogram
from sluice.scoring.drift.mean import MeanReference
from sluice.scoring.monitor import Counts, Monitor, MonitorState, Reading, heard_until
from tests.unit.api_memory import MemoryClient
from tests.unit.decision import case as c

Object = dict[str, Any]
REFUSALS: Object = {
    "name": "refusals", "prometheus": {"query": "x[$period]", "answer": "Counts", "label": "refused", "event": "true"}, "period": "1m", "detects": "Mean",
    "reference": {"mean": "0.1"}, "falseAlarmEvery": 10_000, "onDrift": "RollBack", "silentAfter": "5m",
}  # fmt: skip
LEARNT = REFUSALS | {"reference": {"baseline": {"window": "1d", "atLeast": 1000}}}


class Feed:
    """What the reconciler asks of a feed."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.why = ""

    def blind(self, *, max_age_seconds: float) -> str:
        assert max_age_seconds == 90
        return self.why


class Prometheus:
    """Answers with what the test says; remembers about which time it was asked."""

    def __init__(self) -> None:
        self.refused, self.answered = 0, 0
        self.fails: Exception | None = None
        self.asked: list[tuple[str, datetime, datetime]] = []
        self.reference: MeanReference | Histogram | None = None

    async def reading(self, monitor: Object, watching: Monitor, state: MonitorState, *, now: datetime) -> Reading | None:  # noqa: ARG002 - the protocol
        self.asked.append((monitor["spec"]["release"]["name"], heard_until(state), now))
        if self.fails:
            raise self.fails
        return Counts(at=now, counts=(self.answered, self.refused)) if self.answered + self.refused else None

    async def learn(self, monitor: Object, spec: MonitorSpec, *, release: str, start: datetime, end: datetime) -> MeanReference | Histogram | None:  # noqa: ARG002
        self.asked.append((release, start, end))
        if self.fails:
            raise self.fails
        return self.reference


class Bench:
    """A release that serves, with one Pod, and a policy that wants it watched."""

    def __init__(self, definition: Object = REFUSALS, *, prometheus: bool = True, **release: Any) -> None:  # noqa: ANN401 - fields of the spec
        self.world = c.approved_world()
        if release:
            self.world.put("ModelRelease", c.item("ModelRelease", c.NAME, c.release_spec() | release))
            c.approve(self.world, c.KEY)
        self.client, self.prometheus, self.feed = MemoryClient(), Prometheus(), Feed(self.world)
        self.now = c.NOW
        self.client.now = c.NOW.strftime("%Y-%m-%dT%H:%M:%SZ")
        self.metrics = Metrics(leads=lambda: True)
        self.asks(definition)
        self.pod(ready=True)
        self.uses_prometheus = prometheus
        self.restart()

    def restart(self) -> None:
        """Another process."""
        self.reconciler = MonitorReconciler(
            client=self.client, feed=cast("WorldFeed", self.feed), events=EventRecorder(self.client, controller="sluice", instance="t"),
            metrics=self.metrics.monitors, prometheus=self.prometheus if self.uses_prometheus else None, probes=self.prometheus,
            max_age_seconds=90, clock=lambda: self.now,
        )  # fmt: skip

    def asks(self, *definitions: Object) -> None:
        policy = c.policy_spec() | {"monitors": list(definitions)}
        self.world.put("ReleasePolicy", c.item("ReleasePolicy", "customer-facing", policy, namespace=""))

    def pod(self, *, ready: bool, phase: str = "Running") -> None:
        since = "2026-11-20T11:00:00Z"
        types = {"PodScheduled": True, "ContainersReady": ready, "Ready": ready}
        conditions = [{"type": type_, "status": "True" if holds else "False", "lastTransitionTime": since} for type_, holds in types.items()]
        metadata = {"namespace": c.NAMESPACE, "name": "churn-1", "labels": {"sluice.dev/release": c.NAME}, "creationTimestamp": since}
        self.client.put(PODS, {"metadata": metadata, "spec": {}, "status": {"phase": phase, "podIP": "10.0.0.7", "conditions": conditions}})

    async def made(self) -> c.Key:
        """Make the monitor."""
        await self.reconciler.of_release(c.KEY)
        self.watch()
        (key,) = await self.reconciler.of_release(c.KEY)
        return key

    def watch(self) -> None:
        """The watch brings what is stored."""
        for path, obj in self.client.objects.items():
            if "/releasemonitors/" in path:
                obj["metadata"].setdefault("generation", 1)
                self.world.put("ReleaseMonitor", obj)

    async def look(self, key: c.Key, *, after: timedelta = timedelta(0)) -> float | None:
        self.now += after
        again = await self.reconciler.settle(key)
        self.watch()
        return again

    async def started(self) -> c.Key:
        """A monitor that watches from now on."""
        key = await self.made()
        await self.look(key)
        return key

    def status(self, key: c.Key) -> Object:
        status: Object = self.client.objects[MONITORS.path(*key)].get("status") or {}
        return status

    def reason(self, key: c.Key) -> str:
        return str(self.status(key)["conditions"][0]["reason"])

    def writes(self) -> int:
        return sum("/releasemonitors/" in path for _, path in self.client.writes)

    def events(self) -> list[tuple[str, str]]:
        return [(obj["reason"], obj["action"]) for path, obj in self.client.objects.items() if "/events/" in path]
