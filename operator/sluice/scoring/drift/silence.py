"""A monitor that says nothing is an alarm of its own: a detector without observations finds no change.

Only times, given as arguments. An observation from the future proves nothing about now, so it counts as silence: a clock that runs ahead must not
keep a dead monitor alive.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sluice.scoring.drift.refused import DriftRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """How often something is to be heard. Raises DriftRefused for a period or a number of periods that means nothing."""

    period: timedelta
    periods: float = 3.0
    """Silent for longer than so many periods is silence; less than 1 would call every pause silence."""

    def __post_init__(self) -> None:
        if self.period <= timedelta() or not 1 <= self.periods <= 1000:  # noqa: PLR2004 - a bound, so that nobody switches the alarm off with a large number
            raise DriftRefused(f"a period of {self.period} and {self.periods} periods mean nothing; the period is above 0, and periods are 1 to 1,000")


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Nothing was heard for too long."""

    since: datetime
    """The last observation, or the start."""
    due: datetime
    """When the next one was due at the latest."""
    from_the_future: bool = False
    """The last observation says that it was made after now."""


def silence(expected: Expectation, *, started: datetime, last: datetime | None, now: datetime) -> Silence | None:
    """Whether a monitor that `started`, perhaps not for the first time, and was heard at `last` (None for never) is silent at `now`."""
    since = started if last is None else max(started, last)
    due = since + expected.period * expected.periods
    if since > now + expected.period:
        return Silence(since=since, due=due, from_the_future=True)
    return Silence(since=since, due=due) if now > due else None
