"""What the queue holds: which object to look at. Never what happened to it."""

from __future__ import annotations

from typing import Final, NamedTuple

from sluice.decision.records import Key


class Item(NamedTuple):
    """Look at the object of this kind and key: a release with its workloads, a Pod that names none, or an object that a release depends on."""

    kind: str
    key: Key

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


SWEEP: Final = Item("ScratchSweep", Key(namespace="", name=""))
"""Look for what drills that are deleted have left in scratch namespaces: for all of it at once, since there is no object to look at any more."""
