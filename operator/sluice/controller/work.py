"""What the queue holds: which object to look at. Never what happened to it."""

from __future__ import annotations

from typing import NamedTuple

from sluice.decision.records import Key


class Item(NamedTuple):
    """Look at the object of this kind and key: a release with its workloads, a Pod that names none, or an object that a release depends on."""

    kind: str
    key: Key

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"
