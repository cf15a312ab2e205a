"""Model servers that follow a script: over HTTP, over gRPC, over bare connections."""

from __future__ import annotations

import asyncio
import json
import ssl
import struct
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import grpc
from aiohttp import web
from grpc import aio

from tests.faults.scripted import Step


class ModelServer:
    """Takes the next step of the script for each request; the last one repeats. Keeps what was asked."""

    def __init__(self, *script: Step, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.script = list(script)
        self.paths: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.bodies: list[Any] = []
        self.address = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        application = web.Application(client_max_size=64 << 20)
        application.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, shutdown_timeout=0.01, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        self.address = f"{'https' if self._tls else 'http'}://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.paths.append(f"{request.method} {request.raw_path}")
        self.headers.append(request.headers)
        body = await request.read()
        self.bodies.append(json.loads(body) if body else None)
        return await (self.script.pop(0) if len(self.script) > 1 else self.script[0])(request)


def events(*data: object, ends: str = "cleanly", content_type: str = "text/event-stream") -> Step:
    """Stream events, then end it as servers do (`cleanly`), go silent (`never`) or cut the connection (`cut`). A string is sent as it is."""

    async def step(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": content_type})
        await response.prepare(request)
        for datum in data:
            await response.write(f"data: {datum if isinstance(datum, str) else json.dumps(datum)}\n\n".encode())
        if ends == "never":
            await asyncio.Event().wait()
        if ends == "cut" and request.transport is not None:
            # Let what was written leave first: an abort throws it away.
            await asyncio.sleep(0.05)
            request.transport.abort()
        return response

    return step


def endless(piece: bytes, *, pause: float = 0.0, content_type: str = "application/json") -> Step:
    """Send the same piece over and over, with a pause in seconds between."""

    async def step(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": content_type})
        await response.prepare(request)
        while True:
            await response.write(piece)
            await asyncio.sleep(pause)

    return step


class _Bare(ABC):
    """A listening socket of our own."""

    def __init__(self) -> None:
        self.address = ""
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        if self._talks:
            # The client is gone, so each of them comes to its end.
            await asyncio.wait(self._talks)

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.get_running_loop().create_task(self._talked(reader, writer))
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)

    async def _talked(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The client hangs up when it has heard enough, at whatever byte that is.
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await self._talk(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    @abstractmethod
    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""


class BareServer(_Bare):
    """Reads a request of up to 64 KiB, writes `answer` whatever was asked, and closes the connection."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self.answer = answer

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 16)
        writer.write(self.answer)
        await writer.drain()


class BareGrpcServer(_Bare):
    """Answers one call with a message as it is, compressed or not, by frames of its own: gRPC's server sends only what the client said it takes.

    Source: RFC 9113 section 4.1 (frames) and the document "gRPC over HTTP2" (length-prefixed messages).
    """

    def __init__(self, message: bytes, *, encoding: bytes) -> None:
        super().__init__()
        prefixed = bytes([encoding != b"identity"]) + struct.pack(">I", len(message)) + message
        self.answer = b"".join(
            [
                _frame(_HEADERS, _END_HEADERS, _STATUS_200 + _header(b"content-type", b"application/grpc") + _header(b"grpc-encoding", encoding)),
                *(_frame(_DATA, 0, prefixed[start : start + 16_000]) for start in range(0, len(prefixed), 16_000)),
                _frame(_HEADERS, _END_HEADERS | _END_STREAM, _header(b"grpc-status", b"0")),
            ]
        )

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_frame(_SETTINGS, 0, b"", stream=0))
        await reader.readexactly(len(_PREFACE))
        while True:
            await _request(reader)
            writer.write(self.answer)


class LeavingGrpcServer(_Bare):
    """Goes away when it is asked, with some last words (RFC 9113 section 6.8)."""

    def __init__(self, words: bytes) -> None:
        super().__init__()
        self.words = words

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_frame(_SETTINGS, 0, b"", stream=0))
        await reader.readexactly(len(_PREFACE))
        await _request(reader)
        writer.write(_frame(_GOAWAY, 0, struct.pack(">II", 1, _INTERNAL_ERROR) + self.words, stream=0))
        await writer.drain()


async def _request(reader: asyncio.StreamReader) -> None:
    """Read frames until the end of a call's request."""
    while True:
        head = await reader.readexactly(9)
        await reader.readexactly(int.from_bytes(head[:3], "big"))
        if head[3] == _DATA and head[4] & _END_STREAM:
            return


_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS, _GOAWAY = 0, 1, 4, 7
_INTERNAL_ERROR = 2
_END_STREAM, _END_HEADERS = 1, 4
_STATUS_200 = b"\x88"


def _frame(kind: int, flags: int, payload: bytes, *, stream: int = 1) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def _header(name: bytes, value: bytes) -> bytes:
    """A header field that enters no table (RFC 7541 section 6.2.2)."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


Call = Callable[[bytes, "aio.ServicerContext[bytes, bytes]"], Awaitable[bytes]]


class GrpcModelServer(grpc.GenericRpcHandler):
    """Answers each call, whatever its method, with what `call` makes of the request's bytes. Keeps methods, requests and metadata."""

    def __init__(self, call: Call, *, address: str = "") -> None:
        self.call = call
        self._wanted = address.removeprefix("http://") or "127.0.0.1:0"
        self.methods: list[str] = []
        self.requests: list[bytes] = []
        self.metadata: list[dict[str, str | bytes]] = []
        self.address = ""
        self._server: aio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = aio.server(compression=grpc.Compression.NoCompression)
        self._server.add_generic_rpc_handlers([self])
        self.address = f"http://127.0.0.1:{self._server.add_insecure_port(self._wanted)}"
        await self._server.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._server is not None:
            await self._server.stop(grace=None)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        self.methods.append(handler_call_details.method)
        self.metadata.append(dict(handler_call_details.invocation_metadata))
        return grpc.unary_unary_rpc_method_handler(self._answer)

    async def _answer(self, request: bytes, context: aio.ServicerContext[bytes, bytes]) -> bytes:
        self.requests.append(request)
        return await self.call(request, context)
