"""Families of measurements: what matters about a model, whatever tool measured it and by whatever name.

A number of a family is read so that 1 is best and 0 is worst: `JailbreakResistance` is the share of attacks that failed, and a tool that counts those that
succeeded is read the other way round. So one threshold, and one tolerance, goes for all tools.

Which numbers belong to which family says the table of `evidence/families.py`; a policy adds those of its own suites. Nothing is guessed from a name.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, StringConstraints

from sluice.api.base import Line, Model, rule, validations


class Family(StrEnum):
    """What a number says of a model; 1 is best."""

    QUALITY = "Quality"
    UNSAFE_REFUSAL = "UnsafeRefusal"
    SAFE_ANSWERING = "SafeAnswering"
    JAILBREAK_RESISTANCE = "JailbreakResistance"
    INJECTION_RESISTANCE = "InjectionResistance"
    TOOL_SELECTION = "ToolSelection"
    TOOL_SAFETY = "ToolSafety"
    CONFIDENTIALITY = "Confidentiality"
    FACTUALITY = "Factuality"
    STRUCTURED_OUTPUT = "StructuredOutput"
    PROMPT_STABILITY = "PromptStability"
    INPUT_ROBUSTNESS = "InputRobustness"
    RARE_SLICES = "RareSlices"
    LANGUAGES = "Languages"
    FAIRNESS = "Fairness"
    LATENCY = "Latency"
    COST = "Cost"


class Better(StrEnum):
    """Which way a metric is better."""

    HIGHER = "Higher"
    LOWER = "Lower"


class FamilyMember(Model):
    """A number of a suite of your own, and the family that it belongs to."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            *(
                rule(f"!self.{field}.contains('*')", f"{field} is compared exactly; wildcards are not supported", field=f".{field}")
                for field in ("suite", "metric")
            )
        )
    )

    family: Family
    """The family."""
    harness: Line
    """The tool: `lm-eval`, `inspect`, `promptfoo`, `garak`, or `tool.name` of plain metrics and scored samples."""
    suite: Line
    """Suite, as the harness names it, exact."""
    metric: Line
    """Metric, as docs/evaluations.md spells it for the harness, exact; a share in [0, 1]."""
    by: Annotated[str, StringConstraints(min_length=1, max_length=120, pattern=r"^[^=]+$")] | None = None
    """Not the number of all cases, but that of each value of this field of the cases (`language`). Absent: all cases."""
    better: Better = Better.HIGHER
    """Which way the metric is better. Lower: what counts is 1 minus it."""
