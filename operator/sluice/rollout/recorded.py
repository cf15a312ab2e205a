"""A canary run that counts recorded pairs, brought one step further by looking at what is there.

Level-triggered like one that asks (`canary`), and shorter: no Pod of a model is made, so there is nothing to wait for but judges. The one scorer may reach
these, and nothing else. The Job is made once: who can delete it could start over until the numbers please.
"""

from __future__ import annotations

from datetime import datetime

from sluice.api.canary import CanaryDecision
from sluice.api.names import CANARY_LABEL
from sluice.cluster.client import Object
from sluice.cluster.resource import JOBS, NETWORK_POLICIES, PODS
from sluice.decision.run_reasons import RunReason
from sluice.rollout.comparison import Comparison, Endpoints, Progress, Starting, Tools
from sluice.rollout.endings import Ending
from sluice.rollout.owned import ensure, owned, typed
from sluice.rollout.readings import Readings
from sluice.rollout.remote_scorers import find_judges, judges_of
from sluice.rollout.scorers import AtWork, heard, start_scorers
from sluice.rollout.scoring_job import job_name, scorer_policy
from sluice.scoring.plan import RECORDED_BASELINE, RECORDED_CANDIDATE


async def count(run: Object, comparison: Comparison, tools: Tools, readings: Readings, *, now: datetime) -> Progress:
    """Bring an undecided run one step further. Raises `Ending` when it is over without statistics, and `ApiError` for what may work later."""
    namespace, name = run["metadata"]["namespace"], run["metadata"]["name"]
    job = await owned(tools.client, JOBS, run, job_name(run))
    if job is None and (run.get("status") or {}).get("startedAt"):
        raise Ending(CanaryDecision.INCONCLUSIVE, RunReason.ScoringFailed, f"Job {job_name(run)} was deleted before a decision")
    judges = await find_judges(tools.client, namespace, comparison.judges) if job is None else judges_of(job)
    if isinstance(judges, str):
        return Starting(message=judges)
    endpoints = Endpoints(candidate=RECORDED_CANDIDATE, baseline=RECORDED_BASELINE, judges=judges)
    if job is None:
        # Whom it may talk to is settled before it is there.
        await ensure(tools.client, NETWORK_POLICIES, run, scorer_policy(run, tools.image, models=[], judges=comparison.judges))
        await start_scorers(run, comparison, endpoints, tools)
        return Starting(message="the scorer starts")
    pods = [typed(pod, PODS) for pod in await tools.client.list(PODS, namespace, label_selector=f"{CANARY_LABEL}={name}")]
    return await heard(AtWork(run=run, comparison=comparison, job=job, pods=pods), comparison.plan(endpoints), tools, readings, now=now)
