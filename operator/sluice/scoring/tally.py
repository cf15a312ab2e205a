"""Counts that add up: what a shard says about its units, and what all shards say together.

Everything here is an integer, so shards add in any order to the same bits. Nothing grows with the number of units: a tally has one weight for each of the 2,001
differences on the grid of 1/1000, and there are as many looks, metrics and slices as the plan has.

A unit weighs 1000. A difference between two points of the grid is shared between them, so that the mean stays; yes-or-no scores lie on the grid.

A look here counts the units of its own stretch, the ranks from the look before to its own; the engine adds them up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from sluice.scoring.statistics.grid import GRID, WHOLE

WORST: Final = Fraction(-1)
"""The difference of a unit whose candidate did not answer."""
ALL: Final = "all"
"""The slice that every unit is in."""
NOISE: Final = "noise:"
"""Prefix of the metrics that compare the baseline with itself: what a difference looks like where there is none."""
LOST: Final = "lost:"
"""Prefix of what tells how often somebody else's scorer said nothing: −1 for a unit that it did not score, 0 for one that it did."""
SWAPPED: Final = "swapped:"
"""Prefix of what tells how often a judge preferred a place and no answer: −1 where its two replies contradict each other, 0 where they agree."""
KNOWN: Final = "known:"
"""Prefix of what tells how a judge does where people know which answer is better: 0 where it finds that one, −½ for a tie, −1 where it finds the other."""
CANDIDATE: Final = "candidate"
BASELINE: Final = "baseline"
SIDES: Final = (CANDIDATE, BASELINE)

Tally = Mapping[int, int]
"""Difference in thousandths to weight in thousandths of a unit."""
Tallies = Mapping[str, Mapping[str, Tally]]
"""Metric to slice (`all`, or `dimension=value`) to tally."""


def shares(difference: Fraction) -> tuple[tuple[int, int], ...]:
    """Points of the grid and weights of one unit with this difference. Raises ValueError outside of [−1, 1]: the engine's promise rests on the bounds."""
    if not -1 <= difference <= 1:
        raise ValueError(f"a difference is in [-1, 1], not {difference}")
    scaled = difference * GRID
    below = scaled.numerator // scaled.denominator
    above = round((scaled - below) * WHOLE)
    return tuple((point, weight) for point, weight in ((below, WHOLE - above), (below + 1, above)) if weight)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is known of the units from the look before to this one, of one shard or of all."""

    look: int
    """Its place among the looks of the plan, from 0."""
    units: int
    void: int
    """Of these, how many have no pair, because the baseline answered none of their repeats."""
    tallies: Tallies
    sums: Mapping[str, Mapping[str, int]]
    """`candidate` and `baseline` to counts: Asked, Answered, Retried, one for each kind of failure, and the sums that the suite names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Where the results of single answers are kept."""

    digest: str
    uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardStatistics:
    """All that a shard tells. Two runs of a shard that got the same answers tell the same, byte for byte."""

    plan: str
    """Digest of the plan."""
    shard: int
    scored: int
    of: int
    finished: bool
    looks: tuple[Look, ...]
    """The looks whose units of this shard are all scored, without a gap."""
    gates: Mapping[str, int]
    """Answers of the candidate with a hit, so far. Not tied to looks: one is enough to roll back, whenever it is seen."""
    samples: Samples | None = None
    why: Mapping[str, str] = field(default_factory=dict)
    """Side to why the first of its answers that are missing is: words for people, of the client or of the server, which decide nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingAnswers:
    """How many answers of a side are missing, and why the first of them is."""

    side: str
    asked: int
    missing: int
    first: str

    def __str__(self) -> str:
        """Say it to people."""
        return f"no answer of the {self.side} to {self.missing:,} of {self.asked:,} questions{self.first and f'; the first: {self.first}'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What all shards say together."""

    scored: int
    of: int
    finished: bool
    looks: tuple[Look, ...]
    """The looks that every shard has finished: all units below their number are in, whatever is still on its way behind them."""
    gates: Mapping[str, int]
    samples: tuple[Samples, ...]
    why: Mapping[str, str] = field(default_factory=dict)
    """As a shard tells it: of those that do, the first."""

    @property
    def missing(self) -> tuple[MissingAnswers, ...]:
        """Sides of which answers are missing."""
        sums = {side: add(look.sums.get(side, {}) for look in self.looks) for side in SIDES}
        counts = {side: (told.get("Asked", 0), told.get("Asked", 0) - told.get("Answered", 0)) for side, told in sums.items()}
        return tuple(MissingAnswers(side=side, asked=asked, missing=lost, first=self.why.get(side, "")) for side, (asked, lost) in counts.items() if lost > 0)


class NotMergeable(ValueError):
    """Statistics that do not belong together; the message says what differs."""


def merge(shards: Sequence[ShardStatistics], *, plan: str, of: int) -> Merged:
    """Add up what shards said, in any order; `of` is how many shards there are. A shard that said nothing yet keeps every look back, but no gate.

    Raises NotMergeable: another plan, or a shard that is there twice or is none of them.
    """
    indices = [shard.shard for shard in shards]
    if len(set(indices)) < len(indices):
        raise NotMergeable(f"a shard is there twice: {sorted(indices)}; a shard that was scored again replaces what it said before")
    for shard in shards:
        if shard.plan != plan:
            raise NotMergeable(f"shard {shard.shard} scores plan {shard.plan}, not {plan}")
        if not 0 <= shard.shard < of:
            raise NotMergeable(f"shard {shard.shard} is none of the {of} of this plan")
    complete = min((len(shard.looks) for shard in shards), default=0) if len(shards) == of else 0
    return Merged(
        scored=sum(shard.scored for shard in shards),
        of=sum(shard.of for shard in shards),
        finished=len(shards) == of and all(shard.finished for shard in shards),
        looks=tuple(_together([shard.looks[index] for shard in shards]) for index in range(complete)),
        gates=add(shard.gates for shard in shards),
        samples=tuple(shard.samples for shard in sorted(shards, key=lambda shard: shard.shard) if shard.samples is not None),
        why={side: words for shard in sorted(shards, key=lambda shard: -shard.shard) for side, words in shard.why.items()},
    )


def add(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The sum of counts by name."""
    total: dict[str, int] = {}
    for count in counts:
        for name, number in count.items():
            total[name] = total.get(name, 0) + number
    return total


def _together(looks: Sequence[Look]) -> Look:
    tallies: dict[str, dict[str, dict[int, int]]] = {}
    for look in looks:
        for metric, slices in look.tallies.items():
            for name, tally in slices.items():
                total = tallies.setdefault(metric, {}).setdefault(name, {})
                for point, weight in tally.items():
                    total[point] = total.get(point, 0) + weight
    sides = {side for look in looks for side in look.sums}
    return Look(
        look=looks[0].look,
        units=sum(look.units for look in looks),
        void=sum(look.void for look in looks),
        tallies=tallies,
        sums={side: add(look.sums.get(side, {}) for look in looks) for side in sides},
    )


@dataclass(slots=True, kw_only=True)
class Stretch:
    """The units of one look that a shard scores, while they come in."""

    look: int
    expected: int
    units: int = 0
    void: int = 0
    tallies: dict[str, dict[str, dict[int, int]]] = field(default_factory=dict)
    sums: dict[str, dict[str, int]] = field(default_factory=lambda: {side: {} for side in SIDES})

    @property
    def complete(self) -> bool:
        """Whether all of its units are scored."""
        return self.units == self.expected

    def count(self, metric: str, slices: Iterable[str], difference: Fraction) -> None:
        """Count one unit's difference, in `all` and in its slices."""
        by_slice = self.tallies.setdefault(metric, {})
        for name in (ALL, *slices):
            tally = by_slice.setdefault(name, {})
            for point, weight in shares(difference):
                tally[point] = tally.get(point, 0) + weight

    def add(self, side: str, name: str, number: int) -> None:
        """Add to a sum of one side."""
        self.sums[side][name] = self.sums[side].get(name, 0) + number

    def as_look(self) -> Look:
        """What there is, as it is told."""
        return Look(look=self.look, units=self.units, void=self.void, tallies=self.tallies, sums=self.sums)
