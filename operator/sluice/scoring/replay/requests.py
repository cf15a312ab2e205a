"""From one line of a recording to what was asked in it. Pure.

Recordings are written by gateways and servers of others, and hold all that came by; so a line that cannot be a case is left out and counted by its reason,
unlike in a file of cases, where every line is somebody's intention. What is read, one JSON object a line:

- a request by itself: a body of OpenAI's chat, completions or embeddings, or of the Open Inference Protocol;
- a request in an envelope: `request` (an object, or its JSON text), with `id`, `slices` and `tags` where there are any; `body` in OpenAI's batch files, whose
  id is `custom_id`; `data` in CloudEvents, which KServe's logger sends. Instead of a body, the envelope may hold `input` as a case has it.

Only what a model is asked is taken: no user, no metadata, no header. Sampling is the suite's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sluice.api.strict_json import VALUE_LIMIT, JsonObject, JsonRefused, JsonTooLarge, JsonValue, canonical, parse
from sluice.scoring.protocols.template import Pointer, TemplateError

LINE_BYTES: Final = 1 << 20
ID_LENGTH: Final = 512
_INPUTS: Final = ("prompt", "messages", "turns", "tensors", "text", "fields")
_SAID: Final = ("role", "content", "name", "tool_calls", "tool_call_id")
"""What of a message is sent to a model."""


class LeftOut(StrEnum):
    """Why a line of a recording is no case."""

    TOO_LONG = "TooLong"
    NOT_JSON = "NotJson"
    NO_REQUEST = "NoRequest"
    """No form that is known."""
    RESPONSE = "Response"
    """An event about an answer, not about a question."""
    NOT_TEXT = "NotText"
    """A message with an image, or sound."""
    SEVERAL = "Several"
    """Several prompts or texts in one request."""
    INVALID = "Invalid"
    """A case would be refused that asks this."""
    UNSUITABLE = "Unsuitable"
    """The suite cannot ask or score this."""
    UNREDACTABLE = "Unredactable"
    """Something was left that looks like a secret."""


class Unusable(ValueError):
    """A line that is left out."""

    def __init__(self, reason: LeftOut, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked. `input` is as a case has it, not checked yet; `id` the recording's own, or the digest of the input where it has none."""

    id: str
    input: JsonObject
    slices: Mapping[str, JsonValue]
    tags: Sequence[JsonValue]


def document_of(line: bytes, *, limit: int = LINE_BYTES, values: int = VALUE_LIMIT) -> JsonObject:
    """Read one line. Raises Unusable."""
    try:
        document = parse(line, limit=limit, values=values)
    except JsonRefused as error:
        raise Unusable(LeftOut.TOO_LONG if isinstance(error, JsonTooLarge) else LeftOut.NOT_JSON, f"the line {error}") from None
    if not isinstance(document, dict):
        raise Unusable(LeftOut.NOT_JSON, "the line is not a JSON object")
    return document


def request_of(document: JsonObject, *, slices: Mapping[str, Pointer]) -> Request:
    """Find what was asked. `slices` says where in the document the value of a slice stands; one that is not there gives none. Raises Unusable."""
    envelope, body = _opened(document)
    asked = _input(body)
    found: dict[str, JsonValue] = {**_members(envelope.get("slices"))}
    for name, pointer in slices.items():
        try:
            value = pointer.of(document)
        except TemplateError:
            continue
        if isinstance(value, (str, int)):
            found[name] = str(value)
    tags = envelope.get("tags")
    return Request(id=_id(envelope, asked), input=asked, slices=found, tags=tags if isinstance(tags, list) else [])


def digest_of(asked: JsonObject) -> str:
    """SHA-256 over what is asked: two requests with the same one are the same question."""
    return hashlib.sha256(canonical(asked)).hexdigest()


def _opened(document: JsonObject) -> tuple[JsonObject, JsonObject]:
    """The envelope and the request in it; of a request by itself, both are the same."""
    if "specversion" in document and str(document.get("type", "")).endswith("response"):
        raise Unusable(LeftOut.RESPONSE, "an event about an answer")
    if isinstance(document.get("input"), dict):
        return document, _members(document["input"])
    for member in ("request", "body", "data"):
        inner = document.get(member)
        if isinstance(inner, str):
            try:
                inner = parse(inner.encode(), limit=LINE_BYTES)
            except JsonRefused as error:
                raise Unusable(LeftOut.NOT_JSON, f"{member} {error}") from None
        if isinstance(inner, dict):
            # A logger of whole exchanges puts the body below the path and the method.
            body = inner.get("body")
            return document, body if isinstance(body, dict) else inner
    return document, document


def _id(envelope: JsonObject, asked: JsonObject) -> str:
    for member in ("id", "custom_id", "request_id"):
        given = envelope.get(member)
        if isinstance(given, str) and 0 < len(given) <= ID_LENGTH:
            return given
    return digest_of(asked)


def _input(body: JsonObject) -> JsonObject:
    if "messages" in body:
        return {"messages": _conversation(body["messages"]), **_tools(body)}
    if isinstance(body.get("inputs"), list):
        return {"tensors": [_tensor(tensor) for tensor in _listed(body["inputs"])]}
    if "prompt" in body:
        return {"prompt": _only(body["prompt"], "prompt")}
    if "input" in body:
        return {"text": _only(body["input"], "input")}
    for member in _INPUTS:
        if member in body:
            return {member: body[member], **_tools(body)}
    raise Unusable(LeftOut.NO_REQUEST, f"neither {', '.join(_INPUTS)} nor input or inputs is there")


def _conversation(value: JsonValue) -> list[JsonValue]:
    messages = [_members(message) for message in _listed(value)]
    # Some logs end with the answer.
    while messages and messages[-1].get("role") == "assistant":
        messages.pop()
    if not messages:
        raise Unusable(LeftOut.NO_REQUEST, "the conversation asks nothing")
    for message in messages:
        parts = message.get("content")
        if isinstance(parts, list) and any(_members(part).get("type") != "text" for part in parts):
            raise Unusable(LeftOut.NOT_TEXT, "a message holds something else than text")
    return [{name: message[name] for name in _SAID if message.get(name) is not None} for message in messages]


def _tools(body: JsonObject) -> JsonObject:
    return {"tools": body["tools"]} if body.get("tools") else {}


def _only(value: JsonValue, member: str) -> str:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, str):
        return value
    raise Unusable(LeftOut.SEVERAL if isinstance(value, list) else LeftOut.NO_REQUEST, f"{member} is not one text")


def _tensor(value: JsonValue) -> JsonValue:
    tensor = _members(value)
    if "data" not in tensor:
        raise Unusable(LeftOut.NO_REQUEST, "a tensor's data is not in the JSON: record it with binary data switched off")
    return {"name": tensor.get("name"), "shape": tensor.get("shape"), "datatype": tensor.get("datatype"), "data": list(_flat(tensor["data"]))}


def _flat(value: JsonValue) -> list[JsonValue]:
    """Nested lists in row-major order, which the protocol allows for data; the depth is bounded by the parser."""
    return [element for item in value for element in _flat(item)] if isinstance(value, list) else [value]


def _members(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _listed(value: JsonValue) -> list[JsonValue]:
    if not isinstance(value, list):
        raise Unusable(LeftOut.NO_REQUEST, "messages, or inputs, is no list")
    return value
