"""What Prometheus answers: to an instant query as a reading of a monitor, over a time as its reference.

The answer comes from a server that is not ours: its size is bounded, and what does not have the form of the HTTP API (Prometheus documentation,
"Expression query result formats") is refused. `NaN` is how PromQL says that there was nothing to divide, and an empty vector that there was no series:
neither is an observation, so a monitor that gets nothing else falls silent.

`increase` extrapolates and gives fractions; counts are rounded to whole numbers, which is off by at most half an observation a series and period.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from math import inf, isnan
from typing import TypeAlias

from sluice.api.strict_json import JsonObject, JsonRefused, JsonValue, parse
from sluice.scoring.drift.distribution import DistributionDetector
from sluice.scoring.drift.histogram import Categories, Histogram, Numeric, freeze_names, freeze_numbers
from sluice.scoring.drift.mean import MeanReference
from sluice.scoring.drift.refused import DriftRefused
from sluice.scoring.monitor import Answer, Counts, Detector, Query, Reading, Scale, Values, scaled

ANSWER_LIMIT = 1024 * 1024
"""Bytes."""
_SAMPLE_LIMIT = 10_000
_COUNT_LIMIT = 2.0**53
_FEWEST = 2
_LATEST = datetime(9999, 1, 1, tzinfo=UTC).timestamp()
_Sample: TypeAlias = tuple[dict[str, str], datetime, float]


def read(raw: bytes, query: Query, detector: Detector) -> Reading | None:
    """The reading in the answer to `query`; None when there was nothing to observe.

    Raises DriftRefused for an answer that is not of the form that the query announces.
    """
    samples = _samples(raw)
    if not samples:
        return None
    at = max(when for _, when, _ in samples)
    if query.answer is Answer.VALUES:
        # Series have no order of their own; their labels give them one that is the same each time.
        ordered = sorted(samples, key=lambda sample: sorted(sample[0].items()))
        values = tuple(value for _, _, value in ordered if not isnan(value))
        return Values(at=at, values=values) if values else None
    counts = _by_label(samples, query, detector) if query.answer is Answer.COUNTS else _by_bucket(samples, detector)
    return Counts(at=at, counts=counts) if any(counts) else None


def reference(raw: bytes, query: Query, *, of_mean: bool, scale: Scale | None) -> MeanReference | Histogram | None:
    """The reference in what a source showed; None when that was next to nothing.

    `raw` answers a query over the whole time: Counts and Buckets at its end, Values at each step of it. Raises DriftRefused for an answer of another form.
    """
    if query.answer is Answer.VALUES:
        values = _values_over(raw)
        if len(values) < _FEWEST:
            return None
        return MeanReference.of(scaled(values, scale)) if of_mean else freeze_numbers(values)
    samples = _samples(raw)
    if query.answer is Answer.BUCKETS:
        below = _below(samples)
        edges = tuple(sorted(edge for edge in below if edge != inf))
        return Histogram(bins=Numeric(edges=edges), counts=_between(below, edges)) if below and max(below.values()) >= _FEWEST else None
    counted = _counted(samples, query)
    if counted.total() < _FEWEST:
        return None
    return MeanReference.of_counts(counted[query.event], counted.total()) if of_mean else freeze_names({name: n for name, n in counted.items() if n})


def _counted(samples: list[_Sample], query: Query) -> Counter[str]:
    counted: Counter[str] = Counter()
    for labels, _, value in samples:
        if query.label not in labels:
            raise DriftRefused(f"a series of the answer has no label {query.label!r}; sum by it")
        counted[labels[query.label]] += _whole(value)
    return counted


def _by_label(samples: list[_Sample], query: Query, detector: Detector) -> tuple[int, ...]:
    counted = _counted(samples, query)
    if not isinstance(detector, DistributionDetector):
        return (counted.total() - counted[query.event], counted[query.event])
    bins = detector.reference.bins
    if not isinstance(bins, Categories):
        raise DriftRefused("counts by a label are names; the reference is of numbers")
    known = tuple(counted[name] for name in bins.names)
    return (*known, counted.total() - sum(known))


def _by_bucket(samples: list[_Sample], detector: Detector) -> tuple[int, ...]:
    if not isinstance(detector, DistributionDetector) or not isinstance(detector.reference.bins, Numeric):
        raise DriftRefused("buckets are counts of numbers; the detector watches something else")
    below, edges = _below(samples), detector.reference.bins.edges
    if set(below) != {*edges, inf}:
        raise DriftRefused(
            f"the answer has {len(below)} buckets, the reference has {len(edges) + 1}, and they are not the same; freeze the reference in these buckets"
        )
    return _between(below, edges)


def _below(samples: list[_Sample]) -> dict[float, int]:
    """How many observations are at most each edge."""
    below: dict[float, int] = {}
    for labels, _, value in samples:
        try:
            edge = float(labels["le"])
        except (KeyError, ValueError):
            raise DriftRefused("a series of the answer has no number in its label 'le'; sum by (le)") from None
        if edge in below:
            raise DriftRefused(f"the bucket le={labels['le']!r} is there twice; sum by (le)")
        below[edge] = _whole(value)
    return below


def _between(below: dict[float, int], edges: Sequence[float]) -> tuple[int, ...]:
    if inf not in below:
        raise DriftRefused("the answer has no bucket le='+Inf'; sum by (le)")
    cumulative = [0, *(below[edge] for edge in (*edges, inf))]
    counts = tuple(after - before for before, after in pairwise(cumulative))
    if min(counts) < 0:
        raise DriftRefused("the buckets of the answer are not cumulative: a larger `le` has fewer observations")
    return counts


def _whole(value: float) -> int:
    if isnan(value):
        return 0
    if not 0 <= value <= _COUNT_LIMIT:
        raise DriftRefused(f"{value} is no count")
    return round(value)


def _samples(raw: bytes) -> list[_Sample]:
    kind, result = _result(raw)
    match kind:
        case "scalar":
            return [({}, *_point(result))]
        case "vector" if isinstance(result, list) and len(result) <= _SAMPLE_LIMIT:
            return [(labels, *_point(series.get("value"))) for labels, series in map(_series, result)]
    raise DriftRefused(f"the answer is a {kind!r}; a scalar or a vector of at most {_SAMPLE_LIMIT:,} series is read")


def _values_over(raw: bytes) -> list[float]:
    """All numbers of all series at all steps."""
    kind, result = _result(raw)
    if kind != "matrix" or not isinstance(result, list):
        raise DriftRefused(f"the answer is a {kind!r}; over a time, series of numbers are read")
    points = [point for _, series in map(_series, result) if isinstance(found := series.get("values"), list) for point in found]
    return [value for _, value in map(_point, points) if not isnan(value)]


def _result(raw: bytes) -> tuple[str, JsonValue]:
    try:
        answer = parse(raw, limit=ANSWER_LIMIT)
    except JsonRefused as refused:
        raise DriftRefused(f"the answer of Prometheus {refused}") from None
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(answer, dict) or answer.get("status") != "success" or not isinstance(data, dict):
        raise DriftRefused(f"Prometheus did not answer the query: {_said(answer)}")
    return str(data.get("resultType"))[:40], data.get("result")


def _series(series: JsonValue) -> tuple[dict[str, str], JsonObject]:
    """Its labels, and the series itself."""
    labels = series.get("metric") if isinstance(series, dict) else None
    if not isinstance(series, dict) or not isinstance(labels, dict):
        raise DriftRefused("a series of the answer has no labels")
    return {name: str(value) for name, value in labels.items()}, series


def _point(point: JsonValue) -> tuple[datetime, float]:
    match point:
        case [int() | float() as seconds, str() as value] if 0 <= seconds < _LATEST:
            try:
                return datetime.fromtimestamp(seconds, UTC), float(value)
            except ValueError:
                pass
    raise DriftRefused(f"{str(point)[:80]!r} is no sample: a time and a number as text")


def _said(answer: JsonValue | JsonObject) -> str:
    error = answer.get("error") if isinstance(answer, dict) else None
    return str(error)[:200] if error else "the answer has another form"
