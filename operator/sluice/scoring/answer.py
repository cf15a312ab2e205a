"""What came back: an answer, or why there is none. No third thing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sluice.scoring.case import Json, Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A tool that the model wants called. `arguments` is None when the model wrote no JSON object; `raw` is what it wrote."""

    name: str
    arguments: Mapping[str, Json] | None
    raw: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A complete answer. Times are seconds by the client's own monotonic clock; token counts are the server's, None when it gave none."""

    text: str = ""
    """All that the model wrote; of several turns, joined by newlines."""
    turns: tuple[str, ...] = ()
    """What it wrote in each turn."""
    tool_calls: tuple[ToolCall, ...] = ()
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    embedding: tuple[float, ...] = ()
    finish_reason: str = ""
    latency_seconds: float
    """From the request to the last byte; of several turns, the sum."""
    first_token_seconds: float | None = None
    """From the request to the first token, when streamed."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Failure(StrEnum):
    """Why there is no answer."""

    TIMEOUT = "Timeout"
    UNREACHABLE = "Unreachable"
    """No connection, or it broke."""
    REFUSED = "Refused"
    """An HTTP or gRPC status that is no success."""
    TOO_LARGE = "TooLarge"
    MALFORMED = "Malformed"
    """Not what the protocol says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """There is no answer; it counts as the worst one."""

    failure: Failure
    message: str
    """For the person who looks at the run; no secrets, at most 500 characters."""
