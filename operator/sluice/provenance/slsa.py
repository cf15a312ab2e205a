"""SLSA provenance: which builder made an artifact, out of what, told how by whoever started it.

Version 0.2 and version 1 become one `BuildProvenance`. What a builder wrote by itself (`builder.id`, what went in) can be believed as far as the signer can;
external parameters are whatever the person who started the build typed, and are kept only so that policy can say which it accepts.

Nothing in either version says what an input *was*: a dependency may carry the annotation `sluice.dev/role` (docs/lineage.md), which is the signer's word.

Specifications: https://slsa.dev/spec/v1.0/provenance, https://slsa.dev/spec/v0.2/provenance, and for what becomes of v0.2 the migration table of the former.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sluice.provenance.errors import ProvenanceError, Reason, closed
from sluice.provenance.statement import Statement, digests_of, text
from sluice.provenance.strict_json import JsonObject, JsonValue, canonical, member, objects, optional

PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
PREDICATE_TYPE_V02 = "https://slsa.dev/provenance/v0.2"
PREDICATE_TYPES = frozenset({PREDICATE_TYPE, PREDICATE_TYPE_V02})
ROLE_ANNOTATION = "sluice.dev/role"
DEPENDENCY_LIMIT = 1024
PARAMETER_LIMIT = 512
"""External parameters, each leaf of the JSON counted."""
PARAMETER_BYTES_LIMIT = 65_536
_MALFORMED = Reason.PredicateMalformed
_SHA1 = re.compile(r"[0-9a-f]{40}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """Something that went into a build."""

    uri: str
    """Where it came from; empty when the builder did not say."""
    digests: frozenset[str]
    """As `algorithm:hex`; empty when the builder did not say."""
    role: str = ""
    """What the signer says it was, by annotation; empty when nobody did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildProvenance:
    """How the subjects were made."""

    builder_id: str
    build_type: str
    dependencies: tuple[Dependency, ...]
    run: str = ""
    """`invocationId`: the run, as the builder names it; empty when it does not."""
    external_parameters: tuple[tuple[str, str], ...] = ()
    """Each leaf of the external parameters as a JSON pointer (RFC 6901) with its value: strings as they are, everything else as JSON writes it. Sorted."""


def parse_provenance(statement: Statement) -> BuildProvenance:
    """Read SLSA provenance of either version. Raises ProvenanceError (PredicateMalformed)."""
    with closed(_MALFORMED, "the provenance does not parse"):
        match statement.predicate_type:
            case "https://slsa.dev/provenance/v1":
                return _version_1(statement.predicate)
            case "https://slsa.dev/provenance/v0.2":
                return _version_02(statement.predicate)
            case other:
                raise ProvenanceError(_MALFORMED, f"the statement is of type {other!r}; {PREDICATE_TYPE!r} and {PREDICATE_TYPE_V02!r} are provenance")


def _version_1(predicate: JsonObject) -> BuildProvenance:
    definition = member(predicate, "buildDefinition", dict, where="predicate", reason=_MALFORMED)
    details = member(predicate, "runDetails", dict, where="predicate", reason=_MALFORMED)
    builder = member(details, "builder", dict, where="predicate.runDetails", reason=_MALFORMED)
    metadata = optional(details, "metadata", dict, where="predicate.runDetails", reason=_MALFORMED) or {}
    parameters = optional(definition, "externalParameters", dict, where="predicate.buildDefinition", reason=_MALFORMED) or {}
    where = "predicate.buildDefinition.resolvedDependencies"
    return BuildProvenance(
        builder_id=text(builder, "id", where="predicate.runDetails.builder", reason=_MALFORMED),
        build_type=text(definition, "buildType", where="predicate.buildDefinition", reason=_MALFORMED),
        dependencies=tuple(
            _dependency(entry, digests_of(entry, where=at, reason=_MALFORMED), where=at) for entry, at in _entries(definition, "resolvedDependencies", where)
        ),
        run=_text_or_empty(metadata, "invocationId", where="predicate.runDetails.metadata"),
        external_parameters=_leaves(parameters),
    )


def _version_02(predicate: JsonObject) -> BuildProvenance:
    builder = member(predicate, "builder", dict, where="predicate", reason=_MALFORMED)
    invocation = optional(predicate, "invocation", dict, where="predicate", reason=_MALFORMED) or {}
    metadata = optional(predicate, "metadata", dict, where="predicate", reason=_MALFORMED) or {}
    # The migration table of v1: what the person who started the build chose are configSource and parameters; the environment is the builder's.
    parameters: JsonObject = {key: invocation[key] for key in ("configSource", "parameters") if invocation.get(key) is not None}
    return BuildProvenance(
        builder_id=text(builder, "id", where="predicate.builder", reason=_MALFORMED),
        build_type=text(predicate, "buildType", where="predicate", reason=_MALFORMED),
        dependencies=tuple(
            _dependency(entry, _material_digests(entry, where=at), where=at) for entry, at in _entries(predicate, "materials", "predicate.materials")
        ),
        run=_text_or_empty(metadata, "buildInvocationId", where="predicate.metadata"),
        external_parameters=_leaves(parameters),
    )


def _entries(parent: JsonObject, key: str, where: str) -> list[tuple[JsonObject, str]]:
    listed = optional(parent, key, list, where=where.rpartition(".")[0], reason=_MALFORMED) or []
    return [(entry, f"{where}[{index}]") for index, entry in enumerate(objects(listed, where=where, reason=_MALFORMED, limit=DEPENDENCY_LIMIT))]


def _dependency(entry: JsonObject, digests: frozenset[str], *, where: str) -> Dependency:
    annotations = optional(entry, "annotations", dict, where=where, reason=_MALFORMED) or {}
    return Dependency(
        uri=_text_or_empty(entry, "uri", where=where),
        digests=digests,
        role=_text_or_empty(annotations, ROLE_ANNOTATION, where=f"{where}.annotations"),
    )


def _material_digests(entry: JsonObject, *, where: str) -> frozenset[str]:
    """Version 0.2 names the commit of a Git repository by `sha1`, which is what `gitCommit` came to be called. It has no word for commits by SHA-256."""
    digests = digests_of(entry, where=where, reason=_MALFORMED)
    named = optional(entry, "digest", dict, where=where, reason=_MALFORMED) or {}
    commit, uri = named.get("sha1"), entry.get("uri")
    if commit is None or not isinstance(uri, str) or not uri.startswith("git+"):
        return digests
    if not isinstance(commit, str) or not _SHA1.fullmatch(commit):
        raise ProvenanceError(_MALFORMED, f"{where}.digest.sha1 is not 40 lower-case hexadecimal digits")
    return digests | {f"gitCommit:{commit}"}


def _leaves(parameters: JsonObject) -> tuple[tuple[str, str], ...]:
    if len(canonical(parameters)) > PARAMETER_BYTES_LIMIT:
        raise ProvenanceError(_MALFORMED, f"the external parameters are longer than {PARAMETER_BYTES_LIMIT:,} bytes")
    leaves = sorted(_pointers(parameters, ""))
    if len(leaves) > PARAMETER_LIMIT:
        raise ProvenanceError(_MALFORMED, f"there are {len(leaves)} external parameters; at most {PARAMETER_LIMIT} are read")
    return tuple(leaves)


def _pointers(value: JsonValue, pointer: str) -> Iterator[tuple[str, str]]:
    """Each leaf below `value`; the depth is bounded by the parser."""
    if isinstance(value, dict) and value:
        for key, child in value.items():
            yield from _pointers(child, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list) and value:
        for index, child in enumerate(value):
            yield from _pointers(child, f"{pointer}/{index}")
    elif pointer:
        yield pointer, value if isinstance(value, str) else canonical(value).decode()


def _text_or_empty(parent: JsonObject, key: str, *, where: str) -> str:
    return text(parent, key, where=where, reason=_MALFORMED) if parent.get(key) else ""
