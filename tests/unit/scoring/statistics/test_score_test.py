"""The p-value: against the exact tail where that can be computed."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from sluice.scoring.statistics.score_test import closest_null, p_value

THREE = np.array([0, 500, 1000])
SEEN = [(0, 18, 2), (0, 14, 6), (0, 29, 4), (2, 85, 13), (0, 92, 8), (10, 460, 30), (40, 880, 80), (0, 4, 6), (100, 2780, 120), (1, 299, 0), (1, 398, 1)]


def p(values: NDArray[np.int64], seen: Sequence[float], mean: float) -> float:
    weights = np.array(seen, dtype=np.float64)
    return p_value(values[weights > 0], weights[weights > 0], unit=1000, null_mean=mean)


def exact_tail(null: NDArray[np.float64], n: int, at_least: int) -> float:
    """P(sum ≥ at_least) of n draws from 0, 1, 2, by convolution."""
    length = 2 * (2 * n + 1)
    sums = np.fft.irfft(np.fft.rfft(null, length) ** n, length)
    return float(sums[at_least : 2 * n + 1].sum())


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("mean", [0.49, 0.5, 0.51])
def test_the_tail_lies_between_reaching_and_passing_what_was_seen(seen: tuple[int, int, int], mean: float) -> None:
    n = sum(seen)
    found = p(THREE, seen, mean)
    if found == 1.0:
        assert (seen[1] + 2 * seen[2]) / (2 * n) <= mean
        return
    null = closest_null(THREE / 1000, np.array(seen) / n, mean)
    assert null @ THREE / 1000 == pytest.approx(mean, abs=1e-6)
    reached = exact_tail(null, n, seen[1] + 2 * seen[2])
    passed = exact_tail(null, n, seen[1] + 2 * seen[2] + 1)
    assert passed < found < reached * 1.03


def test_the_null_of_paired_proportions_is_the_one_of_tango() -> None:
    # Tango (1998): 13 against 2 discordant of 100, difference 0.02 allowed; his constrained estimate solves a quadratic.
    better, worse, n, delta = 13, 2, 100, 0.02
    a, b, c = 2 * n, -better - worse + (2 * n - better + worse) * delta, -worse * delta * (1 - delta)
    q = (np.sqrt(b * b - 4 * a * c) - b) / (2 * a)
    null = closest_null(THREE / 1000, np.array([worse, n - better - worse, better]) / n, 0.5 + delta / 2)
    assert null[0] == pytest.approx(q, abs=1e-6)
    assert null[2] == pytest.approx(q + delta, abs=1e-6)


def test_values_that_are_all_the_same_are_as_likely_as_never_seeing_the_worst() -> None:
    # The null that fits best sees 0 with probability 1/50; 300 times without it.
    assert p(np.array([500]), [300], 0.49) == pytest.approx((1 - 0.02) ** 300)


def test_no_failure_in_three_hundred_does_not_prove_less_than_one_in_a_hundred() -> None:
    assert p(np.array([1000]), [298], 0.99) > 0.05
    assert p(np.array([1000]), [299], 0.99) < 0.05


def test_a_mean_that_is_not_above_the_null_says_nothing() -> None:
    assert p(THREE, (5, 0, 5), 0.5) == 1.0


def test_more_of_the_same_is_more_surprising_and_a_higher_mean_less() -> None:
    assert p(THREE, (20, 850, 130), 0.5) < p(THREE, (2, 85, 13), 0.5) < p(THREE, (2, 85, 13), 0.51)


def test_values_between_weigh_as_much_as_their_mean_says() -> None:
    values, weights = np.array([0, 100, 333, 612, 1000]), np.array([3.0, 40, 30, 80, 10])
    found = p_value(values, weights, unit=1000, null_mean=0.415)
    null = closest_null(values / 1000, weights / weights.sum(), 0.415)
    draws = np.random.default_rng(5).multinomial(163, null, size=100_000) @ values
    simulated = (draws >= float(weights @ values)).mean()
    assert found == pytest.approx(simulated, rel=0.1)
