"""From series of differences to a decision, at every look, with two promises.

True mean ≥ −margin in the pool and in every slice: P(roll back, at any look) ≤ alpha. True mean ≤ −margin in the pool: P(promote, at any look) ≤ alpha.

1. *Roll back* when the pool, or a slice, is worse than the margin: a group-sequential score test each. With slices, half of alpha is the pool's (a small loss
   everywhere shows there) and half is shared by the slices (a large loss in one shows there, and hardly in the pool).
2. *Promote* when the pool is not worse than the margin, by the same test of the opposite hypothesis at the full alpha. With slices only at the planned
   end, and only if no slice looks bad: before, most slices have too few units to say anything, and a candidate that ruins one would be promoted.
3. *Inconclusive* otherwise.

A boundary once reached decides; nothing later is looked at. Missing answers are in the series already, as the worst difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sluice.scoring.statistics.looks import FIRST, looks, slice_looks
from sluice.scoring.statistics.score_test import p_values
from sluice.scoring.statistics.series import GRID, WHOLE, Series
from sluice.scoring.statistics.spending import boundaries, spent, tail

KEPT: Final = 0.9
"""Share of alpha that is spent. The rest is the reserve for what the test approximates."""
SLICES_SHARE: Final = 0.5
"""Share of alpha for slices, where there are some."""
LOOKS_BAD: Final = 0.01
"""A slice with a smaller p-value for "not worse than the margin" stands in the way of promotion."""
_CHUNK: Final = 16
_FAR: Final = 30.0

Vector = NDArray[np.float64]


class Decision(StrEnum):
    """What the differences say."""

    PROMOTE = "Promote"
    ROLL_BACK = "RollBack"
    INCONCLUSIVE = "Inconclusive"


class Side(StrEnum):
    """The two hypotheses that are tested."""

    WORSE = "Worse"
    """Rejects "the mean is at least −margin": roll back."""
    WITHIN = "Within"
    """Rejects "the mean is at most −margin": promote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """What is fixed before the first answer.

    `margin` in [0, 1): how much worse the mean may be. Error rates in (0, 0.5). `planned`: units after which it ends. `minimum`: no decision before.
    """

    margin: float
    false_roll_back: float
    false_promotion: float
    planned: int
    minimum: int = FIRST

    def __post_init__(self) -> None:
        if not 0 <= self.margin < 1:
            raise ValueError(f"margin: {self.margin}; a difference lies in [-1, 1], so give a number from 0 up to, not including, 1")
        for name, rate in (("false_roll_back", self.false_roll_back), ("false_promotion", self.false_promotion)):
            if not 0 < rate < 0.5:  # noqa: PLR2004 - a test that errs every second time is none
                raise ValueError(f"{name}: {rate}; give an error rate between 0 and 0.5, such as 0.05")
        if self.planned < 1:
            raise ValueError(f"planned: {self.planned}; plan at least one unit")

    @property
    def looks(self) -> tuple[int, ...]:
        """Numbers of units at which the engine looks."""
        return looks(self.planned, minimum=self.minimum)

    @property
    def slice_looks(self) -> tuple[int, ...]:
        """Those of `looks` at which it looks at slices."""
        return slice_looks(self.planned, minimum=self.minimum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The decision, the look (index into `Design.looks`) at which it fell, and because of what: a slice, or "" for the pool.

    An inconclusive one has the last look that there is, −1 before the first; `suspect` names the slice that stood in the way of promotion.
    """

    decision: Decision
    look: int
    where: str = ""
    suspect: str = ""


def evaluate(pool: Series, slices: Mapping[str, Series], design: Design) -> Outcome:
    """Decide. `pool` and each of `slices` have one row for each of `design.looks` that is complete, in order; slices not seen yet may be absent.

    Which slices exist may depend on the units seen: what is spent at a look is shared by the slices seen until then. Raises ValueError for more rows
    than looks.
    """
    complete = len(pool.counts)
    if complete > len(design.looks):
        raise ValueError(f"{complete} rows for {len(design.looks)} looks")
    sliced = _SlicePart(slices, design, complete) if slices else None
    for start in range(0, complete, _CHUNK):
        rows = slice(start, min(start + _CHUNK, complete))
        worse = _reached(pool, Side.WORSE, design, rows, share=1 - SLICES_SHARE if sliced else 1.0)
        within = _reached(pool, Side.WITHIN, design, rows, share=1.0)
        for look in range(rows.start, rows.stop):
            if worse[look - start]:
                return Outcome(decision=Decision.ROLL_BACK, look=look)
            if sliced and (where := sliced.worse_at(look)):
                return Outcome(decision=Decision.ROLL_BACK, look=look, where=where)
            if sliced is None and within[look - start]:
                return Outcome(decision=Decision.PROMOTE, look=look)
            if sliced:
                sliced.pool_is_within |= bool(within[look - start])
                if look == len(design.looks) - 1 and sliced.pool_is_within:
                    suspect = sliced.looks_bad(look)
                    decision = Decision.INCONCLUSIVE if suspect else Decision.PROMOTE
                    return Outcome(decision=decision, look=look, suspect=suspect)
    return Outcome(decision=Decision.INCONCLUSIVE, look=complete - 1)


def side_p_values(series: Series, side: Side, margin: float, rows: slice) -> Vector:
    """Return the p-value of one hypothesis at each look of `rows`; 1 where nothing was seen. Shape (rows,)."""
    counts = series.counts[rows].astype(np.float64) / WHOLE
    p = np.ones(len(counts))
    seen = counts.sum(axis=1) > 0
    if seen.any():
        used = counts[seen].any(axis=0)
        values, weights = series.values[used], counts[seen][:, used]
        if side is Side.WITHIN:
            p[seen] = p_values(values + GRID, weights, unit=2 * GRID, null_mean=(1 - margin) / 2)
        else:
            p[seen] = p_values((GRID - values)[::-1].copy(), weights[:, ::-1].copy(), unit=2 * GRID, null_mean=(1 + margin) / 2)
    return p


@lru_cache(maxsize=512)
def levels(planned: int, at: tuple[int, ...], alpha: float) -> Vector:
    """Return the p-value to reach at each of the looks `at`, for error rate `alpha` over all of them."""
    times = tuple(count / planned for count in at)
    found = np.array(boundaries(times, tuple(alpha * spent(time) for time in times)))
    found.setflags(write=False)
    return found


def alpha_of(side: Side, design: Design) -> float:
    """Return what is spent on one hypothesis over all looks."""
    return KEPT * (design.false_roll_back if side is Side.WORSE else design.false_promotion)


def _reached(series: Series, side: Side, design: Design, rows: slice, *, share: float) -> NDArray[np.bool_]:
    needed = levels(design.planned, design.looks, share * alpha_of(side, design))[rows]
    reached = np.zeros(len(needed), dtype=bool)
    # The exact value costs a hundred times this one: it is asked for where it may be small enough.
    worth = np.flatnonzero(_normal_p_values(series, side, design.margin, rows) <= _FAR * needed)
    if worth.size:
        first, last = rows.start + int(worth[0]), rows.start + int(worth[-1]) + 1
        reached[worth[0] : worth[-1] + 1] = side_p_values(series, side, design.margin, slice(first, last)) <= needed[worth[0] : worth[-1] + 1]
    return reached


def _normal_p_values(series: Series, side: Side, margin: float, rows: slice) -> Vector:
    """Return what a plain normal approximation says, spread around the null's mean; 1 where nothing was seen."""
    counts, sign = series.counts[rows], 1.0 if side is Side.WITHIN else -1.0
    units = counts.sum(axis=1) / WHOLE
    away = sign * (series.values / GRID + margin)
    sums, squares = (counts @ away) / WHOLE, (counts @ (away * away)) / WHOLE
    z = np.divide(sums, np.sqrt(squares), out=np.zeros(len(units)), where=squares > 0)
    return tail(z)


class _SlicePart:
    """The slices' share of alpha, spent at few looks."""

    def __init__(self, slices: Mapping[str, Series], design: Design, complete: int) -> None:
        self._names = sorted(slices)
        self._slices = slices
        self._design = design
        self.pool_is_within = False
        at = design.slice_looks
        self._rows = [design.looks.index(count) for count in at]
        self._rows = [row for row in self._rows if row < complete]
        times = tuple(count / design.planned for count in at[: len(self._rows)])
        self._levels = _shared_levels(times, SLICES_SHARE * alpha_of(Side.WORSE, design), [self._seen(row) for row in self._rows])

    def _seen(self, row: int) -> int:
        return sum(1 for name in self._names if self._slices[name].counts[row].any())

    def worse_at(self, look: int) -> str:
        """Name the slice that is worse than the margin at `look`: the one with the most evidence; "" for none."""
        if look not in self._rows:
            return ""
        level = self._levels[self._rows.index(look)]
        p, name = min((self._p(name, look), name) for name in self._names)
        return name if p <= level else ""

    def looks_bad(self, look: int) -> str:
        """Name the slice that looks worst, if it looks bad; "" for none."""
        p, name = min((self._p(name, look), name) for name in self._names)
        return name if p <= LOOKS_BAD else ""

    def _p(self, name: str, look: int) -> float:
        return float(side_p_values(self._slices[name], Side.WORSE, self._design.margin, slice(look, look + 1))[0])


def _shared_levels(times: Sequence[float], alpha: float, seen: Sequence[int]) -> tuple[float, ...]:
    """Return each look's level for one slice, when what is spent at a look is shared by the slices `seen` until then (Bonferroni)."""
    total, before, alphas = 0.0, 0.0, []
    for time, count in zip(times, seen, strict=True):
        until = alpha * spent(time)
        total += (until - before) / max(1, count)
        before = until
        alphas.append(total)
    return boundaries(tuple(times), tuple(alphas))
