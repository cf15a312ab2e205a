"""What came of thousands of releases: rates with exact bounds, medians, whether a promise is broken and a goal reached; and the report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any, Final

import numpy as np

from benchmarks.canary.cells import ALPHA, Cell, table
from benchmarks.canary.peers import PEERS, Verdict
from benchmarks.canary.rates import lower_bound, upper_bound

BROKEN: Final = 0.99
"""Confidence with which an error rate must be above α for a promise to count as broken."""
SHOWN: Final = 0.95
"""Confidence of the upper bounds that are shown."""
OURS: Final = "sluice"
_DECIDED: Final = {Verdict.ROLL_BACK: "back", Verdict.PROMOTE: "on"}


@dataclass(slots=True)
class Count:
    """Decisions of one rule, while they are made."""

    rolled_back: list[int] = field(default_factory=list)
    promoted: list[int] = field(default_factory=list)
    undecided: int = 0
    polled: int = 0
    unsteady: int = 0
    seconds: float = 0.0

    def add(self, verdict: Verdict, used: int) -> None:
        """Count one decision that took `used` pairs."""
        if verdict is Verdict.ROLL_BACK:
            self.rolled_back.append(used)
        elif verdict is Verdict.PROMOTE:
            self.promoted.append(used)
        else:
            self.undecided += 1

    def merge(self, other: Count) -> None:
        """Add what was counted elsewhere."""
        self.rolled_back += other.rolled_back
        self.promoted += other.promoted
        self.undecided += other.undecided
        self.polled += other.polled
        self.unsteady += other.unsteady
        self.seconds += other.seconds

    def summary(self) -> Rates:
        """What is told of it."""
        pairs = [*map(float, self.rolled_back), *map(float, self.promoted), *[math.inf] * self.undecided]
        return Rates(
            runs=len(pairs),
            rolled_back=len(self.rolled_back),
            promoted=len(self.promoted),
            median=float(np.median(pairs)) if pairs else math.inf,
            polled=self.polled,
            unsteady=self.unsteady,
            milliseconds=round(1000 * self.seconds / max(1, len(pairs)), 2),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What one rule decided in one cell. `median` of the pairs until the decision, over all runs: infinite where most end without one."""

    runs: int
    rolled_back: int
    promoted: int
    median: float
    polled: int
    unsteady: int
    milliseconds: float

    def hits(self, verdict: Verdict) -> int:
        """How many runs came to that decision."""
        return self.rolled_back if verdict is Verdict.ROLL_BACK else self.promoted

    def share(self, verdict: Verdict) -> float:
        """Share of the runs with that decision."""
        return self.hits(verdict) / self.runs if self.runs else math.nan

    def clearly_above(self, verdict: Verdict, rate: float) -> bool:
        """Tell whether that decision is more frequent than `rate`, and not by chance."""
        return self.runs > 0 and lower_bound(self.hits(verdict), self.runs, confidence=BROKEN) > rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One cell: the engine and the peers."""

    cell: Cell
    rates: Mapping[str, Rates]

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Figures:
        """Read what `as_json` wrote. Raises KeyError when the cell is no more."""
        rates: dict[str, Rates] = {}
        for name, rule in value["rules"].items():
            median = math.inf if rule["median"] is None else rule["median"]
            rates[name] = Rates(**(rule | {"median": median}))
        return cls(cell={cell.name: cell for cell in table()}[value["name"]], rates=rates)

    def as_json(self) -> dict[str, Any]:
        """Everything, for machines."""
        cell = self.cell
        rules = {name: asdict(rates) | {"median": rates.median if math.isfinite(rates.median) else None} for name, rates in self.rates.items()}
        return {
            "group": cell.group,
            "name": cell.name,
            "mean": cell.means[0],
            "margin": cell.margin,
            "alpha": cell.alpha,
            "planned": cell.pairs,
            "wrong": [verdict.value for verdict in self.wrong],
            "broken": list(self.broken),
            "goal": self.target,
            "missed": list(self.missed),
            "rules": rules,
        }

    @property
    def ours(self) -> Rates:
        """What the engine did."""
        return self.rates[OURS]

    @property
    def wrong(self) -> tuple[Verdict, ...]:
        """Decisions that are wrong here, by the truth."""
        wrong = {Verdict.ROLL_BACK: self.cell.roll_back_is_wrong, Verdict.PROMOTE: self.cell.promote_is_wrong}
        return tuple(verdict for verdict, holds in wrong.items() if holds)

    @property
    def broken(self) -> tuple[str, ...]:
        """Promises that the engine did not keep."""
        errors = tuple(verdict.value for verdict in self.wrong if self.ours.clearly_above(verdict, self.cell.alpha))
        return (*errors, "steady") if self.ours.unsteady else errors

    @property
    def missed(self) -> tuple[str, ...]:
        """Goals that were not reached, with 1 % of slack for shares and 5 % for medians, which is what the simulation itself cannot tell."""
        goal, ours = self.cell.goal, self.ours
        back, on = ours.share(Verdict.ROLL_BACK), ours.share(Verdict.PROMOTE)
        return tuple(
            name
            for name, wanted, reached in (
                ("rolled back", goal.rolled_back, goal.rolled_back is None or back >= goal.rolled_back - 0.01),
                ("promoted", goal.promoted, goal.promoted is None or on >= goal.promoted - 0.01),
                ("promoted at most", goal.promoted_at_most, goal.promoted_at_most is None or on <= goal.promoted_at_most + 0.01),
                ("median", goal.median, goal.median is None or ours.median <= goal.median * 1.05),
            )
            if wanted is not None and not reached
        )

    @property
    def target(self) -> str:
        """The goals in a few words."""
        goal = self.cell.goal
        parts = (
            None if goal.rolled_back is None else f"rolled back ≥ {goal.rolled_back:.1%}",
            None if goal.promoted is None else f"promoted ≥ {goal.promoted:.1%}",
            None if goal.promoted_at_most is None else f"promoted ≤ {goal.promoted_at_most:.1%}",
            None if goal.median is None else f"median ≤ {goal.median}",
        )
        return ", ".join(part for part in parts if part)

    def shown(self, name: str) -> str:
        """Rolled back, promoted, and the median of one rule; a mark at wrong decisions that are clearly too many."""
        rates = self.rates[name]
        if not rates.runs:
            return ""
        marks = {verdict: "!" if verdict in self.wrong and rates.clearly_above(verdict, self.cell.alpha) else "" for verdict in _DECIDED}
        shares = [f"{rates.share(verdict):.1%}{marks[verdict]}" for verdict in _DECIDED]
        return " / ".join([*shares, f"{rates.median:.0f}" if math.isfinite(rates.median) else "–"])

    def __str__(self) -> str:
        ours = self.ours
        bounds = " ".join(f"{verdict.value}≤{upper_bound(ours.hits(verdict), ours.runs, confidence=SHOWN):.1%}" for verdict in self.wrong)
        state = f"BROKEN {', '.join(self.broken)}" if self.broken else "kept"
        goal = f"  goal {self.target}: {'MISSED' if self.missed else 'met'}" if self.target else ""
        return f"{self.cell.name:<52} {self.shown(OURS):<24} n={ours.runs:<6} {bounds:<30} {state}{goal}  {ours.milliseconds:.1f} ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exactly:
    """What `canary_exact.py` computed for data with two, and with three values: the highest error rate of each problem, as a multiple of α, decreasing."""

    two: tuple[float, ...]
    three: tuple[float, ...]

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Exactly:
        """Read what it wrote."""
        multiples: dict[int, list[float]] = {2: [], 3: []}
        for errors in value["errors"]:
            multiples[len(errors["problem"]["values"])].append(max(errors["rolled_back"], errors["promoted"]) / errors["problem"]["alpha"])
        return cls(two=tuple(sorted(multiples[2], reverse=True)), three=tuple(sorted(multiples[3], reverse=True)))

    def __str__(self) -> str:
        broken = f"a promise is broken in **{sum(multiple > 1 for multiple in self.two) or 'none'}** of them"
        plans = "plans of 10 to 3,000 pairs, α of 1, 5 and 10 %"
        return f"{len(self.two)} problems, {plans}: {broken}, and the highest error rate is {max(self.two, default=0):.2f} α."

    @property
    def limit(self) -> str:
        """What is known not to hold."""
        broken = [multiple for multiple in self.three if multiple > 1]
        if not broken:
            return f"none of {len(self.three)} random problems of that kind was above α, the highest at {max(self.three, default=0):.2f} α"
        told = " and ".join(f"{multiple:.2f} α" for multiple in broken[:_TOLD])
        return f"{len(broken)} of {len(self.three)} random problems of that kind were above α, at {told}"


def markdown(figures: list[Figures], exactly: Exactly | None = None) -> str:
    """The report: what was simulated, the tables, and what they do not show."""
    with_goal = [figure for figure in figures if figure.target]
    errors = [(figure.ours.share(verdict), figure.ours.runs) for figure in figures for verdict in figure.wrong if figure.cell.alpha == ALPHA]
    worst, among = max(errors, default=(0.0, 0))
    head = _HEAD.format(
        cells=len(figures),
        runs=f"{sum(figure.ours.runs for figure in figures):,}",
        broken=sum(bool(figure.broken) for figure in figures) or "none",
        worst=f"{worst:.1%}",
        among=among,
        met=sum(not figure.missed for figure in with_goal),
        goals=len(with_goal),
        polled=f"{sum(figure.ours.polled for figure in figures):,}",
        unsteady=sum(figure.ours.unsteady for figure in figures) or "none",
        exactly="" if exactly is None else _EXACT.format(exactly=exactly),
        limit="" if exactly is None else _LIMIT.format(limit=exactly.limit),
    )
    parts = [head]
    names = [OURS, *PEERS]
    for group, members in groupby(figures, key=lambda figure: figure.cell.group):
        parts.append(f"## {group[0].upper()}{group[1:]}\n\n| cell | releases | wrong | goal | {' | '.join(names)} |\n|{'---|' * (4 + len(names))}")
        for figure in members:
            goal = f"{figure.target}{': **missed**' if figure.missed else ''}"
            forbidden = ", ".join(_DECIDED[verdict] for verdict in figure.wrong) or "–"
            broken = " **broken**" if figure.broken else ""
            row = [figure.cell.name, f"{figure.ours.runs}", forbidden, goal, figure.shown(OURS) + broken, *(figure.shown(name) for name in PEERS)]
            parts.append(f"| {' | '.join(row)} |")
        parts.append("")
    return "\n".join(parts)


_TOLD: Final = 4
_EXACT: Final = """
For differences that have only two values, `benchmarks/canary_exact.py` computes the error rates of the whole rule, without sampling error:
{exactly}
"""
_HEAD: Final = """# What canary scoring promises, and what it finds
<!-- Generated by `python benchmarks/canary_power.py --markdown docs/canary-power.md`. Do not edit. -->

Two promises, whatever the data and however often one looks (α is 5 % a side, where the cell does not say otherwise):

- the true mean difference is at or above −margin, in the whole and in every slice: at most α of such releases are **rolled back**;
- the true mean difference is at or below −margin: at most α of such releases are **promoted**.

{cells} kinds of release were simulated, {runs} releases in all. Cells in which a promise is broken, at 99 % confidence: **{broken}**; the highest error rate
seen is {worst}, of {among} releases: with so many cells, chance alone gives one of them as much. Goals reached: {met} of {goals}. Releases that were also
polled while answers came in, and given other answers after the decision: {polled}; with another decision: {unsteady}.
{exactly}
Each entry is *rolled back / promoted / median pairs until the decision* (– when most runs end without one). `!` marks a wrong decision that is clearly too
frequent (lower 99 % bound of Clopper and Pearson above α). *wrong* says which decision the truth forbids: *back*, *on*, both where the truth is exactly at
the margin. τ is the margin and pt are points of a score in percent; churn is the share of answers that flip in either direction.

How it was simulated: cases are drawn at random from populations of 200,000 whose mean difference is exact, so that a cell can stand exactly at the margin. The
fixed random order, repeats, missing answers and the order of arrival follow [the design](design/0005-canary-scoring.md). The others' rules follow their own
documentation, cited in `benchmarks/canary/peers.py`, with their defaults where they have any: thresholds five points below what the baseline usually scores,
100 pairs an interval (Kayenta: 50). They are not told rank and unit, since they have no place for them, and leave missing answers out. *One look at the
end* is a t-test that may not look before: for well-behaved scores no rule that may look earlier can find more.

What it does not show: real models whose behaviour changes during the run; cases that do not stand for what users ask; judges that err. A promise about the mean
over the cases' population is no promise about each user. Error rates below 5 % in a cell are no reserve one may count on elsewhere. The test is an
approximation for small numbers, not a proof: these tables are the evidence. Peers were given a tenth of the releases, so their rates are known
to five or ten points.

Goals are figures that another engine reached on 30 pairs of models of which 2 to 13 % of the answers flip. *30 models* are as many with such churns, another
one in each release, and as hard as its data: half of them lie below the churn at which a test that looks once needs as many units as was stated with the goal
(−2 pt: 1,264; −5 pt: 251, with a margin 667; −10 pt: 89, with a margin 134), which is 5 to 6 %; 5.4 % for slices, where none was stated. Cells with *mid
churn* (9 %) are harder, and have no goal unless it was reached at that churn. A goal counts as reached with one point, or 5 % of a median, of slack: what the
simulation cannot tell.

{limit}
"""
_LIMIT: Final = """Known limit: plans of 10 to 25 pairs whose differences have three odd values. Computed exactly, {limit}.
Plan more pairs: so few decide nothing else either.
"""
