"""Who vouches for recorded pairs: `https://sluice.dev/shadow-pairs/v1`, described in docs/replay.md.

The one subject is the recording, so that any tool can hold the file against the statement. Whom it compares, and on which suite it was read, is said in the
predicate by digest: a recording is of no use to another release, beside another baseline or on another suite. Whoever signs it vouches that the mirror recorded
what both answered, and left nothing out that the candidate was asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sluice.api.recording import ConfigMapFile, ImageFile
from sluice.evidence.reading import MALFORMED, moment
from sluice.provenance.digests import is_hex_digest
from sluice.provenance.errors import ProvenanceError, closed
from sluice.provenance.statement import Statement, text
from sluice.provenance.strict_json import JsonObject, member

PREDICATE_TYPE: Final = "https://sluice.dev/shadow-pairs/v1"
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"
_QUESTIONS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A release or a suite, by name and digest."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowPairs:
    """One recording. `questions` is how many different ones are in it, as the suite reads them."""

    digest: str
    """SHA-256 of the file."""
    candidate: Named
    baseline: Named
    suite: Named
    recorded_from: datetime
    recorded_until: datetime
    questions: int
    kept: ConfigMapFile | ImageFile
    """Where the file is."""

    def predicate(self) -> JsonObject:
        """The predicate that says this."""
        place = "oci" if isinstance(self.kept, ImageFile) else "configMap"
        return {
            **{what: {"name": named.name, "digest": named.digest} for what, named in self._named()},
            "recordedFrom": self.recorded_from.astimezone(UTC).strftime(_TIME),
            "recordedUntil": self.recorded_until.astimezone(UTC).strftime(_TIME),
            "questions": self.questions,
            "kept": {place: self.kept.model_dump(mode="json", by_alias=True)},
        }

    def _named(self) -> tuple[tuple[str, Named], ...]:
        return ("candidate", self.candidate), ("baseline", self.baseline), ("suite", self.suite)


def parse_pairs(statement: Statement) -> ShadowPairs:
    """Read who was recorded. Raises ProvenanceError (PredicateMalformed)."""
    with closed(MALFORMED, "the statement about recorded pairs does not parse"):
        if statement.predicate_type != PREDICATE_TYPE:
            raise ProvenanceError(MALFORMED, f"the statement is of type {statement.predicate_type!r}, not {PREDICATE_TYPE!r}")
        if len(statement.subjects) != 1:
            raise ProvenanceError(MALFORMED, f"it has {len(statement.subjects)} subjects; sign one statement for each recording")
        predicate = statement.predicate
        found = ShadowPairs(
            digest=statement.subjects[0].sha256,
            candidate=_named(predicate, "candidate"),
            baseline=_named(predicate, "baseline"),
            suite=_named(predicate, "suite"),
            recorded_from=moment(predicate, "recordedFrom", where="predicate"),
            recorded_until=moment(predicate, "recordedUntil", where="predicate"),
            questions=member(predicate, "questions", int, where="predicate", reason=MALFORMED),
            kept=_kept(member(predicate, "kept", dict, where="predicate", reason=MALFORMED)),
        )
        if not 1 <= found.questions <= _QUESTIONS:
            raise ProvenanceError(MALFORMED, f"predicate.questions is {found.questions}; it is between 1 and {_QUESTIONS:,}")
        if found.recorded_until < found.recorded_from:
            raise ProvenanceError(MALFORMED, "predicate.recordedUntil is before predicate.recordedFrom")
        return found


def _named(predicate: JsonObject, key: str) -> Named:
    found, where = member(predicate, key, dict, where="predicate", reason=MALFORMED), f"predicate.{key}"
    digest = text(found, "digest", where=where, reason=MALFORMED)
    algorithm, _, value = digest.partition(":")
    if algorithm != "sha256" or not is_hex_digest(algorithm, value):
        raise ProvenanceError(MALFORMED, f"{where}.digest is {digest[:80]!r}; it is written like sha256:4f2a…")
    return Named(name=text(found, "name", where=where, reason=MALFORMED), digest=digest)


def _kept(kept: JsonObject) -> ConfigMapFile | ImageFile:
    match list(kept):
        case ["oci"]:
            return ImageFile.model_validate(kept["oci"])
        case ["configMap"]:
            return ConfigMapFile.model_validate(kept["configMap"])
        case _:
            raise ProvenanceError(MALFORMED, "predicate.kept: set exactly one of configMap, oci")
