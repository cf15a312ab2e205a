"""Monitors as decisions see them: what policies want watched, what was found, and what follows.

A finding counts for exactly the release whose digest its monitor pinned. One that rolls back counts for ever, also when no policy asks for the monitor any
more; one that withdraws counts until the platform team deletes the `ReleaseMonitor`; an alert changes nothing but what people are told. No waiver covers a
finding: a person may take the risk of what is not known, not of what was found. That there is no `ReleaseMonitor` proves nothing, for or against a release.

Of a monitor's status only its findings are read. They are trusted because the API server lets nobody but the controller write them (`sluice.gate`).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from sluice.api.base import NameRef
from sluice.api.digests import monitor_digest
from sluice.api.monitor import Cause, Monitor, MonitorFinding, MonitorSpec, OnDrift
from sluice.api.release import Outcome
from sluice.decision.model import Result
from sluice.decision.people import usable
from sluice.decision.reading import Unreadable, read
from sluice.decision.reasons import Reason
from sluice.decision.records import Key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sluice.decision.model import Case, Release
    from sluice.decision.triggers import PolicyRisk

_NAME_LENGTH: Final = 180
_DIGITS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A `ReleaseMonitor`, with what it found so far."""

    name: str
    spec: MonitorSpec
    findings: tuple[MonitorFinding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidMonitor:
    """A `ReleaseMonitor` that cannot be read. It is not ignored: it may be the one that took the release out of service."""

    name: str
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A `ReleaseMonitor` that a policy asks for, its reference left out."""

    name: str
    spec: MonitorSpec


class Monitors:
    """What `World` remembers of monitors."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._release_of: dict[Key, Key] = {}
        self._of: dict[Key, dict[Key, Watched | InvalidMonitor]] = defaultdict(dict)

    def put(self, key: Key, item: Mapping[str, Any] | None) -> set[Key]:
        """Take in a monitor, or forget it; return the releases that it is and was about."""
        touched = set()
        if (before := self._release_of.pop(key, None)) is not None:
            del self._of[before][key]
            if not self._of[before]:
                del self._of[before]
            touched.add(before)
        if item is not None:
            after = self._release_of[key] = Key(namespace=key.namespace, name=_release_named(item))
            self._of[after][key] = _watched(key.name, item)
            touched.add(after)
        return touched

    @property
    def keys(self) -> tuple[Key, ...]:
        """Every monitor there is."""
        return tuple(self._release_of)

    def of(self, release: Key) -> tuple[Watched | InvalidMonitor, ...]:
        """Give the monitors that name this release, the first by name first."""
        known = self._of.get(release, {})
        return tuple(known[at] for at in sorted(known))


def wanted_for(case: Case, risks: Iterable[PolicyRisk]) -> tuple[Wanted, ...]:
    """Give the monitors that the policies of a release ask for. One whose tier cannot be told gets those of every tier."""
    found, tiers = [], {risk.policy: risk.tier for risk in risks}
    for policy in usable(case):
        tier = tiers.get(policy.name)
        for asked in policy.spec.monitors:
            if asked.tiers is None or tier is None or tier in asked.tiers:
                definition = Monitor.model_validate(asked.model_dump(exclude={"tiers"}, exclude_unset=True))
                spec = MonitorSpec(release=NameRef(name=case.release.name), release_digest=case.release.digest, policy=policy.name, monitor=definition)
                found.append(Wanted(name=monitor_name(spec), spec=spec))
    return tuple(found)


def monitor_name(spec: MonitorSpec) -> str:
    """Name the `ReleaseMonitor`: what is watched in another way, or of another release, has another name."""
    digits = monitor_digest(spec).partition(":")[2][:_DIGITS]
    readable = f"{spec.release.name[: _NAME_LENGTH - len(spec.monitor.name)]}-{spec.monitor.name}"
    return f"{readable}-{digits}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One finding about a release, and the `ReleaseMonitor` that has it."""

    watched: Watched
    finding: MonitorFinding

    @property
    def message(self) -> str:
        """What was found, by which monitor."""
        return f"monitor {self.watched.spec.monitor.name}: {self.finding.message}"


def alarms_of(case: Case) -> tuple[Alarm, ...]:
    """Give everything that was found about this very release, what asks for the most first."""
    found = [Alarm(watched=watched, finding=finding) for watched in _about(case) for finding in watched.findings]
    return tuple(sorted(found, key=lambda alarm: (-_STRENGTH.index(alarm.finding.ask), alarm.watched.name, alarm.finding.cause)))


def is_watched(case: Case) -> bool:
    """Tell whether this very release has a monitor at all."""
    return any(True for _ in _about(case))


def stops(case: Case) -> Iterator[Result]:
    """Say what keeps a release from serving because of its monitors: one result for each monitor of each policy, the strongest one."""
    told: set[tuple[str, str]] = set()
    for alarm in alarms_of(case):
        spec = alarm.watched.spec
        if alarm.finding.ask is OnDrift.ALERT or (spec.policy, spec.monitor.name) in told:
            continue
        told.add((spec.policy, spec.monitor.name))
        yield _stop(alarm, case.release.namespace)
    for invalid in case.monitors:
        if isinstance(invalid, InvalidMonitor):
            yield Result(
                policy="none", requirement="monitors", outcome=Outcome.MISSING, reason=Reason.MonitorInvalid,
                message=f"ReleaseMonitor {invalid.name} cannot be read: {invalid.problem}",
                remedy=f"the platform team looks at it, and deletes it when it found nothing: kubectl describe mrm/{invalid.name} -n {case.release.namespace}",
            )  # fmt: skip
            return


def _stop(alarm: Alarm, namespace: str) -> Result:
    spec, monitor = alarm.watched.spec, f"mrm/{alarm.watched.name} -n {namespace}"
    if alarm.finding.ask is OnDrift.ROLL_BACK:
        return Result(
            policy=spec.policy, requirement=spec.monitor.name, outcome=Outcome.FAILED, reason=Reason.DriftRolledBack,
            message=f"it drifted after release, {alarm.message}", remedy=f"look at kubectl describe {monitor}, and apply a new ModelRelease",
        )  # fmt: skip
    why = "it drifted after release" if alarm.finding.cause is Cause.DRIFT else "nobody knows how it behaves"
    return Result(
        policy=spec.policy, requirement=spec.monitor.name, outcome=Outcome.MISSING, reason=Reason.Withdrawn, message=f"{why}, {alarm.message}",
        remedy=f"the platform team looks at kubectl describe {monitor}, and deletes it when that is dealt with; or apply a new ModelRelease",
    )  # fmt: skip


_STRENGTH: Final = tuple(OnDrift)


def _about(case: Case) -> Iterable[Watched]:
    """Give the monitors of this very release; one of a former release of the same name is about something else."""
    return (watched for watched in case.monitors if isinstance(watched, Watched) and _is_of(watched, case.release))


def _is_of(watched: Watched, release: Release) -> bool:
    return watched.spec.release_digest == release.digest


def _release_named(item: Mapping[str, Any]) -> str:
    """Give the release that a monitor is about; empty when even that cannot be read."""
    try:
        return str(item["spec"]["release"]["name"])
    except (KeyError, TypeError):
        return ""


def _watched(name: str, item: Mapping[str, Any]) -> Watched | InvalidMonitor:
    spec = read(MonitorSpec, item)
    if isinstance(spec, Unreadable):
        return InvalidMonitor(name=name, problem=spec)
    try:
        findings = tuple(MonitorFinding.model_validate(finding) for finding in (item.get("status") or {}).get("findings") or ())
    except (ValidationError, TypeError) as error:
        return InvalidMonitor(name=name, problem=f"status.findings: {str(error).splitlines()[0]}")
    if any(finding.cause is Cause.SILENCE and finding.ask is OnDrift.ROLL_BACK for finding in findings):
        return InvalidMonitor(name=name, problem="status.findings: silence does not roll back")
    return Watched(name=name, spec=spec, findings=findings)
