"""The status of a `ReleaseDrill`: how far it is, what it pinned when it began, and what it came to. What it came to is final."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, Final

from sluice.api.base import NameRef
from sluice.api.drill import DrillEvidence, DrillPhase, DrillStatus, Measured
from sluice.cluster.client import Object
from sluice.controller.conditions import MESSAGE_LIMIT, Moment, cut, wire

FINAL: Final = frozenset({DrillPhase.PASSED, DrillPhase.FAILED})
COMPLETE: Final = "Complete"
_LONGEST: Final = 999_999.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """What a drill is about, fixed when it begins."""

    release_digest: str
    baseline: str
    baseline_digest: str
    deployment: str
    scratch_namespace: str | None = None
    """Where it is done, when that is not the namespace of the release."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is to be told of a drill."""

    phase: DrillPhase
    reason: str
    message: str
    pins: Pins | None = None
    """Given once, when it begins; later statuses keep them."""
    measured: Mapping[str, float] = field(default_factory=dict)
    """What was measured just now; what was measured before is kept."""
    evidence: DrillEvidence | None = None


def phase_of(drill: Object) -> DrillPhase:
    """Read how far a drill is; what cannot be read has not begun."""
    told = (drill.get("status") or {}).get("phase")
    return DrillPhase(told) if told in set(DrillPhase) else DrillPhase.PENDING


def pins_of(drill: Object) -> Pins | None:
    """Read what a drill has pinned; None before it has begun."""
    status: Mapping[str, Any] = drill.get("status") or {}
    try:
        return Pins(
            release_digest=status["releaseDigest"], baseline=status["baseline"]["name"], baseline_digest=status["baselineDigest"],
            deployment=status["deployment"]["name"], scratch_namespace=status.get("scratchNamespace"),
        )  # fmt: skip
    except KeyError:
        return None


def is_complete(drill: Object) -> bool:
    """Tell whether nothing of a drill is left to delete."""
    conditions = (drill.get("status") or {}).get("conditions") or ()
    return any(item.get("type") == COMPLETE and item.get("status") == "True" for item in conditions)


def status_of_drill(told: Told, moment: Moment) -> Object | None:
    """Give the status; None when the drill is over already."""
    before = moment.previous
    if phase_of({"status": before}) in FINAL:
        return None
    now = moment.now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    pins = told.pins or pins_of({"status": before})
    measured = dict(before.get("measured") or {})
    new = Measured(**{name: f"{min(max(seconds, 0.0), _LONGEST):.3f}" for name, seconds in told.measured.items()})
    measured |= new.model_dump(mode="json", by_alias=True, exclude_none=True)
    status = DrillStatus(
        observed_generation=moment.generation,
        phase=told.phase,
        reason=told.reason,
        message=cut(told.message, MESSAGE_LIMIT),
        release_digest=pins.release_digest if pins else None,
        baseline=NameRef(name=pins.baseline) if pins else None,
        baseline_digest=pins.baseline_digest if pins else None,
        deployment=NameRef(name=pins.deployment) if pins else None,
        scratch_namespace=pins.scratch_namespace if pins else None,
        started_at=before.get("startedAt") or (now if told.pins else None),
        finished_at=now if told.phase in FINAL else None,
        measured=Measured.model_validate(measured) if measured else None,
        evidence=told.evidence,
        conditions=[moment.condition(COMPLETE, False, told.reason, told.message)],  # noqa: FBT003 - the condition's status
    )
    return wire(status)


def completed(moment: Moment) -> Object | None:
    """Give the status of a drill that is over and of which nothing is left: what it was, and that."""
    phase = phase_of({"status": moment.previous})
    if phase not in FINAL:
        return None
    condition = moment.condition(COMPLETE, True, str(phase), "it is over, and nothing that it made is left")  # noqa: FBT003
    return {**moment.previous, "conditions": [condition.model_dump(mode="json", by_alias=True, exclude_none=True)]}
