"""Error rates of the whole sequential rule without any sampling error, for data with two values: the place to look for a broken promise.

With two values a run is a path of counts, so the probability of every path that is still undecided can be carried from look to look. Candidates stand exactly
at the margin, where both decisions are wrong. Plans are small and values odd, because that is where approximations fail; thousands of simulated releases
(`canary_power.py`) would take hours to see what is found here in seconds.

    python benchmarks/canary_exact.py [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sluice.scoring.statistics.engine import Design, Side, alpha_of, levels, side_p_value
from sluice.scoring.statistics.grid import GRID, WHOLE
from sluice.scoring.statistics.series import Series

PROBLEMS: Final = 600
QUICK: Final = 60
ALPHAS: Final = (0.01, 0.05, 0.05, 0.1)
MARGINS: Final = (0.0, 0.0, 0.001, 0.01, 0.02, 0.02, 0.05, 0.1, 0.3)
PLANS: Final = (10, 12, 15, 20, 30, 50, 80, 120, 200, 400)
STEPS: Final = (1, 50, 100, 250)
"""Lattices of the values, in thousandths."""
SHOWN: Final = 10
_NEGLIGIBLE: Final = 1e-10
"""A path that is less probable is not followed."""
_WORTH: Final = 0.3
"""Standard deviations from the margin below which no level is reached: the p-value is above 0.3, and no α here is."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Differences of `low` and `high` thousandths, mixed so that the mean is exactly −margin."""

    low: int
    high: int
    margin: float
    planned: int
    alpha: float

    @property
    def share(self) -> float:
        """Share of `high`."""
        return (-self.margin * GRID - self.low) / (self.high - self.low)


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
        values = f"{problem.low / GRID:+g} ({1 - problem.share:.1%}) and {problem.high / GRID:+g} ({problem.share:.1%})"
        rates = f"rolled back {self.rolled_back:.2%}, promoted {self.promoted:.2%} of α {problem.alpha:.0%}"
        return f"{values:<36} margin {problem.margin:<6g} planned {problem.planned:<4}  {rates}"


def exact(problem: Problem) -> Errors:
    """Carry the probability of each undecided count from look to look."""
    design = Design(margin=problem.margin, false_roll_back=problem.alpha, false_promotion=problem.alpha, planned=problem.planned)
    needed = {side: levels(design.planned, design.looks, alpha_of(side, design)) for side in Side}
    values = np.array([problem.low, problem.high], dtype=np.int64)
    away = values / GRID + problem.margin
    deviation = math.sqrt(float(away**2 @ np.array([1 - problem.share, problem.share])))
    open_paths, before = np.ones(1), 0
    wrong = dict.fromkeys(Side, 0.0)
    for look, units in enumerate(design.looks):
        open_paths = np.convolve(open_paths, _binomial(units - before, problem.share))
        before = units
        high = np.arange(units + 1)
        z = ((units - high) * away[0] + high * away[1]) / (deviation * math.sqrt(units))
        for side, sign in ((Side.WORSE, -1.0), (Side.WITHIN, 1.0)):
            for count in np.flatnonzero((open_paths > _NEGLIGIBLE) & (sign * z > _WORTH)).tolist():
                row = Series(values=values, counts=WHOLE * np.array([[units - count, count]], dtype=np.int64))
                if side_p_value(row, side, problem.margin, 0) <= needed[side][look]:
                    wrong[side] += float(open_paths[count])
                    open_paths[count] = 0.0
    return Errors(problem=problem, rolled_back=wrong[Side.WORSE], promoted=wrong[Side.WITHIN])


def _binomial(trials: int, share: float) -> Floats:
    """Probabilities of 0 to `trials` hits."""
    hits = np.arange(trials + 1)
    logs = np.array([math.lgamma(trials + 1) - math.lgamma(hit + 1) - math.lgamma(trials - hit + 1) for hit in hits.tolist()])
    return np.asarray(np.exp(logs + hits * math.log(share) + (trials - hits) * math.log1p(-share)))


def drawn(rng: np.random.Generator) -> Problem:
    """Draw a problem in which both values are likely to be seen."""
    while True:
        step = int(rng.choice(STEPS))
        low, high = sorted((np.rint(rng.uniform(-GRID, GRID, 2) / step) * step).astype(int).tolist())
        low = -GRID if rng.random() < 1 / 4 else low
        margin, planned = float(rng.choice(MARGINS)), int(rng.choice(PLANS))
        if low < -margin * GRID < high:
            problem = Problem(low=low, high=high, margin=margin, planned=planned, alpha=float(rng.choice(ALPHAS)))
            if 1 <= problem.share * planned <= planned - 1:
                return problem


def main() -> int:
    """Compute, print the worst, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} problems instead of {PROBLEMS}; under a minute")
    parser.add_argument("--seed", type=int, default=20_261_121, help="which problems are drawn")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all error rates to FILE")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    found = sorted((exact(drawn(rng)) for _ in range(QUICK if options.quick else PROBLEMS)), key=lambda errors: -errors.excess)
    broken = [errors for errors in found if errors.excess > 1]
    for errors in (*broken, *found[len(broken) : len(broken) + SHOWN]):
        print(f"{'BROKEN ' if errors.excess > 1 else '       '}{errors}")
    print(f"{len(found)} problems, {len(broken)} with a broken promise")
    if options.json:
        options.json.write_text(json.dumps({"errors": [asdict(errors) for errors in found]}, indent=1) + "\n", encoding="utf-8")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
