"""Answers that somebody recorded, read as the client of the protocol would have read them from the server."""

from __future__ import annotations

from typing import Final

from sluice.scoring.answer import Answer, Failure, NoAnswer
from sluice.scoring.case import Json
from sluice.scoring.protocols import openai_chat, openai_completions
from sluice.scoring.protocols.bounded import MESSAGE_LENGTH
from sluice.scoring.protocols.documents import parse
from sluice.scoring.protocols.open_inference import tensors_of
from sluice.scoring.protocols.openai_embeddings import embedding_of
from sluice.scoring.protocols.settings import Limits, ProtocolSettings, ProtocolType
from sluice.scoring.protocols.template import Pointer, TemplateError, as_text
from sluice.scoring.protocols.tensors import text_in
from sluice.scoring.protocols.turn import Timed, answer_of, check_calls
from sluice.scoring.protocols.unanswered import Unanswered, malformed

_CONVERSED: Final = {ProtocolType.OPENAI_CHAT: openai_chat.turn_of, ProtocolType.OPENAI_COMPLETIONS: openai_completions.turn_of}


def recorded_answer(body: bytes, *, seconds: float, protocol: ProtocolSettings, limits: Limits) -> Answer | NoAnswer:
    """Read the body of a response that came whole, after `seconds`: what the client would have made of it. Raises nothing for what a server wrote."""
    try:
        if seconds > limits.timeout_seconds:
            raise Unanswered(Failure.TIMEOUT, f"the answer took {seconds:g} s; {limits.timeout_seconds:g} s are given")
        if len(body) > limits.response_bytes:
            raise Unanswered(Failure.TOO_LARGE, f"the answer has more than {limits.response_bytes:,} bytes")
        return _answer(parse(body, what="the answer", limits=limits), seconds=seconds, protocol=protocol, limits=limits)
    except Unanswered as error:
        return NoAnswer(failure=error.failure, message=error.message[:MESSAGE_LENGTH])


def _answer(document: Json, *, seconds: float, protocol: ProtocolSettings, limits: Limits) -> Answer:
    if protocol.type in _CONVERSED:
        turn = _CONVERSED[protocol.type](document)
        check_calls(len(turn.calls), limits=limits)
        return answer_of([Timed(turn=turn, seconds=seconds)], limits=limits)
    if protocol.type is ProtocolType.OPENAI_EMBEDDINGS:
        embedding, usage = embedding_of(document, limits=limits)
        return Answer(embedding=embedding, latency_seconds=seconds, prompt_tokens=usage.prompt_tokens)
    if protocol.http is not None:
        try:
            found = Pointer.parse(protocol.http.answer).of(document)
        except TemplateError as error:
            raise malformed(str(error)) from None
        if found is None:
            raise malformed("the pointer leads to null")
        text = as_text(found)
        return Answer(text=text, turns=(text,), latency_seconds=seconds)
    # The protocol over gRPC is recorded as its JSON form, which has the same members.
    outputs = tensors_of(document, limits=limits)
    return Answer(text=text_in(outputs), tensors=outputs, latency_seconds=seconds)
