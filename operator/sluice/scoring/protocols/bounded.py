"""The outermost of every client: time, and the place where what went wrong becomes a value."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final, Protocol, Self

from sluice.scoring.answer import Answer, Failure, NoAnswer
from sluice.scoring.case import Case
from sluice.scoring.protocols.settings import Limits
from sluice.scoring.protocols.unanswered import Unanswered

MESSAGE_LENGTH: Final = 500


class Transport(Protocol):
    """What has to be opened before anything is asked, and closed after."""

    async def open(self) -> None:
        """Make ready."""

    async def close(self) -> None:
        """Drop all connections."""


class Dialect(Protocol):
    """One protocol: what to send for a case, what the answer is."""

    asks: str
    """What it sends where, for messages: `POST /v1/chat/completions`."""

    async def answer(self, case: Case, *, seed: int) -> Answer:
        """Raises Unanswered, UnsuitableCase."""

    async def ready(self) -> bool:
        """Whether the model can be asked."""


class BoundedClient:
    """A client of one endpoint; an async context manager that belongs to the event loop it was entered in."""

    def __init__(self, dialect: Dialect, transport: Transport, *, limits: Limits) -> None:
        self._dialect = dialect
        self._transport = transport
        self._limits = limits

    async def __aenter__(self) -> Self:
        await self._transport.open()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._transport.close()

    async def ask(self, case: Case, *, seed: int) -> Answer | NoAnswer:
        """See `client.Client.ask`."""
        try:
            async with asyncio.timeout(self._limits.timeout_seconds):
                return await self._dialect.answer(case, seed=seed)
        except TimeoutError:
            return self._none(Failure.TIMEOUT, f"no complete answer within {self._limits.timeout_seconds:g} s")
        except Unanswered as error:
            return self._none(error.failure, error.message)

    async def ready(self) -> bool:
        """See `client.Client.ready`."""
        return await self._dialect.ready()

    def _none(self, failure: Failure, message: str) -> NoAnswer:
        return NoAnswer(failure=failure, message=f"{self._dialect.asks}: {message}"[:MESSAGE_LENGTH])
