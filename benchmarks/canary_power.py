"""Whether the two promises of canary scoring hold, and what it costs: thousands of simulated releases in each cell, beside the rules of others.

    true mean ≥ −margin, as a whole and in every slice:  P(roll back, at any look) ≤ α
    true mean ≤ −margin, as a whole:                     P(promote, at any look) ≤ α

Each release is given to `sluice.scoring.decide` at once, which stops by itself. Some are also asked about while the answers come in, and with other answers
after the ones that decided: the decision must be the same. A promise counts as broken where even the lower 99 % bound (Clopper–Pearson) of its error rate
is above α; then the exit code is 1. The peers see the same answers, in fewer releases. Seeds are fixed: the same command prints the same figures on any number
of cores.

    python benchmarks/canary_power.py [--quick | --releases N] [--only TEXT] [--json FILE] [--markdown FILE]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.canary.cells import Cell, table
from benchmarks.canary.figures import OURS, Count, Exactly, Figures, markdown
from benchmarks.canary.peers import PEERS, Question, Verdict
from benchmarks.canary.releases import Release, draw
from sluice.scoring import decide

RUNS: Final = 2000
"""Releases of an ordinary cell; those at the margin have a multiple."""
QUICK: Final = 20
"""Releases of an ordinary cell in a quick run."""
OF_PEERS: Final = 10
"""The peers get one of so many releases."""
CHUNK: Final = 100
"""Releases that share a seed; the unit of work of a process."""
POLLED: Final = 1
"""Releases of a chunk that are also asked while answers come in."""
POLLS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Some releases of one cell."""

    cell: int
    chunk: int
    runs: int
    runs_of_peers: int


def ask(cell: Cell, release: Release) -> tuple[Verdict, int]:
    """What the engine says."""
    decision, used = decide(
        release.differences,
        None if release.slices is None else release.slices.tolist(),
        margin=cell.margin,
        alpha=cell.alpha,
        planned=cell.pairs,
        rank=release.rank,
        unit=None if release.unit is None else release.unit.tolist(),
    )
    return Verdict(decision), used


def unsteady(cell: Cell, release: Release, rng: np.random.Generator) -> bool:
    """Tell whether the answer depends on when one asks, or on what comes after the pairs that decided."""
    final = ask(cell, release)
    rows = release.baseline.size
    rank = np.arange(rows) if release.rank is None else release.rank
    for shown in np.unique(rng.integers(1, rows + 1, size=POLLS)).tolist():
        seen = ask(cell, release.first(shown))
        enough = final[0] is not Verdict.INCONCLUSIVE and (rank[:shown] < final[1]).sum() == final[1]
        if (enough or seen[0] is not Verdict.INCONCLUSIVE) and seen != final:
            return True
    if final[0] is Verdict.INCONCLUSIVE:
        return False
    late = rank >= final[1]
    candidate = np.where(late, 1 - release.baseline if rng.random() < 0.5 else release.baseline, release.candidate)  # noqa: PLR2004 - a coin
    other = Release(baseline=release.baseline, candidate=candidate, rank=release.rank, unit=release.unit, slices=release.slices, usual=release.usual)
    return ask(cell, other) != final


def simulate(work: Work) -> tuple[Work, dict[str, Count]]:
    """Draw and decide; counts for each rule."""
    cell = table()[work.cell]
    rng = np.random.default_rng([zlib.crc32(cell.name.encode()), work.chunk])
    question = Question(margin=cell.margin, alpha=cell.alpha, planned=cell.pairs)
    counts = {name: Count() for name in (OURS, *PEERS)}
    ours = counts[OURS]
    for run in range(work.runs):
        release = draw(cell, rng)
        started = time.thread_time()
        ours.add(*ask(cell, release))
        ours.seconds += time.thread_time() - started
        if run < work.runs_of_peers:
            for name, rule in PEERS.items():
                counts[name].add(*rule(release, question))
        if run < POLLED:
            ours.polled += 1
            ours.unsteady += unsteady(cell, release, rng)
    return work, counts


def plan(cells: Iterable[tuple[int, Cell]], *, releases: int) -> Iterator[Work]:
    """Cut the releases of all cells into chunks."""
    for place, cell in cells:
        total = round(releases * cell.runs)
        peers = releases // OF_PEERS
        for chunk, start in enumerate(range(0, total, CHUNK)):
            runs = min(CHUNK, total - start)
            yield Work(cell=place, chunk=chunk, runs=runs, runs_of_peers=max(0, min(CHUNK, peers - start, runs)))


def run(cells: list[tuple[int, Cell]], *, releases: int, processes: int) -> list[Figures]:
    """Simulate all of it, and print each cell when it is complete."""
    work = list(plan(cells, releases=releases))
    waiting = {place: sum(item.cell == place for item in work) for place, _ in cells}
    counts = {place: {name: Count() for name in (OURS, *PEERS)} for place, _ in cells}
    figures = {}
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for item, found in pool.imap_unordered(simulate, work):
            for name, count in found.items():
                counts[item.cell][name].merge(count)
            waiting[item.cell] -= 1
            if not waiting[item.cell]:
                figures[item.cell] = Figures(cell=table()[item.cell], rates={name: count.summary() for name, count in counts[item.cell].items()})
                print(figures[item.cell], flush=True)
    return [figures[place] for place, _ in cells]


def main() -> int:
    """Simulate, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"only {QUICK} releases of an ordinary cell; under a minute")
    parser.add_argument("--releases", type=int, default=RUNS, metavar="N", help=f"releases of an ordinary cell (default: {RUNS})")
    parser.add_argument("--only", default="", metavar="TEXT", help="only cells whose group or name contains TEXT")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the report to FILE (docs/canary-power.md)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, metavar="N", help="processes to simulate in (default: one for each core)")
    parser.add_argument(
        "--from", type=Path, nargs="+", default=[], metavar="FILE", dest="sources", help="read figures from JSON instead of simulating; the last file wins"
    )
    parser.add_argument("--exact", type=Path, metavar="FILE", help="what canary_exact.py --json wrote, for the report")
    options = parser.parse_args()
    cells = [(place, cell) for place, cell in enumerate(table()) if options.only in f"{cell.group} {cell.name}"]
    if options.sources:
        read = [Figures.from_json(cell) for source in options.sources for cell in json.loads(source.read_text(encoding="utf-8"))["cells"]]
        by_name = {figure.cell.name: figure for figure in read}
        figures = [by_name[cell.name] for _, cell in cells if cell.name in by_name]
    else:
        figures = run(cells, releases=QUICK if options.quick else options.releases, processes=options.processes)
    broken = [figure for figure in figures if figure.broken]
    print(f"\n{len(figures)} cells, {sum(figure.ours.runs for figure in figures)} releases, {len(broken)} with a broken promise")
    for figure in broken:
        print(figure)
    if options.json:
        options.json.write_text(json.dumps({"cells": [figure.as_json() for figure in figures]}, indent=1) + "\n", encoding="utf-8")
    if options.markdown:
        exactly = Exactly.from_json(json.loads(options.exact.read_text(encoding="utf-8"))) if options.exact else None
        options.markdown.write_text(markdown(figures, exactly), encoding="utf-8")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
