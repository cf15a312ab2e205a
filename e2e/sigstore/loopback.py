"""A small HTTP server on loopback, in a thread: whoever plays a service says what it answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

_BODY_BYTES = 1 << 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is answered."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class LoopbackServer:
    """Serves from construction on until the end of the `with` block, on a port that the system chooses."""

    def __init__(self, answer: Callable[[Request], Answer]) -> None:
        """Listen; one thread for each request."""

        class Handler(BaseHTTPRequestHandler):
            timeout = 10  # type: ignore[mutable-override]  # seconds; the standard library's own stubs allow None, too

            def _answered(self) -> None:
                size = min(int(self.headers.get("Content-Length") or 0), _BODY_BYTES)
                given = answer(Request(method=self.command, path=self.path, headers=dict(self.headers), body=self.rfile.read(size)))
                self.send_response(given.status)
                for name, value in ({"Content-Type": given.content_type, "Content-Length": str(len(given.body))} | dict(given.headers)).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(given.body)

            do_GET = do_POST = _answered  # noqa: N815 - the names are the standard library's

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as above
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it answers, without a slash at the end."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        """It answers already."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Answer no more."""
        self.close()

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
