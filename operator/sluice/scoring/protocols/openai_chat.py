"""Chat completions as OpenAI defined them and vLLM, KServe, llama.cpp, Ollama and others speak them (`POST …/chat/completions`).

A conversation goes on only while its script answers what the model asked for: a turn with tool calls must be followed by as many messages of role `tool`,
which get the ids of the calls in their order, and a turn without calls by none. Where model and script part ways, the conversation ends, and the answer is
what was written until then: the scorers judge it, and nothing is made up.

Limits: one choice; text content only. What a reasoning model thinks aloud (`reasoning_content`) is no part of the text, but its first token counts as one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sluice.scoring.answer import Answer
from sluice.scoring.case import Case, Chat, Json, Prompt
from sluice.scoring.protocols.channel import Budget, HttpChannel
from sluice.scoring.protocols.documents import a_list, a_string, an_index, an_object, text_or_nothing
from sluice.scoring.protocols.openai import TurnTaker, first_choice, request_of
from sluice.scoring.protocols.settings import Limits, ProtocolSettings
from sluice.scoring.protocols.turn import Call, Timed, Turn, Usage, answer_of, arguments_text, check_calls, usage_of
from sluice.scoring.protocols.unanswered import UnsuitableCase, malformed

TOOL: Final = "tool"

Message = Mapping[str, Json]

_THINKING: Final = ("reasoning_content", "reasoning")


@dataclass(slots=True)
class _CallPieces:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


def chat_of(case: Case) -> Chat:
    """The conversation that `case` asks for; raises UnsuitableCase."""
    if isinstance(case.input, Prompt):
        return Chat(turns=(({"role": "user", "content": case.input.text},),))
    if not isinstance(case.input, Chat) or not case.input.turns or not all(case.input.turns):
        raise UnsuitableCase(f"case {case.id!r}: chat needs a prompt, messages, or turns with at least one message each")
    return case.input


def turn_of(document: Json) -> Turn:
    """What a response that was not streamed says; raises Unanswered."""
    response = an_object(document, where="the answer")
    choice = first_choice(response)
    message = an_object(choice.get("message"), where="choices[0].message")
    calls = a_list(message.get("tool_calls") or [], where="choices[0].message.tool_calls")
    content = text_or_nothing(message.get("content"), where="choices[0].message.content")
    return Turn(
        # A refusal is what the model says instead of content.
        text=content or text_or_nothing(message.get("refusal"), where="choices[0].message.refusal"),
        calls=tuple(_call(call, where=f"choices[0].message.tool_calls[{position}]") for position, call in enumerate(calls)),
        finish_reason=text_or_nothing(choice.get("finish_reason"), where="choices[0].finish_reason"),
        usage=usage_of(response),
    )


def continued(history: Sequence[Message], turn: Turn, following: Sequence[Message]) -> list[Message] | None:
    """The conversation with the model's turn and the next messages of the script; None where they do not fit each other."""
    results = [message for message in following if message.get("role") == TOOL]
    if len(results) != len(turn.calls):
        return None
    said: dict[str, Json] = {"role": "assistant", "content": turn.text}
    if turn.calls:
        said["tool_calls"] = [{"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}} for call in turn.calls]
    ids = iter([call.id for call in turn.calls])
    return [*history, said, *({**message, "tool_call_id": next(ids)} if message.get("role") == TOOL else message for message in following)]


class ChatPieces:
    """Pieces of a streamed turn: `delta` of each chunk. Those of a tool call belong together by its `index`."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._calls: dict[int, _CallPieces] = {}

    def take(self, choice: Mapping[str, Json]) -> bool:
        """Take one delta; says whether there was a token in it. Raises Unanswered."""
        delta = an_object(choice.get("delta") or {}, where="choices[0].delta")
        content = text_or_nothing(delta.get("content"), where="choices[0].delta.content")
        refusal = text_or_nothing(delta.get("refusal"), where="choices[0].delta.refusal")
        self._text.append(content)
        self._refusal.append(refusal)
        calls = a_list(delta.get("tool_calls") or [], where="choices[0].delta.tool_calls")
        for position, call in enumerate(calls):
            self._take_call(call, where=f"choices[0].delta.tool_calls[{position}]")
        return bool(content or refusal or calls or any(delta.get(name) for name in _THINKING))

    def turn(self, *, finish_reason: str, usage: Usage) -> Turn:
        """All pieces together, the calls in the order of their index; raises Unanswered for a call that never got a name."""
        if not all(call.name for call in self._calls.values()):
            raise malformed("a tool call of the stream has no name")
        return Turn(
            text="".join(self._text) or "".join(self._refusal),
            calls=tuple(Call(id=call.id, name=call.name, arguments="".join(call.arguments)) for _, call in sorted(self._calls.items())),
            finish_reason=finish_reason,
            usage=usage,
        )

    def _take_call(self, value: Json, *, where: str) -> None:
        piece = an_object(value, where=where)
        function = an_object(piece.get("function") or {}, where=f"{where}.function")
        call = self._calls.setdefault(an_index(piece.get("index"), where=f"{where}.index"), _CallPieces())
        # Id and name come once, whole.
        call.id = text_or_nothing(piece.get("id"), where=f"{where}.id") or call.id
        call.name = text_or_nothing(function.get("name"), where=f"{where}.function.name") or call.name
        call.arguments.append(arguments_text(function.get("arguments")))


class OpenAIChat:
    """Asks turn by turn."""

    def __init__(self, settings: ProtocolSettings, channel: HttpChannel, *, limits: Limits) -> None:
        self._settings = settings
        self._channel = channel
        self._limits = limits
        path = f"{settings.base_path}/chat/completions"
        self._turns = TurnTaker(path, channel, stream=settings.stream, limits=limits)
        self.asks = f"POST {path}"

    async def ready(self) -> bool:
        """Whether the server lists models, which it does once they are loaded."""
        return await self._channel.succeeds(f"{self._settings.base_path}/models")

    async def answer(self, case: Case, *, seed: int) -> Answer:
        """Raises Unanswered, UnsuitableCase."""
        chat = chat_of(case)
        budget = Budget(self._limits)
        request = request_of(self._settings, seed=seed) | ({"tools": list(map(dict, chat.tools))} if chat.tools else {})
        history = list(chat.turns[0])
        answered: list[Timed] = []
        for following in (*chat.turns[1:], None):
            asked = request | {"messages": [dict(message) for message in history]}
            timed = await self._turns.take(asked, pieces=ChatPieces(), whole=turn_of, budget=budget)
            answered.append(timed)
            check_calls(sum(len(earlier.turn.calls) for earlier in answered), limits=self._limits)
            further = None if following is None else continued(history, timed.turn, following)
            if further is None:
                break
            history = further
        return answer_of(answered, limits=self._limits)


def _call(value: Json, *, where: str) -> Call:
    call = an_object(value, where=where)
    function = an_object(call.get("function"), where=f"{where}.function")
    return Call(
        id=text_or_nothing(call.get("id"), where=f"{where}.id"),
        name=a_string(function.get("name"), where=f"{where}.function.name"),
        arguments=arguments_text(function.get("arguments")),
    )
