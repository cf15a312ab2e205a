"""One writer at a time: leader election on a `coordination.k8s.io/v1` Lease.

A process holds the lease from the moment *before* it sent the write that the API server confirmed, for `duration_seconds`. Others take
it over when they have *seen* the record unchanged for that long. Both sides count on their own clock; times of day are never compared,
so only a difference in clock *rate* matters, for which the holder stops early (`CLOCK_RATE_MARGIN`).

How the durations follow (seconds):
- take-over after a kill -9: a follower sees the last renewal at most `retry` + one request late, waits `duration`, looks again at that
  very moment and writes: 2 + 1.5 + 12 + 2·1.5 = 18.5 at worst, about 13 as a rule; 20 is what is promised.
- `request_timeout` < `retry`: an attempt that hangs does not eat the next one.
- `renew_deadline` 8 < 12 · 0.95 = 11.4: whoever cannot renew gives up 3.4 s before anybody else may start.
- a write that may take 5 s is allowed until 11.4 - 5 = 6.4 s after the last renewal was sent: three attempts to renew may fail.

A lease without a holder is free at once. A *missing* one may have been deleted under a holder who does not know yet: it is made anew in
the name of nobody, and that name counts like any other's. Install an empty lease, and the first start need not wait for its end.

Limit: a process that is stopped between the fence and the socket, for longer than its lease, sends one write too many. Kubernetes offers
no fencing token; writes that must not happen then carry a resource version or a `test` operation.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sluice.cluster.client import ApiClient, Object
from sluice.cluster.errors import ApiError, Conflict, NotFound
from sluice.cluster.resource import LEASES

CLOCK_RATE_MARGIN: Final = 0.05
"""Share of the duration that clocks may drift apart in it. NTP slews by at most 0.0005; the rest is for virtual machines."""

MAX_DURATION_SECONDS: Final = 60
"""Longest duration of a lease that is honoured, and the longest that may be configured."""

NOBODY: Final = "nobody"

log: Final = logging.getLogger(__name__)


class LeaseLost(Exception):
    """This process may not write (any more, or long enough): another one may."""


def uptime() -> float:
    """Seconds on a clock that nobody sets and that runs on while the machine sleeps; the usual monotonic clock stops then."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Durations in seconds; the module says how they follow from each other. Raises `ValueError` for a set that is not safe."""

    duration_seconds: int = 12
    renew_deadline_seconds: float = 8.0
    retry_seconds: float = 2.0
    request_timeout_seconds: float = 1.5

    def __post_init__(self) -> None:
        times = (self.request_timeout_seconds, self.retry_seconds, self.renew_deadline_seconds, self.valid_seconds)
        if self.request_timeout_seconds <= 0 or list(times) != sorted(set(times)) or self.duration_seconds > MAX_DURATION_SECONDS:
            raise ValueError(
                "a lease needs 0 < request timeout < retry < renew deadline < duration less its margin, "
                f"and a duration of at most {MAX_DURATION_SECONDS}, not {times} seconds"
            )

    @property
    def valid_seconds(self) -> float:
        """How long the holder relies on a renewal."""
        return self.duration_seconds * (1 - CLOCK_RATE_MARGIN)


class Lease:
    """`await acquire()`, write while `fence()` lets you, stop the process when `lost` is set, `await release()` at a clean end.

    `client` must be one without a guard, for the lease alone: with `Timing.request_timeout_seconds`, and no queue of other requests.
    `identity` must be new for each start of a process; a restarted process is another one.
    """

    def __init__(
        self,
        client: ApiClient,
        *,
        namespace: str,
        name: str,
        identity: str,
        timing: Timing = Timing(),
        clock: Callable[[], float] = uptime,
    ) -> None:
        self.identity = identity
        self.lost = asyncio.Event()
        self._client = client
        self._namespace = namespace
        self._name = name
        self._timing = timing
        self._clock = clock
        self._record: Object | None = None  # As last seen; None: there is none.
        self._sure = False  # Whether the record is what our own last write made of it.
        self._version: str | None = None  # Its resource version; "" for a record that is missing.
        self._version_seen_at = 0.0
        self._renewed_at: float | None = None  # When the last confirmed write was sent; None: we do not hold the lease.
        self._renewals: asyncio.Task[None] | None = None

    @property
    def held(self) -> bool:
        """Whether this process holds the lease at this moment."""
        return self._remaining() > 0

    def fence(self, timeout_seconds: float) -> None:
        """Raise `LeaseLost` unless the lease surely outlasts a write of `timeout_seconds` that starts now. May be called from any thread."""
        remaining = self._remaining()
        if remaining < timeout_seconds:
            raise LeaseLost(f"lease {self._name}: {max(remaining, 0):.1f} s left, a write of up to {timeout_seconds:g} s needs more")

    async def acquire(self) -> None:
        """Return as soon as this process holds the lease; it is renewed from then on."""
        while not await self._attempt():  # noqa: ASYNC110 - what is waited for happens elsewhere
            await asyncio.sleep(self._until_next_look())
        log.info("lease %s: held by %s", self._name, self.identity)
        self._renewals = asyncio.create_task(self._renew())

    async def release(self) -> None:
        """Give the lease away at once, so that the next process need not wait. Call it when no write is under way any more."""
        renewals, self._renewals = self._renewals, None
        if renewals is not None:
            renewals.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await renewals
        held, self._renewed_at = self.held, None
        if not held:
            return
        try:
            self._observe(await self._look())
            if self._record is not None and self._holder() == self.identity:
                spec = {**self._spec(), "holderIdentity": "", "leaseDurationSeconds": 1}
                await self._client.replace(self._path(), {**self._record, "spec": spec})
        except ApiError as error:
            log.warning("lease %s: not released, the next holder waits for its end: %s", self._name, error)

    async def _renew(self) -> None:
        """Renew until that fails for too long or another process holds the lease; then `lost` is set."""
        try:
            while self._renewed_at is not None:
                # The deadline cuts an attempt short, so that `lost` is never late by a request.
                async with asyncio.timeout(self._renewed_at + self._timing.renew_deadline_seconds - self._clock()):
                    await asyncio.sleep(self._timing.retry_seconds)
                    await self._attempt()
        except TimeoutError:
            log.error("lease %s: not renewed for %g s", self._name, self._timing.renew_deadline_seconds)  # noqa: TRY400 - no stack to show
        except Exception:
            log.exception("lease %s: renewing failed", self._name)
        self._renewed_at = None
        self.lost.set()

    async def _attempt(self) -> bool:
        """Try once to take or renew the lease; tells whether a write confirmed just now made or kept this process the holder."""
        try:
            # 1. Look at the record, unless our own last write is what we know of it.
            if not self._sure:
                self._observe(await self._look())
            self._sure = False
            # 2. A holder never takes back what it no longer finds in its name: in between, others may have written.
            if self._renewed_at is not None and self._holder() != self.identity:
                log.error("lease %s: found in the name of %r", self._name, self._holder())
                self._renewed_at = None
                return False
            # 3. Nobody, who never renews, holds a new lease.
            if self._record is None:
                self._observe(await self._client.create(LEASES, self._new(), self._namespace))
            # 4. Another holder counts until its record has stayed unchanged, before our eyes, for its duration.
            if self._holder() != self.identity and self._clock() < self._free_at():
                return False
            # 5. Write under the version seen: of two that try, one gets a conflict.
            sent_at = self._clock()
            self._observe(await self._put())
            self._renewed_at, self._sure = sent_at, True
        except ApiError as error:
            # Whether the write happened is unknown: look again, and rely on nothing newer than the last confirmed one.
            log.log(logging.DEBUG if isinstance(error, Conflict) else logging.WARNING, "lease %s: %s", self._name, error)
            return False
        return True

    async def _look(self) -> Object | None:
        try:
            return await self._client.get(self._path())
        except NotFound:
            return None

    def _observe(self, record: Object | None) -> None:
        """Note what the record is now and, if it is another than before, since when."""
        version = "" if record is None else str(record["metadata"]["resourceVersion"])
        if version != self._version:
            self._version_seen_at = self._clock()
        self._version, self._record = version, record

    def _spec(self) -> Object:
        spec = None if self._record is None else self._record.get("spec")
        return spec if isinstance(spec, dict) else {}

    def _holder(self) -> str:
        return str(self._spec().get("holderIdentity") or "")

    def _free_at(self) -> float:
        """When others may take the lease, on our clock."""
        if self._record is None or not self._holder():
            return -math.inf
        declared = self._spec().get("leaseDurationSeconds")
        duration = declared if isinstance(declared, int) else 0
        # A holder of another version may rely on more than we would; a record that somebody wrote may not lock us out for ever.
        return self._version_seen_at + max(self._timing.duration_seconds, min(duration, MAX_DURATION_SECONDS))

    def _until_next_look(self) -> float:
        until_free = self._free_at() - self._clock()
        return max(0.05, min(self._timing.retry_seconds, until_free)) if until_free > 0 else self._timing.retry_seconds

    def _remaining(self) -> float:
        """Seconds during which this process surely holds the lease."""
        renewed_at = self._renewed_at
        return 0.0 if renewed_at is None else renewed_at + self._timing.valid_seconds - self._clock()

    def _new(self) -> Object:
        metadata = {"namespace": self._namespace, "name": self._name}
        spec = {"holderIdentity": NOBODY, "leaseDurationSeconds": self._timing.duration_seconds}
        return {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata, "spec": spec}

    async def _put(self) -> Object:
        # The times are for people who read the record; no process reads them.
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {**self._spec(), "holderIdentity": self.identity, "leaseDurationSeconds": self._timing.duration_seconds, "renewTime": now}
        if self._holder() != self.identity:
            spec |= {"acquireTime": now, "leaseTransitions": int(spec.get("leaseTransitions") or 0) + 1}
        return await self._client.replace(self._path(), {**(self._record or {}), "spec": spec})

    def _path(self) -> str:
        return LEASES.path(self._namespace, self._name)
