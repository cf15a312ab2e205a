"""The units of one shard, counted in rank order into the looks of a plan. Pure.

Whoever has answers to give, a worker that asks, recorded pairs or the samples of a run that is over, counts them here: the same answers make the same tallies.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile

from sluice.scoring.case import Case
from sluice.scoring.compare import Metrics, Unit
from sluice.scoring.plan import Plan
from sluice.scoring.tally import SIDES, Look
from sluice.scoring.timing import limits_of
from sluice.scoring.wire import empty_stretches


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """A unit that waits for the limits of latencies."""

    rank: int
    case: Case
    unit: Unit


class Counting:
    """Counts `units` units of a shard; `take` them in the order of their ranks."""

    def __init__(self, plan: Plan, *, shard: int, metrics: Metrics, units: int) -> None:
        self._plan = plan
        self._metrics = metrics
        # The limit of a latency is fixed by the first answers of the baseline.
        self._fixing = min(plan.noise_units, units)
        self._limits: Mapping[str, float] | None = None if metrics.timings else {}
        self._stretches = empty_stretches(plan.looks, shard=shard, shards=plan.shards)
        self._waiting: list[_Taken] = []
        self.taken = 0
        self.why: dict[str, str] = {}
        """Side to why the first of its answers that are missing is."""

    def take(self, rank: int, case: Case, unit: Unit) -> None:
        """Count one unit; as long as a latency has no limit, it waits for the first answers of the baseline."""
        self.taken += 1
        self.why = {**unit.why, **self.why}
        self._waiting.append(_Taken(rank=rank, case=case, unit=unit))
        if self._limits is None:
            if self.taken < self._fixing:
                return
            self._limits = limits_of(self._metrics.timings, [waiting.unit for waiting in self._waiting])
        for waiting in self._waiting:
            self._count(waiting, self._limits)
        self._waiting.clear()

    @property
    def looks(self) -> tuple[Look, ...]:
        """The looks whose units of this shard are all counted. One in which it has no units is complete, but only behind those that are."""
        return tuple(stretch.as_look() for stretch in takewhile(lambda stretch: stretch.complete, self._stretches))

    def _count(self, taken: _Taken, limits: Mapping[str, float]) -> None:
        stretch = self._stretches[bisect_right(self._plan.looks, taken.rank)]
        stretch.units += 1
        stretch.void += taken.unit.void
        slices = [f"{dimension}={taken.case.slices[dimension]}" for dimension in self._plan.slices if dimension in taken.case.slices]
        for metric, difference in taken.unit.differences(limits).items():
            stretch.count(metric, slices, difference)
        for side in SIDES:
            for name, number in taken.unit.sums[side].items():
                stretch.add(side, name, number)
