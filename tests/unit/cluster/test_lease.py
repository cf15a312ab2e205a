"""Single promises of the Lease, in virtual time against the model of one."""

import asyncio
from collections.abc import Iterator
from itertools import repeat
from typing import Any, cast

import pytest

from sluice.cluster.client import ApiClient, Object
from sluice.cluster.lease import Lease, LeaseLost, Timing
from tests.lease_model import Client, Server, in_virtual_time

FINE = (0.01, 0.01, False)


class World:
    """One server, a lease that nobody holds, and processes that want it. `faults` are those of all requests, in order."""

    def __init__(self, faults: Iterator[tuple[float, float, bool]] | None = None) -> None:
        self.server = Server(faults or repeat(FINE))
        self.server.install()
        self.cut = False

    def lease(self, identity: str) -> Lease:
        loop = asyncio.get_running_loop()
        client = cast("ApiClient", Client(self.server, Timing(), lambda: self.cut))
        return Lease(client, namespace="sluice", name="controller", identity=identity, clock=loop.time)

    @property
    def spec(self) -> Object:
        assert self.server.record is not None
        return cast("Object", self.server.record["spec"])


def now() -> float:
    return asyncio.get_running_loop().time()


def test_a_slow_confirmation_counts_from_the_sending() -> None:
    async def main() -> None:
        lease = World(iter([FINE, (0.0, 1.4, False)])).lease("a")
        await lease.acquire()
        # 12 s less 5 % less the 1.4 s that the answer took.
        lease.fence(9.9)
        with pytest.raises(LeaseLost):
            lease.fence(10.1)

    in_virtual_time(main())


def test_who_cannot_renew_gives_up_eight_seconds_after_the_last_renewal_was_sent() -> None:
    async def main() -> None:
        world = World()
        lease = world.lease("a")
        await lease.acquire()
        await asyncio.sleep(1)
        world.cut = True
        await lease.lost.wait()
        assert now() == pytest.approx(8, abs=0.1)
        assert not lease.held
        with pytest.raises(LeaseLost):
            lease.fence(0.001)

    in_virtual_time(main())


def test_writes_stop_before_the_lease_is_lost() -> None:
    async def main() -> None:
        world = World()
        lease = world.lease("a")
        await lease.acquire()
        world.cut = True
        await asyncio.sleep(6.3)
        lease.fence(5)
        await asyncio.sleep(0.2)
        with pytest.raises(LeaseLost, match=r"controller: 4\.9 s left, a write of up to 5 s needs more"):
            lease.fence(5)
        assert lease.held

    in_virtual_time(main())


@pytest.mark.parametrize("what", ["stolen", "emptied", "deleted"])
def test_a_lease_that_is_no_longer_in_our_name_is_lost_at_the_next_look(what: str) -> None:
    async def main() -> None:
        world = World()
        lease = world.lease("a")
        await lease.acquire()
        if what == "deleted":
            world.server.delete()
        else:
            world.server.write({"metadata": {}, "spec": {"holderIdentity": "thief" if what == "stolen" else ""}})
        async with asyncio.timeout(4.5):
            await lease.lost.wait()
        assert not lease.held

    in_virtual_time(main())


def test_a_released_lease_is_free_at_once() -> None:
    async def main() -> None:
        world = World()
        first, second = world.lease("a"), world.lease("b")
        await first.acquire()
        waiting = asyncio.ensure_future(second.acquire())
        await asyncio.sleep(3)
        await first.release()
        with pytest.raises(LeaseLost):
            first.fence(0.001)
        assert not first.lost.is_set(), "a clean end is no loss"
        async with asyncio.timeout(2.1):
            await waiting
        assert world.spec["holderIdentity"] == "b"
        assert world.spec["leaseTransitions"] == 2
        await second.release()

    in_virtual_time(main())


def test_release_takes_nothing_from_another_holder() -> None:
    async def main() -> None:
        world = World()
        lease = world.lease("a")
        await lease.acquire()
        world.server.write({"metadata": {}, "spec": {"holderIdentity": "b"}})
        await lease.release()
        assert world.spec == {"holderIdentity": "b"}

    in_virtual_time(main())


@pytest.mark.parametrize("time", ["2099-01-01T00:00:00.000000Z", "1970-01-01T00:00:00.000000Z", "nonsense", None])
def test_times_of_day_in_the_record_mean_nothing(time: str | None) -> None:
    async def main() -> None:
        world = World()
        world.server.write({"metadata": {}, "spec": {"holderIdentity": "dead", "leaseDurationSeconds": 12, "renewTime": time}})
        lease = world.lease("a")
        await lease.acquire()
        assert 12 <= now() < 12.2
        await lease.release()

    in_virtual_time(main())


@pytest.mark.parametrize(("declared", "waited"), [(0, 12), (-5, 12), (30, 30), (10**9, 60), ("12", 12), (None, 12)])
def test_a_declared_duration_can_make_others_wait_longer_but_not_for_ever(declared: Any, waited: float) -> None:  # noqa: ANN401
    async def main() -> None:
        world = World()
        world.server.write({"metadata": {}, "spec": {"holderIdentity": "dead", "leaseDurationSeconds": declared}})
        lease = world.lease("a")
        await lease.acquire()
        assert waited <= now() < waited + 0.2
        await lease.release()

    in_virtual_time(main())


def test_a_renewal_whose_answer_got_lost_is_no_loss() -> None:
    async def main() -> None:
        answer_lost = (0.01, 0.01, True)
        lease = World(iter([FINE, FINE, answer_lost, *[FINE] * 100])).lease("a")
        await lease.acquire()
        await asyncio.sleep(30)
        assert lease.held
        assert not lease.lost.is_set()
        await lease.release()

    in_virtual_time(main())


@pytest.mark.parametrize(
    "unsafe",
    [
        {"duration_seconds": 8},
        {"renew_deadline_seconds": 11.5},
        {"retry_seconds": 8.0},
        {"request_timeout_seconds": 2.0},
        {"request_timeout_seconds": 0.0},
        {"duration_seconds": 61},
    ],
)
def test_durations_that_are_not_safe_together_are_refused(unsafe: Any) -> None:  # noqa: ANN401
    with pytest.raises(ValueError, match="a lease needs"):
        Timing(**unsafe)
