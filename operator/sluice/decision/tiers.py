"""The tier of a release: the first whose condition is true.

A condition that cannot be evaluated leaves the tier unknown, and then the requirements of every tier apply.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sluice.decision.model import Policy


def tier_of(policy: Policy, variables: Mapping[str, object] | None) -> str | None:
    """Return the name of the first tier whose condition is true; None when none is, or one before it could not be evaluated."""
    for tier, condition in zip(policy.spec.tiers, policy.tiers, strict=True):
        holds = condition.holds(variables)
        if holds is None:
            return None
        if holds:
            return tier.name
    return None
