"""Bets against "nothing has changed": where they are placed, and what each pays.

A bet on a *rise* of a feature x in [0, 1] whose mean is at most `high` pays 1 + λ (x − high) / high for 1; one on a *fall* below `low` pays
1 + λ (low − x) / (1 − low). Whatever the distribution, and however it depends on the past, the expected payment is at most 1 as long as the
conditional mean is inside the envelope (Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting"). That is all
that the promise needs; where the stakes λ stand decides only how soon a change is found.

For yes-or-no events, a stake with the odds λ / (1 − λ) = high · (k − 1) is the likelihood ratio of an event whose odds grew by the factor k. So
stakes stand at geometric *odds* (factor 2.5), not at equal distances. The smallest is for the shift that takes a tenth of the stated run length
to find: looking for less costs every larger shift and finds nothing before the next false alarm. Weights fall by 0.6 from one shift to the next
larger: large ones are found at once anyway. Against 12 stakes at equal distances each way, run length 10,000, known reference, median delays of
600 simulations: .10 → .20 in 120 observations instead of 132, .10 → .15 in 324 instead of 431, .10 → .12 in 1,260 instead of 1,706.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import log, sqrt
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sluice.scoring.drift.envelope import Envelope
from sluice.scoring.drift.refused import DriftRefused

Floats: TypeAlias = NDArray[np.float64]

_ODDS_FACTOR = 2.5
_WEIGHT_FACTOR = 0.6
_LARGEST_ODDS = 19.0  # a stake of 0.95: one unlucky observation costs a factor of 20, not everything
_NEAREST = 1e-6  # an envelope that ends nearer to the end of [0, 1] is taken to end here: wider keeps the promise, and what a bet pays stays finite
_BLIND = 1e-3  # nearer to the end of [0, 1] than this, there is nothing to rise or to fall to


class Direction(StrEnum):
    """Which way a feature went."""

    RISE = "Rise"
    FALL = "Fall"


class Side(StrEnum):
    """Which changes are looked for."""

    BOTH = "Both"
    RISE = "Rise"
    FALL = "Fall"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One number in [0, 1] that every observation has."""

    name: str
    envelope: Envelope
    share: float = 1.0
    """Of all the money; the shares of all features need not sum to one."""
    side: Side = Side.BOTH


@dataclass(frozen=True, slots=True, eq=False)
class Bets:
    """All bets of a detector, one array element each; `weight` sums to one."""

    features: tuple[Feature, ...]
    index: NDArray[np.intp]
    """Which of `features`."""
    rise: NDArray[np.bool_]
    stake: Floats
    weight: Floats
    bound: Floats = field(init=False)
    """`high` for a rise, `low` for a fall, and a little away from the end."""

    def __post_init__(self) -> None:
        envelopes = [self.features[index].envelope for index in self.index]
        object.__setattr__(self, "bound", np.array([_high(e) if rise else _low(e) for e, rise in zip(envelopes, self.rise, strict=True)]))

    def payments(self, values: Floats) -> Floats:
        """What each bet pays for 1: `values` of shape (..., features), the answer of shape (..., bets), all above zero."""
        x = values[..., self.index]
        payoff = np.where(self.rise, (x - self.bound) / self.bound, (self.bound - x) / (1 - self.bound))
        return 1 + self.stake * payoff


def place(features: Sequence[Feature], *, run_length: float) -> Bets:
    """Place the bets for `features`.

    Raises DriftRefused when no change could ever be seen: the reference is too small, or the tolerance too large.
    """
    smallest = sqrt(20 * log(run_length) / run_length)  # standard deviations: ln(A) / (shift² / 2) = A / 10
    index, rise, stake, weight = [], [], [], []
    for place_in_order, feature in enumerate(features):
        for direction, reach in _reaches(feature).items():
            odds = [min(_LARGEST_ODDS, smallest * reach / feature.envelope.spread)]
            while (following := odds[-1] * _ODDS_FACTOR) < _LARGEST_ODDS:
                odds.append(following)
            weights = [_WEIGHT_FACTOR**power for power in range(len(odds))]
            index += [place_in_order] * len(odds)
            rise += [direction is Direction.RISE] * len(odds)
            stake += [value / (1 + value) for value in odds]
            weight += [feature.share * value / sum(weights) for value in weights]
    if not index:
        raise DriftRefused(
            "no change of "
            + ", ".join(f"{feature.name} ({feature.envelope.low:.3g} to {feature.envelope.high:.3g} is no drift)" for feature in features)
            + " could be seen; take a larger reference or a smaller tolerance"
        )
    return Bets(tuple(features), np.array(index), np.array(rise), np.array(stake), np.array(weight) / sum(weight))


def _reaches(feature: Feature) -> dict[Direction, float]:
    """The directions in which there is something to see, with the most that a bet can lose, as a mean."""
    low, high = feature.envelope.low, feature.envelope.high
    reaches = {}
    if feature.side is not Side.FALL and high < 1 - _BLIND:
        reaches[Direction.RISE] = _high(feature.envelope)
    if feature.side is not Side.RISE and low > _BLIND:
        reaches[Direction.FALL] = 1 - _low(feature.envelope)
    return reaches


def _high(envelope: Envelope) -> float:
    return max(envelope.high, _NEAREST)


def _low(envelope: Envelope) -> float:
    return min(envelope.low, 1 - _NEAREST)
