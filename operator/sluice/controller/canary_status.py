"""The status of a `CanaryRun`: how far it is, and every number that people decide on while it runs.

A decision is final: a status that has one keeps it, whatever is seen later.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

from sluice.api.canary import (
    CanaryDecision,
    CanaryPhase,
    CanaryStatus,
    GateStatus,
    MetricEvidence,
    MetricStatus,
    MissingAnswersStatus,
    StatisticsStatus,
    Towards,
)
from sluice.api.exposure import ExposureStatus
from sluice.cluster.client import Object
from sluice.controller.conditions import MESSAGE_LIMIT, REASON_LIMIT, Moment, cut, wire
from sluice.evidence.canary_record import sign_record
from sluice.provenance.signing import SigningKey
from sluice.scoring.judgement import Judgement, Standing
from sluice.scoring.tally import MissingAnswers

FINAL: Final = frozenset({CanaryDecision.PROMOTE, CanaryDecision.ROLL_BACK, CanaryDecision.INCONCLUSIVE})
COMPLETE: Final = "Complete"
"""Condition: the run has decided, and nothing that it made is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is to be told of a run."""

    phase: CanaryPhase
    decision: CanaryDecision
    reason: str
    message: str
    planned: int | None = None
    judgement: Judgement | None = None
    standings: tuple[Standing, ...] = ()
    missing: tuple[MissingAnswers, ...] = ()
    started_at: datetime | None = None
    exposure: ExposureStatus | None = None
    statistics: StatisticsStatus | None = None


def decision_of(run: Object) -> CanaryDecision:
    """Read what a run came to; what cannot be read has not decided."""
    told = (run.get("status") or {}).get("decision")
    return CanaryDecision(told) if told in set(CanaryDecision) else CanaryDecision.PENDING


def is_complete(run: Object) -> bool:
    """Tell whether nothing of a run is left to delete."""
    conditions = (run.get("status") or {}).get("conditions") or ()
    return any(item.get("type") == COMPLETE and item.get("status") == "True" for item in conditions)


def status_of_run(seen: Seen, moment: Moment) -> Object | None:
    """Give the status; None when there is a decision already."""
    if decision_of({"status": moment.previous}) in FINAL:
        return None
    decided = seen.decision in FINAL
    judgement = seen.judgement
    started = seen.started_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seen.started_at else moment.previous.get("startedAt")
    status = CanaryStatus(
        observed_generation=moment.generation,
        phase=seen.phase,
        decision=seen.decision,
        reason=cut(seen.reason, REASON_LIMIT),
        message=cut(seen.message, MESSAGE_LIMIT),
        units=judgement.units if judgement else moment.previous.get("units"),
        planned=seen.planned if seen.planned is not None else moment.previous.get("planned"),
        metrics=[_metric(standing) for standing in seen.standings],
        gates=[GateStatus(name=name, hits=min(hits, 1_000_000)) for name, hits in (judgement.gates if judgement else {}).items()],
        missing_answers=[MissingAnswersStatus.model_validate(asdict(side)) for side in seen.missing],
        started_at=started,
        decided_at=moment.now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if decided else None,
        samples=moment.previous.get("samples"),
        statistics=seen.statistics or moment.previous.get("statistics"),
        exposure=seen.exposure or moment.previous.get("exposure"),
        conditions=[moment.condition(COMPLETE, False, seen.reason, seen.message)],  # noqa: FBT003 - the condition's status
    )
    written = wire(status)
    if not seen.standings:
        # An ending without statistics is no reason to forget what had been counted.
        counted = ("metrics", "gates", "missingAnswers")
        written |= {field: moment.previous[field] for field in counted if field in moment.previous and field not in written}
    return written


def recorded(run: Object, status: Object | None, key: Callable[[], SigningKey]) -> Object | None:
    """Add to the status of a run that has decided what the controller signs about it."""
    if status is None or decision_of({"status": status}) not in FINAL:
        return status
    record = sign_record(key(), run, decision=decision_of({"status": status}), reason=status["reason"], decided_at=status["decidedAt"])
    return {**status, "record": record}


def completed(moment: Moment) -> Object | None:
    """Give the status of a decided run of which nothing is left: what it was, and that."""
    decision = decision_of({"status": moment.previous})
    if decision not in FINAL:
        return None
    condition = moment.condition(COMPLETE, True, str(decision), "it has decided, and nothing that it made is left")  # noqa: FBT003
    return {**moment.previous, "conditions": [condition.model_dump(mode="json", by_alias=True, exclude_none=True)]}


def _metric(standing: Standing) -> MetricStatus:
    towards = standing.towards
    return MetricStatus(
        name=standing.metric,
        slice=cut(standing.slice, 253),
        pairs=standing.units,
        estimate=f"{standing.estimate:.4f}",
        interval=[f"{standing.low:.4f}", f"{standing.high:.4f}"],
        evidence=MetricEvidence(promote=f"{standing.promote:.3g}", roll_back=f"{standing.roll_back:.3g}"),
        towards=Towards(towards) if towards else None,
        pairs_to_decide=standing.more,
    )
