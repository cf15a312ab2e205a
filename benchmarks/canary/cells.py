"""What is simulated: one cell is one line. A cell says what the candidate does, how its answers come in, and what a good engine reaches there.

What is *promised* follows from the truth and is the same for every engine: with α = 5 % a side, never more than α of the releases whose mean (and that of
each slice) is at or above −margin are rolled back, and never more than α of those whose mean is at or below −margin are promoted. What is *reached*, the
goal of a cell, is the table that the project set itself, only where it has a figure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from statistics import NormalDist
from typing import Final

import numpy as np

from benchmarks.canary.populations import Flips, Graded, Kind, Models, Sampled, TwoAtoms

ALPHA: Final = 0.05
_EXACT: Final = 1e-9


class Arrival(StrEnum):
    """In which order answers come in."""

    DRAWN = "as drawn"
    SLOW_ARE_BAD = "answers that got worse arrive last"
    SLOW_ARE_GOOD = "answers that got worse arrive first"
    SCATTERED = "repeats scattered over the whole run"
    ROUNDS = "every case once, then every case again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slices:
    """Parts of the suite that must hold on their own. The first `sick` of them have the effect `by`, the rest that of the cell; `weights` are their sizes."""

    count: int
    sick: int = 0
    by: float = 0.0
    uneven: bool = False

    def weights(self) -> list[float]:
        """Shares of the units, one a slice: equal, or the first with half of everything, the next with half of the rest, and so on."""
        if not self.uneven:
            return [1 / self.count] * self.count
        halves = [0.5 ** (place + 1) for place in range(self.count - 1)]
        return [*halves, 1 - sum(halves)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeats:
    """How often a case is asked, on average `each`.

    `spread` draws the number, from 1 to twice `each`; with `for_the_worse` cases that got worse have the most. `heavy` asks one of twenty cases nearly
    always, the others once.
    """

    each: int
    spread: bool = False
    for_the_worse: bool = False
    heavy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What the project set itself: a share of the runs, or the median number of units until the decision, over all runs."""

    rolled_back: float | None = None
    promoted: float | None = None
    promoted_at_most: float | None = None
    median: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One kind of release. `effect` is candidate − baseline on answered cases; `planned` and `units` are cases: what was announced and what is really there."""

    group: str
    name: str
    kind: Kind | Models
    effect: float
    margin: float = 0.02
    planned: int = 1000
    units: int | None = None
    slices: Slices | None = None
    repeats: Repeats | None = None
    arrival: Arrival = Arrival.DRAWN
    arrived: float = 1.0
    missing: float = 0.0
    goal: Goal = field(default_factory=Goal)
    runs: float = 1.0
    alpha: float = ALPHA

    @property
    def pairs(self) -> int:
        """Pairs that were announced: every repeat of a planned case."""
        return self.planned * (self.repeats.each if self.repeats else 1)

    @property
    def means(self) -> tuple[float, ...]:
        """True mean differences: of the whole first, then of each slice, when there are any. A missing answer of the candidate counts −1."""
        each: tuple[float, ...] = (self.effect,)
        weights: list[float] = [1.0]
        if self.slices:
            each = (self.slices.by,) * self.slices.sick + (self.effect,) * (self.slices.count - self.slices.sick)
            weights = self.slices.weights()
        counted = [(1 - self.missing) * effect - self.missing for effect in each]
        whole = float(np.dot(weights, counted))
        return (whole, *counted) if self.slices else (whole,)

    @property
    def roll_back_is_wrong(self) -> bool:
        """The candidate is inside the margin everywhere, or exactly at it."""
        return all(mean >= -self.margin - _EXACT for mean in self.means)

    @property
    def promote_is_wrong(self) -> bool:
        """The candidate is beyond the margin as a whole, or exactly at it."""
        return self.means[0] <= -self.margin + _EXACT


def table() -> tuple[Cell, ...]:
    """Every cell, in the order of the report."""
    cells = (*_binary(), *_scores(), *_sliced(), *_asked(), *_sizes(), *_rates())
    names = [cell.name for cell in cells]
    if len(set(names)) != len(names):
        raise ValueError(f"cells share a name: {sorted({name for name in names if names.count(name) > 1})}")
    return cells


LOW, MIDDLE, HIGH = Flips(churn=0.03), Flips(churn=0.09), Flips(churn=0.13)
_CHURNS: Final = {"low": LOW, "mid": MIDDLE, "high": HIGH}
MODELS: Final = Models(middle=0.054)
_ONE_LOOK: Final = (NormalDist().inv_cdf(1 - ALPHA) + NormalDist().inv_cdf(0.8)) ** 2


def as_hard(units: int, *, drop: float, margin: float) -> Models:
    """Models of which a test that looks once needs that many units to find a drop in four of five releases: so hard was the data of a goal."""
    variance = units * (drop - margin) ** 2 / _ONE_LOOK
    return Models(middle=variance - drop + drop * drop)


def _binary() -> list[Cell]:
    """Right or wrong answers, one each."""
    power = "power on right-or-wrong answers"
    promoted = {"low": 0.92, "mid": 0.57, "high": 0.43}
    cells = [
        Cell(group=power, name=f"identical, {at} churn, τ 2, n 1000", kind=kind, effect=0, goal=Goal(promoted=promoted[at]), runs=2)
        for at, kind in _CHURNS.items()
    ]
    cells.append(
        Cell(group=power, name="identical, mid churn, τ 2, n 3000", kind=MIDDLE, effect=0, planned=3000, goal=Goal(promoted=0.96, median=1500), runs=2)
    )
    # Drop, margin, the units that one look needs on the data of the goal, and the goal.
    drops = (
        (0.02, 0.0, 1264, Goal(rolled_back=0.93, median=1700)),
        (0.05, 0.0, 251, Goal(rolled_back=1, median=425)),
        (0.1, 0.0, 89, Goal(median=135)),
        (0.05, 0.02, 667, Goal(rolled_back=0.998, median=1100)),
        (0.1, 0.02, 134, Goal(median=202)),
    )
    for drop, margin, floor, goal in drops:
        name, models = f"−{drop * 100:g} pt, τ {margin * 100:g}, n 3000", as_hard(floor, drop=drop, margin=margin)
        cells.append(Cell(group=power, name=f"{name}, 30 models", kind=models, effect=-drop, margin=margin, planned=3000, goal=goal, runs=2))
        cells.append(Cell(group=power, name=f"{name}, mid churn", kind=MIDDLE, effect=-drop, margin=margin, planned=3000))
    cells += [
        Cell(group=power, name="identical, churn 8 %, τ 0, n 5000", kind=Flips(churn=0.08), effect=0, margin=0, planned=5000),
    ]
    edge = "exactly at the margin, right-or-wrong answers"
    cells += [
        Cell(group=edge, name=f"at −τ, {at} churn, τ {margin * 100:g}, n {planned}", kind=kind, effect=-margin, margin=margin, planned=planned, runs=2)
        for margin in (0.0, 0.02)
        for at, kind in _CHURNS.items()
        for planned in (300, 1000, 3000)
    ]
    cells += [
        Cell(group=edge, name=f"at −τ, churn {churn * 100:g} %, τ {margin * 100:g}, n 1000", kind=Flips(churn=churn), effect=-margin, margin=margin, runs=2)
        for churn, margin in ((0.0, 0.02), (0.0, 0.001), (0.004, 0.0), (0.01, 0.01), (0.06, 0.001), (0.06, 0.1), (0.06, 0.3))
    ]
    return cells


def _scores() -> list[Cell]:
    """Scores that are not just right or wrong."""
    group = "scores between 0 and 1"
    kinds: dict[str, Kind] = {
        "smooth scores": Graded(),
        "rough scores": Graded(agreement=2),
        "scores in tenths": Graded(step=0.1),
        "scores in sevenths": Graded(step=1 / 7, agreement=4),
        "scores in thirds": Graded(step=1 / 3, agreement=4),
    }
    cells = [
        Cell(group=group, name=f"{name} {where}, τ 2", kind=kind, effect=effect)
        for name, kind in kinds.items()
        for where, effect in (("unchanged", 0.0), ("at −τ", -0.02), ("−5 pt", -0.05))
    ]
    skewed = "two differences only, exactly at the margin"
    cells += [
        Cell(
            group=skewed,
            name=f"mostly {common:+g}, rarely {rare:+g}, τ {margin * 100:g}, n {planned}",
            kind=TwoAtoms(common=common, rare=rare),
            effect=-margin,
            margin=margin,
            planned=planned,
            runs=2,
        )
        for common, rare, margin in (
            (0.01, -1.0, 0.02),
            (-0.04, 1.0, 0.02),
            (0.05, -1.0, 0.0),
            (-0.05, 1.0, 0.0),
            (0.001, -1.0, 0.001),
            (-0.021, 0.5, 0.02),
            (-0.019, -1.0, 0.02),
            (0.3, -0.9, 0.02),
            (-0.31, 1.0, 0.3),
            (0.99, -1.0, 0.3),
            (-0.999, 0.999, 0.3),
        )
        for planned in (300, 1000, 3000)
    ]
    return cells


def _sliced() -> list[Cell]:
    """Twenty slices, and stranger ones."""
    group = "slices"
    well, sick = Slices(count=20), Slices(count=20, sick=1, by=-0.2)
    return [
        *(
            Cell(group=group, name=f"{name}, τ 2, 30 models", kind=MODELS, effect=0, planned=planned, slices=slices, goal=goal, runs=2)
            for name, planned, slices, goal in (
                ("20 healthy slices of 250", 5000, well, Goal(promoted=0.997)),
                ("one of 20 at −20 pt, 100 each", 2000, sick, Goal(rolled_back=0.63, promoted_at_most=0.05)),
                ("one of 20 at −20 pt, 250 each", 5000, sick, Goal(rolled_back=0.99, promoted_at_most=0.0)),
            )
        ),
        Cell(group=group, name="20 healthy slices of 250, τ 2", kind=MIDDLE, effect=0, planned=5000, slices=Slices(count=20)),
        Cell(group=group, name="20 healthy slices of 100, τ 2", kind=MIDDLE, effect=0, planned=2000, slices=Slices(count=20)),
        Cell(group=group, name="20 healthy slices of 250, τ 0", kind=MIDDLE, effect=0, margin=0, planned=5000, slices=Slices(count=20), runs=2),
        Cell(group=group, name="one of 20 at −20 pt, 100 each, τ 2", kind=MIDDLE, effect=0, planned=2000, slices=sick),
        Cell(group=group, name="one of 20 at −20 pt, 250 each, τ 2", kind=MIDDLE, effect=0, planned=5000, slices=sick),
        Cell(group=group, name="all 20 at −τ, 100 each, τ 2", kind=MIDDLE, effect=-0.02, planned=2000, slices=Slices(count=20), runs=2),
        Cell(group=group, name="all 20 at −τ, 250 each, τ 2", kind=MIDDLE, effect=-0.02, planned=5000, slices=Slices(count=20), runs=2),
        Cell(group=group, name="all 20 at −τ, 25 each, low churn, τ 2", kind=LOW, effect=-0.02, planned=500, slices=Slices(count=20), runs=2),
        Cell(group=group, name="all 20 at −3 pt, 100 each, τ 0", kind=MIDDLE, effect=-0.03, margin=0, planned=2000, slices=Slices(count=20)),
        Cell(group=group, name="smooth scores, all 20 at −τ, 100 each", kind=Graded(), effect=-0.02, planned=2000, slices=Slices(count=20)),
        Cell(group=group, name="rarely −1, all 20 at −τ, 100 each", kind=TwoAtoms(common=0.01, rare=-1), effect=-0.02, planned=2000, slices=Slices(count=20)),
        Cell(group=group, name="rarely +1, all 20 at −τ, 100 each", kind=TwoAtoms(common=-0.04, rare=1), effect=-0.02, planned=2000, slices=Slices(count=20)),
        Cell(group=group, name="200 slices of 10, all at −τ", kind=MIDDLE, effect=-0.02, planned=2000, slices=Slices(count=200)),
        Cell(group=group, name="200 healthy slices of 2, τ 0", kind=HIGH, effect=0, margin=0, planned=400, slices=Slices(count=200), runs=2),
        Cell(group=group, name="12 slices, each half of the one before, all at −τ", kind=HIGH, effect=-0.02, slices=Slices(count=12, uneven=True), runs=2),
        Cell(group=group, name="12 slices, each half of the one before, τ 0", kind=HIGH, effect=0, margin=0, slices=Slices(count=12, uneven=True), runs=2),
        Cell(group=group, name="one slice that is everything, at −τ", kind=MIDDLE, effect=-0.02, slices=Slices(count=1), runs=2),
    ]


def _asked() -> list[Cell]:
    """Repeats, order and silence."""
    repeats, order, silence = "repeats of a case (the unit is told)", "order of arrival (the rank is told)", "missing answers of the candidate"
    chance = Sampled()
    return [
        Cell(group=repeats, name="5 answers a case, at −τ", kind=chance, effect=-0.02, planned=500, repeats=Repeats(each=5), runs=2),
        Cell(group=repeats, name="20 answers a case, τ 0", kind=chance, effect=0, margin=0, planned=200, repeats=Repeats(each=20), runs=2),
        Cell(
            group=repeats, name="5 answers a case, scattered, at −τ", kind=chance, effect=-0.02, planned=500, repeats=Repeats(each=5), arrival=Arrival.SCATTERED
        ),
        Cell(group=repeats, name="5 rounds over all cases, at −τ", kind=chance, effect=-0.02, planned=500, repeats=Repeats(each=5), arrival=Arrival.ROUNDS),
        Cell(group=repeats, name="1 to 20 answers a case, at −τ", kind=chance, effect=-0.02, planned=500, repeats=Repeats(each=10, spread=True), runs=2),
        Cell(
            group=repeats,
            name="more answers for cases that got worse, τ 0",
            kind=chance,
            effect=0,
            margin=0,
            planned=500,
            repeats=Repeats(each=10, spread=True, for_the_worse=True),
        ),
        Cell(group=repeats, name="1 or 100 answers a case, τ 0", kind=MIDDLE, effect=0, margin=0, planned=300, repeats=Repeats(each=6, heavy=True)),
        Cell(group=repeats, name="5 answers a case, −10 pt, τ 2", kind=chance, effect=-0.1, planned=500, repeats=Repeats(each=5)),
        Cell(group=order, name="what got worse arrives last, τ 0", kind=MIDDLE, effect=0, margin=0, arrival=Arrival.SLOW_ARE_BAD),
        Cell(group=order, name="what got worse arrives first, τ 0", kind=MIDDLE, effect=0, margin=0, arrival=Arrival.SLOW_ARE_GOOD, runs=2),
        Cell(group=order, name="what got worse arrives last, at −τ", kind=MIDDLE, effect=-0.02, arrival=Arrival.SLOW_ARE_BAD, runs=2),
        Cell(group=order, name="the worst tenth has not arrived, at −τ", kind=MIDDLE, effect=-0.02, arrival=Arrival.SLOW_ARE_BAD, arrived=0.9),
        Cell(group=order, name="only the worst tenth is there, τ 0", kind=MIDDLE, effect=0, margin=0, arrival=Arrival.SLOW_ARE_GOOD, arrived=0.1),
        Cell(group=silence, name="5 % missing, otherwise identical, τ 5", kind=MIDDLE, effect=0, margin=0.05, missing=0.05, runs=2),
        Cell(group=silence, name="5 % missing, otherwise identical, τ 2, n 3000", kind=MIDDLE, effect=0, planned=3000, missing=0.05),
        Cell(group=silence, name="2 % missing, otherwise the same to the bit, τ 2", kind=Flips(churn=0), effect=0, missing=0.02, runs=2),
        Cell(group=silence, name="all missing, τ 2", kind=MIDDLE, effect=0, missing=1, planned=200),
        Cell(group=silence, name="5 % missing, 20 slices of 100, τ 5", kind=MIDDLE, effect=0, margin=0.05, planned=2000, missing=0.05, slices=Slices(count=20)),
    ]


def _sizes() -> list[Cell]:
    """Plans that are tiny, huge, or not kept."""
    group = "size of the plan"
    return [
        *(
            Cell(group=group, name=f"at −τ, {at} churn, τ {margin * 100:g}, n {planned}", kind=kind, effect=-margin, margin=margin, planned=planned, runs=4)
            for planned in (5, 20, 50, 100)
            for margin in (0.0, 0.02)
            for at, kind in (("low", LOW), ("high", HIGH))
        ),
        Cell(group=group, name="smooth scores at −τ, n 50", kind=Graded(), effect=-0.02, planned=50, runs=4),
        Cell(group=group, name="scores in tenths at −τ, n 50", kind=Graded(step=0.1), effect=-0.02, planned=50, runs=4),
        Cell(group=group, name="at −τ, mid churn, τ 2, n 20000", kind=MIDDLE, effect=-0.02, planned=20_000),
        Cell(group=group, name="smooth scores at −τ, n 20000", kind=Graded(), effect=-0.02, planned=20_000),
        Cell(group=group, name="three times as many as planned, at −τ", kind=MIDDLE, effect=-0.02, planned=500, units=1500, runs=2),
        Cell(group=group, name="a third of what was planned, at −τ", kind=MIDDLE, effect=-0.02, planned=3000, units=1000, runs=2),
        Cell(group=group, name="−10 pt, n 50", kind=MIDDLE, effect=-0.1, planned=50),
        Cell(group=group, name="−50 pt, n 50", kind=Flips(churn=0.09, accuracy=0.85), effect=-0.5, planned=50),
    ]


def _rates() -> list[Cell]:
    """Other error rates than 5 % a side."""
    return [
        Cell(group="other error rates", name=f"at −τ, {name}, α {alpha * 100:g} %", kind=kind, effect=-0.02, runs=2, alpha=alpha)
        for alpha in (0.01, 0.1, 0.25)
        for name, kind in (("mid churn", MIDDLE), ("scores in tenths", Graded(step=0.1)), ("mostly +0.01, rarely -1", TwoAtoms(common=0.01, rare=-1)))
    ]
