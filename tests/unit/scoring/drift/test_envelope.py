"""The bounds of the reference: right as often as they say, and as narrow as they can be."""

from math import comb

import numpy as np
import pytest

from sluice.scoring.drift.envelope import envelope
from sluice.scoring.drift.mean import MeanReference


def of(reference: MeanReference, *, tolerance: float = 0.0, error: float = 0.05) -> tuple[float, float]:
    bounds = envelope(mean=reference.mean, variance=reference.variance, n=reference.n, tolerance=tolerance, error=error)
    return bounds.low, bounds.high


@pytest.mark.parametrize("truth", [0.002, 0.02, 0.1, 0.5, 0.97])
def test_of_all_references_at_most_the_stated_share_misleads(truth: float) -> None:
    n = 300
    misled = 0.0
    for events in range(n + 1):
        low, high = of(MeanReference.of_counts(events, n))
        if not low <= truth <= high:
            misled += comb(n, events) * truth**events * (1 - truth) ** (n - events)
    assert misled <= 0.05


def test_scores_with_little_variance_have_narrower_bounds_than_yes_or_no_with_the_same_mean() -> None:
    scores = MeanReference.of(np.random.default_rng(1).beta(75, 25, 5000))
    low, high = of(scores)
    yes_low, yes_high = of(MeanReference.of_counts(round(scores.mean * 5000), 5000))
    assert high - low < (yes_high - yes_low) / 2


def test_more_observations_narrow_the_bounds_by_the_square_root_of_their_number() -> None:
    widths = [high - low for low, high in (of(MeanReference.of_counts(n // 10, n)) for n in (10_000, 1_000_000))]
    assert widths[0] / widths[1] == pytest.approx(10, rel=0.02)


def test_the_tolerance_comes_on_top_on_both_sides_and_ends_at_0_and_1() -> None:
    reference = MeanReference.of_counts(300, 1000)
    low, high = of(reference)
    assert of(reference, tolerance=0.05) == (low - 0.05, high + 0.05)
    assert of(reference, tolerance=0.8) == (0.0, 1.0)


def test_a_reference_without_an_event_does_not_claim_that_there_are_none() -> None:
    low, high = of(MeanReference.of_counts(0, 1000))
    assert low == 0
    assert 0.003 < high < 0.006  # the rule of three, and what the second bound costs
