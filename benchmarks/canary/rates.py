"""How sure one can be of a share that was counted: exact bounds after Clopper and Pearson (1934), without scipy."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

_HALVINGS = 60
"""Halvings of [0, 1] until the bound is exact to the last bits of a double."""


def lower_bound(hits: int, runs: int, *, confidence: float) -> float:
    """Return the largest share that `hits` of `runs` speak against with `confidence`, from below. Raises ValueError unless 0 ≤ hits ≤ runs, 0 < runs."""
    _check(hits, runs)
    return 0.0 if hits == 0 else _bisect(lambda share: _at_least(hits, runs, share) > 1 - confidence)


def upper_bound(hits: int, runs: int, *, confidence: float) -> float:
    """Return the smallest share that `hits` of `runs` speak against with `confidence`, from above. Raises ValueError unless 0 ≤ hits ≤ runs, 0 < runs."""
    _check(hits, runs)
    return 1.0 if hits == runs else _bisect(lambda share: 1 - _at_least(hits + 1, runs, share) < 1 - confidence)


def _check(hits: int, runs: int) -> None:
    if not 0 <= hits <= runs or runs == 0:
        raise ValueError(f"{hits} of {runs} is no share: count at least one run, and no more hits than runs")


def _at_least(hits: int, runs: int, share: float) -> float:
    """P(a binomial count of `runs` at `share` is `hits` or more), summed in logarithms."""
    counts = np.arange(hits, runs + 1)
    chosen = [math.lgamma(runs + 1) - math.lgamma(k + 1) - math.lgamma(runs - k + 1) for k in counts.tolist()]
    logs = np.array(chosen) + counts * math.log(share) + (runs - counts) * math.log1p(-share)
    top = float(logs.max())
    return min(1.0, math.exp(top) * float(np.exp(logs - top).sum())) if top > -math.inf else 0.0


def _bisect(beyond: Callable[[float], bool]) -> float:
    """Find where `beyond` turns from False to True on (0, 1)."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if beyond(middle):
            high = middle
        else:
            low = middle
    return (low + high) / 2
