"""One canary run: brought forward, decided, told, tidied up. What is done is in `rollout`, what it means in `scoring`; here they meet.

The run itself is read from the API server at each look, so that a decision that was written is never missed, and none is made twice. Numbers are written at
most every few seconds; a decision at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Literal

from pydantic import ValidationError

from sluice.api.canary import CanaryDecision, CanaryPhase, CanarySpec, StatisticsStatus
from sluice.api.exposure import ExposureStatus
from sluice.cluster.client import ApiClient, Object
from sluice.cluster.errors import ApiError, Forbidden, Invalid, WebhookSilent
from sluice.cluster.events import EventRecorder
from sluice.cluster.feed import WorldFeed
from sluice.cluster.resource import CANARY_RUNS
from sluice.controller.canary_demand import demand
from sluice.controller.canary_exposure import begin, is_exposing, schedule_of, seen_of, standing_of
from sluice.controller.canary_inputs import Inputs, resolve
from sluice.controller.canary_metrics import CanaryMetrics, step_of
from sluice.controller.canary_minimum import too_early
from sluice.controller.canary_samples import SampleKeeper
from sluice.controller.canary_status import FINAL, Seen, completed, decision_of, recorded, status_of_run
from sluice.controller.writing import write_status
from sluice.decision.gate import Action, Decision, decide_canary_pod, decide_pod
from sluice.decision.model import Release
from sluice.decision.monitors import alarms_of
from sluice.decision.pod import PodView
from sluice.decision.reasons import Reason
from sluice.decision.records import Key
from sluice.decision.run_reasons import RunReason
from sluice.decision.runs import Run
from sluice.provenance.signing import SigningKey
from sluice.rollout.actuation import Judge
from sluice.rollout.canary import advance
from sluice.rollout.comparison import Progress, Scoring, Tools, Waiting
from sluice.rollout.endings import Ending
from sluice.rollout.exposure import Hands, expose, pause
from sluice.rollout.kept_statistics import keep, statistics_name
from sluice.rollout.nodes import Doubt, unanswered, waits_for
from sluice.rollout.owned import found, typed
from sluice.rollout.readings import Readings
from sluice.rollout.recorded import count
from sluice.rollout.routing import PodRouter, Router
from sluice.rollout.scoring_job import ScorerImage
from sluice.rollout.statistics_client import StatisticsClient
from sluice.rollout.tidying import end_comparison, tidy_up
from sluice.scoring.judgement import Judgement, Standing, judge, standings
from sluice.scoring.kept import pack
from sluice.scoring.tally import Merged

LOOK_SECONDS: Final = 1.0
"""How often what is under way is looked at: no rollback waits longer for its decision."""
WAIT_SECONDS: Final = 5.0
"""How often what waits for something is looked at, and how often numbers are written."""

log: Final = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class _Memory:
    """What this process knows of a run, and may forget."""

    uid: str
    readings: Readings = field(default_factory=Readings)
    merged: Merged | None = None
    judgement: Judgement | None = None
    told_at: float = 0.0
    told: tuple[CanaryPhase, str, ExposureStatus | None] | None = None
    doubt: Doubt = field(default_factory=Doubt)
    plan: str = ""
    """What its scorers were told; empty while there are none."""
    compared: bool = False
    """Whether nothing is left of what only the comparison needed."""


class CanaryReconciler:
    """Looks at canary runs. `image` is what scorers run; None: none was named, and runs wait. `key` gives what decisions are signed with."""

    def __init__(
        self, *, client: ApiClient, feed: WorldFeed, events: EventRecorder, scorers: StatisticsClient, image: ScorerImage | None,
        start_seconds: float, max_age_seconds: float, metrics: CanaryMetrics, key: Callable[[], SigningKey], samples: SampleKeeper,
    ) -> None:  # fmt: skip
        self._client = client
        self._feed = feed
        self._events = events
        self._scorers = scorers
        self._image = image
        self._start_seconds = start_seconds
        self._max_age_seconds = max_age_seconds
        self._metrics = metrics
        self._key = key
        self._samples = samples
        self._router: Router = PodRouter(client)
        self._decided_at: dict[Key, float] = {}
        self._memories: dict[Key, _Memory] = {}

    async def settle(self, key: Key) -> float | None:
        """Look at one run; return in how many seconds to look again. Raises `ApiError`."""
        there = await found(self._client, CANARY_RUNS.path(key.namespace, key.name))
        if there is None or "deletionTimestamp" in there["metadata"]:
            # What it made goes with it.
            self._memories.pop(key, None)
            self._decided_at.pop(key, None)
            self._metrics.forget(key)
            return None
        run = typed(there, CANARY_RUNS)
        if decision_of(run) in FINAL:
            return await self._finish(run)
        memory = self._memories.get(key)
        if memory is None or memory.uid != run["metadata"]["uid"]:
            memory = self._memories[key] = _Memory(uid=run["metadata"]["uid"])
        try:
            seen = await self._seen(run, memory)
        except Ending as end:
            seen = Seen(phase=CanaryPhase.DECIDED, decision=end.decision, reason=end.reason, message=str(end), judgement=memory.judgement)
        scored = memory.merged.scored if memory.merged else None
        waits = seen.reason == RunReason.MinDurationNotOver
        self._metrics.stands(key, replace(step_of(run, scored=scored), phase=seen.phase, planned=seen.planned or 0, waits=waits))
        if memory.merged is not None:
            self._metrics.counted(key, memory.merged)
        if seen.decision in FINAL or (seen.phase is CanaryPhase.EXPOSING and not is_exposing(run)):
            seen = replace(seen, statistics=await self._keep(run, memory))
        await self._tell(run, seen, memory)
        if seen.decision in FINAL:
            return 0.0
        return WAIT_SECONDS if seen.phase is CanaryPhase.PENDING else LOOK_SECONDS

    async def _keep(self, run: Object, memory: _Memory) -> StatisticsStatus | None:
        """Keep what the scorers had counted, for reports. That it cannot be kept stands in the way of no decision."""
        kept = await asyncio.to_thread(pack, memory.plan, memory.readings.shards) if memory.plan else None
        if kept is None:
            return None
        try:
            await keep(self._client, run, kept)
        except (ApiError, Ending) as error:
            log.warning("canary run %s: its statistics are not kept: %s", Key.of(run), error)
            return None
        return StatisticsStatus(config_map=statistics_name(run), digest=kept.digest)

    async def _seen(self, run: Object, memory: _Memory) -> Seen:
        try:
            spec = CanarySpec.model_validate(run["spec"])
        except ValidationError as error:
            raise Ending(CanaryDecision.INCONCLUSIVE, RunReason.RunInvalid, f"its spec cannot be read: {error.errors(include_url=False)[0]['msg']}") from None
        if is_exposing(run):
            return await self._exposed(run, spec, memory)
        if self._image is None:
            return _waiting(Waiting(reason=RunReason.ScorerImageMissing, message="start the controller with --scorer-image REPOSITORY@sha256:…"))
        blind = self._feed.blind(max_age_seconds=self._max_age_seconds)
        if blind or Key.of(run) not in self._feed.world.canaries.runs:
            return _waiting(Waiting(reason=str(Reason.NotReady), message=f"the controller cannot decide now: {blind or 'it has not seen this run yet'}"))
        inputs = self._demand(run, spec) or await resolve(run, spec, self._feed.world, self._client)
        if isinstance(inputs, Waiting):
            return _waiting(inputs)
        tools = Tools(client=self._client, judge=self._judge_for(Key.of(run)), scorers=self._scorers, image=self._image, start_seconds=self._start_seconds)
        try:
            step = count if inputs.comparison.recorded else advance
            progress = await step(run, inputs.comparison, tools, memory.readings, now=datetime.now(UTC))
        except (Forbidden, Invalid, WebhookSilent) as error:
            # A quota, a policy of somebody else or a webhook that is down, an object that is too large: people can mend that, and have to be told.
            return _waiting(Waiting(reason=RunReason.RefusedByCluster, message=f"the API server refuses what the run needs: {error}"))
        seen = await self._judged(progress, inputs, memory)
        return begin(seen, now=datetime.now(UTC)) if seen.decision is CanaryDecision.PROMOTE and spec.exposure else seen

    async def _exposed(self, run: Object, spec: CanarySpec, memory: _Memory) -> Seen:
        """Go on with the live share of a run whose comparison is over."""
        standing, hands = standing_of(run), Hands(client=self._client, judge=self._judge_for(Key.of(run)), router=self._router)
        blind = self._feed.blind(max_age_seconds=self._max_age_seconds)
        if blind or Key.of(run) not in self._feed.world.canaries.runs:
            return seen_of(await pause(run, standing, hands, why=f"the controller cannot decide now: {blind or 'it has not seen this run yet'}"))
        if not memory.compared and await self._samples.keep(run):
            # The scorers, who know every answer, go with the rest.
            memory.compared = await self._samples.keep(run) and await end_comparison(self._client, run)
        try:
            self._demand(run, spec)
        except Ending as end:
            await pause(run, standing, hands, why=str(end))
            raise
        release = Key(namespace=run["metadata"]["namespace"], name=spec.release.name)
        return seen_of(await expose(run, schedule_of(spec), standing, hands, alarm=self._alarm(release), now=datetime.now(UTC)))

    def _alarm(self, release: Key) -> str:
        known = self._feed.world.releases.get(release)
        alarms = alarms_of(self._feed.world.case(known)) if isinstance(known, Release) else ()
        return alarms[0].message if alarms else ""

    def _demand(self, run: Object, spec: CanarySpec) -> Waiting | None:
        release = Key(namespace=run["metadata"]["namespace"], name=spec.release.name)
        return demand(run, spec, self._feed.world.verdict(release, now=datetime.now(UTC)))

    async def _judged(self, progress: Progress, inputs: Inputs, memory: _Memory) -> Seen:
        if isinstance(progress, Waiting):
            return _waiting(progress)
        if not isinstance(progress, Scoring):
            return Seen(phase=CanaryPhase.STARTING, decision=CanaryDecision.PENDING, reason=RunReason.Starting, message=progress.message)
        if progress.merged != memory.merged or memory.judgement is None:
            memory.judgement = await asyncio.to_thread(judge, progress.merged, inputs.terms)
            memory.merged = progress.merged
        memory.plan = progress.plan
        judgement = memory.judgement
        decision, waits = CanaryDecision(judgement.decision), progress.waits
        if decision is CanaryDecision.ROLL_BACK and judgement.reason != RunReason.GateHit and unanswered(progress.merged):
            waits = await waits_for(self._client, progress.node, memory.doubt, now=datetime.now(UTC))
            decision = CanaryDecision.PENDING if waits else decision
        early = too_early(progress.started_at, inputs.least, now=datetime.now(UTC)) if decision is CanaryDecision.PROMOTE else ""
        decision = CanaryDecision.PENDING if early else decision
        decided = decision in FINAL
        shown: tuple[Standing, ...] = ()
        if decided or time.monotonic() - memory.told_at >= WAIT_SECONDS:
            shown = await asyncio.to_thread(standings, progress.merged, inputs.terms, looks=judgement.looks)
        return Seen(
            phase=CanaryPhase.DECIDED if decided else CanaryPhase.SCORING,
            decision=decision,
            reason=RunReason.MinDurationNotOver if early else judgement.reason if decided else RunReason.Scoring,
            message="; ".join(part for part in (judgement.message, early, "" if decided else waits) if part),
            planned=inputs.terms.planned,
            judgement=judgement,
            standings=shown,
            missing=progress.merged.missing,
            started_at=progress.started_at,
        )

    async def _tell(self, run: Object, seen: Seen, memory: _Memory) -> None:
        """Write the status: a change of phase or decision at once, numbers now and then."""
        told = (seen.phase, seen.reason, seen.exposure)
        if told == memory.told and seen.decision not in FINAL and time.monotonic() - memory.told_at < WAIT_SECONDS:
            return
        before = await write_status(self._client, CANARY_RUNS, run, lambda moment: recorded(run, status_of_run(seen, moment), self._key))
        memory.told, memory.told_at = told, time.monotonic()
        if before is None or (before.get("phase") == seen.phase and (seen.phase is not CanaryPhase.EXPOSING or before.get("reason") == seen.reason)):
            return
        if seen.decision in FINAL:
            self._decided_at[Key.of(run)] = time.monotonic()
            self._metrics.decided(Key.of(run), seen.decision, seen.reason, seconds=time.time() - step_of(run).created)
        log.info("canary run %s: %s → %s, %s (%s)", Key.of(run), before.get("phase") or "(new)", seen.phase, seen.decision, seen.reason)
        type_: Literal["Normal", "Warning"] = "Warning" if seen.decision in {CanaryDecision.ROLL_BACK, CanaryDecision.INCONCLUSIVE} else "Normal"
        action = seen.decision if seen.decision in FINAL else seen.phase
        await self._events.record(run, type_=type_, reason=seen.reason, action=str(action), note=seen.message)

    async def _finish(self, run: Object) -> float | None:
        """Delete what a decided run has left, and note when that is done."""
        key, step = Key.of(run), step_of(run)
        self._memories.pop(key, None)
        self._metrics.stands(key, step)
        if step.complete:
            self._samples.forget(run)
            return None
        # The scorers, who know every answer, go with the rest.
        if not await self._samples.keep(run) or not await tidy_up(self._client, run, self._router, now=datetime.now(UTC)):
            return LOOK_SECONDS
        if await write_status(self._client, CANARY_RUNS, run, completed) is not None:
            told = self._decided_at.pop(key, None)
            # Another process decided: its time is in the status, in whole seconds.
            seconds = time.time() - (step.decided or time.time()) if told is None else time.monotonic() - told
            self._metrics.cleaned_up(step.decision, seconds=seconds)
        self._metrics.stands(key, replace(step, complete=True))
        return None

    def _judge_for(self, key: Key) -> Judge:
        def judge_pod(pod: PodView, namespace: str) -> Decision:
            world, now = self._feed.world, datetime.now(UTC)
            blind = self._feed.blind(max_age_seconds=self._max_age_seconds)
            known, run = world.namespaces.get(namespace), world.canaries.runs.get(key)
            if blind or known is None or not isinstance(run, Run):
                why = blind or f"it does not know namespace {namespace} or run {key.name} yet"
                return Decision(action=Action.HOLD, reason=Reason.NotReady, message=f"the controller cannot decide now: {why}", remedy="wait a minute")
            subject = None if pod.release is None else world.subject(namespace, pod.release, now=now)
            if pod.canary_run is None:
                return decide_pod(pod, known, subject, serves={})
            return decide_canary_pod(pod, known, subject, run)

        return judge_pod


def _waiting(waits: Waiting) -> Seen:
    return Seen(phase=CanaryPhase.PENDING, decision=CanaryDecision.PENDING, reason=waits.reason, message=waits.message)
