"""Drift of a distribution: latencies, prompt lengths, scores, the mix of tools that are called.

The conformal way (Vovk and others 2021, "Retrain or not retrain: conformal test martingales for change-point detection") turns each observation
into its rank in the reference and bets, by Shiryaev–Roberts, on ranks that are not uniform. It is exact as long as the reference grows with what
is watched. A frozen reference of n does not: its ranks are off by about 1/√n for ever, and the plain method alarms on that
(`benchmarks/drift_run_length.py` measures it). So here the bets are on bounded functions of the rank, whose means in the reference have an
envelope as any other mean:

- numbers: where in the order of the reference (*location*), how far from its middle (*spread*), the share in its upper and lower hundredth
  (*high tail*, *low tail*);
- names: the share of each name, and of all others together.

Ties take the middle of their ranks. Conformal p-values break ties at random, in order to be uniform; nothing here needs them to be, so there is no
seed, and a replay says the same. The edges of the bins come from the sample that also gives the means: for shares that changes nothing (ranks of a
sample have beta-distributed levels), for location and spread it is an approximation that the benchmark holds against fresh references.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from pydantic import ConfigDict

from sluice.scoring.drift.bets import Feature, Floats, Side, place
from sluice.scoring.drift.detector import STORED, Detector, State
from sluice.scoring.drift.envelope import envelope
from sluice.scoring.drift.histogram import Categories, Histogram, empty
from sluice.scoring.drift.refused import DriftRefused
from sluice.scoring.drift.settings import Promise
from sluice.scoring.drift.stored import digest

_TAIL_SHARE = 0.01
_FEWEST = 2
_TWO_KINDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class DistributionDetector:
    """Says when observations no longer come from the reference. Raises DriftRefused when it could never say so."""

    reference: Histogram
    promise: Promise
    _table: Floats = field(init=False, repr=False, compare=False)
    """Features of each bin, shape (bins, features)."""
    _detector: Detector = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.reference.n < _FEWEST:
            raise DriftRefused(f"a reference of {self.reference.n} observations says nothing; take at least {_FEWEST}, better thousands")
        columns = _of_names(self.reference) if isinstance(self.reference.bins, Categories) else _of_numbers(self.reference)
        counts, n = np.array(self.reference.counts, dtype=np.float64), self.reference.n
        features = []
        for name, (heights, share, side) in columns.items():
            mean = float(counts @ heights) / n
            variance = float(counts @ (heights - mean) ** 2) / (n - 1)
            error = self.promise.reference_error / len(columns)
            bounds = envelope(mean=mean, variance=variance, n=n, tolerance=self.promise.tolerance, error=error)
            features.append(Feature(name=name, envelope=bounds, share=share, side=side))
        bets = place(features, run_length=self.promise.run_length)
        name = digest(_Settings(reference=self.reference, promise=self.promise))
        object.__setattr__(self, "_table", np.stack([heights for heights, *_ in columns.values()], axis=1))
        object.__setattr__(self, "_detector", Detector(bets=bets, run_length=self.promise.run_length, digest=name))

    @property
    def digest(self) -> str:
        """Of settings and reference; a state belongs to one digest."""
        return self._detector.digest

    @property
    def core(self) -> Detector:
        """The bets, for whoever shows or simulates them."""
        return self._detector

    def features(self, values: ArrayLike | Sequence[str]) -> Floats:
        """What is bet on: shape (observations, features), in [0, 1]. Raises DriftRefused for what does not belong into the bins."""
        return self._table[self.reference.bins.index(values)]  # type: ignore[arg-type]  # numbers for Numeric, names for Categories

    def start(self) -> State:
        """The state before the first observation."""
        return self._detector.start()

    def observe(self, state: State, values: ArrayLike | Sequence[str]) -> State:
        """`state` after `values`, numbers or names as the reference has them, in their order.

        Raises DriftRefused for what does not belong into the bins, and for a state of another detector; nothing is taken in then.
        """
        return self._detector.observe(state, self.features(values))

    def observe_together(self, state: State, values: ArrayLike | Sequence[str]) -> State:
        """`state` after `values` whose order means nothing, such as those of the cases of a suite. Raises DriftRefused as `observe` does."""
        return self.tally(state, empty(self.reference.bins).with_values(values))

    def tally(self, state: State, batch: Histogram) -> State:
        """`state` after a batch of which only the counts are known; the time does not depend on how many they are.

        Raises DriftRefused for other bins, and for a state of another detector; nothing is taken in then.
        """
        if batch.bins != self.reference.bins:
            raise DriftRefused("the batch is not counted in the bins of the reference")
        return self._detector.tally(state, self._table, np.array(batch.counts, dtype=np.int64))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    """All that the bets follow from."""

    __pydantic_config__: ClassVar[ConfigDict] = STORED

    reference: Histogram
    promise: Promise
    kind: str = "distribution/1"


_Columns: TypeAlias = dict[str, tuple[Floats, float, Side]]
"""Each feature: its value in every bin, its share of the bets, and where it may go."""


def _of_numbers(reference: Histogram) -> _Columns:
    counts = np.array(reference.counts, dtype=np.float64)
    rank = (counts.cumsum() - counts / 2) / counts.sum()
    # A tail that gets thinner takes thousands of observations to see, and is a smaller spread long before.
    columns = {
        "location": (rank, 2.0, Side.BOTH),
        "spread": (np.abs(2 * rank - 1), 1.0, Side.BOTH),
        "high tail": ((rank > 1 - _TAIL_SHARE).astype(np.float64), 1.0, Side.RISE),
        "low tail": ((rank < _TAIL_SHARE).astype(np.float64), 1.0, Side.RISE),
    }
    # A reference of few different values may have no tail; what is the same in every bin tells nothing.
    return {name: column for name, column in columns.items() if np.ptp(column[0]) > 0}


def _of_names(reference: Histogram) -> _Columns:
    """Each name's share; of two kinds one is enough, the other is the rest."""
    names = (*(f"share of {name!r}" for name in getattr(reference.bins, "names", ())), "share of other names")
    each = {name: (column, 1.0, Side.BOTH) for name, column in zip(names, np.eye(len(names)), strict=True)}
    return dict(list(each.items())[-1:]) if len(each) == _TWO_KINDS else each
