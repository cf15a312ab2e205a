"""One metric in one slice: how many units had which difference, at each look. The only thing that the engine reads.

Differences stand on a grid of thousandths. One that lies between two grid points is shared between them, so that the mean stays; shares are counted in
thousandths of a unit. All of it is integers: parts of a series add, in any order, to the same bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sluice.scoring.statistics.grid import GRID, WHOLE

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """`counts[k, i]`: weight of the units with difference `values[i]` among those seen at look k; shapes (looks, u) and (u,), values increasing."""

    values: Integers
    counts: Integers

    @classmethod
    def of(cls, tallies: Iterable[Mapping[int, int]]) -> Series:
        """Make one of what came between looks: for each look, difference in thousandths → weight of its new units."""
        parts = list(tallies)
        keys = sorted({key for part in parts for key in part})
        at = {key: index for index, key in enumerate(keys)}
        counts = np.zeros((len(parts), len(keys)), dtype=np.int64)
        for look, part in enumerate(parts):
            for key, weight in part.items():
                counts[look, at[key]] = weight
        return cls(values=np.array(keys, dtype=np.int64), counts=counts.cumsum(axis=0))

    @classmethod
    def arriving(cls, differences: Floats, look: Integers, *, looks: int) -> Series:
        """Make one of units, each with its difference in [−1, 1] and the look at which it is first there; shapes (n,)."""
        standing = cls.standing(differences, look, looks=looks)
        return cls(values=standing.values, counts=standing.counts.cumsum(axis=0))

    @classmethod
    def standing(cls, differences: Floats, look: Integers, *, looks: int) -> Series:
        """Make one of what stands at each look: every unit once for each look, with its difference at that look; shapes (n,)."""
        below, here, above = _on_grid(differences)
        values, where = np.unique(np.concatenate([below, below + 1]), return_inverse=True)
        weights, at = np.concatenate([here, above]), np.concatenate([look, look])
        # Sums of integers far below 2^53: exact.
        table = np.bincount(at * len(values) + where, weights=weights, minlength=looks * len(values)).astype(np.int64)
        counts = table.reshape(looks, len(values))
        used = counts.any(axis=0)
        return cls(values=values[used], counts=counts[:, used])

    @property
    def units(self) -> Floats:
        """Units seen at each look; shape (looks,)."""
        return np.asarray(self.counts.sum(axis=1) / WHOLE)

    @property
    def means(self) -> Floats:
        """Mean difference at each look, `nan` where nothing was seen; shape (looks,)."""
        units = self.units
        totals = (self.counts @ self.values) / (GRID * WHOLE)
        return np.asarray(np.divide(totals, units, out=np.full(len(units), np.nan), where=units > 0))


def _on_grid(differences: Floats) -> tuple[Integers, Integers, Integers]:
    """Put differences in [−1, 1] on the grid: the point below each, the weight there, and the weight on the next point."""
    scaled = differences * GRID
    below = np.floor(scaled + 1e-9).astype(np.int64)
    above = np.clip(np.rint((scaled - below) * WHOLE), 0, WHOLE).astype(np.int64)
    return below, WHOLE - above, above
