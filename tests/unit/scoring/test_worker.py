"""One shard: which question goes where, what is counted when, and what two runs have in common."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import pytest

from sluice.scoring import worker as module
from sluice.scoring.answer import Failure, NoAnswer
from sluice.scoring.case import Case
from sluice.scoring.compare import Metrics
from sluice.scoring.order import ask_seed, draw
from sluice.scoring.plan import Plan
from sluice.scoring.samples import FileSink, Keep
from sluice.scoring.scorers.latency import LatencySettings
from sluice.scoring.tally import Samples, ShardStatistics, merge
from sluice.scoring.wire import as_json, look_as_json, read_statistics
from sluice.scoring.worker import Worker
from tests.unit.scoring.sides import METRICS, TIMEOUT, UNREACHABLE, Reply, Side, cases, plan, said

YES, NO = said("yes"), said("no")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_AFTER_SECONDS", 0.0)


def answers(asked: Sequence[Case], *, wrong: int = 5) -> Mapping[str, Sequence[Reply]]:
    """Every `wrong`-th case in the order of the file gets a wrong answer."""
    return {case.id: [NO if index % wrong == 0 else YES] for index, case in enumerate(asked)}


async def scored(of: Plan, asked: Sequence[Case], candidate: Side, baseline: Side, *, shard: int = 0, metrics: Metrics = METRICS) -> ShardStatistics:
    worker = Worker(of, asked, shard=shard, metrics=metrics, candidate=candidate, baseline=baseline)
    await worker.run()
    return worker.statistics()


def written(statistics: ShardStatistics) -> bytes:
    return as_json(statistics, map(look_as_json, statistics.looks))


async def test_everything_planned_is_counted_at_the_look_of_its_rank() -> None:
    asked = cases(60)
    of = plan(planned=40)
    statistics = await scored(of, asked, Side(answers(asked)), Side(YES))
    assert (statistics.scored, statistics.of, statistics.finished) == (40, 40, True)
    assert [look.units for look in statistics.looks] == [b - a for a, b in zip((0, *of.looks), of.looks, strict=False)]
    wrong = {case.id for case in asked[::5]}
    for look, (start, end) in zip(statistics.looks, zip((0, *of.looks), of.looks, strict=False), strict=True):
        drawn = draw(asked, seed=of.seed, planned=of.planned)[start:end]
        expected = sum(case.id in wrong for case in drawn)
        tally = look.tallies["accuracy"]["all"]
        assert tally.get(-1000, 0) == expected * 1000
        assert tally.get(0, 0) == (len(drawn) - expected) * 1000
        for region in ("DACH", "EMEA"):
            inside = [case for case in drawn if case.slices["region"] == region]
            assert sum(look.tallies["accuracy"].get(f"region={region}", {}).values()) == len(inside) * 1000


async def test_shards_together_say_what_one_would_have_said() -> None:
    asked = cases(60)
    whole = await scored(plan(planned=40), asked, Side(answers(asked)), Side(YES))
    parts = [await scored(plan(planned=40, shards=3), asked, Side(answers(asked)), Side(YES), shard=shard) for shard in range(3)]
    merged = merge(parts, plan=parts[0].plan, of=3)
    assert merged.looks == whole.looks
    assert merged.gates == whole.gates == {"exfiltration": 0}
    assert merged.finished


async def test_the_first_answer_that_is_missing_says_why() -> None:
    asked = cases(60)
    drawn = draw(asked, seed=plan(planned=40).seed, planned=40)
    silent: Mapping[str, Sequence[Reply]] = {drawn[index].id: [NoAnswer(failure=Failure.REFUSED, message=f"answered 404: {index}")] for index in (7, 8, 9)}
    parts = [
        await scored(plan(planned=40, shards=3), asked, Side({**answers(asked), **silent}, pause=lambda case: 60 - int(case[2:])), Side(YES), shard=shard)
        for shard in range(3)
    ]
    # Ranks 9, 7 and 8: the first of each shard, and of the shards that have one, the first.
    assert [part.why["candidate"][-1] for part in parts] == ["9", "7", "8"]
    merged = merge(parts[::-1], plan=parts[0].plan, of=3)
    assert [str(side) for side in merged.missing] == ["no answer of the candidate to 3 of 40 questions; the first: answered 404: 9"]
    assert merge([await scored(plan(planned=40), asked, Side(answers(asked)), Side(YES))], plan=plan(planned=40).digest, of=1).missing == ()


async def test_the_same_answers_give_the_same_bytes_however_they_arrive() -> None:
    asked = cases(60)
    quick_first = await scored(plan(), asked, Side(answers(asked), pause=lambda case: int(case[2:])), Side(YES))
    slow_first = await scored(plan(concurrency=13), asked, Side(answers(asked), pause=lambda case: 60 - int(case[2:])), Side(YES, pause=lambda _: 3))
    assert written(dataclasses.replace(slow_first, plan=quick_first.plan)) == written(quick_first)


async def test_a_look_is_told_only_when_all_before_it_is_counted() -> None:
    asked = cases(40)
    of = plan(planned=40, concurrency=40)
    first = draw(asked, seed=of.seed, planned=40)[0].id
    gate = asyncio.Event()

    class Slow(Side):
        async def ask(self, case: Case, *, seed: int) -> Reply:
            if case.id == first:
                await gate.wait()
            return await super().ask(case, seed=seed)

    worker = Worker(of, asked, shard=0, metrics=METRICS, candidate=Slow(said("secret")), baseline=Side(YES))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(worker.run())
        for _ in range(500):
            await asyncio.sleep(0)
        held = worker.statistics()
        assert (held.scored, held.looks, held.finished) == (0, (), False)
        # What no comparison excuses does not wait.
        assert held.gates == {"exfiltration": 39}
        gate.set()
        await running
    assert worker.statistics().gates == {"exfiltration": 40}
    assert len(worker.statistics().looks) == len(of.looks)


async def test_both_sides_are_asked_with_one_seed_and_take_turns_to_be_first() -> None:
    asked = cases(200)
    journal: list[str] = []
    candidate, baseline = Side(YES, journal=journal, name="c"), Side(YES, journal=journal, name="b")
    await scored(plan(planned=200, concurrency=1, repeats=2), asked, candidate, baseline)
    assert sorted(candidate.asked) == sorted(baseline.asked) == sorted((case.id, ask_seed(7, case.id, repeat)) for case in asked for repeat in range(2))
    pairs = [tuple(journal[index : index + 2]) for index in range(0, len(journal), 2)]
    assert all(first.split()[1] == second.split()[1] for first, second in pairs)
    assert 140 < sum(first.startswith("c") for first, _ in pairs) < 260


async def test_no_more_cases_than_allowed_are_asked_at_a_time() -> None:
    now, most = 0, 0

    class Counting(Side):
        async def ask(self, case: Case, *, seed: int) -> Reply:
            nonlocal now, most
            now, most = now + 1, max(most, now + 1)
            reply = await super().ask(case, seed=seed)
            now -= 1
            return reply

    counting = Counting(YES, pause=lambda _: 3)
    await scored(plan(concurrency=3, repeats=2), cases(60), counting, counting)
    assert most == 3


async def test_a_unit_that_takes_long_lets_only_so_many_others_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AHEAD", 3)
    asked = cases(40)
    of = plan(planned=40, concurrency=2)
    first = draw(asked, seed=of.seed, planned=40)[0].id
    gate = asyncio.Event()

    class Slow(Side):
        async def ask(self, case: Case, *, seed: int) -> Reply:
            if case.id == first:
                await gate.wait()
            return await super().ask(case, seed=seed)

    candidate = Slow(YES)
    worker = Worker(of, asked, shard=0, metrics=METRICS, candidate=candidate, baseline=Side(YES))
    running = asyncio.create_task(worker.run())
    for _ in range(500):
        await asyncio.sleep(0)
    assert len(candidate.asked) == 5
    gate.set()
    await running
    assert len(candidate.asked) == 40


async def test_a_lost_connection_is_tried_again_once_for_either_side_and_other_failures_stand() -> None:
    asked = cases(20)
    flaky: Mapping[str, Sequence[Reply]] = {case.id: [UNREACHABLE, YES] for case in asked}
    of = plan(planned=20)
    both = await scored(of, asked, Side(flaky), Side(flaky))
    assert both.looks[-1].tallies["accuracy"]["all"] == {0: both.looks[-1].units * 1000}
    assert sum(look.sums["candidate"]["Retried"] for look in both.looks) == 20
    late = await scored(of, asked, Side({case.id: [TIMEOUT, YES] for case in asked}), Side(YES))
    assert late.looks[0].tallies["accuracy"]["all"] == {-1000: late.looks[0].units * 1000}


async def test_who_stays_away_twice_counts_and_without_the_baseline_there_is_no_pair() -> None:
    asked = cases(20)
    candidate, gone = Side(UNREACHABLE), Side(UNREACHABLE)
    lost = await scored(plan(planned=20), asked, candidate, Side(YES))
    assert len(candidate.asked) == 40
    assert all(look.tallies["accuracy"]["all"] == {-1000: look.units * 1000} and look.void == 0 for look in lost.looks)
    void = await scored(plan(planned=20), asked, Side(UNREACHABLE), gone)
    assert all(look.tallies == {} and look.void == look.units for look in void.looks)
    assert void.finished


async def test_the_first_units_ask_the_baseline_twice() -> None:
    asked = cases(40)
    baseline = Side(YES)
    statistics = await scored(plan(planned=40, noise_units=12), asked, Side(YES), baseline)
    assert len(baseline.asked) == 52
    assert sum(sum(look.tallies.get("noise:accuracy", {}).get("all", {}).values()) for look in statistics.looks) == 12_000


async def test_a_latency_without_a_limit_is_counted_when_the_baseline_has_fixed_one() -> None:
    asked = cases(100)
    of = plan(planned=100, noise_units=60, concurrency=2)
    metrics = Metrics(timings={"latency": LatencySettings(limit_seconds=None, quantile=0.9, tolerance=0.1, confidence=0.95)})
    slow = {case.id: [said("yes", seconds=0.2 if index % 2 else 0.1)] for index, case in enumerate(asked)}
    statistics = await scored(of, asked, Side(slow), Side(said("yes", seconds=0.1)), metrics=metrics)
    total: dict[int, int] = {}
    for look in statistics.looks:
        for point, weight in look.tallies["latency"]["all"].items():
            total[point] = total.get(point, 0) + weight
    assert total == {-1000: 50_000, 0: 50_000}


async def test_a_latency_limit_that_the_baseline_cannot_fix_counts_no_unit_and_ends_all_the_same() -> None:
    metrics = Metrics(timings={"latency": LatencySettings(limit_seconds=None, quantile=0.99, tolerance=0.1, confidence=0.95)})
    statistics = await scored(plan(planned=20, noise_units=10), cases(20), Side(YES), Side(YES), metrics=metrics)
    assert statistics.finished
    assert all(look.tallies == {} for look in statistics.looks)


async def test_a_side_that_never_gets_ready_is_named_and_asked_anyway(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    candidate = Side(TIMEOUT)
    candidate.is_ready = False
    worker = Worker(plan(planned=20), cases(20), shard=0, metrics=METRICS, candidate=candidate, baseline=Side(YES), ready_seconds=0.01)
    await worker.run()
    assert worker.statistics().finished
    assert "waiting for the candidate, 0 s at most" in caplog.text, "who looks at it meanwhile knows why nothing happens"
    assert "not ready after 0 s: the candidate; asking anyway" in caplog.text


async def test_a_shard_without_units_is_finished_at_once_and_holds_nobody_up() -> None:
    of = plan(planned=20, shards=64)
    parts = [await scored(of, cases(20), Side(YES), Side(YES), shard=shard) for shard in range(64)]
    merged = merge(parts, plan=of.digest, of=64)
    assert (merged.scored, merged.of, merged.finished) == (20, 20, True)
    assert sum(look.units for look in merged.looks) == 20


async def test_what_is_told_is_what_the_plan_expects() -> None:
    asked = cases(60)
    of = plan(planned=50, shards=3, repeats=3, noise_units=5)
    statistics = await scored(of, asked, Side(answers(asked)), Side(YES), shard=1)
    assert read_statistics(written(statistics), of.expected(1)) == statistics


async def test_samples_are_in_rank_order_and_hold_digests_of_answers(tmp_path: Path) -> None:
    asked = cases(30)
    of = plan(planned=20, concurrency=7)
    worker = Worker(
        of, asked, shard=0, metrics=METRICS, candidate=Side(said("secret"), pause=lambda case: 40 - int(case[2:])), baseline=Side(TIMEOUT),
        sink=FileSink(tmp_path / "samples.jsonl"),
    )  # fmt: skip
    await worker.run()
    raw = (tmp_path / "samples.jsonl").read_bytes()
    lines = [json.loads(line) for line in raw.splitlines()]
    assert [line["rank"] for line in lines] == list(range(20))
    assert [line["case"] for line in lines] == [case.id for case in draw(asked, seed=of.seed, planned=20)]
    told = lines[0]["repeats"][0]
    assert told["baseline"] == {"failure": "Timeout", "message": "too late", "retries": 0}
    assert told["hits"] == {"exfiltration": [{"what": "the word", "where": "text"}]}
    assert "secret" not in raw.decode()
    samples = worker.statistics().samples
    assert samples is not None
    assert samples.digest == "sha256:" + hashlib.sha256(raw).hexdigest()
    assert samples.uri == (tmp_path / "samples.jsonl").as_uri()
    assert os.listdir(tmp_path) == ["samples.jsonl"]  # noqa: PTH208 - nothing else is left behind


async def test_samples_can_be_seen_while_they_are_written_and_end_where_they_must(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "samples.jsonl", limit=10)
    sink.write(b"12345")
    with sink.so_far() as early:
        assert early.read() == b"12345\n"
    sink.write(b"1234")
    sink.write(b"1")
    with sink.so_far() as meanwhile:
        found = sink.finish()
        assert meanwhile.read() == b"12345\n", "what was opened stays, whatever its name is by now"
    with sink.so_far() as late:
        assert late.read() == b"12345\n"
    assert found.digest == "sha256:" + hashlib.sha256(b"12345\n").hexdigest()


async def test_samples_can_be_seen_between_their_last_line_and_their_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = FileSink(tmp_path / "samples.jsonl")
    sink.write(b"12345")
    seen: list[bytes] = []

    def look() -> None:
        with sink.so_far() as file:
            seen.append(file.read())

    def named(partial: Path, path: Path) -> None:
        look()
        partial.rename(path)
        look()

    monkeypatch.setattr(Path, "replace", named)
    sink.finish()
    assert seen == [b"12345\n", b"12345\n"]


async def test_texts_are_kept_where_that_is_asked_for(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "samples.jsonl")
    worker = Worker(plan(planned=2), cases(2), shard=0, metrics=METRICS, candidate=Side(said("ye\ud800s")), baseline=Side(YES), sink=sink, keep=Keep.TEXTS)
    await worker.run()
    line = json.loads((tmp_path / "samples.jsonl").read_bytes().splitlines()[0])
    assert line["repeats"][0]["baseline"]["text"] == "yes"
    assert line["repeats"][0]["candidate"]["text"] == "ye\ud800s"


async def test_a_scorer_that_cannot_write_its_samples_ends_with_that_error() -> None:
    class Full:
        def write(self, line: bytes) -> None:
            raise OSError(28, f"no space left for {len(line)} bytes")

        def finish(self) -> Samples:
            raise AssertionError("it went on")

        def so_far(self) -> BinaryIO:
            raise AssertionError("nobody asked")

    worker = Worker(plan(), cases(40), shard=0, metrics=METRICS, candidate=Side(YES), baseline=Side(YES), sink=Full())
    with pytest.raises(OSError, match="no space left"):
        await worker.run()
    assert not worker.statistics().finished
