"""What came of one decision of one person, in words for who made it and for who audits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sluice.decision.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Whether one decision of one person counts, and if not why."""

    name: str
    counts: bool
    reason: Reason
    message: str
    role: str = ""
    username: str = ""
    rejects: bool = False
    """Whether it rejects the release."""
    revokes: bool = False
    """Whether it takes an approval back."""
    waiver: str = ""
    """The waiver that it approves or rejects; empty for the release itself."""
