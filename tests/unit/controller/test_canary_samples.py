"""Samples are kept after a decision, for a bounded time, and whatever becomes of them changes nothing else."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any

import pytest

from sluice.cluster.events import EventRecorder
from sluice.cluster.registry import RegistryRefused, Repository
from sluice.cluster.resource import CANARY_RUNS, JOBS, PODS
from sluice.controller import canary_samples
from sluice.controller.canary_inputs import end_token
from sluice.controller.canary_samples import ATTEMPTS, SampleKeeper
from sluice.rollout.statistics_client import StatisticsClient
from tests.unit.api_memory import MemoryClient

Object = dict[str, Any]
NAME, NAMESPACE = "churn-2-1", "payments"
LINES = {0: b'{"rank":0}\n', 1: b'{"rank":1}\n'}
REFERENCE = "r.example.com/ml/samples@sha256:" + "a" * 64


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
    def __init__(self, lines: Mapping[int, bytes | None] = LINES, *, repository: bool = True) -> None:
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
        where = Repository.parse("r.example.com/ml/samples", credentials={}) if repository else None
        events = EventRecorder(self.client, controller="sluice.dev/controller", instance="test")
        self.keeper = SampleKeeper(client=self.client, scorers=self.scorers, events=events, repository=where)

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


@pytest.fixture
def pushed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    contents: list[bytes] = []

    async def push(_repository: Repository, *, content: bytes, **_: object) -> str:
        contents.append(content)
        return REFERENCE

    monkeypatch.setattr(canary_samples, "push", push)
    return contents


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    contents: list[bytes] = []

    async def push(_repository: Repository, *, content: bytes, **_: object) -> str:
        contents.append(content)
        raise RegistryRefused("r.example.com answers 503")

    monkeypatch.setattr(canary_samples, "push", push)
    return contents


async def test_what_all_shards_kept_is_one_object_that_the_run_names(pushed: list[bytes]) -> None:
    bench = Bench()
    assert await bench.keep()
    assert pushed == [LINES[0] + LINES[1]]
    assert bench.status["samples"] == {"digest": "sha256:" + hashlib.sha256(pushed[0]).hexdigest(), "uri": f"oci://{REFERENCE}"}
    assert bench.status["decision"] == "Promote"
    assert bench.scorers.tokens == {end_token(bench.run)}
    assert await bench.keep()
    assert len(pushed) == 1, "it was kept twice"


async def test_half_a_line_at_the_end_of_a_shard_is_left_out(pushed: list[bytes]) -> None:
    assert await Bench({0: LINES[0] + b'{"ra', 1: LINES[1]}).keep()
    assert pushed == [LINES[0] + LINES[1]]


async def test_a_shard_that_says_nothing_is_left_out(pushed: list[bytes]) -> None:
    assert await Bench({0: None, 1: LINES[1]}).keep()
    assert pushed == [LINES[1]]


async def test_an_upload_that_fails_is_tried_some_times_and_then_told_and_the_decision_stands(refusing: list[bytes]) -> None:
    bench = Bench()
    assert [await bench.keep() for _ in range(ATTEMPTS + 1)] == [False] * (ATTEMPTS - 1) + [True] * 2
    assert len(refusing) == ATTEMPTS
    assert (bench.status["decision"], "samples" in bench.status) == ("Promote", False)
    assert ["answers 503" in event["note"] for event in bench.events] == [True]


async def test_scorers_that_never_finish_keep_nothing_of_a_run_from_being_tidied_up(pushed: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_pod: Object, *, token: str, limit: int) -> bytes | None:
        await asyncio.Event().wait()
        raise AssertionError(token, limit)

    bench = Bench()
    monkeypatch.setattr(canary_samples, "FETCH_SECONDS", 0.01)
    monkeypatch.setattr(bench.scorers, "samples", never)
    assert await bench.keep()
    assert pushed == []


async def test_without_a_repository_or_without_scorers_nobody_is_asked_for_anything(pushed: list[bytes]) -> None:
    nowhere, gone = Bench(repository=False), Bench()
    del gone.client.objects[JOBS.path(NAMESPACE, f"{NAME}-scorer")]
    for bench in (nowhere, gone, Bench({0: None})):
        assert await bench.keep()
        assert "samples" not in bench.status
    assert pushed == []
    assert nowhere.scorers.tokens == gone.scorers.tokens == set()
