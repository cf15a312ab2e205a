"""The rules that others decide by, as pure functions on the same paired data, written after their documentation.

They are given what their users would give them: the scores of both models as answers arrive, an absolute threshold where they compare with one (five points
below what the baseline usually scores), their documented defaults. They are told neither the fixed random order nor the unit, because none of them has
a place for it; a missing answer is a row without a value, which all of them leave out. They see the whole suite; the tests and the confidence
sequence, which have a statistical answer to several metrics, see each slice as well.

Sources, read in November 2026:
- Argo Rollouts: "Analysis & Progressive Delivery", docs/features/analysis.md in argoproj/argo-rollouts at a8a44ec.
- Flagger: "How it works" and "Deployment Strategies", docs/gitbook/usage in fluxcd/flagger at 061c179 and 0e81b5f.
- Kayenta: "How canary judgment works", docs/guides/user/canary/judge in spinnaker/spinnaker.io at 5bd6074.
- GrowthBook: "Sequential Testing", docs/docs/statistics/sequential.mdx in growthbook/growthbook at 1aced5f.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.canary.populations import FloatArray
from benchmarks.canary.releases import IntArray, Release

_NORMAL: Final = NormalDist()
_FEWEST_MEASUREMENTS: Final = 5
_FEWEST_PAIRS: Final = 20
_SAME: Final = 1e-12


class Verdict(StrEnum):
    """What a rule came to; the words of `sluice.scoring.decide`."""

    PROMOTE = "Promote"
    ROLL_BACK = "RollBack"
    INCONCLUSIVE = "Inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What every rule is asked: the margin in points of the score, the error rate of each side, how many cases were announced."""

    margin: float
    alpha: float
    planned: int


class Rule(Protocol):
    """Returns the decision, and how many rows it took."""

    def __call__(self, release: Release, question: Question) -> tuple[Verdict, int]:
        """Decide about `release` as its rows arrive."""


def _measurements(release: Release, question: Question, pairs: int) -> tuple[FloatArray, FloatArray, int]:
    """Means of baseline and candidate over intervals of `pairs` rows, nan where nothing was answered, and the rows of an interval. A short plan has five."""
    pairs = max(1, min(pairs, question.planned // _FEWEST_MEASUREMENTS))
    intervals = release.baseline.size // pairs
    rows = intervals * pairs
    baseline, candidate = release.baseline[:rows].reshape(intervals, pairs), release.candidate[:rows].reshape(intervals, pairs)
    answered = ~np.isnan(candidate)
    count = answered.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return baseline.mean(axis=1), np.where(answered, candidate, 0).sum(axis=1) / np.where(count, count, np.nan), pairs


def _first(hit: NDArray[np.bool_]) -> int | None:
    """Place of the first True."""
    return int(hit.argmax()) if hit.any() else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgoRollouts:
    """An AnalysisRun on one metric: a threshold at intervals, until `count` measurements are made (here: as many as the plan has intervals).

    `successCondition` is "not more than `tolerance` below what the baseline usually scores". A measurement that fails it is Failed; the run is Failed, and
    the update aborted, as soon as there are more Failed ones than `failureLimit` (0 unless set; the documentation's example sets 3). With
    `inconclusive_within` there is a `failureCondition` as well, that much further down: what lies between is Inconclusive, and more of them than
    `inconclusiveLimit` (0) pause the update for a person. An interval without any answer is an Error; more than `consecutiveErrorLimit` (4) in a row abort.
    """

    interval: int = 100
    tolerance: float = 0.05
    failure_limit: int = 0
    inconclusive_within: float = 0.0
    inconclusive_limit: int = 0
    consecutive_error_limit: int = 4

    def __call__(self, release: Release, question: Question) -> tuple[Verdict, int]:
        """Promote when all measurements are made and none of the limits was passed."""
        _, candidate, pairs = _measurements(release, question, self.interval)
        success = release.usual - self.tolerance
        failed = inconclusive = errors = 0
        for place, value in enumerate(candidate.tolist(), start=1):
            errors = errors + 1 if math.isnan(value) else 0
            failed += value < success - self.inconclusive_within
            inconclusive += success - self.inconclusive_within <= value < success
            if failed > self.failure_limit or errors > self.consecutive_error_limit:
                return Verdict.ROLL_BACK, place * pairs
            if inconclusive > self.inconclusive_limit:
                return Verdict.INCONCLUSIVE, place * pairs
            if place == question.planned // pairs:
                return Verdict.PROMOTE, place * pairs
        return Verdict.INCONCLUSIVE, release.baseline.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Flagger:
    """A canary analysis: `thresholdRange.min` at intervals, a step of traffic for each check that passes.

    A check below the minimum does not advance and counts; `threshold` of them roll back. When the weight has gone by `step_weight` to `max_weight`, the
    canary is promoted: after max_weight / step_weight checks that passed, which is the documented minimum time. No answers at all fail the check.
    """

    interval: int = 100
    tolerance: float = 0.05
    threshold: int = 5
    step_weight: int = 5
    max_weight: int = 50

    def __call__(self, release: Release, question: Question) -> tuple[Verdict, int]:
        """Return whichever counter is full first."""
        _, candidate, pairs = _measurements(release, question, self.interval)
        failed = weight = 0
        for place, value in enumerate(candidate.tolist(), start=1):
            if value >= release.usual - self.tolerance:
                weight += self.step_weight
            else:
                failed += 1
            if failed >= self.threshold:
                return Verdict.ROLL_BACK, place * pairs
            if weight >= self.max_weight:
                return Verdict.PROMOTE, place * pairs
        return Verdict.INCONCLUSIVE, release.baseline.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Kayenta:
    """NetflixACAJudge on one metric, judged again and again over a growing lookback, as a real-time canary stage does.

    Points are means over intervals. Low when the 98 % Mann–Whitney interval of the shift lies wholly below −0.25 × |Hodges–Lehmann estimate|
    and the ratio of means is not above `allowedDecrease` (1). A metric that is Low scores 0: below the marginal threshold, the stage ends. Otherwise the
    score is 100, and the last judgement passes. The interval comes from the order statistics of all pairwise differences with continuity correction;
    ties do not narrow it. The best-practice page asks for at least 50 points; looks begin at ten, or earlier than the plan's end no defect would be found.
    """

    interval: int = 50
    points_between_judgements: int = 10
    confidence: float = 0.98
    tolerance: float = 0.25

    def __call__(self, release: Release, question: Question) -> tuple[Verdict, int]:
        """Promote when the last judgement of the plan passes."""
        control, experiment, pairs = _measurements(release, question, self.interval)
        every = min(self.points_between_judgements, _FEWEST_MEASUREMENTS if control.size < 2 * self.points_between_judgements else control.size)
        for points in range(every, control.size + 1, every):
            answered = ~np.isnan(experiment[:points])
            if self._low(control[:points], experiment[:points][answered]):
                return Verdict.ROLL_BACK, points * pairs
        finished = control.size * pairs >= question.planned - pairs + 1
        return (Verdict.PROMOTE if finished and control.size >= every else Verdict.INCONCLUSIVE), release.baseline.size

    def _low(self, control: FloatArray, experiment: FloatArray) -> bool:
        """Tell whether the metric is classified Low. Nothing to compare (Nodata) and identical data are not."""
        if experiment.size == 0 or np.array_equal(control, experiment):
            return False
        shifts = np.sort(np.subtract.outer(experiment, control), axis=None)
        number = shifts.size
        spread = math.sqrt(number * (control.size + experiment.size + 1) / 12)
        below = max(0, math.floor(number / 2 - _NORMAL.inv_cdf((1 + self.confidence) / 2) * spread - 0.5))
        upper = float(shifts[number - 1 - below])
        return upper < -self.tolerance * abs(float(np.median(shifts))) and float(experiment.mean()) <= float(control.mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatedTTest:
    """A paired t-test against the margin, on both sides, at each look as if it were the only one; each slice as well, without correction.

    What a notebook does, and dashboards that show a p-value while data come in. With `once` there is a single look, at the end of the plan: valid for
    scores that are not too skewed, and the most that any rule which may look earlier could reach.
    """

    every: int = 50
    once: bool = False

    def __call__(self, release: Release, question: Question) -> tuple[Verdict, int]:
        """Return the first look at which the whole or a slice is significantly worse, or the whole significantly good enough."""
        rows = release.baseline.size
        looks = np.array([question.planned] if self.once else range(self.every, rows + 1, self.every), dtype=np.int64)
        looks = looks[looks <= rows]
        difference = release.candidate - release.baseline
        whole, *parts = (_t_statistics(difference, inside, looks, -question.margin) for inside in _series(difference, release.slices))
        level = _NORMAL.inv_cdf(1 - question.alpha)
        bad = np.any([t < -_t_quantile(level, n - 1) for t, n in (whole, *parts)], axis=0)
        good = whole[0] > _t_quantile(level, whole[1] - 1)
        place = _first(bad | good)
        if place is None:
            return Verdict.INCONCLUSIVE, rows
        return (Verdict.ROLL_BACK if bad[place] else Verdict.PROMOTE), int(looks[place])


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceSequence:
    """GrowthBook's sequential intervals (Howard and others 2021 with an estimated variance), one-sided on each side, slices by Bonferroni.

    The half width at n differences of variance v is sqrt((n v + r) · ln((n v + r) / (r α²))) / n, where r makes it tightest at `tuned_for` of them
    (5,000 unless set, counting both variations). Valid as n grows; begins at 30.
    """

    tuned_for: int = 5000
    from_pairs: int = 30

    def __call__(self, release: Release, question: Question) -> tuple[Verdict, int]:
        """Look after each row at the whole, after each row of a slice at the slice."""
        difference = release.candidate - release.baseline
        rows = difference.size
        whole = self._limits(difference[~np.isnan(difference)], question.alpha)
        places = np.flatnonzero(~np.isnan(difference)) + 1
        good = _first(whole[0] > -question.margin)
        promoted = rows + 1 if good is None else int(places[good])
        rolled_back = rows + 1
        series = list(_series(difference, release.slices))
        for inside in series:
            bad = _first(self._limits(difference[inside], question.alpha / len(series))[1] < -question.margin)
            rolled_back = rolled_back if bad is None else min(rolled_back, int(inside[bad]) + 1)
        if min(promoted, rolled_back) > rows:
            return Verdict.INCONCLUSIVE, rows
        return (Verdict.PROMOTE, promoted) if promoted < rolled_back else (Verdict.ROLL_BACK, rolled_back)

    def _limits(self, values: FloatArray, alpha: float) -> tuple[FloatArray, FloatArray]:
        """Lower and upper limits of the mean after each value; a two-sided sequence at 2α has α on each side."""
        n = np.arange(1, values.size + 1)
        mean = np.cumsum(values) / n
        variance = np.maximum(np.cumsum(values * values) / n - mean * mean, 0)
        log = -2 * math.log(2 * alpha)
        rho = self.tuned_for * variance / (log + math.log1p(log))
        with np.errstate(divide="ignore", invalid="ignore"):
            half = np.sqrt((n * variance + rho) * np.log((n * variance + rho) / (rho * (2 * alpha) ** 2))) / n
        half[: self.from_pairs] = np.inf
        half[np.isnan(half)] = np.inf
        return mean - half, mean + half


def _series(difference: FloatArray, slices: IntArray | None) -> Iterator[IntArray]:
    """Rows of the whole, then of each slice; only those that were answered."""
    answered = ~np.isnan(difference)
    yield np.flatnonzero(answered)
    if slices is not None:
        for part in range(int(slices.max(initial=-1)) + 1):
            yield np.flatnonzero(answered & (slices == part))


def _t_statistics(difference: FloatArray, rows: IntArray, looks: IntArray, mean: float) -> tuple[FloatArray, FloatArray]:
    """Student's statistic of what is seen at each look against `mean`, and how many values that are; 0 where it is not defined or stands on too few."""
    n = np.searchsorted(rows, looks)
    values = difference[rows] - mean
    sums, squares = (np.concatenate([[0.0], np.cumsum(part)])[n] for part in (values, values * values))
    count = np.maximum(n, 2).astype(np.float64)
    variance = np.maximum(squares - sums * sums / count, 0) / (count - 1)
    defined = (n >= _FEWEST_PAIRS) & (variance > _SAME)
    return np.where(defined, sums / count / np.sqrt(np.where(defined, variance, 1) / count), 0), count


def _t_quantile(z: float, freedom: FloatArray) -> FloatArray:
    """Quantile of Student's distribution where the normal one has `z`, by the expansion of Cornish and Fisher: three decimals from 19 degrees of freedom on."""
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


PEERS: Final[dict[str, Rule]] = {
    "Argo Rollouts": ArgoRollouts(),
    "Argo, failureLimit 3": ArgoRollouts(failure_limit=3),
    "Flagger": Flagger(),
    "Kayenta": Kayenta(),
    "repeated t-test": RepeatedTTest(),
    "asymptotic CS": ConfidenceSequence(),
    "one look at the end": RepeatedTTest(once=True),
}
