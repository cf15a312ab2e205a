"""JSON from model servers, bounded before it is parsed, and its members by type.

A parser makes a list or an object of two bytes, each some dozens of bytes in memory: four megabytes of brackets are hundreds of megabytes of objects. So
values and depth are counted on the text first, without its strings. Numbers must be finite (JSON knows no NaN, RFC 8259 section 6) and strings must have a
UTF-8 form: an answer is written out again later.
"""

from __future__ import annotations

import json
import re
from typing import Final, TypeVar

from sluice.scoring.answer import Failure
from sluice.scoring.case import Json
from sluice.scoring.protocols.settings import Limits
from sluice.scoring.protocols.unanswered import Unanswered, malformed

OTHER_VALUES: Final = 10_000
"""Values of one document besides the elements of tensors."""
_INTEGER_DIGITS: Final = 20
_INTEGER_MIN, _INTEGER_MAX = -(2**63), 2**64 - 1

# Each string up to its end, or to the end of the text: with the end optional no start is tried twice, and the time is linear.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_WORDS: Final = {str: "a string", int: "an integer", bool: "true or false", float: "a number", dict: "an object", list: "a list", type(None): "null"}

T = TypeVar("T", str, int, dict[str, Json], list[Json])


def parse(raw: bytes, *, what: str, limits: Limits) -> Json:
    """Parse one JSON text; `what` names it in messages. Raises Unanswered (TooLarge, Malformed)."""
    bare = _STRING.sub(b"", raw)
    if bare.count(b",") + bare.count(b"[") + bare.count(b"{") > limits.tensor_elements + OTHER_VALUES:
        raise Unanswered(Failure.TOO_LARGE, f"{what} holds more than {limits.tensor_elements + OTHER_VALUES:,} values")
    depth = deepest = 0
    for bracket in _BRACKET.finditer(bare):
        depth += 1 if bracket[0] in b"[{" else -1
        deepest = max(deepest, depth)
    if deepest > limits.json_depth:
        raise malformed(f"{what} is nested deeper than {limits.json_depth} levels")
    try:
        value: Json = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant, parse_int=_integer, parse_float=_finite)
        if _ESCAPED_SURROGATE.search(raw):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError:
        raise malformed(f"{what} is not UTF-8") from None
    except UnicodeEncodeError:
        raise malformed(f"{what} holds half of a surrogate pair") from None
    except json.JSONDecodeError as error:
        raise malformed(f"{what} is no JSON: {error.msg} at character {error.pos:,}") from None
    except ValueError as error:
        raise malformed(f"{what} is not the JSON we accept: {error}") from None
    return value


def an_object(value: Json, *, where: str) -> dict[str, Json]:
    """`value`, which must be an object; raises Unanswered."""
    return _of(dict, value, where)


def a_list(value: Json, *, where: str) -> list[Json]:
    """`value`, which must be a list; raises Unanswered."""
    return _of(list, value, where)


def a_string(value: Json, *, where: str) -> str:
    """`value`, which must be a string; raises Unanswered."""
    return _of(str, value, where)


def an_index(value: Json, *, where: str) -> int:
    """`value`, which must be an integer from zero on; raises Unanswered."""
    number = _of(int, value, where)
    if number < 0:
        raise malformed(f"{where} is below zero")
    return number


def text_or_nothing(value: Json, *, where: str) -> str:
    """`value`, a string; absent and null are the empty one. Raises Unanswered."""
    return "" if value is None else a_string(value, where=where)


def count_or_nothing(value: Json, *, where: str) -> int | None:
    """`value`, an integer from zero on, or absent. Raises Unanswered."""
    return None if value is None else an_index(value, where=where)


def numbers(values: list[Json], *, where: str) -> tuple[float, ...]:
    """`values`, all numbers; raises Unanswered."""
    for position, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise malformed(f"{where}[{position}] is {_word(value)} where a number belongs")
    return tuple(map(float, values))


def _of(kind: type[T], value: Json, where: str) -> T:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise malformed(f"{where} is {_word(value)} where {_WORDS[kind]} belongs")
    return value


def _word(value: Json) -> str:
    return _WORDS[type(value)]


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")


def _integer(text: str) -> int:
    if len(text) > _INTEGER_DIGITS or not _INTEGER_MIN <= (value := int(text)) <= _INTEGER_MAX:
        raise ValueError(f"the integer {text[:24]} is outside of 64 bits")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if value in {float("inf"), float("-inf")}:
        raise ValueError(f"the number {text[:24]} is too large")
    return value
