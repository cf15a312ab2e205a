"""How a canary run ends without statistics.

A rollback is for good, so a candidate is blamed only for what its baseline could do on the same cluster at the same time. All else is inconclusive: nobody
can start over until the numbers please, and a person decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from sluice.api.canary import CanaryDecision
from sluice.cluster.client import Object
from sluice.decision.run_reasons import RunReason
from sluice.rollout.canary_state import SCORER_CONTAINER, PodState, Stand
from sluice.scoring.plan import REFUSED

_SAID: Final = 1000
"""Characters of a scorer's last words that are told."""


class Ending(Exception):
    """The run ends here, whatever the statistics say: `decision` is RollBack or Inconclusive."""

    def __init__(self, decision: CanaryDecision, reason: RunReason, message: str) -> None:
        super().__init__(message)
        self.decision = decision
        self.reason = reason


def end_for_pods(candidate: PodState, baseline: PodState, *, scoring: bool, started_by: datetime) -> None:
    """Raise `Ending` for a run whose Pods cannot be compared. `scoring`: the cases are being asked; `started_by`: who could start before is late."""
    if scoring:
        for state, reason in ((candidate, RunReason.CandidateLost), (baseline, RunReason.BaselineLost)):
            if state.stand is Stand.GONE:
                raise Ending(CanaryDecision.INCONCLUSIVE, reason, f"{state.message}, and what it would have answered nobody knows")
    late = [state.since is not None and state.since < started_by and state.stand is not Stand.READY for state in (candidate, baseline)]
    if baseline.stand is Stand.BROKEN or (late[1] and not scoring):
        raise Ending(CanaryDecision.INCONCLUSIVE, RunReason.BaselineDoesNotStart, baseline.message)
    if candidate.stand is Stand.HOMELESS and late[0]:
        raise Ending(CanaryDecision.INCONCLUSIVE, RunReason.CandidateNotScheduled, candidate.message)
    if baseline.stand is Stand.READY and (candidate.stand is Stand.BROKEN or (late[0] and not scoring)):
        raise Ending(CanaryDecision.ROLL_BACK, RunReason.CandidateDoesNotStart, f"{candidate.message}; {baseline.message}")


def end_for_refusal(scorers: Iterable[Object]) -> None:
    """Raise `Ending` when one of the Pods that score could not use what it was given: what it said last says why."""
    for pod in scorers:
        for container in (pod.get("status") or {}).get("containerStatuses") or ():
            ended = (container.get("state") or {}).get("terminated") or {}
            if container.get("name") == SCORER_CONTAINER and ended.get("exitCode") == REFUSED:
                said = (str(ended.get("message") or "").strip().splitlines() or ["it does not say why"])[-1]
                raise Ending(CanaryDecision.INCONCLUSIVE, RunReason.CasesInvalid, f"the scorer refuses its plan or its cases: {said[:_SAID]}")


def end_for_job(job: Object, *, age_seconds: float, seconds: int) -> None:
    """Raise `Ending` for a run that takes longer than `seconds`, or whose Job is over."""
    if age_seconds > seconds:
        raise Ending(CanaryDecision.INCONCLUSIVE, RunReason.TimeOver, f"nothing was decided within {seconds} s")
    conditions = {item.get("type"): item for item in (job.get("status") or {}).get("conditions") or () if item.get("status") == "True"}
    for type_ in ("Failed", "FailureTarget", "Complete", "SuccessCriteriaMet"):
        if type_ in conditions:
            words = f"{conditions[type_].get('reason')}: {str(conditions[type_].get('message'))[:300]}"
            raise Ending(CanaryDecision.INCONCLUSIVE, RunReason.ScoringFailed, f"Job {job['metadata']['name']} ended before a decision: {words}")
    if "deletionTimestamp" in job["metadata"]:
        raise Ending(CanaryDecision.INCONCLUSIVE, RunReason.ScoringFailed, f"Job {job['metadata']['name']} was deleted before a decision")
