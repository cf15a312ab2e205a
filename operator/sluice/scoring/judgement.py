"""From the statistics of all shards to one decision over all metrics, and the numbers that people look at meanwhile.

Each metric is decided by itself, in the pool and in its slices (`statistics.engine`). *Roll back* when one metric does, or a hard gate was hit once: the rate
of false rollbacks is shared by the metrics, so that any of them errs no more often than was promised. *Promote* when every metric does: whichever of
them is worse than its margin, that one alone keeps the promise, so each has the whole rate of false promotions.

A decision is reached at a look, and nothing that arrives later changes it – but where a promotion has to wait for a minimum time: it is one as of the newest
look then, and what was found worse until that look goes first. Pure.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from itertools import accumulate
from math import isfinite
from statistics import NormalDist
from typing import Final

from sluice.scoring.statistics.engine import Decision as Found
from sluice.scoring.statistics.engine import Design, Side, evaluate, pool_levels, side_p_value, slice_levels
from sluice.scoring.statistics.grid import GRID
from sluice.scoring.statistics.looks import FIRST
from sluice.scoring.statistics.series import Series
from sluice.scoring.tally import ALL, LOST, Merged

STANDINGS: Final = 64
"""Metrics and slices whose numbers are shown; all of them decide."""
LOST_MOST: Final = 0.01
"""Share of units that a scorer may say nothing about. A candidate that can make it fall silent gains less than that, and is held beyond."""
_HALVINGS: Final = 12
"""Steps to a bound of an interval: to within 1/2000."""
_MOST: Final = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the run was promised to keep. `margins` names the metrics, each with how much worse it may be; `planned` is never more than there are cases.

    `sliced`: cases may be in slices, whether or not one was seen yet. `waits`: a promotion waits for a minimum time, which whoever knows the time sees to.
    """

    margins: Mapping[str, Decimal]
    false_rollback_rate: Decimal
    false_promotion_rate: Decimal
    planned: int
    minimum: int = FIRST
    waits: bool = False
    sliced: bool

    def design(self, metric: str) -> Design:
        """What is fixed for one metric. Raises ValueError for numbers that are out of range."""
        # A candidate cannot lose more than everything: a margin of 1 asks for nothing, and the engine has no such test.
        margin = min(float(self.margins[metric]), 0.999)
        return Design(
            margin=margin, false_roll_back=float(self.false_rollback_rate) / len(self.margins), false_promotion=float(self.false_promotion_rate),
            planned=self.planned, minimum=self.minimum,
        )  # fmt: skip


class Decision(StrEnum):
    """What the statistics say. `Pending` only while more is to come."""

    PENDING = "Pending"
    PROMOTE = "Promote"
    ROLL_BACK = "RollBack"
    INCONCLUSIVE = "Inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One metric in one slice, as it stands.

    `promote` and `roll_back` are evidence for either side: how much less likely than its level the data are if the other side is right, over the error rate, so
    that 1 / error rate decides. `more`: about how many more units would decide, None when nothing points anywhere.
    """

    metric: str
    slice: str
    units: int
    estimate: float
    low: float
    high: float
    promote: float
    roll_back: float
    more: int | None

    @property
    def towards(self) -> Found | None:
        """Where it points; None where nowhere."""
        if max(self.promote, self.roll_back) < 1:
            return None
        return Found.PROMOTE if self.promote >= self.roll_back else Found.ROLL_BACK


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The decision, why, on how many units it rests, and how many looks those are."""

    decision: Decision
    reason: str
    message: str
    units: int
    looks: int
    gates: Mapping[str, int]


def judge(merged: Merged, terms: Terms) -> Judgement:
    """Decide on what all shards say. Raises ValueError for terms that are out of range, or without a metric."""
    if not terms.margins:
        raise ValueError("no metric to compare by; a suite needs a scorer that compares candidate and baseline")
    decision, reason, message, look = _decided(merged, terms)
    complete = len(merged.looks) if look is None else look + 1
    units = sum(part.units for part in merged.looks[:complete])
    return Judgement(decision=decision, reason=reason, message=message, units=units, looks=complete, gates=dict(sorted(merged.gates.items())))


def standings(merged: Merged, terms: Terms, *, looks: int) -> tuple[Standing, ...]:
    """Say how everything stands after so many looks, the most telling first: all metrics, and as many of their slices as fit.

    Takes about 50 ms each: for people, not for every look.
    """
    if looks == 0:
        return ()
    parts = []
    for metric in sorted(terms.margins):
        series = _series(merged, metric)
        parts += [_Part(metric, name, part, terms.design(metric), looks - 1, len(series) - 1 if terms.sliced else None) for name, part in series.items()]
    seen = sorted((part for part in parts if part.units), key=lambda part: (part.slice != ALL, -max(part.evidence.values()), part.metric, part.slice))
    shown = [part.standing() for part in seen[:STANDINGS]]
    return tuple(sorted(shown, key=lambda item: (-max(item.promote, item.roll_back), item.metric, item.slice)))


def up_to(merged: Merged, *, units: int) -> Merged:
    """What was known when so many units were in: the looks until then, and all hits of gates, which belong to no look."""
    in_by = list(accumulate(look.units for look in merged.looks))
    return replace(merged, looks=merged.looks[: bisect_right(in_by, units)])


def lost_share(merged: Merged, metric: str, *, looks: int) -> float:
    """The share of units that somebody else's scorer said nothing about, over the first so many looks; 0 for scorers of our own."""
    tallies = [look.tallies.get(LOST + metric, {}).get(ALL, {}) for look in merged.looks[:looks]]
    weight = sum(sum(tally.values()) for tally in tallies)
    return -sum(point * share for tally in tallies for point, share in tally.items()) / (GRID * weight) if weight else 0.0


def _heard(merged: Merged, metrics: Iterable[str], look: int) -> int | None:
    """The first look, from this one on, at which not too many units of these metrics are lost; None when there is none so far."""
    names = tuple(metrics)
    for after in range(look, len(merged.looks)):
        if all(lost_share(merged, metric, looks=after + 1) <= LOST_MOST for metric in names):
            return after
    return None


def _decided(merged: Merged, terms: Terms) -> tuple[Decision, str, str, int | None]:
    # 1. One hit is enough, at whatever unit it was.
    hits = {name: count for name, count in sorted(merged.gates.items()) if count}
    if hits:
        return Decision.ROLL_BACK, "GateHit", ", ".join(f"{name}: {count} answers of the candidate" for name, count in hits.items()), None
    # 2. Each metric by itself.
    outcomes = {}
    newest = len(merged.looks) - 1
    for metric in sorted(terms.margins):
        parts = _series(merged, metric)
        outcomes[metric] = evaluate(parts.pop(ALL), parts if terms.sliced else None, terms.design(metric), promotes_from=newest if terms.waits else 0)
    # 3. The first one that is worse rolls back; all that are not promote.
    #    What a scorer has lost counts for neither: with too much of it, the rest may be a choice.
    rolling = [
        (look, metric)
        for metric, outcome in outcomes.items()
        if outcome.decision is Found.ROLL_BACK and (look := _heard(merged, [metric], outcome.look)) is not None
    ]
    if rolling:
        look, metric = min(rolling)
        where = outcomes[metric].where
        told = f"{metric}{f' in {where}' if where else ''} is worse than its margin of {terms.margins[metric]}"
        return Decision.ROLL_BACK, "WorseThanMargin", told, look
    if all(outcome.decision is Found.PROMOTE for outcome in outcomes.values()):
        promoting = _heard(merged, outcomes, max(outcome.look for outcome in outcomes.values()))
        if promoting is not None:
            return Decision.PROMOTE, "WithinMargin", "no metric is worse than its margin", promoting
    lost = {metric: lost_share(merged, metric, looks=len(merged.looks)) for metric in outcomes}
    unheard = [f"{metric}: {share:.1%} of its units" for metric, share in lost.items() if share > LOST_MOST]
    if unheard and len(merged.looks) == len(terms.design(next(iter(outcomes))).looks):
        told = f"a judge or a container of your own said nothing too often, at most {LOST_MOST:.0%} may be lost: {', '.join(unheard)}"
        return Decision.INCONCLUSIVE, "ScorerUnavailable", told, None
    undecided = [metric for metric, outcome in outcomes.items() if outcome.decision is Found.INCONCLUSIVE or lost[metric] > LOST_MOST]
    if len(merged.looks) < len(terms.design(undecided[0]).looks):
        return Decision.PENDING, "Scoring", f"open: {', '.join(undecided)}", None
    suspects = [f"{metric} in {outcomes[metric].suspect} looks bad" for metric in undecided if outcomes[metric].suspect]
    told = f"all {terms.planned} units are scored, and neither side is shown for {', '.join(undecided)}"
    void = sum(look.void for look in merged.looks)
    nobody = [f"{void:,} of them count for nothing, because the baseline did not answer"] if void else []
    return Decision.INCONCLUSIVE, "AllScored", "; ".join([told, *suspects, *nobody]), None


def _series(merged: Merged, metric: str) -> dict[str, Series]:
    names = {ALL} | {name for look in merged.looks for name in look.tallies.get(metric, {})}
    return {name: Series.of(look.tallies.get(metric, {}).get(name, {}) for look in merged.looks) for name in sorted(names)}


class _Part:
    """One metric in the pool or a slice, after the look `last`; `slices`: how many were seen; None where there are none."""

    def __init__(self, metric: str, name: str, series: Series, design: Design, last: int, slices: int | None) -> None:  # noqa: PLR0917 - private, all of it needed
        self.metric, self.slice, self._series, self._design, self._last = metric, name, series, design, last
        self.units = round(float(series.units[last]))
        self._levels = {Side.WITHIN: float(pool_levels(Side.WITHIN, design)[last]), Side.WORSE: self._level_worse(slices)}
        self._p = {side: self._p_value(side, design.margin) for side in Side}
        rates = {Side.WITHIN: design.false_promotion, Side.WORSE: design.false_roll_back}
        self.evidence = {side: min(_MOST, self._levels[side] / max(self._p[side], 1e-300) / rates[side]) for side in Side}

    def standing(self) -> Standing:
        """All numbers."""
        estimate = float(self._series.means[self._last])
        return Standing(
            metric=self.metric,
            slice=self.slice,
            units=self.units,
            estimate=estimate,
            low=self._bound(Side.WITHIN, estimate),
            high=self._bound(Side.WORSE, estimate),
            promote=self.evidence[Side.WITHIN],
            roll_back=self.evidence[Side.WORSE],
            more=self._more(),
        )

    def _p_value(self, side: Side, margin: float) -> float:
        return side_p_value(self._series, side, margin, self._last)

    def _level_worse(self, slices: int | None) -> float:
        """The level of a rollback at this look: the pool's, or about that of one of the slices that share theirs."""
        design = self._design
        if self.slice == ALL:
            return float(pool_levels(Side.WORSE, design, sliced=slices is not None)[self._last])
        until = sum(1 for count in design.slice_looks if count <= design.looks[self._last])
        return float(slice_levels(design, slices=max(1, slices or 0))[max(0, until - 1)])

    def _bound(self, side: Side, estimate: float) -> float:
        """The mean that the test of one side just does not reject: a bound that holds at all looks together (Jennison and Turnbull 1989)."""
        inside, outside = estimate, -1.0 if side is Side.WITHIN else 1.0
        if self._levels[side] <= 0.0:
            return outside
        for _ in range(_HALVINGS):
            middle = (inside + outside) / 2
            # Both tests take a margin: the mean that is tested is its negative.
            rejected = self._p_value(side, -middle) <= self._levels[side]
            inside, outside = (inside, middle) if rejected else (middle, outside)
        return outside

    def _more(self) -> int | None:
        """About how many more units decide when things go on as they are: evidence in standard deviations grows with the root of their number."""
        p, level = min((self._p[side], self._levels[side]) for side in Side)
        if not 0.0 < level < 0.5 or p >= 0.5:  # noqa: PLR2004 - half: the data point nowhere
            return None
        if p <= level:
            return 0
        has, needs = (-NormalDist().inv_cdf(max(value, 1e-300)) for value in (p, level))
        more = self.units * ((needs / has) ** 2 - 1)
        return round(more) if isfinite(more) and more < _MOST else None
