"""Cases, read from JSON Lines that somebody else wrote: one case a line.

A suite decides over releases, so nothing in it is guessed: an unknown member, a member that appears twice or a second case with the same id is refused with
its line and what to do, never skipped. Bytes, lines, values and depth are bounded before anything is built from them.

What `expect` holds is read by the scorers that use it; here it is only an object.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sluice.api.strict_json import JsonObject, JsonRefused, JsonValue, parse
from sluice.scoring.case import Case, Chat, Fields, Input, Json, Prompt, Tensor, Tensors, Text

FILE_BYTES: Final = 64 << 20
LINE_BYTES: Final = 1 << 20
CASES: Final = 1_000_000
VALUES: Final = 4_000_000
"""JSON values in the whole file, counted by commas and brackets: what keeps a small file from becoming a large one in memory."""
ID_LENGTH: Final = 128
DIMENSIONS: Final = 16
SLICE_LENGTH: Final = 128
TAGS: Final = 32
TURNS: Final = 32
MESSAGES: Final = 256
TOOLS: Final = 128
TENSORS: Final = 64
TENSOR_DIMENSIONS: Final = 8

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_MEMBERS: Final = frozenset({"id", "input", "expect", "slices", "tags"})


class CasesRefused(ValueError):
    """The file cannot be a suite's cases; the message names the line, what is wrong there, and what to do."""


class _Wrong(ValueError):
    """What is wrong with one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """All cases of a suite, in the order of the file, which nothing depends on; `digest` is over the bytes."""

    digest: str
    all: tuple[Case, ...]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.all)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedCases:
    """Cases that nobody here has read: what their suite says of them. Scorers read the file, and refuse one of which it is not true."""

    digest: str
    count: int


def read_cases(raw: bytes) -> Cases:
    """Read the bytes of a cases file.

    Raises CasesRefused at the first line that is wrong: half a suite is another suite.
    """
    cases = []
    for case in _each(raw):
        if isinstance(case, CasesRefused):
            raise case
        cases.append(case)
    return Cases(digest="sha256:" + hashlib.sha256(raw).hexdigest(), all=tuple(cases))


def look_through(raw: bytes) -> Iterator[Case | CasesRefused]:
    """Read the bytes of a cases file for somebody who mends it: each case, or what is wrong with its line. Ends where nothing beyond can be read."""
    try:
        yield from _each(raw)
    except CasesRefused as error:
        yield error


def _each(raw: bytes) -> Iterator[Case | CasesRefused]:
    if len(raw) > FILE_BYTES:
        raise CasesRefused(f"the cases are {len(raw):,} bytes; at most {FILE_BYTES:,} are read: ask fewer cases, or shorter ones")
    if sum(map(raw.count, (b",", b"{", b"["))) > VALUES:
        raise CasesRefused(f"the cases hold more than {VALUES:,} values; ask fewer cases, or smaller tensors")
    seen: set[str] = set()
    number = 0
    for number, line in _lines(raw):
        if len(seen) == CASES:
            raise CasesRefused(f"line {number}: there are more than {CASES:,} cases; ask fewer")
        try:
            case = _case(line)
            if case.id in seen:
                raise _Wrong(f"id {case.id!r} is there twice; every case is drawn once, so give the second one an id of its own")
        except (_Wrong, JsonRefused) as error:
            yield CasesRefused(f"line {number}: {error}")
        else:
            seen.add(case.id)
            yield case
    if not number:
        raise CasesRefused("there is no case in the file; write one JSON object a line, each with an id and an input")


def _lines(raw: bytes) -> Iterator[tuple[int, bytes]]:
    start, number = 0, 0
    while start < len(raw):
        end = raw.find(b"\n", start)
        end = len(raw) if end < 0 else end
        number += 1
        if end - start > LINE_BYTES:
            raise CasesRefused(f"line {number}: is {end - start:,} bytes; at most {LINE_BYTES:,} are read: one case is one line, make it smaller")
        yield number, raw[start:end]
        start = end + 1


def _case(line: bytes) -> Case:
    if not line.strip():
        raise _Wrong("is empty; remove it: one case is one line")
    value = parse(line, limit=LINE_BYTES, values=VALUES)
    members = _object(value, "a case")
    _known(members, _MEMBERS, "a case")
    for needed in ("id", "input"):
        if needed not in members:
            raise _Wrong(f"has no {needed!r}; a case needs an id and an input")
    return Case(
        id=_text(members["id"], "id", ID_LENGTH),
        input=_input(_object(members["input"], "input")),
        expect=_object(members.get("expect", {}), "expect"),
        slices=_slices(_object(members.get("slices", {}), "slices")),
        tags=_tags(_list(members.get("tags", []), "tags", TAGS)),
    )


def _slices(members: JsonObject) -> Mapping[str, str]:
    if len(members) > DIMENSIONS:
        raise _Wrong(f"slices has {len(members)} dimensions; at most {DIMENSIONS} are read")
    for dimension, value in members.items():
        _name(dimension, "a dimension of slices")
        if not _text(value, f"slices.{dimension}", SLICE_LENGTH).isprintable():
            raise _Wrong(f"slices.{dimension} is {value!r:.80}, which cannot be shown; use letters, digits and signs")
    return {dimension: str(value) for dimension, value in members.items()}


def _tags(values: Sequence[JsonValue]) -> frozenset[str]:
    return frozenset(_name(value, "a tag") for value in values)


# ---- inputs, by the member that tells them apart ----


def _prompt(members: JsonObject) -> Input:
    return Prompt(text=_text(members["prompt"], "input.prompt", LINE_BYTES))


def _text_input(members: JsonObject) -> Input:
    return Text(text=_text(members["text"], "input.text", LINE_BYTES))


def _fields(members: JsonObject) -> Input:
    return Fields(values=_object(members["fields"], "input.fields"))


def _messages(members: JsonObject) -> Input:
    return Chat(turns=(_conversation(members["messages"], "input.messages"),), tools=_tools(members))


def _turns(members: JsonObject) -> Input:
    turns = _list(members["turns"], "input.turns", TURNS)
    if not turns:
        raise _Wrong("input.turns is empty; write at least one list of messages")
    return Chat(turns=tuple(_conversation(turn, f"input.turns[{index}]") for index, turn in enumerate(turns)), tools=_tools(members))


def _conversation(value: JsonValue, where: str) -> tuple[JsonObject, ...]:
    messages = tuple(_object(message, f"{where}[{index}]") for index, message in enumerate(_list(value, where, MESSAGES)))
    if not messages:
        raise _Wrong(f"{where} is empty; write at least one message")
    for index, message in enumerate(messages):
        _text(message.get("role"), f"{where}[{index}].role", ID_LENGTH)
    return messages


def _tools(members: JsonObject) -> tuple[JsonObject, ...]:
    return tuple(_object(tool, f"input.tools[{index}]") for index, tool in enumerate(_list(members.get("tools", []), "input.tools", TOOLS)))


def _tensors(members: JsonObject) -> Input:
    tensors = tuple(
        _tensor(_object(value, f"input.tensors[{index}]"), index) for index, value in enumerate(_list(members["tensors"], "input.tensors", TENSORS))
    )
    if not tensors:
        raise _Wrong("input.tensors is empty; write at least one tensor")
    if len({tensor.name for tensor in tensors}) < len(tensors):
        raise _Wrong("input.tensors has two tensors of one name; a server could use either")
    return Tensors(inputs=tensors)


_WHOLE: Final = {f"{sign}INT{bits}": (sign, bits) for sign in ("", "U") for bits in (8, 16, 32, 64)}


def _is_element(datatype: str) -> Callable[[Json], bool] | None:
    """How an element of this datatype of the Open Inference Protocol looks in JSON; None: there is no such datatype."""
    if datatype in _WHOLE:
        sign, bits = _WHOLE[datatype]
        low, high = (0, 2**bits) if sign else (-(2 ** (bits - 1)), 2 ** (bits - 1))
        return lambda value: type(value) is int and low <= value < high
    return {
        "BOOL": lambda value: type(value) is bool,
        "FP16": lambda value: type(value) in {int, float},
        "FP32": lambda value: type(value) in {int, float},
        "FP64": lambda value: type(value) in {int, float},
        "BYTES": lambda value: type(value) is str,
    }.get(datatype)


def _tensor(members: JsonObject, index: int) -> Tensor:
    where = f"input.tensors[{index}]"
    _known(members, frozenset({"name", "shape", "datatype", "data"}), where)
    datatype = _text(members.get("datatype"), f"{where}.datatype", ID_LENGTH)
    is_element = _is_element(datatype)
    if is_element is None:
        raise _Wrong(f"{where}.datatype {datatype!r} is none of the protocol's; use BOOL, INT8..INT64, UINT8..UINT64, FP16, FP32, FP64 or BYTES")
    shape: list[int] = []
    for size in _list(members.get("shape"), f"{where}.shape", TENSOR_DIMENSIONS):
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= VALUES:
            raise _Wrong(f"{where}.shape holds {size!r}; sizes are whole numbers from 0 to {VALUES:,}")
        shape.append(size)
    data = _list(members.get("data"), f"{where}.data", VALUES)
    if any(isinstance(value, list) for value in data):
        raise _Wrong(f"{where}.data is nested; write it flat, in row-major order")
    if len(data) != math.prod(shape):
        raise _Wrong(f"{where}.data has {len(data):,} values where shape {shape} needs {math.prod(shape):,}")
    for value in data:
        if not is_element(value):
            raise _Wrong(f"{where}.data holds {value!r:.80}, which is no {datatype}")
    return Tensor(name=_text(members.get("name"), f"{where}.name", ID_LENGTH), shape=tuple(shape), datatype=datatype, data=tuple(data))


_INPUTS: Final[Mapping[str, tuple[frozenset[str], Callable[[JsonObject], Input]]]] = {
    "prompt": (frozenset(), _prompt),
    "messages": (frozenset({"tools"}), _messages),
    "turns": (frozenset({"tools"}), _turns),
    "tensors": (frozenset(), _tensors),
    "text": (frozenset(), _text_input),
    "fields": (frozenset(), _fields),
}


def _input(members: JsonObject) -> Input:
    kinds = sorted(members.keys() & _INPUTS.keys())
    if len(kinds) != 1:
        raise _Wrong(f"input has {' and '.join(kinds) or 'none'} of {', '.join(_INPUTS)}; write exactly one of them")
    also, read = _INPUTS[kinds[0]]
    _known(members, also | {kinds[0]}, "input")
    return read(members)


# ---- values ----


def _known(members: JsonObject, known: frozenset[str], what: str) -> None:
    unknown = sorted(members.keys() - known)
    if unknown:
        raise _Wrong(f"member {unknown[0]!r:.80} of {what} is unknown; known are {', '.join(sorted(known))}: correct the name, or remove it")


def _object(value: JsonValue, where: str) -> JsonObject:
    if not isinstance(value, dict):
        raise _Wrong(f"{where} is not a JSON object; write {{…}}")
    return value


def _list(value: JsonValue, where: str, limit: int) -> list[JsonValue]:
    if not isinstance(value, list):
        raise _Wrong(f"{where} is not a list; write […]")
    if len(value) > limit:
        raise _Wrong(f"{where} has {len(value):,} entries; at most {limit:,} are read")
    return value


def _text(value: JsonValue, where: str, limit: int) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= limit:
        raise _Wrong(f"{where} is not a text of 1 to {limit:,} characters")
    return value


def _name(value: JsonValue, where: str) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise _Wrong(f"{where} is {value!r:.80}; use at most 63 letters, digits, '-', '_' and '.', with a letter or digit at either end")
    return value
