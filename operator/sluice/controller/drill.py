"""One drill: brought forward, measured, proven, told, tidied up. What is done is in `rollout.drill`, what it proves in `evidence.drill`.

The drill itself is read from the API server at each look, so that what was written is never missed. It is bounded in time as a whole, and whatever it came to,
nothing of it is left.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

from pydantic import ValidationError

from sluice.api.base import parse_time
from sluice.api.drill import DrillPhase, DrillSpec
from sluice.cluster.client import ApiClient, Object
from sluice.cluster.errors import Forbidden, Invalid, WebhookSilent
from sluice.cluster.events import EventRecorder
from sluice.cluster.feed import WorldFeed
from sluice.cluster.resource import DRILLS
from sluice.controller.drill_evidence import prove
from sluice.controller.drill_metrics import DrillMetrics
from sluice.controller.drill_plan import Blocked, KeptLists, KeptTemplates, pins_for
from sluice.controller.drill_status import FINAL, Pins, Told, completed, is_complete, phase_of, pins_of, status_of_drill
from sluice.controller.writing import write_status
from sluice.decision.drill_reasons import DrillReason
from sluice.decision.gate import Action, Decision, decide_drill_pod, decide_pod
from sluice.decision.model import Release
from sluice.decision.pod import PodView
from sluice.decision.reasons import Reason
from sluice.decision.records import Key
from sluice.decision.scratch import home_of, is_scratch_for
from sluice.provenance.signing import SigningKey
from sluice.rollout.actuation import Judge
from sluice.rollout.drill import FOLLOW_SECONDS, DrillFailed, Stopwatch, Tools, advance
from sluice.rollout.drill_objects import name_problem
from sluice.rollout.drill_site import sweep, tidy_up
from sluice.rollout.owned import found, typed
from sluice.rollout.routing import PodRouter

LOOK_SECONDS: Final = 0.2
"""How often a drill under way is looked at, and so how exactly is measured."""
WAIT_SECONDS: Final = 5.0
"""How often one that waits is, and one that is tidied up."""
_TIDY_SECONDS: Final = 1.0

log: Final = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class _Memory:
    """What this process knows of a drill, and may forget."""

    uid: str
    watch: Stopwatch = field(default_factory=Stopwatch)
    told: tuple[DrillPhase, str, str] | None = None


class DrillReconciler:
    """Looks at drills. `key` gives the controller's key."""

    def __init__(
        self, *, client: ApiClient, feed: WorldFeed, events: EventRecorder, key: Callable[[], SigningKey], start_seconds: float, max_age_seconds: float,
        metrics: DrillMetrics,
    ) -> None:  # fmt: skip
        self._client = client
        self._feed = feed
        self._events = events
        self._key = key
        self._start_seconds = start_seconds
        self._max_age_seconds = max_age_seconds
        self._metrics = metrics
        self._memories: dict[Key, _Memory] = {}

    async def settle(self, key: Key) -> float | None:
        """Look at one drill; return in how many seconds to look again. Raises `ApiError`."""
        there = await found(self._client, DRILLS.path(key.namespace, key.name))
        if there is None or "deletionTimestamp" in there["metadata"]:
            # What it made goes with it, but for what is in a scratch namespace.
            self._memories.pop(key, None)
            scratch = any(is_scratch_for(item, key.namespace) for item in self._feed.world.namespaces.values())
            return await self.sweep(key) if scratch else None
        drill = typed(there, DRILLS)
        if phase_of(drill) in FINAL:
            return await self._finish(drill)
        memory = self._memories.get(key)
        if memory is None or memory.uid != drill["metadata"]["uid"]:
            memory = self._memories[key] = _Memory(uid=drill["metadata"]["uid"])
        try:
            told = await self._looked(drill, memory)
        except DrillFailed as end:
            told = Told(phase=DrillPhase.FAILED, reason=end.reason, message=str(end))
        except (Forbidden, Invalid, WebhookSilent) as error:
            # A quota, a policy of somebody else or a webhook that is down: people can mend that, and have to be told.
            message = f"the API server refuses what the drill needs: {error}"
            told = self._over_time(drill, Told(phase=phase_of(drill), reason=DrillReason.RefusedByCluster, message=message))
        await self._tell(drill, told, memory)
        if told.phase in FINAL:
            return 0.0
        return WAIT_SECONDS if told.phase is DrillPhase.PENDING else LOOK_SECONDS

    async def sweep(self, _: Key) -> float | None:
        """Delete what drills have left in scratch namespaces that were deleted while nobody led. Raises `ApiError`."""
        namespaces = self._feed.world.namespaces
        swept = await sweep(self._client, governed=lambda name: name in namespaces and namespaces[name].governed)
        return _TIDY_SECONDS if swept else None

    async def _looked(self, drill: Object, memory: _Memory) -> Told:
        namespace, phase, pins = drill["metadata"]["namespace"], phase_of(drill), pins_of(drill)
        if problem := name_problem(drill["metadata"]["name"]):
            raise DrillFailed(DrillReason.DrillInvalid, problem)
        try:
            spec = DrillSpec.model_validate(drill["spec"])
        except ValidationError as error:
            raise DrillFailed(DrillReason.DrillInvalid, f"its spec cannot be read: {error.errors(include_url=False)[0]['msg']}") from None
        key = Key.of(drill)
        blind = self._feed.blind(max_age_seconds=self._max_age_seconds)
        if blind or key not in self._feed.world.drills:
            why = blind or "it has not seen this drill yet"
            return self._over_time(drill, Told(phase=phase, reason=DrillReason.NotReady, message=f"the controller cannot decide now: {why}"))
        # 1. Before it begins: what it is about, one after the other.
        if pins is None or phase is DrillPhase.PENDING:
            begun = await self._begin(drill, spec)
            if isinstance(begun, Pins):
                return Told(phase=DrillPhase.STARTING, reason=DrillReason.Starting, message="its Pods are made", pins=begun)
            return self._over_time(drill, Told(phase=DrillPhase.PENDING, reason=begun.reason, message=begun.message))
        # 2. What it has measured is signed, whatever the time.
        if phase is DrillPhase.PROVING:
            return await self._prove(drill, spec, pins)
        # 3. One step further.
        tools = Tools(
            client=self._client, judge=self._judge_for(key), router=PodRouter(self._client),
            templates=KeptTemplates(client=self._client, namespace=namespace, release=spec.release.name, pins=pins),
            lists=KeptLists(client=self._client, namespace=namespace, release=spec.release.name, pins=pins, world=self._feed.world),
            start_seconds=self._start_seconds, clock=time.monotonic,
        )  # fmt: skip
        progress = await advance(drill, phase, memory.watch, tools)
        for name, seconds in progress.measured.items():
            self._metrics.measured(name, seconds)
        reason = DrillReason.Starting if progress.phase is DrillPhase.STARTING else DrillReason.Measuring
        return self._over_time(drill, Told(phase=progress.phase, reason=reason, message=progress.message, measured=progress.measured))

    async def _begin(self, drill: Object, spec: DrillSpec) -> Pins | Blocked:
        mine, world = Key.of(drill), self._feed.world
        for key, other in world.drills.items():
            if key.namespace != mine.namespace or key == mine or other.release != spec.release.name or other.over:
                continue
            # One that has pinned what it is about is under way; of those that wait, the first by name goes first.
            if other.release_digest or key < mine:
                return Blocked(reason=DrillReason.AnotherDrill, message=f"ReleaseDrill {key.name} of {spec.release.name} comes first")
        return await pins_for(spec, mine.namespace, world, self._client, now=datetime.now(UTC))

    async def _prove(self, drill: Object, spec: DrillSpec, pins: Pins) -> Told:
        release = self._feed.world.releases.get(Key(namespace=drill["metadata"]["namespace"], name=spec.release.name))
        if not isinstance(release, Release) or release.digest != pins.release_digest:
            raise DrillFailed(DrillReason.ReleaseNotFound, f"{spec.release.name} is not the release any more that was drilled")
        evidence = await prove(drill, release, pins, self._key(), self._client, now=datetime.now(UTC))
        took = drill["status"]["measured"]
        message = (
            f"{pins.baseline} was in traffic after {took['restoreSeconds']} s, {spec.release.name} out of it after {took['outSeconds']} s"
            f" and back after {took['backSeconds']} s"
        )
        return Told(phase=DrillPhase.PASSED, reason=DrillReason.WayBackWorks, message=message, evidence=evidence)

    def _over_time(self, drill: Object, told: Told) -> Told:
        """Fail what takes too long as a whole: two starts and what follows them, or a start's time to begin at all."""
        started = (drill.get("status") or {}).get("startedAt")
        since = parse_time(started or drill["metadata"]["creationTimestamp"])
        limit = 2 * self._start_seconds + 4 * FOLLOW_SECONDS if started else self._start_seconds
        if (datetime.now(UTC) - since).total_seconds() <= limit or told.phase is DrillPhase.PROVING:
            return told
        reason = DrillReason.TimeOver if started else told.reason
        return Told(phase=DrillPhase.FAILED, reason=reason, message=f"it did not come further within {limit:.0f} s: {told.message}")

    async def _tell(self, drill: Object, told: Told, memory: _Memory) -> None:
        """Write the status when it says something else."""
        said = (told.phase, told.reason, told.message)
        if said == memory.told and not told.measured:
            return
        before = await write_status(self._client, DRILLS, drill, lambda moment: status_of_drill(told, moment))
        memory.told = said
        if before is None or before.get("phase") == told.phase:
            return
        key = Key.of(drill)
        log.info("drill %s: %s → %s (%s)", key, before.get("phase") or "(new)", told.phase, told.reason)
        if told.phase in FINAL:
            self._metrics.ended(key, told.phase, told.reason)
        type_: Literal["Normal", "Warning"] = "Warning" if told.phase is DrillPhase.FAILED else "Normal"
        await self._events.record(drill, type_=type_, reason=told.reason, action=str(told.phase), note=told.message)

    async def _finish(self, drill: Object) -> float | None:
        """Delete what a drill that is over has left, and note when that is done."""
        self._memories.pop(Key.of(drill), None)
        if is_complete(drill):
            return None
        if not await tidy_up(self._client, drill):
            return _TIDY_SECONDS
        await write_status(self._client, DRILLS, drill, completed)
        return None

    def _judge_for(self, key: Key) -> Judge:
        def judge_pod(pod: PodView, namespace: str) -> Decision:
            world, now = self._feed.world, datetime.now(UTC)
            blind = self._feed.blind(max_age_seconds=self._max_age_seconds)
            known, home, drill = world.namespaces.get(namespace), world.namespaces.get(key.namespace), world.drills.get(key)
            # What it has pinned comes back by our watch, a moment after it was written.
            if blind or known is None or home is None or drill is None or not drill.release_digest:
                why = blind or f"it does not know namespace {namespace}, or what drill {key.name} has pinned, yet"
                return Decision(action=Action.HOLD, reason=Reason.NotReady, message=f"the controller cannot decide now: {why}", remedy="wait a minute")
            subject = None if pod.release is None else world.subject(home_of(pod, known), pod.release, now=now, where=namespace)
            if pod.drill is None:
                return decide_pod(pod, known, subject, serves={})
            return decide_drill_pod(pod, known, subject, drill, home=home)

        return judge_pod
