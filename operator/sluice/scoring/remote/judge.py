"""Asks a language model which of two answers is better, twice, with positions swapped; and on the side, how good a judge it is.

Its Pods are asked by the same client as every model server, at temperature 0. Which Pod is asked follows from the case; another one is asked when the first
says nothing. What nobody answers is nobody's fault: such a unit has no pair, and is counted. A reply that is no verdict counts for the baseline
(`sluice.scoring.scorers.judge`).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from fractions import Fraction
from typing import Final, Self

from sluice.scoring.answer import Answer, NoAnswer
from sluice.scoring.case import Case, Chat
from sluice.scoring.protocols.client import Client
from sluice.scoring.remote.container import AGAIN_AFTER_SECONDS, Unavailable
from sluice.scoring.remote.settings import JudgeSettings
from sluice.scoring.scorers.judge import Preference, Verdict, contradicts, difference_of, judging_messages, known_of, preference_of, shown_of, verdict_of
from sluice.scoring.tally import KNOWN, LOST, NOISE, SWAPPED, WORST

_KNOWN_DIFFERENCE: Final = {Preference.CANDIDATE: Fraction(0), Preference.TIE: Fraction(-1, 2), Preference.BASELINE: WORST}

log: Final = logging.getLogger(__name__)


class Judge:
    """One judge, at one or more addresses; an async context manager that belongs to the event loop it was entered in."""

    def __init__(self, name: str, settings: JudgeSettings, clients: Sequence[Client]) -> None:
        self._name = name
        self._settings = settings
        self._clients = clients
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for client in self._clients:
            await self._stack.enter_async_context(client)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def ready(self) -> bool:
        """Whether one of its Pods can be asked."""
        return any(await asyncio.gather(*(client.ready() for client in self._clients)))

    async def differences(self, case: Case, *, candidate: Answer | NoAnswer, baseline: Answer, again: Answer | None, turned: bool) -> dict[str, Fraction]:
        """What it makes of one repeat of a case. `turned`: the candidate's answer is read first in the first of two questions."""
        name, known = self._name, known_of(case)
        differences: dict[str, Fraction] = {LOST + name: Fraction(0)}
        try:
            if isinstance(candidate, NoAnswer):
                differences[name] = WORST
            else:
                preference, contradiction = await self._prefers(case, shown_of(candidate), shown_of(baseline), turned=turned)
                differences |= {name: Fraction(difference_of(preference)), SWAPPED + name: Fraction(-int(contradiction))}
            if again is not None:
                preference, _ = await self._prefers(case, shown_of(again), shown_of(baseline), turned=turned)
                differences[NOISE + name] = Fraction(difference_of(preference))
            if known is not None:
                preference, _ = await self._prefers(case, *known, turned=turned)
                differences[KNOWN + name] = _KNOWN_DIFFERENCE[preference]
        except Unavailable:
            return {LOST + name: WORST}
        return differences

    async def _prefers(self, case: Case, one: str, other: str, *, turned: bool) -> tuple[Preference, bool]:
        """What two questions come to (`one` in the place of the candidate), and whether the two verdicts contradict each other."""
        places = [(one, other), (other, one)]
        verdicts: dict[bool, Verdict | None] = {}
        for straight in (True, False) if turned else (False, True):
            first, second = places[not straight]
            verdicts[straight] = await self._verdict(case, judging_messages(case, first=first, second=second, rubric=self._settings.rubric))
        return preference_of(candidate_first=verdicts[True], baseline_first=verdicts[False]), contradicts(verdicts[True], verdicts[False])

    async def _verdict(self, case: Case, messages: Sequence[Mapping[str, str]]) -> Verdict | None:
        asked = Case(id=case.id, input=Chat(turns=(tuple(messages),)))
        first = hashlib.sha256(case.id.encode()).digest()[0]
        for attempt in range(max(2, len(self._clients))):
            reply = await self._clients[(first + attempt) % len(self._clients)].ask(asked, seed=0)
            if isinstance(reply, Answer):
                return verdict_of(reply.text)
            log.warning("case %s: judge %s: %s", case.id, self._name, reply.message)
            await asyncio.sleep(AGAIN_AFTER_SECONDS)
        raise Unavailable
