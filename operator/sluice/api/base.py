"""What all resources share: the base model, bounded strings, references, conditions.

Every string and list is bounded. The API server needs the bounds to estimate the cost of CEL rules, and we need them because tenants write these objects.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

SHA256 = r"sha256:[0-9a-f]{64}"

Sha256 = Annotated[str, StringConstraints(pattern=rf"^{SHA256}$", max_length=71)]
"""`sha256:` and 64 lower-case hexadecimal digits."""

ArtifactDigest = Annotated[str, StringConstraints(pattern=rf"^({SHA256}|gitCommit:[0-9a-f]{{40}}([0-9a-f]{{24}})?)$", max_length=74)]
"""A `sha256:…` digest, or `gitCommit:…` (40 or 64 digits) for code."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", min_length=1, max_length=253)]
"""The name of a Kubernetes object (RFC 1123 subdomain)."""

Label = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", min_length=1, max_length=63)]
"""A short name inside an object (RFC 1123 label)."""

Text = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Line = Annotated[str, StringConstraints(min_length=1, max_length=253)]
Uri = Annotated[str, StringConstraints(min_length=1, max_length=2048)]


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 time; one without a zone is UTC.

    Raises ValueError: it is no time. The API server's `format: date-time` lets the year 0, offsets of 99 hours and text behind the zone pass.
    """
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        message = "this is no time; write it like 2026-01-31T12:00:00Z"
        raise ValueError(message) from None


def _a_time(text: str) -> str:
    parse_time(text)
    return text


Time = Annotated[str, StringConstraints(max_length=32), AfterValidator(_a_time), Field(json_schema_extra={"format": "date-time"})]
"""RFC 3339 time in UTC, as Kubernetes writes it."""

Duration = Annotated[str, StringConstraints(pattern=r"^([0-9]{1,5}(d|h|m|s))+$", max_length=32)]
"""A duration in days, hours, minutes and seconds: `30d`, `1h30m`."""

Decimal = Annotated[str, StringConstraints(pattern=r"^-?[0-9]{1,9}(\.[0-9]{1,9})?$", max_length=20)]
"""A decimal number in quotes, so that no client changes its digits on the way."""


def rule(expression: str, message: str, *, field: str | None = None) -> dict[str, str]:
    """Give one CEL rule that the API server itself enforces; `field` is the path (`.spec…`) that the error names."""
    return {"rule": expression, "message": message} | ({"fieldPath": field} if field else {})


def validations(*rules: dict[str, str]) -> dict[str, Any]:
    """Attach CEL rules to a model, through `json_schema_extra`."""
    return {"x-kubernetes-validations": list(rules)}


def immutable(fields: list[str], why: str) -> list[dict[str, str]]:
    """One rule for each field, so that the error names the field that was changed, added or removed."""
    return [
        rule(
            f"has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || self.{name} == oldSelf.{name})",
            f"{name} is immutable: {why}",
            field=f".{name}",
        )
        for name in fields
    ]


def exactly_one(*fields: str) -> dict[str, str]:
    """Exactly one of the members is set."""
    count = " + ".join(f"(has(self.{name}) ? 1 : 0)" for name in fields)
    return rule(f"{count} == 1", f"set exactly one of {', '.join(fields)}")


LIST_MAP_BY_NAME: dict[str, Any] = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
LIST_SET: dict[str, Any] = {"x-kubernetes-list-type": "set"}


class Model(BaseModel):
    """Camel-case on the wire, immutable in memory; an unknown field is an error, never ignored. The text below a field is what `kubectl explain` shows."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class NameRef(Model):
    """Reference to an object in the same namespace."""

    name: Name
    """Name of the object."""


class Identity(Model):
    """An authenticated API user, as the API server saw it."""

    username: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    """User name from the request's authentication."""
    groups: Annotated[list[Annotated[str, StringConstraints(max_length=1024)]], Field(max_length=256)] = []
    """Groups from the request's authentication."""


class ConditionStatus(StrEnum):
    """Status of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Model):
    """One aspect of the current state, after `metav1.Condition`."""

    type: Annotated[str, StringConstraints(max_length=64)]
    """What the condition is about."""
    status: ConditionStatus
    """True, False or Unknown."""
    reason: Annotated[str, StringConstraints(max_length=64)]
    """Stable code in UpperCamelCase; see docs/reasons.md."""
    message: Annotated[str, StringConstraints(max_length=4096)]
    """What was looked at and what to do, for people."""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The generation of the object that the condition speaks of."""
    last_transition_time: Time
    """When `status` last changed."""


Conditions = Annotated[list[Condition], Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]})]
