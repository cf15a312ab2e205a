"""A test that hangs fails with its name, whatever it hangs in, and the next one runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
HANGING = """
import asyncio, subprocess, threading, time
import pytest
from hypothesis import given, settings, strategies

pytestmark = pytest.mark.limit(0.2)

def test_lock(): threading.Event().wait()

def test_child(): subprocess.run(["sleep", "600"])

@settings(deadline=None)
@given(strategies.integers())
def test_counter_example(number): time.sleep(600)

async def test_task():
    async def nobody_answers(): await asyncio.Event().wait()
    await asyncio.create_task(nobody_answers())

@pytest.fixture
def stubborn():
    yield
    time.sleep(600)

def test_teardown(stubborn): pass

def test_fine(): pass
"""


def test_tests_that_hang_fail_with_their_names_and_the_next_one_runs(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(HANGING)
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.limits", "-p", "no:cacheprovider", "-q", "test_it.py"]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(command, check=False, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    # The test whose teardown hangs passed first. What was interrupted may leave a warning behind, about a coroutine that nobody awaits any more.
    assert re.search(r"\b4 failed, 2 passed, (\d+ warnings?, )?1 error\b", done.stdout), done.stdout
    for name in ("test_lock", "test_child", "test_counter_example", "test_task", "test_teardown"):
        assert f"test_it.py::{name} did not end within 0.2 s" in done.stdout
    # A task shows where it waits, though the traceback ends in the event loop.
    assert "in nobody_answers" in done.stdout.partition("tasks that wait")[2]
