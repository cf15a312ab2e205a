"""A fake API server: each request takes the next step of the script that the test wrote for its kind of request.

The last step of a script repeats. A step gets the request and returns a response, or streams one itself.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from kubernetes.client import Configuration

from sluice.cluster.connection import Connection

Step = Callable[[web.Request], Awaitable[web.StreamResponse]]
Object = dict[str, Any]


class ScriptedServer:
    """Scripts by kind of request: `lists`, `watches` (collections), `others`. `requests` keeps what was asked, `bodies` what was sent."""

    def __init__(self) -> None:
        self.lists: list[Step] = []
        self.watches: list[Step] = [forever()]
        self.others: list[Step] = []
        self.requests: list[web.Request] = []
        self.bodies: list[Any] = []
        self._port = 0
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; after a stop, at the same port as before."""
        application = web.Application(client_max_size=64 << 20)
        application.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, shutdown_timeout=0.01, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """End every connection and refuse new ones."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def connection(self) -> Connection:
        """Settings that lead here."""
        return Connection(Configuration(host=f"http://127.0.0.1:{self._port}", proxy=""))

    def asked(self, **query: str | None) -> list[web.Request]:
        """Requests with these query parameters; None stands for absent."""
        return [request for request in self.requests if all(request.query.get(name) == value for name, value in query.items())]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        body = await request.read()
        self.bodies.append(json.loads(body) if body else None)
        if "watch" in request.query:
            script = self.watches
        elif "limit" in request.query:
            script = self.lists
        else:
            script = self.others
        step = script.pop(0) if len(script) > 1 else script[0]
        return await step(request)


def pod(name: str, version: int, **spec: object) -> Object:
    """A Pod in namespace `a`."""
    return {"metadata": {"namespace": "a", "name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}, "spec": spec}


def answer(document: object, status: int = 200) -> Step:
    """Answer with a JSON document."""

    async def step(_: web.Request) -> web.StreamResponse:
        return web.json_response(document, status=status)

    return step


def text(content: str, status: int = 200, **headers: str) -> Step:
    """Answer with something that need not be JSON."""

    async def step(_: web.Request) -> web.StreamResponse:
        return web.Response(text=content, status=status, headers=headers)

    return step


def refusal(status: int, reason: str = "", message: str = "", **details: object) -> Step:
    """Answer with a Kubernetes `Status`."""
    return answer({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "reason": reason, "message": message, **details}, status)


def page(version: int, *items: Object, more: str = "") -> Step:
    """Answer with a list, or a part of one."""
    return answer({"kind": "List", "metadata": {"resourceVersion": str(version), "continue": more}, "items": list(items)})


def after(opened: asyncio.Event, then: Step) -> Step:
    """Answer only once the test opens the gate."""

    async def step(request: web.Request) -> web.StreamResponse:
        await opened.wait()
        return await then(request)

    return step


def event(type_: str, obj: Object) -> bytes:
    """One line of a watch."""
    return json.dumps({"type": type_, "object": obj}).encode() + b"\n"


def bookmark(version: int) -> bytes:
    """The line that tells how far the watch is."""
    return event("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": str(version)}})


def stream(*lines: bytes, ends: str = "never") -> Step:
    """Watch: send lines, then go silent (`never`), end it as servers do (`cleanly`) or cut the connection (`cut`)."""

    async def step(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for line in lines:
            await response.write(line)
        if ends == "never":
            await asyncio.Event().wait()
        if ends == "cut" and request.transport is not None:
            # Let what was written leave first: an abort throws it away.
            await asyncio.sleep(0.05)
            request.transport.abort()
        return response

    return step


def forever() -> Step:
    """Watch: say nothing, for ever."""
    return stream()


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait for a condition; raises `TimeoutError` when it does not come true."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - any condition
            await asyncio.sleep(0.005)
