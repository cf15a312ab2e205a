"""One turn of a language model, whole or gathered from a stream, and several of them as one answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sluice.scoring.answer import Answer, Failure, ToolCall
from sluice.scoring.case import Json
from sluice.scoring.protocols.documents import an_object, count_or_nothing, parse
from sluice.scoring.protocols.settings import Limits
from sluice.scoring.protocols.template import as_text
from sluice.scoring.protocols.unanswered import Unanswered


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A tool call with the id by which the conversation refers to it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens as the server counts them; None where it does not."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What the model wrote in one turn."""

    text: str
    calls: tuple[Call, ...] = ()
    finish_reason: str
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A turn with its times in seconds since its request."""

    turn: Turn
    seconds: float
    first_token_seconds: float | None = None


def answer_of(turns: Sequence[Timed], *, limits: Limits) -> Answer:
    """All turns as one answer; there is at least one."""
    written = [timed.turn for timed in turns]
    return Answer(
        text="\n".join(turn.text for turn in written),
        turns=tuple(turn.text for turn in written),
        tool_calls=tuple(tool_call_of(call, limits=limits) for turn in written for call in turn.calls),
        finish_reason=written[-1].finish_reason,
        latency_seconds=sum(timed.seconds for timed in turns),
        first_token_seconds=turns[0].first_token_seconds,
        prompt_tokens=_sum([turn.usage.prompt_tokens for turn in written]),
        completion_tokens=_sum([turn.usage.completion_tokens for turn in written]),
    )


def usage_of(document: Mapping[str, Json]) -> Usage:
    """The member `usage` of an OpenAI response or chunk, which may be absent or null. Raises Unanswered."""
    usage = document.get("usage")
    if usage is None:
        return Usage()
    members = an_object(usage, where="usage")
    return Usage(
        prompt_tokens=count_or_nothing(members.get("prompt_tokens"), where="usage.prompt_tokens"),
        completion_tokens=count_or_nothing(members.get("completion_tokens"), where="usage.completion_tokens"),
    )


def check_calls(count: int, *, limits: Limits) -> None:
    """Raises Unanswered (TooLarge)."""
    if count > limits.tool_calls:
        raise Unanswered(Failure.TOO_LARGE, f"the answer has more than {limits.tool_calls} tool calls")


def arguments_text(value: Json) -> str:
    """Arguments as the model wrote them: a string in the OpenAI API, an object with some servers; absent is nothing."""
    return "" if value is None else as_text(value)


def tool_call_of(call: Call, *, limits: Limits) -> ToolCall:
    """The call with its arguments read. Arguments that are no JSON object are the model's mistake, not the server's: the scorers judge it."""
    try:
        arguments = an_object(parse(call.arguments.encode(), what="the arguments", limits=limits), where="the arguments")
    except Unanswered:
        return ToolCall(name=call.name, arguments=None, raw=call.arguments)
    return ToolCall(name=call.name, arguments=arguments, raw=call.arguments)


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
