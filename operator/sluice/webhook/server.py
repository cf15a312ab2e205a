"""The HTTPS server around `admission.review`, and the plain one for probes and metrics.

Two paths, POST only; anything else is an HTTP error and never an answer. No request waits for anything but its own bytes: there is no I/O between the
body and the answer, so the deadline is about reading. Bodies are bounded one by one and together, because whoever reaches the port may send them.

Ending: readiness goes first, then the listener keeps answering for `drain_seconds` and asks each client to reconnect elsewhere, then it closes, and what is
in flight ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from time import perf_counter
from typing import Final

from aiohttp import web

from sluice.webhook.admission import Path, review
from sluice.webhook.metrics import Metrics
from sluice.webhook.review import MAX_BODY_BYTES
from sluice.webhook.sight import Sight
from sluice.webhook.tls import SwappableTls

MAX_BODIES_BYTES: Final = 64 << 20
"""All bodies that are being read at a moment."""
KEEP_ALIVE_SECONDS: Final = 180.0
"""Longer than the 90 s after which an API server drops idle connections: so it is never us who close one that it is about to use."""
SHUTDOWN_SECONDS: Final = 5.0

log: Final = logging.getLogger(__name__)


class _Unanswered(Exception):
    """An HTTP status instead of a review; the API server then goes by its failure policy, and L0's gates."""

    def __init__(self, status: int, cause: str) -> None:
        self.status = status
        self.cause = cause
        super().__init__(cause)


class AdmissionServer:
    """`look` gives what is known at the moment of a request."""

    def __init__(self, look: Callable[[], Sight], tls: SwappableTls, metrics: Metrics, *, deadline_seconds: float, drain_seconds: float) -> None:
        self._look = look
        self._tls = tls
        self._metrics = metrics
        self._deadline_seconds = deadline_seconds
        self._drain_seconds = drain_seconds
        self._reading_bytes = 0
        self._draining = False
        self._runners: list[web.BaseRunner] = []
        self.port = 0
        self.probe_port = 0

    @property
    def unready(self) -> str:
        """Why it should get no requests now; empty when it should."""
        if self._draining:
            return "shutting down"
        if not self._tls.serving:
            return "there is no serving certificate yet"
        return self._look().blind

    async def start(self, *, host: str, port: int, probe_port: int) -> None:
        """Listen; port 0 lets the system choose, and `port` and `probe_port` tell what it chose."""
        admission = web.ServerRunner(
            web.Server(self._handle, access_log=None, keepalive_timeout=KEEP_ALIVE_SECONDS), shutdown_timeout=SHUTDOWN_SECONDS, handle_signals=False
        )
        probes = web.Application()
        probes.router.add_get("/healthz", self._healthz)
        probes.router.add_get("/readyz", self._readyz)
        probes.router.add_get("/metrics", self._metrics_page)
        probing = web.AppRunner(probes, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS, handle_signals=False)
        self._runners = [admission, probing]
        for runner in self._runners:
            await runner.setup()
        await web.TCPSite(admission, host, port, ssl_context=self._tls.context, backlog=1024).start()
        await web.TCPSite(probing, host, probe_port).start()
        self.port, self.probe_port = admission.addresses[0][1], probing.addresses[0][1]

    async def stop(self) -> None:
        """Leave without dropping a request."""
        self._draining = True
        await asyncio.sleep(self._drain_seconds)
        for runner in self._runners:
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            path = Path(request.path)
            if request.method != "POST":
                raise _Unanswered(405, "Method")
        except ValueError:
            return self._error(request, _Unanswered(404, "Path"))
        except _Unanswered as error:
            return self._error(request, error)
        try:
            body = await self._body(request)
        except _Unanswered as error:
            return self._error(request, error)
        started = perf_counter()
        reply = review(path, body, self._look())
        self._metrics.answered(path, reply.action, reply.reason, seconds=perf_counter() - started)
        response = web.Response(body=reply.body, content_type="application/json")
        if self._draining:
            response.force_close()
        return response

    async def _body(self, request: web.BaseRequest) -> bytes:
        declared = request.content_length
        if declared is not None and declared > MAX_BODY_BYTES:
            raise _Unanswered(413, "BodyTooLarge")
        reserved = MAX_BODY_BYTES if declared is None else declared
        if self._reading_bytes + reserved > MAX_BODIES_BYTES:
            raise _Unanswered(503, "TooManyBodies")
        self._reading_bytes += reserved
        try:
            async with asyncio.timeout(self._deadline_seconds):
                parts, size = [], 0
                async for part in request.content.iter_any():
                    parts.append(part)
                    size += len(part)
                    if size > MAX_BODY_BYTES:
                        raise _Unanswered(413, "BodyTooLarge")
                return b"".join(parts)
        except TimeoutError:
            raise _Unanswered(408, "Deadline") from None
        finally:
            self._reading_bytes -= reserved

    def _error(self, request: web.BaseRequest, error: _Unanswered) -> web.Response:
        self._metrics.unanswered(error.cause)
        log.warning("no review for %.40s %.80s from %s: %s", request.method, request.path, request.remote, error.cause)
        response = web.Response(status=error.status, text=f"{error.cause}\n")
        # What is left of the body is not read.
        response.force_close()
        return response

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        unready = self.unready
        return web.Response(status=503 if unready else 200, text=f"{unready or 'ok'}\n")

    async def _metrics_page(self, _request: web.Request) -> web.Response:
        page = await asyncio.to_thread(self._metrics.render)
        return web.Response(body=page, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})
