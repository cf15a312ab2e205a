"""The status of a `ReleaseMonitor`: the state of its detector, what it found, and whether its source can be heard.

A finding that was written stays as it was written; only an alert about silence goes by itself, when something is heard again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from sluice.api.monitor import Cause, MonitorFinding, MonitorPhase, MonitorStatus, OnDrift
from sluice.cluster.client import Object
from sluice.controller.conditions import MESSAGE_LIMIT, Moment, cut, wire
from sluice.scoring.drift.stored import dump, load
from sluice.scoring.monitor import Finding, MonitorState

HEARD: Final = "Heard"
"""Condition: the source answers, with readings that can be used."""
_FINDING_LIMIT: Final = 1024


class Hearing(StrEnum):
    """Why a source is heard or not: the reason of the condition."""

    HEARD = "Heard"
    STARTED = "Started"
    """It was not asked yet."""
    NOT_ASKED_FOR = "NotAskedFor"
    """No policy wants this watched any more; what was found still counts."""
    NOT_SERVING = "NotServing"
    """The release has no Pod that runs, so nothing is expected."""
    LEARNING = "TooFewObservations"
    """There are too few observations to say what is normal."""
    NOTHING_OBSERVED = "NothingObserved"
    """The source answers, and has nothing."""
    UNREADABLE = "Unreadable"
    """The source does not answer, or with something else."""
    UNUSABLE = "Unusable"
    """The monitor can never work as it is defined."""


RESTING: Final = frozenset({Hearing.NOT_ASKED_FOR, Hearing.NOT_SERVING})
"""Nothing is expected, so the clock of silence does not run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What came of asking the source, for people."""

    reason: Hearing
    message: str


def stored_state(status: Object) -> MonitorState | None:
    """Read the state of the detector; None for a monitor that has not begun. Raises DriftRefused: it was written by something else."""
    text = status.get("state")
    return load(MonitorState, text.encode()) if text else None


def rests(status: Object) -> bool:
    """Tell whether the monitor was at rest when its status was written."""
    conditions = status.get("conditions") or ()
    return any(item.get("type") == HEARD and item.get("reason") in RESTING for item in conditions)


def findings_of(status: Object) -> tuple[MonitorFinding, ...]:
    """Read what was found. Raises ValueError for what is no finding."""
    return tuple(MonitorFinding.model_validate(item) for item in status.get("findings") or ())


def is_over(findings: Iterable[MonitorFinding]) -> bool:
    """Tell whether nothing more is to be learnt: drift was found, or the release was taken out of service."""
    return any(finding.cause is Cause.DRIFT or finding.ask is not OnDrift.ALERT for finding in findings)


def status_of_monitor(state: MonitorState | None, found: Sequence[Finding], heard: Heard, moment: Moment) -> Object:
    """Give the status. `state` is None while the monitor learns."""
    findings = _merged(findings_of(dict(moment.previous)), found, now=moment.now)
    phase = MonitorPhase.ALARMED if findings else MonitorPhase.LEARNING if state is None else MonitorPhase.WATCHING
    status = MonitorStatus(
        observed_generation=moment.generation,
        phase=phase,
        observations=state.drift.seen if state else None,
        last_reading=_time(state.last) if state and state.last else None,
        state=dump(state).decode() if state else None,
        findings=list(findings),
        conditions=[moment.condition(HEARD, heard.reason is Hearing.HEARD, heard.reason, cut(heard.message, MESSAGE_LIMIT))],
    )
    return wire(status)


def unusable_status(message: str, moment: Moment) -> Object:
    """Give the status of a monitor that cannot work: what it knew and found stays."""
    condition = moment.condition(HEARD, False, Hearing.UNUSABLE, message)  # noqa: FBT003 - the condition's status
    return {**moment.previous, "conditions": [condition.model_dump(mode="json", by_alias=True, exclude_none=True)]}


def heard_before(monitor: Object) -> Heard:
    """Give what the status says of the source already."""
    conditions = (monitor.get("status") or {}).get("conditions") or ()
    said = next((item for item in conditions if item.get("type") == HEARD), None)
    if said is None:
        return Heard(reason=Hearing.STARTED, message="it was not asked yet")
    return Heard(reason=Hearing(said["reason"]), message=said["message"])


def new_findings(before: Object, after: Object) -> tuple[MonitorFinding, ...]:
    """Give what `after` has found and `before` had not."""
    known = {finding.cause for finding in findings_of(before)}
    return tuple(finding for finding in findings_of(after) if finding.cause not in known)


def _merged(known: Iterable[MonitorFinding], found: Iterable[Finding], *, now: datetime) -> list[MonitorFinding]:
    seen = {Cause(finding.cause): finding for finding in found}
    kept = {finding.cause: finding for finding in known if finding.cause is Cause.DRIFT or finding.ask is not OnDrift.ALERT or finding.cause in seen}
    new = {
        cause: MonitorFinding(cause=cause, ask=OnDrift(finding.ask), at=_time(now), message=cut(finding.message, _FINDING_LIMIT))
        for cause, finding in seen.items()
        if cause not in kept
    }
    return [found for _, found in sorted({**kept, **new}.items())]


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
