"""Two processes and a Lease in a world where requests hang, get lost on either way, clocks run at different rates and processes die.

Time is virtual: the event loop jumps to the next thing that happens, so that minutes of it take milliseconds. The API server here is
a model of one object with a resource version; `tests/cluster/test_lease.py` tries the same on a real one.
"""

from __future__ import annotations

import asyncio
import copy
import selectors
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.cluster.client import ApiClient, Object
from sluice.cluster.errors import Conflict, NotFound, Unavailable
from sluice.cluster.lease import CLOCK_RATE_MARGIN, Lease, LeaseLost, Timing
from sluice.cluster.resource import Resource

WRITE_SECONDS = 5.0
TAKE_OVER_SECONDS = 20.0


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

    def write(self, record: Object) -> Object:
        self.version += 1
        self.record = copy.deepcopy(record)
        self.record["metadata"]["resourceVersion"] = str(self.version)
        return copy.deepcopy(self.record)

    def delete(self) -> None:
        self.record = None


class Client:
    """One process' way to the server; a request takes at most the timeout, whatever happens to it at the server."""

    def __init__(self, server: Server, timing: Timing) -> None:
        self.server = server
        self.timing = timing
        self.acted: set[asyncio.Task[None]] = set()

    async def _request(self, act: Callable[[], Object]) -> Object:
        there, back, lost = next(self.server.faults)
        answer: asyncio.Future[Object] = asyncio.get_running_loop().create_future()

        async def at_server() -> None:
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


class Process:
    """Acquires the lease and writes whenever the fence lets it, until it loses the lease or dies; then it starts anew, if it may."""

    def __init__(self, world: World, name: str, rate: float) -> None:
        self.world = world
        self.name = name
        self.rate = rate
        self.starts = 0
        self.task = asyncio.ensure_future(self.live())

    async def live(self) -> None:
        while True:
            self.starts += 1
            client = Client(self.world.server, self.world.timing)
            lease = Lease(
                cast("ApiClient", client), namespace="sluice", name="controller", identity=f"{self.name}-{self.starts}",
                timing=self.world.timing, clock=self.clock,
            )  # fmt: skip
            try:
                await lease.acquire()
                while not lease.lost.is_set():
                    with suppress(LeaseLost):
                        lease.fence(WRITE_SECONDS * self.rate)
                        # The longest write that the fence allows: it may reach the server at any moment until then.
                        now = asyncio.get_running_loop().time()
                        self.world.writes.append((now, now + WRITE_SECONDS, lease.identity))
                    await asyncio.sleep(0.5)
            finally:
                # What a killed process does not do any more.
                if lease._renewals is not None:
                    lease._renewals.cancel()

    def clock(self) -> float:
        return asyncio.get_running_loop().time() * self.rate + 1e6 * self.rate

    def kill(self) -> None:
        self.task.cancel()


class World:
    def __init__(self, faults: list[tuple[float, float, bool]], rates: tuple[float, float]) -> None:
        self.timing = Timing()
        self.script = faults
        self.server = Server(self.requests())
        self.writes: list[tuple[float, float, str]] = []
        self.processes = [Process(self, name, rate) for name, rate in zip("ab", rates, strict=True)]

    def requests(self) -> Iterator[tuple[float, float, bool]]:
        yield from self.script
        while True:
            yield 0.01, 0.01, False

    def close(self) -> None:
        for process in self.processes:
            process.kill()


# Requests that are fine, slow, beyond every timeout, or whose answers get lost.
faults = st.lists(st.tuples(st.sampled_from([0.0, 0.01, 0.5, 1.4, 2.9]), st.sampled_from([0.0, 0.01, 0.5, 1.4, 9.0]), st.booleans()), max_size=60)
# Rates so different that only the margin, and no more, lies between the fastest and the slowest.
rates = st.sampled_from([1.0, 1 - CLOCK_RATE_MARGIN / 2.1, 1 + CLOCK_RATE_MARGIN / 2.1])
events = st.lists(st.tuples(st.floats(0.5, 15), st.sampled_from(["kill a", "kill b", "delete", "nothing"])), max_size=6)


@settings(max_examples=150)
@given(faults, st.tuples(rates, rates), events)
def test_two_processes_never_write_at_the_same_time(
    faults: list[tuple[float, float, bool]], rates: tuple[float, float], events: list[tuple[float, str]]
) -> None:
    async def main() -> None:
        world = World(faults, rates)
        for seconds, what in events:
            await asyncio.sleep(seconds)
            if what == "delete":
                world.server.delete()
            elif what.startswith("kill"):
                index = "ab".index(what[-1])
                world.processes[index].kill()
                world.processes[index] = Process(world, f"{what[-1]}{seconds}", rates[index])
        await asyncio.sleep(40)
        world.close()
        world.writes.sort()
        for (_, until, who), (since, _, other) in zip(world.writes, world.writes[1:], strict=False):
            assert who == other or until <= since, f"{who} may write until {until}, {other} since {since}"

    in_virtual_time(main())


@settings(max_examples=40)
@given(faults, st.tuples(rates, rates), st.floats(0, 10))
def test_after_a_kill_the_other_process_writes_within_twenty_seconds(
    faults: list[tuple[float, float, bool]], rates: tuple[float, float], seconds: float
) -> None:
    async def main() -> None:
        world = World(faults, rates)
        # Let the faults pass: no lease can be taken over through a server that does not answer.
        await asyncio.sleep(200 + seconds)
        holder = world.writes[-1][2]
        killed_at = asyncio.get_running_loop().time()
        world.processes["ab".index(holder[0])].kill()
        await asyncio.sleep(TAKE_OVER_SECONDS)
        world.close()
        since = [start for start, _, who in world.writes if start > killed_at and who != holder]
        assert since, f"nobody took over from {holder}"

    in_virtual_time(main())
