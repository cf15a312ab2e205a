"""A scorer between two model servers, over real connections: what they do to it, and what it tells."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from sluice.scoring import worker as module
from sluice.scoring.case import Case, Tensor, Tensors
from sluice.scoring.compare import Metrics
from sluice.scoring.plan import Plan
from sluice.scoring.protocols.client import client_of
from sluice.scoring.protocols.settings import Limits, ProtocolSettings, ProtocolType
from sluice.scoring.statistics_server import StatisticsServer
from sluice.scoring.tally import ShardStatistics
from sluice.scoring.wire import read_statistics
from sluice.scoring.worker import Worker
from tests.faults.model_servers import BareServer, ModelServer, endless
from tests.faults.scripted import Step, answer, text, until
from tests.unit.scoring.sides import METRICS, exact, plan

SETTINGS = ProtocolSettings(type=ProtocolType.OPEN_INFERENCE, model="churn")
CASES = [Case(id=f"c-{n}", input=Tensors(inputs=(Tensor(name="x", shape=(1,), datatype="FP32", data=(float(n),)),)), expect={"text": "yes"}) for n in range(30)]
SCORED = Metrics(scorers={"accuracy": exact}, gates=METRICS.gates)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_AFTER_SECONDS", 0.01)


def label(word: str) -> Step:
    return answer({"outputs": [{"name": "label", "datatype": "BYTES", "shape": [1], "data": [word]}]})


YES, NO = label("yes"), label("no")


@asynccontextmanager
async def between(candidate: str, baseline: str, *, of: Plan | None = None, timeout_seconds: float = 5.0) -> AsyncIterator[Worker]:
    limits = Limits(timeout_seconds=timeout_seconds)
    one, other = client_of(SETTINGS, candidate, token=None, limits=limits), client_of(SETTINGS, baseline, token=None, limits=limits)
    async with one, other:
        yield Worker(of or plan(planned=20), CASES, shard=0, metrics=SCORED, candidate=one, baseline=other, ready_seconds=0.1)


async def scored(candidate: str, baseline: str, *, of: Plan | None = None, timeout_seconds: float = 5.0) -> ShardStatistics:
    async with between(candidate, baseline, of=of, timeout_seconds=timeout_seconds) as worker:
        await worker.run()
        return worker.statistics()


def differences(statistics: ShardStatistics) -> dict[int, int]:
    total: dict[int, int] = {}
    for look in statistics.looks:
        for point, weight in look.tallies.get("accuracy", {}).get("all", {}).items():
            total[point] = total.get(point, 0) + weight // 1000
    return total


def told(statistics: ShardStatistics, side: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for look in statistics.looks:
        for name, number in look.sums[side].items():
            counts[name] = counts.get(name, 0) + number
    return counts


def cut() -> Step:
    async def step(request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    return step


async def test_two_that_answer_alike_do_not_differ() -> None:
    async with ModelServer(YES) as candidate, ModelServer(YES) as baseline:
        statistics = await scored(candidate.address, baseline.address)
    assert differences(statistics) == {0: 20}
    assert told(statistics, "candidate") == told(statistics, "baseline") == {"Asked": 20, "Answered": 20, "Retried": 0}


@pytest.mark.parametrize(
    ("fault", "failure", "timeout_seconds"),
    [
        (cut(), "Unreachable", 5.0),
        (text("no", status=500), "Refused", 5.0),
        (text("{"), "Malformed", 5.0),
        (endless(b" ", pause=0.05), "Timeout", 1.0),
        (endless(b"x" * 65536), "TooLarge", 30.0),
    ],
    ids=["cut", "500", "malformed", "trickle", "flood"],
)
async def test_a_candidate_that_fails_gets_the_worst_and_a_baseline_that_fails_gives_no_pair(fault: Step, failure: str, timeout_seconds: float) -> None:
    of = plan(planned=20, concurrency=10)
    async with ModelServer(fault) as broken, ModelServer(YES) as whole:
        lost = await scored(broken.address, whole.address, of=of, timeout_seconds=timeout_seconds)
        void = await scored(whole.address, broken.address, of=of, timeout_seconds=timeout_seconds)
    assert differences(lost) == {-1000: 20}
    assert told(lost, "candidate")[failure] == 20
    assert differences(void) == {}
    assert sum(look.void for look in void.looks) == 20
    assert told(void, "baseline")[failure] == 20


async def test_a_server_that_dies_in_the_middle_counts_from_there_on() -> None:
    async with ModelServer(YES) as candidate, ModelServer(YES) as baseline:

        async def last(request: web.Request) -> web.StreamResponse:
            candidate.script[:] = [cut()]
            return await YES(request)

        # The first request asks whether it is ready.
        candidate.script[:] = [*[YES] * 8, last]
        statistics = await scored(candidate.address, baseline.address, of=plan(planned=20, concurrency=1))
    assert differences(statistics) == {0: 8, -1000: 12}


async def test_one_lost_connection_is_forgiven() -> None:
    async with ModelServer(YES, cut(), YES) as candidate, ModelServer(YES) as baseline:
        statistics = await scored(candidate.address, baseline.address, of=plan(planned=20, concurrency=1))
    assert differences(statistics) == {0: 20}
    assert told(statistics, "candidate")["Retried"] == 1


async def test_nobody_listening_on_either_side_ends_without_a_pair() -> None:
    async with BareServer(b"") as one, BareServer(b"") as other:
        addresses = one.address, other.address
    statistics = await scored(*addresses)
    assert statistics.finished
    assert differences(statistics) == {}


@asynccontextmanager
async def served(of: Plan, worker: Worker) -> AsyncIterator[tuple[StatisticsServer, aiohttp.ClientSession]]:
    server = StatisticsServer(of, worker)
    await server.start(host="127.0.0.1", port=0)
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as session:
            yield server, session
    finally:
        await server.stop()


async def got(session: aiohttp.ClientSession, path: str = "/v1/statistics") -> bytes:
    async with session.get(path) as response:
        assert response.status == 200
        return await response.read()


async def test_statistics_are_served_while_and_after_they_are_counted() -> None:
    of = plan(planned=20, concurrency=1)
    hold = asyncio.Event()

    async def held(request: web.Request) -> web.StreamResponse:
        await hold.wait()
        return await YES(request)

    async with (
        ModelServer(*[YES] * 16, held, YES) as candidate,
        ModelServer(YES) as baseline,
        between(candidate.address, baseline.address, of=of) as worker,
        served(of, worker) as (_, session),
    ):
        assert read_statistics(await got(session), of.expected(0)).scored == 0
        running = asyncio.create_task(worker.run())
        await until(lambda: worker.statistics().scored == 15)
        halfway = read_statistics(await got(session), of.expected(0))
        assert 0 < len(halfway.looks) < len(of.looks)
        assert not halfway.finished
        hold.set()
        await running
        everything = await got(session)
        assert read_statistics(everything, of.expected(0)) == worker.statistics()
        assert json.loads(everything)["finished"]


async def test_only_the_token_of_the_plan_ends_a_scorer() -> None:
    of = plan(planned=20)
    async with between("http://127.0.0.1:9", "http://127.0.0.1:9", of=of) as worker, served(of, worker) as (server, session):
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic a-token-of-the-run"}, {"Authorization": "Bearer \udcff"}):
            async with session.post("/v1/end", headers=headers) as response:
                assert response.status == 403
        assert not server.ended.is_set()
        async with session.post("/v1/end", headers={"Authorization": f"Bearer {of.end_token}"}) as response:
            assert response.status == 202
        assert server.ended.is_set()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/healthz", 200),
        ("GET", "/v1/end", 405),
        ("POST", "/v1/statistics", 405),
        ("GET", "/", 404),
    ],
)
async def test_nothing_else_is_answered(method: str, path: str, status: int) -> None:
    of, nobody = plan(planned=20), "http://127.0.0.1:9"
    async with between(nobody, nobody, of=of) as worker, served(of, worker) as (_, session), session.request(method, path) as response:
        assert response.status == status
