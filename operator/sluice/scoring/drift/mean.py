"""Drift of a mean: a refusal rate, a score, anything in [0, 1] of which a baseline has a known average."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import ConfigDict

from sluice.scoring.drift.bets import Feature, Floats, Side, place
from sluice.scoring.drift.detector import STORED, Detector, State
from sluice.scoring.drift.envelope import Envelope, envelope
from sluice.scoring.drift.histogram import COUNT_LIMIT
from sluice.scoring.drift.refused import DriftRefused
from sluice.scoring.drift.settings import Promise
from sluice.scoring.drift.stored import digest

_FEWEST = 2  # a variance needs two
_YES_OR_NO: Floats = np.array([[0.0], [1.0]])


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanReference:
    """What is frozen with the baseline: three numbers."""

    __pydantic_config__: ClassVar[ConfigDict] = STORED

    n: int
    mean: float
    variance: float
    """With n − 1."""

    def __post_init__(self) -> None:
        if self.n < _FEWEST:
            raise DriftRefused(f"a reference of {self.n} observations says nothing; take at least {_FEWEST}, better thousands")
        if not 0 <= self.mean <= 1 or not 0 <= self.variance <= self.n / (self.n - 1) / 4 + 1e-9:
            raise DriftRefused(f"a mean of {self.mean} with variance {self.variance} is not of values in [0, 1]")

    @classmethod
    def of(cls, values: ArrayLike) -> MeanReference:
        """The reference of observations, in any order. Raises DriftRefused for values outside [0, 1] and for fewer than 2."""
        x = unit_interval(values)
        if x.size < _FEWEST:
            raise DriftRefused(f"a reference of {x.size} observations says nothing; take at least {_FEWEST}, better thousands")
        return cls(n=x.size, mean=float(x.mean()), variance=float(x.var(ddof=1)))

    @classmethod
    def of_counts(cls, events: int, n: int) -> MeanReference:
        """The reference of `n` observations of which `events` were yes. Raises DriftRefused for impossible counts."""
        if not 0 <= events <= n or n < _FEWEST:
            raise DriftRefused(f"{events} events in {n} observations are no reference; n is at least {_FEWEST}, and events are at most n")
        mean = events / n
        return cls(n=n, mean=mean, variance=mean * (1 - mean) * n / (n - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanDetector:
    """Says when the mean has left the envelope of the reference. Raises DriftRefused when it could never say so."""

    reference: MeanReference
    promise: Promise
    side: Side = Side.BOTH
    name: str = "mean"
    """What the alarm calls it."""
    _detector: Detector = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        feature = Feature(name=self.name, envelope=self._envelope(), side=self.side)
        bets = place([feature], run_length=self.promise.run_length)
        name = digest(_Settings(reference=self.reference, promise=self.promise, side=self.side, name=self.name))
        object.__setattr__(self, "_detector", Detector(bets=bets, run_length=self.promise.run_length, digest=name))

    @property
    def digest(self) -> str:
        """Of settings and reference; a state belongs to one digest."""
        return self._detector.digest

    @property
    def core(self) -> Detector:
        """The bets, for whoever shows or simulates them."""
        return self._detector

    def start(self) -> State:
        """The state before the first observation."""
        return self._detector.start()

    def observe(self, state: State, values: ArrayLike) -> State:
        """`state` after `values`, shape (observations,), in their order.

        Raises DriftRefused for a value that is not in [0, 1], and for a state of another detector; nothing is taken in then.
        """
        return self._detector.observe(state, unit_interval(values)[:, np.newaxis])

    def observe_together(self, state: State, values: ArrayLike) -> State:
        """`state` after `values`, shape (observations,), whose order means nothing, such as the cases of a suite.

        Raises DriftRefused for a value that is not in [0, 1], and for a state of another detector; nothing is taken in then.
        """
        x = unit_interval(values)
        return self._detector.tally(state, x[:, np.newaxis], np.ones(x.size, dtype=np.int64))

    def tally(self, state: State, *, events: int, n: int) -> State:
        """`state` after `n` observations of which `events` were yes, in an order that is not known; the time does not depend on `n`.

        Raises DriftRefused for impossible counts, and for a state of another detector; nothing is taken in then.
        """
        if not 0 <= events <= n <= COUNT_LIMIT:
            raise DriftRefused(f"{events} events in {n} observations are impossible, or more than {COUNT_LIMIT:,}")
        return self._detector.tally(state, _YES_OR_NO, np.array([n - events, events]))

    def _envelope(self) -> Envelope:
        return envelope(
            mean=self.reference.mean,
            variance=self.reference.variance,
            n=self.reference.n,
            tolerance=self.promise.tolerance,
            error=self.promise.reference_error,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    """All that the bets follow from."""

    reference: MeanReference
    promise: Promise
    side: Side
    name: str
    kind: str = "mean/1"


def unit_interval(values: ArrayLike) -> NDArray[np.float64]:
    """`values` as floats of shape (observations,). Raises DriftRefused with the first one that is not in [0, 1]."""
    x = np.asarray(values, dtype=np.float64).reshape(-1)
    wrong = np.flatnonzero(~((x >= 0) & (x <= 1)))
    if wrong.size:
        raise DriftRefused(f"observation {int(wrong[0])} is {x[wrong[0]]}, not a number in [0, 1]; scale it, or count a missing one as the worst")
    return x
