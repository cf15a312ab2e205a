"""All scorers of a suite that somebody else runs, asked about the repeats of a case before they are compared."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from fractions import Fraction
from typing import Final, Protocol, Self

from sluice.scoring.answer import Answer, NoAnswer
from sluice.scoring.case import Case
from sluice.scoring.compare import Metrics, Repeat
from sluice.scoring.order import candidate_first
from sluice.scoring.plan import Plan
from sluice.scoring.protocols.client import client_of
from sluice.scoring.protocols.settings import Limits, SettingsError
from sluice.scoring.remote.container import ContainerClient
from sluice.scoring.remote.judge import Judge
from sluice.scoring.scorers.judge import REPLY_LIMIT

AT_ONCE: Final = 8
"""Units that the scorers are asked about at a time."""
_REPLY_BYTES: Final = 64 * REPLY_LIMIT
"""Of a judge's server: what it says around the reply counts as well."""


class Remote(Protocol):
    """One of them."""

    async def __aenter__(self) -> Self:
        """Make ready for requests."""

    async def __aexit__(self, *_: object) -> None:
        """Drop all connections."""

    async def ready(self) -> bool:
        """Whether it can be asked."""

    async def differences(self, case: Case, *, candidate: Answer | NoAnswer, baseline: Answer, again: Answer | None, turned: bool) -> dict[str, Fraction]:
        """What it makes of one repeat, by metric. Raises nothing for what it does."""


class Panel:
    """Asks all of them; an async context manager that belongs to the event loop it was entered in."""

    def __init__(self, remotes: Mapping[str, Remote], *, seed: int) -> None:
        self._remotes = remotes
        self._seed = seed
        self._stack = AsyncExitStack()
        self._at_once = asyncio.Semaphore(AT_ONCE)

    async def __aenter__(self) -> Self:
        for remote in self._remotes.values():
            await self._stack.enter_async_context(remote)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def ready(self) -> bool:
        """Whether all of them can be asked."""
        return all(await asyncio.gather(*(remote.ready() for remote in self._remotes.values())))

    async def heard(self, case: Case, repeats: Sequence[Repeat]) -> list[Repeat]:
        """The repeats, with what was said about them. One whose baseline did not answer is no pair: nobody is asked."""
        if not self._remotes:
            return list(repeats)
        async with self._at_once:
            return [replace(repeat, said=await self._said(case, number, repeat)) for number, repeat in enumerate(repeats)]

    async def _said(self, case: Case, number: int, repeat: Repeat) -> dict[str, Fraction]:
        baseline, again = repeat.baseline.answer, None if repeat.again is None else repeat.again.answer
        if not isinstance(baseline, Answer):
            return {}
        said: dict[str, Fraction] = {}
        for name, remote in self._remotes.items():
            # Not the order in which both sides were asked: a scorer could learn whose answer comes first.
            turned = candidate_first(self._seed, f"{name} {case.id}", number)
            second = again if isinstance(again, Answer) else None
            said |= await remote.differences(case, candidate=repeat.candidate.answer, baseline=baseline, again=second, turned=turned)
        return said


def panel_of(plan: Plan, metrics: Metrics, *, timeout_seconds: float, tokens: Mapping[str, str]) -> Panel:
    """Make clients of all scorers that somebody else runs; `tokens` by metric.

    Raises SettingsError for one of which the plan does not say where it is, and for an address or a token that cannot be used.
    """
    homeless = sorted(set(metrics.remotes) - plan.scorer_endpoints.keys())
    if homeless:
        raise SettingsError(f"nobody says where scorer {homeless[0]} answers: at a desk, add --scorer {homeless[0]}=http://127.0.0.1:8100")
    remotes: dict[str, Remote] = {
        name: ContainerClient(name, plan.scorer_endpoints[name][0], timeout_seconds=timeout_seconds) for name in sorted(metrics.containers)
    }
    for name, settings in sorted(metrics.judges.items()):
        limits = Limits(timeout_seconds=settings.timeout_seconds, response_bytes=_REPLY_BYTES)
        clients = [client_of(settings.protocol, address, token=tokens.get(name), limits=limits) for address in plan.scorer_endpoints[name]]
        remotes[name] = Judge(name, settings, clients)
    return Panel(remotes, seed=plan.seed)
