"""From an object as the API server gives it to its typed spec, or to words for the person who has to correct it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args

from pydantic import ValidationError

from sluice.api.base import Decimal, Duration, Label, Model, Name, Sha256

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

T = TypeVar("T", bound=Model)
# What is wrong is the field itself: the value beside it, or around it, would only lead astray.
_WITHOUT_VALUE = {"missing": "this field is needed", "extra_forbidden": "there is no such field; look for a slip in its name"}
_SHOWN: Final = 80


def _pattern(text: object) -> str:
    """The pattern of a text of `api.base`."""
    return str(next(each.pattern for each in get_args(text)[1:] if getattr(each, "pattern", None)))


_INSTEAD: Final[Mapping[str, str]] = {
    _pattern(Label): "write lower-case letters, digits and -, with a letter or digit at both ends, at most 63",
    _pattern(Name): "write lower-case letters, digits, - and ., with a letter or digit at both ends",
    _pattern(Sha256): "write sha256: and 64 lower-case hexadecimal digits",
    _pattern(Duration): "write days, hours, minutes and seconds, like 30d or 1h30m",
    _pattern(Decimal): 'write a decimal number in quotes, like "0.95"',
}
"""What to write where a text is not of its pattern."""


class Unreadable(str):
    """Why an object cannot be read: which field, which value."""

    __slots__ = ()


def read(model: type[T], item: Mapping[str, Any]) -> T | Unreadable:
    """Read the spec of an object, or say which field is wrong and why."""
    try:
        return model.model_validate(item.get("spec"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(["spec", *(str(part) for part in first["loc"])])
        return Unreadable(f"{field}: {in_words(first)}")


def in_words(problem: ErrorDetails) -> str:
    """Say what is wrong with a value, and what to write instead where that is known."""
    value = str(problem["input"])[:_SHOWN]
    match problem["type"]:
        case kind if kind in _WITHOUT_VALUE:
            return _WITHOUT_VALUE[kind]
        case "string_type" if isinstance(problem["input"], bool | int | float):
            return f'this is a text: write it in quotes, "{value.lower() if isinstance(problem["input"], bool) else value}"'
        case "string_pattern_mismatch" if instead := _INSTEAD.get(str(problem.get("ctx", {}).get("pattern"))):
            return f"{instead} (value: {value!r})"
        case "model_type":
            return f"this has fields of its own; write them below it{_such_as(problem)} (value: {value!r})"
        case _:
            return f"{problem['msg'].removeprefix('Value error, ')} (value: {value!r})"


def _such_as(problem: ErrorDetails) -> str:
    """Name the fields that cannot be left out, as they are written."""
    wanted = problem.get("ctx", {}).get("class_name")
    model = next((each for each in Model.__subclasses__() if each.__name__ == wanted), None)
    needed = [field.alias or name for name, field in model.model_fields.items() if field.is_required()] if model else []
    return f", as {{{', '.join(f'{name}: …' for name in needed)}}}" if needed else ""
