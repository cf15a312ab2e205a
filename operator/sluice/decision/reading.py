"""From an object as the API server gives it to its typed spec, or to words for the person who has to correct it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from sluice.api.base import Model

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T", bound=Model)


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
        return Unreadable(f"{field}: {first['msg']} (value: {str(first['input'])[:80]!r})")
