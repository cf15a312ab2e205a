"""How far a window is from its reference, in the numbers that people know: PSI, Jensen–Shannon, Kolmogorov–Smirnov, Wasserstein.

Reports, never gates. None of them has an error rate when somebody looks again and again, and the customary limits depend on window and bins: PSI
is expected to be (bins − 1) · (1/n + 1/m) when nothing has changed, whatever the distribution (its limit is a chi-square: Yurdakul and Naranjo
2020), so that figure stands beside it. All come from two histograms over the same frozen bins, so ten million observations cost what ten cost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sluice.scoring.drift.histogram import Histogram, Numeric
from sluice.scoring.drift.refused import DriftRefused

_PSEUDO_COUNT = 0.5  # Jeffreys: an empty bin is rare, not impossible, so no distance is infinite


@dataclass(frozen=True, slots=True, kw_only=True)
class Distances:
    """One window against its reference."""

    reference_n: int
    n: int
    psi: float
    """Population stability index, nats."""
    psi_unchanged: float
    """What `psi` is on average when nothing has changed."""
    js: float
    """Jensen–Shannon distance (the root of the divergence, in bits): 0 to 1."""
    ks: float | None
    """Largest difference of the distribution functions, at the edges: 0 to 1. None for names, which have no order."""
    w1: float | None
    """Wasserstein-1 in the unit of the values, within the frozen edges: what is beyond the last counts as at the last. None for names."""


def distances(reference: Histogram, window: Histogram) -> Distances:
    """Compare `window` with `reference`. Raises DriftRefused for different bins, and when one of them is empty."""
    if reference.bins != window.bins:
        raise DriftRefused("only histograms over the same frozen bins can be compared")
    if not reference.n or not window.n:
        raise DriftRefused("an empty histogram has no distance from anything")
    before, after = (np.array(histogram.counts, dtype=np.float64) for histogram in (reference, window))
    bins = reference.bins
    p, q = ((counts + _PSEUDO_COUNT) / (counts.sum() + _PSEUDO_COUNT * bins.size) for counts in (before, after))
    middle = (p + q) / 2
    divergence = float((p * np.log2(p / middle) + q * np.log2(q / middle)).sum() / 2)
    ks = w1 = None
    if isinstance(bins, Numeric):
        gap = np.abs((before.cumsum() / before.sum() - after.cumsum() / after.sum())[:-1])
        ks = float(gap.max())
        w1 = float((np.diff(bins.edges) * (gap[1:] + gap[:-1]) / 2).sum())
    return Distances(
        reference_n=reference.n,
        n=window.n,
        psi=float(((p - q) * np.log(p / q)).sum()),
        psi_unchanged=(bins.size - 1) * (1 / reference.n + 1 / window.n),
        js=max(divergence, 0.0) ** 0.5,
        ks=ks,
        w1=w1,
    )
