"""Drawings of a comparison, as SVG that stands inside a page. The only place that needs matplotlib.

The same numbers give the same bytes: ids come from a fixed salt, and nothing is dated. Colours are CSS variables of the page, so that it can be dark; every
colour has a shape or a hatching beside it. Text stays text: it can be searched, read aloud, and is drawn in the reader's font.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from io import StringIO
from itertools import groupby
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from sluice.cli.report.detail import Path, Spread
from sluice.cli.report.numbers import Comparison, Metric
from sluice.cli.report.words import signed, verdict

ROWS: Final = 40
"""Metrics and slices that are drawn; the table beside the drawing has all."""

# Colours that stand for variables of the page; nothing else in a drawing has them.
_INK, _FAINT, _WORSE, _BETTER, _BAND, _PAPER = "#010203", "#010204", "#010205", "#010206", "#010207", "#010208"
_VARIABLES: Final = {
    _INK: "var(--ink)", _FAINT: "var(--faint)", _WORSE: "var(--worse)", _BETTER: "var(--better)", _BAND: "var(--band)", _PAPER: "var(--paper)",
}  # fmt: skip
_FONT: Final = "DejaVu Sans"
"""Comes with matplotlib; text is measured with it."""
_SETTINGS: Final[dict[Any, Any]] = {
    "svg.hashsalt": "sluice",
    "svg.fonttype": "none",
    # Names are names: `$x$` is no formula.
    "text.parse_math": False,
    "font.family": _FONT,
    "font.size": 9.0,
    "text.color": _INK,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "axes.unicode_minus": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "hatch.linewidth": 0.6,
}
_TAG: Final = re.compile(r"<[^<>]*>")
_STYLE: Final = re.compile(r"<style[^<]*</style>")
_NO_METADATA: Final[Mapping[str, str | None]] = dict.fromkeys(("Date", "Creator", "Format", "Type"))
_WIDTH: Final = 8.2
"""Inches; the page scales it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """An SVG element, with a title and a description for those who do not see it."""

    svg: str


def forest(comparison: Comparison) -> Drawing:
    """Every metric and slice: where the true difference is, beside what is allowed."""
    rows = comparison.grouped[:ROWS]
    with _figure(height=1.0 + 0.3 * len(rows)) as figure:
        axes = figure.add_subplot()
        _forest_rows(axes, rows)
        svg = _svg(figure)
    told = "; ".join(f"{row.title}: {signed(row.estimate)} points, between {signed(row.low)} and {signed(row.high)}, {verdict(row)}" for row in rows)
    return _drawing("forest", svg, "Difference to the baseline for every metric and slice", told)


def paths(found: Sequence[Path]) -> Drawing:
    """How the estimate of each metric went, and how sure it was, over the cases."""
    with _figure(height=0.6 + 1.6 * len(found)) as figure:
        for axes, path in zip(figure.subplots(len(found), 1, sharex=True, squeeze=False)[:, 0], found, strict=True):
            _path(axes, path)
        axes.set_xlabel("cases scored")
        svg = _svg(figure)
    told = "; ".join(
        f"{_title(path.metric, path.slice)}: from {signed(path.points[0].estimate)} points after {path.points[0].units} cases to"
        f" {signed(path.points[-1].estimate)} after {path.points[-1].units}"
        for path in found
        if path.points
    )
    return _drawing("paths", svg, "Estimate and interval over the cases", told)


def spreads(found: Sequence[Spread]) -> Drawing:
    """How the differences of single cases are spread."""
    with _figure(height=0.6 + 1.3 * len(found)) as figure:
        for axes, spread in zip(figure.subplots(len(found), 1, sharex=True, squeeze=False)[:, 0], found, strict=True):
            _spread(axes, spread)
        axes.set_xlabel("← candidate did worse · difference of a case in points · candidate did better →")
        svg = _svg(figure)
    told = "; ".join(f"{_title(spread.metric, spread.slice)}: {_shares(spread)}" for spread in found)
    return _drawing("spreads", svg, "Differences of single cases", told)


def _forest_rows(axes: Axes, rows: Sequence[Metric]) -> None:
    reach = max(
        [0.01, *(2.2 * row.margin for row in rows), *(1.1 * abs(row.estimate) for row in rows), *(_beyond(row) for row in rows if row.is_pool or row.is_worse)]
    )
    reach = min(1.0, reach)
    at = 0
    for _, group in groupby(rows, key=lambda row: row.name):
        members = list(group)
        margin, bottom = members[0].margin, at + len(members)
        axes.fill_betweenx([at - 0.5, bottom - 0.5], -reach, -margin, facecolor=_WORSE, linewidth=0, alpha=0.14)
        axes.plot([-margin, -margin], [at - 0.5, bottom - 0.5], color=_WORSE, linewidth=1.4, linestyle=(0, (4, 2)))
        for row in members:
            colour = _WORSE if row.is_worse else _BETTER if row.is_within and row.is_pool else _INK
            marker = "X" if row.is_worse else "o" if row.is_within and row.is_pool else "D"
            axes.plot([max(-reach, row.low), min(reach, row.high)], [at, at], color=colour, linewidth=2.2, solid_capstyle="butt")
            axes.plot(
                [row.estimate],
                [at],
                marker=marker,
                color=colour,
                markersize=9 if row.is_worse else 7.5,
                markeredgecolor=_PAPER,
                markeredgewidth=0.8,
                linestyle="none",
            )
            at += 1
    axes.axvline(0, color=_INK, linewidth=0.8)
    axes.set_xlim(-reach, reach)
    axes.set_ylim(at - 0.5, -0.5)
    axes.annotate("as much worse as is allowed ", (-rows[0].margin, -0.5), xytext=(0, 3), textcoords="offset points", ha="right", color=_WORSE)
    axes.annotate(" as good as the baseline", (0, -0.5), xytext=(0, 3), textcoords="offset points", ha="left")
    axes.set_yticks(range(at), [row.name if row.is_pool else f"{_short(row.slice)}  " for row in rows])
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if row.is_pool else "normal")
    axes.tick_params(left=False)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: signed(value)))
    axes.set_xlabel("← candidate is worse · difference in points · candidate is better →")


def _path(axes: Axes, path: Path) -> None:
    units = [point.units for point in path.points]
    axes.fill_between(units, [point.low for point in path.points], [point.high for point in path.points], color=_BAND, alpha=0.6, linewidth=0)
    axes.plot(units, [point.estimate for point in path.points], color=_BETTER, linewidth=1.6, marker="o", markersize=2.5)
    axes.axhline(0, color=_INK, linewidth=0.8)
    axes.axhline(-path.margin, color=_WORSE, linewidth=1.4, linestyle=(0, (4, 2)))
    late = path.points[len(path.points) // 3 :] or path.points
    reach = min(1.0, max([2.5 * path.margin, 0.01, *(max(abs(point.low), abs(point.high)) * 1.1 for point in late)]))
    axes.set_ylim(-reach, reach)
    axes.set_title(_title(path.metric, path.slice), loc="left", fontsize=9, fontweight="bold")
    axes.set_ylabel("points")
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: signed(value)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _spread(axes: Axes, spread: Spread) -> None:
    bins: dict[int, int] = {}
    for at, weight in spread.tally.items():
        # Steps of 5 points; only what is no difference at all is in the middle.
        step = 0 if at == 0 else (1 if at > 0 else -1) * max(1, round(abs(at) / 50))
        bins[step] = bins.get(step, 0) + weight
    total = sum(bins.values()) or 1
    for step, weight in sorted(bins.items()):
        colour, hatch = (_WORSE, "////") if step < 0 else (_BETTER, "\\\\\\\\") if step > 0 else (_FAINT, "")
        axes.bar(step * 0.05, 100 * weight / total, width=0.045, color=colour, alpha=0.75, hatch=hatch, edgecolor=_INK, linewidth=0.4)
    axes.set_xlim(-1.06, 1.06)
    axes.set_ylim(0, 105)
    axes.set_ylabel("% of cases")
    axes.set_title(_title(spread.metric, spread.slice), loc="left", fontsize=9, fontweight="bold")
    axes.set_title(_shares(spread), loc="right", fontsize=9)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: signed(value)))


def _shares(spread: Spread) -> str:
    total = sum(spread.tally.values()) or 1
    worse = sum(weight for at, weight in spread.tally.items() if at < 0)
    better = sum(weight for at, weight in spread.tally.items() if at > 0)
    return f"worse {worse / total:.1%}, same {(total - worse - better) / total:.1%}, better {better / total:.1%}"


def _beyond(row: Metric) -> float:
    return 1.05 * max(abs(row.low), abs(row.high))


def _title(metric: str, name: str) -> str:
    return metric if name == "all" else f"{metric} on {_short(name)}"


def _short(name: str, limit: int = 40) -> str:
    return name if len(name) <= limit else f"{name[: limit - 1]}…"


@contextmanager
def _figure(*, height: float) -> Iterator[Figure]:
    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():
        # The reader's fonts have what the one that we measure with has not.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font", category=UserWarning)
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        FigureCanvasSVG(figure)
        yield figure


def _svg(figure: Figure) -> str:
    written = StringIO()
    figure.savefig(written, format="svg", transparent=True, metadata=_NO_METADATA)
    return written.getvalue()


def _drawing(name: str, svg: str, title: str, description: str) -> Drawing:
    """Make an element of a page of a file: no prolog, ids of its own, colours of the page. In tags only: what they hold is text of others."""

    def tag(found: re.Match[str]) -> str:
        text = found.group()
        for colour, variable in _VARIABLES.items():
            text = text.replace(colour, variable)
        return re.sub(r'\b(id="|url\(#|href="#)', rf"\g<1>{name}-", text.replace(f"'{_FONT}'", "inherit"))

    # Its style is for all elements of a page: the page has it once.
    body = _TAG.sub(tag, _STYLE.sub("", svg[svg.index("<svg") :]))
    start, end = body.index(">"), body.rindex("</svg>")
    box = re.search(r'viewBox="[0-9. -]+"', body[:start])
    if box is None:
        raise ValueError("matplotlib wrote an SVG without a viewBox")
    head = f'<svg {box.group()} role="img" aria-labelledby="{name}-title {name}-description">'
    told = f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-description">{escape(description)}</desc>'
    return Drawing(svg=f"{head}{told}{body[start + 1 : end]}</svg>")
