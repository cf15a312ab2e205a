"""What expressions in policies can talk about, and the type of each: the same for tiers, triggers and conditions.

| variable | type |
|---|---|
| `release` | the spec of the ModelRelease, with its defaults filled in (`release.authority.tools` is always a list) |
| `baseline` | the same of the release that it names as its baseline; not there when that cannot be found |
| `changes` | names of the security changes that were found (`SecurityChange`) |
| `measurements` | what verified evaluations by signers of this policy say of the models of the release |

The types of `release` and `baseline` are those of the CRD, written as protobuf messages because that is how the CEL compiler takes the types of fields.
What is evaluated is plain JSON.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Final, Union, get_args, get_origin

import pydantic_core
from cel_expr_python import cel
from google.protobuf import descriptor_pb2, descriptor_pool

from sluice.api.base import Model
from sluice.api.policy import StatementKind as Kind
from sluice.api.release import Authority, ReleaseSpec
from sluice.decision.model import MODELS, Case, Policy
from sluice.decision.signers import kind_of, permitted_signer
from sluice.evidence.evaluation import Evaluation

_FILE: Final = "sluice.proto"
_PACKAGE: Final = "sluice"
_NUL: Final = "\\u0000"
"""NUL, as JSON writes it."""
MOST_MEASUREMENTS: Final = 512
"""With more, `measurements` is not there: each slice of each suite is one, and who evaluates decides how many slices there are."""

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS: Final[Mapping[type, _Field.Type.ValueType]] = {
    str: _Field.TYPE_STRING,
    int: _Field.TYPE_INT64,
    bool: _Field.TYPE_BOOL,
    float: _Field.TYPE_DOUBLE,
}


class MeasurementVariable(Model):
    """One number of one verified evaluation."""

    suite: str
    metric: str
    slice: str
    """`field=value`; empty for all cases."""
    value: float
    samples: int
    harness: str
    family: str
    """Empty when it belongs to none."""
    artifact: str
    """Name of the artifact that it is about."""


def _pool(*models: type[Model]) -> descriptor_pool.DescriptorPool:
    """Describe models, and those in them, to the CEL compiler."""
    file = descriptor_pb2.FileDescriptorProto(name=_FILE, package=_PACKAGE, syntax="proto3")
    waiting, known = list(models), set(models)
    while waiting:
        model = waiting.pop()
        message = file.message_type.add(name=model.__name__)
        for number, (name, info) in enumerate(model.model_fields.items(), start=1):
            repeated, of = _unwrapped(info.annotation)
            label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
            if issubclass(of, Model):
                message.field.add(name=info.alias or name, number=number, label=label, type=_Field.TYPE_MESSAGE, type_name=f".{_PACKAGE}.{of.__name__}")
                waiting += {of} - known
                known.add(of)
            else:
                scalar = next(wire for kind, wire in _SCALARS.items() if issubclass(of, kind))
                message.field.add(name=info.alias or name, number=number, label=label, type=scalar)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool


def _unwrapped(annotation: object) -> tuple[bool, type]:
    """Whether a field is a list, and of what. Raises TypeError: it is of a form that no field of a release had so far."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _unwrapped(arguments[0])
    if origin in {Union, types.UnionType}:
        (one,) = (argument for argument in arguments if argument is not types.NoneType)
        return _unwrapped(one)
    if origin is list:
        return True, _unwrapped(arguments[0])[1]
    if isinstance(annotation, type) and issubclass(annotation, (Model, StrEnum, *_SCALARS)):
        return False, annotation
    message = f"{annotation} has no type in CEL yet: say here which"
    raise TypeError(message)


POOL: Final = _pool(ReleaseSpec, MeasurementVariable)
"""The types of messages."""
_RELEASE: Final = cel.Type(f"{_PACKAGE}.{ReleaseSpec.__name__}")
TYPES: Final[Mapping[str, cel.Type]] = {
    "release": _RELEASE,
    "baseline": _RELEASE,
    "changes": cel.Type.List(cel.Type.STRING),
    "measurements": cel.Type.List(cel.Type(f"{_PACKAGE}.{MeasurementVariable.__name__}")),
}
"""Each variable and its type."""


def variables(policy: Policy, case: Case, changes: Iterable[str]) -> Mapping[str, object] | None:
    """Give the values that expressions of `policy` name. None when a text in them has a NUL: the library would end it there, and hide the rest."""
    written: dict[str, str] = {}
    if "release" in policy.reads:
        written["release"] = _written(case.release.spec)
    if "baseline" in policy.reads and case.lineage.baseline is not None:
        written["baseline"] = _written(case.lineage.baseline.spec)
    if "measurements" in policy.reads and (measured := measurements(policy, case)) is not None:
        written["measurements"] = pydantic_core.to_json(measured).decode()
    if any(_NUL in text for text in written.values()):
        return None
    values: dict[str, object] = {name: pydantic_core.from_json(text) for name, text in written.items()}
    return values | {"changes": sorted(set(changes))}


def _written(spec: ReleaseSpec) -> str:
    """Write a spec with its defaults filled in."""
    return (spec if spec.authority else spec.model_copy(update={"authority": Authority()})).model_dump_json(by_alias=True, exclude_none=True)


def measurements(policy: Policy, case: Case) -> Sequence[Mapping[str, object]] | None:
    """What signers of `policy` measured of the models of the release, in an order that does not depend on when it came; None when it is too much."""
    found = [
        MeasurementVariable(
            suite=one.suite, metric=one.metric, slice=one.slice, value=one.value, samples=one.samples, harness=one.harness,
            family=next((member.family.value for member in policy.families.of(one)), ""), artifact=artifact.name,
        ).model_dump()
        for fact in sorted(case.facts, key=lambda fact: (fact.bundle_digest, fact.trust_root))
        if kind_of(fact) is Kind.EVALUATION and isinstance(fact.content, Evaluation) and permitted_signer(policy, fact)
        for artifact in case.release.spec.artifacts
        if artifact.type in MODELS and artifact.digest in fact.subjects
        for one in fact.content.measurements
    ]  # fmt: skip
    return found if len(found) <= MOST_MEASUREMENTS else None
