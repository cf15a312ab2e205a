"""Two processes and a Lease in a world where requests hang, get lost on either way, clocks run at different rates and processes die.

Time is virtual: the event loop jumps to the next thing that happens, so that minutes of it take milliseconds. The API server here is
a model of one object with a resource version; `tests/cluster/test_lease.py` tries the same on a real one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import cast

from hypothesis import example, given, settings
from hypothesis import strategies as st

from sluice.cluster.client import ApiClient
from sluice.cluster.lease import CLOCK_RATE_MARGIN, Lease, LeaseLost, Timing
from tests.lease_model import Client, Server, in_virtual_time

WRITE_SECONDS = 5.0
TAKE_OVER_SECONDS = 20.0


class Process:
    """Acquires the lease and writes whenever the fence lets it, until it loses the lease or dies; then it starts anew, if it may."""

    def __init__(self, world: World, name: str, rate: float, *, pause_seconds: float) -> None:
        self.world = world
        self.pause_seconds = pause_seconds
        self.name = name
        self.rate = rate
        self.starts = 0
        self.cut_off_until = 0.0
        self.task = asyncio.ensure_future(self.live())

    async def live(self) -> None:
        while True:
            self.starts += 1
            client = Client(self.world.server, self.world.timing, self.cut_off)
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
                    await asyncio.sleep(self.pause_seconds)
            finally:
                # What a killed process does not do any more.
                if lease._renewals is not None:
                    lease._renewals.cancel()

    def clock(self) -> float:
        return asyncio.get_running_loop().time() * self.rate + 1e6 * self.rate

    def cut_off(self) -> bool:
        return asyncio.get_running_loop().time() < self.cut_off_until

    def kill(self) -> None:
        self.task.cancel()


class World:
    def __init__(self, faults: list[tuple[float, float, bool]], rates: tuple[float, float], *, pause_seconds: float = 0.1) -> None:
        self.timing = Timing()
        self.script = faults
        self.faults_over = asyncio.Event()
        self.server = Server(self.requests())
        self.writes: list[tuple[float, float, str]] = []
        self.processes = [Process(self, name, rate, pause_seconds=pause_seconds) for name, rate in zip("ab", rates, strict=True)]

    def requests(self) -> Iterator[tuple[float, float, bool]]:
        yield from self.script
        self.faults_over.set()
        while True:
            yield 0.01, 0.01, False

    def close(self) -> None:
        for process in self.processes:
            process.kill()


# Requests that are fine, slow, beyond every timeout, or whose answers get lost.
faults = st.lists(st.tuples(st.sampled_from([0.0, 0.01, 0.5, 1.4, 2.9]), st.sampled_from([0.0, 0.01, 0.5, 1.4, 9.0]), st.booleans()), max_size=60)
# Rates so different that only the margin, and no more, lies between the fastest and the slowest.
SLOW, FAST = 1 - CLOCK_RATE_MARGIN / 2.1, 1 + CLOCK_RATE_MARGIN / 2.1
rates = st.sampled_from([1.0, SLOW, FAST])
events = st.lists(st.tuples(st.floats(0.5, 15), st.sampled_from(["kill a", "kill b", "cut a", "cut b", "delete", "nothing"])), max_size=6)


@settings(max_examples=150)
@given(faults=faults, rates=st.tuples(rates, rates), events=events, installed=st.booleans())
# The holder, its clock slow, hears nothing more just after a renewal that the other, its clock fast, saw at once.
@example(faults=[], rates=(SLOW, FAST), events=[(2.2, "cut a")], installed=True)
@example(faults=[], rates=(SLOW, FAST), events=[(4.1, "cut a")], installed=True)
def test_two_processes_never_write_at_the_same_time(
    faults: list[tuple[float, float, bool]], rates: tuple[float, float], events: list[tuple[float, str]], installed: bool
) -> None:
    async def main() -> None:
        world = World(faults, rates)
        if installed:
            world.server.install()
        for seconds, what in events:
            await asyncio.sleep(seconds)
            if what == "delete":
                world.server.delete()
            elif what.startswith("cut"):
                world.processes["ab".index(what[-1])].cut_off_until = asyncio.get_running_loop().time() + 15
            elif what.startswith("kill"):
                index = "ab".index(what[-1])
                world.processes[index].kill()
                world.processes[index] = Process(world, f"{what[-1]}{seconds}", rates[index], pause_seconds=0.1)
        await asyncio.sleep(30)
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
        # Its writes say who it is, and no more: they need not be close.
        world = World(faults, rates, pause_seconds=0.5)
        # Let the faults pass: no lease can be taken over through a server that does not answer.
        await world.faults_over.wait()
        await asyncio.sleep(TAKE_OVER_SECONDS + seconds)
        holder = world.writes[-1][2]
        killed_at = asyncio.get_running_loop().time()
        world.processes["ab".index(holder[0])].kill()
        await asyncio.sleep(TAKE_OVER_SECONDS)
        world.close()
        since = [start for start, _, who in world.writes if start > killed_at and who != holder]
        assert since, f"nobody took over from {holder}"

    in_virtual_time(main())
