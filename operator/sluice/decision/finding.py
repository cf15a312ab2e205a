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
    remedy: str = ""
    """What somebody can do so that it counts; empty where there is nothing, or where the message says it."""
    at: str = ""
    """When it was decided, as far as that is known."""
    gives: bool = False
    """Whether it approves: the release, or a waiver."""
    role: str = ""
    username: str = ""
    rejects: bool = False
    """Whether it rejects the release."""
    revokes: bool = False
    """Whether it takes an approval back."""
    waives: tuple[str, ...] = ()
    """Of a waiver: the requirements that it names."""
    waiver: str = ""
    """The waiver that it approves or rejects; empty for the release itself."""

    @property
    def said(self) -> str:
        """Why it counts or not, and what to do."""
        return f"{self.message} → {self.remedy}" if self.remedy else self.message
