"""Processes of the product that start at once: each is forked from one that has loaded it and done nothing else.

Importing the controller takes two seconds of a core, and tests start it a hundred times. How it starts from nothing, `test_installed` shows.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import logging
import multiprocessing
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["sluice.controller.run", "sluice.webhook.run", "sluice.cli.processes", __name__])
_PR_SET_PDEATHSIG = 1


class Forked:
    """A process; it ends with the one that runs the tests. The methods are those of `subprocess.Popen`."""

    def __init__(self, act: Callable[..., None], *arguments: str, log: Path) -> None:
        """Run `act` with `arguments`; what it prints is in `log`."""
        self.log = log
        log.write_bytes(b"")
        self._process = _CONTEXT.Process(target=_run, args=(act, arguments, str(log)), daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        """Its number."""
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended. Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(self.log.stem, timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


def controller(kubeconfig: str, settings: str) -> None:
    """A controller; `settings` is JSON."""
    from sluice.controller.run import run  # noqa: PLC0415 - loaded where it is forked, and not by whoever only names it
    from sluice.controller.settings import Settings  # noqa: PLC0415

    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(name)s %(message)s")
    asyncio.run(run(Settings(kubeconfig=Path(kubeconfig), **json.loads(settings))))


def command(*arguments: str) -> None:
    """`sluice` with these arguments."""
    from sluice.cli import main  # noqa: PLC0415 - likewise

    main(arguments)


def _run(act: Callable[..., None], arguments: tuple[str, ...], log: str) -> None:
    # The kernel ends it when the process dies that it was forked from, which ends with the one that runs the tests.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    written = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(written, 1)
    os.dup2(written, 2)
    act(*arguments)
