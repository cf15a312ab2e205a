"""What is promised about false alarms, and how much change is nobody's business."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import ConfigDict

from sluice.scoring.drift.detector import STORED
from sluice.scoring.drift.refused import DriftRefused

_RUN_LENGTHS = (100.0, 1e9)
_REFERENCE_ERRORS = (1e-6, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """The numbers on which an alarm may be believed. Raises DriftRefused for numbers that no promise can be made with."""

    __pydantic_config__: ClassVar[ConfigDict] = STORED

    run_length: float = 10_000.0
    """Observations to a false alarm, on average at least: 100 to 1e9. At one observation a second, 10,000 is 2.8 hours and 1e6 is 12 days."""
    tolerance: float = 0.0
    """A change of a mean, or of a share of observations, that is no drift; it comes on top of what the reference does not know."""
    reference_error: float = 0.01
    """Share of references that mislead about their own mean: for the others the run length holds."""

    def __post_init__(self) -> None:
        for value, (low, high), what in (
            (self.run_length, _RUN_LENGTHS, "run length"),
            (self.reference_error, _REFERENCE_ERRORS, "share of misleading references"),
        ):
            if not low <= value <= high:
                raise DriftRefused(f"a {what} of {value} is not possible; it is between {low:g} and {high:g}")
        if not 0 <= self.tolerance < 1:
            raise DriftRefused(f"a tolerance of {self.tolerance} is not possible; it is at least 0 and less than 1")
