"""Error rates of the whole sequential rule without any sampling error, for data with two or three values: the place to look for a broken promise.

With so few values a run is a path of counts, so the probability of every path that is still undecided can be carried from look to look. Candidates stand
exactly at the margin, where both decisions are wrong. Plans are small and values odd, because that is where approximations fail; thousands of simulated
releases (`canary_power.py`) would take hours to see what is found here in seconds. Three values, of plans of at most 25 pairs, are the known limit that the
report tells of: the exit code is 1 only when a promise is broken for two.

    python benchmarks/canary_exact.py [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sluice.scoring.statistics.engine import Design, Side, pool_levels, side_p_value
from sluice.scoring.statistics.grid import GRID, WHOLE
from sluice.scoring.statistics.series import Series

PROBLEMS: Final = 600
OF_THREE: Final = 1800
QUICK: Final = 60
ALPHAS: Final = (0.01, 0.05, 0.05, 0.1)
MARGINS: Final = (0.0, 0.0, 0.001, 0.01, 0.02, 0.02, 0.05, 0.1, 0.3)
PLANS: Final = (10, 12, 15, 20, 30, 50, 80, 120, 200, 400, 1000, 3000)
STEPS: Final = (1, 50, 100, 250)
"""Lattices of the values, in thousandths."""
ALPHA: Final = 0.05
SMALL_PLANS: Final = (10, 25)
LEAST_SHARE: Final = 0.03
"""What is odd about three values: they lie on no lattice, in plans of so few pairs, and each is seen now and then."""
SHOWN: Final = 10
_NEGLIGIBLE: Final = 1e-10
"""A path that is less probable is not followed."""
_WORTH: Final = 0.3
"""Standard deviations from the margin below which no level is reached: the p-value is above 0.3, and no α here is."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Differences of some `values`, in thousandths, increasing; their `shares` make the mean exactly −margin."""

    values: tuple[int, ...]
    shares: tuple[float, ...]
    margin: float
    planned: int
    alpha: float


def at_margin(low: int, high: int, *, margin: float, planned: int, alpha: float, between: tuple[int, float] | None = None) -> Problem:
    """Mix `low` and `high` so that the mean is −margin; `between`: a third value, with its share."""
    middle, share = between or (0, 0.0)
    rest = -margin * GRID - share * middle
    upper = (rest - (1 - share) * low) / (high - low)
    shares = (1 - share - upper, *([share] if between else []), upper)
    return Problem(values=(low, *([middle] if between else []), high), shares=shares, margin=margin, planned=planned, alpha=alpha)


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Probability of either wrong decision."""

    problem: Problem
    rolled_back: float
    promoted: float

    @property
    def excess(self) -> float:
        """The larger of both, as a multiple of what was promised."""
        return max(self.rolled_back, self.promoted) / self.problem.alpha

    def __str__(self) -> str:
        problem = self.problem
        values = " and ".join(f"{value / GRID:+g} ({share:.1%})" for value, share in zip(problem.values, problem.shares, strict=True))
        rates = f"rolled back {self.rolled_back:.2%}, promoted {self.promoted:.2%} of α {problem.alpha:.0%}"
        return f"{values:<36} margin {problem.margin:<6g} planned {problem.planned:<4}  {rates}"


def exact(problem: Problem) -> Errors:
    """Carry the probability of each undecided count from look to look."""
    design = Design(margin=problem.margin, false_roll_back=problem.alpha, false_promotion=problem.alpha, planned=problem.planned)
    needed = {side: pool_levels(side, design) for side in Side}
    values = np.array(problem.values, dtype=np.int64)
    away = values / GRID + problem.margin
    deviation = math.sqrt(float(away**2 @ np.array(problem.shares)))
    # One axis for each value but the first: how often it was seen.
    open_paths, before = np.ones((1,) * (len(values) - 1)), 0
    wrong = dict.fromkeys(Side, 0.0)
    for look, units in enumerate(design.looks):
        open_paths = _on(open_paths, _multinomial(units - before, problem.shares))
        before = units
        for place in np.argwhere(open_paths > _NEGLIGIBLE).tolist():
            counts = np.array([units - sum(place), *place], dtype=np.int64)
            z = float(counts @ away) / (deviation * math.sqrt(units))
            side = Side.WITHIN if z > 0 else Side.WORSE
            row = Series(values=values, counts=WHOLE * counts[None, :])
            if abs(z) > _WORTH and side_p_value(row, side, problem.margin, 0) <= needed[side][look]:
                wrong[side] += float(open_paths[tuple(place)])
                open_paths[tuple(place)] = 0.0
    return Errors(problem=problem, rolled_back=wrong[Side.WORSE], promoted=wrong[Side.WITHIN])


def _on(open_paths: Floats, step: Floats) -> Floats:
    """Add independent counts: the convolution of two tables of probabilities."""
    found = np.zeros([before + more - 1 for before, more in zip(open_paths.shape, step.shape, strict=True)])
    for place, weight in np.ndenumerate(step):
        found[tuple(slice(start, start + size) for start, size in zip(place, open_paths.shape, strict=True))] += weight * open_paths
    return found


def _multinomial(trials: int, shares: Sequence[float]) -> Floats:
    """Probabilities of the counts of all values but the first, in `trials`."""
    found = np.zeros((trials + 1,) * (len(shares) - 1))
    logs = [math.log(share) for share in shares]
    for place in np.ndindex(found.shape):
        if (first := trials - sum(place)) >= 0:
            ways = math.lgamma(trials + 1) - sum(math.lgamma(count + 1) for count in (first, *place))
            found[place] = math.exp(ways + sum(count * log for count, log in zip((first, *place), logs, strict=True)))
    return found


def drawn(rng: np.random.Generator) -> Problem:
    """Draw a problem with two values that are both likely to be seen."""
    while True:
        step = int(rng.choice(STEPS))
        low, high = sorted((np.rint(rng.uniform(-GRID, GRID, 2) / step) * step).astype(int).tolist())
        low = -GRID if rng.random() < 1 / 4 else low
        margin, planned = float(rng.choice(MARGINS)), int(rng.choice(PLANS))
        if low < -margin * GRID < high:
            problem = at_margin(low, high, margin=margin, planned=planned, alpha=float(rng.choice(ALPHAS)))
            if 1 <= problem.shares[-1] * planned <= planned - 1:
                return problem


def drawn_of_three(rng: np.random.Generator) -> Problem:
    """Draw a problem with three odd values and a small plan."""
    while True:
        low, middle, high = sorted(rng.integers(-GRID, GRID, 3, endpoint=True).tolist())
        margin, planned = float(rng.choice(MARGINS)), int(rng.integers(*SMALL_PLANS, endpoint=True))
        share = float(rng.uniform(LEAST_SHARE, 1 - 2 * LEAST_SHARE))
        if low < middle < high:
            problem = at_margin(low, high, margin=margin, planned=planned, alpha=ALPHA, between=(middle, share))
            if min(problem.shares) >= LEAST_SHARE:
                return problem


def main() -> int:
    """Compute, print the worst, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} problems of each kind instead of {PROBLEMS} and {OF_THREE}; under a minute")
    parser.add_argument("--seed", type=int, default=20_261_121, help="which problems are drawn")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all error rates to FILE")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    every: list[Errors] = []
    broken_of_two = 0
    for kind, draw, problems in (("two values", drawn, PROBLEMS), ("three values", drawn_of_three, OF_THREE)):
        found = sorted((exact(draw(rng)) for _ in range(QUICK if options.quick else problems)), key=lambda errors: -errors.excess)
        broken = [errors for errors in found if errors.excess > 1]
        broken_of_two += len(broken) if draw is drawn else 0
        for errors in (*broken, *found[len(broken) : len(broken) + SHOWN]):
            print(f"{'BROKEN ' if errors.excess > 1 else '       '}{errors}")
        print(f"{kind}: {len(found)} problems, {len(broken)} with a broken promise\n", flush=True)
        every += found
    if options.json:
        options.json.write_text(json.dumps({"errors": [asdict(errors) for errors in every]}, indent=1) + "\n", encoding="utf-8")
    return 1 if broken_of_two else 0


if __name__ == "__main__":
    sys.exit(main())
