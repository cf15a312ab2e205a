"""What only the statistics of the scorers know: how estimates went, how differences are spread, the noise floor, what was not answered.

A CanaryRun holds the last numbers alone. The statistics are judged again here, by the code that judges for the controller: a report on them repeats the run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from sluice.api.canary import CanaryDecision, CanaryPhase
from sluice.api.scorers import ScorerType
from sluice.cli.report.numbers import Compared, Comparison, Inputs, clean, from_standings
from sluice.scoring.classes import ClassFigures, figures_of, quantities
from sluice.scoring.judgement import Judgement, Terms, judge, standings
from sluice.scoring.plan import Plan
from sluice.scoring.quality import Quality, qualities_of
from sluice.scoring.tally import ALL, NOISE, SIDES, Merged, Samples, add, merge
from sluice.scoring.wire import StatisticsRefused, read_statistics

_STANDINGS: Final = 120
"""Numbers of one metric in one slice at one look that are computed for the paths, about 50 ms each."""
_POINTS: Final = 24
"""Looks of a path that are shown, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A metric after a look. Differences in [−1, 1]; the interval holds at all looks together."""

    units: int
    pairs: int
    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """How a metric in a slice went, beside its margin."""

    metric: str
    slice: str
    margin: float
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Of how many cases the difference was what: thousandths → thousandths of a case."""

    metric: str
    slice: str
    tally: Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """The baseline beside itself: the mean absolute difference, in [0, 1], of the cases that asked it twice."""

    metric: str
    units: int
    difference: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """All of it. `void` counts cases without an answer of the baseline; `sides` what each side was asked, answered, failed at and used."""

    plan: str
    void: int
    sides: Mapping[str, Mapping[str, int]]
    noise: tuple[Noise, ...]
    qualities: tuple[Quality, ...]
    """Of the scorers that somebody else runs."""
    classes: Mapping[str, Mapping[str, tuple[ClassFigures, ...]]]
    """Metric to side to classes."""
    latencies: tuple[str, ...]
    paths: tuple[Path, ...]
    differences: tuple[Spread, ...]


def merged_of(plan: Plan, raw: Sequence[tuple[str, bytes]]) -> Merged:
    """Put together what shards said, in any order; each comes with where it was read.

    Raises StatisticsRefused for what a shard of this plan cannot say, and NotMergeable for two of one shard.
    """
    shards = []
    for index, (place, text) in enumerate(raw):
        try:
            shards.append(read_statistics(text, plan.expected(_shard_of(text, default=index))))
        except StatisticsRefused as error:
            raise StatisticsRefused(f"{place}: {error}; give statistics of this plan: scorers write its digest, {plan.digest}, into them") from None
    return merge(shards, plan=plan.digest, of=plan.shards)


def judged(plan: Plan, merged: Merged, inputs: Inputs, margins: Mapping[str, Decimal]) -> tuple[Comparison, Detail]:
    """Judge the statistics again. `margins` names each metric of the plan. Raises ValueError for terms that are out of range."""
    terms = Terms(
        margins=margins,
        false_rollback_rate=Decimal(str(inputs.false_rollback_rate)),
        false_promotion_rate=Decimal(str(inputs.false_promotion_rate)),
        planned=plan.planned,
        minimum=plan.minimum,
        sliced=bool(plan.slices),
        waits=inputs.min_duration is not None,
    )
    judgement = judge(merged, terms)
    shown = standings(merged, terms, looks=judgement.looks)
    decision = CanaryDecision(judgement.decision)
    comparison = Comparison(
        inputs=inputs,
        phase=CanaryPhase.SCORING if decision is CanaryDecision.PENDING else CanaryPhase.DECIDED,
        decision=decision,
        reason=judgement.reason,
        message=clean(judgement.message),
        units=judgement.units,
        planned=plan.planned,
        metrics=from_standings(shown, {name: float(margin) for name, margin in margins.items()}, inputs),
        gates=judgement.gates,
        missing=tuple(replace(side, first=clean(side.first)) for side in merged.missing),
        samples=tuple(Compared(name=clean(sample.uri), digest=sample.digest) for sample in _distinct(merged.samples)),
    )
    return comparison, _detail(plan, merged, terms, judgement, [(metric.metric, metric.slice) for metric in shown])


def _detail(plan: Plan, merged: Merged, terms: Terms, judgement: Judgement, shown: Sequence[tuple[str, str]]) -> Detail:
    looks = merged.looks[: judgement.looks]
    pools = [key for key in shown if key[1] == ALL]
    # All pools, and the slices that say most: a page with sixty drawings says nothing.
    chosen = {*pools, *[key for key in shown if key[1] != ALL][: max(1, 4 - len(pools))]}
    drawn = [key for key in shown if key in chosen]
    spread = {(metric, name): add(_named(look.tallies.get(metric, {}).get(name, {})) for look in looks) for metric, name in drawn}
    sums = {side: add(look.sums.get(side, {}) for look in looks) for side in SIDES}
    classes = {side: figures_of(plan.scorers, sums[side]) for side in SIDES}
    return Detail(
        plan=plan.digest,
        void=sum(look.void for look in looks),
        sides={side: quantities(counts) for side, counts in sums.items()},
        noise=tuple(noise for metric in sorted(terms.margins) if (noise := _noise(merged, metric)) is not None),
        qualities=qualities_of(looks, sorted(terms.margins)),
        classes={metric: {side: classes[side][metric] for side in SIDES} for metric in classes[SIDES[0]]},
        latencies=tuple(scorer.name for scorer in plan.scorers if scorer.type == ScorerType.LATENCY),
        paths=_paths(_only(merged, drawn), terms, judgement.looks, drawn),
        differences=tuple(
            Spread(metric=metric, slice=clean(name, 253), tally={int(at): weight for at, weight in tally.items()}) for (metric, name), tally in spread.items()
        ),
    )


def _paths(merged: Merged, terms: Terms, looks: int, drawn: Sequence[tuple[str, str]]) -> tuple[Path, ...]:
    points: dict[tuple[str, str], list[Point]] = {key: [] for key in drawn}
    units = [sum(look.units for look in merged.looks[: at + 1]) for at in range(looks)]
    for at in _some(looks, max(6, min(_POINTS, _STANDINGS // max(1, len(drawn))))):
        for standing in standings(merged, terms, looks=at):
            if (found := points.get((standing.metric, standing.slice))) is not None:
                point = Point(units=units[at - 1], pairs=standing.units, estimate=standing.estimate, low=standing.low, high=standing.high)
                found.append(point)
    return tuple(
        Path(metric=metric, slice=clean(name, 253), margin=float(terms.margins[metric]), points=tuple(found)) for (metric, name), found in points.items()
    )


def _only(merged: Merged, drawn: Sequence[tuple[str, str]]) -> Merged:
    """Leave out the counts, not the names, of what is not drawn: how many slices share an error rate stays, and computing what nobody sees is saved."""
    looks = [
        replace(
            look,
            tallies={
                metric: {name: tally if (metric, name) in drawn or name == ALL else {} for name, tally in slices.items()}
                for metric, slices in look.tallies.items()
            },
        )
        for look in merged.looks
    ]
    return replace(merged, looks=tuple(looks))


def _some(looks: int, at_most: int) -> list[int]:
    """Numbers of looks from 1 to `looks`, the last among them, spread evenly."""
    if looks <= at_most:
        return list(range(1, looks + 1))
    return sorted({1 + round(step * (looks - 1) / (at_most - 1)) for step in range(at_most)})


def _noise(merged: Merged, metric: str) -> Noise | None:
    tally = add(_named(look.tallies.get(NOISE + metric, {}).get(ALL, {})) for look in merged.looks)
    weight = sum(tally.values())
    if not weight:
        return None
    difference = sum(abs(int(at)) * units for at, units in tally.items()) / (1000 * weight)
    return Noise(metric=metric, units=weight // 1000, difference=difference)


def _named(tally: Mapping[int, int]) -> dict[str, int]:
    return {str(at): weight for at, weight in tally.items()}


def _distinct(samples: Sequence[Samples]) -> tuple[Samples, ...]:
    return tuple(dict.fromkeys(samples))


def _shard_of(raw: bytes, *, default: int) -> int:
    """Which shard a text is about, as far as it says: what is wrong with it is found by who reads it strictly."""
    try:
        shard = json.loads(raw).get("shard")
    except (ValueError, AttributeError, RecursionError):
        return default
    return shard if isinstance(shard, int) and not isinstance(shard, bool) else default
