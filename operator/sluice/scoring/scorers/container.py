"""The contract with a scorer of one's own, in a container: what it is sent, and what of its reply counts. See docs/scorer-contract.md.

It is told the case and one answer, and not whose: a scorer that knows which side it scores can prefer one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from sluice.api.strict_json import JsonRefused, parse
from sluice.scoring.answer import Answer
from sluice.scoring.case import Case, Chat, Fields, Input, Json, Prompt, Tensor, Tensors
from sluice.scoring.scorers.score import Score
from sluice.scoring.scorers.settings import shown

CONTRACT = "sluice.dev/scorer/v1alpha1"
PATH = "/score"
REPLY_LIMIT = 65_536
"""Bytes of a reply."""


class ReplyError(ValueError):
    """A reply that is no score; the message says what to reply instead."""


def request_of(case: Case, answer: Answer) -> bytes:
    """The body of `POST /score`: UTF-8 JSON, members without a value left out."""
    body = {
        "contract": CONTRACT,
        "case": {"id": case.id, "input": _input(case.input), "expect": case.expect, "slices": case.slices, "tags": sorted(case.tags)},
        "answer": _present(
            {
                "text": answer.text,
                "turns": answer.turns or None,
                "toolCalls": [{"name": call.name, "arguments": call.arguments, "raw": call.raw} for call in answer.tool_calls] or None,
                "tensors": [_tensor(tensor) for tensor in answer.tensors.values()] or None,
                "embedding": answer.embedding or None,
                "finishReason": answer.finish_reason or None,
                "latencySeconds": answer.latency_seconds,
                "firstTokenSeconds": answer.first_token_seconds,
                "promptTokens": answer.prompt_tokens,
                "completionTokens": answer.completion_tokens,
            }
        ),
    }
    # Lone surrogates, which a model may write, have no UTF-8 form: they stay escapes, as JSON allows.
    return json.dumps(body, default=dict, separators=(",", ":"), allow_nan=False).encode("ascii")


def score_from(reply: bytes) -> Score:
    """The score in the body of a reply with status 200: `{"value": 0.7}` or `{"value": null}`, nothing else. Raises ReplyError."""
    try:
        value = parse(reply, limit=REPLY_LIMIT)
    except JsonRefused as refused:
        raise ReplyError(f"the reply {refused}") from None
    if not isinstance(value, dict) or value.keys() != {"value"}:
        raise ReplyError(f'the reply is {shown(value)}; reply {{"value": 0.7}}, a number from 0 to 1 or null, and no other member')
    number = value["value"]
    if number is None:
        return Score(value=None)
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 <= number <= 1:
        raise ReplyError(f"value is {shown(number)}; reply a number from 0 to 1, or null when the case is not for this scorer")
    return Score(value=float(number))


def _input(asked: Input) -> Mapping[str, Json]:
    """The input as the line of the case has it."""
    if isinstance(asked, Prompt):
        return {"prompt": asked.text}
    if isinstance(asked, Chat):
        return _present({"turns": [list(turn) for turn in asked.turns], "tools": list(asked.tools) or None})
    if isinstance(asked, Tensors):
        return {"tensors": [_tensor(tensor) for tensor in asked.inputs]}
    if isinstance(asked, Fields):
        return {"fields": asked.values}
    return {"text": asked.text}


def _tensor(tensor: Tensor) -> Mapping[str, Json]:
    return {"name": tensor.name, "shape": tensor.shape, "datatype": tensor.datatype, "data": tensor.data}


def _present(members: Mapping[str, Json]) -> Mapping[str, Json]:
    return {name: value for name, value in members.items() if value is not None}
