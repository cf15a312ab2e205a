"""`sluice canary …`: plan a comparison, watch one, report on one, repeat one."""

from __future__ import annotations

import re
from dataclasses import asdict
from math import ceil, isfinite
from typing import TYPE_CHECKING, Any, Final

import click

from sluice.cli.answers import as_text
from sluice.cli.canary_report import report
from sluice.cli.canary_verify import verify
from sluice.cli.canary_watch import watch

if TYPE_CHECKING:
    from sluice.scoring.statistics.power import Power, Setting

_SLICES: Final = 255
_TABLE_WIDTH: Final = 120


@click.group()
def canary() -> None:
    """Compare a candidate with its baseline before users meet it.

    \b
    Before:     sluice canary plan --margin 0.02 --planned 3000
    Meanwhile:  sluice canary watch mr/churn-2-1-0 -n payments
    After:      sluice canary report mr/churn-2-1-0 -n payments -o report.html
    Audit:      sluice canary verify run.yaml --suite suite.yaml --cases cases.jsonl --samples samples.jsonl
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph


canary.add_command(report)
canary.add_command(verify)
canary.add_command(watch)


def _shares(_context: click.Context, _parameter: click.Parameter, value: str) -> list[float]:
    try:
        return [float(part) for part in value.split(",")]
    except ValueError:
        raise click.BadParameter(f"{value!r}; write numbers with commas between, such as 0,0.02,0.05") from None


def _pace(_context: click.Context, _parameter: click.Parameter, value: float | None) -> float | None:
    # A range of floats has room for NaN.
    if value is not None and not isfinite(value):
        raise click.BadParameter(f"{value}; write how many units are scored in a second, such as 4")
    return value


def _sizes(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[float, ...]:
    """Read `20` for as many slices of one size, and `500,300,20` for three of these."""
    try:
        sizes = tuple(float(part) for part in value.split(","))
        count = int(value) if len(sizes) == 1 else len(sizes)
    except ValueError:
        raise click.BadParameter(f"{value!r}; write how many slices there are, such as 20, or their sizes, such as 500,300,20") from None
    if not 0 <= count <= _SLICES:
        raise click.BadParameter(f"{count} slices; write 0 to {_SLICES}: more are not told apart")
    return sizes if len(sizes) > 1 else (1.0,) * count


def _seconds(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float:
    from sluice.api.durations import parse_duration  # noqa: PLC0415 - see the package

    if value is not None and not re.fullmatch(r"([0-9]{1,5}[dhms])+", value):
        raise click.BadParameter(f"{value!r}; write a time as policies do, such as 10m or 1h30m")
    return parse_duration(value or "").total_seconds()


def _told_apart(sizes: tuple[float, ...]) -> list[int]:
    """The slices that a drop is tried in: the largest, one in the middle and the smallest, each size once."""
    order = sorted(range(len(sizes)), key=lambda slice_: -sizes[slice_])
    return list({sizes[slice_]: slice_ for slice_ in reversed([order[0], order[len(order) // 2], order[-1]])}.values())[::-1] if order else []


@canary.command()
@click.option("--margin", type=float, default=0.02, show_default=True, help="How much worse the candidate's mean may be; scores are in [0, 1].")
@click.option("--alpha", type=float, default=0.05, show_default=True, help="Rate of false rollbacks, and of false promotions, over all looks.")
@click.option("--planned", type=click.IntRange(1, 1_000_000), default=3000, show_default=True, help="Units (cases) after which the comparison ends.")
@click.option("--churn", type=float, default=0.09, show_default=True, help="Share of cases on which exactly one of the two is right.")
@click.option("--drops", callback=_shares, default="0,0.02,0.05,0.10,0.20", show_default=True, help="True drops to simulate.")
@click.option("--slices", callback=_sizes, default="0", show_default=True, help="Slices: how many of equal size, or their sizes, such as 500,300,20.")
@click.option(
    "--per-second", type=click.FloatRange(min=0, min_open=True), callback=_pace, help="Units scored in a second, all shards together: shows times, too."
)
@click.option("--min-duration", callback=_seconds, help="Nothing is promoted before that time, such as 10m; goes with --per-second.")
@click.option("--simulations", type=click.IntRange(20, 100_000), default=400, show_default=True, help="Simulated runs for each drop.")
@click.option("-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True, help="How to print the result.")
def plan(**flags: Any) -> None:  # noqa: ANN401 - click's options
    """Say how many units find which drop, how surely, and how long that takes.

    Nothing is asked and no cluster is needed: the engine that decides is run on simulated answers.

    \b
    A margin of two points, at most 3,000 cases, four scored in a second:
      sluice canary plan --margin 0.02 --planned 3000 --per-second 4
    Twenty slices; is the suite large enough to see one that is ruined?
      sluice canary plan --planned 5000 --slices 20 --drops 0,0.05,0.20
    Slices as large as the regions are; which of them would be seen?
      sluice canary plan --planned 2000 --slices 1500,400,100 --drops 0.1,0.3
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    from rich.console import Console  # noqa: PLC0415 - see the package
    from rich.progress import Progress  # noqa: PLC0415

    from sluice.scoring.statistics.power import Setting, power  # noqa: PLC0415

    least: float = flags["min_duration"]
    if least and not flags["per_second"]:
        raise click.UsageError("--min-duration goes with --per-second: how many units are in by then, nothing else tells")
    asked = [(drop, only) for only in (None, *_told_apart(flags["slices"])) for drop in flags["drops"] if drop or only is None]
    found = []
    try:
        setting = Setting(
            margin=flags["margin"], alpha=flags["alpha"], planned=flags["planned"], churn=flags["churn"], slices=flags["slices"],
            promotes_after=ceil(least * (flags["per_second"] or 0)),
        )  # fmt: skip
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("simulating", total=len(asked))
            for drop, only in asked:
                found.append(power(setting, drop=drop, only=only, simulations=flags["simulations"]))
                progress.advance(task)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if flags["output"] == "table":
        _print(found, flags["planned"], flags["per_second"], least)
        return
    data = {"setting": _members(setting), "simulations": flags["simulations"], "drops": [_members(row) for row in found]}
    click.echo(as_text(data, flags["output"]))


def _members(of: Setting | Power) -> dict[str, Any]:
    """Name them as the members of resources are named."""
    from pydantic.alias_generators import to_camel  # noqa: PLC0415 - see the package

    return {to_camel(name): list(value) if isinstance(value, tuple) else value for name, value in asdict(of).items()}


def _print(found: list[Power], planned: int, per_second: float | None, least: float) -> None:
    from rich.console import Console  # noqa: PLC0415 - see the package
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    for heading in ("TRUE DROP", "PROMOTED", "ROLLED BACK", "INCONCLUSIVE", "UNITS (MEDIAN)", "UNITS (9 IN 10)", *(["TIME (9 IN 10)"] if per_second else [])):
        table.add_column(heading, justify="left" if heading == "TRUE DROP" else "right", no_wrap=True)
    for row in found:
        name = f"{row.drop:g}" if row.share is None else f"{row.drop:g} in a slice of {row.share:.1%}"
        cells = [f"{share:.1%}" for share in (row.promoted, row.rolled_back, row.inconclusive)]
        cells += [str(units) if units is not None else f"over {planned}" for units in (row.median, row.nine_in_ten)]
        if per_second:
            # With all units in before a promotion may fall, it waits; what is not decided by then never is.
            cells.append(_time(max((row.nine_in_ten or planned) / per_second, least if row.nine_in_ten == planned else 0)))
        table.add_row(name, *cells)
    # As wide as it is: a terminal breaks a long line better than a table breaks its words.
    Console(width=_TABLE_WIDTH, markup=False, highlight=False, emoji=False).print(table)


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
