"""How often a judge errs, and what a rate it reports is worth.

A judge that calls 90 % of answers good may see 80 % that are good and let pass half of the rest. With its sensitivity and specificity known from cases that
people labelled, the rate it reports is turned into the true one (Rogan and Gladen, Estimating prevalence from the results of a screening test, American
Journal of Epidemiology 107 (1978) 71–76), with an interval that carries the uncertainty of the labelled set as well (Lang and Reiczigel, Confidence limits
for prevalence of disease adjusted for estimated sensitivity and specificity, Preventive Veterinary Medicine 113 (2014) 13–22).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A judge on labelled answers: how many good ones it called good, and so on. Adds up in any order."""

    good_called_good: int
    good_called_bad: int
    bad_called_bad: int
    bad_called_good: int

    def __add__(self, other: Calibration) -> Calibration:
        return Calibration(
            good_called_good=self.good_called_good + other.good_called_good,
            good_called_bad=self.good_called_bad + other.good_called_bad,
            bad_called_bad=self.bad_called_bad + other.bad_called_bad,
            bad_called_good=self.bad_called_good + other.bad_called_good,
        )

    @property
    def sensitivity(self) -> float | None:
        """Share of good answers that the judge calls good; None without good answers."""
        good = self.good_called_good + self.good_called_bad
        return self.good_called_good / good if good else None

    @property
    def specificity(self) -> float | None:
        """Share of bad answers that the judge calls bad; None without bad answers."""
        bad = self.bad_called_bad + self.bad_called_good
        return self.bad_called_bad / bad if bad else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueRate:
    """The rate behind the one that a judge reported; all in [0, 1]."""

    estimate: float
    low: float
    high: float


def true_rate(*, called_good: int, judged: int, calibration: Calibration, confidence: float = 0.95) -> TrueRate | None:
    """What share of answers is good when the judge called `called_good` of `judged` so.

    The estimate is (r + Sp − 1) / (Se + Sp − 1), cut to [0, 1]. None when nothing was judged, when the labelled set lacks good or bad answers, and when the
    judge is no better than a coin (Se + Sp ≤ 1): then what it says bears no relation to the truth. Raises ValueError for counts that cannot be.
    """
    if not 0 <= called_good <= judged or min(_counts(calibration)) < 0:
        raise ValueError(f"{called_good} of {judged} answers and {_counts(calibration)} labelled ones: counts are not negative, parts not above the whole")
    sensitivity, specificity = calibration.sensitivity, calibration.specificity
    if not judged or sensitivity is None or specificity is None or sensitivity + specificity <= 1:
        return None
    estimate = (called_good / judged + specificity - 1) / (sensitivity + specificity - 1)

    # The interval, with the counts shifted so that it keeps its coverage where a share is 0 or 1.
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    total = judged + z * z
    rate = (called_good + z * z / 2) / total
    good = calibration.good_called_good + calibration.good_called_bad + 2
    bad = calibration.bad_called_bad + calibration.bad_called_good + 2
    se, sp = (calibration.good_called_good + 1) / good, (calibration.bad_called_bad + 1) / bad
    if se + sp <= 1:
        return None
    middle = (rate + sp - 1) / (se + sp - 1)
    spread_good, spread_bad = se * (1 - se) / good, sp * (1 - sp) / bad
    shift = 2 * z * z * (middle * spread_good - (1 - middle) * spread_bad)
    half = z * math.sqrt(rate * (1 - rate) / total + middle * middle * spread_good + (1 - middle) ** 2 * spread_bad) / (se + sp - 1)
    return TrueRate(estimate=_cut(estimate), low=_cut(middle + shift - half), high=_cut(middle + shift + half))


def _counts(calibration: Calibration) -> tuple[int, int, int, int]:
    return calibration.good_called_good, calibration.good_called_bad, calibration.bad_called_bad, calibration.bad_called_good


def _cut(value: float) -> float:
    return min(1.0, max(0.0, value))
