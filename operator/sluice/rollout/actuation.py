"""What every actuator works with: a judge, a client, and somebody to tell people about it, each thing once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final, Literal

from sluice.cluster.client import ApiClient, Object
from sluice.cluster.events import EventRecorder
from sluice.decision.gate import Action, Decision
from sluice.decision.pod import PodView

REMEMBERED: Final = 8192
"""Objects of which it is remembered what was last said about them. After that many others, or a restart, it is said once more."""

Judge = Callable[[PodView, str], Decision]
"""Decides about a Pod, or the template of one, in a namespace, on what is known at the moment of the call."""


class Settled(StrEnum):
    """How an actuator left an object."""

    DONE = "Done"
    """Nothing is left to do."""
    WAITING = "Waiting"
    """It stays held; what it waits for will announce itself, or time will."""
    CHANGED = "Changed"
    """It changed while it was judged: look again soon."""


class Announcer:
    """Says about each object what is decided, and says it again only when it is something else."""

    def __init__(self, events: EventRecorder, *, remembered: int = REMEMBERED) -> None:
        self._events = events
        self._remembered = remembered
        # Digests: how long the words are is up to those who write releases and sign-offs.
        self._told: OrderedDict[str, bytes] = OrderedDict()

    async def tell(self, obj: Object, decision: Decision, *, action: str) -> None:
        """Write a Kubernetes event with the words of `decision`; `action` is what was done, in UpperCamelCase."""
        uid = str(obj["metadata"].get("uid") or "")
        words = sha256("\n".join((action, *decision.lines)).encode()).digest()
        if self._told.get(uid) == words:
            return
        type_: Literal["Normal", "Warning"] = "Warning" if decision.action is Action.DENY else "Normal"
        await self._events.record(obj, type_=type_, reason=str(decision.reason), action=action, note="\n".join(decision.lines))
        self._told[uid] = words
        self._told.move_to_end(uid)
        while len(self._told) > self._remembered:
            self._told.popitem(last=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Actuation:
    """What an actuator works with."""

    client: ApiClient
    judge: Judge
    announcer: Announcer


def same_object(obj: Object) -> list[dict[str, object]]:
    """Operations of a JSON Patch that fail unless the object is, in every field, the one that was judged."""
    metadata = obj["metadata"]
    return [{"op": "test", "path": f"/metadata/{field}", "value": metadata[field]} for field in ("uid", "resourceVersion")]
