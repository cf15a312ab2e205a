"""Confidence bounds of a proportion.

A point value says nothing about how many samples stand behind it, so policy compares a bound.
"""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist


def wilson(value: float, n: int, confidence: float) -> tuple[float, float]:
    """Return one-sided lower and upper bounds of a mean in [0, 1], each at `confidence` (Wilson 1927, score interval).

    The variance of anything in [0, 1] with mean p is at most p(1 - p), so the bounds are conservative for scores that are not yes or no.
    """
    z = NormalDist().inv_cdf(confidence)
    centre = (value + z * z / (2 * n)) / (1 + z * z / n)
    half = z * sqrt(value * (1 - value) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, centre - half), min(1.0, centre + half)
