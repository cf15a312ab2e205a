"""The least time that a candidate is asked for before it is promoted.

It counts from the moment since which the scorers may run, as the cluster has it: whoever looks, and after whatever restart, comes to the same. Only a promotion
waits. Meanwhile scoring goes on, and whatever ends a run ends it as ever: evidence that the candidate is worse, a hit of a gate, a Pod that is lost.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def too_early(begun: datetime, least: timedelta, *, now: datetime) -> str:
    """Say until when a promotion waits, where the candidate is to be asked for `least` since `begun`; empty when that is over."""
    ends = begun + least
    if now >= ends:
        return ""
    return f"it is promoted at {ends.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC, when minDuration is over, unless something is found worse by then"
