"""The work queue, in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.cluster.queue import WorkQueue
from tests.lease_model import in_virtual_time


def now() -> float:
    return asyncio.get_running_loop().time()


@asynccontextmanager
async def running(
    queue: WorkQueue[str], work: Callable[[str], Awaitable[float | None]], *, concurrency: int = 2, timeout_seconds: float = 60.0
) -> AsyncIterator[None]:
    task = asyncio.ensure_future(queue.run(work, concurrency=concurrency, timeout_seconds=timeout_seconds))
    yield
    assert not task.done(), "the queue stopped working"
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


class Worker:
    """Takes `seconds` for each key; notes when it began with which."""

    def __init__(self, seconds: float = 0.0, *, fails: int = 0, again: float | None = None) -> None:
        self.seconds = seconds
        self.fails = fails
        self.again = again
        self.began: list[tuple[float, str]] = []
        self.active: list[str] = []
        self.most = 0

    async def __call__(self, key: str) -> float | None:
        assert key not in self.active, "two workers on one key"
        self.began.append((now(), key))
        self.active.append(key)
        self.most = max(self.most, len(self.active))
        try:
            await asyncio.sleep(self.seconds)
            if self.fails:
                self.fails -= 1
                raise RuntimeError(key)
            return self.again
        finally:
            self.active.remove(key)

    @property
    def times(self) -> list[float]:
        return [time for time, _ in self.began]


def test_a_key_that_waits_is_worked_on_once() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add_all(["a", "b", "a", "a"])
        worker = Worker()
        async with running(queue, worker):
            await asyncio.sleep(1)
        assert [key for _, key in worker.began] == ["a", "b"]

    in_virtual_time(main())


def test_a_key_added_while_it_is_worked_on_comes_once_more_afterwards() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add("a")
        worker = Worker(seconds=1)
        async with running(queue, worker):
            await asyncio.sleep(0.5)
            queue.add("a")
            queue.add("a")
            await asyncio.sleep(5)
        assert worker.times == [0, 1]

    in_virtual_time(main())


def test_no_more_workers_than_allowed_and_all_of_them_used() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add_all("abcdefg")
        worker = Worker(seconds=1)
        async with running(queue, worker, concurrency=3):
            await asyncio.sleep(10)
        assert worker.most == 3
        assert len(worker.began) == 7

    in_virtual_time(main())


def test_of_several_later_looks_the_earliest_wins() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        worker = Worker()
        async with running(queue, worker):
            for seconds in (5, 2, 9, 2.5):
                queue.add_after("a", seconds)
            await asyncio.sleep(20)
        assert worker.times == [2]

    in_virtual_time(main())


def test_work_can_ask_to_be_done_again_later() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add("a")
        worker = Worker(again=10)
        async with running(queue, worker):
            await asyncio.sleep(35)
        assert worker.times == [0, 10, 20, 30]

    in_virtual_time(main())


def test_failures_wait_ever_longer_up_to_the_cap_and_a_success_forgets_them() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue(backoff_seconds=(1, 8))
        queue.add("a")
        worker = Worker(fails=6)
        async with running(queue, worker):
            await asyncio.sleep(100)
            waits = [later - earlier for earlier, later in zip(worker.times, worker.times[1:], strict=False)]
            assert len(waits) == 6
            for wait, longest in zip(waits, [1, 2, 4, 8, 8, 8], strict=True):
                assert longest / 2 <= wait <= longest
            worker.fails = 1
            queue.add("a")
            await asyncio.sleep(50)
        assert worker.times[-1] - worker.times[-2] <= 1

    in_virtual_time(main())


def test_a_key_that_fails_does_not_hold_up_the_others_nor_news_about_itself() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue(backoff_seconds=(60, 60))
        queue.add("a")
        worker = Worker(fails=1)
        async with running(queue, worker, concurrency=1):
            await asyncio.sleep(1)
            queue.add_all(["b", "a"])
            await asyncio.sleep(1)
        assert worker.began == [(0, "a"), (1, "b"), (1, "a")]

    in_virtual_time(main())


def test_work_that_hangs_is_ended_and_tried_again() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue(backoff_seconds=(1, 1))
        queue.add("a")
        worker = Worker(seconds=1000)
        async with running(queue, worker, concurrency=1, timeout_seconds=5):
            await asyncio.sleep(8)
        assert len(worker.began) == 2

    in_virtual_time(main())


def test_the_depth_is_told_at_each_change() -> None:
    async def main() -> None:
        depths: list[int] = []
        queue: WorkQueue[str] = WorkQueue(on_depth=depths.append)
        queue.add_all(["a", "b", "a"])
        async with running(queue, Worker()):
            await asyncio.sleep(1)
        assert depths == [1, 2, 1, 0]
        assert queue.depth == 0

    in_virtual_time(main())


@given(st.lists(st.tuples(st.floats(0, 3), st.sampled_from("abc")), max_size=40), st.floats(0, 2), st.integers(1, 4), st.integers(0, 5))
def test_every_wish_is_followed_by_work_that_begins_after_it(wishes: list[tuple[float, str]], seconds: float, concurrency: int, fails: int) -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        worker = Worker(seconds=seconds, fails=fails)
        wished: list[tuple[float, str]] = []
        async with running(queue, worker, concurrency=concurrency):
            for pause, key in wishes:
                await asyncio.sleep(pause)
                queue.add(key)
                wished.append((now(), key))
            await asyncio.sleep(1000)
        for time, key in wished:
            assert any(begun >= time and other == key for begun, other in worker.began)

    in_virtual_time(main())


def test_an_unknown_error_in_work_is_logged_with_its_key(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add("team/churn")
        async with running(queue, Worker(fails=1)):
            await asyncio.sleep(0.01)

    in_virtual_time(main())
    assert "team/churn: failed" in caplog.text
