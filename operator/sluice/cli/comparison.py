"""One comparison, as `sluice score --once` prints it and keeps it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from sluice.scoring import wire
from sluice.scoring.classes import quantities
from sluice.scoring.judgement import Judgement, Standing
from sluice.scoring.plan import Plan
from sluice.scoring.quality import qualities_of
from sluice.scoring.tally import ALL, NOISE, SIDES, Merged, ShardStatistics, add


def as_json(merged: Merged, judgement: Judgement, standings: Sequence[Standing]) -> str:
    """Everything, for programs."""
    told = {
        "decision": str(judgement.decision),
        "reason": judgement.reason,
        "message": judgement.message,
        "units": judgement.units,
        "void": sum(look.void for look in merged.looks),
        "metrics": [
            {
                "name": standing.metric,
                "slice": standing.slice,
                "units": standing.units,
                "estimate": round(standing.estimate, 6),
                "interval": [round(standing.low, 6), round(standing.high, 6)],
                "noise": _noise(merged, standing.metric),
                "evidence": {"promote": standing.promote, "rollBack": standing.roll_back},
                "unitsToDecide": standing.more,
            }
            for standing in standings
        ],
        "gates": dict(merged.gates),
        "scorers": _qualities(merged, standings),
        "sums": _sums(merged),
        "why": dict(merged.why),
        "samples": [{"digest": samples.digest, "uri": samples.uri} for samples in merged.samples],
    }
    return json.dumps(told, indent=2, ensure_ascii=False) + "\n"


def as_table(merged: Merged, judgement: Judgement, standings: Sequence[Standing]) -> str:
    """What a person wants to see, the decision last."""
    table = Table(box=None, pad_edge=False)
    for name in ("METRIC", "SLICE", "UNITS", "DIFFERENCE", "INTERVAL", "NOISE", "TOWARDS"):
        table.add_column(name, justify="left" if name in {"METRIC", "SLICE", "TOWARDS"} else "right")
    for standing in sorted(standings, key=lambda each: (each.metric, each.slice != ALL, each.slice)):
        noise = _noise(merged, standing.metric)
        interval = f"{standing.low:+.3f} … {standing.high:+.3f}"
        shown = "" if noise is None else f"{noise:.3f}"
        table.add_row(standing.metric, standing.slice, str(standing.units), f"{standing.estimate:+.4f}", interval, shown, str(standing.towards or ""))
    # Slices are named by whoever wrote the cases: no markup is read from them.
    console = Console(width=120, markup=False, highlight=False, emoji=False)
    with console.capture() as captured:
        console.print(table)
        for side, sums in _sums(merged).items():
            console.print(f"{side}: " + ", ".join(f"{name} {count:,}" for name, count in sorted(sums.items())))
            if side in merged.why:
                # As wide as it is: what people search for and programs read is one line.
                console.print(f"{side}: the first without an answer: {merged.why[side]}", soft_wrap=True)
        for scorer in _qualities(merged, standings):
            told = f"silent about {_share(scorer['lost'])}, contradicts itself on {_share(scorer['contradicts'])}"
            console.print(f"scorer {scorer['name']}: {told}, right on {_share(scorer['right'])} of {scorer['known']:,} known cases")
        for name, hits in sorted(merged.gates.items()):
            console.print(f"gate {name}: {hits} answers")
        console.print(f"{judgement.decision} ({judgement.reason}) after {judgement.units:,} units: {judgement.message}", soft_wrap=True)
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def keep(folder: Path, plan: Plan, merged: Merged) -> None:
    """Write what a report reads: `plan.json`, and the statistics of the only shard as `statistics.json`. Raises OSError."""
    statistics = ShardStatistics(
        plan=plan.digest,
        shard=0,
        scored=merged.scored,
        of=merged.of,
        finished=merged.finished,
        looks=merged.looks,
        gates=merged.gates,
        samples=merged.samples[0] if merged.samples else None,
        why=merged.why,
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.json").write_bytes(plan.as_json())
    (folder / "statistics.json").write_bytes(wire.as_json(statistics, map(wire.look_as_json, merged.looks)))


def _noise(merged: Merged, metric: str) -> float | None:
    """How far the baseline is from itself: the mean absolute difference of the units that asked it twice."""
    tally = add({str(point): weight for point, weight in look.tallies.get(NOISE + metric, {}).get(ALL, {}).items()} for look in merged.looks)
    weight = sum(tally.values())
    return sum(abs(int(point)) * units for point, units in tally.items()) / (1000 * weight) if weight else None


def _sums(merged: Merged) -> dict[str, dict[str, int]]:
    return {side: quantities(add(look.sums.get(side, {}) for look in merged.looks)) for side in SIDES}


def _qualities(merged: Merged, standings: Sequence[Standing]) -> list[dict[str, object]]:
    metrics = sorted({standing.metric for standing in standings})
    return [
        {"name": each.metric, "units": each.units, "lost": each.lost, "contradicts": each.contradicts, "known": each.known, "right": each.right}
        for each in qualities_of(merged.looks, metrics)
    ]


def _share(share: object) -> str:
    return f"{share:.1%}" if isinstance(share, float) else "–"
