"""The engine, for any data: what it says depends on what it used, and on nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.scoring import Decision, decide
from sluice.scoring.statistics.engine import Design, Side, evaluate, side_p_value
from sluice.scoring.statistics.score_test import p_value
from sluice.scoring.statistics.series import Series

LATTICE = st.sampled_from([-1.0, -0.5, 0.0, 0.0, 0.0, 0.25, 1.0])
DIFFERENCES = st.lists(st.one_of(LATTICE, st.floats(-1, 1), st.just(float("nan"))), min_size=1, max_size=120)
# Of few lengths: each length that is planned has levels of its own, and to find them costs more than to decide.
LATTICES = st.sampled_from([30, 61, 97, 120]).flatmap(lambda n: st.lists(LATTICE, min_size=n, max_size=n))
MARGINS = st.sampled_from([0.0, 0.001, 0.02, 0.3, 0.9])


@given(LATTICES, MARGINS, st.data())
def test_a_decision_once_reached_is_the_decision_whatever_comes_later(d: list[float], margin: float, data: st.DataObject) -> None:
    slices = data.draw(st.one_of(st.none(), st.lists(st.sampled_from(["a", "b", None]), min_size=len(d), max_size=len(d))))
    planned = data.draw(st.sampled_from([len(d), 120, 200]))
    decision, used = decide(d, slices, margin=margin, alpha=0.1, planned=planned)
    if decision is Decision.INCONCLUSIVE:
        return
    later = [*d[:used], *data.draw(st.lists(LATTICE, max_size=40))]
    labels = None if slices is None else [*slices[:used], *["new"] * (len(later) - used)]
    assert decide(later, labels, margin=margin, alpha=0.1, planned=planned) == (decision, used)


@given(LATTICES, MARGINS, st.integers(0, 130))
def test_a_promotion_that_waits_is_no_likelier_and_no_rollback_is_later(d: list[float], margin: float, after: int) -> None:
    at_once, used = decide(d, margin=margin, alpha=0.1, planned=len(d))
    waited, used_then = decide(d, margin=margin, alpha=0.1, planned=len(d), promotes_after=after)
    if waited is Decision.PROMOTE:
        assert at_once is Decision.PROMOTE
        assert used_then >= max(used, min(after, len(d)))
    if at_once is Decision.ROLL_BACK:
        assert (waited, used_then) == (at_once, used)


@given(DIFFERENCES, MARGINS, st.randoms(use_true_random=False))
def test_the_order_of_arrival_says_nothing_when_the_rank_is_told(d: list[float], margin: float, random: object) -> None:
    order = list(range(len(d)))
    random.shuffle(order)  # type: ignore[attr-defined]
    arrived = [d[place] for place in order]
    assert decide(arrived, margin=margin, alpha=0.05, planned=len(d), rank=order) == decide(d, margin=margin, alpha=0.05, planned=len(d))


@given(DIFFERENCES, st.sampled_from([0.0, 0.1]))
def test_what_shows_that_it_is_worse_shows_the_other_way_round_that_it_is_better(d: list[float], margin: float) -> None:
    filled = np.where(np.isnan(d), -1.0, d)
    worse, better = (Series.arriving(values, np.zeros(len(d), dtype=np.int64), looks=1) for values in (filled, -filled))
    assert side_p_value(worse, Side.WORSE, margin, 0) == pytest.approx(side_p_value(better, Side.WITHIN, -margin, 0), rel=1e-9)


@given(
    st.dictionaries(st.integers(0, 200), st.integers(1, 50), min_size=1, max_size=12),
    st.floats(0.01, 0.99),
)
def test_a_p_value_is_a_probability(sample: dict[int, int], null_mean: float) -> None:
    values = sorted(sample)
    found = p_value(np.array(values), np.array([float(sample[value]) for value in values]), unit=200, null_mean=null_mean)
    assert 0.0 <= found <= 1.0


@given(
    st.lists(st.dictionaries(st.integers(-1000, 1000), st.integers(1, 9000), max_size=5), min_size=1, max_size=8),
    st.integers(2, 5),
    st.randoms(use_true_random=False),
)
def test_shards_that_add_up_to_the_same_counts_decide_the_same(looks: list[dict[int, int]], shards: int, random: object) -> None:
    design = Design(margin=0.02, false_roll_back=0.1, false_promotion=0.1, planned=200)
    rows = len(design.looks[: len(looks)])
    parts: list[list[dict[int, int]]] = [[{} for _ in range(rows)] for _ in range(shards)]
    for look, tally in enumerate(looks[:rows]):
        for value, weight in tally.items():
            cut = random.randint(0, weight)  # type: ignore[attr-defined]
            for shard, share in ((0, cut), (random.randrange(1, shards), weight - cut)):  # type: ignore[attr-defined]
                parts[shard][look][value] = parts[shard][look].get(value, 0) + share
    random.shuffle(parts)  # type: ignore[attr-defined]
    merged: list[dict[int, int]] = [{} for _ in range(rows)]
    for part in parts:
        for look, tally in enumerate(part):
            for value, weight in tally.items():
                merged[look][value] = merged[look].get(value, 0) + weight
    whole, added = Series.of(looks[:rows]), Series.of({value: weight for value, weight in tally.items() if weight} for tally in merged)
    assert evaluate(added, None, design) == evaluate(whole, None, design)
