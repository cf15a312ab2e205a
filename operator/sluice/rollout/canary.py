"""One canary run, brought one step further by looking at what is there.

Level-triggered: every object has a name that follows from the run, is made when it is missing, and is owned by the run. A process may be killed between any two
requests; the next one finds what was made and goes on from there. Nothing is kept but what `Readings` says, which may be lost.

Until the Job is there, a Pod that went away is made again. From then on it is not: half of its answers would come from another Pod, and who can delete Pods
could start over until the numbers please. Such a run is inconclusive. The Job itself is made once, too, for the same reason.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sluice.api.canary import CanaryDecision
from sluice.api.names import CANARY_LABEL, CANARY_ROLE_LABEL, RELEASE_LABEL
from sluice.cluster.client import ApiClient, Object
from sluice.cluster.errors import Conflict, Invalid, NotFound
from sluice.cluster.resource import CONFIG_MAPS, JOBS, NETWORK_POLICIES, PODS
from sluice.decision.gate import Action, Decision
from sluice.decision.pod import PodMalformedError, view_pod
from sluice.decision.reasons import Reason
from sluice.decision.run_reasons import RunReason
from sluice.rollout.actuation import Judge
from sluice.rollout.canary_pods import Role, baseline_pod, candidate_pod, is_owned_by, pod_name
from sluice.rollout.canary_state import PodState, Stand, state_of, unstarted
from sluice.rollout.endings import Ending, begun, end_for_job, end_for_pods, end_for_refusal
from sluice.rollout.owned import delete, ensure, found, owned, typed
from sluice.rollout.pods import take_gate_off
from sluice.rollout.readings import Readings
from sluice.rollout.remote_scorers import Addresses, JudgePods, Sidecar, Token, find_judges, judges_of
from sluice.rollout.scoring_job import (
    BASELINE_ANNOTATION,
    CasesImage,
    ScorerImage,
    job_name,
    network_policies,
    plan_map,
    plan_name,
    scoring_job,
)
from sluice.rollout.serving import serving_pods, url_of
from sluice.rollout.statistics_client import StatisticsClient, scorers_of
from sluice.rollout.workloads import Workload, baseline_of, candidate_of
from sluice.scoring.tally import Merged, NotMergeable, merge
from sluice.scoring.wire import Expected, StatisticsRefused, read_statistics

log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where the two models are reached, `http://10.0.0.7:8080`."""

    candidate: str
    baseline: str
    judges: Addresses = ()
    """Where those are asked that compare answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What scorers are told: the file, and its digest, which each of them repeats with what it says."""

    text: str
    digest: str
    expected: Callable[[int], Expected]
    """What a shard may say. Raises `StatisticsRefused` for a shard that the plan does not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a run compares, resolved: everything that stands in its spec by name or digest."""

    candidate: str
    baseline: str
    workload: Workload
    own_baseline: bool
    """Whether the baseline is a Pod of the run; else one of those that serve."""
    port: int
    token: Token | None
    cases: str | CasesImage
    """The text, or where the nodes find it."""
    shards: int
    seconds: int
    """How long scoring may take."""
    plan: Callable[[Endpoints], Plan]
    containers: Sequence[Sidecar] = ()
    judges: Sequence[JudgePods] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a run is moved with."""

    client: ApiClient
    judge: Judge
    """Decides, on what is known now, whether a Pod may take part."""
    scorers: StatisticsClient
    image: ScorerImage
    start_seconds: float
    """How long Pods may take until they are ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Nothing runs yet: what has to come first."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Starting:
    """Pods are made, or on their way."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """Scorers are at work, since `started_at`."""

    merged: Merged
    started_at: datetime
    plan: str
    """What the scorers were told."""
    node: str
    """Where the candidate runs."""
    waits: str = ""
    """What keeps a scorer from starting, for people; empty when nothing does."""


Progress = Waiting | Starting | Scoring


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
            await _start_scorers(scene, endpoints, tools)
        return Starting(message="; ".join(unready) or "the scorers start")
    # 3. Time is bounded, whatever happens; and so is patience with the scorers. It does not run while a queue keeps them waiting.
    started_at = begun(scene.job)
    if started_at is None:
        return Starting(message=f"Job {job_name(run)} is suspended: its scorers wait for their turn in a queue")
    scorers = [pod for pod in scene.pods if is_owned_by(pod, scene.job)]
    end_for_refusal(scorers)
    end_for_job(scene.job, age_seconds=(now - started_at).total_seconds(), seconds=comparison.seconds)
    # 4. What they say.
    plan = comparison.plan(endpoints)
    try:
        for shard, said in (await tools.scorers.read(scorers_of(run, scene.job, scene.pods))).items():
            readings.take(read_statistics(said, plan.expected(shard)))
        merged = merge(readings.shards, plan=plan.digest, of=comparison.shards)
        node = str((scene.candidate or {"spec": {}})["spec"].get("nodeName") or "")
        return Scoring(merged=merged, started_at=started_at, plan=plan.text, node=node, waits=unstarted(scorers))
    except (StatisticsRefused, NotMergeable) as error:
        message = f"{error}; did a Pod get another address, or somebody replace ConfigMap {plan_name(run)}?"
        raise Ending(CanaryDecision.INCONCLUSIVE, RunReason.StatisticsRefused, message) from None


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


async def _start_scorers(scene: _Scene, endpoints: Endpoints, tools: Tools) -> None:
    """Make what the Job needs, and the Job last: that it is there says that all else was."""
    run, comparison = scene.run, scene.comparison
    plan = comparison.plan(endpoints)
    wanted = plan_map(run, plan=plan.text, cases=comparison.cases)
    there = await ensure(tools.client, CONFIG_MAPS, run, wanted)
    if there.get("data") != wanted["data"]:
        # Left by a process that was killed before a Pod got the address that it has now.
        await delete(tools.client, CONFIG_MAPS, there)
        await ensure(tools.client, CONFIG_MAPS, run, wanted)
    serving = None if comparison.own_baseline or scene.baseline is None else scene.baseline["metadata"]["name"]
    job = scoring_job(
        run, tools.image, shards=comparison.shards, seconds=comparison.seconds, token=comparison.token, serving_baseline=serving, cases=comparison.cases,
        containers=comparison.containers, judges=comparison.judges, asked_at=endpoints.judges,
    )  # fmt: skip
    await ensure(tools.client, JOBS, run, job)
