"""Before a run: which drop would be found, how surely, and after how many units. By simulation of the engine itself, not by a formula about it.

The simulated candidate and baseline answer yes-or-no questions. *Churn* is the share of questions on which exactly one of them is right: it is what makes small
differences hard to see (for quantised models 2–13 %). A drop is spread over all questions, or sits in one slice alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, isfinite
from typing import Final

import numpy as np

from sluice.scoring.statistics.decide import decide
from sluice.scoring.statistics.engine import Decision

SIMULATIONS: Final = 400
_SEED: Final = 20261121


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is planned. `margin`, `alpha` as for `decide`; `churn` in (0, 1]; `slices`: how large the slices are beside each other, in any unit."""

    margin: float
    alpha: float
    planned: int
    churn: float
    slices: tuple[float, ...] = ()
    promotes_after: int = 0
    """Units before which nothing is promoted, because a minimum time is not over."""

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if not 0 < self.churn <= 1:
            raise ValueError(f"churn: {self.churn}; a share of questions, above 0 and at most 1")
        if not all(isfinite(size) and size > 0 for size in self.slices):
            raise ValueError(f"slices: {self.slices}; sizes above 0, such as 500, 300, 20")

    def share(self, slice_: int) -> float:
        """Return which part of all units is in a slice."""
        return self.slices[slice_] / sum(self.slices)


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What happens to a candidate whose true mean difference is −`drop`: everywhere, or only in a slice with this `share` of the units.

    Decisions are shares of simulated runs in [0, 1]. `median` units until a decision, and those after which nine of ten runs are decided; None when
    so many are not decided at all.
    """

    drop: float
    share: float | None
    promoted: float
    rolled_back: float
    inconclusive: float
    median: int | None
    nine_in_ten: int | None


def power(setting: Setting, *, drop: float, only: int | None = None, simulations: int = SIMULATIONS) -> Power:
    """Simulate `simulations` runs of a candidate that is worse by `drop`, in slice `only` or everywhere.

    A drop larger than the churn raises the churn to it. Raises ValueError for what is out of range.
    """
    if only is not None and not 0 <= only < len(setting.slices):
        raise ValueError(f"only: {only}; there are {len(setting.slices)} slices, counted from 0")
    if not 0 <= drop <= 1:
        raise ValueError(f"drop: {drop}; between 0 and 1")
    found = list(_runs(setting, drop, simulations, only=only))
    used = sorted(n for decision, n in found if decision is not Decision.INCONCLUSIVE)

    def after(share: float) -> int | None:
        place = ceil(share * simulations) - 1
        return used[place] if place < len(used) else None

    share = {decision: sum(1 for found_, _ in found if found_ is decision) / simulations for decision in Decision}
    return Power(
        drop=drop,
        share=None if only is None else setting.share(only),
        promoted=share[Decision.PROMOTE],
        rolled_back=share[Decision.ROLL_BACK],
        inconclusive=share[Decision.INCONCLUSIVE],
        median=after(0.5),
        nine_in_ten=after(0.9),
    )


def _runs(setting: Setting, drop: float, simulations: int, *, only: int | None) -> Iterator[tuple[Decision, int]]:
    rng = np.random.default_rng([_SEED, round(drop * 1e6), setting.planned, 0 if only is None else only + 1])
    # The suite says how many units each slice has; chance says which.
    upto = np.rint(np.cumsum(setting.slices) / sum(setting.slices) * setting.planned) if setting.slices else None
    for _ in range(simulations):
        slices = None if upto is None else np.searchsorted(upto, rng.permutation(setting.planned), side="right")
        hit = np.ones(setting.planned, dtype=bool) if only is None or slices is None else slices == only
        loss = np.where(hit, drop, 0.0)
        # At least one of the two answers differently as often as the drop needs.
        churn = np.maximum(setting.churn, loss)
        draw = rng.random(setting.planned)
        d = np.where(draw < (churn + loss) / 2, -1.0, np.where(draw < churn, 1.0, 0.0))
        yield decide(
            d, None if slices is None else slices.tolist(), margin=setting.margin, alpha=setting.alpha, planned=setting.planned,
            promotes_after=setting.promotes_after,
        )  # fmt: skip
