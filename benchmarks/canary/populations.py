"""What the cases of a simulated suite score: large finite populations whose mean difference is the stated effect to the last case.

Drawing cases from a population whose mean is exact, instead of from a formula whose mean is nearly so, lets a cell stand exactly at the margin, where
both promises must hold at once. Binary kinds follow what quantised models do: most answers are the same, a few percent flip in both directions (measured on
30 pairs of fp16 against int8 and int4: 2 to 13 %), and what flips are the cases that were close calls.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

CASES = 200_000
"""Size of a population: margins of full percents, and of tenths of them, are whole numbers of cases."""
_SEED = 20_261_121
_ROUNDS = 50
_MODELS = 30
_LEAST_CHURN, _MOST_CHURN = 0.02, 0.13


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Scores of baseline and candidate, case by case, each in [0, 1], shape (CASES,). When `sampled`, a score is the chance that one answer is right."""

    baseline: FloatArray
    candidate: FloatArray
    sampled: bool = False


class Kind(Hashable, Protocol):
    """What the scores look like."""

    def population(self, effect: float) -> Population:
        """Return cases on which the candidate is better than the baseline by `effect` on average."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flips:
    """Right or wrong. `churn` is the share of answers that flip when nothing got worse, half of it in each direction; an effect adds to one of them."""

    churn: float
    accuracy: float = 0.85

    def population(self, effect: float) -> Population:
        """Return as many lost, gained and unchanged cases as `churn` and `effect` ask for."""
        lost = round(CASES * (self.churn / 2 + max(-effect, 0.0)))
        gained = round(CASES * (self.churn / 2 + max(effect, 0.0)))
        right = max(round(CASES * self.accuracy), lost)
        baseline, candidate = np.zeros(CASES), np.zeros(CASES)
        baseline[:right] = 1
        candidate[lost:right] = 1
        candidate[right : right + gained] = 1
        if right + gained > CASES:
            raise ValueError(f"{gained} gains do not fit beside {right} right answers: lower the accuracy")
        return Population(baseline=baseline, candidate=candidate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """Right or wrong, by another model in each release: the churns of 30 models lie between 2 and 13 %, half of them below `middle`."""

    middle: float

    @property
    def members(self) -> tuple[Flips, ...]:
        """The models, each with its churn; churns grow by a constant factor on either side of the middle."""
        half = _MODELS // 2
        churns = (*np.geomspace(_LEAST_CHURN, self.middle, half, endpoint=False).tolist(), *np.geomspace(self.middle, _MOST_CHURN, half).tolist())
        return tuple(Flips(churn=churn) for churn in churns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """Right or wrong by chance at each answer: a case has a difficulty, both models have a chance at it, and the two differ most on close calls."""

    noise: float = 0.6

    def population(self, effect: float) -> Population:
        """Chances through a steep logistic curve, so that most cases are nearly always or nearly never right."""
        rng = np.random.default_rng(_SEED)
        ease = rng.normal(1.2, 1.5, CASES)
        other = ease + rng.normal(0, self.noise, CASES)
        baseline, candidate = 1 / (1 + np.exp(-3 * ease)), 1 / (1 + np.exp(-3 * other))
        return Population(baseline=baseline, candidate=_moved(baseline, candidate, effect), sampled=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Graded:
    """Scores between 0 and 1: a judge, a similarity, an F1. `step` rounds them to a lattice; `agreement` is how close the two models score a case."""

    step: float = 0.0
    agreement: float = 20.0
    mean: float = 0.75

    def population(self, effect: float) -> Population:
        """Beta scores around a quality that is the case's own."""
        rng = np.random.default_rng(_SEED)
        quality = rng.beta(3 * self.mean, 3 * (1 - self.mean), CASES).clip(0.01, 0.99)
        baseline, candidate = (rng.beta(self.agreement * quality, self.agreement * (1 - quality)) for _ in range(2))
        if not self.step:
            return Population(baseline=baseline, candidate=_moved(baseline, candidate, effect))
        top = math.floor(1 / self.step)
        below, above = (np.minimum(np.rint(scores / self.step), top) for scores in (baseline, candidate))
        return Population(baseline=below * self.step, candidate=_stepped(below, above, round(effect * CASES / self.step), top=top) * self.step)


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoAtoms:
    """Only two differences: `common` nearly always, `rare` as often as the effect needs. The mean says little here, and every normal approximation fails."""

    common: float
    rare: float

    def population(self, effect: float) -> Population:
        """Return as many rare cases as make the mean right. Raises ValueError when the effect is not between the two."""
        share = (effect - self.common) / (self.rare - self.common)
        if not 0 <= share <= 1:
            raise ValueError(f"no mix of {self.common} and {self.rare} has the mean {effect}")
        difference = np.full(CASES, self.common)
        difference[: round(share * CASES)] = self.rare
        baseline = np.clip(0.5 - difference / 2, 0, 1)
        return Population(baseline=baseline, candidate=baseline + difference)


def _moved(baseline: FloatArray, candidate: FloatArray, effect: float) -> FloatArray:
    """Move the candidate's scores inside [0, 1] until their mean is the baseline's plus `effect`."""
    for _ in range(_ROUNDS):
        candidate = np.clip(candidate + (baseline.mean() + effect - candidate.mean()), 0, 1)
    return candidate


def _stepped(below: FloatArray, above: FloatArray, wanted: int, *, top: int) -> FloatArray:
    """Move as many of the candidate's scores by one step as make the sum of differences `wanted` steps; the population is in random order."""
    while missing := wanted - round(float((above - below).sum())):
        step = 1 if missing > 0 else -1
        movable = np.flatnonzero((above + step >= 0) & (above + step <= top))[: abs(missing)]
        above[movable] += step
    return above
