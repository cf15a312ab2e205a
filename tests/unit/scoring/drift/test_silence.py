"""Silence is an alarm: when, since when, and what does not count as a sign of life."""

from datetime import UTC, datetime, timedelta

import pytest

from sluice.scoring.drift.refused import DriftRefused
from sluice.scoring.drift.silence import Expectation, Silence, silence

START = datetime(2026, 11, 21, 9, tzinfo=UTC)
MINUTELY = Expectation(period=timedelta(minutes=1), periods=3)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


@pytest.mark.parametrize("now", [0, 10, 13])
def test_a_monitor_that_was_heard_in_time_is_not_silent(now: float) -> None:
    assert silence(MINUTELY, started=START, last=at(10) if now >= 10 else None, now=at(now)) is None


def test_a_monitor_is_silent_when_all_its_periods_have_passed() -> None:
    assert silence(MINUTELY, started=START, last=at(10), now=at(13.01)) == Silence(since=at(10), due=at(13))


def test_a_monitor_that_was_never_heard_is_silent_from_its_start() -> None:
    assert silence(MINUTELY, started=START, last=None, now=at(3.01)) == Silence(since=START, due=at(3))


def test_an_observation_from_the_future_is_no_sign_of_life() -> None:
    ahead = silence(MINUTELY, started=START, last=at(20), now=at(10))
    assert ahead is not None
    assert ahead.from_the_future


def test_a_clock_that_is_ahead_by_less_than_a_period_is_forgiven() -> None:
    assert silence(MINUTELY, started=START, last=at(10.9), now=at(10)) is None


@pytest.mark.parametrize(("seconds", "periods"), [(0, 3), (-1, 3), (60, 0.5), (60, 1e6), (60, float("nan"))])
def test_an_expectation_that_means_nothing_is_refused(seconds: float, periods: float) -> None:
    with pytest.raises(DriftRefused, match="mean nothing"):
        Expectation(period=timedelta(seconds=seconds), periods=periods)
