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

from math import gcd, pi, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sluice.scoring.statistics.spending import tail

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

_STEPS: Final = 60
_EXACT: Final = 1e-12
_CLOSE: Final = 1e-9


def p_values(values: NDArray[np.int64], weights: Matrix, *, unit: int, null_mean: float) -> Vector:
    """Return the one-sided p-value of each sample against all distributions on [0, 1] whose mean is at most `null_mean`.

    `values`: distinct integers in [0, unit], shape (u,), standing for value / unit. `weights`: how often each was seen, shape (samples, u), each row
    with at least one. `null_mean` lies in (0, 1). Shape of the result: (samples,). A mean that is not above `null_mean` gives 1.
    """
    totals = weights.sum(axis=1)
    p = np.ones(len(weights))
    means = weights @ values / (unit * totals)
    rows = np.flatnonzero(means > null_mean + _EXACT)
    if not rows.size:
        return p
    # 0 is always possible, whether it was seen or not.
    if values[0] != 0:
        values = np.concatenate([[0], values])
        weights = np.concatenate([np.zeros((len(weights), 1)), weights], axis=1)
    chosen = weights[rows]
    null = _closest_null(values / unit, chosen / totals[rows, None], null_mean)
    p[rows] = _tails(values, null, chosen, totals[rows], unit=unit)
    return p


def _closest_null(y: Vector, shares: Matrix, m: float) -> Matrix:
    """Return the most likely distribution with mean `m` for each row of shares; `y[0]` is 0. Shape as `shares`."""
    g = y - m
    limit = 1.0 / m
    # All of it at the limit, where what is seen at 0 would get everything: only without zeros, and only if the mean is still too high there.
    rest = 1.0 - (shares[:, 1:] * (m / y[1:])).sum(axis=1)
    capped = (shares[:, 0] <= 0) & (rest >= 0)
    # Short of the limit, where the weight of a zero would be infinite.
    low, high = np.zeros(len(shares)), np.full(len(shares), limit * (1 - _EXACT))
    λ = np.full(len(shares), 0.5 * limit)  # noqa: PLC2401 - the name it has in every paper
    for _ in range(_STEPS):
        ratio = g / (1.0 + λ[:, None] * g)
        parts = shares * ratio
        f = parts.sum(axis=1)
        low, high = np.where(f > 0, λ, low), np.where(f > 0, high, λ)
        following = λ + f / (parts * ratio).sum(axis=1)
        following = np.where((following > low) & (following < high), following, (low + high) / 2)
        done = np.max(np.abs(following - λ), initial=0.0, where=~capped) < _CLOSE * limit
        λ = following  # noqa: PLC2401
        if done:
            break
    null = shares / (1.0 + np.where(capped, 0.0, λ)[:, None] * g)
    if capped.any():
        at_limit = np.zeros((int(capped.sum()), len(y)))
        at_limit[:, 1:] = shares[capped, 1:] * (m / y[1:])
        at_limit[:, 0] = rest[capped]
        null[capped] = at_limit
    return np.asarray(null / null.sum(axis=1, keepdims=True))


def _tails(values: NDArray[np.int64], null: Matrix, weights: Matrix, totals: Vector, *, unit: int) -> Vector:
    """Return P(mean ≥ seen) under each null, by saddlepoint on the lattice that the values lie on."""
    y = values / unit
    step = gcd(*(int(value) for value in values)) / unit
    seen = weights @ y / totals
    reached = seen - step / (2 * totals)
    top = np.array([y[row > 0].max() for row in null])
    s = _saddlepoints(y, null, reached)
    k, _, k2 = _cumulants(y, null, s)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        r = np.sqrt(np.maximum(0.0, 2 * totals * (s * reached - k)))
        u = np.sinh(np.minimum(s * step / 2, 300.0)) * (2 / step) * np.sqrt(totals * k2)
        p = tail(r) + np.exp(-0.5 * r * r) / sqrt(2 * pi) * (1 / u - 1 / r)
    # Near the mean the formula is 0/0: its limit there is about a half, far from any level.
    p = np.where(r < 1e-2, 0.5, p)  # noqa: PLR2004
    # Every value at the top: exact.
    at_top = seen > top - _EXACT
    highest = np.where(y[None, :] >= top[:, None] - _EXACT, null, 0.0).sum(axis=1)
    p = np.where(at_top, highest**totals, p)
    return np.clip(p, 0.0, 1.0)


def _saddlepoints(y: Vector, null: Matrix, x: Vector) -> Vector:
    """Return s ≥ 0 with K'(s) = x for each row; 0 where x is not above the mean."""
    low, high = np.zeros(len(x)), np.full(len(x), 64.0)
    for _ in range(20):
        short = _cumulants(y, null, high)[1] < x
        if not short.any():
            break
        high = np.where(short, high * 2, high)
    s = np.minimum(1.0, high)
    for _ in range(_STEPS):
        _, k1, k2 = _cumulants(y, null, s)
        low, high = np.where(k1 < x, s, low), np.where(k1 < x, high, s)
        with np.errstate(divide="ignore", invalid="ignore"):
            following = s + (x - k1) / k2
        following = np.where((following > low) & (following < high), following, (low + high) / 2)
        if np.max(np.abs(following - s), initial=0.0) < _CLOSE * max(1.0, float(high.max(initial=0.0))):
            break
        s = following
    return np.asarray(s)


def _cumulants(y: Vector, null: Matrix, s: Vector) -> tuple[Vector, Vector, Vector]:
    """Return K, K', K'' of each null at s, the cumulant generating function log Σ w exp(s y) and its derivatives."""
    # Factored by the top: nothing overflows.
    e = null * np.exp(s[:, None] * (y - y[-1]))
    total = e.sum(axis=1)
    first = e @ y / total
    second = e @ (y * y) / total - first * first
    return np.log(total) + s * y[-1], first, np.maximum(second, 1e-300)
