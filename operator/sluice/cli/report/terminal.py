"""A comparison on a terminal: how far it is, each metric beside its margin, and the race of the evidence. Pure: a run in, something that rich draws out.

It fits 80 columns. What colours say, signs say too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sluice.api.canary import CanaryDecision, CanaryPhase
from sluice.cli.report.numbers import Comparison, Metric
from sluice.cli.report.words import OUTCOMES, SIGNS, consequence, duration, headline, points, progress, remaining, signed, to_decide

NARROW: Final = 116
"""Below so many columns, evidence is drawn without its figure."""
ROWS: Final = 24
"""Metrics and slices that are shown: the most telling."""
_COLOURS: Final = {CanaryDecision.PROMOTE: "cyan", CanaryDecision.ROLL_BACK: "red", CanaryDecision.INCONCLUSIVE: "yellow", CanaryDecision.PENDING: "bold"}
_NICE: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def view(comparison: Comparison, *, now: datetime, width: int, trouble: str = "") -> RenderableType:
    """Draw everything; `trouble` says why nothing new is heard."""
    inputs = comparison.inputs
    title = Text.assemble((inputs.candidate.name, "bold"), " against ", (inputs.baseline.name, "bold"), f"   {inputs.run}", overflow="fold")
    parts: list[RenderableType] = [title, _bar(comparison, now=now, width=width)]
    if comparison.metrics:
        parts += [Text(), *_metrics(comparison, width=width)]
    if comparison.gates:
        parts += [Text(), _gates(comparison)]
    parts += [Text(f"! {side}", style="yellow") for side in comparison.missing]
    parts.append(Text())
    colour = _COLOURS[comparison.decision]
    parts.append(Text.assemble((f"{SIGNS[comparison.decision]} ", colour), (headline(comparison), colour if comparison.is_decided else "")))
    if comparison.is_decided:
        parts.append(Text(f"  {consequence(comparison)}", style="dim"))
    if trouble:
        parts.append(Text(f"! {trouble}", style="yellow"))
    return Group(*parts)


def line(comparison: Comparison) -> str:
    """One line for a pipe: when something changes, it is said, and nothing is moved."""
    telling = next(iter(comparison.metrics), None)
    shown = "" if telling is None else f"  {telling.title} {signed(telling.estimate)} [{signed(telling.low)}, {signed(telling.high)}] points"
    # During a live share the numbers stand still, and the message has the stage.
    told = comparison.message if not comparison.metrics or comparison.phase is CanaryPhase.EXPOSING else ""
    return f"{comparison.phase}  {progress(comparison)}{shown}{'  ' + told if told else ''}"


def interval_bar(metric: Metric, *, reach: float, cells: int) -> str:
    """Draw the interval of a metric between −reach and +reach: `━` the interval, `●` the estimate, `┃` the margin, `┊` no difference."""

    def cell(difference: float) -> int:
        return round((max(-reach, min(reach, difference)) + reach) / (2 * reach) * (cells - 1))

    low, high = cell(metric.low), cell(metric.high)
    drawn = ["━" if low <= place <= high else "·" for place in range(cells)]
    if metric.low < -reach:
        drawn[0] = "◂"
    if metric.high > reach:
        drawn[-1] = "▸"
    drawn[cell(0)] = "┊"
    drawn[cell(-metric.margin)] = "┃"
    drawn[cell(metric.estimate)] = "●"
    return "".join(drawn)


def race_bar(evidence: float, decides: float, cells: int) -> str:
    """Draw evidence on its way to where it decides, on a logarithmic scale: at 1 it says nothing yet."""
    share = 1.0 if evidence >= decides else max(0.0, math.log(max(evidence, 1.0)) / math.log(decides))
    full = cells if share >= 1 else min(cells - 1, round(share * cells))
    return "█" * full + "░" * (cells - full)


def reach_of(metrics: Sequence[Metric]) -> float:
    """How far the scale has to go: for twice each margin, each estimate, and the intervals over all cases."""
    asked = [max(2 * metric.margin, abs(metric.estimate)) for metric in metrics] + [
        max(abs(metric.low), abs(metric.high)) for metric in metrics if metric.is_pool
    ]
    return next((nice for nice in _NICE if nice >= max(asked, default=0.01)), 1.0)


def _bar(comparison: Comparison, *, now: datetime, width: int) -> Text:
    shown: list[str] = [f"{progress(comparison)}"]
    left = remaining(comparison, now)
    if left is not None:
        shown.append(f"at most {duration(left)} more")
    if comparison.started_at is not None:
        shown.append(f"{duration((comparison.decided_at or now) - comparison.started_at)} so far" if not comparison.is_decided else "")
    told = ", ".join(part for part in shown if part)
    phase = str(comparison.phase) if comparison.phase is not CanaryPhase.DECIDED else OUTCOMES[comparison.decision]
    cells = max(10, min(40, width - len(told) - len(phase) - 6))
    share = min(1.0, comparison.units / comparison.planned) if comparison.planned else 0.0
    full = int(share * cells)
    return Text.assemble((f"{phase}  ", _COLOURS[comparison.decision]), ("█" * full, "cyan"), ("░" * (cells - full), "dim"), f"  {told}")


def _metrics(comparison: Comparison, *, width: int) -> list[RenderableType]:
    narrow = width < NARROW
    shown = comparison.grouped[:ROWS]
    reach = reach_of(shown)
    # 80 columns: 18 for the name, 6, 19, two races of 8 and 9, 9 to decide, and a blank after each.
    cells, race = (19, 8) if narrow else (min(61, width - 91), 8)
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("metric · slice", overflow="fold", min_width=14)
    table.add_column("points", justify="right", no_wrap=True)
    table.add_column(_scale(reach, cells), no_wrap=True, width=cells)
    table.add_column("promote" if narrow else "evidence to promote", no_wrap=True)
    table.add_column("roll back" if narrow else "evidence to roll back", no_wrap=True)
    table.add_column("to decide", justify="right", no_wrap=True)
    for metric in shown:
        style = "red" if metric.is_worse else "cyan" if metric.is_within else ""
        name = Text(metric.name if metric.is_pool else f"  {metric.slice}", style="bold" if metric.is_pool else "")
        table.add_row(
            name,
            signed(metric.estimate),
            Text(interval_bar(metric, reach=reach, cells=cells), style=style),
            _race(metric.promote, metric.promote_at, race, narrow=narrow, colour="cyan") if metric.is_pool else Text("–", style="dim"),
            _race(metric.roll_back, metric.roll_back_at, race, narrow=narrow, colour="red"),
            to_decide(metric),
        )
    key = f"● measured  ━ where the truth is  ┊ as the baseline  ┃ allowed (−{' −'.join(sorted({points(metric.margin) for metric in shown}))})"
    parts: list[RenderableType] = [table, Text(key, style="dim")]
    if len(comparison.metrics) > len(shown):
        parts.append(Text(f"and {len(comparison.metrics) - len(shown)} more, less telling; -o json has all", style="dim"))
    return parts


def _scale(reach: float, cells: int) -> Text:
    left, right = f"−{points(reach)} worse", f"better +{points(reach)}"
    if len(left) + len(right) + 1 > cells:
        right = f"+{points(reach)}"
    return Text(left + " " * (cells - len(left) - len(right)) + right)


def _race(evidence: float, decides: float, cells: int, *, narrow: bool, colour: str) -> Text:
    drawn = Text(race_bar(evidence, decides, cells), style=colour)
    if not narrow:
        drawn.append(f" {evidence:.2g} of {decides:.3g}", style="")
    return drawn


def _gates(comparison: Comparison) -> Text:
    shown = Text("gates  ")
    for name, hits in comparison.gates.items():
        shown.append(f"{'✗' if hits else '✓'} {name} {hits:,} hit{'' if hits == 1 else 's'}   ", style="red" if hits else "cyan")
    return shown
