"""Strict JSON as evidence needs it: every refusal is a `ProvenanceError`, and members are of the type that they should be.

What is refused, and why, is told in `sluice.api.strict_json`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from sluice.api.strict_json import DEPTH_LIMIT, VALUE_LIMIT, JsonObject, JsonRefused, JsonTooLarge, JsonValue, canonical, parse
from sluice.provenance.errors import ProvenanceError, Reason, quoted

__all__ = ["DEPTH_LIMIT", "JsonObject", "JsonValue", "canonical", "member", "objects", "optional", "parse_list", "parse_object"]

_BYTES_A_VALUE = 16
"""Documents that may be large hold a value in this many bytes at most: lists of digests, not lists of empty lists."""

T = TypeVar("T", str, int, bool, float, dict[str, JsonValue], list[JsonValue])
_WORDS: Mapping[type, str] = {str: "a string", int: "an integer", bool: "true or false", float: "a number", dict: "an object", list: "a list"}


def parse_object(raw: bytes, *, what: str, limit: int, reason: Reason, too_large: Reason | None = None, values: int | None = None) -> JsonObject:
    """Parse `raw`, at most `limit` bytes and `values` values (default: as many as a list of files has), which must be one JSON object; `what` names it.

    Raises ProvenanceError: `too_large` (or `reason`) for size, `reason` for everything else.
    """
    value = _parsed(raw, what=what, limit=limit, reason=reason, too_large=too_large, values=values)
    if not isinstance(value, dict):
        raise ProvenanceError(reason, f"{what} is {_word(value)} where an object belongs")
    return value


def parse_list(raw: bytes, *, what: str, limit: int, reason: Reason) -> list[JsonValue]:
    """Like `parse_object`, for a text that must be one JSON list."""
    value = _parsed(raw, what=what, limit=limit, reason=reason)
    if not isinstance(value, list):
        raise ProvenanceError(reason, f"{what} is {_word(value)} where a list belongs")
    return value


def member(parent: Mapping[str, JsonValue], key: str, kind: type[T], *, where: str, reason: Reason) -> T:
    """`parent[key]`, which must be there and of `kind`; `where` names the parent in the message."""
    if key not in parent:
        raise ProvenanceError(reason, f"{where} has no {key!r}")
    value = parent[key]
    if type(value) is not kind and not _is(value, kind):
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


def _parsed(raw: bytes, *, what: str, limit: int, reason: Reason, too_large: Reason | None = None, values: int | None = None) -> JsonValue:
    try:
        return parse(raw, limit=limit, values=values or max(VALUE_LIMIT, limit // _BYTES_A_VALUE))
    except JsonTooLarge as error:
        raise ProvenanceError(too_large or reason, f"{what} {error}") from None
    except JsonRefused as error:
        raise ProvenanceError(reason, f"{what} {quoted(error)}") from None


def _is(value: JsonValue, kind: type) -> bool:
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)


def _word(value: JsonValue) -> str:
    return "null" if value is None else _WORDS[type(value)]
