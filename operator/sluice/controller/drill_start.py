"""Drills that nobody has to remember: where a policy wants one every so often, the controller makes the next one when it is due.

The name of a drill follows from what it is about, the last one that counts, and how many have failed since: a process that is killed after making it makes it
no second time. One that failed is repeated, an hour later, then two, then four: at most once a day.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import datetime, timedelta
from typing import Final

from sluice.api.base import NameRef, parse_time
from sluice.api.drill import DrillPhase, DrillSpec, Place
from sluice.api.requirement import RequirementType
from sluice.cluster.client import ApiClient
from sluice.cluster.errors import Conflict
from sluice.cluster.resource import DEPLOYMENTS, DRILLS
from sluice.controller.drill_metrics import DrillMetrics
from sluice.controller.drill_plan import names
from sluice.decision.drills import Drill, DrillDue
from sluice.decision.model import Allowance, Verdict
from sluice.decision.reasons import Reason
from sluice.decision.records import Key
from sluice.decision.world import World
from sluice.rollout.canary_pods import run_name

FIRST_PAUSE: Final = timedelta(hours=1)
LONGEST_PAUSE: Final = timedelta(days=1)
_STEM: Final = 36
_WANTED: Final = frozenset({Reason.DrillMissing, Reason.DrillExpired})

log: Final = logging.getLogger(__name__)


async def start_drills(client: ApiClient, release: Key, verdict: Verdict, world: World, metrics: DrillMetrics, *, now: datetime) -> float | None:
    """Make the drill that is due, if one is; return in how many seconds to look again. Raises `ApiError`."""
    # One for each place: where two policies ask for the same, one drill is enough for both.
    dues = {result.drill.place: result.drill for result in reversed(verdict.results) if result.drill is not None}
    open_ = any(result.type is RequirementType.ROLLBACK_DRILL and result.reason in _WANTED for result in verdict.open)
    wanted = verdict.allows is not Allowance.NOTHING and (open_ or bool(dues))
    # A release that no workload names is nobody's way anywhere.
    wanted = wanted and any(names(item, release.name) for item in await client.list(DEPLOYMENTS, release.namespace))
    metrics.overdue(release, overdue=wanted)
    if not wanted or not dues:
        return None
    drills = [drill for key, drill in world.drills.items() if key.namespace == release.namespace and drill.release == release.name]
    if any(not drill.over for drill in drills):
        return None
    pauses = []
    for due in sorted(dues.values(), key=lambda due: due.place):
        pause = _pause(release, due, drills, now=now)
        if pause is None:
            await _make(client, release, due, drills)
            return None
        pauses.append(pause)
    return min(pauses)


def _pause(release: Key, due: DrillDue, drills: list[Drill], *, now: datetime) -> float | None:
    """In how many seconds a drill that failed is repeated; None when one can be made now."""
    failed = _failed(release, due, drills)
    if not failed:
        return None
    doublings = min(len(failed) - 1, 8)
    again = _last(failed, default=now) + min(FIRST_PAUSE * int(2**doublings), LONGEST_PAUSE)
    return (again - now).total_seconds() + 0.1 if now < again else None


async def _make(client: ApiClient, release: Key, due: DrillDue, drills: list[Drill]) -> None:
    name = f"{_stem(release, due)}-{len(_failed(release, due, drills)) + 1}"
    place = due.place if due.place is not Place.OWN_NAMESPACE else None
    spec = DrillSpec(release=NameRef(name=release.name), place=place).model_dump(mode="json", by_alias=True, exclude_none=True)
    content = {"apiVersion": DRILLS.api_version, "kind": DRILLS.kind, "metadata": {"namespace": release.namespace, "name": name}, "spec": spec}
    try:
        await client.create(DRILLS, content, release.namespace)
    except Conflict:
        # It was made just now, by a request of which nobody heard: the watch brings it.
        return
    log.info("drill %s/%s: made for %s, as policy %s wants it", release.namespace, name, release.name, due.policy)


def _failed(release: Key, due: DrillDue, drills: list[Drill]) -> list[Drill]:
    """Those of the same occasion that failed."""
    stem = _stem(release, due)
    return [drill for drill in drills if drill.name.startswith(f"{stem}-") and drill.phase == DrillPhase.FAILED]


def _stem(release: Key, due: DrillDue) -> str:
    last = due.last.isoformat() if due.last else ""
    where = "" if due.place is Place.OWN_NAMESPACE else f" {due.place}"
    about = hashlib.sha256(f"{due.release_digest} {due.baseline_digest} {last}{where}".encode()).hexdigest()[:8]
    readable = run_name(release.name, 0).rpartition("-")[0][:_STEM].rstrip("-")
    return f"{readable}-{about}" if readable[:1].isalpha() else f"drill-{about}"


def _last(drills: list[Drill], *, default: datetime) -> datetime:
    return max((parse_time(drill.finished_at) for drill in drills if drill.finished_at), default=default)
