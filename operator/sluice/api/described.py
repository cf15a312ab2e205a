"""What fields are for: the text below each, as schemas and `kubectl explain` show it.

pydantic reads these texts for every model whenever it is imported (`use_attribute_docstrings`), a sixth of what a process needs to start. Only those who
write a schema want them.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

if TYPE_CHECKING:
    from pydantic_core import core_schema as cs


class Described(GenerateJsonSchema):
    """Writes the JSON schema of a model with what its fields are for."""

    def model_schema(self, schema: cs.ModelSchema) -> JsonSchemaValue:
        """Give the schema of a model, by alias."""
        made = super().model_schema(schema)
        fields = schema["cls"].model_fields
        for name, text in descriptions(schema["cls"]).items():
            made["properties"][fields[name].alias or name].setdefault("description", text)
        return made


def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """What each field of a model is for, by the name in Python; fields without a text are left out."""
    texts: dict[str, str] = {}
    for base in reversed(model.__mro__):
        texts |= _texts(base.__module__).get(base.__qualname__, {})
    return {name: texts[name] for name in model.model_fields if name in texts}


@cache
def _texts(module: str) -> Mapping[str, Mapping[str, str]]:
    """What stands below the annotated members of a module's classes, by class and member."""
    file = getattr(sys.modules[module], "__file__", None)
    return dict(_classes(ast.parse(Path(file).read_text(encoding="utf-8")), "")) if file else {}


def _classes(node: ast.Module | ast.ClassDef, prefix: str) -> Iterator[tuple[str, dict[str, str]]]:
    for each in node.body:
        if isinstance(each, ast.ClassDef):
            name = prefix + each.name
            yield name, dict(_members(each))
            yield from _classes(each, f"{name}.")


def _members(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for member, below in pairwise(node.body):
        match member, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, inspect.cleandoc(text)
