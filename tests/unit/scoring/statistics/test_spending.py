"""Boundaries: all looks together err as often as stated."""

from collections.abc import Callable
from itertools import pairwise
from math import sqrt
from statistics import NormalDist

import numpy as np
import pytest

from sluice.scoring.statistics import spending
from sluice.scoring.statistics.engine import Design, Side, pool_levels
from sluice.scoring.statistics.looks import looks, slice_looks
from sluice.scoring.statistics.spending import boundaries, early, late

NORMAL = NormalDist()


def test_a_single_look_spends_everything_on_one_normal_quantile() -> None:
    assert boundaries((1.0,), (0.05,)) == pytest.approx((0.05,))


def test_two_independent_halves_follow_the_textbook() -> None:
    # Pocock's boundary for two equally spaced looks at 0.025: z = 2.178 at both.
    level = NORMAL.cdf(-2.178)
    first = level
    found = boundaries((0.5, 1.0), (first, 0.025))
    assert -NORMAL.inv_cdf(found[1]) == pytest.approx(2.178, abs=2e-3)


@pytest.mark.parametrize("spent", [early, late])
@pytest.mark.parametrize("planned", [50, 1000])
def test_paths_without_a_difference_cross_as_often_as_stated(planned: int, spent: Callable[[float], float]) -> None:
    times = tuple(count / planned for count in looks(planned))
    needed = [-NORMAL.inv_cdf(level) for level in boundaries(times, tuple(0.05 * spent(time) for time in times))]
    steps = np.sqrt(np.diff([0.0, *times]))
    walks = (np.random.default_rng(7).standard_normal((40_000, len(times))) * steps).cumsum(axis=1)
    crossed = (walks >= np.array(needed) * np.sqrt(times)).any(axis=1).mean()
    assert crossed == pytest.approx(0.05, abs=4 * sqrt(0.05 * 0.95 / 40_000))


@pytest.mark.parametrize("planned", [50, 20_000])
def test_levels_do_not_depend_on_how_finely_a_density_is_cut(planned: int, monkeypatch: pytest.MonkeyPatch) -> None:
    times = tuple(count / planned for count in looks(planned))
    alphas = tuple(0.05 * late(time) for time in times)
    found = boundaries(times, alphas)
    boundaries.cache_clear()
    nodes = np.polynomial.legendre.leggauss(241)
    monkeypatch.setattr(spending, "_legendre", lambda: nodes)
    finer = boundaries(times, alphas)
    boundaries.cache_clear()
    assert finer is not found
    assert found == pytest.approx(finer, rel=1e-6)


@pytest.mark.parametrize("spent", [early, late])
def test_spending_starts_at_nothing_ends_at_everything_and_never_takes_back(spent: Callable[[float], float]) -> None:
    share = [spent(time) for time in np.linspace(0, 1, 101)]
    assert share[0] == 0
    assert share[-1] == pytest.approx(1)
    assert all(later > earlier for earlier, later in pairwise(share))


def test_a_look_that_may_spend_nothing_rejects_nothing() -> None:
    assert boundaries((0.5, 1.0), (0.0, 0.05))[0] == 0.0


@pytest.mark.parametrize("planned", [1, 5, 10, 11, 50, 3000, 1_000_000])
def test_looks_increase_and_end_with_the_plan(planned: int) -> None:
    found = looks(planned)
    assert list(found) == sorted(set(found))
    assert found[-1] == planned
    assert set(slice_looks(planned)) <= set(found)
    assert slice_looks(planned)[-1] == planned


def test_no_look_comes_before_the_minimum() -> None:
    assert looks(1000, minimum=200)[0] >= 200


def test_a_plan_without_units_is_refused() -> None:
    with pytest.raises(ValueError, match="planned: 0"):
        looks(0)


def test_evidence_against_a_candidate_counts_early_and_evidence_for_it_late() -> None:
    design = Design(margin=0.02, false_roll_back=0.05, false_promotion=0.05, planned=1000)
    worse, within = (pool_levels(side, design) for side in (Side.WORSE, Side.WITHIN))
    tenth = next(place for place, count in enumerate(design.looks) if count >= 100)
    assert (worse[:tenth] > 5 * within[:tenth]).all()
    assert worse[-1] < within[-1]
