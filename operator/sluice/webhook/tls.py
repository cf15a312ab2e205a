"""A TLS context whose certificate can be changed while connections are open and new ones arrive.

The listener keeps one `SSLContext` for its whole life. Each handshake is switched to the current pair by the server-name callback, which OpenSSL also calls
when the client names no server. A pair is loaded and checked in a context of its own first: a pair that does not load changes nothing.
"""

from __future__ import annotations

import os
import ssl
from contextlib import ExitStack
from typing import Final

_NO_CERTIFICATE_YET: Final = ssl.AlertDescription.ALERT_DESCRIPTION_INTERNAL_ERROR


class SwappableTls:
    """`context` is for the listener; before the first `swap` it refuses every handshake."""

    def __init__(self) -> None:
        self.context = _server_context()
        self.context.sni_callback = self._choose
        self._current: ssl.SSLContext | None = None

    @property
    def serving(self) -> bool:
        """Whether there is a certificate."""
        return self._current is not None

    def swap(self, *, certificate_pem: bytes, key_pem: bytes) -> None:
        """Use this pair for every handshake from now on. Raises `ssl.SSLError` when certificate and key do not load or do not match."""
        scratch = _server_context()
        with ExitStack() as stack:
            # OpenSSL loads from files only; a file in memory leaves the key on no disk and needs no writable folder.
            paths = [_in_memory(stack, part) for part in (certificate_pem, key_pem)]
            scratch.load_cert_chain(*paths)
        self._current = scratch

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> int | None:
        if self._current is None:
            return _NO_CERTIFICATE_YET
        connection.context = self._current
        return None


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _in_memory(stack: ExitStack, content: bytes) -> str:
    descriptor = os.memfd_create("tls")
    stack.callback(os.close, descriptor)
    os.write(descriptor, content)
    return f"/proc/self/fd/{descriptor}"
