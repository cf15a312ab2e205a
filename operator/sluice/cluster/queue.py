"""A level-triggered work queue: it holds keys, never events, because what counts is the state found when the work is done.

- A key that waits is not queued twice. A key that is being worked on is never given to a second worker: it comes again afterwards.
- Work that fails comes back after a time that doubles with each failure of that key, up to a cap, with jitter.
- `add_after` asks for a later look; of several wishes for one key the earliest wins.

All methods belong to the event loop that works the queue; from another thread: `loop.call_soon_threadsafe(queue.add, key)`.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Hashable, Iterable
from typing import Final, Generic, TypeVar

BACKOFF_SECONDS: Final = (0.2, 60.0)
"""First and longest wait after failures of a key."""

WORK_SECONDS: Final = 60.0
"""Longest time that one piece of work may take; then it counts as failed, and its worker is free again."""

log: Final = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """`on_depth` hears how many keys are ready and wait for a worker, each time that changes."""

    def __init__(self, *, backoff_seconds: tuple[float, float] = BACKOFF_SECONDS, on_depth: Callable[[int], None] = lambda _depth: None) -> None:
        self._backoff_seconds = backoff_seconds
        self._on_depth = on_depth
        self._ready: asyncio.Queue[K] = asyncio.Queue()
        self._waiting: set[K] = set()  # What is in `_ready`.
        self._active: set[K] = set()  # Given to a worker, not yet done.
        self._again: set[K] = set()  # Added while active.
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}

    @property
    def depth(self) -> int:
        """Keys that could be worked on now, had a worker time."""
        return len(self._waiting)

    def add(self, key: K) -> None:
        """Ask for work on `key`, as soon as possible."""
        if key in self._active:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.put_nowait(key)
            self._on_depth(self.depth)

    def add_all(self, keys: Iterable[K]) -> None:
        """Ask for work on each of `keys`."""
        for key in keys:
            self.add(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Ask for work on `key` in `seconds`, unless an earlier wish stands already."""
        loop = asyncio.get_running_loop()
        due = loop.time() + max(0.0, seconds)
        standing = self._timers.get(key)
        if standing is not None:
            if standing.when() <= due:
                return
            standing.cancel()
        self._timers[key] = loop.call_at(due, self._fire, key)

    async def get(self) -> K:
        """Wait for a key; it is this caller's alone until `done`."""
        key = await self._ready.get()
        self._waiting.discard(key)
        self._active.add(key)
        self._on_depth(self.depth)
        return key

    def done(self, key: K, *, failed: bool = False) -> None:
        """Give back a key from `get`: forget its failures, or count one more and come back to it later."""
        self._active.discard(key)
        if failed:
            self._failures[key] = failures = self._failures.get(key, 0) + 1
            self.add_after(key, self._pause(failures))
        else:
            self._failures.pop(key, None)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    async def run(self, work: Callable[[K], Awaitable[float | None]], *, concurrency: int, timeout_seconds: float = WORK_SECONDS) -> None:
        """Work on keys, at most `concurrency` at once, until cancelled.

        `work` returns in how many seconds it wants to look again, or None. Whatever it raises is logged and counts as a failure.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(concurrency):
                    group.create_task(self._work(work, timeout_seconds))
        finally:
            for timer in self._timers.values():
                timer.cancel()
            self._timers.clear()

    async def _work(self, work: Callable[[K], Awaitable[float | None]], timeout_seconds: float) -> None:
        while True:
            key = await self.get()
            failed = True
            try:
                async with asyncio.timeout(timeout_seconds):
                    again_seconds = await work(key)
                failed = False
                if again_seconds is not None:
                    self.add_after(key, again_seconds)
            except TimeoutError:
                log.warning("%s: not finished within %g s, tried again later", key, timeout_seconds)
            except Exception:
                log.exception("%s: failed, tried again later", key)
            finally:
                self.done(key, failed=failed)

    def _fire(self, key: K) -> None:
        self._timers.pop(key, None)
        self.add(key)

    def _pause(self, failures: int) -> float:
        first, longest = self._backoff_seconds
        return min(longest, first * 2.0 ** min(failures - 1, 32)) * random.uniform(0.5, 1)  # noqa: S311 - spreads load, keeps no secret
