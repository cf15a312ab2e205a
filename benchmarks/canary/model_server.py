"""A model server whose quality is known: right about a number being odd, but for the mistakes that its arguments ask for.

Runs inside a Pod, in the Sluice image, as `python3 -c SOURCE RELEASE QUALITY`, so it imports nothing but the standard library. A mistake is drawn from the
text and a seed, not from chance: a release that takes over the mistakes of another makes the very same ones.
"""

from __future__ import annotations

import json
import sys
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PORT = 8080
RARE_EVERY = 20


class Quality:
    """`wrong`: pairs of seed and share; `rare`: share of the rare slice that is wrong as well; `errors`, `slow`: shares that fail and that take `seconds`."""

    def __init__(self, wrong: list[tuple[int, float]], rare: float = 0.0, errors: float = 0.0, slow: float = 0.0, seconds: float = 0.0) -> None:
        self.wrong, self.rare, self.errors, self.slow, self.seconds = wrong, rare, errors, slow, seconds

    def answer(self, release: str, text: str) -> dict[str, Any] | None:
        """Answer one question; None is an internal error."""
        if _drawn(f"{release} errs", text, self.errors):
            return None
        if _drawn(f"{release} is slow", text, self.slow):
            time.sleep(self.seconds)
        mistaken = any(_drawn(f"mistake {seed}", text, share) for seed, share in self.wrong)
        mistaken = mistaken or (int(text) % RARE_EVERY == 0 and _drawn(f"{release} is rarely right", text, self.rare))
        return {"label": "?" if mistaken else "yes" if int(text) % 2 else "no"}


def _drawn(seed: str, text: str, share: float) -> bool:
    return zlib.crc32(f"{seed}: {text}".encode()) % 10_000 < share * 10_000


def serve(release: str, quality: Quality) -> None:
    """Serve until killed: GET says which release it is, POST answers a question."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._say(200, {"release": release})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = quality.answer(release, asked["text"])
            self._say(500 if answer is None else 200, answer or {"error": "of this model"})

        def _say(self, status: int, said: dict[str, Any]) -> None:
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    ThreadingHTTPServer.request_queue_size = 128
    ThreadingHTTPServer(("", PORT), Handler).serve_forever()


if __name__ == "__main__":
    serve(sys.argv[1], Quality(**json.loads(sys.argv[2])))
