"""Samples are kept after a decision, for a bounded time, and whatever becomes of them changes nothing else."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping

import pytest

from sluice.cluster.resource import JOBS
from sluice.controller import canary_samples
from sluice.controller.canary_inputs import end_token
from sluice.controller.canary_samples import ATTEMPTS
from sluice.controller.samples_places import NotKept
from tests.unit.controller.samples_bench import NAME, NAMESPACE, Bench, Object

LINES = {0: b'{"rank":0}\n', 1: b'{"rank":1}\n'}
URL = "oci://r.example.com/ml/samples@sha256:" + "a" * 64


class Shelf:
    """A place that keeps what it is given, unless it refuses."""

    def __init__(self) -> None:
        self.kept: list[tuple[bytes, str, int]] = []
        self.asked = 0
        self.refuses = ""

    async def put(self, content: bytes, *, run: str, shards: int) -> str:
        self.asked += 1
        if self.refuses:
            raise NotKept(self.refuses)
        self.kept.append((content, run, shards))
        return URL


class Shelved(Bench):
    """Whose samples go to a shelf."""

    def __init__(self, lines: Mapping[int, bytes | None] = LINES) -> None:
        self.shelf = Shelf()
        super().__init__(lines, self.shelf)


async def test_what_all_shards_kept_is_one_object_that_the_run_names() -> None:
    bench = Shelved()
    assert await bench.keep()
    assert bench.shelf.kept == [(LINES[0] + LINES[1], f"{NAMESPACE}/{NAME}", 2)]
    assert bench.status["samples"] == {"digest": "sha256:" + hashlib.sha256(LINES[0] + LINES[1]).hexdigest(), "uri": URL}
    assert bench.status["decision"] == "Promote"
    assert bench.scorers.tokens == {end_token(bench.run)}
    assert await bench.keep()
    assert bench.shelf.asked == 1, "it was kept twice"


async def test_half_a_line_at_the_end_of_a_shard_is_left_out() -> None:
    bench = Shelved({0: LINES[0] + b'{"ra', 1: LINES[1]})
    assert await bench.keep()
    assert bench.shelf.kept[0][0] == LINES[0] + LINES[1]


async def test_a_shard_that_says_nothing_is_left_out() -> None:
    bench = Shelved({0: None, 1: LINES[1]})
    assert await bench.keep()
    assert bench.shelf.kept == [(LINES[1], f"{NAMESPACE}/{NAME}", 1)]


async def test_an_upload_that_fails_is_tried_some_times_and_then_told_and_the_decision_stands() -> None:
    bench = Shelved()
    bench.shelf.refuses = "r.example.com answers 503"
    assert [await bench.keep() for _ in range(ATTEMPTS + 1)] == [False] * (ATTEMPTS - 1) + [True] * 2
    assert bench.shelf.asked == ATTEMPTS
    assert (bench.status["decision"], "samples" in bench.status) == ("Promote", False)
    assert ["answers 503" in event["note"] for event in bench.events] == [True]


async def test_scorers_that_never_finish_keep_nothing_of_a_run_from_being_tidied_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_pod: Object, *, token: str, limit: int) -> bytes | None:
        await asyncio.Event().wait()
        raise AssertionError(token, limit)

    bench = Shelved()
    monkeypatch.setattr(canary_samples, "FETCH_SECONDS", 0.01)
    monkeypatch.setattr(bench.scorers, "samples", never)
    assert await bench.keep()
    assert bench.shelf.kept == []


async def test_without_a_place_or_without_scorers_nobody_is_asked_for_anything() -> None:
    nowhere, gone = Bench(LINES, None), Shelved()
    del gone.client.objects[JOBS.path(NAMESPACE, f"{NAME}-scorer")]
    for bench in (nowhere, gone, Shelved({0: None})):
        assert await bench.keep()
        assert "samples" not in bench.status
    assert gone.shelf.asked == 0
    assert nowhere.scorers.tokens == gone.scorers.tokens == set()
