"""What chat and text completions have in common: sampling, the first choice, a turn whole or streamed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sluice.scoring.case import Json
from sluice.scoring.protocols.channel import Budget, HttpChannel
from sluice.scoring.protocols.documents import a_list, an_object
from sluice.scoring.protocols.gathering import Gathering, Pieces
from sluice.scoring.protocols.settings import Limits, ProtocolSettings
from sluice.scoring.protocols.turn import Timed, Turn
from sluice.scoring.protocols.unanswered import malformed


def request_of(settings: ProtocolSettings, *, seed: int) -> dict[str, Json]:
    """The members that every request has: model and sampling, nothing left to defaults of the server."""
    sampling = settings.effective_sampling
    return {
        "model": settings.model,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "seed": seed,
    }


def first_choice(response: Mapping[str, Json]) -> dict[str, Json]:
    """The choice, of which one was asked for; raises Unanswered."""
    choices = a_list(response.get("choices"), where="choices")
    if not choices:
        raise malformed("choices is empty")
    return an_object(choices[0], where="choices[0]")


class TurnTaker:
    """Takes one turn after the other at one path."""

    def __init__(self, path: str, channel: HttpChannel, *, stream: bool, limits: Limits) -> None:
        self._path = path
        self._channel = channel
        self._stream = stream
        self._limits = limits

    async def take(self, request: dict[str, Json], *, pieces: Pieces, whole: Callable[[Json], Turn], budget: Budget) -> Timed:
        """Ask for a turn; `whole` reads a response, `pieces` gathers a stream. Raises Unanswered."""
        if not self._stream:
            document, seconds = await self._channel.ask(self._path, request, budget=budget)
            return Timed(turn=whole(document), seconds=seconds)
        gathering = Gathering(pieces, limits=self._limits)
        streamed = request | {"stream": True, "stream_options": {"include_usage": True}}
        seconds = await self._channel.follow(self._path, streamed, gathering, budget=budget)
        return Timed(turn=gathering.turn(), seconds=seconds, first_token_seconds=gathering.first_token_seconds)
