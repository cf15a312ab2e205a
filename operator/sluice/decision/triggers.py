"""What the triggers and tiers of a policy come to for one release: part of its verdict, and of its status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sluice.api.trigger import SecurityChange


@dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """A trigger that fires, and one reason for it."""

    policy: str
    trigger: str
    change: SecurityChange | None
    """None where an expression says so."""
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRisk:
    """What is at stake, as one policy sees it."""

    policy: str
    tier: str | None
    """None when it cannot be told: then what any tier needs is needed."""
    fired: tuple[Fired, ...] = ()
