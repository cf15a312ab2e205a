"""Shards add up: however units are split, in whatever order they come, whatever is done twice."""

from __future__ import annotations

import asyncio
import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.scoring.answer import Answer, Failure, NoAnswer
from sluice.scoring.case import Case
from sluice.scoring.compare import Metrics
from sluice.scoring.plan import Plan
from sluice.scoring.scorers.score import Score
from sluice.scoring.tally import NotMergeable, ShardStatistics, merge, shares
from sluice.scoring.wire import as_json, look_as_json, read_statistics
from sluice.scoring.worker import Worker
from tests.unit.scoring.sides import METRICS, Reply, Side, cases, plan, said

GOOD, BAD, MISSING = said("yes"), said("no"), NoAnswer(failure=Failure.TIMEOUT, message="too late")
SCORED = Metrics(scorers={"accuracy": METRICS.scorers["accuracy"], "length": lambda _, answer: Score(value=min(1.0, len(answer.text) / 7))}, sums=METRICS.sums)


def run_shard(of: Plan, asked: list[Case], candidate: Side, baseline: Side, *, shard: int = 0) -> ShardStatistics:
    worker = Worker(of, asked, shard=shard, metrics=SCORED, candidate=candidate, baseline=baseline)
    asyncio.run(worker.run())
    return worker.statistics()


def replies(seed: int, asked: list[Case], repeats: int) -> dict[str, list[Reply]]:
    drawn = random.Random(seed)
    texts: list[Answer | NoAnswer] = [GOOD, BAD, said("maybe"), MISSING]
    return {case.id: drawn.choices(texts, weights=[6, 2, 1, 1], k=repeats) for case in asked}


# Each scores some hundred answers twice.
@settings(max_examples=50)
@given(st.integers(0, 2**53), st.integers(1, 80), st.integers(1, 9), st.integers(1, 3), st.integers(0, 1000))
def test_any_split_into_shards_in_any_order_adds_to_the_same(seed: int, planned: int, shards: int, repeats: int, answers_seed: int) -> None:
    asked = cases(planned + 5)
    drawn = random.Random(answers_seed)

    def sides() -> tuple[Side, Side]:
        return tuple(Side(replies(answers_seed + side, asked, repeats), pause=lambda _: drawn.randrange(4)) for side in (1, 2))  # type: ignore[return-value]

    whole = run_shard(plan(planned=planned, seed=seed, repeats=repeats), asked, *sides())
    of = plan(planned=planned, seed=seed, repeats=repeats, shards=shards)
    parts = [run_shard(of, asked, *sides(), shard=shard) for shard in range(shards)]
    drawn.shuffle(parts)
    merged = merge(parts, plan=of.digest, of=shards)
    assert merged.looks == whole.looks
    assert (merged.scored, merged.finished) == (planned, True)


@settings(max_examples=40)
@given(st.integers(1, 60), st.integers(1, 5), st.integers(0, 1000))
def test_a_shard_that_is_scored_again_with_the_same_answers_tells_the_same_bytes(planned: int, shards: int, seed: int) -> None:
    asked = cases(60)
    of = plan(planned=planned, shards=shards, repeats=2)
    shard = seed % shards
    pauses = random.Random(seed)

    def once() -> ShardStatistics:
        return run_shard(of, asked, *(Side(replies(seed + side, asked, 2), pause=lambda _: pauses.randrange(5)) for side in (1, 2)), shard=shard)

    statistics, again = once(), once()
    told = as_json(statistics, map(look_as_json, statistics.looks))
    assert told == as_json(again, map(look_as_json, again.looks))
    assert read_statistics(told, of.expected(shard)) == statistics


@given(st.fractions(min_value=-1, max_value=1))
def test_a_unit_weighs_one_and_keeps_its_difference(difference: Fraction) -> None:
    parts = shares(difference)
    assert sum(weight for _, weight in parts) == 1000
    assert all(-1000 <= point <= 1000 and weight > 0 for point, weight in parts)
    mean = Fraction(sum(point * weight for point, weight in parts), 1_000_000)
    assert abs(mean - difference) <= Fraction(1, 2_000_000)
    if difference * 1000 == int(difference * 1000):
        assert len(parts) == 1


@settings(max_examples=40)
@given((st.fractions(max_value=-1) | st.fractions(min_value=1)).filter(lambda difference: abs(difference) > 1))
def test_a_difference_out_of_bounds_is_refused(difference: Fraction) -> None:
    with pytest.raises(ValueError, match="a difference is in"):
        shares(difference)


def test_statistics_that_do_not_belong_together_are_not_added() -> None:
    asked = cases(20)
    of = plan(planned=20, shards=2)
    first, second = (run_shard(of, asked, Side(GOOD), Side(GOOD), shard=shard) for shard in range(2))
    other = run_shard(plan(planned=20, shards=2, seed=8), asked, Side(GOOD), Side(GOOD), shard=1)
    for together in ([first, first], [first, other], [first, second, second]):
        with pytest.raises(NotMergeable):
            merge(together, plan=of.digest, of=2)
    with pytest.raises(NotMergeable):
        merge([second], plan=of.digest, of=1)
    alone = merge([first], plan=of.digest, of=2)
    assert (alone.looks, alone.finished, alone.scored) == ((), False, 10)
