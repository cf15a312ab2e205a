"""The limits of latencies: what the suite names, or what the first answers of the baseline fix.

A limit that moved with the run would compare the candidate with a baseline that nobody has seen; so it is fixed once, from the units that ask the baseline
twice, and counts for all units of the shard, these included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sluice.scoring.compare import Unit
from sluice.scoring.scorers.latency import LatencySettings, quantile_limit


def limits_of(timings: Mapping[str, LatencySettings], units: Sequence[Unit]) -> dict[str, float]:
    """Seconds by metric. One that too few answers of the baseline would fix has none: it counts no unit, and nothing is decided on it."""
    # The second answer is left out: a server that remembers the first would make the limit too short.
    seconds = [pair.seconds[1] for unit in units for pair in unit.pairs if pair.seconds[1] is not None]
    limits = {
        name: quantile_limit(seconds, quantile=timing.quantile, tolerance=timing.tolerance, confidence=timing.confidence)
        if timing.limit_seconds is None
        else timing.limit_seconds
        for name, timing in timings.items()
    }
    return {name: limit for name, limit in limits.items() if limit is not None}
