"""Verdicts that are still what they were: nothing was taken in since, and no time has come that one of them depends on.

One Pod of a release is asked about several times, and its Deployment makes more of them; in between nothing changes. What is kept follows from a state of the
world, whatever it is made of: the next change forgets all of it, so nobody has to know here whom a change touches.

Bounded: tenants decide how many releases there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sluice.decision.model import Verdict
    from sluice.decision.records import Key

MOST_KEPT: Final = 1024
"""A verdict takes 3 KB, one with many notes several times that."""


class Verdicts:
    """Verdicts by release, each with the time at which it was made."""

    def __init__(self) -> None:
        """Start with none."""
        self._kept: dict[Key, tuple[datetime, Verdict]] = {}
        self._changes = 0

    def of(self, release: Key, decide: Callable[[], Verdict], *, changes: int, now: datetime) -> Verdict:
        """Give the verdict at `now`, which `decide` makes where it is not known. `changes` counts those of the world, from which it follows."""
        if changes != self._changes:
            self._kept.clear()
            self._changes = changes
        if (kept := self._kept.get(release)) is not None:
            made_at, verdict = kept
            # Clocks are set back, too: what was decided later is not the answer for a time before.
            if made_at <= now and (verdict.changes_at is None or now < verdict.changes_at):
                return verdict
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        verdict = decide()
        self._kept[release] = (now, verdict)
        return verdict
