"""The plain entry: what it says, what it refuses, and that what arrives later changes nothing."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sluice.scoring import Decision, decide

Floats = NDArray[np.float64]


def paired(seed: int, n: int, *, worse: float, better: float) -> Floats:
    """Yes-or-no answers of both: −1 where only the baseline is right, 1 where only the candidate is."""
    draw = np.random.default_rng(seed).random(n)
    return np.where(draw < worse, -1.0, np.where(draw < worse + better, 1.0, 0.0))


def test_a_gross_fault_is_rolled_back_within_a_few_hundred_pairs() -> None:
    decision, used = decide(paired(1, 3000, worse=0.125, better=0.025), margin=0.02, alpha=0.05, planned=3000)
    assert decision is Decision.ROLL_BACK
    assert used < 500


def test_the_same_answers_are_promoted_before_the_planned_end() -> None:
    decision, used = decide(np.zeros(3000), margin=0.02, alpha=0.05, planned=3000)
    assert decision is Decision.PROMOTE
    assert 100 < used < 500


def test_too_few_pairs_are_inconclusive() -> None:
    assert decide(np.zeros(20), margin=0.02, alpha=0.05, planned=3000) == (Decision.INCONCLUSIVE, 20)
    assert decide([], margin=0.02, alpha=0.05, planned=3000) == (Decision.INCONCLUSIVE, 0)


def test_a_candidate_that_does_not_answer_is_rolled_back() -> None:
    decision, used = decide(np.full(3000, np.nan), margin=0.02, alpha=0.05, planned=3000)
    assert decision is Decision.ROLL_BACK
    assert used < 30


def test_a_missing_answer_counts_as_the_worst() -> None:
    d = paired(2, 1000, worse=0.05, better=0.03)
    with_gaps, filled = d.copy(), d.copy()
    with_gaps[::17], filled[::17] = np.nan, -1.0
    assert decide(with_gaps, margin=0.02, alpha=0.05, planned=1000) == decide(filled, margin=0.02, alpha=0.05, planned=1000)


def test_pairs_beyond_the_plan_are_not_looked_at() -> None:
    d = paired(3, 5000, worse=0.05, better=0.05)
    assert decide(d, margin=0.0, alpha=0.05, planned=1000) == decide(d[:1000], margin=0.0, alpha=0.05, planned=1000)


def test_growing_prefixes_and_what_arrives_late_change_nothing() -> None:
    rng = np.random.default_rng(4)
    d, slices = paired(4, 240, worse=0.16, better=0.04), rng.integers(0, 4, 240).tolist()
    for part in (None, slices):
        final = decide(d, part, margin=0.02, alpha=0.05, planned=240)
        first = next(
            found
            for n in range(1, 241)
            if (found := decide(d[:n], part[:n] if part else None, margin=0.02, alpha=0.05, planned=240))[0] is not Decision.INCONCLUSIVE
        )
        assert first == final
        later = d.copy()
        later[final[1] :] = 1.0
        assert decide(later, part, margin=0.02, alpha=0.05, planned=240) == final


def test_a_slice_that_is_first_seen_later_does_not_change_what_was_decided_before() -> None:
    # None of the first 600 is in a slice; among those that are, everything is lost.
    d, slices = np.zeros(1000), [None] * 600 + ["rare"] * 400
    assert decide(d[:600], slices[:600], margin=0.02, alpha=0.05, planned=1000) == (Decision.INCONCLUSIVE, 600)
    assert decide(d, slices, margin=0.02, alpha=0.05, planned=1000) == (Decision.PROMOTE, 1000)
    d[600:] = -1.0
    assert decide(d, slices, margin=0.02, alpha=0.05, planned=1000)[0] is Decision.ROLL_BACK


def test_values_that_are_first_seen_later_do_not_change_an_earlier_look() -> None:
    # Mostly −0.05, rarely +1: until the first 1 is seen, the lattice that the values lie on is another one.
    early = np.where(np.random.default_rng(12).random(3000) < 0.02, 1.0, -0.05)
    decision, used = decide(early, margin=0.0, alpha=0.05, planned=3000)
    for value in (-0.05, 0.0, 0.123, 1.0, -1.0):
        later = early.copy()
        later[used:] = value
        assert decide(later, margin=0.0, alpha=0.05, planned=3000) == (decision, used)


def test_the_order_of_arrival_does_not_matter_when_the_rank_is_told() -> None:
    rng = np.random.default_rng(5)
    d, rank = paired(5, 1000, worse=0.08, better=0.03), np.arange(1000)
    # Failures take longer, so they arrive last: untold, that looks like a good candidate.
    late = np.argsort(d + rng.random(1000) * 0.1)[::-1]
    assert decide(d[late], margin=0.02, alpha=0.05, planned=1000)[0] is Decision.PROMOTE
    assert decide(d[late], margin=0.02, alpha=0.05, planned=1000, rank=rank[late]) == decide(d, margin=0.02, alpha=0.05, planned=1000)


def test_only_the_gapless_beginning_of_the_order_is_looked_at() -> None:
    d = np.zeros(1000)
    assert decide(d, margin=0.02, alpha=0.05, planned=1000, rank=np.arange(1000) + 1) == (Decision.INCONCLUSIVE, 0)


def test_repeats_of_a_prompt_count_once() -> None:
    once = paired(6, 60, worse=0.3, better=0.3)
    repeated = np.repeat(once, 20)
    assert decide(repeated, margin=0.0, alpha=0.05, planned=1200)[0] is not Decision.INCONCLUSIVE
    decision, _ = decide(repeated, margin=0.0, alpha=0.05, planned=1200, unit=np.repeat(np.arange(60), 20).tolist())
    assert decision is Decision.INCONCLUSIVE


def test_repeats_may_share_the_rank_of_their_unit() -> None:
    once = paired(9, 300, worse=0.15, better=0.05)
    repeated, units = np.repeat(once, 3), np.repeat(np.arange(300), 3)
    shuffled = np.random.default_rng(9).permutation(900)
    told = decide(repeated, margin=0.0, alpha=0.05, planned=900, unit=units.tolist())
    assert decide(repeated[shuffled], margin=0.0, alpha=0.05, planned=900, unit=units[shuffled].tolist(), rank=units[shuffled]) == told
    assert told[0] is Decision.ROLL_BACK


def test_labels_that_look_alike_are_two_slices() -> None:
    d = np.where(np.arange(400) % 2 == 0, -1.0, 1.0)
    told = decide(d, [1, "1"] * 200, margin=0.02, alpha=0.05, planned=400)
    assert told[0] is Decision.ROLL_BACK


def test_a_slice_that_is_ruined_rolls_back_what_the_pool_does_not_show() -> None:
    d, slices = paired(7, 4000, worse=0.04, better=0.04), (np.arange(4000) % 20).tolist()
    ruined = np.where((np.arange(4000) % 20 == 3) & (np.random.default_rng(7).random(4000) < 0.25), -1.0, d)
    assert decide(ruined, margin=0.02, alpha=0.05, planned=4000)[0] is not Decision.ROLL_BACK
    assert decide(ruined, slices, margin=0.02, alpha=0.05, planned=4000)[0] is Decision.ROLL_BACK
    assert decide(d, slices, margin=0.02, alpha=0.05, planned=4000) == (Decision.PROMOTE, 4000)


@pytest.mark.parametrize(("lost", "decision"), [(0, Decision.PROMOTE), (1, Decision.PROMOTE), (6, Decision.INCONCLUSIVE), (10, Decision.ROLL_BACK)])
def test_a_rare_slice_that_lost_many_of_its_few_cases_is_not_promoted(lost: int, decision: Decision) -> None:
    slices = ["rare" if place % 60 == 0 else "common" for place in range(600)]
    d = np.zeros(600)
    d[[place for place in range(600) if slices[place] == "rare"][:lost]] = -1.0
    assert decide(d, slices, margin=0.05, alpha=0.05, planned=600)[0] is decision


def test_labels_go_by_their_place_in_a_column_whose_rows_are_named_otherwise() -> None:
    class Column(list[str]):
        """Like a column of a table: `column[3]` is the row that is called 3, wherever it stands."""

        def __getitem__(self, name: object) -> str:  # type: ignore[override]
            return "row " + str(name)

    d = np.where(np.arange(400) % 2 == 0, -1.0, 1.0)
    plain = ["ruined", "fine"] * 200
    assert decide(d, Column(plain), margin=0.02, alpha=0.05, planned=400) == decide(d, plain, margin=0.02, alpha=0.05, planned=400)
    assert decide(d, plain, margin=0.02, alpha=0.05, planned=400)[0] is Decision.ROLL_BACK


def test_nan_is_no_slice() -> None:
    labels = np.where(np.arange(400) % 3 == 0, 1.0, np.nan)
    d = np.where(np.isnan(labels), 0.5, paired(13, 400, worse=0.3, better=0.05))
    none = [None if np.isnan(label) else 1 for label in labels]
    told = decide(d, labels, margin=0.02, alpha=0.05, planned=400)  # type: ignore[arg-type]
    assert told == decide(d, none, margin=0.02, alpha=0.05, planned=400)
    assert told[0] is Decision.ROLL_BACK


def test_pairs_may_be_in_no_slice() -> None:
    d = paired(8, 1000, worse=0.02, better=0.02)
    assert decide(d, [None] * 1000, margin=0.05, alpha=0.05, planned=1000)[0] is Decision.PROMOTE


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"d": [0.0, 1.5]}, r"d\[1\]: 1.5; a difference lies in \[-1, 1\]"),
        ({"d": [[0.0], [0.1]]}, r"shape \(2, 1\)"),
        ({"d": ["a", "b"]}, "d: could not convert string to float: 'a'; give one number for each pair"),
        ({"d": [[0.0], [0.1, 0.2]]}, "d: .*; give one number for each pair"),
        ({"d": [1j, 0.0]}, "d: .*; give one number for each pair"),
        ({"planned": 10.5}, "planned: 10.5; give a whole number"),
        ({"promotes_after": 0.5}, "promotes_after: 0.5; give a whole number"),
        ({"slices": 3}, "slices: 3; give one label for each pair"),
        ({"slices": [["a"], ["b"]]}, r"slices\[0\]: \['a'\]; a label is"),
        ({"unit": [float("nan"), 1]}, "unit: None"),
        ({"rank": [1, 1], "unit": ["a", "b"]}, "rank: 1 twice; only the repeats of a unit"),
        ({"rank": [1j, 2j]}, "one whole number"),
        ({"margin": 1.0}, "margin: 1.0"),
        ({"margin": -0.1}, "margin: -0.1"),
        ({"alpha": 0.5}, "alpha: 0.5; give an error rate"),
        ({"alpha": 0.0}, "alpha: 0.0; give an error rate"),
        ({"planned": 0}, "planned: 0"),
        ({"rank": [0, 0]}, "rank: 0 twice"),
        ({"rank": [-1, 0]}, "count from 0"),
        ({"rank": [0.5, 1.5]}, "one whole number"),
        ({"rank": [0]}, "rank: 1 entries for 2 pairs"),
        ({"slices": ["a"]}, "slices: 1 entries for 2 pairs"),
        ({"unit": ["a", None]}, "unit: None"),
        ({"unit": ["a"]}, "unit: 1 entries for 2 pairs"),
    ],
)
def test_what_is_out_of_range_is_named(change: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"d": [0.0, 0.0], "margin": 0.02, "alpha": 0.05, "planned": 10} | change
    with pytest.raises(ValueError, match=message):
        decide(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(("worse", "better", "margin"), [(0.055, 0.035, 0.02), (0.045, 0.045, 0.0), (0.02, 0.0, 0.02)])
def test_exactly_at_the_margin_neither_side_errs_more_often_than_stated(worse: float, better: float, margin: float) -> None:
    found = [decide(paired(seed, 600, worse=worse, better=better), margin=margin, alpha=0.05, planned=600)[0] for seed in range(300)]
    # 26 of 300 would happen by chance once in 250 tries if the rate were the stated one.
    assert found.count(Decision.ROLL_BACK) < 26
    assert found.count(Decision.PROMOTE) < 26
