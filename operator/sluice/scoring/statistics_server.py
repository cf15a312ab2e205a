"""What a scorer answers: `GET /v1/statistics`, `GET /v1/samples`, `GET /healthz`, `POST /v1/end`.

The controller reads, as often as it likes and from the beginning if it was restarted; so the scorer stays when everything is scored, and goes when it is
told to, with the token of its plan. The same token shows what every answer was, which may be what users wrote. Nothing that is sent here changes a number.
Requests are small and bounded; a NetworkPolicy says who may send them at all.
"""

from __future__ import annotations

import asyncio
import os
from typing import Final, Protocol

from aiohttp import web

from sluice.scoring.plan import Plan
from sluice.scoring.samples import Sink
from sluice.scoring.tally import ShardStatistics
from sluice.scoring.wire import as_json, look_as_json

BODY_BYTES: Final = 1024
KEEP_ALIVE_SECONDS: Final = 30.0
SHUTDOWN_SECONDS: Final = 1.0
_CHUNK_BYTES: Final = 128 * 1024


class Counts(Protocol):
    """What is served: a worker that asks, or one that counts recorded pairs."""

    def statistics(self) -> ShardStatistics:
        """What is known now."""


def _forbidden() -> web.Response:
    return web.Response(status=403, text="show the endToken of the plan as `Authorization: Bearer …`\n")


class StatisticsServer:
    """Serves one worker; `ended` is set when somebody with the token has asked to end."""

    def __init__(self, plan: Plan, worker: Counts, *, sink: Sink | None = None) -> None:
        self._plan = plan
        self._worker = worker
        self._sink = sink
        self._looks: list[bytes] = []
        self._runner: web.AppRunner | None = None
        self.ended = asyncio.Event()
        self.port = 0

    async def start(self, *, host: str, port: int) -> None:
        """Listen; port 0 lets the system choose, and `port` tells what it chose. Raises OSError."""
        application = web.Application(client_max_size=BODY_BYTES)
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/v1/statistics", self._statistics)
        application.router.add_get("/v1/samples", self._samples, allow_head=False)
        application.router.add_post("/v1/end", self._end)
        self._runner = web.AppRunner(
            application, access_log=None, keepalive_timeout=KEEP_ALIVE_SECONDS, shutdown_timeout=SHUTDOWN_SECONDS, handle_signals=False
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _statistics(self, _request: web.Request) -> web.Response:
        statistics = self._worker.statistics()
        # A complete look never changes: each is written once.
        self._looks.extend(look_as_json(look) for look in statistics.looks[len(self._looks) :])
        return web.Response(body=as_json(statistics, self._looks), content_type="application/json")

    async def _samples(self, request: web.Request) -> web.StreamResponse:
        if not self._permitted(request):
            return _forbidden()
        if self._sink is None:
            return web.Response(status=404, text="no samples are kept: the scorer was started without --samples\n")
        # Opened here and now: in the time in which `FileResponse` comes to open a path the last unit may be scored, and the file have another name.
        with self._sink.so_far() as file:
            response = web.StreamResponse(headers={"Content-Type": "application/jsonl"})
            response.content_length = left = os.fstat(file.fileno()).st_size
            await response.prepare(request)
            while chunk := await asyncio.to_thread(file.read, min(left, _CHUNK_BYTES)):
                await response.write(chunk)
                left -= len(chunk)
            await response.write_eof()
        return response

    def _permitted(self, request: web.Request) -> bool:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return scheme == "Bearer" and self._plan.ends(token)

    async def _end(self, request: web.Request) -> web.Response:
        if not self._permitted(request):
            return _forbidden()
        self.ended.set()
        return web.Response(status=202, text="ending\n")
