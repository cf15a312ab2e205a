"""The order of units is fixed by the seed alone."""

from __future__ import annotations

import hashlib
import random

from sluice.scoring.case import Case, Prompt
from sluice.scoring.order import ask_seed, candidate_first, draw, of_shard

CASES = [Case(id=f"c-{number}", input=Prompt(text="p")) for number in range(200)]


def ids(cases: tuple[Case, ...]) -> list[str]:
    return [case.id for case in cases]


def test_the_order_is_that_of_sha_256_over_purpose_seed_and_id() -> None:
    by_hash = sorted((hashlib.sha256(f"order:7:{case.id}".encode()).digest(), case.id) for case in CASES)
    assert ids(draw(CASES, seed=7, planned=200)) == [name for _, name in by_hash]


def test_the_order_of_the_file_does_not_matter() -> None:
    shuffled = CASES.copy()
    random.Random(1).shuffle(shuffled)
    assert draw(shuffled, seed=7, planned=50) == draw(CASES, seed=7, planned=50)


def test_another_seed_draws_another_order() -> None:
    assert draw(CASES, seed=8, planned=50) != draw(CASES, seed=7, planned=50)


def test_a_larger_plan_begins_with_the_smaller_one() -> None:
    assert draw(CASES, seed=7, planned=120)[:50] == draw(CASES, seed=7, planned=50)


def test_at_most_all_cases_are_drawn_each_once() -> None:
    drawn = ids(draw(CASES, seed=7, planned=1000))
    assert sorted(drawn) == sorted(case.id for case in CASES)


def test_shards_share_the_ranks_without_overlap() -> None:
    drawn = draw(CASES, seed=7, planned=50)
    parts = [of_shard(drawn, shard=shard, shards=4) for shard in range(4)]
    assert sorted(rank for part in parts for rank, _ in part) == list(range(50))
    assert all(rank % 4 == shard for shard, part in enumerate(parts) for rank, _ in part)
    assert all(drawn[rank] is case for part in parts for rank, case in part)


def test_about_half_of_the_pairs_begin_with_the_candidate() -> None:
    first = sum(candidate_first(7, case.id, repeat) for case in CASES for repeat in range(5))
    assert 420 < first < 580


def test_both_sides_of_a_pair_share_a_seed_and_repeats_do_not() -> None:
    seeds = {ask_seed(7, case.id, repeat) for case in CASES for repeat in range(5)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert ask_seed(7, "c-1", 0) == ask_seed(7, "c-1", 0)
