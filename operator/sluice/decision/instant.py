"""The time of a decision, and until when what it was asked stays true.

Checks do not read the time, they ask whether some time has come. So none of them can forget to say when it will come to something else: a verdict is looked at
again then, and is not remembered any longer.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

_AT_ONCE: Final = timedelta()


class Instant:
    """One moment (timezone-aware)."""

    def __init__(self, now: datetime | None) -> None:
        """Nothing was asked yet: nothing changes by time. None: before all times, for what counted once, however long ago."""
        self._now = now
        self.changes_at: datetime | None = None
        """The first of the times that were asked about and have not come. Every answer stays what it is until then."""

    def has_come(self, time: datetime, *, early: timedelta = _AT_ONCE) -> bool:
        """Tell whether `time` has come, or is no further away than `early`, which says that it is a beginning. Before all times everything has begun."""
        if self._now is None:
            return early > _AT_ONCE
        if time <= self._now + early:
            return True
        change = time - early
        self.changes_at = change if self.changes_at is None else min(self.changes_at, change)
        return False
