"""Requests of plain HTTP with places for the values of a case, and pointers into answers.

A template is parsed before it is filled, and a value is put in once: nothing that a case holds can open a string, add a member or become another
placeholder. No expressions, no conditions, no loops.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import quote

from sluice.scoring.case import Json

SEED: Final = "$seed"
MODEL: Final = "$model"
TEMPLATE_LENGTH: Final = 64 << 10
QUERY_LENGTH: Final = 2048
POINTER_LENGTH: Final = 512
DEPTH: Final = 32

_PLACE = re.compile(r"\{\{(\$?[A-Za-z_][A-Za-z0-9_.-]{0,63})\}\}")
_QUERY_LITERAL = re.compile(r"[A-Za-z0-9._~%!$&'()*+,;=:@/?-]*")
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


class TemplateError(ValueError):
    """A template that cannot be parsed or filled, or a pointer that leads nowhere; begins with the member of `http` that it is about."""


@dataclass(frozen=True, slots=True)
class BodyTemplate:
    """A JSON document. A string that is one placeholder becomes the value, of whatever type; a placeholder inside a longer string becomes text."""

    document: Json
    names: frozenset[str]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises TemplateError."""
        if len(text) > TEMPLATE_LENGTH:
            raise TemplateError(f"body is {len(text):,} characters; write at most {TEMPLATE_LENGTH:,}")
        try:
            document = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise TemplateError(f"body is no JSON ({type(error).__name__}: {str(error)[:80]}); placeholders stand inside of strings") from None
        names: set[str] = set()

        def look(string: str) -> str:
            names.update(_names(string, member="body"))
            return string

        return cls(document=_mapped(document, look, depth=0), names=frozenset(names))

    def fill(self, values: Mapping[str, Json]) -> Json:
        """The document with `values` in their places; raises TemplateError when one is missing."""

        def put(string: str) -> Json:
            whole = _PLACE.fullmatch(string)
            if whole:
                return _value(values, whole[1], member="body")
            return _PLACE.sub(lambda place: as_text(_value(values, place[1], member="body")), string)

        return _mapped(self.document, put, depth=0)


@dataclass(frozen=True, slots=True)
class QueryTemplate:
    """The query of a URL; values are percent-encoded."""

    text: str
    names: frozenset[str]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises TemplateError."""
        names = _names(text, member="query")
        if len(text) > QUERY_LENGTH or not _QUERY_LITERAL.fullmatch(_PLACE.sub("", text)):
            raise TemplateError(f"query is {text[:64]!r}; write name=value pairs joined by &, percent-encoded, at most {QUERY_LENGTH} characters")
        return cls(text=text, names=names)

    def fill(self, values: Mapping[str, Json]) -> str:
        """The query with `values` in their places; raises TemplateError when one is missing."""
        return _PLACE.sub(lambda place: quote(as_text(_value(values, place[1], member="query")), safe="", errors="replace"), self.text)


@dataclass(frozen=True, slots=True)
class Pointer:
    """A JSON pointer (RFC 6901)."""

    tokens: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises TemplateError."""
        if len(text) > POINTER_LENGTH or (text and not text.startswith("/")) or re.search(r"~(?![01])", text):
            raise TemplateError(f"answer is {text[:64]!r}; write a JSON pointer such as /result/0/text (RFC 6901), or nothing for the whole document")
        # Section 4: ~1 before ~0, so that ~01 becomes ~1 and not /.
        return cls(tokens=tuple(token.replace("~1", "/").replace("~0", "~") for token in text.split("/")[1:]))

    def of(self, document: Json) -> Json:
        """What the pointer leads to; raises TemplateError when it leads nowhere."""
        value = document
        for position, token in enumerate(self.tokens):
            if isinstance(value, dict) and token in value:
                value = value[token]
            elif isinstance(value, list) and _INDEX.fullmatch(token) and int(token) < len(value):
                value = value[int(token)]
            else:
                raise TemplateError(f"answer: nothing is at step {position + 1} of the pointer, {token[:32]!r}")
        return value


def as_text(value: Json) -> str:
    """A string as it is, anything else as JSON text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _names(text: str, *, member: str) -> frozenset[str]:
    if "{{" in _PLACE.sub("", text):
        raise TemplateError(f"{member} holds {{{{ without a name and }}}}; write {{{{name}}}} with letters, digits, _ . - in the name")
    names = frozenset(_PLACE.findall(text))
    unknown = sorted(name for name in names if name.startswith("$") and name not in {SEED, MODEL})
    if unknown:
        raise TemplateError(f"{member} asks for {unknown[0]}; of the names that begin with $ there are only {SEED} and {MODEL}")
    return names


def _value(values: Mapping[str, Json], name: str, *, member: str) -> Json:
    if name not in values:
        raise TemplateError(f"{member} asks for {name!r}, which the case does not have")
    return values[name]


def _mapped(value: Json, change: Callable[[str], Json], *, depth: int) -> Json:
    """`value` with every string in it changed."""
    if depth > DEPTH:
        raise TemplateError(f"body is nested deeper than {DEPTH} levels")
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_mapped(item, change, depth=depth + 1) for item in value]
    if isinstance(value, dict):
        if any("{{" in key for key in value):
            raise TemplateError("body has a placeholder in the name of a member; only values are filled in")
        return {key: _mapped(item, change, depth=depth + 1) for key, item in value.items()}
    return value


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")
