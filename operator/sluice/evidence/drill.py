"""What a drill of the way back proves: `https://sluice.dev/rollback-drill/v1`, described in docs/rollback-drills.md.

The subjects are the artifacts of the release, so that the statement is found like all evidence about them; what it is about is said in the predicate, by
release digest: two releases may share their weights. Whoever signs it vouches for its times.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sluice.api.drill import Place
from sluice.provenance.errors import ProvenanceError, Reason, closed
from sluice.provenance.statement import Statement, text
from sluice.provenance.strict_json import JsonObject, JsonValue, member

PREDICATE_TYPE = "https://sluice.dev/rollback-drill/v1"
_MALFORMED = Reason.PredicateMalformed
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackDrill:
    """One drill that passed. Times in milliseconds are those that `ReleaseDrill.status.measured` explains."""

    namespace: str
    name: str
    uid: str
    """Of the ReleaseDrill."""
    release: str
    release_digest: str
    baseline: str
    baseline_digest: str
    deployment: str
    scratch_namespace: str | None = None
    """Where its Pods ran, when that was not the namespace of the release."""
    cluster: str
    """UID of the namespace kube-system: two clusters differ in it."""
    started_at: datetime
    finished_at: datetime
    restore_ms: int
    out_ms: int
    back_ms: int

    @property
    def place(self) -> Place:
        """Where it was done."""
        return Place.SCRATCH_NAMESPACE if self.scratch_namespace else Place.OWN_NAMESPACE

    def predicate(self) -> JsonObject:
        """The predicate that says this."""
        measured: dict[str, JsonValue] = {"restoreMilliseconds": self.restore_ms, "outMilliseconds": self.out_ms, "backMilliseconds": self.back_ms}
        return {
            "drill": {"namespace": self.namespace, "name": self.name, "uid": self.uid},
            "release": {"name": self.release, "digest": self.release_digest},
            "baseline": {"name": self.baseline, "digest": self.baseline_digest},
            "deployment": self.deployment,
            **({"scratchNamespace": self.scratch_namespace} if self.scratch_namespace else {}),
            "cluster": self.cluster,
            "startedAt": self.started_at.astimezone(UTC).strftime(_TIME),
            "finishedAt": self.finished_at.astimezone(UTC).strftime(_TIME),
            "measured": measured,
        }


def parse_drill(statement: Statement) -> RollbackDrill:
    """Read a drill. Raises ProvenanceError (PredicateMalformed)."""
    with closed(_MALFORMED, "the drill does not parse"):
        if statement.predicate_type != PREDICATE_TYPE:
            raise ProvenanceError(_MALFORMED, f"the statement is of type {statement.predicate_type!r}, not {PREDICATE_TYPE!r}")
        predicate = statement.predicate
        drill, release, baseline, measured = (_object(predicate, key) for key in ("drill", "release", "baseline", "measured"))
        found = RollbackDrill(
            namespace=text(drill, "namespace", where="predicate.drill", reason=_MALFORMED),
            name=text(drill, "name", where="predicate.drill", reason=_MALFORMED),
            uid=text(drill, "uid", where="predicate.drill", reason=_MALFORMED),
            release=text(release, "name", where="predicate.release", reason=_MALFORMED),
            release_digest=text(release, "digest", where="predicate.release", reason=_MALFORMED),
            baseline=text(baseline, "name", where="predicate.baseline", reason=_MALFORMED),
            baseline_digest=text(baseline, "digest", where="predicate.baseline", reason=_MALFORMED),
            deployment=text(predicate, "deployment", where="predicate", reason=_MALFORMED),
            scratch_namespace=text(predicate, "scratchNamespace", where="predicate", reason=_MALFORMED) if "scratchNamespace" in predicate else None,
            cluster=text(predicate, "cluster", where="predicate", reason=_MALFORMED),
            started_at=_time(predicate, "startedAt"),
            finished_at=_time(predicate, "finishedAt"),
            restore_ms=_milliseconds(measured, "restoreMilliseconds"),
            out_ms=_milliseconds(measured, "outMilliseconds"),
            back_ms=_milliseconds(measured, "backMilliseconds"),
        )
        if found.finished_at < found.started_at:
            raise ProvenanceError(_MALFORMED, "predicate.finishedAt is before predicate.startedAt")
        return found


def _object(predicate: JsonObject, key: str) -> JsonObject:
    return member(predicate, key, dict, where="predicate", reason=_MALFORMED)


def _time(predicate: JsonObject, key: str) -> datetime:
    said = text(predicate, key, where="predicate", reason=_MALFORMED)
    try:
        # One spelling: UTC, whole seconds.
        return datetime.strptime(said, _TIME).replace(tzinfo=UTC)
    except ValueError:
        raise ProvenanceError(_MALFORMED, f"predicate.{key} is {said[:40]!r}; it is written like 2026-01-31T12:00:00Z") from None


def _milliseconds(measured: JsonObject, key: str) -> int:
    value = member(measured, key, int, where="predicate.measured", reason=_MALFORMED)
    if not 0 <= value <= _DAY_MS:
        raise ProvenanceError(_MALFORMED, f"predicate.measured.{key} is {value}; it is between 0 and a day")
    return value
