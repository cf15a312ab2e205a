"""Scorers that are silent, slow, wrong or endless: the controller reads the others, and nothing without bound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from sluice.rollout import statistics_client
from sluice.rollout.statistics_client import StatisticsClient, scorers_of

Object = dict[str, Any]
RUN: Object = {"metadata": {"namespace": "payments", "name": "churn-2-1", "uid": "run-1"}}
JOB: Object = {"metadata": {"namespace": "payments", "name": "churn-2-1-scorer", "uid": "job-1"}}


def scorer(index: object = 0, *, address: str = "127.0.0.1", owner: str = "job-1", phase: str = "Running", **labels: str) -> Object:
    found = {
        "sluice.dev/canary-run": "churn-2-1", "sluice.dev/canary-role": "scorer", "batch.kubernetes.io/job-completion-index": str(index),
    } | {name.replace("_", "-").replace("--", "/"): value for name, value in labels.items()}  # fmt: skip
    owners = [{"uid": owner, "controller": True}]
    metadata = {"namespace": "payments", "name": f"s-{index}", "labels": found, "ownerReferences": owners}
    return {"metadata": metadata, "status": {"phase": phase, "podIP": address}}


@dataclass
class Served:
    """A server: what it answers is the test's to write."""

    answer: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
    port: int = 0
    asked: list[str] = field(default_factory=list)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    server, application = Served(), web.Application()

    async def answer(request: web.Request) -> web.StreamResponse:
        server.asked.append(request.path)
        assert server.answer is not None
        return await server.answer(request)

    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.01, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.port = runner.addresses[0][1]
    yield server
    await runner.cleanup()


async def read(port: int, *, on_failure: Callable[[str], None] = lambda _: None, **pods: Object) -> dict[int, bytes]:
    async with StatisticsClient(port=port, on_failure=on_failure) as client:
        return await client.read({int(name.removeprefix("shard")): pod for name, pod in pods.items()})


@pytest.mark.usefixtures("socket_enabled")
async def test_what_a_scorer_says_is_read_as_it_is(served: Served) -> None:
    async def fine(_: web.Request) -> web.Response:
        return web.Response(body=b'{"plan":"x"}')

    served.answer = fine
    assert await read(served.port, shard0=scorer(), shard1=scorer(1)) == {0: b'{"plan":"x"}', 1: b'{"plan":"x"}'}
    assert served.asked == ["/v1/statistics"] * 2


@pytest.mark.usefixtures("socket_enabled")
async def test_an_error_a_redirect_and_a_closed_port_are_no_statement(served: Served) -> None:
    for status, headers in ((500, {}), (302, {"Location": "/elsewhere"}), (404, {})):

        async def refuse(_: web.Request, status: int = status, headers: dict[str, str] = headers) -> web.Response:
            return web.Response(status=status, headers=headers)

        served.answer = refuse
        assert await read(served.port, shard0=scorer()) == {}
    assert set(served.asked) == {"/v1/statistics"}, "no redirect is followed"
    assert await read(1, shard0=scorer()) == {}


@pytest.mark.usefixtures("socket_enabled")
async def test_who_says_nothing_is_noted_with_its_cause_and_who_answers_is_not(served: Served) -> None:
    causes: list[str] = []

    async def refuse_the_first(_: web.Request) -> web.Response:
        return web.Response(status=503 if len(served.asked) == 1 else 200, body=b"{}")

    served.answer = refuse_the_first
    await read(served.port, on_failure=causes.append, shard0=scorer(), shard1=scorer(1))
    assert causes == ["Status"]
    await read(1, on_failure=causes.append, shard0=scorer())
    assert causes == ["Status", "Unreachable"]


@pytest.mark.usefixtures("socket_enabled")
async def test_a_silent_scorer_costs_its_time_and_nobody_elses(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics_client, "ANSWER_SECONDS", 0.3)
    silent = asyncio.Event()

    async def one_is_silent(_: web.Request) -> web.Response:
        if len(served.asked) == 1:
            await silent.wait()
        return web.Response(body=b"{}")

    served.answer = one_is_silent
    async with asyncio.timeout(5):
        assert list((await read(served.port, shard0=scorer(), shard1=scorer(1))).values()) == [b"{}"]


@pytest.mark.usefixtures("socket_enabled")
async def test_an_endless_answer_is_read_to_the_bound_and_then_no_further(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics_client, "STATISTICS_BYTES", 100_000)

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65_536)

    served.answer = endless
    async with asyncio.timeout(5):
        said = (await read(served.port, shard0=scorer()))[0]
    assert 100_000 < len(said) < 1_000_000, "too much for the reader, who refuses it"


def test_only_running_pods_of_this_very_job_are_asked() -> None:
    strangers = [
        scorer(1, owner="another"), scorer(2, phase="Pending"), scorer(3, address=""), scorer("x"),
        scorer(4, **{"sluice.dev--canary-role": "candidate"}), scorer(5, **{"sluice.dev--canary-run": "churn-2-2"}),
    ]  # fmt: skip
    leaving = scorer(6)
    leaving["metadata"]["deletionTimestamp"] = "2026-11-20T12:00:00Z"
    assert list(scorers_of(RUN, JOB, [scorer(0), *strangers, leaving])) == [0]
