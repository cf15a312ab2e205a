"""Before a run: which drop would be found, how surely, and after how many units. By simulation of the engine itself, not by a formula about it.

The simulated candidate and baseline answer yes-or-no questions. *Churn* is the share of questions on which exactly one of them is right: it is what makes small
differences hard to see (for quantised models 2–13 %). A drop is spread over all questions, or, in `one_slice`, sits in one slice alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Final

import numpy as np

from sluice.scoring.statistics.decide import decide
from sluice.scoring.statistics.engine import Decision

SIMULATIONS: Final = 400
_SEED: Final = 20261121


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is planned. `margin`, `alpha` as for `decide`; `churn` in (0, 1]; `slices`: number of slices of equal size, 0 for none."""

    margin: float
    alpha: float
    planned: int
    churn: float
    slices: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What happens to a candidate whose true mean difference is −`drop` (in one slice only, if `one_slice`); shares of simulated runs in [0, 1].

    `median` units until a decision, and those after which nine of ten runs are decided; None when so many are not decided at all.
    """

    drop: float
    one_slice: bool
    promoted: float
    rolled_back: float
    inconclusive: float
    median: int | None
    nine_in_ten: int | None


def power(setting: Setting, *, drop: float, one_slice: bool = False, simulations: int = SIMULATIONS) -> Power:
    """Simulate `simulations` runs. Raises ValueError for what is out of range. A drop larger than the churn raises the churn to it."""
    if one_slice and setting.slices < 1:
        raise ValueError("slices: 0; a drop in one slice needs slices")
    if not 0 < setting.churn <= 1:
        raise ValueError(f"churn: {setting.churn}; a share of questions, above 0 and at most 1")
    if not 0 <= drop <= 1:
        raise ValueError(f"drop: {drop}; between 0 and 1")
    found = list(_runs(setting, drop, simulations, one_slice=one_slice))
    used = sorted(n for decision, n in found if decision is not Decision.INCONCLUSIVE)

    def after(share: float) -> int | None:
        place = ceil(share * simulations) - 1
        return used[place] if place < len(used) else None

    share = {decision: sum(1 for found_, _ in found if found_ is decision) / simulations for decision in Decision}
    return Power(
        drop=drop,
        one_slice=one_slice,
        promoted=share[Decision.PROMOTE],
        rolled_back=share[Decision.ROLL_BACK],
        inconclusive=share[Decision.INCONCLUSIVE],
        median=after(0.5),
        nine_in_ten=after(0.9),
    )


def _runs(setting: Setting, drop: float, simulations: int, *, one_slice: bool) -> Iterator[tuple[Decision, int]]:
    rng = np.random.default_rng([_SEED, round(drop * 1e6), setting.planned, int(one_slice)])
    for _ in range(simulations):
        slices = rng.permutation(setting.planned) % setting.slices if setting.slices else None
        hit = slices == 0 if one_slice and slices is not None else np.ones(setting.planned, dtype=bool)
        loss = np.where(hit, drop, 0.0)
        # At least one of the two answers differently as often as the drop needs.
        churn = np.maximum(setting.churn, loss)
        draw = rng.random(setting.planned)
        d = np.where(draw < (churn + loss) / 2, -1.0, np.where(draw < churn, 1.0, 0.0))
        yield decide(d, None if slices is None else slices.tolist(), margin=setting.margin, alpha=setting.alpha, planned=setting.planned)
