"""From series of differences to a decision, at every look, with two promises.

True mean ≥ −margin in the pool and in every slice: P(roll back, at any look) ≤ alpha. True mean ≤ −margin in the pool: P(promote, at any look) ≤ alpha.

1. *Roll back* when the pool, or a slice, is worse than the margin: a group-sequential score test each. With slices, part of alpha is the pool's (a small loss
   everywhere shows there) and the rest is shared by the slices (a large loss in one shows there, and hardly in the pool).
2. *Promote* when the pool is not worse than the margin, by the same test of the opposite hypothesis at the full alpha. With slices only at the planned
   end, and only if no slice looks bad: before, most slices have too few units to say anything, and a candidate that ruins one would be promoted.
3. *Inconclusive* otherwise.

A boundary once reached decides; nothing later is looked at. Missing answers are in the series already, as the worst difference.

A promotion may have to wait. Then evidence for a rollback goes first, until it is due. Both promises hold whatever it waits for: a rollback needs the same
evidence as ever, and a promotion more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sluice.scoring.statistics.grid import GRID, WHOLE
from sluice.scoring.statistics.looks import FIRST, looks, slice_looks
from sluice.scoring.statistics.score_test import p_value
from sluice.scoring.statistics.series import Series
from sluice.scoring.statistics.spending import boundaries, early, late, tail

KEPT: Final = 0.95
"""Share of alpha that is spent. The rest is the reserve for what the test approximates."""
SMALL: Final = 50
KEPT_OF_SMALL: Final = 0.65
"""The same for plans of fewer units, where it approximates less well."""
SLICES_SHARE: Final = 0.6
"""Share of alpha for slices, where there are some: each has few units, and they share it."""
LOOKS_BAD: Final = 0.01
"""A slice with a smaller p-value for "not worse than the margin" stands in the way of promotion."""
GROSS: Final = 0.25
GROSS_LOOKS_BAD: Final = 0.05
"""So does one whose mean is that far beyond the margin with this p-value: a rare class has few cases, and losing half of them is no accident to promote."""
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


def evaluate(pool: Series, slices: Mapping[str, Series] | None, design: Design, *, promotes_from: int = 0) -> Outcome:
    """Decide. `pool` and each of `slices` have one row for each of `design.looks` that is complete, in order; slices not seen yet may be absent.

    `slices` is None where units belong to none, which is fixed before the first answer: that none was seen *yet* must not decide as if there were none, or
    the first unit of a slice would change what was decided before it.
    `promotes_from`: the first look at which it may be promoted. What was shown for it before counts then; what is shown for a rollback until then goes first.
    Which slices exist may depend on the units seen: what is spent at a look is shared by the slices seen until then. Raises ValueError for more rows
    than looks.
    """
    complete = len(pool.counts)
    if complete > len(design.looks):
        raise ValueError(f"{complete} rows for {len(design.looks)} looks")
    sliced = None if slices is None else _SlicePart(slices, design, complete)
    worse, within = (_Test(pool, side, design, sliced=sliced is not None) for side in (Side.WORSE, Side.WITHIN))
    pool_is_within = False
    for look in range(complete):
        if worse.reached(look):
            return Outcome(decision=Decision.ROLL_BACK, look=look)
        if sliced and (where := sliced.worse_at(look)):
            return Outcome(decision=Decision.ROLL_BACK, look=look, where=where)
        pool_is_within = pool_is_within or within.reached(look)
        if pool_is_within and sliced is None and look >= promotes_from:
            return Outcome(decision=Decision.PROMOTE, look=look)
        if pool_is_within and sliced and look == len(design.looks) - 1:
            suspect = sliced.looks_bad(look)
            return Outcome(decision=Decision.INCONCLUSIVE if suspect else Decision.PROMOTE, look=look, suspect=suspect)
    return Outcome(decision=Decision.INCONCLUSIVE, look=complete - 1)


def side_p_value(series: Series, side: Side, margin: float, look: int) -> float:
    """Return the p-value of one hypothesis at a look; 1 where nothing was seen. It depends on that row of the series alone, to the last bit."""
    counts = series.counts[look]
    there = np.flatnonzero(counts)
    if not there.size:
        return 1.0
    values, weights = series.values[there], counts[there] / WHOLE
    if side is Side.WITHIN:
        return p_value(values + GRID, weights, unit=2 * GRID, null_mean=(1 - margin) / 2)
    return p_value((GRID - values)[::-1], weights[::-1], unit=2 * GRID, null_mean=(1 + margin) / 2)


def pool_levels(side: Side, design: Design, *, sliced: bool = False) -> Vector:
    """Return the p-value that the pool must reach at each of `design.looks`; `sliced` where slices have their share of alpha."""
    alpha = _alpha(side, design)
    if side is Side.WITHIN:
        return _levels(design.planned, design.looks, alpha, late)
    return _levels(design.planned, design.looks, alpha * (1 - SLICES_SHARE) if sliced else alpha, early)


def slice_levels(design: Design, *, slices: int) -> Vector:
    """Return the p-value that shows one of `slices` to be worse, at each of `design.slice_looks`, when all of them were seen from the first look on."""
    return _levels(design.planned, design.slice_looks, SLICES_SHARE * _alpha(Side.WORSE, design) / slices, late)


@lru_cache(maxsize=512)
def _levels(planned: int, at: tuple[int, ...], alpha: float, spent: Callable[[float], float]) -> Vector:
    times = tuple(count / planned for count in at)
    found = np.array(boundaries(times, tuple(alpha * spent(time) for time in times)))
    found.setflags(write=False)
    return found


def _alpha(side: Side, design: Design) -> float:
    """Return what is spent on one hypothesis over all looks."""
    kept = KEPT_OF_SMALL if design.planned < SMALL else KEPT
    return kept * (design.false_roll_back if side is Side.WORSE else design.false_promotion)


class _Test:
    """One hypothesis about the pool, at each look."""

    def __init__(self, series: Series, side: Side, design: Design, *, sliced: bool) -> None:
        self._series, self._side, self._margin = series, side, design.margin
        self._levels = pool_levels(side, design, sliced=sliced)
        # The exact value costs a hundred times the normal one: it is asked for where it may be small enough.
        self._worth = _normal_p_values(series, side, design.margin) <= _FAR * self._levels[: len(series.counts)]

    def reached(self, look: int) -> bool:
        return bool(self._worth[look]) and side_p_value(self._series, self._side, self._margin, look) <= self._levels[look]


def _normal_p_values(series: Series, side: Side, margin: float) -> Vector:
    """Return what a plain normal approximation says at each look, spread around the null's mean; 1/2 where nothing was seen."""
    # Integers up to here: a row's bits do not depend on the others.
    weight, sums, squares = series.counts.sum(axis=1), series.counts @ series.values, series.counts @ (series.values * series.values)
    shift = margin * GRID
    away = (sums + shift * weight) * (1.0 if side is Side.WITHIN else -1.0)
    spread = (squares + 2 * shift * sums + shift * shift * weight) * WHOLE
    return tail(np.divide(away, np.sqrt(spread), out=np.zeros(len(weight)), where=spread > 0))


class _SlicePart:
    """The slices' share of alpha, spent at few looks."""

    def __init__(self, slices: Mapping[str, Series], design: Design, complete: int) -> None:
        self._names = sorted(slices)
        self._slices = slices
        self._design = design
        at = design.slice_looks
        self._rows = [design.looks.index(count) for count in at]
        self._rows = [row for row in self._rows if row < complete]
        times = tuple(count / design.planned for count in at[: len(self._rows)])
        self._levels = _shared_levels(times, SLICES_SHARE * _alpha(Side.WORSE, design), [self._seen(row) for row in self._rows])

    def _seen(self, row: int) -> int:
        return sum(1 for name in self._names if self._slices[name].counts[row].any())

    def worse_at(self, look: int) -> str:
        """Name the slice that is worse than the margin at `look`: the one with the most evidence; "" for none."""
        if look not in self._rows or not self._names:
            return ""
        level = self._levels[self._rows.index(look)]
        p, name = min((self._p(name, look), name) for name in self._names)
        return name if p <= level else ""

    def looks_bad(self, look: int) -> str:
        """Name the slice that looks worst, if it looks bad; "" for none."""
        bad = [(p, name) for name in self._names if (p := self._p(name, look)) <= (GROSS_LOOKS_BAD if self._gross(name, look) else LOOKS_BAD)]
        return min(bad, default=(0.0, ""))[1]

    def _gross(self, name: str, look: int) -> bool:
        return bool(self._slices[name].means[look] <= -self._design.margin - GROSS)

    def _p(self, name: str, look: int) -> float:
        return side_p_value(self._slices[name], Side.WORSE, self._design.margin, look)


def _shared_levels(times: Sequence[float], alpha: float, seen: Sequence[int]) -> tuple[float, ...]:
    """Return each look's level for one slice, when what is spent at a look is shared by the slices `seen` until then (Bonferroni)."""
    total, before, alphas = 0.0, 0.0, []
    for time, count in zip(times, seen, strict=True):
        until = alpha * late(time)
        total += (until - before) / max(1, count)
        before = until
        alphas.append(total)
    return boundaries(tuple(times), tuple(alphas))
