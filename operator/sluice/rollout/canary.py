"""One canary run, brought one step further by looking at what is there.

Level-triggered: every object has a name that follows from the run, is made when it is missing, and is owned by the run. A process may be killed between any two
requests; the next one finds what was made and goes on from there. Nothing is kept but what `Readings` says, which may be lost.

Until the Job is there, a Pod that went away is made again. From then on it is not: half of its answers would come from another Pod, and who can delete Pods
could start over until the numbers please. Such a run is inconclusive. The Job itself is made once, too, for the same reason.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sluice.api.canary import CanaryDecision
from sluice.api.names import CANARY_LABEL, CANARY_ROLE_LABEL, RELEASE_LABEL
from sluice.cluster.client import Object
from sluice.cluster.errors import Conflict, Invalid, NotFound
from sluice.cluster.resource import JOBS, NETWORK_POLICIES, PODS
from sluice.decision.gate import Action, Decision
from sluice.decision.pod import PodMalformedError, view_pod
from sluice.decision.reasons import Reason
from sluice.decision.run_reasons import RunReason
from sluice.rollout.canary_pods import Role, baseline_pod, candidate_pod, is_owned_by, pod_name
from sluice.rollout.canary_state import PodState, Stand, state_of
from sluice.rollout.comparison import Comparison, Endpoints, Progress, Starting, Tools, Waiting
from sluice.rollout.endings import Ending, end_for_pods
from sluice.rollout.owned import delete, ensure, found, owned, typed
from sluice.rollout.pods import take_gate_off
from sluice.rollout.readings import Readings
from sluice.rollout.remote_scorers import find_judges, judges_of
from sluice.rollout.scorers import AtWork, heard, start_scorers
from sluice.rollout.scoring_job import (
    BASELINE_ANNOTATION,
    job_name,
    network_policies,
)
from sluice.rollout.serving import serving_pods, url_of
from sluice.rollout.workloads import baseline_of, candidate_of

log: Final = logging.getLogger(__name__)


async def advance(run: Object, comparison: Comparison, tools: Tools, readings: Readings, *, now: datetime) -> Progress:
    """Bring an undecided run one step further. Raises `Ending` when it is over without statistics, and `ApiError` for what may work later."""
    scene = await _look(run, comparison, tools)
    if scene.job is None and (run.get("status") or {}).get("startedAt"):
        raise Ending(CanaryDecision.INCONCLUSIVE, RunReason.ScoringFailed, f"Job {job_name(run)} was deleted before a decision")
    # 1. The two Pods, until there are scorers; and they may stay only as long as they are permitted.
    if scene.job is None:
        waits = await _make_pods(scene, tools)
        if waits is not None:
            return waits
    for pod in (scene.candidate, scene.baseline):
        if pod is not None:
            _demand_permission(await _permit(pod, tools), pod)
    # 2. Ready, or never going to be.
    candidate, baseline = scene.states()
    end_for_pods(candidate, baseline, scoring=scene.job is not None, started_by=now - timedelta(seconds=tools.start_seconds))
    judges = await find_judges(tools.client, run["metadata"]["namespace"], comparison.judges) if scene.job is None else judges_of(scene.job)
    endpoints = Endpoints(
        candidate=url_of(candidate.address, comparison.port),
        baseline=url_of(baseline.address, comparison.port),
        judges=() if isinstance(judges, str) else judges,
    )
    if scene.job is None:
        unready = [state.message for state in (candidate, baseline) if state.stand is not Stand.READY] + ([judges] if isinstance(judges, str) else [])
        if not unready:
            serving = None if comparison.own_baseline or scene.baseline is None else scene.baseline["metadata"]["name"]
            await start_scorers(run, comparison, endpoints, tools, serving_baseline=serving)
        return Starting(message="; ".join(unready) or "the scorers start")
    # 3. What the scorers say.
    node = str((scene.candidate or {"spec": {}})["spec"].get("nodeName") or "")
    work = AtWork(run=run, comparison=comparison, job=scene.job, pods=scene.pods, node=node)
    return await heard(work, comparison.plan(endpoints), tools, readings, now=now)


@dataclass(slots=True, kw_only=True)
class _Scene:
    """What there is of a run."""

    run: Object
    comparison: Comparison
    pods: Sequence[Object]
    candidate: Object | None
    baseline: Object | None
    job: Object | None

    def states(self) -> tuple[PodState, PodState]:
        """How far candidate and baseline are."""
        name = self.run["metadata"]["name"]
        return (
            state_of(self.candidate, what=f"the candidate Pod {pod_name(name, Role.CANDIDATE)}"),
            state_of(self.baseline, what=f"the Pod of the baseline {self.comparison.baseline}"),
        )


async def _look(run: Object, comparison: Comparison, tools: Tools) -> _Scene:
    namespace, name = run["metadata"]["namespace"], run["metadata"]["name"]
    job = await owned(tools.client, JOBS, run, job_name(run))
    pods = [typed(pod, PODS) for pod in await tools.client.list(PODS, namespace, label_selector=f"{CANARY_LABEL}={name}")]
    mine = {pod["metadata"]["name"]: pod for pod in pods if is_owned_by(pod, run)}
    if comparison.own_baseline:
        baseline = mine.get(pod_name(name, Role.BASELINE))
    elif job is None:
        baseline = next(iter(await serving_pods(tools.client, namespace, comparison.baseline)), None)
    else:
        # Another Pod of the baseline is no substitute: half of the answers would be another one's.
        at = (job["metadata"].get("annotations") or {}).get(BASELINE_ANNOTATION, "")
        there = await found(tools.client, PODS.path(namespace, at)) if at else None
        baseline = there if there and (there["metadata"].get("labels") or {}).get(RELEASE_LABEL) == comparison.baseline else None
    return _Scene(run=run, comparison=comparison, pods=pods, candidate=mine.get(pod_name(name, Role.CANDIDATE)), baseline=baseline, job=job)


async def _make_pods(scene: _Scene, tools: Tools) -> Waiting | None:
    """Make the Pods that are not there; say what has to come first where they cannot be made."""
    run, comparison, namespace = scene.run, scene.comparison, scene.run["metadata"]["namespace"]
    for pod in (scene.candidate, scene.baseline):
        if pod is not None and is_owned_by(pod, run) and state_of(pod, what="").stand is Stand.GONE and "deletionTimestamp" not in pod["metadata"]:
            # It has ended, and keeps the name that another one needs.
            await delete(tools.client, PODS, pod)
    if scene.candidate is not None and scene.baseline is not None:
        return None
    workload = await candidate_of(tools.client, namespace, comparison.workload, comparison.candidate)
    if workload is None:
        return Waiting(reason=RunReason.WorkloadNotHeld, message=f"it waits until {comparison.workload} is held for {comparison.candidate}")
    wanted = [candidate_pod(run, workload)] if scene.candidate is None else []
    if scene.baseline is None:
        kind, own = comparison.workload.kind, comparison.own_baseline
        template = await baseline_of(tools.client, workload, kind, comparison.baseline) if own else None
        if template is None:
            what = f"nothing that {comparison.workload} keeps has a template that names" if own else "no Pod is ready of"
            return Waiting(reason=RunReason.BaselineNotRunning, message=f"{what} the baseline {comparison.baseline}, so there is nothing to compare with")
        wanted.append(baseline_pod(run, template))
    for pod in wanted:
        decision = tools.judge(view_pod(pod), namespace)
        if decision.action is not Action.ALLOW:
            return Waiting(reason=str(decision.reason), message=" ".join(decision.lines))
    # Who may talk to them is settled before they are there.
    for policy in network_policies(
        run, tools.image, port=comparison.port, serving_baseline=None if comparison.own_baseline else comparison.baseline, judges=comparison.judges
    ):
        await ensure(tools.client, NETWORK_POLICIES, run, policy)
    for pod in wanted:
        made = typed(await ensure(tools.client, PODS, run, pod), PODS)
        if pod["metadata"]["labels"][CANARY_ROLE_LABEL] == Role.CANDIDATE:
            scene.candidate = made
        else:
            scene.baseline = made
    return None


async def _permit(pod: Object, tools: Tools) -> Decision:
    """Take the gate off a Pod that may take part, and say what was decided about it."""
    try:
        view = view_pod(pod)
    except PodMalformedError as error:
        return Decision(action=Action.DENY, reason=Reason.CheckFailed, message=f"Pod {pod['metadata']['name']}: {error}")
    decision = tools.judge(view, pod["metadata"]["namespace"])
    if decision.action is Action.ALLOW and view.scheduling_gated and "deletionTimestamp" not in pod["metadata"]:
        try:
            await take_gate_off(tools.client, pod)
        except (Conflict, Invalid, NotFound) as error:
            log.info("pod %s/%s: changed while it was judged, looked at again: %s", pod["metadata"]["namespace"], pod["metadata"]["name"], error)
    return decision


def _demand_permission(decision: Decision, pod: Object) -> None:
    # "Not ready" is about us: it passes, and nothing has been withdrawn.
    if decision.action is not Action.ALLOW and decision.reason is not Reason.NotReady:
        raise Ending(CanaryDecision.INCONCLUSIVE, RunReason.NotPermitted, f"Pod {pod['metadata']['name']} may not run any more: {' '.join(decision.lines)}")
