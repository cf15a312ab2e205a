"""How fast a canary run is decided: a million pairs, 40 metrics, 20 slices; and whether shards merged in any order decide to the same bits.

Three ways to the same decisions. *Folded*: differences in memory become one series for each metric and slice, and each metric is decided. *Plain*: `decide` on
one metric, for anyone's data. *Merged*: what 8 shards told – tallies, as the controller reads them – is added up and judged, with every number that
people see; a twentieth of the pairs, because a controller that reads more than 32 MiB from a shard refuses it. Half of the metrics are right or wrong, half are
scores in hundredths. CPU time of one thread: this is what the controller pays.

    python benchmarks/canary_engine.py [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sluice.scoring import decide
from sluice.scoring.judgement import Terms, judge
from sluice.scoring.statistics.engine import Design, Outcome, evaluate
from sluice.scoring.statistics.series import Series
from sluice.scoring.tally import ALL, Look, ShardStatistics, merge

PAIRS: Final = 1_000_000
METRICS: Final = 40
SLICES: Final = 20
SHARDS: Final = 8
ORDERS: Final = 4
"""In how many random orders the shards are merged."""
MERGED: Final = 20
"""One of so many pairs is told by shards."""
MARGIN: Final = Decimal("0.02")
RATE: Final = Decimal("0.05")
TARGET_SECONDS: Final = 60.0
"""A minute of one core for all metrics and slices of a million pairs: an hour's work of the model servers."""
PLAN: Final = "sha256:" + "0" * 64

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number beside what it should be."""

    name: str
    value: float
    unit: str
    at_most: float | None = None

    @property
    def missed(self) -> bool:
        """Whether it is more than it should be."""
        return self.at_most is not None and self.value > self.at_most

    def __str__(self) -> str:
        target = "" if self.at_most is None else f"  target ≤ {self.at_most:g} {self.unit}  {'MISSED' if self.missed else 'met'}"
        return f"{self.name:<66} {self.value:>9.2f} {self.unit}{target}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """All pairs of a canary run: differences by metric, shape (metrics, pairs), the slice of each pair, and the look at which it is first there."""

    differences: Floats
    slices: Integers
    look: Integers
    looks: int

    @classmethod
    def drawn(cls, *, pairs: int, metrics: int) -> Run:
        """Candidates that are as good as their baselines, so that every look is worth its cost; one slice is a little worse in one metric."""
        rng = np.random.default_rng(20_261_121)
        slices = rng.integers(SLICES, size=pairs)
        differences = np.empty((metrics, pairs))
        for metric in range(metrics):
            if metric % 2:
                differences[metric] = np.rint(100 * np.clip(rng.normal(0, 0.15, pairs), -1, 1)) / 100
            else:
                differences[metric] = rng.choice([-1.0, 0.0, 1.0], p=[0.045, 0.91, 0.045], size=pairs)
        looks = _design(pairs).looks
        return cls(differences=differences, slices=slices, look=np.searchsorted(np.array(looks), np.arange(pairs), side="right"), looks=len(looks))


def _design(pairs: int) -> Design:
    return Design(margin=float(MARGIN), false_roll_back=float(RATE), false_promotion=float(RATE), planned=pairs)


def fold(run: Run) -> list[Outcome]:
    """From differences to one outcome for each metric."""
    design = _design(run.slices.size)
    members = [np.flatnonzero(run.slices == part) for part in range(SLICES)]
    outcomes = []
    for differences in run.differences:
        pool = Series.arriving(differences, run.look, looks=run.looks)
        parts = {str(part): Series.arriving(differences[inside], run.look[inside], looks=run.looks) for part, inside in enumerate(members)}
        outcomes.append(evaluate(pool, parts, design))
    return outcomes


def shards(run: Run) -> list[ShardStatistics]:
    """What scorers would have told: tallies of their own units, look by look."""
    told = []
    for shard in range(SHARDS):
        mine = np.arange(shard, run.slices.size, SHARDS)
        tallies: list[dict[str, dict[str, dict[int, int]]]] = [{} for _ in range(run.looks)]
        for metric, differences in enumerate(run.differences):
            for part in range(-1, SLICES):
                inside = mine if part < 0 else mine[run.slices[mine] == part]
                points, counts = np.unique(run.look[inside] * 4001 + np.rint(1000 * differences[inside]).astype(np.int64) + 2000, return_counts=True)
                for code, count in zip(points.tolist(), counts.tolist(), strict=True):
                    by_slice = tallies[code // 4001].setdefault(f"metric-{metric}", {})
                    by_slice.setdefault(ALL if part < 0 else f"slice={part}", {})[code % 4001 - 2000] = 1000 * count
        units = np.bincount(run.look[mine], minlength=run.looks).tolist()
        looks = tuple(Look(look=look, units=units[look], void=0, tallies=tallies[look], sums={}) for look in range(run.looks))
        told.append(ShardStatistics(plan=PLAN, shard=shard, scored=mine.size, of=mine.size, finished=True, looks=looks, gates={}))
    return told


def seconds(start: float) -> float:
    """CPU seconds of this thread since `start`."""
    return time.thread_time() - start


def measure(*, pairs: int, metrics: int) -> tuple[list[Figure], bool]:
    """Measure all three ways; the figures, and whether every order of the shards gave the same bits."""
    size = f"{pairs:,} pairs × {metrics} metrics × {SLICES} slices"
    run = Run.drawn(pairs=pairs, metrics=metrics)
    # The boundaries of a plan are found once and kept.
    fold(Run(differences=run.differences[:1], slices=run.slices, look=run.look, looks=run.looks))
    start = time.thread_time()
    folded = fold(run)
    figures = [Figure(name=f"folded and decided: {size}", value=seconds(start), unit="s", at_most=TARGET_SECONDS * pairs * metrics / (PAIRS * METRICS))]

    start = time.thread_time()
    decision, _ = decide(run.differences[1], run.slices.tolist(), margin=float(MARGIN), alpha=float(RATE), planned=pairs)
    figures.append(Figure(name=f"plain decide: {pairs:,} pairs × {SLICES} slices, one metric", value=seconds(start), unit="s"))
    same = decision == folded[1].decision

    few = pairs // MERGED
    size = f"{few:,} pairs × {metrics} metrics × {SLICES} slices"
    told = shards(Run.drawn(pairs=few, metrics=metrics))
    terms = Terms(
        margins={f"metric-{metric}": MARGIN for metric in range(metrics)}, false_rollback_rate=RATE, false_promotion_rate=RATE, planned=few, sliced=True
    )
    rng = np.random.default_rng(7)
    judgements, added, judged = [], [], []
    for _ in range(ORDERS):
        order = rng.permutation(SHARDS).tolist()
        start = time.thread_time()
        merged = merge([told[place] for place in order], plan=PLAN, of=SHARDS)
        added.append(seconds(start))
        start = time.thread_time()
        # The shortest text that reads back to the same bits.
        judgements.append(repr(judge(merged, terms)))
        judged.append(seconds(start))
    figures.append(Figure(name=f"{SHARDS} shards merged: {size}", value=min(added), unit="s"))
    figures.append(Figure(name=f"judged, with every number that is shown: {size}", value=min(judged), unit="s"))
    return figures, same and len(set(judgements)) == 1


def main() -> int:
    """Measure, print each figure beside its target, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the pairs, a fifth of the metrics; under a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    options = parser.parse_args()
    figures, same = measure(pairs=PAIRS // 10 if options.quick else PAIRS, metrics=METRICS // 5 if options.quick else METRICS)
    for figure in figures:
        print(figure)
    print(f"{ORDERS} orders of {SHARDS} shards: {'the same bits' if same else 'DIFFERENT'}")
    if options.json:
        rows = [{"name": figure.name, "value": figure.value, "unit": figure.unit, "atMost": figure.at_most} for figure in figures]
        options.json.write_text(json.dumps({"figures": rows, "sameBits": same}, indent=1) + "\n", encoding="utf-8")
    return 0 if same and not any(figure.missed for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
