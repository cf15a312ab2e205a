"""What a comparison says, in words that need no manual. Pure; no markup.

A score lies between 0 and 1; a difference of 0.02 is said as 2 points. For yes-or-no scores that is two more wrong answers in a hundred.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sluice.api.canary import CanaryDecision, CanaryPhase
from sluice.api.durations import parse_duration
from sluice.cli.report.numbers import Comparison, Metric

OUTCOMES: Final = {
    CanaryDecision.PROMOTE: "Promoted",
    CanaryDecision.ROLL_BACK: "Rolled back",
    CanaryDecision.INCONCLUSIVE: "No decision",
    CanaryDecision.PENDING: "Not decided yet",
}
SIGNS: Final = {CanaryDecision.PROMOTE: "✓", CanaryDecision.ROLL_BACK: "✗", CanaryDecision.INCONCLUSIVE: "?", CanaryDecision.PENDING: "…"}
"""Beside every colour, for those who do not see it."""
_MANY: Final = 100_000
"""More cases than anybody plans."""
_BY_METRIC: Final = frozenset({"WorseThanMargin", "GateHit", "WithinMargin", "AllScored"})


def points(difference: float) -> str:
    """The size of a difference: 0.045 → `4.5`."""
    return f"{abs(difference) * 100:.1f}".removesuffix(".0")


def signed(difference: float) -> str:
    """A difference with its sign: −0.045 → `−4.5`."""
    size = points(difference)
    return size if size == "0" else f"{'−' if difference < 0 else '+'}{size}"


def _unit(text: str) -> str:
    return "point" if text == "1" else "points"


def between(low: float, high: float) -> str:
    """An interval of differences: `4 to 11 points worse`, `between 1 point worse and 3 points better`."""
    near, far = points(high), points(low)
    if high < 0:
        return f"{far} {_unit(far)} worse" if near == far else f"{near} to {far} points worse"
    if low > 0:
        return f"{near} {_unit(near)} better" if near == far else f"{far} to {near} points better"
    return f"between {far} {_unit(far)} worse and {near} {_unit(near)} better"


def rate(share: float) -> str:
    """An error rate: 0.05 → `5 in 100`, 0.001 → `1 in 1,000`."""
    scale = 100
    while share * scale < 1 and scale < 1_000_000:  # noqa: PLR2004 - as small as a declared rate can be
        scale *= 10
    return f"{share * scale:g} in {scale:,}"


def duration(span: timedelta) -> str:
    """A time in its two largest units: `2 min 5 s`."""
    seconds = max(0, round(span.total_seconds()))
    parts = [(seconds // 86400, "d"), (seconds // 3600 % 24, "h"), (seconds // 60 % 60, "min"), (seconds % 60, "s")]
    shown = [f"{number} {unit}" for number, unit in parts if number]
    return " ".join(shown[:2]) or "0 s"


def progress(comparison: Comparison) -> str:
    """`312 of 3,000 cases`, or `all 3,000 cases`."""
    if comparison.units >= comparison.planned > 0:
        return f"all {comparison.planned:,} cases"
    return f"{comparison.units:,} of {comparison.planned:,} cases"


def headline(comparison: Comparison) -> str:
    """Say in one sentence what came out and why."""
    outcome, after = OUTCOMES[comparison.decision], f"after {progress(comparison)}"
    if comparison.decision is CanaryDecision.PENDING:
        return _pending(comparison)
    hits = {name: count for name, count in comparison.gates.items() if count}
    if comparison.reason == "GateHit" and hits:
        told = " and ".join(f"{name} was hit by {count:,} answer{'' if count == 1 else 's'} of the candidate" for name, count in hits.items())
        return f"{outcome} {after}: {told}, and a single hit is enough."
    if comparison.reason not in _BY_METRIC:
        return f"{outcome} {after}: {_sentence(comparison.message)}"
    worst, closest = comparison.worst, _closest(comparison)
    if comparison.decision is CanaryDecision.ROLL_BACK and worst is not None:
        return f"{outcome} {after}: {worst.title} is {between(worst.low, worst.high)} than the baseline; {_allowed(worst)}."
    if comparison.decision is CanaryDecision.PROMOTE and closest is not None:
        rest = "" if sum(metric.is_pool for metric in comparison.metrics) == 1 else "no metric is worse than allowed. The closest: "
        return f"{outcome} {after}: {rest}{closest.title} is {between(closest.low, closest.high)} than the baseline; {_allowed(closest)}."
    if comparison.decision is CanaryDecision.INCONCLUSIVE and closest is not None:
        return (
            f"{outcome} {after}: {closest.title} may be {between(closest.low, closest.high)} than the baseline; {_allowed(closest)}, so neither side is shown."
        )
    return f"{outcome} {after}: {_sentence(comparison.message)}"


def consequence(comparison: Comparison) -> str:
    """Say what that means for the release."""
    candidate, baseline = comparison.inputs.candidate.name, comparison.inputs.baseline.name
    if comparison.inputs.policy is None:
        return "This was compared at a desk: no cluster follows it, and a CanaryRun decides for itself."
    return {
        CanaryDecision.PROMOTE: f"{candidate} has met what policy asks of this comparison. Whether it serves depends on its other requirements, if it has any.",
        CanaryDecision.ROLL_BACK: f"{candidate} may not run under this digest, whoever asks. {baseline} was never touched. A repaired model is a new release.",
        CanaryDecision.INCONCLUSIVE: f"{candidate} does not serve by this. Policy says what follows; unless it says otherwise, a person decides.",
        CanaryDecision.PENDING: f"{candidate} gets no traffic meanwhile, unless policy grants it a share. {baseline} serves.",
    }[comparison.decision]


def remaining(comparison: Comparison, now: datetime) -> timedelta | None:
    """How long it takes at most: the rest of the plan at the pace so far, and the time that a promotion has to wait. None where nobody can tell."""
    if comparison.phase is not CanaryPhase.SCORING or comparison.started_at is None:
        return None
    elapsed = max(now - comparison.started_at, timedelta(0))
    least = max(parse_duration(comparison.inputs.min_duration or "") - elapsed, timedelta(0))
    if comparison.reason == "MinDurationNotOver":
        return least
    if not 0 < comparison.units < comparison.planned:
        return None
    return max(elapsed * ((comparison.planned - comparison.units) / comparison.units), least)


def verdict(metric: Metric) -> str:
    """Say what one metric shows so far."""
    if metric.is_worse:
        return "worse than allowed"
    if metric.is_within:
        return "within what is allowed"
    if metric.towards is None:
        return "open"
    return "open, looks worse" if metric.towards is CanaryDecision.ROLL_BACK else "open, looks fine"


def to_decide(metric: Metric) -> str:
    """Say how many more cases would probably decide: `enough`, `~860`, `?` where the data point nowhere, `–` where nothing has to be shown."""
    if metric.is_worse or (metric.is_pool and metric.is_within):
        return "enough"
    if not metric.is_pool and metric.towards is CanaryDecision.PROMOTE:
        # A slice has to be shown worse, not within.
        return "–"
    if metric.more is None:
        return "?"
    return f"~{metric.more:,}" if metric.more < _MANY else "many"


def _pending(comparison: Comparison) -> str:
    if comparison.phase is CanaryPhase.EXPOSING:
        return f"Found good enough after {progress(comparison)}, and not promoted yet: {_sentence(comparison.message)}"
    if comparison.phase is not CanaryPhase.SCORING and comparison.units:
        return f"Not decided yet, after {progress(comparison)}, and none is asked now: {_sentence(comparison.message)}"
    if comparison.phase is not CanaryPhase.SCORING:
        return f"Not decided yet, no case is asked so far: {_sentence(comparison.message)}"
    if comparison.reason == "MinDurationNotOver":
        return f"Found good enough after {progress(comparison)}, and not promoted yet: {_sentence(comparison.message)}"
    worst = max((metric for metric in comparison.metrics if metric.is_pool), key=lambda metric: -metric.estimate - metric.margin, default=None)
    told = "" if worst is None else f": {worst.title} may be {between(worst.low, worst.high)} than the baseline; {_allowed(worst)}"
    return f"Not decided yet, after {progress(comparison)}{told}."


def _closest(comparison: Comparison) -> Metric | None:
    """The metric, over all cases, that is the least clear of its margin."""
    return min((metric for metric in comparison.metrics if metric.is_pool), key=lambda metric: metric.low + metric.margin, default=None)


def _allowed(metric: Metric) -> str:
    size = points(metric.margin)
    return "nothing worse is allowed" if size == "0" else f"at most {size} {'is' if size == '1' else 'are'} allowed"


def _sentence(message: str) -> str:
    return message if message.endswith((".", "!", "?", "…")) else f"{message}."
