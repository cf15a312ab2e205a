"""What is left of a run, or of its comparison, goes: each object that is its own, by name and owner, and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sluice.cluster.client import ApiClient, Object
from sluice.cluster.resource import CONFIG_MAPS, JOBS, NETWORK_POLICIES, PODS, Resource
from sluice.rollout.canary_pods import Role, is_owned_by, pod_name
from sluice.rollout.exposure import drained
from sluice.rollout.owned import delete, found, typed
from sluice.rollout.routing import Router
from sluice.rollout.scoring_job import job_name, models_name, plan_name

log: Final = logging.getLogger(__name__)


async def tidy_up(client: ApiClient, run: Object, router: Router, *, now: datetime) -> bool:
    """Delete what a decided run has left, the candidate first; return whether nothing was there any more. Raises `ApiError`.

    A candidate that users meet is taken out at once, and stays until Services have heard of it: nobody's request is lost.
    """
    name = run["metadata"]["name"]
    candidate = await found(client, PODS.path(run["metadata"]["namespace"], pod_name(name, Role.CANDIDATE)))
    gone = candidate is None or not is_owned_by(candidate, run)
    if candidate is not None and not gone and await drained(typed(candidate, PODS), router, message=f"CanaryRun {name} has ended", now=now):
        await _delete_all(client, run, [(PODS, pod_name(name, Role.CANDIDATE))])
    return await _delete_all(client, run, [*_of_comparison(run), (NETWORK_POLICIES, models_name(run))]) and gone


async def end_comparison(client: ApiClient, run: Object) -> bool:
    """Delete what only the comparison needed; return whether nothing of it was there any more. Raises `ApiError`."""
    return await _delete_all(client, run, _of_comparison(run))


def _of_comparison(run: Object) -> list[tuple[Resource, str]]:
    return [
        (JOBS, job_name(run)), (PODS, pod_name(run["metadata"]["name"], Role.BASELINE)), (NETWORK_POLICIES, job_name(run)), (CONFIG_MAPS, plan_name(run)),
    ]  # fmt: skip


async def _delete_all(client: ApiClient, run: Object, rest: Sequence[tuple[Resource, str]]) -> bool:
    namespace, name = run["metadata"]["namespace"], run["metadata"]["name"]
    clean = True
    for resource, at in rest:
        there = await found(client, resource.path(namespace, at))
        if there is None or not is_owned_by(there, run):
            continue
        clean = False
        if "deletionTimestamp" not in there["metadata"]:
            await delete(client, resource, there)
            log.info("canary run %s/%s: deleted %s %s", namespace, name, resource.kind, at)
    return clean
