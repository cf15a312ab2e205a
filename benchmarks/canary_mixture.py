"""Is a missed goal the engine's, or that of the population? The goals of docs/canary-power.md, on models as different as those that the goals come from.

The goals were reached on 30 pairs of models of which 2 to 13 % of the answers flip; `canary_power.py` holds the engine against them on a population that
flips 9 % and, with a drop, more. How hard a population is does not depend on any engine: the variance of a difference says how many units a test with a single
look needs, so a goal is only one for data of the same variance. Here each release has a churn of its own, and a median is compared with the goal *and* with the
goal times how much harder its population is.

    python benchmarks/canary_mixture.py [--quick | --releases N] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import NormalDist, fmean, median
from typing import Final

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sluice.scoring.statistics.decide import decide
from sluice.scoring.statistics.engine import Decision

ALPHA: Final = 0.05
PLANNED: Final = 3000
CHURNS: Final = np.linspace(0.02, 0.13, 30)
_NORMAL: Final = NormalDist()
_FOUND: Final = 0.8
RELEASES: Final = 240
QUICK: Final = 30
"""One of each model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A drop, and what the project set itself: a share of releases rolled back, a median, and the units that a single look needed on the data of that goal."""

    drop: float
    margin: float
    share: float | None
    units: int
    floor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What came of a row."""

    row: Row
    ceiling: float
    """Share of releases that a single look at the planned end finds."""
    share: float
    """Share of releases that were rolled back."""
    units: float | None
    """The median until then; None: fewer than half were rolled back."""
    floor: float
    """What a single look needs on this data."""
    harder: float
    """The goal for the median, times how much harder this data is than that of the goal."""

    def __str__(self) -> str:
        row = self.row
        goal = "–" if row.share is None else f"{row.share:.1%}"
        units = "–" if self.units is None else f"{self.units:g}"
        return (
            f"| −{row.drop * 100:g} pt, τ {row.margin * 100:g} | {self.ceiling:.1%} | {self.share:.1%} | {goal} "
            f"| {self.floor:.0f} | {row.floor} | {units} | {row.units} | {self.harder:.0f} |"
        )


ROWS: Final = (
    Row(drop=0.02, margin=0.0, share=0.93, units=1700, floor=1264),
    Row(drop=0.05, margin=0.0, share=1.0, units=425, floor=251),
    Row(drop=0.10, margin=0.0, share=None, units=135, floor=89),
    Row(drop=0.05, margin=0.02, share=0.998, units=1100, floor=667),
    Row(drop=0.10, margin=0.02, share=None, units=202, floor=134),
)


def floor_of(row: Row) -> float:
    """Units with which a single look finds the drop in four of five releases: the median over the models."""
    wanted = _NORMAL.inv_cdf(1 - ALPHA) + _NORMAL.inv_cdf(_FOUND)
    return median(wanted**2 * _variance(churn, row.drop) / (row.drop - row.margin) ** 2 for churn in CHURNS.tolist())


def ceiling_of(row: Row) -> float:
    """Share of releases that a single look at the planned end finds."""
    away = (row.drop - row.margin) * PLANNED**0.5
    return fmean(_NORMAL.cdf(away / _variance(churn, row.drop) ** 0.5 + _NORMAL.inv_cdf(ALPHA)) for churn in CHURNS.tolist())


def simulated(row: Row, *, releases: int) -> tuple[float, float | None]:
    """Share of releases rolled back, and the median of units until then; None when fewer than half were."""
    rng = np.random.default_rng([20_261_121, round(row.drop * 1000), round(row.margin * 1000)])
    used: list[float] = []
    for release in range(releases):
        churn = float(CHURNS[release % len(CHURNS)])
        draw = rng.random(PLANNED)
        differences = np.where(draw < churn / 2 + row.drop, -1.0, np.where(draw < churn + row.drop, 1.0, 0.0))
        decision, units = decide(differences, margin=row.margin, alpha=ALPHA, planned=PLANNED)
        used.append(units if decision is Decision.ROLL_BACK else float("inf"))
    middle = median(used)
    return sum(units <= PLANNED for units in used) / releases, middle if middle <= PLANNED else None


def _variance(churn: float, drop: float) -> float:
    """Of a difference of yes-or-no answers: `churn` flips in both directions alike, the drop in one."""
    return churn + drop - drop * drop


def figures_of(row: Row, *, releases: int) -> Figures:
    """Simulate one row."""
    share, units = simulated(row, releases=releases)
    floor = floor_of(row)
    return Figures(row=row, ceiling=ceiling_of(row), share=share, units=units, floor=floor, harder=row.units * floor / row.floor)


def main() -> int:
    """Print a table: each figure beside its goal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_const", const=QUICK, dest="releases", help=f"{QUICK} releases a row; under a minute")
    parser.add_argument("--releases", type=int, default=RELEASES, metavar="N", help="simulated releases a row (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    options = parser.parse_args()
    print("| drop, margin | one look at the end | rolled back | goal | one look needs | goal's data | median | goal | goal × difficulty |")
    print("|---|---|---|---|---|---|---|---|---|")
    found: list[Figures] = []
    for row in ROWS:
        figures = figures_of(row, releases=options.releases)
        print(figures, flush=True)
        found.append(figures)
    if options.json:
        options.json.write_text(json.dumps({"releases": options.releases, "rows": [asdict(each) for each in found]}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
