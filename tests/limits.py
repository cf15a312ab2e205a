"""A test that hangs fails with its name and with where it stood, and the others go on.

A timer of the process raises in the main thread, where tests run. What it raises is neither an `Exception` nor one of pytest's own outcomes: hypothesis
takes either for a counter-example, and hangs again, without a timer, when it tries to find a smaller one. (pytest-timeout raises pytest's.) The timer
rings again and again, for teardowns and for whoever swallows what it raised.

Code that holds the interpreter without ever looking at signals – a loop in C – is out of reach. For that there is `faulthandler_timeout` with
`faulthandler_exit_on_timeout` in pyproject.toml: the process ends, xdist names the test that it was running and starts another one.
"""

from __future__ import annotations

import asyncio
import io
import signal
from collections.abc import Iterator
from types import FrameType

import pytest

SECONDS = 300.0
"""For one test with its fixtures. `@pytest.mark.limit(seconds)` says otherwise."""
AGAIN_SECONDS = 60.0
"""For what is taken down after a test was interrupted, each time."""


class Hung(BaseException):
    """The test did not end in time."""


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", "limit(seconds): how long the test may take with its fixtures, before it is interrupted and fails")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Run the test with its fixtures under the timer."""
    mark = item.get_closest_marker("limit")
    seconds = float(mark.args[0]) if mark else SECONDS

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise Hung(f"{item.nodeid} did not end within {seconds:g} s{_tasks()}")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, min(10 * seconds, AGAIN_SECONDS))
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _tasks() -> str:
    """Where the tasks of the event loop stand that runs right now: the traceback ends in the loop, and shows none of them."""
    try:
        tasks = asyncio.all_tasks()
    except RuntimeError:
        return ""
    written = io.StringIO()
    for task in tasks:
        task.print_stack(file=written)
    return f"; tasks that wait:\n{written.getvalue()}"
