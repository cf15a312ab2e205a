"""Embeddings as OpenAI defined them (`POST …/embeddings`): a text becomes a vector of finite numbers."""

from __future__ import annotations

from sluice.scoring.answer import Answer, Failure
from sluice.scoring.case import Case, Json, Text
from sluice.scoring.protocols.channel import Budget, HttpChannel
from sluice.scoring.protocols.documents import a_list, an_object, numbers
from sluice.scoring.protocols.settings import Limits, ProtocolSettings
from sluice.scoring.protocols.turn import Usage, usage_of
from sluice.scoring.protocols.unanswered import Unanswered, UnsuitableCase, malformed


def text_of(case: Case) -> str:
    """The text to embed; raises UnsuitableCase."""
    if not isinstance(case.input, Text):
        raise UnsuitableCase(f"case {case.id!r}: embeddings need a text")
    return case.input.text


def embedding_of(document: Json, *, limits: Limits) -> tuple[tuple[float, ...], Usage]:
    """The vector, and how many tokens the text had; raises Unanswered."""
    response = an_object(document, where="the answer")
    data = a_list(response.get("data"), where="data")
    if not data:
        raise malformed("data is empty")
    values = a_list(an_object(data[0], where="data[0]").get("embedding"), where="data[0].embedding")
    if not values:
        raise malformed("data[0].embedding is empty")
    if len(values) > limits.tensor_elements:
        raise Unanswered(Failure.TOO_LARGE, f"data[0].embedding has more than {limits.tensor_elements:,} numbers")
    return numbers(values, where="data[0].embedding"), usage_of(response)


class OpenAIEmbeddings:
    """Asks once."""

    def __init__(self, settings: ProtocolSettings, channel: HttpChannel, *, limits: Limits) -> None:
        self._settings = settings
        self._channel = channel
        self._limits = limits
        self._path = f"{settings.base_path}/embeddings"
        self.asks = f"POST {self._path}"

    async def ready(self) -> bool:
        """Whether the server lists models, which it does once they are loaded."""
        return await self._channel.succeeds(f"{self._settings.base_path}/models")

    async def answer(self, case: Case, *, seed: int) -> Answer:  # noqa: ARG002 - nothing is drawn at random
        """Raises Unanswered, UnsuitableCase."""
        # Some servers answer base64 unless told.
        request = {"model": self._settings.model, "input": text_of(case), "encoding_format": "float"}
        document, seconds = await self._channel.ask(self._path, request, budget=Budget(self._limits))
        embedding, usage = embedding_of(document, limits=self._limits)
        return Answer(embedding=embedding, latency_seconds=seconds, prompt_tokens=usage.prompt_tokens)
