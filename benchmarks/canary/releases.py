"""Draws one simulated release of a cell: every answer of both models, in the order in which they arrive.

The fixed random order of the units is decided first, as the product does it (docs/design/0005-canary-scoring.md); arrival, repeats and silence come on top and
never change it. So whoever is told rank and unit can undo them, and whoever looks at rows as they arrive is fooled.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.canary.cells import Arrival, Cell, Repeats
from benchmarks.canary.populations import FloatArray, Kind, Models, Population

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """All answers of a run, shape (rows,) each. Scores in [0, 1]; nan where the candidate did not answer. `usual` is the baseline's long-run mean."""

    baseline: FloatArray
    candidate: FloatArray
    rank: IntArray | None
    unit: IntArray | None
    slices: IntArray | None
    usual: float

    @property
    def differences(self) -> FloatArray:
        """Candidate − baseline, in [−1, 1]; nan where the candidate did not answer."""
        return np.clip(self.candidate - self.baseline, -1, 1)

    def first(self, rows: int) -> Release:
        """Only what arrived first."""
        rank, unit, slices = (column if column is None else column[:rows] for column in (self.rank, self.unit, self.slices))
        return Release(baseline=self.baseline[:rows], candidate=self.candidate[:rows], rank=rank, unit=unit, slices=slices, usual=self.usual)


def draw(cell: Cell, rng: np.random.Generator) -> Release:
    """Draw a release: cases at random with replacement, then repeats, silence and arrival."""
    units = cell.planned if cell.units is None else cell.units
    # 1. Which slice each unit belongs to, and which case it is.
    membership = _membership(cell, units, rng)
    members = cell.kind.members if isinstance(cell.kind, Models) else (cell.kind,)
    kind = members[rng.integers(len(members))]
    well, usual = _population(kind, cell.effect)
    case = rng.integers(well.baseline.size, size=units)
    baseline, candidate = well.baseline[case], well.candidate[case]
    if cell.slices and cell.slices.sick and membership is not None:
        ill, _ = _population(kind, cell.slices.by)
        inside = membership < cell.slices.sick
        baseline[inside], candidate[inside] = ill.baseline[case[inside]], ill.candidate[case[inside]]
    # 2. Repeats of a case, each an answer of its own where answers vary.
    unit = np.arange(units)
    if cell.repeats:
        unit = np.repeat(unit, _numbers(cell.repeats, baseline - candidate, rng))
    baseline, candidate = baseline[unit], candidate[unit]
    if well.sampled:
        baseline, candidate = (np.where(rng.random(chance.size) < chance, 1.0, 0.0) for chance in (baseline, candidate))
    if cell.missing:
        candidate = np.where(rng.random(candidate.size) < cell.missing, np.nan, candidate)
    # 3. The fixed order, which is one unit after the other unless the cell says otherwise; then that of arrival, of which the rank remembers the first.
    fixed = _fixed(cell.arrival, unit, rng)
    baseline, candidate, unit = baseline[fixed], candidate[fixed], unit[fixed]
    order = _arrival(cell.arrival, candidate - baseline, rng)
    order = order[: round(order.size * cell.arrived)]
    return Release(
        baseline=baseline[order],
        candidate=candidate[order],
        rank=None if cell.arrival is Arrival.DRAWN else order,
        unit=unit[order] if cell.repeats else None,
        slices=None if membership is None else membership[unit[order]],
        usual=usual,
    )


@lru_cache(maxsize=256)
def _population(kind: Kind, effect: float) -> tuple[Population, float]:
    population = kind.population(effect)
    return population, float(population.baseline.mean())


def _membership(cell: Cell, units: int, rng: np.random.Generator) -> IntArray | None:
    """Sizes are as even as the weights ask for; the order is random."""
    if cell.slices is None:
        return None
    ends = np.rint(np.cumsum(cell.slices.weights()) * units).astype(np.int64)
    return rng.permutation(np.searchsorted(ends, np.arange(units), side="right"))


def _numbers(repeats: Repeats, worse: FloatArray, rng: np.random.Generator) -> IntArray:
    """How often each unit is asked."""
    if repeats.heavy:
        return np.where(rng.random(worse.size) < 1 / 20, 20 * repeats.each - 19, 1)
    if not repeats.spread:
        return np.full(worse.size, repeats.each)
    drawn = rng.integers(1, 2 * repeats.each + 1, size=worse.size)
    return np.where(worse > 0, 2 * repeats.each, 1 + drawn // repeats.each) if repeats.for_the_worse else drawn


def _fixed(arrival: Arrival, unit: IntArray, rng: np.random.Generator) -> IntArray:
    """Rows in the order that was fixed before anything was asked."""
    if arrival is Arrival.SCATTERED:
        return rng.permutation(unit.size)
    if arrival is Arrival.ROUNDS:
        starts = np.flatnonzero(np.diff(unit, prepend=-1))
        return np.argsort(np.arange(unit.size) - starts[unit], kind="stable")
    return np.arange(unit.size)


def _arrival(arrival: Arrival, difference: FloatArray, rng: np.random.Generator) -> IntArray:
    if arrival is Arrival.SLOW_ARE_BAD:
        late = difference < 0
    elif arrival is Arrival.SLOW_ARE_GOOD:
        late = difference >= 0
    else:
        return np.arange(difference.size)
    return np.argsort(rng.random(difference.size) + late, kind="stable")
