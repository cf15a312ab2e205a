"""Latency: whether an answer was complete in time, and where the line is.

A mean of latencies follows its slowest request and has no bound; the share of answers within a limit is in [0, 1] and is what people promise each other. The
limit comes from the suite, or is frozen from what the baseline took.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sluice.scoring.answer import Answer
from sluice.scoring.case import Case
from sluice.scoring.scorers.score import Score, Scorer, yes_or_no
from sluice.scoring.scorers.settings import Parameters, Settings, SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencySettings:
    """Where the line is, or how to find it."""

    limit_seconds: float | None
    """None: `quantile_limit` of the baseline's latencies."""
    quantile: float
    tolerance: float
    confidence: float


def latency_settings(settings: Settings) -> LatencySettings:
    """Read parameters `limitSeconds` (default: from the baseline), `quantile` (0.95), `tolerance` (0.1, a share of the limit), `confidence` (0.95).

    Raises SettingsError.
    """
    parameters = Parameters(settings)
    limit = parameters.number("limitSeconds", minimum=0.001, maximum=3600) if "limitSeconds" in settings.parameters else None
    quantile = parameters.number("quantile", default=0.95, minimum=0.01, maximum=0.999)
    tolerance = parameters.number("tolerance", default=0.1, maximum=10)
    confidence = parameters.number("confidence", default=0.95, minimum=0.5, maximum=0.999)
    parameters.done()
    return LatencySettings(limit_seconds=limit, quantile=quantile, tolerance=tolerance, confidence=confidence)


def latency(settings: Settings) -> Scorer:
    """`answered_within` parameter `limitSeconds`. Raises SettingsError, also without a limit: nothing here has seen the baseline."""
    read = latency_settings(settings)
    if read.limit_seconds is None:
        raise SettingsError("Latency.limitSeconds is missing: write a number of seconds, or freeze one from the baseline's answers")
    return answered_within(read.limit_seconds)


def answered_within(limit_seconds: float) -> Scorer:
    """1 for an answer that was complete within `limit_seconds`, else 0."""

    def score(_case: Case, answer: Answer) -> Score:
        return yes_or_no(answer.latency_seconds <= limit_seconds)

    return score


def quantile_limit(latencies: Sequence[float], *, quantile: float, tolerance: float, confidence: float) -> float | None:
    """An upper confidence bound of the quantile of `latencies` (seconds), times 1 + `tolerance`; None when there are fewer than `samples_needed`.

    The k-th smallest of n values is at or above the true q-quantile with probability P(Binomial(n, q) < k), whatever the distribution (David and Nagaraja,
    Order Statistics, 3rd edition, 7.1); the smallest such k is taken. It is for independent values: load that comes in waves needs more of them.
    """
    total = len(latencies)
    below = 0.0
    for count in range(total):
        below += _binomial(count, total, quantile)
        if below >= confidence:
            return sorted(latencies)[count] * (1.0 + tolerance)
    return None


def samples_needed(*, quantile: float, confidence: float) -> int:
    """How many latencies give a bound at all: n with 1 − qⁿ ≥ confidence (59 for the 95 % quantile at 95 %)."""
    return math.ceil(math.log1p(-confidence) / math.log(quantile))


def _binomial(count: int, total: int, share: float) -> float:
    """P(Binomial(total, share) = count), by logarithms: no overflow for any total."""
    choices = math.lgamma(total + 1) - math.lgamma(count + 1) - math.lgamma(total - count + 1)
    return math.exp(choices + count * math.log(share) + (total - count) * math.log1p(-share))
