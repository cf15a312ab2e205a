"""Waits until all who are to be asked can be: a server that loads its model answers nothing, and that is not its answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

READY_SECONDS: Final = 60.0
READY_POLL_SECONDS: Final = 0.5

log: Final = logging.getLogger(__name__)

Ready = Callable[[], Awaitable[bool]]
"""Whether somebody can be asked."""


async def until_ready(asked: Mapping[str, Ready], *, run: str, seconds: float) -> None:
    """Wait until all of them are ready, `seconds` at most; who is not by then is asked all the same. The names are for people who wait."""
    ready, told = [False] * len(asked), ""
    try:
        async with asyncio.timeout(seconds):
            while not all(ready):
                ready = await asyncio.gather(*(each() for each in asked.values()))
                if waits := _silent(asked, ready):
                    if waits != told:
                        log.info("%s: waiting for %s, %.0f s at most", run, waits, seconds)
                        told = waits
                    await asyncio.sleep(READY_POLL_SECONDS)
    except TimeoutError:
        log.warning("%s: not ready after %.0f s: %s; asking anyway: what is not answered counts", run, seconds, _silent(asked, ready))


def _silent(asked: Mapping[str, Ready], ready: Sequence[bool]) -> str:
    return ", ".join(name for name, answers in zip(asked, ready, strict=True) if not answers)
