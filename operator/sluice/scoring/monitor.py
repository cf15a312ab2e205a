"""After release: what a monitor is, what it takes in, and what it asks for.

A monitor joins a source (a probe suite on a schedule, answers that users got, a Prometheus query), a drift detector, and what an alarm asks for.
Only values and times go in, and findings come out; who asks the source, keeps the state and acts is elsewhere. Findings are computed from the state
whenever somebody looks, so a process that died between an alarm and the action finds the alarm again.

Two rules stand for all monitors. What was taken in is never taken in again: a reading that is no newer than the last one changes nothing, so a source
may be read as often as one likes, and one that repeats itself falls silent. And silence never rolls back: it is no evidence against the release, and
an outage of Prometheus would take every release out of service at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import ConfigDict

from sluice.scoring.drift.detector import STORED, Alarm, State
from sluice.scoring.drift.distribution import DistributionDetector
from sluice.scoring.drift.histogram import Categories, Histogram
from sluice.scoring.drift.mean import MeanDetector
from sluice.scoring.drift.refused import DriftRefused
from sluice.scoring.drift.silence import Expectation, Silence, silence

READING_LIMIT = 100_000
"""Values in one reading; about half a second of work."""


class Ask(StrEnum):
    """What a finding asks for, from the least to the most. All of them only ever reduce exposure."""

    ALERT = "Alert"
    WITHDRAW = "Withdraw"
    """No traffic to the release until a person says otherwise."""
    ROLL_BACK = "RollBack"
    """The baseline serves again."""


_STRENGTH = tuple(Ask)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSuite:
    """The cases of a suite are asked on a schedule, or answers that users got are scored by it; each gives one value of the metric, all together one batch."""

    suite_digest: str
    metric: str


class Answer(StrEnum):
    """What the numbers in the answer to a query are."""

    VALUES = "Values"
    """A scalar or a vector: each number is an observation, those of one answer are a batch."""
    COUNTS = "Counts"
    """A vector: how many observations had which value of a label."""
    BUCKETS = "Buckets"
    """A vector: a Prometheus histogram, cumulative, by `le`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A PromQL expression, evaluated once a period. Counts are an `increase` over one period, so that nothing is counted twice."""

    promql: str
    answer: Answer
    label: str = ""
    """Counts: the label whose values are counted."""
    event: str = ""
    """Counts for a mean: the value of the label that is the event; every other value is not."""


Source: TypeAlias = ProbeSuite | Query
Detector: TypeAlias = MeanDetector | DistributionDetector


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The range of a number whose mean is watched: `low` is 0 and `high` is 1 to the detector, and what is beyond counts as at the end.

    Raises DriftRefused for a range that is none.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (np.isfinite([self.low, self.high]).all() and self.low < self.high):
            raise DriftRefused(f"{self.low} to {self.high} is no range; both are numbers, and the first is the lower")


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitor:
    """One thing that is watched after a release. Raises DriftRefused for parts that do not fit each other."""

    name: str
    source: Source
    detector: Detector
    expected: Expectation
    on_drift: Ask
    on_silence: Ask = Ask.ALERT
    scale: Scale | None = None
    """For a mean of numbers that are not in [0, 1]."""
    missing: float | None = None
    """What an observation without a value counts as, in the unit of the values: the worst, such as infinity for a latency. None: one is refused."""

    def __post_init__(self) -> None:
        of_mean = isinstance(self.detector, MeanDetector)
        if self.on_silence is Ask.ROLL_BACK:
            raise DriftRefused("silence does not roll back: it is no evidence against the release; take Alert or Withdraw")
        if self.scale is not None and not of_mean:
            raise DriftRefused("a scale is for a mean; a distribution is compared in the unit of its reference")
        if isinstance(self.source, Query) and self.source.answer is Answer.BUCKETS and of_mean:
            raise DriftRefused("buckets are counts of a distribution; a mean takes Values, or Counts with an event")
        if isinstance(self.source, Query) and self.source.answer is Answer.COUNTS and (not self.source.label or of_mean != bool(self.source.event)):
            raise DriftRefused("counts need the label that is counted, and for a mean, only there, the value of it that is the event")


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """Observations: numbers, None where there should have been one, or names; all of a reading together, in no order."""

    at: datetime
    values: tuple[float | None, ...] | tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Observations of which only the number in each bin is known: of the reference's bins, or for a mean (not the event, the event)."""

    at: datetime
    counts: tuple[int, ...]


Reading: TypeAlias = Values | Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorState:
    """All that is kept of a monitor; JSON by `sluice.scoring.drift.stored`."""

    __pydantic_config__: ClassVar[ConfigDict] = STORED

    started: datetime
    """When it began, or last began again after a rest: nothing is expected of a release that nobody uses."""
    last: datetime | None
    """When the newest reading was made."""
    drift: State


class Cause(StrEnum):
    """Why a monitor asks for something."""

    DRIFT = "Drift"
    SILENCE = "Silence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a monitor found, and what it asks for."""

    monitor: str
    cause: Cause
    ask: Ask
    message: str


def start(monitor: Monitor, *, now: datetime) -> MonitorState:
    """The state of a monitor that starts `now`: when it is new, and when somebody has dealt with its alarm."""
    return MonitorState(started=now, last=None, drift=monitor.detector.start())


def take(monitor: Monitor, state: MonitorState, reading: Reading, *, now: datetime) -> MonitorState:
    """`state` after `reading`; the same state when the reading is empty, or not newer than the last one.

    Raises DriftRefused for a reading that does not belong to the detector or comes from the future (all others would be older for a long time), and for
    a state of another detector; nothing is taken in then.
    """
    if reading.at.utcoffset() is None or reading.at > now + monitor.expected.period:
        raise DriftRefused(
            f"a reading of {monitor.name} is dated {reading.at.isoformat()}, at {now.isoformat()}: mend the clock of its source, or name its offset"
        )
    if state.last is not None and reading.at <= state.last:
        return state
    if not (any(reading.counts) if isinstance(reading, Counts) else reading.values):
        return state  # nothing was seen, so nothing was heard
    if isinstance(reading, Counts):
        drift = _take_counts(monitor.detector, state.drift, reading.counts)
    elif len(reading.values) > READING_LIMIT:
        raise DriftRefused(f"a reading of {len(reading.values):,} values; at most {READING_LIMIT:,} are taken at once, send the rest in the next")
    else:
        drift = _take_values(monitor, state.drift, reading.values)
    return replace(state, last=reading.at, drift=drift)


def heard_until(state: MonitorState) -> datetime:
    """From when on observations have not been taken in yet."""
    return state.started if state.last is None else max(state.started, state.last)


def due(monitor: Monitor, state: MonitorState) -> datetime:
    """When a source that has to be asked is to be asked next. A query is about the time before it, so the first one comes after a period."""
    if isinstance(monitor.source, Query):
        return heard_until(state) + monitor.expected.period
    return state.started if state.last is None else max(state.started, state.last + monitor.expected.period)


def rested(state: MonitorState, *, now: datetime) -> MonitorState:
    """`state` of a monitor that goes on after a rest, in which nothing was expected and nothing counts."""
    return replace(state, started=now)


def judge(monitor: Monitor, state: MonitorState, *, now: datetime) -> tuple[Finding, ...]:
    """What the monitor has found by `now`: drift, silence, both or nothing."""
    findings = []
    if state.drift.alarm is not None:
        findings.append(Finding(monitor=monitor.name, cause=Cause.DRIFT, ask=monitor.on_drift, message=_of_alarm(state.drift.alarm, monitor.detector)))
    unheard = silence(monitor.expected, started=state.started, last=state.last, now=now)
    if unheard is not None:
        findings.append(Finding(monitor=monitor.name, cause=Cause.SILENCE, ask=monitor.on_silence, message=_of_silence(unheard, now)))
    return tuple(findings)


def strongest(findings: Sequence[Finding]) -> Ask | None:
    """The most that any of `findings` asks for; None when there are none."""
    return max((finding.ask for finding in findings), key=_STRENGTH.index, default=None)


def _take_counts(detector: Detector, drift: State, counts: tuple[int, ...]) -> State:
    if isinstance(detector, DistributionDetector):
        return detector.tally(drift, Histogram(bins=detector.reference.bins, counts=counts))
    if len(counts) != 2:  # noqa: PLR2004 - with and without the event
        raise DriftRefused(f"a mean takes two counts, without and with the event; the reading has {len(counts)}")
    return detector.tally(drift, events=counts[1], n=sum(counts))


def _take_values(monitor: Monitor, drift: State, values: tuple[float | None, ...] | tuple[str, ...]) -> State:
    detector = monitor.detector
    of_names = isinstance(detector, DistributionDetector) and isinstance(detector.reference.bins, Categories)
    names = [value for value in values if isinstance(value, str)]
    if len(names) != (len(values) if of_names else 0):
        raise DriftRefused(f"{monitor.name} takes {'names' if of_names else 'numbers'}; the reading has {len(names)} names among {len(values)} values")
    taken = names if of_names else _numbers(monitor, values)
    # Cases of a suite and series of a vector come in an order that says nothing, and the same ones are always the bad ones.
    return detector.observe_together(drift, taken)


def _numbers(monitor: Monitor, values: Sequence[float | str | None]) -> NDArray[np.float64]:
    missing = sum(value is None for value in values)
    if missing and monitor.missing is None:
        raise DriftRefused(f"{missing} of {len(values)} observations have no value; say in `missing` what such a one counts as, the worst")
    x = np.array([monitor.missing if value is None else value for value in values], dtype=np.float64)
    return scaled(x, monitor.scale)


def scaled(values: ArrayLike, scale: Scale | None) -> NDArray[np.float64]:
    """`values` as parts of `scale`, those beyond it at its ends; as they are without one."""
    x = np.asarray(values, dtype=np.float64)
    return x if scale is None else np.clip((x - scale.low) / (scale.high - scale.low), 0, 1)


def _of_alarm(alarm: Alarm, detector: Detector) -> str:
    return (
        f"{alarm.feature}: {alarm.direction.lower()} to {alarm.observed:.3g} on average over the last {alarm.at - alarm.since:,} of {alarm.at:,} observations; "
        f"{alarm.low:.3g} to {alarm.high:.3g} is no drift (a false alarm comes in {detector.promise.run_length:,.0f} observations or more, on average)"
    )


def _of_silence(unheard: Silence, now: datetime) -> str:
    if unheard.from_the_future:
        return f"the last reading is dated {unheard.since.isoformat()}, {_rounded(unheard.since - now)} in the future: mend the clock of its source"
    return f"nothing heard since {unheard.since.isoformat()}, {_rounded(now - unheard.since)} ago; the next reading was due by {unheard.due.isoformat()}"


def _rounded(span: timedelta) -> timedelta:
    return timedelta(seconds=round(span.total_seconds()))
