"""A scorer in a container, over a real connection: what it answers, what it does not, and what nobody would want it to."""

from __future__ import annotations

from fractions import Fraction

import pytest
from aiohttp import web

from sluice.scoring.case import Case, Prompt
from sluice.scoring.remote import container
from sluice.scoring.remote.container import ContainerClient
from tests.faults.model_servers import ModelServer, endless
from tests.faults.scripted import Step
from tests.unit.scoring.sides import TIMEOUT, said

CASE = Case(id="c-1", input=Prompt(text="2+2?"))


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "AGAIN_AFTER_SECONDS", 0.0)


def by_length(limit: int = 100) -> Step:
    """A score that grows with the text."""

    async def step(request: web.Request) -> web.StreamResponse:
        text = (await request.json())["answer"]["text"]
        return web.json_response({"value": len(text) / limit})

    return step


def replying(body: str, status: int = 200) -> Step:
    async def step(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=body.encode(), status=status)

    return step


async def cut(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def scored(server: ModelServer, *, candidate: str | None = "1234", again: str | None = None, seconds: float = 5) -> dict[str, Fraction]:
    async with ContainerClient("own", server.address, timeout_seconds=seconds) as client:
        answer = TIMEOUT if candidate is None else said(candidate)
        return await client.differences(CASE, candidate=answer, baseline=said("12"), again=None if again is None else said(again), turned=True)


async def test_both_answers_are_scored_alike_and_the_scorer_is_not_told_whose_they_are() -> None:
    async with ModelServer(by_length()) as server:
        assert await scored(server, again="123") == {"lost:own": 0, "own": Fraction(2, 100), "noise:own": Fraction(1, 100)}
    assert server.paths == ["POST /score"] * 3
    first, second, _ = server.bodies
    assert first["answer"].pop("text") == "1234"
    assert second["answer"].pop("text") == "12"
    assert first["answer"] == second["answer"] | {"completionTokens": 4}
    assert first["case"] == second["case"]


async def test_a_case_that_is_not_for_the_scorer_gives_no_pair() -> None:
    async with ModelServer(replying('{"value": null}')) as server:
        assert await scored(server) == {}


@pytest.mark.parametrize("reply", ['{"value": 2}', '{"value": 0.5, "side": "x"}', "yes", '{"value": 1' + " " * 70_000 + "}"])
async def test_a_reply_that_is_no_score_counts_as_no_answer_of_that_side(reply: str) -> None:
    async with ModelServer(replying(reply), replying('{"value": 1}')) as server:
        assert await scored(server) == {"lost:own": 0, "own": -1}
    async with ModelServer(replying('{"value": 1}'), replying(reply)) as server:
        assert await scored(server) == {}
    async with ModelServer(replying("", status=500), replying('{"value": 1}')) as server:
        assert (await scored(server))["own"] == -1


async def test_a_candidate_without_an_answer_is_the_worst_and_the_scorer_is_asked_about_the_baseline_only() -> None:
    async with ModelServer(by_length()) as server:
        assert await scored(server, candidate=None) == {"lost:own": 0, "own": -1}
    assert len(server.bodies) == 1


async def test_one_broken_connection_costs_nothing_and_two_make_the_unit_lost() -> None:
    async with ModelServer(cut, by_length()) as server:
        assert (await scored(server))["own"] == Fraction(2, 100)
    async with ModelServer(cut) as server:
        assert await scored(server) == {"lost:own": -1}


async def test_a_scorer_that_never_ends_its_reply_is_not_waited_for() -> None:
    async with ModelServer(endless(b" ", pause=0.05)) as server:
        assert await scored(server, seconds=0.3) == {"lost:own": -1}


async def test_any_answer_says_that_it_is_there() -> None:
    async with ModelServer(replying("what?", status=404)) as server, ContainerClient("own", server.address, timeout_seconds=1) as client:
        assert await client.ready()
    async with ContainerClient("own", server.address, timeout_seconds=1) as client:
        assert not await client.ready()
