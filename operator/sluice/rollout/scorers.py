"""The scorers of a canary run: equipped and started once, and heard at each look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sluice.api.canary import CanaryDecision
from sluice.cluster.client import Object
from sluice.cluster.resource import CONFIG_MAPS, JOBS
from sluice.decision.run_reasons import RunReason
from sluice.rollout.canary_pods import is_owned_by
from sluice.rollout.canary_state import unstarted
from sluice.rollout.comparison import Comparison, Endpoints, Plan, Progress, Scoring, Starting, Tools, Waiting
from sluice.rollout.endings import Ending, end_for_job, end_for_refusal
from sluice.rollout.owned import delete, ensure
from sluice.rollout.queueing import begun, suspension
from sluice.rollout.readings import Readings
from sluice.rollout.scoring_job import plan_map, plan_name, scoring_job
from sluice.rollout.statistics_client import scorers_of
from sluice.scoring.tally import NotMergeable, merge
from sluice.scoring.wire import StatisticsRefused, read_statistics


async def start_scorers(run: Object, comparison: Comparison, endpoints: Endpoints, tools: Tools, *, serving_baseline: str | None = None) -> None:
    """Make what the Job needs, and the Job last: that it is there says that all else was. Raises `Ending` and `ApiError`."""
    wanted = plan_map(run, plan=comparison.plan(endpoints).text, cases=comparison.cases)
    there = await ensure(tools.client, CONFIG_MAPS, run, wanted)
    if there.get("data") != wanted["data"]:
        # Left by a process that was killed before a Pod got the address that it has now.
        await delete(tools.client, CONFIG_MAPS, there)
        await ensure(tools.client, CONFIG_MAPS, run, wanted)
    job = scoring_job(
        run, tools.image, shards=comparison.shards, seconds=comparison.seconds, token=comparison.token, serving_baseline=serving_baseline,
        cases=comparison.cases, containers=comparison.containers, judges=comparison.judges, asked_at=endpoints.judges,
    )  # fmt: skip
    await ensure(tools.client, JOBS, run, job)


@dataclass(frozen=True, slots=True, kw_only=True)
class AtWork:
    """The Job of a run, and the Pods of the run, its scorers among them."""

    run: Object
    comparison: Comparison
    job: Object
    pods: Sequence[Object]
    node: str = ""
    """Where the candidate runs; empty when it does not."""


async def heard(work: AtWork, plan: Plan, tools: Tools, readings: Readings, *, now: datetime) -> Progress:
    """Ask the scorers what they have counted. Raises `Ending` when the run is over without statistics, and `ApiError`."""
    run, job, pods = work.run, work.job, work.pods
    # 1. Time is bounded, whatever happens; and so is patience with the scorers. It does not run while a queue keeps them waiting, and begins anew.
    scorers, started_at = [pod for pod in pods if is_owned_by(pod, job)], begun(job)
    end_for_refusal(scorers)
    end_for_job(job, age_seconds=(now - started_at).total_seconds() if started_at else 0.0, seconds=work.comparison.seconds)
    if started_at is None:
        suspended = suspension(job)
        return Waiting(reason=RunReason.ScoringSuspended, message=suspended) if suspended else Starting(message="the scorers start")
    # 2. What they say.
    try:
        for shard, said in (await tools.scorers.read(scorers_of(run, job, pods))).items():
            readings.take(read_statistics(said, plan.expected(shard)))
        merged = merge(readings.shards, plan=plan.digest, of=work.comparison.shards)
        return Scoring(merged=merged, started_at=started_at, plan=plan.text, node=work.node, waits=unstarted(scorers, now=now))
    except (StatisticsRefused, NotMergeable) as error:
        message = f"{error}; did a Pod get another address, or somebody replace ConfigMap {plan_name(run)}?"
        raise Ending(CanaryDecision.INCONCLUSIVE, RunReason.StatisticsRefused, message) from None
