"""Distances from histograms: the values of the definitions."""

import numpy as np
import pytest

from sluice.scoring.drift.distances import distances
from sluice.scoring.drift.histogram import Histogram, Numeric, empty, freeze_names, freeze_numbers
from sluice.scoring.drift.refused import DriftRefused

RNG = np.random.default_rng(4)
REFERENCE_VALUES = RNG.standard_normal(50_000)
REFERENCE = freeze_numbers(REFERENCE_VALUES)


def window(values: np.ndarray) -> Histogram:
    return empty(REFERENCE.bins).with_values(values)


def test_a_reference_is_no_distance_from_itself() -> None:
    report = distances(REFERENCE, REFERENCE)
    assert (report.psi, report.js, report.ks, report.w1) == (0, 0, 0, 0)


def test_of_two_halves_everything_follows_from_the_definitions() -> None:
    bins = Numeric(edges=(0.0, 10.0))
    report = distances(Histogram(bins=bins, counts=(400_000, 600_000, 0)), Histogram(bins=bins, counts=(600_000, 400_000, 0)))
    assert report.psi == pytest.approx(2 * 0.2 * np.log(1.5), rel=1e-4)
    assert report.js == pytest.approx((0.4 * np.log2(0.8) + 0.6 * np.log2(1.2)) ** 0.5, rel=1e-3)
    assert report.psi_unchanged == pytest.approx(2 * 2e-6)  # three bins, a million observations on either side
    assert report.ks == pytest.approx(0.2)
    assert report.w1 == pytest.approx(10 * 0.2 / 2)  # the gap closes evenly between the edges


def test_a_shift_is_its_own_wasserstein_distance() -> None:
    report = distances(REFERENCE, window(REFERENCE_VALUES + 0.3))
    assert report.w1 == pytest.approx(0.3, rel=0.03)
    exact = max(abs((x >= REFERENCE_VALUES).mean() - (x >= REFERENCE_VALUES + 0.3).mean()) for x in np.linspace(-1, 1, 201))
    assert report.ks == pytest.approx(exact, abs=0.01)


def test_one_outlier_hides_nothing() -> None:
    shifted = window(np.append(REFERENCE_VALUES[:5000] + 0.5, 1e12))
    assert distances(REFERENCE, shifted).psi == pytest.approx(distances(REFERENCE, window(REFERENCE_VALUES[:5000] + 0.5)).psi, rel=0.01)


def test_the_figure_beside_psi_is_what_psi_is_when_nothing_has_changed() -> None:
    reports = [distances(REFERENCE, window(RNG.standard_normal(2000))) for _ in range(200)]
    # The bin above everything that was seen is empty in both, and adds nothing.
    assert np.mean([report.psi for report in reports]) == pytest.approx(reports[0].psi_unchanged, rel=0.1)


def test_names_have_no_order_and_so_no_ks_or_w1() -> None:
    mix = freeze_names({"search": 50, "read": 50})
    report = distances(mix, empty(mix.bins).with_values(["send"] * 50))
    assert (report.ks, report.w1) == (None, None)
    assert np.isfinite(report.psi)
    assert 0.8 < report.js <= 1


def test_an_empty_window_has_no_distance() -> None:
    with pytest.raises(DriftRefused, match="empty"):
        distances(REFERENCE, empty(REFERENCE.bins))


def test_other_bins_are_not_compared() -> None:
    with pytest.raises(DriftRefused, match="same frozen bins"):
        distances(REFERENCE, empty(Numeric(edges=(1.0,))))
