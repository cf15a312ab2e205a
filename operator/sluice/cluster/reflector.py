"""Keeps a store equal to one kind of object on the API server: list, watch, and list again when the thread is lost.

What is promised, and how:
1. The store is replaced as a whole when a list is complete. An object deleted while nobody watched vanishes then, and is reported.
2. A watch that breaks resumes where it stopped. When the server no longer knows that place (410), when what it sends cannot be
   understood, or when resuming keeps failing, a new list decides.
3. Silence is not health. The server is asked to end each watch after `WATCH_SECONDS` (it sends a bookmark just before); when nothing
   at all is heard for longer, the connection is dead. `age_seconds` grows until the server proves again that the store is up to date.
4. Nothing that an object holds, and nothing that a callback does, stops the reflector.

Limits: an etcd restored from a backup under a running reflector, with versions that have meanwhile overtaken the old ones, goes
unnoticed (as in every Kubernetes client): restart the processes after such a restore.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from contextlib import aclosing
from time import monotonic
from typing import Final

from sluice.cluster.client import PAGE_LIMIT, ApiClient, check_count
from sluice.cluster.errors import ApiError, Malformed, TooLarge, Unavailable
from sluice.cluster.resource import Resource
from sluice.cluster.store import Change, Entry, Object, OnChange, Store
from sluice.decision.records import Key

WATCH_SECONDS: Final = 30.0
"""The API server sends bookmarks every minute, and one two seconds before the end of a watch: a short watch means a young proof."""

SILENCE_SECONDS: Final = 35.0
BACKOFF_SECONDS: Final = (0.2, 5.0)
"""First and longest wait after a failure. One process retries at most about once in three seconds: no API server feels that."""

RESUMES: Final = 3
"""Failed attempts to resume a watch before a list is asked for: it cures a server that has lost the versions we know."""

log: Final = logging.getLogger(__name__)


def whole(obj: Object) -> Object:
    """Keep the object as it is (without `metadata.managedFields`)."""
    return obj


class Reflector:
    """Run `run()` as a task; read `store`.

    `on_change` is called in the event loop after the store has changed, once for each object that did; it should only note the key.
    `project` makes what is stored from what was received, to save memory; where it fails, the object is stored as received.
    `now` is a monotonic clock in seconds.
    """

    def __init__(
        self,
        client: ApiClient,
        resource: Resource,
        *,
        on_change: OnChange | None = None,
        project: Callable[[Object], Object] = whole,
        label_selector: str | None = None,
        watch_seconds: float = WATCH_SECONDS,
        silence_seconds: float = SILENCE_SECONDS,
        backoff_seconds: tuple[float, float] = BACKOFF_SECONDS,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self.store = Store(resource.kind)
        self.last_error: str | None = None
        self.callback_failures = 0
        self._client = client
        self._resource = resource
        self._on_change = on_change
        self._project = project
        self._label_selector = label_selector
        self._watch_seconds = watch_seconds
        self._silence_seconds = silence_seconds
        self._backoff_seconds = backoff_seconds
        self._now = now
        self._synced = asyncio.Event()
        self._proved_at: float | None = None
        self._heard = 0  # Events and bookmarks so far.
        self._page_limit = PAGE_LIMIT

    @property
    def synced(self) -> bool:
        """Whether the store holds a whole list, however old."""
        return self.store.synced

    def age_seconds(self) -> float:
        """Seconds since the server last proved that the store is up to date; infinite before the first list."""
        return float("inf") if self._proved_at is None else self._now() - self._proved_at

    async def wait_synced(self) -> None:
        """Return when the first list has arrived."""
        await self._synced.wait()

    async def run(self) -> None:
        """Keep the store up to date until cancelled."""
        version: str | None = None  # Where to watch from; None: list first.
        failures = 0
        while True:
            started_at, heard = self._now(), self._heard
            try:
                if version is None:
                    version = await self._list()
                version = await self._watch(version)
                self.last_error = None
                # A server that accepts each watch and ends it at once, without a word, is failing too.
                failed = self._now() - started_at < 1 and self._heard == heard
                if self._heard == heard:
                    # A busy server ends a quiet watch without its bookmark, and the store would look old: a list proves that it is not.
                    version = None
            except _Lost as lost:
                # Each new trouble is told once, its repetitions only to those who debug.
                log.log(logging.DEBUG if self.last_error == str(lost.cause) else logging.WARNING, "%s: %s", self._resource.plural, lost.cause)
                version, failed, self.last_error = lost.version, True, str(lost.cause)
            # Only a watch that told something ends a row of failures: lists that work beside watches that fail do not.
            failures = failed + (failures if self._heard == heard else 0)
            if failures >= RESUMES:
                version = None
            if failed:
                await asyncio.sleep(self._pause(failures))

    def _pause(self, failures: int) -> float:
        first, longest = self._backoff_seconds
        return min(longest, first * 2.0 ** min(failures - 1, 16)) * random.uniform(0.5, 1)  # noqa: S311 - spreads load, keeps no secret

    async def _list(self) -> str:
        """Read all pages, then replace the store; returns the version to watch from. Raises `_Lost`."""
        asked_at = self._now()
        entries: dict[Key, Entry] = {}
        more = ""
        try:
            while True:
                page = await self._client.list_page(self._resource, label_selector=self._label_selector, limit=self._page_limit, more=more)
                for obj in page.items:
                    key, entry = self._entry(obj)
                    entries[key] = entry
                check_count(self._resource, len(entries))
                if not page.more:
                    break
                more = page.more
        except ApiError as error:
            if isinstance(error, TooLarge):
                # Few large objects must not keep all others out: smaller pages, in the end of one object.
                self._page_limit = max(1, self._page_limit // 4)
            raise _Lost(error, None) from error
        changes = self.store.replace_all(entries)
        self._proved_at = asked_at
        self._synced.set()
        self._report(changes)
        return page.resource_version

    async def _watch(self, version: str) -> str:
        """Apply events until the server ends the watch; returns the version to go on from. Raises `_Lost`."""
        events = self._client.watch(
            self._resource,
            resource_version=version,
            seconds=self._watch_seconds,
            silence_seconds=self._silence_seconds,
            label_selector=self._label_selector,
        )
        try:
            async with aclosing(events):
                async for event in events:
                    version = self._apply(event)
        except Unavailable as error:
            raise _Lost(error, version) from error
        except ApiError as error:
            raise _Lost(error, None) from error
        return version

    def _apply(self, event: Object) -> str:
        """Bring one watch event into the store; returns its version. Raises `ApiError` for anything that is not an event."""
        kind, obj = event.get("type"), event.get("object")
        metadata = obj.get("metadata") if isinstance(obj, dict) else None
        version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
        if kind not in {"ADDED", "MODIFIED", "DELETED", "BOOKMARK"} or not isinstance(version, str) or not version:
            raise Malformed(200, "NoEvent", f"a watch sent something that is no event (type {str(kind)[:40]!r})")
        changes: list[Change] = []
        if kind != "BOOKMARK":
            key, entry = self._entry(obj)
            changes = self.store.remove(key) if kind == "DELETED" else self.store.put(key, entry)
        self._heard += 1
        self._proved_at = self._now()
        self._report(changes)
        return version

    def _entry(self, obj: object) -> tuple[Key, Entry]:
        """Make what is stored from what was received: whatever the object holds, as long as it has a name."""
        key = self._resource.key_of(obj)
        if key is None or not isinstance(obj, dict):
            raise Malformed(200, "NoName", f"an object of kind {self._resource.kind} came without name or namespace")
        metadata = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
        # List items come without these two, watch events with them: a reader must not see the difference.
        stored = {**obj, "apiVersion": self._resource.api_version, "kind": self._resource.kind, "metadata": metadata}
        version, uid = str(metadata.get("resourceVersion") or ""), str(metadata.get("uid") or "")
        try:
            stored = self._project(stored)
        except Exception:
            log.exception("%s %s: cannot be narrowed, kept as received", self._resource.kind, key)
        return key, Entry(uid=uid, version=version, obj=stored)

    def _report(self, changes: Sequence[Change]) -> None:
        if self._on_change is None:
            return
        for change in changes:
            try:
                self._on_change(self._resource.kind, change.key, change.old, change.new)
            except Exception:
                self.callback_failures += 1
                log.exception("%s %s: the change is stored, but its callback failed", self._resource.kind, change.key)


class _Lost(Exception):
    """The thread is lost: resume from `version`, or list when it is None."""

    def __init__(self, cause: ApiError, version: str | None) -> None:
        self.cause = cause
        self.version = version
        super().__init__(str(cause))
