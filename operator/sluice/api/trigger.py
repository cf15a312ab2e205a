"""Security-change triggers of a `ReleasePolicy`: what has to differ from the baseline for a requirement to be added.

A release that differs in nothing a policy names keeps the light path. The names are those of docs/risk.md, which says what each compares.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from sluice.api.base import LIST_SET, Label, Line, Model, rule, validations

Expression = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
"""CEL that gives true or false; docs/risk.md lists the variables. The webhook refuses a policy whose expressions do not compile."""


class SecurityChange(StrEnum):
    """A difference to the baseline that may widen what a model can do, or weaken what holds it back."""

    FIRST_RELEASE = "FirstRelease"
    TOOL_ADDED = "ToolAdded"
    TOOL_EFFECT_WIDENED = "ToolEffectWidened"
    DATA_CLASS_ADDED = "DataClassAdded"
    SECRET_ADDED = "SecretAdded"  # noqa: S105 - a kind of change
    SECRET_LIFETIME_GROWN = "SecretLifetimeGrown"  # noqa: S105 - a kind of change
    SERVICE_ACCOUNT_CHANGED = "ServiceAccountChanged"
    PERMISSION_ADDED = "PermissionAdded"
    TOKEN_LIFETIME_GROWN = "TokenLifetimeGrown"  # noqa: S105 - a kind of change
    EGRESS_WIDENED = "EgressWidened"
    CONTEXT_WINDOW_GROWN = "ContextWindowGrown"
    SAFETY_FILTER_CHANGED = "SafetyFilterChanged"
    REFUSAL_LOWERED = "RefusalLowered"
    VENDOR_CHANGED = "VendorChanged"


class RefusalMeasure(Model):
    """A number that says how often a model refuses what it should refuse: more is safer."""

    suite: Line
    """Suite, as the harness names it."""
    metric: Line
    """Metric, as docs/evaluations.md spells it for the harness."""
    slice: Line | None = None
    """Only the cases whose `field=value`. Absent: all cases."""
    tolerance: Annotated[str, StringConstraints(pattern=r"^0(\.[0-9]{1,9})?$", max_length=12)] = "0"
    """How much lower than the baseline's still counts as the same. Two runs of one model differ by chance."""


class Trigger(Model):
    """When a release needs more than its tier says."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            rule("has(self.changes) || has(self.when)", "say which changes, or when (CEL): a trigger needs at least one of them", field=".changes"),
            rule(
                "has(self.refusal) == (has(self.changes) && 'RefusalLowered' in self.changes)",
                "RefusalLowered needs refusal, the measures that say how often a model refuses, and refusal goes with it: no name is guessed",
                field=".refusal",
            ),
        )
    )

    name: Label
    """Name of the trigger."""
    changes: Annotated[list[SecurityChange], Field(min_length=1, max_length=16, json_schema_extra=LIST_SET)] | None = None
    """Differences to the baseline, any of which fires it. Without a baseline that was accepted, whatever the release holds is a difference."""
    when: Expression | None = None
    """CEL over the variables of docs/risk.md; the trigger fires when it is true, and when it cannot be evaluated."""
    refusal: Annotated[list[RefusalMeasure], Field(min_length=1, max_length=8)] | None = None
    """RefusalLowered: what is compared. A number that is missing on either side fires it."""
    adds: Annotated[list[Label], Field(min_length=1, max_length=32, json_schema_extra=LIST_SET)]
    """The requirements that apply when it fires. A requirement that a trigger names applies to no other release, but those of its own `tiers`."""
