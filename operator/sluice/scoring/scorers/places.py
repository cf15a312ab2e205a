"""Everything that an answer says, and where: texts, names and arguments of tool calls, strings in tensors.

Gates and content scorers look here, so that none of them forgets a place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sluice.scoring.answer import Answer
from sluice.scoring.case import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One text of an answer."""

    name: str
    """For people: `text`, `turn 2`, `tool call 1 arguments`, `tensor output_0`."""
    text: str


def places_of(answer: Answer) -> tuple[Place, ...]:
    """All texts of `answer`, in the order in which a reader meets them; none is empty."""
    return tuple(place for place in _places(answer) if place.text)


def strings_of(value: Json) -> Iterator[str]:
    """Every string, member name and number in a JSON value, depth first in order; does not recurse, whatever the depth."""
    waiting = [value]
    while waiting:
        current = waiting.pop()
        if isinstance(current, str):
            yield current
        elif isinstance(current, dict):
            waiting.extend(item for pair in reversed(current.items()) for item in reversed(pair))
        elif isinstance(current, (list, tuple)):
            waiting.extend(reversed(current))
        elif isinstance(current, (int, float)) and not isinstance(current, bool):
            yield repr(current)


def _places(answer: Answer) -> Iterator[Place]:
    if len(answer.turns) > 1:
        yield from (Place(name=f"turn {number}", text=turn) for number, turn in enumerate(answer.turns, start=1))
    else:
        yield Place(name="text", text=answer.text)
    for number, call in enumerate(answer.tool_calls, start=1):
        yield Place(name=f"tool call {number} name", text=call.name)
        # Both: what the model wrote may hide behind escapes that the tool never sees, and what the tool sees is behind the escapes of JSON.
        yield Place(name=f"tool call {number} arguments", text="\n".join((call.raw, *strings_of(call.arguments or {}))))
    for name, tensor in answer.tensors.items():
        yield Place(name=f"tensor {name[:80]}", text="\n".join(item for item in tensor.data if isinstance(item, str)))
