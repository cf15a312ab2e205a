"""A run that has decided, on an API server in memory, with scorers that show their lines: what becomes of them is the test's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sluice.cluster.events import EventRecorder
from sluice.cluster.resource import CANARY_RUNS, JOBS, PODS
from sluice.controller.canary_samples import SampleKeeper
from sluice.controller.samples_places import Place
from sluice.rollout.statistics_client import StatisticsClient
from tests.unit.api_memory import MemoryClient

Object = dict[str, Any]
NAME, NAMESPACE = "churn-2-1", "payments"


class Scorers(StatisticsClient):
    """Two scorers that show their lines to whoever has the token of the run."""

    def __init__(self, lines: Mapping[int, bytes | None]) -> None:
        super().__init__()
        self.lines = lines
        self.tokens: set[str] = set()

    async def samples(self, pod: Object, *, token: str, limit: int) -> bytes | None:
        self.tokens.add(token)
        assert limit > 0
        return self.lines[int(pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"])]


class Bench:
    """A run that has decided, its scorers, and who keeps what they show."""

    def __init__(self, lines: Mapping[int, bytes | None], place: Place | None) -> None:
        self.client = MemoryClient()
        self.scorers = Scorers(lines)
        meta = {"namespace": NAMESPACE, "name": NAME, "uid": "run-1", "resourceVersion": "1", "generation": 1}
        status = {"phase": "Decided", "decision": "Promote", "reason": "WithinMargin"}
        self.run: Object = {"apiVersion": CANARY_RUNS.api_version, "kind": "CanaryRun", "metadata": meta, "spec": {"seed": 7}, "status": status}
        self.client.put(CANARY_RUNS, self.run)
        self.client.put(JOBS, {"metadata": {"namespace": NAMESPACE, "name": f"{NAME}-scorer", "uid": "job-1"}})
        for index in lines:
            labels = {"sluice.dev/canary-run": NAME, "sluice.dev/canary-role": "scorer", "batch.kubernetes.io/job-completion-index": str(index)}
            owners = [{"uid": "job-1", "controller": True}]
            meta = {"namespace": NAMESPACE, "name": f"s-{index}", "uid": f"p-{index}", "labels": labels, "ownerReferences": owners}
            self.client.put(PODS, {"metadata": meta, "status": {"phase": "Running", "podIP": "10.0.0.1"}})
        events = EventRecorder(self.client, controller="sluice.dev/controller", instance="test")
        self.keeper = SampleKeeper(client=self.client, scorers=self.scorers, events=events, place=place)

    async def keep(self) -> bool:
        self.run = await self.client.get(CANARY_RUNS.path(NAMESPACE, NAME))
        return await self.keeper.keep({**self.run, "apiVersion": CANARY_RUNS.api_version, "kind": "CanaryRun"})

    @property
    def status(self) -> Object:
        status: Object = self.client.objects[CANARY_RUNS.path(NAMESPACE, NAME)]["status"]
        return status

    @property
    def events(self) -> list[Object]:
        return [obj for path, obj in self.client.objects.items() if "/events/" in path]
