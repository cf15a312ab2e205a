"""The requirement of type Condition: an expression that a platform team wrote, over the variables that tiers and triggers have, too.

One that is not true, or cannot be evaluated, is not met. It fails where it reads nothing but the release, which never changes; where it reads evidence,
the baseline or what differs from it, the release waits: those may still come.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from sluice.api.release import Outcome
from sluice.decision.reasons import Reason

if TYPE_CHECKING:
    from sluice.decision.model import Asked, Result

_MAY_COME: Final = ("measurements", "baseline", "changes")


def check_condition(asked: Asked, variables: Mapping[str, object] | None) -> Result:
    """Check a requirement of type Condition.

    Raises KeyError: its expression was not compiled with the policy.
    """
    expression, says = asked.policy.conditions[asked.requirement.name], asked.requirement.message or "it is not what policy asks"
    holds = expression.holds(variables)
    if holds:
        return asked.result(Outcome.SATISFIED, Reason.ConditionMet, f"{expression.text} is true")
    waits = any(expression.names(variable) for variable in _MAY_COME)
    reason, came_to = (
        (Reason.ConditionUnclear, "cannot be evaluated: something that it reads is not there") if holds is None else (Reason.ConditionNotMet, "is false")
    )
    return asked.result(
        Outcome.MISSING if waits else Outcome.FAILED, reason, f"{says}: {expression.text} {came_to}",
        remedy="apply the evidence that it reads, or a new ModelRelease" if waits else "apply a new ModelRelease of which it is true",
    )  # fmt: skip
