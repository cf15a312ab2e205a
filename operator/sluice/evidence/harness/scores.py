"""From scored answers to numbers: a mean, its standard error, and on how many cases they rest; of all cases, and of each slice of them.

The unit is the case. Several answers to one case (epochs, generations, prompts) are averaged first: pooled, they would count as independent evidence and
make every interval too narrow.

A slice is what samples say of themselves: the cases of which a field has one value. A field with many values (an identifier, a text) is no slice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import fsum, sqrt

from sluice.evidence.answers import Answers, answers_of
from sluice.evidence.measurement import Measurement
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.strict_json import JsonValue

MEASUREMENT_LIMIT = 4096
"""Of one file. Metrics times slices; beyond, nobody asks for each of them."""
_VALUES_OF_A_SLICE = 64
MOST_ANSWERS = 32_768
"""Scores of single cases that are kept of one statement, half a megabyte; beyond, models are compared by their means."""
_SLICE_TEXT_LIMIT = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What all numbers of a file have in common."""

    suite: str
    suite_digest: str | None = None
    harness: str
    harness_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One answer, scored."""

    case: str
    """Which case was answered. Answers to one case have it in common."""
    value: float
    slices: Mapping[str, str] = field(default_factory=dict)
    """Field to value."""


def measure(run: Run, metrics: Mapping[str, Sequence[Score]]) -> tuple[Measurement, ...]:
    """Give the mean of each metric over its cases, and over those of each slice.

    Raises ProvenanceError: RawResultMalformed (more numbers than are read), RunIncomplete (a metric without a score).
    """
    kept = 0
    measurements: list[Measurement] = []
    # Slices come last: where not all answers of single cases can be kept, these go first.
    for sliced in (False, True):
        for metric, scores in metrics.items():
            if not scores:
                raise ProvenanceError(Reason.RunIncomplete, f"{metric[:100]!r} of {run.suite!r} has no score")
            for name, chosen in _slices(scores) if sliced else (("", scores),):
                by_case = _by_case(chosen)
                kept += len(by_case)
                measurements.append(_mean(run, metric, name, by_case, answers=answers_of(by_case) if kept <= MOST_ANSWERS else None))
                if len(measurements) > MEASUREMENT_LIMIT:
                    raise ProvenanceError(
                        Reason.RawResultMalformed, f"metrics and slices of {run.suite!r} come to more than {MEASUREMENT_LIMIT:,} numbers; leave out metadata"
                    )
    return tuple(measurements)


def slices_of(fields: Mapping[str, JsonValue]) -> Mapping[str, str]:
    """Pick what may name slices out of a sample's metadata: short texts, whole numbers, yes and no."""
    found = {}
    for key, value in fields.items():
        written = value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, int) else ""
        if written and "=" not in key and all(text.isprintable() and 0 < len(text) <= _SLICE_TEXT_LIMIT for text in (key, written)):
            found[key] = written
    return found


def _slices(scores: Sequence[Score]) -> Iterator[tuple[str, Sequence[Score]]]:
    members: dict[str, dict[str, list[Score]]] = {}
    for score in scores:
        for key, value in score.slices.items():
            members.setdefault(key, {}).setdefault(value, []).append(score)
    for key, values in sorted(members.items()):
        if len(values) <= _VALUES_OF_A_SLICE:
            for value, chosen in sorted(values.items()):
                yield f"{key}={value}", chosen


def _by_case(scores: Iterable[Score]) -> Mapping[str, float]:
    answers: dict[str, list[float]] = {}
    for score in scores:
        answers.setdefault(score.case, []).append(score.value)
    return {case: fsum(values) / len(values) for case, values in answers.items()}


def _mean(run: Run, metric: str, name: str, by_case: Mapping[str, float], *, answers: Answers | None) -> Measurement:
    means, n = by_case.values(), len(by_case)
    value = fsum(means) / n
    return Measurement(
        suite=run.suite,
        metric=metric,
        filter="",
        slice=name,
        value=value,
        stderr=sqrt(fsum((mean - value) ** 2 for mean in means) / (n - 1) / n) if n > 1 else None,
        samples=n,
        suite_digest=run.suite_digest,
        harness=run.harness,
        harness_version=run.harness_version,
        answers=answers,
    )
