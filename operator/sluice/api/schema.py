"""Structural OpenAPI v3 schemas from pydantic models.

The API server accepts a subset of JSON schema and *silently drops* some of the rest (`const`, `prefixItems`, `discriminator`): the constraint would be
lost without a word. So what cannot be expressed is refused here, when the CRDs are generated. Rules: apiextensions.k8s.io/v1 structural schemas.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from sluice.api.described import Described

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import core_schema as cs

_KEYWORDS = frozenset(
    {
        "description", "type", "format", "default", "minimum", "maximum", "minLength", "maxLength", "pattern", "minItems", "maxItems",
        "minProperties", "maxProperties", "enum", "required", "properties", "additionalProperties", "items", "nullable",
        "x-kubernetes-validations", "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type",
    }
)  # fmt: skip
_BOUND = {"string": ("maxLength", "enum", "format"), "array": ("maxItems",), "integer": ("maximum", "minimum")}


class InexpressibleError(TypeError):
    """A model uses something that a structural schema cannot say."""


class _Generator(Described):
    def nullable_schema(self, schema: cs.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])  # an absent member and a null one are the same to a CRD

    def union_schema(self, schema: cs.UnionSchema) -> JsonSchemaValue:
        message = f"union {schema['choices']!r}: use one optional member for each variant and an exactly-one rule"
        raise InexpressibleError(message)

    def any_schema(self, schema: cs.AnySchema) -> JsonSchemaValue:
        message = f"untyped field {schema!r}: type it"
        raise InexpressibleError(message)


def structural(model: type[BaseModel]) -> dict[str, Any]:
    """Return the structural schema of `model`.

    Raises:
        InexpressibleError: the model says something that the API server would drop or refuse, or leaves a string or list without a bound.
    """
    schema = model.model_json_schema(by_alias=True, schema_generator=_Generator)
    return _inline(schema, schema.get("$defs", {}), model.__name__, ())


def _inline(node: dict[str, Any], definitions: dict[str, Any], path: str, seen: tuple[str, ...]) -> dict[str, Any]:
    if "$ref" in node:
        name = node["$ref"].rsplit("/", 1)[1]
        if name in seen:
            message = f"{path}: recursive model {name}"
            raise InexpressibleError(message)
        merged = copy.deepcopy(definitions[name]) | {k: v for k, v in node.items() if k != "$ref"}
        return _inline(merged, definitions, path, (*seen, name))
    out = {key: value for key, value in node.items() if key not in {"$defs", "title"}}
    if out.get("additionalProperties") is False:
        del out["additionalProperties"]  # pruning is what a CRD does with unknown fields; strict clients refuse them first
    if "default" in out and out["default"] in (None, [], {}):
        del out["default"]  # an absent member says the same, and a defaulted empty list would show up as drift in Git
    if unknown := sorted(set(out) - _KEYWORDS):
        message = f"{path}: {', '.join(unknown)} cannot be expressed"
        raise InexpressibleError(message)
    if isinstance(out.get("additionalProperties"), dict):
        out["additionalProperties"] = _inline(out["additionalProperties"], definitions, f"{path}{{}}", seen)
    if "items" in out:
        out["items"] = _inline(out["items"], definitions, f"{path}[]", seen)
    if "properties" in out:
        out["properties"] = {k: _inline(v, definitions, f"{path}.{k}", seen) for k, v in out["properties"].items()}
    bounds = _BOUND.get(out.get("type", ""), ())
    if bounds and not any(bound in out for bound in bounds):
        message = f"{path}: {out['type']} without a bound ({' or '.join(bounds)})"
        raise InexpressibleError(message)
    return out
