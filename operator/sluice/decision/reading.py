"""From an object as the API server gives it to its typed spec, or to words for the person who has to correct it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from sluice.api.base import Model

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T", bound=Model)
# What is wrong is the field itself: the value beside it, or around it, would only lead astray.
_WITHOUT_VALUE = {"missing": "this field is needed", "extra_forbidden": "there is no such field; look for a slip in its name"}


class Unreadable(str):
    """Why an object cannot be read: which field, which value."""

    __slots__ = ()


def read(model: type[T], item: Mapping[str, Any]) -> T | Unreadable:
    """Read the spec of an object, or say which field is wrong and why."""
    try:
        return model.model_validate(item.get("spec"))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(["spec", *(str(part) for part in first["loc"])])
        if first["type"] in _WITHOUT_VALUE:
            return Unreadable(f"{field}: {_WITHOUT_VALUE[first['type']]}")
        return Unreadable(f"{field}: {first['msg']} (value: {str(first['input'])[:80]!r})")
