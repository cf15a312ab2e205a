"""How surprising are these bounded values if their mean is at most m? A one-sided p-value that holds for any distribution on [0, 1], from ten values on.

1. *The null closest to the data*: the distribution on [0, 1] with mean m that makes the values most likely. It puts weight 1/(n (1 + λ(y − m))) on each
   value y and, where that is not enough to pull the mean down to m, the rest on 0, which may be where unseen failures are (empirical likelihood, Owen
   1988, with the known support: Honda and Takemura 2010). For values −1, 0, 1 it is the constrained estimate of Tango (1998) for paired proportions.
2. *Its tail*: P(mean ≥ what was seen) under that null by the saddlepoint formula of Lugannani and Rice (1980), with the continuity correction of Daniels (1987)
   for values on a lattice. Exact for two values at the edge; relative error of a few percent at the levels that count, where the normal tail is wrong by orders
   of magnitude for rare failures.

Limits: the null is estimated, so the level is kept approximately (E p-values, Lloyd 2008); the engine keeps a reserve for it, and
`benchmarks/canary_power.py` looks for data on which that is not enough.
"""

from __future__ import annotations

from math import erfc, exp, gcd, log, pi, sinh, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_STEPS: Final = 100
_CLOSE: Final = 1e-10
_COARSE: Final = 3.0
"""Steps of the lattice in a standard deviation of the sum. Below, the tail includes all of what was seen, P(mean ≥ seen); above, where a step is small and many
looks average over it, half of it: all of it would waste alpha."""


def p_value(values: Integers, weights: Floats, *, unit: int, null_mean: float) -> float:
    """Return the one-sided p-value of a sample against all distributions on [0, 1] whose mean is at most `null_mean`.

    `values`: distinct integers in [0, unit], increasing, each seen, standing for value / unit. `weights`: how often; both of shape (u,), u ≥ 1. `null_mean`
    lies in (0, 1). A mean that is not above `null_mean` gives 1.
    """
    n = float(weights.sum())
    seen = float(weights @ values) / (unit * n)
    if seen <= null_mean:
        return 1.0
    if len(values) == 1:
        # All the same: as likely as never to draw the 0 that the null needs. Exact.
        return float((null_mean / seen) ** n)
    # The lattice of what was seen: a little weight at 0 does not make it any finer.
    step = gcd(*(int(value) for value in np.diff(values))) / unit
    # 0 is always possible, whether it was seen or not.
    if values[0] != 0:
        values, weights = np.concatenate([[0], values]), np.concatenate([[0.0], weights])
    y = values / unit
    null = closest_null(y, weights / n, null_mean)
    away = y - null_mean
    fine = float(null @ (away * away)) * n >= (_COARSE * step) ** 2
    return _tail(y, null, seen - (0.25 if fine else 0.5) * step / n, step=step, n=n, mean=null_mean)


def closest_null(y: Floats, shares: Floats, m: float) -> Floats:
    """Return the most likely distribution on `y` with mean `m`, for the shares seen, whose mean is above m. `y[0]` is 0. Shapes (u,)."""
    if shares[0] <= 0:
        # Nothing was seen at 0: put there what the others leave when their weights are at the limit, if that is enough.
        others = shares[1:] * (m / y[1:])
        if (rest := 1.0 - float(others.sum())) >= 0:
            return np.concatenate([[rest], others])
    g = y - m
    low, high = 0.0, 1.0 / m
    multiplier = 0.5 * high
    for _ in range(_STEPS):
        ratio = g / (1.0 + multiplier * g)
        parts = shares * ratio
        f = float(parts.sum())
        low, high = (multiplier, high) if f > 0 else (low, multiplier)
        following = multiplier + f / float((parts * ratio).sum())
        if not low < following < high:
            following = (low + high) / 2
        done = abs(following - multiplier) < _CLOSE * following
        multiplier = following
        if done:
            break
    null = shares / (1.0 + multiplier * g)
    return np.asarray(null / null.sum())


def _tail(y: Floats, null: Floats, x: float, *, step: float, n: float, mean: float) -> float:
    """Return P(mean of n ≥ x) by saddlepoint, for values on a lattice."""
    if x <= mean:
        return 0.5
    s = _saddlepoint(y, null, x, mean)
    k, _, k2 = _cumulants(y, null, s)
    r = sqrt(max(0.0, 2 * n * (s * x - k)))
    if r < 1e-2:  # noqa: PLR2004 - next to the mean the formula is 0/0, and its limit is far from any level
        return 0.5
    u = sinh(min(s * step / 2, 300.0)) * (2 / step) * sqrt(n * k2)
    p = 0.5 * erfc(r / sqrt(2)) + exp(-0.5 * r * r) / sqrt(2 * pi) * (1 / u - 1 / r)
    return min(1.0, max(0.0, p))


def _saddlepoint(y: Floats, null: Floats, x: float, mean: float) -> float:
    """Return s > 0 with K'(s) = x, for x between the mean and the largest y."""
    low, high = 0.0, float("inf")
    s = (x - mean) / _cumulants(y, null, 0.0)[2]
    for _ in range(_STEPS):
        _, k1, k2 = _cumulants(y, null, s)
        low, high = (s, high) if k1 < x else (low, s)
        following = s + (x - k1) / k2
        if not low < following < high:
            following = 2 * s if high == float("inf") else (low + high) / 2
        done = abs(following - s) < _CLOSE * following
        s = following
        if done:
            break
    return s


def _cumulants(y: Floats, null: Floats, s: float) -> tuple[float, float, float]:
    """Return K, K', K'' at s: the cumulant generating function log Σ w exp(s y) and its derivatives."""
    # Factored by the top: nothing overflows.
    e = null * np.exp(s * (y - y[-1]))
    total = float(np.add.reduce(e))
    first = float(e @ y) / total
    away = y - first
    return log(total) + s * float(y[-1]), first, max(float(e @ (away * away)) / total, 1e-300)
