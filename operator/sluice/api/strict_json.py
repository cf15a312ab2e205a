"""JSON from strangers: what two parsers could read differently is refused.

A signature covers bytes, policy looks at values; a duplicate member, a `NaN`, a lone surrogate or a byte-order mark is where the two part ways. RFC 8259
leaves all of these to the implementation and RFC 7493 (I-JSON) forbids them; so do we. Bytes, depth, values and integers are bounded.

Evidence, cases of a suite and plans of a run are read through here; each says in its own words what a refusal means there.
"""

from __future__ import annotations

import codecs
import json
import re

JsonValue = dict[str, "JsonValue"] | list["JsonValue"] | str | int | float | bool | None
"""What a JSON text may hold."""
JsonObject = dict[str, JsonValue]

DEPTH_LIMIT = 64
VALUE_LIMIT = 100_000
"""Counted by the commas and brackets of the text, those in strings too: an upper bound that costs nothing."""
_INTEGER_MIN, _INTEGER_MAX = -(2**63), 2**64 - 1  # what protobuf's and Go's integers hold
_INTEGER_TEXT_LIMIT = 20
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class JsonRefused(ValueError):
    """Not JSON, or JSON that `json` would accept and we do not; the message goes on after the name of the document: "is …"."""


class JsonTooLarge(JsonRefused):
    """More bytes or values than are read."""


def parse(raw: bytes, *, limit: int, values: int = VALUE_LIMIT) -> JsonValue:
    """Parse `raw`, at most `limit` bytes and `values` values.

    Raises JsonTooLarge for the size, JsonRefused for everything else.
    """
    if len(raw) > limit:
        raise JsonTooLarge(f"is {len(raw):,} bytes; at most {limit:,} are read")
    brackets = raw.count(b"{") + raw.count(b"[")
    if brackets + raw.count(b",") > values:
        raise JsonTooLarge(f"holds more than {values:,} values")
    if raw.startswith(codecs.BOM_UTF8):
        raise JsonRefused("is not the JSON we accept: it begins with a byte-order mark (BOM)")
    try:
        value: JsonValue = _DECODER.decode(raw.decode("utf-8"))
        if brackets > DEPTH_LIMIT:  # else nothing can be nested deeper
            _refuse_depth(value)
        if _ESCAPED_SURROGATE.search(raw):
            # An escaped lone surrogate has no UTF-8 form: it would fail later, in whoever writes it out.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        raise JsonRefused(f"is nested deeper than {DEPTH_LIMIT} levels") from None
    except ValueError as error:
        raise JsonRefused(f"is not the JSON we accept: {error}") from None
    return value


def canonical(value: object) -> bytes:
    """Canonical JSON: members sorted, no spaces, UTF-8. For strings, integers, lists and objects it agrees with RFC 8785 on the keys that we use (ASCII)."""
    return _ENCODER.encode(value).encode("utf-8")


def _members(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"member {twice[:80]!r} appears twice")
    return members


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")


def _integer(text: str) -> int:
    if len(text) > _INTEGER_TEXT_LIMIT or not _INTEGER_MIN <= (value := int(text)) <= _INTEGER_MAX:
        raise ValueError(f"integer {text[:24]}… is outside of 64 bits")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"number {text[:24]} is too large")
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
    raise ValueError(f"nested deeper than {DEPTH_LIMIT} levels")


_DECODER = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_refuse_constant, parse_int=_integer, parse_float=_finite)
"""Made once: making one takes as long as reading a statement."""
