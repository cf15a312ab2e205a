"""Virtual time, and a model of the one object that leader election is about.

**Fake**: the API server here is a single Lease with a resource version behind requests that may be late or lost.
`tests/cluster/test_lease.py` elects on a real one.
"""

from __future__ import annotations

import asyncio
import copy
import selectors
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from sluice.cluster.client import Object
from sluice.cluster.errors import Conflict, NotFound, Unavailable
from sluice.cluster.lease import Timing
from sluice.cluster.resource import Resource


class JumpingSelector(selectors.DefaultSelector):
    """Does not wait: it moves the clock by the time it was told to wait."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:  # noqa: ANN401 - of the base class
        if timeout is None:
            raise AssertionError("everybody waits for ever")
        self.now += timeout
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only by waiting."""

    def __init__(self) -> None:
        self.selector = JumpingSelector()
        super().__init__(self.selector)

    def time(self) -> float:
        return self.selector.now


def in_virtual_time(main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main)


class Server:
    """One Lease object. `faults` says for each request: seconds on the way there and back, and whether the answer gets lost."""

    def __init__(self, faults: Iterator[tuple[float, float, bool]]) -> None:
        self.record: Object | None = None
        self.version = 0
        self.faults = faults

    def install(self) -> None:
        """What the chart does: a lease that nobody holds."""
        self.write({"metadata": {}, "spec": {}})

    def write(self, record: Object) -> Object:
        self.version += 1
        self.record = copy.deepcopy(record)
        self.record["metadata"]["resourceVersion"] = str(self.version)
        return copy.deepcopy(self.record)

    def delete(self) -> None:
        self.record = None


class Client:
    """One process' way to the server; a request takes at most the timeout, whatever happens to it at the server."""

    def __init__(self, server: Server, timing: Timing, cut_off: Callable[[], bool]) -> None:
        self.server = server
        self.cut_off = cut_off
        self.timing = timing
        self.acted: set[asyncio.Task[None]] = set()

    async def _request(self, act: Callable[[], Object]) -> Object:
        there, back, lost = next(self.server.faults)
        answer: asyncio.Future[Object] = asyncio.get_running_loop().create_future()

        async def at_server() -> None:
            if self.cut_off():
                return
            # Goes on when the client stops waiting, for as long as the server's own timeout.
            await asyncio.sleep(min(there, 2 * self.timing.request_timeout_seconds))
            try:
                result = act()
            except (NotFound, Conflict) as error:
                if not answer.done():
                    answer.set_exception(error)
                return
            await asyncio.sleep(back)
            if not answer.done() and not lost:
                answer.set_result(result)

        task = asyncio.create_task(at_server())
        self.acted.add(task)
        task.add_done_callback(self.acted.discard)
        try:
            async with asyncio.timeout(self.timing.request_timeout_seconds):
                return await answer
        except TimeoutError:
            raise Unavailable(0, "Timeout", "no answer") from None

    async def get(self, _path: str) -> Object:
        def act() -> Object:
            if self.server.record is None:
                raise NotFound(404, "NotFound", "none")
            return copy.deepcopy(self.server.record)

        return await self._request(act)

    async def create(self, _resource: Resource, obj: Object, _namespace: str) -> Object:
        def act() -> Object:
            if self.server.record is not None:
                raise Conflict(409, "AlreadyExists", "taken")
            return self.server.write(obj)

        return await self._request(act)

    async def replace(self, _path: str, obj: Object) -> Object:
        def act() -> Object:
            if self.server.record is None:
                raise NotFound(404, "NotFound", "none")
            if obj["metadata"]["resourceVersion"] != self.server.record["metadata"]["resourceVersion"]:
                raise Conflict(409, "Conflict", "changed")
            return self.server.write(obj)

        return await self._request(act)
