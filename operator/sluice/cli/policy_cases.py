"""`kind: PolicyTest`: a file of cases for `sluice policy test`. No object of a cluster; docs/policy-test.schema.json is made from these models.

What is expected is spelled as a verdict spells it and read strictly: a slip in a reason or in the name of a field would be a test that proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, ValidationError, model_validator

from sluice.api.base import Label, Line, Model, Name, Time
from sluice.api.release import Phase
from sluice.cli.manifests import ManifestRefused, located
from sluice.cli.verify import CannotTell
from sluice.decision.model import Allowance
from sluice.decision.reading import in_words
from sluice.decision.reasons import Reason

KIND: Final = "PolicyTest"
API_VERSION: Final = "cli.sluice.dev/v1alpha1"
_FILE_BYTES: Final = 1 << 20
_SCHEMA_ID: Final = "https://sluice.dev/schemas/policy-test.schema.json"


_INSTEAD: Final[Mapping[str, str]] = {
    "apiVersion": f"write apiVersion: {API_VERSION}",
    "now": 'write date, time and offset, such as "2026-12-20T00:00:00Z"',
    "release": "write NAMESPACE/NAME, as sluice check prints it",
}
"""What to write in fields that people get wrong first."""


class Came(StrEnum):
    """What a requirement comes to."""

    SATISFIED = "Satisfied"
    WAIVED = "Waived"
    MISSING = "Missing"
    EXPIRED = "Expired"
    FAILED = "Failed"
    NOT_ASKED = "NotAsked"
    """No policy asks it of this release: by its tier, or because no trigger fires."""


def _a_reason(text: str) -> str:
    if text not in set(Reason):
        raise ValueError("there is no such reason; docs/reasons.md lists them")
    return text


class ExpectedResult(Model):
    """What one requirement is to come to."""

    outcome: Came
    """Satisfied, Waived, Missing, Expired or Failed; NotAsked where no policy is to ask it."""
    reason: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]+$", max_length=64), AfterValidator(_a_reason)] | None = None
    """The code, from docs/reasons.md."""


class Expectation(Model):
    """What of a verdict is to be how. What is not named may be anything."""

    phase: Phase | None = None
    """Where the release stands."""
    allows: Allowance | None = None
    """What the verdict allows: Nothing, Canary or Serve."""
    requirements: Annotated[dict[Line, ExpectedResult], Field(default_factory=dict, max_length=256)]
    """By name, or as POLICY/NAME where two policies have one of that name."""
    triggers: Annotated[list[Label], Field(max_length=64)] | None = None
    """Names of the triggers that are to fire, all of them; [] where none is to."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("expect something: phase, allows, requirements or triggers")
        return self


class Change(Model):
    """A change of one object for the length of a case."""

    kind: Line
    """ModelRelease, ReleasePolicy, Namespace, …"""
    name: Name
    """Its name."""
    namespace: Name | None = None
    """Its namespace; that of the release where it is left out."""
    merge: dict[str, Any] | None = None
    """A JSON merge patch (RFC 7396): members replace those of the object, null removes one, a list replaces the whole list."""
    remove: Literal[True] | None = None
    """The object is not there."""

    @model_validator(mode="after")
    def _changes_one_way(self) -> Self:
        if (self.merge is None) == (self.remove is None):
            raise ValueError("set exactly one of merge, remove")
        return self


class PolicyCase(Model):
    """One release, perhaps changed, and the verdict that it is to get."""

    name: Line
    """What is tried, as a sentence."""
    release: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][-a-z0-9]*/[a-z0-9][-a-z0-9.]*$", max_length=317)]
    """NAMESPACE/NAME."""
    now: Time | None = None
    """At which time, where another one than the file's."""
    patch: Annotated[list[Change], Field(default_factory=list, max_length=64)]
    """What is different from the files, one after the other."""
    expect: Expectation
    """What the verdict is to be."""


class Named(Model):
    """The name of the file's cases."""

    name: Name
    """Shown with the answers."""


class PolicyTest(Model):
    """Cases on releases, with the verdicts that they are to get."""

    api_version: Literal["cli.sluice.dev/v1alpha1"]
    """Always cli.sluice.dev/v1alpha1."""
    kind: Literal["PolicyTest"]
    """Always PolicyTest."""
    metadata: Named
    """The name."""
    files: Annotated[list[Line], Field(min_length=1, max_length=256)]
    """Manifests, and folders of them, from where this file is."""
    namespace: Name = "default"
    """Namespace of objects in the files that name none."""
    whole_cluster: Literal[True] | None = None
    """The files hold every Role, ClusterRole, binding and NetworkPolicy that there is. Without it what the cluster grants is not known (AuthorityUnknown)."""
    now: Time
    """The time at which it is decided, so that ages are the same tomorrow."""
    cases: Annotated[list[PolicyCase], Field(min_length=1, max_length=1000)]
    """What is tried."""


def read_cases(path: Path) -> list[PolicyTest]:
    """Read the documents of kind PolicyTest of a file; others are passed over. Raises CannotTell, OSError."""
    with path.open("rb") as file:
        raw = file.read(_FILE_BYTES + 1)
    if len(raw) > _FILE_BYTES:
        raise CannotTell(f"{path}: longer than {_FILE_BYTES >> 20} MiB")
    try:
        found = located(raw.decode())
    except (ManifestRefused, UnicodeDecodeError) as error:
        raise CannotTell(f"{path}: {error}") from None
    return [_read(path, line, document) for line, document in found if isinstance(document, dict) and document.get("kind") == KIND]


def _read(path: Path, line: int, document: dict[str, Any]) -> PolicyTest:
    try:
        return PolicyTest.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
        instead = _INSTEAD.get(str(first["loc"][-1])) if first["type"] != "extra_forbidden" else None
        raise CannotTell(f"{path}:{line}: {where}: {in_words(first)}" + (f"; {instead}" if instead else "")) from None


def schema() -> dict[str, Any]:
    """The JSON schema of a file, for editors."""
    from sluice.api.described import Described  # noqa: PLC0415 - only who edits wants it

    made = PolicyTest.model_json_schema(by_alias=True, schema_generator=Described)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": _SCHEMA_ID, **made}


if __name__ == "__main__":
    import json
    import sys

    sys.stdout.write(json.dumps(schema(), indent=2, ensure_ascii=False) + "\n")
