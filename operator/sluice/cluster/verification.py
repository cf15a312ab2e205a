"""Verifies what a world wants verified, in a thread beside the event loop.

A changed trust root wants everything verified again, two milliseconds for each bundle: with some thousands of them longer than a Lease lasts, were it done
between two looks at the world. So it is done elsewhere, a few at a time; who asks meanwhile hears that evidence is being verified, and is held.

The queue is `World.wanted`: it holds no bytes of its own, nothing twice, and forgets what nobody waits for any more. One thread, because verification holds the
interpreter for most of its time: a second one would take it from the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Final

from sluice.decision.objects import Learnt
from sluice.decision.world import World
from sluice.evidence.fact_cache import Check, Outcome

AT_ONCE: Final = 64
"""Bundles that are handed over together, at most."""
AT_ONCE_SECONDS: Final = 0.05
"""After so long what is verified so far is taken in, at the end of the bundle that is under way."""

log: Final = logging.getLogger(__name__)


class Verification:
    """Run `run()` as a task, and `wake()` it when the world may want something. `on_learnt` is called in the event loop."""

    def __init__(self, world: World, on_learnt: Callable[[Learnt], None]) -> None:
        self._world = world
        self._on_learnt = on_learnt
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look whether something is wanted."""
        self._woken.set()

    async def run(self) -> None:
        """Verify until cancelled. A bundle under way is finished first, since no thread can be stopped."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="verification") as thread:
            while True:
                if not self._world.wanted:
                    self._woken.clear()
                    await self._woken.wait()
                    continue
                started, before = time.monotonic(), len(self._world.wanted)
                outcomes = await loop.run_in_executor(thread, _verified, tuple(islice(self._world.wanted.values(), AT_ONCE)))
                self._on_learnt(self._world.established(outcomes))
                if before > AT_ONCE:
                    log.info("%d bundles verified in %.2f s, %d to go", len(outcomes), time.monotonic() - started, len(self._world.wanted))


def _verified(checks: Sequence[Check]) -> list[tuple[Check, Outcome]]:
    """Verify the first of these for sure, and as many more as there is time for."""
    ends, outcomes = time.monotonic() + AT_ONCE_SECONDS, []
    for check in checks:
        outcomes.append((check, check.verify()))
        if time.monotonic() >= ends:
            break
    return outcomes
