"""A live share of a run: from its status to what is done now, and back. What is done is in `rollout.exposure`."""

from __future__ import annotations

from datetime import UTC, datetime

from sluice.api.base import parse_time
from sluice.api.canary import CanaryDecision, CanaryPhase, CanarySpec, CanaryStatus
from sluice.api.durations import parse_duration
from sluice.api.exposure import ExposureStatus
from sluice.cluster.client import Object
from sluice.controller.canary_status import Seen
from sluice.decision.run_reasons import RunReason
from sluice.decision.runs import Terms
from sluice.rollout.exposure import Exposing, Schedule, Standing
from sluice.rollout.workloads import Workload


def is_exposing(run: Object) -> bool:
    """Tell whether the comparison of a run is over, and its live share has begun. From then on nothing is compared again."""
    return bool((run.get("status") or {}).get("phase") == CanaryPhase.EXPOSING)


def schedule_of(spec: CanarySpec) -> Schedule:
    """Read what a run promises about its live share."""
    terms = Terms.of_run(spec)
    return Schedule(
        candidate=spec.release.name, workload=Workload(kind=spec.workload.kind, name=spec.workload.name), stages=terms.exposure, skips=terms.skips,
        patience_seconds=int(parse_duration(spec.max_duration).total_seconds()),
    )  # fmt: skip


def standing_of(run: Object) -> Standing:
    """Read how far a live share is. Raises ValueError for a status that says nothing of it."""
    told = CanaryStatus.model_validate(run["status"]).exposure
    if told is None:
        raise ValueError("status.phase is Exposing, and status.exposure says nothing")
    return Standing(started_at=parse_time(told.started_at), stage=told.stage, since=parse_time(told.since) if told.since else None, ends=told.ends)


def begin(compared: Seen, *, now: datetime) -> Seen:
    """Give what is to be told of a run whose comparison would promote it, and whose live share has to come first."""
    standing = Standing(started_at=now)
    return Seen(
        phase=CanaryPhase.EXPOSING, decision=CanaryDecision.PENDING, reason=RunReason.Exposing, message=f"{compared.message}; now users meet a share of it",
        planned=compared.planned, judgement=compared.judgement, standings=compared.standings, missing=compared.missing, started_at=compared.started_at,
        exposure=status_of(standing),
    )  # fmt: skip


def seen_of(exposing: Exposing) -> Seen:
    """Give what is to be told of a live share."""
    return Seen(
        phase=CanaryPhase.DECIDED if exposing.over else CanaryPhase.EXPOSING,
        decision=CanaryDecision.PROMOTE if exposing.over else CanaryDecision.PENDING,
        reason=exposing.reason,
        message=exposing.message,
        exposure=status_of(exposing.standing),
    )


def status_of(standing: Standing) -> ExposureStatus:
    """Write down what outlives the process."""
    return ExposureStatus(
        stage=standing.stage, pods=standing.pods, share=f"{standing.share:f}", ends=standing.ends, started_at=_written(standing.started_at),
        since=_written(standing.since) if standing.since else None,
    )  # fmt: skip


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
