"""What one push holds: an exchange, or one half of it.

Two forms are read. *CloudEvents* over HTTP (specification 1.0, binary, structured and batched mode) tell a question and its answer apart, in two events of one
`source` and `id` whose types end in `.request` and `.response`: KServe's logger and Seldon's send these. *JSON Lines* tell a whole exchange each, in the form
in which it is fetched (docs/monitors.md), with an `id` of its own.

An id is the sender's. KServe takes it from the header `Ce-Id` of what a user sent, if it is there: so a user may keep exchanges of their own out of the
sample, by using one id twice, and nobody else's whose id they do not know.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from sluice.api.base import parse_time
from sluice.api.strict_json import JsonObject, JsonRefused, JsonValue, canonical, parse

BODY_BYTES: Final = 2 << 20
"""One push: a question, an answer, or some exchanges."""
EVENTS_MOST: Final = 1000
"""In one batch."""
TEXT_LENGTH: Final = 1024
"""Of an id, a source and a type."""
VALUES: Final = 500_000
"""Of one push; read as objects they take some ten times as much memory as text."""
_BATCH: Final = "application/cloudevents-batch+json"
_STRUCTURED: Final = "application/cloudevents+json"
_MEMBERS: Final = ("request", "answer", "tags", "expect")
"""Of a whole exchange: what is kept of it."""


class PushRefused(ValueError):
    """This is no sample of live answers; the message says what is wrong with it. Sending it again does not help."""


class Part(StrEnum):
    """What an event is about."""

    REQUEST = "request"
    RESPONSE = "response"


@dataclass(frozen=True, slots=True, kw_only=True)
class Half:
    """A question without its answer, or an answer without its question. `sent`: when its sender says it happened; `body`: as the model got or sent it.

    `too_large`: an answer that is longer than anybody reads, which is the model's doing; there is no body then.
    """

    key: str
    part: Part
    sent: datetime | None
    body: bytes
    too_large: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A question with its answer: the members of an exchange that are kept."""

    key: str
    sent: datetime | None
    exchange: JsonObject


Pushed = Half | Whole


def read_push(headers: Mapping[str, str], body: bytes) -> tuple[Pushed, ...]:
    """Read one push. `headers` finds names in any case. Raises PushRefused."""
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind == _BATCH:
        events = _json(body, "the batch")
        if not isinstance(events, list) or len(events) > EVENTS_MOST:
            raise PushRefused(f"a batch is a list of at most {EVENTS_MOST:,} events")
        return tuple(_structured(event) for event in events)
    if kind == _STRUCTURED:
        return (_structured(_json(body, "the event")),)
    if "ce-specversion" in headers:
        named = {name: headers.get(f"ce-{name}") for name in ("specversion", "id", "source", "type", "time")}
        return (_half(named, body),)
    return tuple(_lines(body))


def read_too_large(headers: Mapping[str, str]) -> Half:
    """Read an event whose body is longer than `BODY_BYTES`. Raises PushRefused: it is none about an answer, so it is nothing that a model did."""
    pushed = read_push(headers, b"") if "ce-specversion" in headers else ()
    for half in pushed:
        if isinstance(half, Half) and half.part is Part.RESPONSE:
            return replace(half, too_large=True)
    raise PushRefused(f"a push holds at most {BODY_BYTES:,} bytes")


def _structured(event: JsonValue) -> Half:
    if not isinstance(event, dict):
        raise PushRefused("an event is a JSON object")
    if "data_base64" in event:
        try:
            body = base64.b64decode(str(event["data_base64"]), validate=True)
        except ValueError:
            raise PushRefused("data_base64 is no base64") from None
    else:
        data = event.get("data")
        # What came as text is kept as it came: a broken answer is the model's, and stays one.
        body = data.encode() if isinstance(data, str) else canonical(data)
    return _half(event, body)


def _half(attributes: Mapping[str, JsonValue], body: bytes) -> Half:
    version = attributes.get("specversion")
    if not isinstance(version, str) or not version.startswith("1."):
        raise PushRefused(f"specversion is {str(version)[:20]!r}; CloudEvents 1.0 are read")
    type_ = _text(attributes, "type")
    part = type_.rpartition(".")[2]
    if part not in set(Part):
        raise PushRefused(f"type is {type_[:80]!r}; those that end in .request and .response are read")
    key = f"{_text(attributes, 'source')}\n{_text(attributes, 'id')}"
    return Half(key=key, part=Part(part), sent=_time(attributes.get("time"), "time"), body=body)


def _lines(body: bytes) -> Iterator[Whole]:
    lines = [line for line in body.split(b"\n") if line.strip()]
    if not lines:
        raise PushRefused("nothing was sent: neither a CloudEvent nor JSON Lines")
    if len(lines) > EVENTS_MOST:
        raise PushRefused(f"{len(lines):,} lines; at most {EVENTS_MOST:,} are read at once")
    for number, line in enumerate(lines, start=1):
        exchange = _json(line, f"line {number}")
        if not isinstance(exchange, dict):
            raise PushRefused(f"line {number} is not a JSON object")
        if missing := [member for member in ("request", "answer") if member not in exchange]:
            raise PushRefused(f"line {number} has no {missing[0]}; send a CloudEvent, or an exchange with id, request and answer")
        kept: JsonObject = {member: exchange[member] for member in _MEMBERS if member in exchange}
        yield Whole(key=f"\n{_text(exchange, 'id')}", sent=_time(exchange.get("at"), "at"), exchange=kept)


def _text(attributes: Mapping[str, JsonValue], name: str) -> str:
    value = attributes.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= TEXT_LENGTH:
        raise PushRefused(f"{name} is missing, or no text of at most {TEXT_LENGTH:,} characters")
    return value


def _time(value: JsonValue, name: str) -> datetime | None:
    if value is None:
        return None
    try:
        return parse_time(str(value)[:64])
    except ValueError as error:
        raise PushRefused(f"{name}: {error}") from None


def _json(raw: bytes, what: str) -> JsonValue:
    try:
        return parse(raw, limit=BODY_BYTES, values=VALUES)
    except JsonRefused as error:
        raise PushRefused(f"{what} {error}") from None
