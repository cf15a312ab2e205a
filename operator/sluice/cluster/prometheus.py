"""Asks the Prometheus that the installation names, over its HTTP API: bounded in time and bytes, at one address that no tenant has a say in.

What comes back is bytes; what they mean is `sluice.scoring.prometheus`. An answer that says what is wrong with the query is an answer.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

import aiohttp

from sluice.scoring.prometheus import ANSWER_LIMIT

ANSWER_SECONDS: Final = 10.0
AT_ONCE: Final = 4
"""Queries at once: monitors of a thousand releases are a load that Prometheus has to carry beside its own."""
_TOKEN_LIMIT: Final = 64 * 1024
_SAYS_WHAT_IS_WRONG: Final = frozenset({200, 400, 422})
"""HTTP statuses with a JSON body about the query (Prometheus documentation, "HTTP API: format overview"); 503 is about the server."""


class Unread(StrEnum):
    """Why there is no answer."""

    UNREACHABLE = "Unreachable"
    STATUS = "Status"
    TOO_LARGE = "TooLarge"
    CREDENTIALS = "Credentials"


class PrometheusError(Exception):
    """There is no answer. `cause` is a word of ours, for a metric; the text is for people."""

    def __init__(self, cause: Unread, message: str) -> None:
        self.cause = cause
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusServer:
    """Where Prometheus is and how to prove who we are. Raises ValueError for an address that is none, or that would send a token in the clear."""

    url: str
    """`http://` or `https://`, with the path that it is served at, if any."""
    token_file: Path | None = None
    """Holds a bearer token; read anew for each query, so that a rotated one is used."""
    ca_file: Path | None = None
    """The CA of its certificate; None: those of the system."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or parts.username or parts.password:
            raise ValueError(f"--prometheus-url is {self.url[:200]!r}; write http(s)://HOST[:PORT][/PATH], and credentials in --prometheus-token-file")
        if self.token_file is not None and parts.scheme != "https":
            raise ValueError("--prometheus-token-file needs an https address: the token would be readable on the way")


class PrometheusClient:
    """An async context manager that belongs to the event loop it was entered in."""

    def __init__(self, server: PrometheusServer) -> None:
        self._server = server
        self._session: aiohttp.ClientSession | None = None
        self._at_once = asyncio.Semaphore(AT_ONCE)

    async def __aenter__(self) -> Self:
        """Open. Raises OSError and ssl.SSLError for a CA that cannot be read."""
        tls = await asyncio.to_thread(_tls, self._server.ca_file)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls, limit=AT_ONCE), timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, trust_env=False,
        )  # fmt: skip
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def instant(self, promql: str, *, at: datetime) -> bytes:
        """The answer to a query at one moment. Raises PrometheusError."""
        return await self._ask("query", {"query": promql, "time": _time(at)})

    async def over(self, promql: str, *, start: datetime, end: datetime, step: timedelta) -> bytes:
        """The answer to a query at each `step` from `start` to `end`. Raises PrometheusError."""
        return await self._ask("query_range", {"query": promql, "start": _time(start), "end": _time(end), "step": f"{step.total_seconds():.3f}"})

    async def _ask(self, endpoint: str, fields: Mapping[str, str]) -> bytes:
        if self._session is None:
            raise RuntimeError("PrometheusClient is used outside its `async with`")
        # Not compressed: a few bytes could become many.
        headers = {"Accept-Encoding": "identity"} | await asyncio.to_thread(self._authorization)
        url = f"{self._server.url.rstrip('/')}/api/v1/{endpoint}"
        form = {**fields, "timeout": f"{ANSWER_SECONDS:.0f}s"}
        try:
            # A form: queries may be longer than what servers take in an address.
            async with self._at_once, self._session.post(url, data=form, headers=headers, allow_redirects=False) as response:
                if response.status not in _SAYS_WHAT_IS_WRONG:
                    raise PrometheusError(Unread.STATUS, f"Prometheus answers HTTP {response.status}")
                content = bytearray()
                async for chunk in response.content.iter_any():
                    content += chunk
                    if len(content) > ANSWER_LIMIT:
                        raise PrometheusError(Unread.TOO_LARGE, f"the answer is larger than {ANSWER_LIMIT:,} bytes: aggregate in the query, such as sum by (…)")
                return bytes(content)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            what = f"no answer within {ANSWER_SECONDS:.0f} s" if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}"
            raise PrometheusError(Unread.UNREACHABLE, f"Prometheus cannot be asked: {what[:300]}") from None

    def _authorization(self) -> dict[str, str]:
        if self._server.token_file is None:
            return {}
        try:
            with self._server.token_file.open("rb") as file:
                token = file.read(_TOKEN_LIMIT).decode("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise PrometheusError(Unread.CREDENTIALS, f"the token for Prometheus cannot be read: {type(error).__name__}") from None
        if not token.isprintable() or not token:
            raise PrometheusError(Unread.CREDENTIALS, "the file with the token for Prometheus holds none")
        return {"Authorization": f"Bearer {token}"}


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _time(moment: datetime) -> str:
    return f"{moment.timestamp():.3f}"
