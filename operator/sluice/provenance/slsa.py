"""SLSA provenance v1: which builder made an artifact, out of what.

`externalParameters` are whatever the person who started the build typed; they are not read here, and a policy that wants them has to say so.

Specification: https://slsa.dev/spec/v1.0/provenance
"""

from __future__ import annotations

from dataclasses import dataclass

from sluice.provenance.errors import ProvenanceError, Reason, closed
from sluice.provenance.statement import Statement, digests_of, text
from sluice.provenance.strict_json import JsonObject, member, objects, optional

PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
DEPENDENCY_LIMIT = 1024
_MALFORMED = Reason.PredicateMalformed


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """Something that went into a build."""

    uri: str
    """Where it came from; empty when the builder did not say."""
    digests: frozenset[str]
    """As `algorithm:hex`; empty when the builder did not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildProvenance:
    """How the subjects were made."""

    builder_id: str
    build_type: str
    dependencies: tuple[Dependency, ...]


def parse_provenance(statement: Statement) -> BuildProvenance:
    """Read SLSA provenance v1. Raises ProvenanceError (PredicateMalformed)."""
    with closed(_MALFORMED, "the provenance does not parse"):
        if statement.predicate_type != PREDICATE_TYPE:
            raise ProvenanceError(_MALFORMED, f"the statement is of type {statement.predicate_type!r}, not {PREDICATE_TYPE!r}")
        definition = member(statement.predicate, "buildDefinition", dict, where="predicate", reason=_MALFORMED)
        details = member(statement.predicate, "runDetails", dict, where="predicate", reason=_MALFORMED)
        builder = member(details, "builder", dict, where="predicate.runDetails", reason=_MALFORMED)
        where = "predicate.buildDefinition.resolvedDependencies"
        entries = objects(
            optional(definition, "resolvedDependencies", list, where="predicate.buildDefinition", reason=_MALFORMED) or [],
            where=where,
            reason=_MALFORMED,
            limit=DEPENDENCY_LIMIT,
        )
        return BuildProvenance(
            builder_id=text(builder, "id", where="predicate.runDetails.builder", reason=_MALFORMED),
            build_type=text(definition, "buildType", where="predicate.buildDefinition", reason=_MALFORMED),
            dependencies=tuple(_dependency(entry, where=f"{where}[{index}]") for index, entry in enumerate(entries)),
        )


def _dependency(entry: JsonObject, *, where: str) -> Dependency:
    uri = text(entry, "uri", where=where, reason=_MALFORMED) if entry.get("uri") else ""
    return Dependency(uri=uri, digests=digests_of(entry, where=where, reason=_MALFORMED))
