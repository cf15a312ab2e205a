"""Text completions as OpenAI defined them (`POST …/completions`): a prompt is continued, without a chat template in between."""

from __future__ import annotations

from collections.abc import Mapping

from sluice.scoring.answer import Answer
from sluice.scoring.case import Case, Json, Prompt
from sluice.scoring.protocols.channel import Budget, HttpChannel
from sluice.scoring.protocols.documents import a_string, an_object, text_or_nothing
from sluice.scoring.protocols.openai import TurnTaker, first_choice, request_of
from sluice.scoring.protocols.settings import Limits, ProtocolSettings
from sluice.scoring.protocols.turn import Turn, Usage, answer_of, usage_of
from sluice.scoring.protocols.unanswered import UnsuitableCase


def prompt_of(case: Case) -> str:
    """The text to continue; raises UnsuitableCase."""
    if not isinstance(case.input, Prompt):
        raise UnsuitableCase(f"case {case.id!r}: completions need a prompt")
    return case.input.text


def turn_of(document: Json) -> Turn:
    """What a response that was not streamed says; raises Unanswered."""
    response = an_object(document, where="the answer")
    choice = first_choice(response)
    return Turn(
        text=a_string(choice.get("text"), where="choices[0].text"),
        finish_reason=text_or_nothing(choice.get("finish_reason"), where="choices[0].finish_reason"),
        usage=usage_of(response),
    )


class TextPieces:
    """Pieces of a streamed text: `text` of each chunk."""

    def __init__(self) -> None:
        self._text: list[str] = []

    def take(self, choice: Mapping[str, Json]) -> bool:
        """Take one piece; says whether there was a token in it. Raises Unanswered."""
        text = text_or_nothing(choice.get("text"), where="choices[0].text")
        self._text.append(text)
        return bool(text)

    def turn(self, *, finish_reason: str, usage: Usage) -> Turn:
        """All pieces together."""
        return Turn(text="".join(self._text), finish_reason=finish_reason, usage=usage)


class OpenAICompletions:
    """Asks once."""

    def __init__(self, settings: ProtocolSettings, channel: HttpChannel, *, limits: Limits) -> None:
        self._settings = settings
        self._channel = channel
        self._limits = limits
        path = f"{settings.base_path}/completions"
        self._turns = TurnTaker(path, channel, stream=settings.stream, limits=limits)
        self.asks = f"POST {path}"

    async def ready(self) -> bool:
        """Whether the server lists models, which it does once they are loaded."""
        return await self._channel.succeeds(f"{self._settings.base_path}/models")

    async def answer(self, case: Case, *, seed: int) -> Answer:
        """Raises Unanswered, UnsuitableCase."""
        request = request_of(self._settings, seed=seed) | {"prompt": prompt_of(case)}
        timed = await self._turns.take(request, pieces=TextPieces(), whole=turn_of, budget=Budget(self._limits))
        return answer_of([timed], limits=self._limits)
