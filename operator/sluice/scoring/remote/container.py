"""Asks a scorer of one's own, in a container, about one answer at a time: `POST /score` by docs/scorer-contract.md.

Two things can go wrong, and they are kept apart. A reply that is no score says something about the answer (what a scorer cannot read counts as if that side had
not answered). No reply at all, after a second attempt, says something about the scorer: nobody is blamed, and such units are counted.
"""

from __future__ import annotations

import asyncio
import logging
from fractions import Fraction
from typing import Final, Self

import aiohttp
from yarl import URL

from sluice.scoring.answer import Answer, NoAnswer
from sluice.scoring.case import Case
from sluice.scoring.protocols.endpoint import Endpoint
from sluice.scoring.scorers.container import PATH, REPLY_LIMIT, ReplyError, request_of, score_from
from sluice.scoring.scorers.score import Score
from sluice.scoring.tally import LOST, NOISE, WORST

AGAIN_AFTER_SECONDS: Final = 0.2
_READY_SECONDS: Final = 5.0
_OK: Final = 200

log: Final = logging.getLogger(__name__)


class Unavailable(Exception):
    """The scorer said nothing."""


class ContainerClient:
    """One scorer; an async context manager that belongs to the event loop it was entered in. Raises SettingsError for an address that is none."""

    def __init__(self, name: str, endpoint: str, *, timeout_seconds: float) -> None:
        self._name = name
        self._origin = Endpoint.parse(endpoint).origin
        self._timeout_seconds = timeout_seconds
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._timeout_seconds),
            headers={"Accept-Encoding": "identity", "Content-Type": "application/json"},
            auto_decompress=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ready(self) -> bool:
        """Whether it answers at all, whatever."""
        try:
            async with self._opened.get(self._origin, timeout=aiohttp.ClientTimeout(total=_READY_SECONDS), allow_redirects=False):
                return True
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False

    async def differences(self, case: Case, *, candidate: Answer | NoAnswer, baseline: Answer, again: Answer | None, turned: bool) -> dict[str, Fraction]:
        """What it makes of one repeat of a case. `turned`: the candidate's answer is scored first; the scorer is not told whose it is."""
        sides = {"candidate": candidate, "baseline": baseline}
        said: dict[str, Score | None] = {}
        try:
            for side in sides if turned else reversed(sides):
                answer = sides[side]
                said[side] = None if isinstance(answer, NoAnswer) else await self._score(case, answer)
            noise = None if again is None else await self._score(case, again)
        except Unavailable:
            return {LOST + self._name: WORST}
        own = said["baseline"]
        if own is None or own.value is None:
            return {}
        differences = {LOST + self._name: Fraction(0), self._name: _against(said["candidate"], own.value)}
        return differences if again is None else differences | {NOISE + self._name: _against(noise, own.value)}

    async def _score(self, case: Case, answer: Answer) -> Score | None:
        """The score; None for a reply that is none. Raises Unavailable."""
        body = request_of(case, answer)
        for last in (False, True):
            try:
                return await self._asked(case, body)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                if last:
                    log.warning("case %s: scorer %s does not answer: %s", case.id, self._name, type(error).__name__)
                    raise Unavailable from None
            await asyncio.sleep(AGAIN_AFTER_SECONDS)
        raise Unavailable

    async def _asked(self, case: Case, body: bytes) -> Score | None:
        async with self._opened.post(URL(self._origin + PATH, encoded=True), data=body, allow_redirects=False) as response:
            if response.status != _OK:
                log.warning("case %s: scorer %s answers %d, which counts as no score", case.id, self._name, response.status)
                return None
            reply = bytearray()
            async for piece in response.content.iter_any():
                reply += piece
                if len(reply) > REPLY_LIMIT:
                    # One byte too many is enough for the reader to refuse it.
                    break
        try:
            return score_from(bytes(reply))
        except ReplyError as error:
            log.warning("case %s: scorer %s: %s", case.id, self._name, error)
            return None

    @property
    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("ContainerClient is used outside its `async with`")
        return self._session


def _against(score: Score | None, baseline: float) -> Fraction:
    # The decimal number that a person reads, as everywhere.
    return WORST if score is None or score.value is None else Fraction(repr(score.value)) - Fraction(repr(baseline))
