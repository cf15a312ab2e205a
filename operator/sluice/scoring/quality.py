"""How good the scorers are that somebody else runs, from what they told beside their differences. Pure; for reports, and for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sluice.scoring.statistics.grid import GRID, WHOLE
from sluice.scoring.tally import ALL, KNOWN, LOST, SWAPPED, Look


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """One scorer. Shares in [0, 1]; None where nothing tells."""

    metric: str
    units: int
    """Cases that it was asked about."""
    lost: float
    """Share of them about which it said nothing."""
    contradicts: float | None
    """Of a judge: share of its pairs of verdicts that contradict each other."""
    known: int
    """Of a judge: cases of which people know the better answer."""
    right: float | None
    """Share of those of which it found it; a tie counts half."""


def qualities_of(looks: Sequence[Look], metrics: Iterable[str]) -> tuple[Quality, ...]:
    """All of them, of these metrics, that told anything."""
    found = []
    for metric in metrics:
        units, lost = _mean(looks, LOST + metric)
        _, swapped = _mean(looks, SWAPPED + metric)
        known, wrong = _mean(looks, KNOWN + metric)
        if lost is not None:
            right = None if wrong is None else 1.0 - wrong
            found.append(Quality(metric=metric, units=units, lost=lost, contradicts=swapped, known=known, right=right))
    return tuple(found)


def _mean(looks: Sequence[Look], name: str) -> tuple[int, float | None]:
    """Cases, and how far below 0 they are in the mean."""
    tallies = [look.tallies.get(name, {}).get(ALL, {}) for look in looks]
    weight = sum(sum(tally.values()) for tally in tallies)
    return weight // WHOLE, -sum(point * share for tally in tallies for point, share in tally.items()) / (GRID * weight) if weight else None
