"""The objects of one kind as the API server last told them, each under its key.

A store holds all objects of one moment or says that it holds none yet: it never shows half a list. Objects are shared, not copied:
readers must not change them. Nothing here waits or talks to anybody, so a reader sees one consistent state until it yields to the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sluice.decision.records import Key

Object = dict[str, Any]
OnChange = Callable[[str, Key, Object | None, Object | None], None]
"""`(kind, key, old, new)`: old is None for a new object, new is None for one that is gone."""


class NotSynced(Exception):
    """The first list has not arrived: nobody can say which objects there are, least of all that there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One object as kept, and the resource version it had: two entries of the same version and uid are the same object."""

    uid: str
    version: str
    obj: Object

    def same(self, other: Entry | None) -> bool:
        """Whether `other` is this very state of this very object. Without a version nothing can be said to be the same."""
        return other is not None and bool(self.version) and (self.uid, self.version) == (other.uid, other.version)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a change of the store was: old is None for a new object, new is None for one that is gone."""

    key: Key
    old: Object | None
    new: Object | None


class Store:
    """Read side for everybody, write side (`replace_all`, `put`, `remove`) for the reflector that owns it."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[Key, Entry] = {}
        self._synced = False

    @property
    def synced(self) -> bool:
        """Whether a whole list has arrived since the start."""
        return self._synced

    def get(self, key: Key) -> Object | None:
        """Return the object, or None when there is none; raises `NotSynced` when that is not known."""
        entry = self._known().get(key)
        return None if entry is None else entry.obj

    def items(self) -> Iterator[tuple[Key, Object]]:
        """Go through all objects; raises `NotSynced` before the first list. Do not await in between."""
        return ((key, entry.obj) for key, entry in self._known().items())

    def __len__(self) -> int:
        return len(self._known())

    def replace_all(self, entries: dict[Key, Entry]) -> list[Change]:
        """Make `entries` the whole content. What is in it no longer is gone, and is reported like any other change."""
        before, self._entries, self._synced = self._entries, entries, True
        gone = [Change(key=key, old=entry.obj, new=None) for key, entry in before.items() if key not in entries]
        changed = [
            Change(key=key, old=None if (old := before.get(key)) is None else old.obj, new=entry.obj)
            for key, entry in entries.items()
            if not entry.same(before.get(key))
        ]
        return gone + changed

    def put(self, key: Key, entry: Entry) -> list[Change]:
        """Add or replace one object; no change when it is the state we have."""
        old = self._entries.get(key)
        if entry.same(old):
            return []
        self._entries[key] = entry
        return [Change(key=key, old=None if old is None else old.obj, new=entry.obj)]

    def remove(self, key: Key) -> list[Change]:
        """Forget one object; no change when it is not there."""
        old = self._entries.pop(key, None)
        return [] if old is None else [Change(key=key, old=old.obj, new=None)]

    def _known(self) -> dict[Key, Entry]:
        if not self._synced:
            raise NotSynced(f"the first list of {self.kind} objects has not arrived yet")
        return self._entries
