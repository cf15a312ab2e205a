"""Is a candidate worse than its baseline by more than a margin, given what both scored? An answer to each side: a bound on the difference, and a p-value.

Case by case, where both have answers to the same cases: by the score test of `scoring.statistics.score_test` (Tango 1998 for right and wrong), which the canary
decides by, too. Else from the two means: the square-and-add bounds of Newcombe (1998, method 10) over Wilson's, which need no more than numbers of cases.
Scores lie in [0, 1], and more is better; where less is, 1 − score is compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, floor, log, log1p, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

from sluice.decision.intervals import wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sluice.evidence.answers import Answers
    from sluice.evidence.measurement import Measurement

FEWEST: Final = 10
"""Pairs from which on the test holds what it promises; with fewer nothing is shown."""
_GRID: Final = 10_000
"""Steps between a difference of 0 and one of 1. Between two of them a difference is moved to the side that proves less."""
_HALVINGS: Final = 12
"""Of the range in which a bound may lie: it is for people, to a thousandth."""
_POWER: Final = 0.8
"""How likely the number of cases that a message names is to decide."""
_MOST_KEPT: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What comparing a candidate with its baseline came to. Differences are candidate − baseline, so that more is better."""

    estimate: float
    lower: float
    """The true difference is at least this, at the confidence asked for."""
    p_within: float
    """The smallest level at which the candidate is shown to be within the margin."""
    p_worse: float
    """The smallest level at which the candidate is shown to be worse by more than the margin."""
    cases: int
    """Of the candidate; where answers were paired, of both."""
    gained: int = 0
    """Cases that the candidate did better than the baseline. Only of pairs."""
    lost: int = 0
    """Cases that it did worse. Only of pairs."""
    paired: bool
    spread: float
    """Standard deviation of what one more case would add."""

    def is_within(self, confidence: float) -> bool:
        """Whether it is shown to be within the margin."""
        return self.p_within <= 1 - confidence

    @property
    def churn(self) -> float:
        """Share of the pairs that changed, to either side."""
        return (self.gained + self.lost) / self.cases

    def cases_to_decide(self, margin: float, *, confidence: float) -> int | None:
        """Give the number of cases, all told, that would show it to be within the margin, were it what it seems now; None where none would."""
        room = self.estimate + margin
        if room <= 0:
            return None
        normal = NormalDist()
        by_spread = ((normal.inv_cdf(confidence) + normal.inv_cdf(_POWER)) * self.spread / room) ** 2
        # No fewer than it takes when nothing changes at all.
        unchanged = log(1 - confidence) / log1p(-margin) if 0 < margin < 1 else 0
        return ceil(max(by_spread, unchanged, FEWEST))


def compare(candidate: Measurement, baseline: Measurement, *, margin: float, confidence: float, lower_is_better: bool = False) -> Difference:
    """Compare two measurements with values in [0, 1] over at least one case each. `margin` lies in [0, 1), `confidence` is one-sided."""
    ours, theirs = candidate.answers, baseline.answers
    if ours is not None and theirs is not None and ours.cases == theirs.cases:
        key = (ours.digest, theirs.digest, margin, confidence, lower_is_better)
        if (known := _kept.get(key)) is None:
            if len(_kept) >= _MOST_KEPT:
                _kept.clear()
            known = _kept[key] = _paired(ours, theirs, margin=margin, confidence=confidence, sign=-1 if lower_is_better else 1)
        return known
    value, other = (1 - candidate.value, 1 - baseline.value) if lower_is_better else (candidate.value, baseline.value)
    return _by_means(value, candidate.samples, other, baseline.samples, margin=margin, confidence=confidence)


_kept: dict[tuple[str, str, float, float, bool], Difference] = {}
"""What pairs came to: the same two runs are looked at with every verdict, and hundreds of slices of them."""


def holm(p_values: Sequence[float], alpha: float) -> list[bool]:
    """Tell which hypotheses are rejected, such that one is rejected wrongly with a probability of at most `alpha` (Holm 1979)."""
    rejected = [False] * len(p_values)
    for rank, at in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[at] > alpha / (len(p_values) - rank):
            break
        rejected[at] = True
    return rejected


def _paired(ours: Answers, theirs: Answers, *, margin: float, confidence: float, sign: int) -> Difference:
    differences = [sign * (ours_ - theirs_) for ours_, theirs_ in zip(memoryview(ours.scores).cast("d"), memoryview(theirs.scores).cast("d"), strict=True)]
    n = len(differences)
    mean = sum(differences) / n
    lower, p_within, p_worse = -1.0, 1.0, 1.0
    if n >= FEWEST:
        # 1. What proves that it is not worse is rounded down, what proves that it is worse up.
        least = Counter(floor(round(each * _GRID, 6)) for each in differences)
        most = Counter(ceil(round(each * _GRID, 6)) for each in differences)
        # 2. The largest difference that the answers speak against. A difference d in [-1, 1] is (d + 1) / 2 in [0, 1] for the test.
        alpha = 1 - confidence
        lower = 2 * _last(lambda m: _p(least, m) <= alpha, upto=(mean + 1) / 2) - 1
        p_within = _p(least, (1 - margin) / 2)
        # 3. The other side is the same test, mirrored.
        p_worse = _p(Counter({-value: count for value, count in most.items()}), (1 + margin) / 2)
    return Difference(
        estimate=mean, lower=lower, p_within=p_within, p_worse=p_worse, cases=n, paired=True,
        gained=sum(each > 0 for each in differences), lost=sum(each < 0 for each in differences),
        spread=sqrt(sum((each - mean) ** 2 for each in differences) / n),
    )  # fmt: skip


def _p(differences: Counter[int], null_mean: float) -> float:
    """P-value of the grid points against all distributions whose mean, on [0, 1], is at most `null_mean`."""
    import numpy as np  # noqa: PLC0415 - most processes never compare pairs, and it takes a tenth of a second and 10 MB

    from sluice.scoring.statistics.score_test import p_value  # noqa: PLC0415 - likewise

    points = sorted(differences)
    values = np.array(points, dtype=np.int64) + _GRID
    return p_value(values, np.array([differences[point] for point in points], dtype=np.float64), unit=2 * _GRID, null_mean=null_mean)


def _by_means(ours: float, n_ours: int, theirs: float, n_theirs: int, *, margin: float, confidence: float) -> Difference:
    def bounds(confidence: float) -> tuple[float, float]:
        (low, high), (low_, high_) = wilson(ours, n_ours, confidence), wilson(theirs, n_theirs, confidence)
        return ours - theirs - sqrt((ours - low) ** 2 + (high_ - theirs) ** 2), ours - theirs + sqrt((high - ours) ** 2 + (theirs - low_) ** 2)

    def least(shown: Callable[[float], bool]) -> float:
        """One minus the confidence up to which it is shown. Nobody asks for a level above a half."""
        return 1 - _last(shown, upto=1.0, since=0.5, halvings=2 * _HALVINGS) if shown(0.5) else 1.0

    p_within, p_worse = least(lambda confidence: bounds(confidence)[0] > -margin), least(lambda confidence: bounds(confidence)[1] < -margin)
    return Difference(
        estimate=ours - theirs, lower=bounds(confidence)[0], p_within=p_within, p_worse=p_worse, cases=n_ours, paired=False,
        spread=sqrt(ours * (1 - ours) + theirs * (1 - theirs)),
    )  # fmt: skip


def _last(holds: Callable[[float], bool], *, upto: float, since: float = 0.0, halvings: int = _HALVINGS) -> float:
    """The largest number, up to the precision of halving, at which what holds at first still holds."""
    low, high = since, upto
    for _ in range(halvings):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
