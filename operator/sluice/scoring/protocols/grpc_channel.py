"""One bounded gRPC call to a model server: bytes in, bytes out.

As with HTTP, nothing is taken from the environment or from DNS: no proxy, no service configuration, no retries. Compression is not offered, and what comes
compressed all the same is not unpacked, which no protocol then understands. A channel that was refused tries again within a second, so that a server is seen
when it comes up.
"""

from __future__ import annotations

import os
from typing import Final

# The library writes to standard error what a server says on going away, with a token that it says back. It reads this once, while it is being loaded.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc
from grpc import StatusCode, aio

from sluice.scoring.answer import Failure
from sluice.scoring.protocols.endpoint import Endpoint
from sluice.scoring.protocols.settings import Limits
from sluice.scoring.protocols.unanswered import Unanswered
from sluice.scoring.protocols.wording import in_text

METADATA_BYTES: Final = 16 << 10
_READY_SECONDS: Final = 5.0
_ABOUT_CREDENTIALS: Final = frozenset({StatusCode.UNAUTHENTICATED, StatusCode.PERMISSION_DENIED})
_LARGER: Final = "message larger than max"
_IDENTITY_ONLY: Final = 1
"""Bit 0 of the set of compression algorithms: none."""


class GrpcChannel:
    """Calls to one endpoint; to be opened and closed in the event loop that uses it. The caller bounds how many run at once."""

    def __init__(self, endpoint: Endpoint, *, token: str | None, limits: Limits) -> None:
        self._endpoint = endpoint
        self._token = token
        self._limits = limits
        self._channel: aio.Channel | None = None

    async def open(self) -> None:
        """Make ready for calls; connects to nothing yet."""
        options = [
            ("grpc.enable_http_proxy", 0),
            ("grpc.service_config_disable_resolution", 1),
            ("grpc.enable_retries", 0),
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1000),
            ("grpc.compression_enabled_algorithms_bitset", _IDENTITY_ONLY),
            ("grpc.per_message_decompression", 0),
            ("grpc.max_receive_message_length", self._limits.response_bytes),
            ("grpc.max_metadata_size", METADATA_BYTES),
            ("grpc.absolute_max_metadata_size", METADATA_BYTES),
            ("grpc.primary_user_agent", "sluice"),
        ]
        target = f"dns:///{self._endpoint.authority}"
        if self._endpoint.tls:
            self._channel = aio.secure_channel(target, grpc.ssl_channel_credentials(), options=options)
        else:
            self._channel = aio.insecure_channel(target, options=options)

    async def close(self) -> None:
        """Drop the connection and end all calls."""
        if self._channel is not None:
            await self._channel.close()
            self._channel = None

    async def call(self, method: str, request: bytes) -> bytes:
        """Call `method` (`/package.Service/Name`) within the time that an answer may take; raises Unanswered."""
        return await self._call(method, request, seconds=self._limits.timeout_seconds)

    async def probe(self, method: str, request: bytes) -> bytes | None:
        """Call `method`; None when it has no success within five seconds."""
        try:
            return await self._call(method, request, seconds=_READY_SECONDS)
        except Unanswered:
            return None

    async def _call(self, method: str, request: bytes, *, seconds: float) -> bytes:
        if self._channel is None:
            raise RuntimeError("the client is used outside of its `async with`")
        metadata = (("authorization", f"Bearer {self._token}"),) if self._token else ()
        # Without serialisers bytes pass as they are: what they hold is for the protocol to judge, not for a callback inside of gRPC.
        ask: aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(method, request_serializer=None, response_deserializer=None)
        try:
            return await ask(request, timeout=seconds, metadata=metadata)
        except aio.AioRpcError as error:
            raise self._unanswered(error) from None

    def _unanswered(self, error: aio.AioRpcError) -> Unanswered:
        code, details = error.code(), error.details() or ""
        words = "" if code in _ABOUT_CREDENTIALS else in_text(details, token=self._token)
        if code is StatusCode.DEADLINE_EXCEEDED:
            return Unanswered(Failure.TIMEOUT, f"no complete answer within {self._limits.timeout_seconds:g} s")
        if code is StatusCode.UNAVAILABLE:
            return Unanswered(Failure.UNREACHABLE, f"no answer came over the connection{words}")
        if code is StatusCode.RESOURCE_EXHAUSTED and _LARGER in details:
            return Unanswered(Failure.TOO_LARGE, f"the answer is larger than {self._limits.response_bytes:,} bytes")
        return Unanswered(Failure.REFUSED, f"answered {code.name}{words}")
