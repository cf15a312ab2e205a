"""One bounded HTTP exchange with a model server.

Nothing is taken from the environment: no proxy, no netrc, no cookie; TLS trusts the authorities that the system trusts. Redirects are not followed, so a
token reaches the endpoint only. No compression is offered and none is taken, so a byte that was counted is a byte. Each request has a connection of its own:
a server that closes an idle connection just when it is used again would cost the candidate an answer.

Time is bounded around all of this (`bounded`), bytes and events here.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final, Protocol

import aiohttp
from yarl import URL

from sluice.scoring.answer import Failure
from sluice.scoring.case import Json
from sluice.scoring.protocols import documents, wording
from sluice.scoring.protocols.endpoint import Endpoint
from sluice.scoring.protocols.events import EventReader
from sluice.scoring.protocols.settings import Limits
from sluice.scoring.protocols.unanswered import Unanswered, malformed

ERROR_BYTES: Final = 4096
ERROR_SECONDS: Final = 1.0
_READY_SECONDS: Final = 5.0
_OK: Final = range(200, 300)
_REDIRECTS: Final = range(300, 400)
_ABOUT_CREDENTIALS: Final = frozenset({401, 403, 407})


class Sink(Protocol):
    """Where the events of a stream go."""

    @property
    def complete(self) -> bool:
        """Whether the stream may end here."""

    def take(self, data: bytes, elapsed: float) -> bool:
        """Take the data of an event, seconds since the request; says whether it was the last one that matters. Raises Unanswered."""


class Budget:
    """What one answer may still take, over all of its requests."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._bytes = 0
        self._events = 0

    def take_bytes(self, count: int) -> None:
        """Raises Unanswered (TooLarge)."""
        self._bytes += count
        if self._bytes > self._limits.response_bytes:
            raise Unanswered(Failure.TOO_LARGE, f"the answer is larger than {self._limits.response_bytes:,} bytes")

    def take_event(self) -> None:
        """Raises Unanswered (TooLarge)."""
        self._events += 1
        if self._events > self._limits.stream_events:
            raise Unanswered(Failure.TOO_LARGE, f"the answer has more than {self._limits.stream_events:,} events")


class HttpChannel:
    """Requests to one endpoint; to be opened and closed in the event loop that uses it. The caller bounds how many run at once."""

    def __init__(self, endpoint: Endpoint, *, token: str | None, limits: Limits) -> None:
        self._endpoint = endpoint
        self._token = token
        self._limits = limits
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make ready for requests; connects to nothing yet."""
        credentials = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True, ssl=ssl.create_default_context() if self._endpoint.tls else True),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            headers={"Accept-Encoding": "identity", "User-Agent": "sluice", **credentials},
            auto_decompress=False,
        )

    async def close(self) -> None:
        """Drop all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(
        self, path: str, document: Json, *, budget: Budget, method: str = "POST", query: str = "", headers: Mapping[str, str] | None = None
    ) -> tuple[Json, float]:
        """Send a JSON document (none with GET) and read one; the seconds are from the request to the last byte. Raises Unanswered."""
        begun = time.monotonic()
        async with self._response(method, path, query, document, headers or {}) as response:
            if response.headers.get("Inference-Header-Content-Length"):
                raise malformed("the answer has binary tensors, which were not asked for")
            raw = await _whole(response, budget)
        seconds = time.monotonic() - begun
        return documents.parse(raw, what="the answer", limits=self._limits), seconds

    async def read(self, path: str, *, query: str, budget: Budget) -> bytes:
        """Get what is there, as it is. Raises Unanswered."""
        async with self._response("GET", path, query, None, {"Accept": "application/jsonl"}) as response:
            return await _whole(response, budget)

    async def follow(self, path: str, document: Json, sink: Sink, *, budget: Budget) -> float:
        """Send a JSON document and give the events of the answer to `sink` until it has enough; returns the seconds until then. Raises Unanswered."""
        begun = time.monotonic()
        async with self._response("POST", path, "", document, {"Accept": "text/event-stream"}) as response:
            if response.content_type != "text/event-stream":
                raise malformed("the answer is no text/event-stream, which was asked for")
            reader = EventReader()
            async for piece in response.content.iter_any():
                budget.take_bytes(len(piece))
                elapsed = time.monotonic() - begun
                for data in reader.feed(piece):
                    budget.take_event()
                    if sink.take(data, elapsed):
                        return elapsed
        if sink.complete:
            return time.monotonic() - begun
        raise Unanswered(Failure.UNREACHABLE, "the stream ended before the answer was complete")

    async def succeeds(self, path: str) -> bool:
        """Whether a GET is answered 2xx within five seconds."""
        return await self._status(path) in _OK

    async def answers(self, path: str) -> bool:
        """Whether a GET is answered at all within five seconds."""
        return await self._status(path) is not None

    @asynccontextmanager
    async def _response(self, method: str, path: str, query: str, document: Json, headers: Mapping[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        """A response that is a success, its body unread."""
        async with self._requested(method, path, query, document, headers) as response:
            if response.status in _REDIRECTS:
                raise Unanswered(Failure.REFUSED, f"answered {response.status}; redirects are not followed")
            if response.status not in _OK:
                raise Unanswered(Failure.REFUSED, f"answered {response.status}{await self._words(response)}")
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise malformed("the answer is compressed, which was not asked for")
            yield response

    @asynccontextmanager
    async def _requested(self, method: str, path: str, query: str, document: Json, headers: Mapping[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            raise RuntimeError("the client is used outside of its `async with`")
        url = URL(f"{self._endpoint.origin}{path}{'?' if query else ''}{query}", encoded=True)
        body = None if method == "GET" else json.dumps(document, allow_nan=False).encode()
        content = {} if body is None else {"Content-Type": "application/json"}
        try:
            async with self._session.request(
                method, url, data=body, headers={"Accept": "application/json", **headers, **content}, allow_redirects=False
            ) as response:
                yield response
        except aiohttp.ClientResponseError as error:
            raise malformed(f"the answer is no HTTP ({type(error).__name__})") from None
        except aiohttp.ClientPayloadError:
            raise Unanswered(Failure.UNREACHABLE, "the connection broke before the answer was complete") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unanswered(Failure.UNREACHABLE, f"no answer came over the connection ({type(error).__name__})") from None

    async def _status(self, path: str) -> int | None:
        try:
            async with asyncio.timeout(_READY_SECONDS), self._requested("GET", path, "", None, {}) as response:
                return response.status
        except (Unanswered, TimeoutError):
            return None

    async def _words(self, response: aiohttp.ClientResponse) -> str:
        """What the server says about its refusal: one line without the token, empty when it may be about credentials."""
        if response.status in _ABOUT_CREDENTIALS:
            return ""
        raw = b""
        try:
            async with asyncio.timeout(ERROR_SECONDS):
                async for piece in response.content.iter_any():
                    raw += piece
                    if len(raw) > ERROR_BYTES:
                        # No message for people; cutting it could cut through a token, which would then not be recognised.
                        return ""
        except (TimeoutError, aiohttp.ClientError):
            # It has refused already; what it would have said does not matter.
            return ""
        return wording.in_document(raw, token=self._token, limits=self._limits)


async def _whole(response: aiohttp.ClientResponse, budget: Budget) -> bytes:
    raw = bytearray()
    async for piece in response.content.iter_any():
        budget.take_bytes(len(piece))
        raw += piece
    return bytes(raw)
