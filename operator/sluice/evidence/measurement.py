"""What one harness measured: a number, how sure it is, and on how much it rests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sluice.evidence.answers import Answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One number of one suite, read from the harness's raw output."""

    suite: str
    """Name of the suite or task."""
    metric: str
    """Such as `acc` or `exact_match`."""
    filter: str
    """How answers were taken out of the model's text, where the harness has that; else empty."""
    value: float
    stderr: float | None
    """Standard error of `value`; None when the harness gave none."""
    samples: int
    """How many cases `value` rests on, at least 1. Several answers to one case are one."""
    suite_digest: str | None
    """`sha256:<hex>` over the suite's cases, when the harness recorded one."""
    harness: str
    harness_version: str
    slice: str = ""
    """Which cases, as `field=value`; empty for all of them."""
    answers: Answers | None = None
    """What each case scored, of which `value` is the mean; None where the file does not say, or says more than is kept."""
