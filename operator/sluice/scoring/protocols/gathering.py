"""Chunks of a streamed answer of a language model, gathered into a turn.

A chunk carries pieces of the text or of tool calls, the last one before `[DONE]` the usage. An answer is complete with its `finish_reason`: a stream that
stops before was cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from sluice.scoring.answer import Failure
from sluice.scoring.case import Json
from sluice.scoring.protocols.documents import a_list, an_object, parse, text_or_nothing
from sluice.scoring.protocols.settings import Limits
from sluice.scoring.protocols.turn import Turn, Usage, usage_of
from sluice.scoring.protocols.unanswered import Unanswered, malformed

_DONE: Final = b"[DONE]"


class Pieces(Protocol):
    """What differs between chat and completions: where a choice has its pieces."""

    def take(self, choice: Mapping[str, Json]) -> bool:
        """Take the pieces of one choice; says whether there was a token among them. Raises Unanswered."""

    def turn(self, *, finish_reason: str, usage: Usage) -> Turn:
        """All pieces together. Raises Unanswered."""


class Gathering:
    """Takes the events of one turn."""

    def __init__(self, pieces: Pieces, *, limits: Limits) -> None:
        self._pieces = pieces
        self._limits = limits
        self._finish_reason = ""
        self._usage = Usage()
        self.first_token_seconds: float | None = None

    @property
    def complete(self) -> bool:
        """Whether the server has said why the model stopped."""
        return bool(self._finish_reason)

    def take(self, data: bytes, elapsed: float) -> bool:
        """Take one event; says whether it was the last. Raises Unanswered."""
        if data.strip() == _DONE:
            if not self.complete:
                raise malformed("the stream says [DONE] before any finish_reason")
            return True
        chunk = an_object(parse(data, what="an event", limits=self._limits), where="an event")
        if chunk.get("error") is not None:
            raise Unanswered(Failure.REFUSED, "the server reported an error in the stream")
        if chunk.get("usage") is not None:
            self._usage = usage_of(chunk)
        # The chunk with the usage has no choices; some servers leave the member out or write null.
        choices = a_list(chunk.get("choices") or [], where="choices")
        if choices:
            choice = an_object(choices[0], where="choices[0]")
            if self._pieces.take(choice) and self.first_token_seconds is None:
                self.first_token_seconds = elapsed
            self._finish_reason = text_or_nothing(choice.get("finish_reason"), where="choices[0].finish_reason") or self._finish_reason
        return False

    def turn(self) -> Turn:
        """What was gathered, once it is complete. Raises Unanswered."""
        return self._pieces.turn(finish_reason=self._finish_reason, usage=self._usage)
