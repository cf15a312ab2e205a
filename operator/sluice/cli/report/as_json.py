"""A comparison as JSON, all numbers of it. `docs/canary-report.schema.json` says what is in it; a test holds one against the other."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sluice.cli.report.detail import Detail, Point
from sluice.cli.report.numbers import Compared, Comparison, Metric
from sluice.scoring.classes import ClassFigures, macro_f1
from sluice.scoring.quality import Quality

VERSION: Final = 1
"""Of the form. Members may be added; what is there keeps its meaning, or this changes."""
_DIGITS: Final = 6


def numbers(comparison: Comparison, detail: Detail | None = None) -> dict[str, Any]:
    """Give everything. `detail` is what only the statistics know; without it, null."""
    inputs = comparison.inputs
    return {
        "version": VERSION,
        "run": inputs.run,
        "candidate": _compared(inputs.candidate),
        "baseline": _compared(inputs.baseline),
        "suite": _compared(inputs.suite),
        "recording": None if inputs.recording is None else _compared(inputs.recording),
        "policy": inputs.policy,
        "seed": inputs.seed,
        "shards": inputs.shards,
        "falseRollbackRate": inputs.false_rollback_rate,
        "falsePromotionRate": inputs.false_promotion_rate,
        "minDuration": inputs.min_duration,
        "phase": str(comparison.phase),
        "decision": str(comparison.decision),
        "reason": comparison.reason,
        "message": comparison.message,
        "units": comparison.units,
        "planned": comparison.planned,
        "startedAt": _time(comparison.started_at),
        "decidedAt": _time(comparison.decided_at),
        "metrics": [_metric(metric) for metric in comparison.metrics],
        "gates": [{"name": name, "hits": hits} for name, hits in comparison.gates.items()],
        "missingAnswers": [{"side": each.side, "asked": each.asked, "missing": each.missing, "first": each.first} for each in comparison.missing],
        "liveShare": comparison.live_share or None,
        "samples": [{"uri": sample.name, "digest": sample.digest} for sample in comparison.samples],
        "detail": None if detail is None else _detail(detail),
    }


def _compared(compared: Compared) -> dict[str, str | None]:
    return {"name": compared.name, "digest": compared.digest}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _metric(metric: Metric) -> dict[str, Any]:
    return {
        "name": metric.name,
        "slice": metric.slice,
        "pairs": metric.pairs,
        "margin": metric.margin,
        "estimate": round(metric.estimate, _DIGITS),
        "interval": [round(metric.low, _DIGITS), round(metric.high, _DIGITS)],
        "evidence": {"promote": metric.promote, "promoteAt": metric.promote_at, "rollBack": metric.roll_back, "rollBackAt": metric.roll_back_at},
        "towards": None if metric.towards is None else str(metric.towards),
        "pairsToDecide": metric.more,
    }


def _detail(detail: Detail) -> dict[str, Any]:
    return {
        "plan": detail.plan,
        "void": detail.void,
        "sides": {side: dict(sorted(counts.items())) for side, counts in detail.sides.items()},
        "noise": [{"name": noise.metric, "units": noise.units, "difference": round(noise.difference, _DIGITS)} for noise in detail.noise],
        "scorers": [_quality(quality) for quality in detail.qualities],
        "classes": [
            {"name": metric, "side": side, "macroF1": _rounded(macro_f1(figures)), "labels": [_class(each) for each in figures]}
            for metric, sides in detail.classes.items()
            for side, figures in sides.items()
        ],
        "latencies": list(detail.latencies),
        "paths": [{"name": path.metric, "slice": path.slice, "points": [_point(point) for point in path.points]} for path in detail.paths],
        "differences": [
            {"name": spread.metric, "slice": spread.slice, "thousandths": {str(at): weight for at, weight in sorted(spread.tally.items())}}
            for spread in detail.differences
        ],
    }


def _quality(quality: Quality) -> dict[str, Any]:
    return {
        "name": quality.metric,
        "units": quality.units,
        "lost": _rounded(quality.lost),
        "contradicts": _rounded(quality.contradicts),
        "known": quality.known,
        "right": _rounded(quality.right),
    }


def _class(figures: ClassFigures) -> dict[str, Any]:
    return {
        "label": figures.label,
        "expected": figures.expected,
        "precision": _rounded(figures.precision),
        "recall": _rounded(figures.recall),
        "f1": _rounded(figures.f1),
    }


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, _DIGITS)


def _point(point: Point) -> dict[str, Any]:
    return {
        "units": point.units,
        "pairs": point.pairs,
        "estimate": round(point.estimate, _DIGITS),
        "interval": [round(point.low, _DIGITS), round(point.high, _DIGITS)],
    }
