"""Drift of a distribution: what is found, what it is called, and what is no drift."""

import numpy as np
import pytest

from sluice.scoring.drift.bets import Direction
from sluice.scoring.drift.distribution import DistributionDetector
from sluice.scoring.drift.envelope import envelope
from sluice.scoring.drift.histogram import empty, freeze_names, freeze_numbers
from sluice.scoring.drift.refused import DriftRefused
from sluice.scoring.drift.settings import Promise


def latencies(n: int, seed: int, *, factor: float = 1.0, spread: float = 0.5) -> np.ndarray:
    return factor * 400 * np.exp(spread * np.random.default_rng(seed).standard_normal(n))


LATENCY = DistributionDetector(reference=freeze_numbers(latencies(20_000, 1)), promise=Promise())
NOTHING = empty(LATENCY.reference.bins)
TOOLS = {"search": 5000, "read": 3000, "write": 1500, "send": 400, "pay": 100}
TOOL_MIX = DistributionDetector(reference=freeze_names(TOOLS), promise=Promise())


def calls(n: int, seed: int, **weights: float) -> list[str]:
    mix = {**TOOLS, **weights}
    shares = np.array(list(mix.values())) / sum(mix.values())
    return list(np.random.default_rng(seed).choice(list(mix), n, p=shares))


def test_the_same_latencies_are_no_drift() -> None:
    assert LATENCY.observe(LATENCY.start(), latencies(5000, 2)).alarm is None


def test_the_same_mix_of_tools_is_no_drift() -> None:
    assert TOOL_MIX.observe(TOOL_MIX.start(), calls(5000, 2)).alarm is None


@pytest.mark.parametrize(
    ("what", "after", "features", "direction", "within"),
    [
        ("30 % slower", latencies(2000, 3, factor=1.3), {"location"}, Direction.RISE, 200),
        ("30 % faster", latencies(2000, 3, factor=0.7), {"location"}, Direction.FALL, 200),
        ("as fast on average, less even", latencies(2000, 3, spread=0.8), {"spread", "low tail", "high tail"}, Direction.RISE, 200),
        ("one in twenty five times as slow", np.where(np.arange(2000) % 20 == 0, 5, 1) * latencies(2000, 3), {"high tail"}, Direction.RISE, 600),
        ("timeouts", np.where(np.arange(2000) % 20 == 0, np.inf, latencies(2000, 3)), {"high tail"}, Direction.RISE, 300),
        ("all the same", np.full(2000, 400.0), {"spread"}, Direction.FALL, 100),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_latencies_that_change_are_found_and_named(what: str, after: np.ndarray, features: set[str], direction: Direction, within: int) -> None:
    alarm = LATENCY.observe(LATENCY.observe(LATENCY.start(), latencies(500, 2)), after).alarm
    assert alarm is not None, what
    assert alarm.feature in features
    assert alarm.direction is direction
    assert 500 < alarm.at <= 500 + within


def test_a_tool_that_is_called_more_often_is_found_and_named() -> None:
    alarm = TOOL_MIX.observe(TOOL_MIX.start(), calls(2000, 3, pay=600)).alarm
    assert alarm is not None
    assert (alarm.feature, alarm.direction) == ("share of 'pay'", Direction.RISE)
    assert alarm.at < 500


def test_a_tool_that_was_never_seen_before_is_found_and_named() -> None:
    alarm = TOOL_MIX.observe(TOOL_MIX.start(), calls(2000, 3, delete_everything=500)).alarm
    assert alarm is not None
    assert (alarm.feature, alarm.direction) == ("share of other names", Direction.RISE)
    assert alarm.at < 500


def test_the_features_share_the_references_that_may_mislead() -> None:
    """Six shares of a mix, each wrong in a sixth of the stated 1 % of references: together at most 1 %."""
    search = next(feature for feature in TOOL_MIX.core.bets.features if feature.name == "share of 'search'")
    assert search.envelope == envelope(mean=0.5, variance=0.25 * 10_000 / 9_999, n=10_000, tolerance=0, error=0.01 / 6)


def test_of_two_kinds_one_is_watched() -> None:
    single = DistributionDetector(reference=freeze_names({"answered": 5000}), promise=Promise())
    assert [feature.name for feature in single.core.bets.features] == ["share of other names"]
    assert single.observe(single.start(), ["refused"] * 20).alarm is not None


def test_a_constant_reference_still_tells_more_from_less() -> None:
    hits = DistributionDetector(reference=freeze_numbers([0.0] * 5000), promise=Promise())
    assert hits.observe(hits.start(), [0.0] * 5000).alarm is None
    assert hits.observe(hits.start(), [1.0] * 20).alarm is not None


def test_counts_find_what_single_observations_find() -> None:
    slow = latencies(400, 3, factor=1.5)
    state = LATENCY.start()
    for begin in range(0, 400, 50):
        state = LATENCY.tally(state, NOTHING.with_values(slow[begin : begin + 50]))
    one_by_one = LATENCY.observe(LATENCY.start(), slow)
    assert state.alarm is not None
    assert one_by_one.alarm is not None
    assert state.alarm.feature == one_by_one.alarm.feature == "location"
    assert abs(state.alarm.at - one_by_one.alarm.at) <= 50


def test_counts_over_other_bins_are_refused() -> None:
    with pytest.raises(DriftRefused, match="bins of the reference"):
        LATENCY.tally(LATENCY.start(), TOOL_MIX.reference)


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(DriftRefused, match="observation 1 is not a number"):
        LATENCY.observe(LATENCY.start(), [1.0, float("nan")])


def test_a_state_of_another_reference_is_refused() -> None:
    other = DistributionDetector(reference=freeze_numbers(latencies(20_000, 2)), promise=Promise())
    with pytest.raises(DriftRefused, match="start anew"):
        other.observe(LATENCY.start(), [1.0])


def test_an_empty_reference_is_refused() -> None:
    with pytest.raises(DriftRefused, match="says nothing"):
        DistributionDetector(reference=NOTHING, promise=Promise())
