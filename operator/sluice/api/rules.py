"""The rules of a resource that the API server evaluates, evaluated where there is none: a manifest that it would refuse is no rehearsal of anything.

The types cannot say that an identity is revoked together with its issuer, or that a trust root is of one kind. On a cluster the schema says
it, in CEL and by what tells the entries of a list apart; who reads such an object from a file, and does not ask, takes half an entry for a whole one.

Limits: rules about a change (`oldSelf`) are passed over, for a file has no past; so is the status, which nobody writes in a file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache
from typing import Any

from cel_expr_python import cel
from pydantic import ValidationError

from sluice.api.kinds import KINDS, Kind
from sluice.api.schema import structural

_PAST = "oldSelf"


def broken_rules(item: Mapping[str, Any]) -> Iterator[str]:
    """Say of a raw object of one of our kinds which rules its spec breaks: which field, and what would be right.

    Nothing is said of a spec that cannot be read, since whoever reads it says more, nor of other kinds.
    """
    for kind in KINDS:
        if kind.name == item.get("kind") and _is_readable(kind, item.get("spec")):
            schema = _schema(kind)
            yield from _broken(schema, _defaulted(schema, deepcopy(item["spec"])), "spec")


@cache
def _schema(kind: Kind) -> Mapping[str, Any]:
    # It takes a tenth of a second to write, and a folder has many objects of few kinds.
    return structural(kind.spec)


def _is_readable(kind: Kind, spec: Any) -> bool:  # noqa: ANN401 - any JSON value
    try:
        kind.spec.model_validate(spec)
    except ValidationError:
        return False
    return True


def _broken(schema: Mapping[str, Any], value: Any, where: str) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        for name, below in schema.get("properties", {}).items():
            if value.get(name) is not None:
                yield from _broken(below, value[name], f"{where}.{name}")
        if isinstance(values := schema.get("additionalProperties"), dict):
            for name, each in value.items():
                yield from _broken(values, each, f"{where}.{name}")
    elif isinstance(value, list):
        yield from _alike(schema, value, where)
        for index, each in enumerate(value):
            yield from _broken(schema.get("items") or {}, each, f"{where}[{index}]")
    for rule in schema.get("x-kubernetes-validations", ()):
        if _PAST not in rule["rule"] and not _holds(rule["rule"], value):
            yield f"{where}{rule.get('fieldPath', '')}: {rule['message']}"


def _alike(schema: Mapping[str, Any], entries: list[Any], where: str) -> Iterator[str]:
    """Entries that the API server cannot tell apart: of a set, or of a list that is a map by some of its members."""
    match schema.get("x-kubernetes-list-type"):
        case "set":
            told = [json.dumps(each) for each in entries]
        case "map":
            told = [" ".join(str(each.get(key)) for key in schema["x-kubernetes-list-map-keys"]) for each in entries]
        case _:
            return
    for each in sorted({each for each in told if told.count(each) > 1}):
        yield f"{where}: {each[:80]} is there twice"


def _defaulted(schema: Mapping[str, Any], value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Fill in what the API server fills in before it evaluates a rule; null stands for a field that is not there. Changes `value`."""
    if isinstance(value, dict):
        for name in [name for name, each in value.items() if each is None]:
            del value[name]
        for name, below in schema.get("properties", {}).items():
            if "default" in below:
                value.setdefault(name, deepcopy(below["default"]))
            if name in value:
                _defaulted(below, value[name])
    elif isinstance(value, list):
        for each in value:
            _defaulted(schema.get("items") or {}, each)
    return value


def _holds(rule: str, value: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Whether a rule is true; one that cannot be evaluated is not, as for the API server."""
    try:
        return _compiled(rule).eval(data={"self": value}).value() is True
    except (RuntimeError, TypeError, ValueError):
        return False


@cache
def _compiled(rule: str) -> cel.Expression:
    return cel.NewEnv(variables={"self": cel.Type.DYN}).compile(rule)
