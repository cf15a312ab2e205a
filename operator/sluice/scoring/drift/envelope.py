"""What the reference allows the future to be: bounds of a mean that include how little the reference itself knows.

A mean over n observations is not the true mean. A detector that takes it for true alarms on a baseline that never changed, the sooner the smaller
the reference. So the envelope is a confidence interval of the reference mean, widened by the tolerance, and the run length is promised for every
true mean in it.

The bounds hold for independent observations in [0, 1] and any n, without a normal approximation: the better one, side by side, of

- Hoeffding (1963), theorem 1: n · kl(mean, μ) > ln(1/δ) with probability at most δ; the best for yes-or-no events;
- Maurer and Pontil (2009), theorem 4, "empirical Bernstein": the best where the variance is far below mean · (1 − mean).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log, sqrt

_HALVINGS = 60  # from an interval of 1 to below the spacing of floats at 1e-18


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """The means that are no drift: `low` to `high`, both in [0, 1]."""

    low: float
    high: float
    spread: float
    """Standard deviation of one observation, by the reference. It places the bets, the promise does not rest on it."""


def envelope(*, mean: float, variance: float, n: int, tolerance: float, error: float) -> Envelope:
    """Bounds of the true mean of the reference, widened by `tolerance`; wrong on one of the sides with probability at most `error`.

    `mean` and `variance` (with n − 1) are of `n` ≥ 2 independent observations in [0, 1].
    """
    side = error / 4  # two sides, two bounds each
    chernoff = log(1 / side) / n
    bernstein = sqrt(2 * variance * log(2 / side) / n) + 7 * log(2 / side) / (3 * (n - 1))
    high = min(_furthest(mean, 1.0, lambda mu: _kl(mean, mu) <= chernoff), mean + bernstein)
    low = max(_furthest(mean, 0.0, lambda mu: _kl(mean, mu) <= chernoff), mean - bernstein)
    # One observation's worth of variance more: a reference that saw no event is no proof that there are none.
    return Envelope(low=max(0.0, low - tolerance), high=min(1.0, high + tolerance), spread=sqrt(variance + 1 / n))


def _furthest(start: float, end: float, holds: Callable[[float], bool]) -> float:
    """The value furthest from `start` towards `end` for which `holds`; it holds at `start` and, once lost, is lost. Errs outwards."""
    near, far = start, end
    for _ in range(_HALVINGS):
        middle = (near + far) / 2
        near, far = (middle, far) if holds(middle) else (near, middle)
    return far


def _kl(p: float, q: float) -> float:
    """Kullback–Leibler divergence of yes-or-no events with probabilities `p` and `q`, in nats."""
    return _term(p, q) + _term(1 - p, 1 - q)


def _term(p: float, q: float) -> float:
    if p == 0:
        return 0.0
    return p * log(p / q) if q > 0 else float("inf")
