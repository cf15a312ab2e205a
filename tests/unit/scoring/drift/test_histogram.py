"""Frozen bins: where they stand, what they count, and how they add up."""

import numpy as np
import pytest

from sluice.scoring.drift.histogram import EDGES_LIMIT, NAMES_LIMIT, Categories, Histogram, Numeric, empty, freeze_names, freeze_numbers
from sluice.scoring.drift.refused import DriftRefused


def test_a_bin_holds_its_upper_edge_as_a_prometheus_bucket_does() -> None:
    bins = Numeric(edges=(0.1, 0.5, 1.0))
    assert empty(bins).with_values([0.0, 0.1, 0.10001, 0.5, 1.0, 1.1, np.inf, -np.inf]).counts == (3, 2, 1, 2)


def test_quantile_bins_are_about_equally_full() -> None:
    reference = freeze_numbers(np.random.default_rng(1).standard_exponential(32_000))
    inner = np.array(reference.counts[2:-4])
    assert (abs(inner - 1000) <= 1).sum() >= 29
    assert reference.n == 32_000
    assert reference.counts[-1] == 0  # above everything seen


def test_an_outlier_in_the_reference_moves_no_other_edge() -> None:
    values = np.random.default_rng(1).standard_normal(10_000)
    with_outlier = values.copy()
    with_outlier[values.argmax()] = 1e9
    plain, stretched = freeze_numbers(values).bins, freeze_numbers(with_outlier).bins
    assert isinstance(plain, Numeric)
    assert isinstance(stretched, Numeric)
    assert stretched.edges[:-1] == plain.edges[:-1]


def test_equal_values_share_one_bin_of_their_own() -> None:
    reference = freeze_numbers([0.0] * 600 + list(range(1, 401)))
    assert isinstance(reference.bins, Numeric)
    assert (reference.bins.edges[0], reference.counts[0]) == (0.0, 600)


def test_the_most_frequent_names_have_bins_and_all_others_are_one() -> None:
    reference = freeze_names({f"tool-{i:03}": i + 1 for i in range(100)})
    assert isinstance(reference.bins, Categories)
    assert len(reference.bins.names) == NAMES_LIMIT
    assert reference.bins.names[0] == "tool-036"
    assert reference.counts[-1] == sum(range(1, 37))
    assert empty(reference.bins).with_values(["tool-099", "tool-000", "new"]).counts[-2:] == (1, 2)


def test_counts_of_two_replicas_are_the_counts_of_all() -> None:
    values = np.random.default_rng(1).standard_normal(1000)
    reference = freeze_numbers(values)
    nothing = empty(reference.bins)
    assert nothing.with_values(values[:300]) + nothing.with_values(values[300:]) == reference


def test_different_bins_are_not_added() -> None:
    with pytest.raises(DriftRefused, match="same frozen bins"):
        _ = empty(Numeric(edges=(1.0,))) + empty(Numeric(edges=(2.0,)))


@pytest.mark.parametrize("edges", [(), (1.0, 1.0), (2.0, 1.0), (float("inf"),), (float("nan"),), tuple(map(float, range(EDGES_LIMIT + 1)))])
def test_edges_that_are_no_edges_are_refused(edges: tuple[float, ...]) -> None:
    with pytest.raises(DriftRefused, match="edges"):
        Numeric(edges=edges)


@pytest.mark.parametrize("names", [(), ("b", "a"), ("a", "a"), ("x" * 254,), tuple(f"{i:03}" for i in range(NAMES_LIMIT + 1))])
def test_names_that_are_not_sorted_different_and_short_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(DriftRefused, match="names"):
        Categories(names=names)


@pytest.mark.parametrize("counts", [(1,), (1, -1), (1, 2, 3), (1, 2**60)])
def test_counts_that_do_not_fit_the_bins_are_refused(counts: tuple[int, ...]) -> None:
    with pytest.raises(DriftRefused, match="counts"):
        Histogram(bins=Numeric(edges=(1.0,)), counts=counts)


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [float("inf")]])
def test_a_reference_needs_finite_numbers(values: list[float]) -> None:
    with pytest.raises(DriftRefused, match="finite"):
        freeze_numbers(values)


@pytest.mark.parametrize("bins", [1, EDGES_LIMIT])
def test_more_bins_than_are_stored_are_refused(bins: int) -> None:
    with pytest.raises(DriftRefused, match="bins"):
        freeze_numbers([1.0, 2.0], bins=bins)
