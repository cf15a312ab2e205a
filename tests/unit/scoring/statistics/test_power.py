"""What a plan promises is what the engine does."""

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


def test_a_drop_in_one_slice_is_found_there() -> None:
    sliced = Setting(margin=0.05, alpha=0.05, planned=400, churn=0.05, slices=4)
    assert power(sliced, drop=0.6, one_slice=True, simulations=20).rolled_back == 1.0


@pytest.mark.parametrize(
    ("setting", "drop", "one_slice", "message"),
    [
        (SETTING, 2.0, False, "drop: 2.0"),
        (SETTING, 0.1, True, "slices: 0"),
        (Setting(margin=0.05, alpha=0.05, planned=300, churn=0.0), 0.1, False, "churn: 0.0"),
    ],
)
def test_what_cannot_be_simulated_is_named(setting: Setting, drop: float, one_slice: bool, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        power(setting, drop=drop, one_slice=one_slice)
