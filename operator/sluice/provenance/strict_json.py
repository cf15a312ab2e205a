"""JSON from strangers: what two parsers could read differently is refused.

A signature covers bytes, policy looks at values; a duplicate member, a `NaN`, a lone surrogate or a byte-order mark is where the two part ways. RFC 8259
leaves all of these to the implementation and RFC 7493 (I-JSON) forbids them; so do we. Bytes, depth and integers are bounded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

from sluice.provenance.errors import ProvenanceError, Reason, quoted

JsonValue = dict[str, "JsonValue"] | list["JsonValue"] | str | int | float | bool | None
"""What a JSON text may hold."""
JsonObject = dict[str, JsonValue]

DEPTH_LIMIT = 64
VALUE_LIMIT = 100_000
"""Counted by the commas and brackets of the text, those in strings too: an upper bound that costs nothing."""
_INTEGER_MIN, _INTEGER_MAX = -(2**63), 2**64 - 1  # what protobuf's and Go's integers hold
_INTEGER_TEXT_LIMIT = 20
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")

T = TypeVar("T", str, int, bool, float, dict[str, JsonValue], list[JsonValue])
_WORDS: Mapping[type, str] = {str: "a string", int: "an integer", bool: "true or false", float: "a number", dict: "an object", list: "a list"}


class _Refused(ValueError):
    """JSON that `json` would accept and we do not."""


def parse_object(raw: bytes, *, what: str, limit: int, reason: Reason, too_large: Reason | None = None) -> JsonObject:
    """Parse `raw`, at most `limit` bytes, which must be one JSON object; `what` names it in messages.

    Raises ProvenanceError: `too_large` (or `reason`) for size, `reason` for everything else.
    """
    if len(raw) > limit:
        raise ProvenanceError(too_large or reason, f"{what} is {len(raw):,} bytes; at most {limit:,} are read")
    if sum(map(raw.count, (b",", b"{", b"["))) > VALUE_LIMIT:
        raise ProvenanceError(too_large or reason, f"{what} holds more than {VALUE_LIMIT:,} values")
    try:
        value: JsonValue = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_members,
            parse_constant=_refuse_constant,
            parse_int=_integer,
            parse_float=_finite,
        )
        _refuse_depth(value)
        if _ESCAPED_SURROGATE.search(raw):
            # An escaped lone surrogate has no UTF-8 form: it would fail later, in whoever writes it out.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        raise ProvenanceError(reason, f"{what} is nested deeper than {DEPTH_LIMIT} levels") from None
    except ValueError as error:
        raise ProvenanceError(reason, f"{what} is not the JSON we accept: {quoted(error)}") from None
    if not isinstance(value, dict):
        raise ProvenanceError(reason, f"{what} is {_word(value)} where an object belongs")
    return value


def member(parent: Mapping[str, JsonValue], key: str, kind: type[T], *, where: str, reason: Reason) -> T:
    """`parent[key]`, which must be there and of `kind`; `where` names the parent in the message."""
    if key not in parent:
        raise ProvenanceError(reason, f"{where} has no {key!r}")
    value = parent[key]
    if not _is(value, kind):
        raise ProvenanceError(reason, f"{where}.{key} is {_word(value)} where {_WORDS[kind]} belongs")
    return value  # type: ignore[return-value]  # `_is` is not a TypeGuard: bool is an int to isinstance, and 1 is a number


def optional(parent: Mapping[str, JsonValue], key: str, kind: type[T], *, where: str, reason: Reason) -> T | None:
    """Like `member`, but absent and `null` are None."""
    return None if parent.get(key) is None else member(parent, key, kind, where=where, reason=reason)


def objects(values: Sequence[JsonValue], *, where: str, reason: Reason, limit: int) -> list[JsonObject]:
    """`values`, at most `limit`, each of which must be an object."""
    if len(values) > limit:
        raise ProvenanceError(reason, f"{where} has {len(values):,} entries; at most {limit:,} are read")
    for index, value in enumerate(values):
        if not isinstance(value, dict):
            raise ProvenanceError(reason, f"{where}[{index}] is {_word(value)} where an object belongs")
    return values  # type: ignore[return-value]  # each was just looked at


def canonical(value: object) -> bytes:
    """Canonical JSON: members sorted, no spaces, UTF-8. For strings, integers, lists and objects it agrees with RFC 8785 on the keys that we use (ASCII)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode("utf-8")


def _members(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _Refused(f"member {twice[:80]!r} appears twice")
    return members


def _refuse_constant(constant: str) -> None:
    raise _Refused(f"{constant} is no JSON number")


def _integer(text: str) -> int:
    if len(text) > _INTEGER_TEXT_LIMIT or not _INTEGER_MIN <= (value := int(text)) <= _INTEGER_MAX:
        raise _Refused(f"integer {text[:24]}… is outside of 64 bits")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise _Refused(f"number {text[:24]} is too large")
    return value


def _refuse_depth(value: JsonValue) -> None:
    level = [value]
    for _ in range(DEPTH_LIMIT):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent if isinstance(parent, list) else ())
            if isinstance(child, (dict, list))
        ]
        if not level:
            return
    raise _Refused(f"nested deeper than {DEPTH_LIMIT} levels")


def _is(value: JsonValue, kind: type) -> bool:
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)


def _word(value: JsonValue) -> str:
    return "null" if value is None else _WORDS[type(value)]
