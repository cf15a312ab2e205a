"""A live share: users meet the candidate, stage by stage, once the comparison found it good enough.

Level-triggered like the comparison. What has to outlive the process is in the status of the run (which stage, since when) and in the Pod's own condition: a
Pod that was taken out for a reason is never put back, whoever looks at it next. A process that dies leaves the share as it is; a Pod that is not ready is
taken out by Kubernetes itself.

Out goes before told goes before deleted: the condition first, then the decision, then, when no Service knows the Pod any more, the Pod.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from sluice.api.canary import CanaryDecision
from sluice.cluster.client import ApiClient, Object
from sluice.cluster.errors import Conflict
from sluice.cluster.resource import NETWORK_POLICIES, PODS
from sluice.decision.exposure import Stage
from sluice.decision.gate import Action
from sluice.decision.pod import view_pod
from sluice.decision.reasons import Reason
from sluice.decision.run_reasons import RunReason
from sluice.rollout.actuation import Judge
from sluice.rollout.canary_pods import Role, pod_name
from sluice.rollout.canary_state import Stand, ends_of, state_of
from sluice.rollout.endings import Ending
from sluice.rollout.owned import delete, owned, typed
from sluice.rollout.routing import Room, Router, is_ready
from sluice.rollout.scoring_job import models_name
from sluice.rollout.workloads import Workload, candidate_of

DRAIN_SECONDS: Final = 2.0
"""How long a Pod stays when users shall not meet it any more: until every node has heard of it. Measured: half a second."""
_FOR_NOW: Final = frozenset({str(RunReason.ShareTooSmall), str(Reason.NotReady)})
"""Reasons for which a Pod is taken out and may come back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What a run was promised to keep."""

    candidate: str
    workload: Workload
    stages: Sequence[Stage]
    skips: bool
    patience_seconds: int
    """How much longer than its stages it may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far it is: what outlives the process."""

    started_at: datetime
    stage: int = 0
    since: datetime | None = None
    ends: int = 0
    """How often containers of the candidate had ended when users did not meet it yet."""
    share: Decimal = Decimal(0)
    pods: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposing:
    """How far it is now, and why, for people. `over`: nothing alarmed in any stage."""

    standing: Standing
    reason: RunReason
    message: str
    over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """What it is done with."""

    client: ApiClient
    judge: Judge
    router: Router


async def expose(run: Object, schedule: Schedule, standing: Standing, hands: Hands, *, alarm: str, now: datetime) -> Exposing:
    """Bring a live share one step further. `alarm` says what was found out about the release; empty: nothing.

    Raises `Ending` when it ends without a promotion, users do not meet the candidate any more by then, and `ApiError` for what may work later.
    """
    pod = await _candidate(run, hands)
    try:
        if pod is None:
            raise Ending(CanaryDecision.INCONCLUSIVE, RunReason.CandidateLost, f"the candidate Pod {_name(run)} is gone")
        await _demand(pod, schedule, standing, hands, alarm=alarm, now=now)
        return await _step(run, pod, schedule, standing, hands, now=now)
    except Ending as end:
        if pod is not None and hands.router.exposure(pod).exposed:
            await hands.router.withdraw(pod, reason=end.reason, message=str(end))
        raise


async def pause(run: Object, standing: Standing, hands: Hands, *, why: str) -> Exposing:
    """Let nobody meet the candidate while nothing can be known about it; the stage begins again afterwards. Raises `ApiError`."""
    pod = await _candidate(run, hands)
    if pod is not None and hands.router.exposure(pod).exposed:
        await hands.router.withdraw(pod, reason=Reason.NotReady, message=why)
    return Exposing(standing=replace(standing, since=None, pods=0, share=Decimal(0)), reason=RunReason.Exposing, message=why)


async def drained(pod: Object, router: Router, *, message: str, now: datetime) -> bool:
    """Take a Pod out of what users reach, and tell whether it has been out for long enough to go. Raises `ApiError`."""
    exposure = router.exposure(pod)
    if exposure.exposed:
        await router.withdraw(pod, reason="CanaryEnded", message=message)
        return False
    return exposure.since is None or now - exposure.since >= timedelta(seconds=DRAIN_SECONDS)


async def _candidate(run: Object, hands: Hands) -> Object | None:
    pod = await owned(hands.client, PODS, run, _name(run))
    return None if pod is None else typed(pod, PODS)


async def _demand(pod: Object, schedule: Schedule, standing: Standing, hands: Hands, *, alarm: str, now: datetime) -> None:
    """Raise `Ending` for a Pod that users shall not meet any more."""
    exposure = hands.router.exposure(pod)
    # 1. It was taken out by somebody who could not say so any more.
    if not exposure.exposed and exposure.reason in set(RunReason) - _FOR_NOW:
        raise _ending(RunReason(exposure.reason), exposure.message)
    # 2. What is known of the release, and of the Pod.
    if alarm:
        raise _ending(RunReason.MonitorAlarmed, alarm)
    decision = hands.judge(view_pod(pod), pod["metadata"]["namespace"])
    if decision.action is not Action.ALLOW and decision.reason is not Reason.NotReady:
        raise _ending(RunReason.NotPermitted, f"Pod {pod['metadata']['name']} may not run any more: {' '.join(decision.lines)}")
    state = state_of(pod, what=f"the candidate Pod {pod['metadata']['name']}")
    if state.stand is Stand.GONE:
        raise _ending(RunReason.CandidateLost, state.message)
    if exposure.exposed:
        if (ends := ends_of(pod) - standing.ends) > 0:
            raise _ending(RunReason.CandidateFailed, f"containers of Pod {pod['metadata']['name']} ended {ends} times while users met it")
        if state.stand is not Stand.READY or (standing.since is not None and not is_ready(pod)):
            raise _ending(RunReason.CandidateNotReady, f"{state.message if state.stand is not Stand.READY else 'its node is not heard of'}, while users met it")
    # 3. The owner still asks for it, and time is bounded.
    if await candidate_of(hands.client, pod["metadata"]["namespace"], schedule.workload, schedule.candidate) is None:
        raise _ending(RunReason.NotAskedFor, f"{schedule.workload} does not wait for {schedule.candidate} any more")
    seconds = sum(stage.seconds for stage in schedule.stages) + schedule.patience_seconds
    if now - standing.started_at > timedelta(seconds=seconds):
        raise _ending(RunReason.ExposureTimeOver, f"the live share is not over {seconds} s after the comparison; it is in stage {standing.stage + 1}")


async def _step(run: Object, pod: Object, schedule: Schedule, standing: Standing, hands: Hands, *, now: datetime) -> Exposing:
    exposed = hands.router.exposure(pod).exposed
    room = await hands.router.room(pod)
    stage, since = standing.stage, standing.since
    # 1. Which stage: the one before is over, or cannot be had.
    if since is not None and exposed and now >= since + timedelta(seconds=schedule.stages[stage].seconds):
        stage, since = stage + 1, None
    while schedule.skips and stage < len(schedule.stages) and not room.fits(schedule.stages[stage].share):
        stage, since = stage + 1, None
    if stage == len(schedule.stages):
        message = f"no metric is worse than its margin, and nothing alarmed in {len(schedule.stages)} stages of a live share"
        over = replace(standing, stage=stage, since=None, share=room.share if exposed else Decimal(0))
        return Exposing(standing=over, reason=RunReason.WithinMargin, message=message, over=True)
    share = schedule.stages[stage].share
    title = f"stage {stage + 1} of {len(schedule.stages)}, at most {share:.2%} for {schedule.stages[stage].seconds} s"
    nobody = replace(standing, stage=stage, since=None, share=Decimal(0), pods=0)
    # 2. Never more than it allows: also when others went away since.
    if not room.fits(share):
        if exposed:
            await hands.router.withdraw(pod, reason=RunReason.ShareTooSmall, message=title)
        return Exposing(standing=nobody, reason=RunReason.ShareTooSmall, message=f"{title}: {_too_small(room, share)}")
    if not exposed:
        return await _let_in(run, pod, nobody, hands, title=title)
    # 3. It counts from when Services send requests there.
    if since is None and is_ready(pod):
        since = _whole(now)
    told = f"{title}: one Pod among {room.others + 1} of Service {room.service} ({room.share:.2%})"
    return Exposing(standing=replace(nobody, since=since, share=room.share, pods=1), reason=RunReason.Exposing, message=told)


async def _let_in(run: Object, pod: Object, standing: Standing, hands: Hands, *, title: str) -> Exposing:
    state, ends = state_of(pod, what=f"the candidate Pod {pod['metadata']['name']}"), ends_of(pod)
    if state.stand is not Stand.READY:
        return Exposing(standing=replace(standing, ends=ends), reason=RunReason.Exposing, message=f"{title}: {state.message}")
    if ends != standing.ends:
        # What it came with is written down first, or it would be held against it.
        return Exposing(standing=replace(standing, ends=ends), reason=RunReason.Exposing, message=f"{title}: it begins")
    closed = await owned(hands.client, NETWORK_POLICIES, run, models_name(run))
    if closed is not None:
        # Until now only scorers could reach it.
        await delete(hands.client, NETWORK_POLICIES, closed)
    try:
        await hands.router.expose(pod, reason=RunReason.Exposing, message=title)
    except Conflict:
        # It changed while it was judged: the next look judges again.
        return Exposing(standing=standing, reason=RunReason.Exposing, message=f"{title}: it begins")
    return Exposing(standing=standing, reason=RunReason.Exposing, message=f"{title}: it begins")


def _too_small(room: Room, share: Decimal) -> str:
    if not room.service:
        return "no Service selects the Pods of its template, so no user would meet it; let a Service select them, or take exposure out of the policy"
    needed = int((1 / share).to_integral_value(rounding="ROUND_CEILING")) - 1
    return (
        f"one Pod would be {room.share:.2%} of Service {room.service}, beside {room.others} that are ready; "
        f"it begins with {needed} beside it, or when policy allows {room.share:.4f}, or says onShareTooSmall: Skip"
    )


def _ending(reason: RunReason, message: str) -> Ending:
    """A container that ends is its own doing; all else nobody knows the cause of, and people decide."""
    return Ending(CanaryDecision.ROLL_BACK if reason is RunReason.CandidateFailed else CanaryDecision.INCONCLUSIVE, reason, message)


def _whole(now: datetime) -> datetime:
    """The next whole second: what is written has no fraction, and a stage is not shortened by it."""
    return now.replace(microsecond=0) + timedelta(seconds=1)


def _name(run: Object) -> str:
    return pod_name(run["metadata"]["name"], Role.CANDIDATE)
