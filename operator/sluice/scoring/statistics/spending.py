"""Boundaries of a group-sequential test: how much evidence a look needs, so that all looks together err with probability at most `alpha`.

Error spending after Lan and DeMets (1983), "Discrete sequential boundaries for clinical trials", Biometrika 70: the share of alpha that may be spent
until a look is fixed in advance; the boundary follows by the recursion of Armitage, McPherson and Rowe (1969) over the canonical joint distribution of
the score process, a Brownian motion seen at the information times.

The spending functions are ours. *Early*: most of alpha grows with the logarithm of the time, which finds gross faults at once; the rest is kept for the
planned end, where small differences need it. *Late*: the square of the time, for what can wait. Chosen by simulation; see docs/canary-power.md.
"""

from __future__ import annotations

from functools import lru_cache
from math import erfc, log1p, pi, sqrt
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

_EARLY: Final = 0.6
_BEND: Final = 70.0
_REST: Final = 3.0
_LATE: Final = 2.0
_NODES: Final = 121
"""Points of a density. Levels are the same to eight digits with 321 of them, also where looks are closest (a million units)."""
_REACH: Final = 8.0
"""Standard deviations below zero that the recursion keeps; beyond lies less than 1e-15."""
_NEVER: Final = 1e-14
"""An increment that is smaller is no increment: the look is passed over."""

_erfc = np.frompyfunc(erfc, 1, 1)


def early(time: float) -> float:
    """Return the share of alpha that may be spent until `time`, the share in [0, 1] of the planned units; 0 at 0, 1 at 1."""
    return _EARLY * log1p(_BEND * time) / log1p(_BEND) + (1 - _EARLY) * float(time**_REST)


def late(time: float) -> float:
    """Return the same, for a decision that loses nothing when it waits for more units."""
    return float(time**_LATE)


def tail(z: Vector) -> Vector:
    """Return P(Z ≥ z) of the standard normal distribution."""
    return 0.5 * np.asarray(_erfc(z / sqrt(2.0)), dtype=np.float64)


@lru_cache(maxsize=512)
def boundaries(times: tuple[float, ...], alphas: tuple[float, ...]) -> tuple[float, ...]:
    """Return the level of each look: the p-value (one-sided) that it must reach.

    `times`: increasing information times in (0, 1]. `alphas`: what may be spent until each look, non-decreasing. The probability that a path
    without a difference ever reaches a level is the last of `alphas`, by normal approximation. A look that may spend nothing has level 0.
    """
    levels: list[float] = []
    walk: _Walk | None = None
    before = 0.0
    for time, alpha in zip(times, alphas, strict=True):
        may, before = alpha - before, alpha
        if may < _NEVER:
            z = _REACH
        elif walk is None:
            z = -NormalDist().inv_cdf(may)
        else:
            z = walk.boundary(time, may)
        levels.append(0.5 * erfc(z / sqrt(2.0)) if may >= _NEVER else 0.0)
        walk = _Walk.start(time, z) if walk is None else walk.on(time, z)
    return tuple(levels)


class _Walk:
    """The part of a Brownian motion that has not crossed a boundary yet, as a density on a grid."""

    def __init__(self, time: float, grid: Vector, mass: Vector) -> None:
        self._time = time
        self._grid = grid
        self._mass = mass

    @classmethod
    def start(cls, time: float, z: float) -> _Walk:
        """The density at the first look."""
        grid, weights = _quadrature(time, z)
        return cls(time, grid, weights * _density(grid / sqrt(time)) / sqrt(time))

    def on(self, time: float, z: float) -> _Walk:
        """Go on to the next look."""
        step = sqrt(time - self._time)
        grid, weights = _quadrature(time, z)
        distances = grid[:, None] - self._grid[None, :]
        distances /= step
        return _Walk(time, grid, weights * (_density(distances) @ self._mass) / step)

    def boundary(self, time: float, may: float) -> float:
        """Return z such that the probability to cross it at `time`, and not before, is `may`."""
        step, root = sqrt(time - self._time), sqrt(time)
        low, high = -2.0, _REACH
        z = min(high, 2.0)
        for _ in range(60):
            distance = (z * root - self._grid) / step
            over = float(self._mass @ tail(distance)) - may
            low, high = (z, high) if over > 0 else (low, z)
            slope = float(self._mass @ _density(distance)) * root / step
            following = z + over / slope if slope > 0 else low
            if not low < following < high:
                following = (low + high) / 2
            if abs(following - z) < 1e-9:  # noqa: PLR2004 - far below what the grid resolves
                break
            z = following
        return z


def _density(z: Vector) -> Vector:
    # In place: for the matrix of two looks, new memory costs as much as the arithmetic.
    found = -0.5 * z
    found *= z
    np.exp(found, out=found)
    found /= sqrt(2 * pi)
    return found


def _quadrature(time: float, z: float) -> tuple[Vector, Vector]:
    """Nodes and weights after Gauss and Legendre, up to the boundary: the density is smooth there."""
    nodes, weights = _legendre()
    low, high = -_REACH * sqrt(time), z * sqrt(time)
    return low + (high - low) * (nodes + 1) / 2, weights * (high - low) / 2


@lru_cache(maxsize=1)
def _legendre() -> tuple[Vector, Vector]:
    return np.polynomial.legendre.leggauss(_NODES)
