"""What a plan promises is what the engine does."""

from dataclasses import replace
from typing import Any

import pytest

from sluice.scoring.statistics.power import Setting, power

SETTING = Setting(margin=0.05, alpha=0.05, planned=300, churn=0.1)


def test_a_large_drop_is_found_a_small_one_is_not_and_none_is_promoted() -> None:
    gross = power(SETTING, drop=0.3, simulations=40)
    assert gross.rolled_back == 1.0
    assert gross.median is not None
    assert gross.median < 100
    none = power(SETTING, drop=0.0, simulations=40)
    assert none.promoted > 0.5
    assert none.rolled_back <= 0.05


def test_shares_add_up_and_what_is_never_decided_has_no_median() -> None:
    edge = power(SETTING, drop=0.05, simulations=40)
    assert edge.promoted + edge.rolled_back + edge.inconclusive == pytest.approx(1)
    assert edge.inconclusive > 0.5
    assert edge.median is None


def test_a_minimum_time_delays_promotions_and_no_rollback() -> None:
    waits = replace(SETTING, promotes_after=250)
    assert power(waits, drop=0.3, simulations=40) == power(SETTING, drop=0.3, simulations=40)
    at_once, waited = (power(setting, drop=0.0, simulations=40) for setting in (SETTING, waits))
    assert at_once.median is not None
    assert waited.median is not None
    assert at_once.median < 250 <= waited.median
    assert waited.promoted <= at_once.promoted


def test_a_drop_in_one_slice_is_found_there() -> None:
    sliced = Setting(margin=0.05, alpha=0.05, planned=400, churn=0.05, slices=(1, 1, 1, 1))
    assert power(sliced, drop=0.6, only=0, simulations=20).rolled_back == 1.0


def test_the_same_drop_shows_in_a_large_slice_and_not_in_a_small_one() -> None:
    sliced = Setting(margin=0.05, alpha=0.05, planned=400, churn=0.05, slices=(95, 4, 1))
    large, small = (power(sliced, drop=0.6, only=only, simulations=20) for only in (0, 2))
    assert (large.share, small.share) == (0.95, 0.01)
    assert large.rolled_back == 1.0
    assert small.rolled_back < 0.5


@pytest.mark.parametrize(
    ("change", "drop", "only", "message"),
    [
        ({}, 2.0, None, "drop: 2.0"),
        ({}, 0.1, 0, "there are 0 slices"),
        ({"slices": (1, 2)}, 0.1, 2, "there are 2 slices"),
        ({"slices": (1, 0)}, 0.1, 0, "sizes above 0"),
        ({"churn": 0.0}, 0.1, None, "churn: 0.0"),
    ],
)
def test_what_cannot_be_simulated_is_named(change: dict[str, Any], drop: float, only: int | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        power(replace(SETTING, **change), drop=drop, only=only)
