"""Random changes of an input: of its bytes, or, where it is JSON, of one member of it."""

from __future__ import annotations

import json
from random import Random
from typing import Any

_ODD: tuple[Any, ...] = (
    None, True, 0, -1, 2**63, 2**64, 1e308, 0.1, "", "\u0000", "\ud800", "é", "A" * 5000, "../x", "sha256:", [], {}, [[]], [{}] * 3, {"": None}, "=", "eyJ9",
)  # fmt: skip
_SPLICES: tuple[bytes, ...] = (b"", b"\x00", b"\xff\xfe", b"{", b"]", b'"', b"1e999", b"NaN", b"[" * 3000, b'{"a":' * 2000, b"-----BEGIN CERTIFICATE-----\n")


def mutated(raw: bytes, random: Random) -> bytes:
    """Change one to three things."""
    for _ in range(random.randint(1, 3)):
        raw = _member(raw, random) if random.random() < 0.7 else _bytes(raw, random)
    return raw


def _bytes(raw: bytes, random: Random) -> bytes:
    at = random.randrange(len(raw) + 1)
    match random.randrange(4):
        case 0:
            return raw[:at] + bytes([random.randrange(256)]) + raw[at + 1 :]
        case 1:
            return raw[:at]
        case 2:
            return raw[:at] + raw[at + random.randrange(1, 50) :]
        case _:
            return raw[:at] + random.choice(_SPLICES) + raw[at:]


def _member(raw: bytes, random: Random) -> bytes:
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return _bytes(raw, random)
    parents = _parents(document)
    if not parents:
        return json.dumps(random.choice(_ODD)).encode()
    parent = random.choice(parents)
    keys = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
    key = random.choice(keys)
    match random.randrange(4):
        case 0:
            del parent[key]
        case 1 if isinstance(parent, dict):
            parent[random.choice(["", "a", *map(str, keys)]) + "x"] = parent[key]
        case 2 if isinstance(parent, list):
            parent.append(parent[key])
        case _:
            parent[key] = random.choice(_ODD)
    return json.dumps(document).encode()


def _parents(document: Any) -> list[Any]:  # noqa: ANN401 - any JSON value
    """Everything in a document that has members."""
    found, waiting = [], [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict | list) and value:
            found.append(value)
            waiting += value.values() if isinstance(value, dict) else value
    return found
