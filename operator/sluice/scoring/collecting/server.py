"""Two doors: one through which samples are pushed, `POST /`, and one at which they are fetched, `GET /v1/samples?since=TIME`.

They are two, because they are for two sorts of people. Who pushes is a container of the same Pod, on its loopback, so nobody else can speak for the release; or
shows a token. Who fetches comes over the network, and is shown what users wrote: always with a token, the one that the suite names. Tokens are read from their
files each time, so that a Secret can change. `GET /metrics` and `GET /healthz` are at the second door and tell no text.

A push that was taken is answered with 202, and so is one that was there before: who did not hear the answer sends it again. 429 says when to try again, 400
and 413 that this will never do. What is in flight is bounded, one by one and together.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Final

from aiohttp import web

from sluice.api.base import parse_time
from sluice.scoring.collecting.events import BODY_BYTES, Pushed, PushRefused, read_push, read_too_large
from sluice.scoring.collecting.sample import Full, Outcome, Sample

PUSH_SECONDS: Final = 10.0
"""How long a push may take."""
PUSHES_MOST: Final = 16
"""Pushes that are read at a moment."""
TOKEN_BYTES: Final = 16_384
KEEP_ALIVE_SECONDS: Final = 75.0
SHUTDOWN_SECONDS: Final = 1.0

log: Final = logging.getLogger(__name__)


class _Refused(Exception):
    """An HTTP status, and a sentence for whoever sent that."""

    def __init__(self, status: HTTPStatus, message: str, *, retry_seconds: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_seconds = retry_seconds


class CollectingServer:
    """Serves one sample. `push_token`: None where only this Pod can push; `clock` gives the time in UTC."""

    def __init__(self, sample: Sample, *, read_token: Path, push_token: Path | None, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._sample = sample
        self._read_token = read_token
        self._push_token = push_token
        self._clock = clock
        self._pushes = 0
        self._refused = 0
        self._runners: list[web.BaseRunner] = []
        self.push_port = 0
        self.read_port = 0

    async def start(self, *, push: tuple[str, int], read: tuple[str, int]) -> None:
        """Listen at both doors; port 0 lets the system choose, and `push_port` and `read_port` tell what it chose. Raises OSError."""
        reading = web.Application(client_max_size=1024)
        reading.router.add_get("/healthz", self._healthz)
        reading.router.add_get("/metrics", self._metrics)
        reading.router.add_get("/v1/samples", self._samples)
        # What is packed is refused: its size says nothing about what it becomes.
        pushing = web.ServerRunner(
            web.Server(self._push, access_log=None, keepalive_timeout=KEEP_ALIVE_SECONDS, auto_decompress=False), shutdown_timeout=SHUTDOWN_SECONDS,
            handle_signals=False,
        )  # fmt: skip
        fetching = web.AppRunner(reading, access_log=None, keepalive_timeout=KEEP_ALIVE_SECONDS, shutdown_timeout=SHUTDOWN_SECONDS, handle_signals=False)
        self._runners = [pushing, fetching]
        for runner, (host, port) in ((pushing, push), (fetching, read)):
            await runner.setup()
            await web.TCPSite(runner, host, port).start()
        self.push_port, self.read_port = pushing.addresses[0][1], fetching.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening."""
        for runner in self._runners:
            await runner.cleanup()

    async def _push(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            if request.method != "POST":
                raise _Refused(HTTPStatus.METHOD_NOT_ALLOWED, "push with POST; samples are fetched at the other port")
            if self._push_token is not None and not _shows(request, self._push_token):
                raise _Refused(HTTPStatus.UNAUTHORIZED, "show the token as `Authorization: Bearer …`")
            if request.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send it unpacked, without Content-Encoding")
            outcomes = self._take(await self._read(request))
        except _Refused as refused:
            self._refused += 1
            # What users wrote is nobody's business here: messages name members, and hold no text of theirs.
            log.info("a push is refused with %d: %s", refused.status, refused)
            response = web.Response(status=refused.status, text=f"{refused}\n")
            if refused.retry_seconds is not None:
                response.headers["Retry-After"] = str(refused.retry_seconds)
            # What is left of the body is not read.
            response.force_close()
            return response
        return web.Response(status=HTTPStatus.ACCEPTED, text="".join(f"{outcome}\n" for outcome in outcomes))

    async def _read(self, request: web.BaseRequest) -> tuple[Pushed, ...]:
        if self._pushes >= PUSHES_MOST:
            raise _Refused(HTTPStatus.TOO_MANY_REQUESTS, "too many pushes at a time", retry_seconds=1)
        self._pushes += 1
        body = bytearray()
        try:
            async with asyncio.timeout(PUSH_SECONDS):
                async for part in request.content.iter_any():
                    body += part
                    if len(body) > BODY_BYTES:
                        return (read_too_large(request.headers),)
            return read_push(request.headers, bytes(body))
        except PushRefused as error:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE if len(body) > BODY_BYTES else HTTPStatus.BAD_REQUEST, str(error)) from None
        except TimeoutError:
            raise _Refused(HTTPStatus.REQUEST_TIMEOUT, f"not complete within {PUSH_SECONDS:g} s") from None
        finally:
            self._pushes -= 1

    def _take(self, pushes: tuple[Pushed, ...]) -> list[Outcome]:
        try:
            return [self._sample.take(pushed, now=self._clock()) for pushed in pushes]
        except Full as full:
            # What of a batch was taken is known when all of it comes again.
            raise _Refused(HTTPStatus.TOO_MANY_REQUESTS, str(full), retry_seconds=full.seconds) from None

    async def _samples(self, request: web.Request) -> web.StreamResponse:
        if not _shows(request, self._read_token):
            return web.Response(status=HTTPStatus.UNAUTHORIZED, text="show the token of the suite as `Authorization: Bearer …`\n")
        try:
            since = parse_time(request.query["since"])
        except (KeyError, ValueError):
            return web.Response(status=HTTPStatus.BAD_REQUEST, text="say from when on, ?since=2026-01-31T12:00:00Z\n")
        return web.Response(body=b"".join(self._sample.since(since)), content_type="application/jsonl")

    async def _metrics(self, _request: web.Request) -> web.Response:
        # A handful of lines; nothing else of a metrics library is needed.
        lines = [
            "# HELP sluice_collect_pushed_total Halves and exchanges that were pushed, by what became of them.",
            "# TYPE sluice_collect_pushed_total counter",
            *(f'sluice_collect_pushed_total{{outcome="{outcome}"}} {self._sample.outcomes[outcome]}' for outcome in Outcome),
            "# HELP sluice_collect_refused_total Pushes that were answered with an HTTP error.",
            "# TYPE sluice_collect_refused_total counter",
            f"sluice_collect_refused_total {self._refused}",
            "# HELP sluice_collect_kept Exchanges that can be fetched.",
            "# TYPE sluice_collect_kept gauge",
            f"sluice_collect_kept {self._sample.kept}",
            "# HELP sluice_collect_waiting Halves that wait for the other one.",
            "# TYPE sluice_collect_waiting gauge",
            f"sluice_collect_waiting {self._sample.waiting}",
        ]
        return web.Response(text="\n".join([*lines, ""]), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")


def read_token(path: Path) -> bytes:
    """Read a token from its file. Raises ValueError: the file holds none."""
    with path.open("rb") as file:
        token = file.read(TOKEN_BYTES + 1).strip()
    if not 16 <= len(token) <= TOKEN_BYTES or not token.isascii() or any(byte <= 32 for byte in token):  # noqa: PLR2004 - what nobody guesses, without blanks
        raise ValueError(f"{path}: a token is 16 to {TOKEN_BYTES:,} characters of ASCII without blanks")
    return token


def _shows(request: web.BaseRequest, path: Path) -> bool:
    scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
    try:
        wanted = read_token(path)
    except (OSError, ValueError) as error:
        log.warning("nobody is let in: %s", error)
        return False
    return scheme.lower() == "bearer" and hmac.compare_digest(shown.strip().encode("utf-8", "surrogateescape"), wanted)
