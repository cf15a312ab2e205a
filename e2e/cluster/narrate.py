"""Say what is being done while it is done: the step, the time since the start, where the log is.

Everything goes to standard error, so that commands can print their one result (a reference, a kubeconfig) to standard output.
"""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

TAIL_LINES = 25


class StepFailed(Exception):
    """A step of the local cluster did not work out; the text names the step and ends with the log's last lines."""

    def __init__(self, message: str, *, log: Path | None = None) -> None:
        """Keep the message, followed by the tail of `log` when there is one."""
        super().__init__(message if log is None else f"{message}\n  log: {log}\n{tail(log)}")


def tail(log: Path, *, lines: int = TAIL_LINES) -> str:
    """Give the last lines of a log, indented; a missing log is an empty one."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(f"  | {line}" for line in text.splitlines()[-lines:])


class Narrator:
    """Prints timed lines; several threads may speak."""

    def __init__(self, *, quiet: bool = False) -> None:
        """Start the clock. A quiet narrator only keeps time."""
        self._began = time.monotonic()
        self._quiet = quiet
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """Print one line with the seconds since the start."""
        if self._quiet:
            return
        with self._lock:
            print(f"[{time.monotonic() - self._began:6.1f} s] {text}", file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Announce `what`, then say how long it took, or that it failed; why is the caller's to report."""
        self.say(f"{what} …")
        began = time.monotonic()
        try:
            yield
        except BaseException:
            self.say(f"{what}: FAILED after {time.monotonic() - began:.1f} s")
            raise
        self.say(f"{what}: done in {time.monotonic() - began:.1f} s")
