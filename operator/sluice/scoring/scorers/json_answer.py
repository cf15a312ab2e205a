"""JSON that a model wrote: alone, or in one fenced block between sentences.

A model that was asked for JSON and writes a sentence before it is worse than one that does not, but its callers cut out the block as well; where that counts,
the scorer's parameter `bare` says so.
"""

from __future__ import annotations

import json
import re

from sluice.api.strict_json import JsonRefused, JsonValue, parse

BYTES_LIMIT = 2**20
VALUE_LIMIT = 20_000
_FENCE = re.compile(r"^[ \t]{0,3}```[ \t]{0,8}(?:json|JSON)?[ \t]{0,8}$", re.MULTILINE)


class NotJson(ValueError):
    """The text is no JSON that we read."""


def json_in(text: str, *, bare: bool) -> JsonValue:
    """The JSON value of `text`: all of it, or, unless `bare`, the only fenced block. At most 1 MiB and 20,000 values. Raises NotJson."""
    content = text.strip()
    if not bare:
        # Lines that open or close a block: exactly two.
        fences = [match.span() for match in _FENCE.finditer(content)]
        if len(fences) == 2:  # noqa: PLR2004 - a block has two ends
            content = content[fences[0][1] : fences[1][0]].strip()
    try:
        return parse(content.encode("utf-8", "replace"), limit=BYTES_LIMIT, values=VALUE_LIMIT)
    except JsonRefused as refused:
        raise NotJson(f"the answer {refused}") from None


def json_key(value: JsonValue) -> bytes:
    """A text that two JSON values share exactly when they are equal: `1` and `1.0` are, `true` and `1` are not, the order of members does not matter."""
    # In ASCII, so that half a surrogate pair, which has no UTF-8 form, is a value like any other.
    return json.dumps(_plain(value), sort_keys=True).encode("ascii")


def contains(whole: JsonValue, part: JsonValue) -> bool:
    """Whether `whole` has all that `part` has: objects may have more members, at any depth; everything else is equal."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(name in whole and contains(whole[name], value) for name, value in part.items())
    if isinstance(part, list):
        return isinstance(whole, list) and len(whole) == len(part) and all(map(contains, whole, part))
    return json_key(whole) == json_key(part)


def _plain(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {name: _plain(child) for name, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(child) for child in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
