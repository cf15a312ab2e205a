"""The objects of a canary run, or of a drill, in the API server: made once, found again by name and owner, deleted as the very object that was found."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Final

from sluice.api.canary import CanaryDecision
from sluice.cluster.client import ApiClient, Object
from sluice.cluster.errors import Conflict, NotFound
from sluice.cluster.resource import Resource
from sluice.decision.run_reasons import RunReason
from sluice.rollout.canary_pods import is_owned_by
from sluice.rollout.endings import Ending

log: Final = logging.getLogger(__name__)


async def found(client: ApiClient, path: str) -> Object | None:
    """Read an object; None when there is none."""
    try:
        return await client.get(path)
    except NotFound:
        return None


async def owned(client: ApiClient, resource: Resource, run: Object, name: str) -> Object | None:
    """Read an object of the run. Raises `Ending` when somebody else has the name: it was not made by us, and shall not be touched."""
    there = await found(client, resource.path(run["metadata"]["namespace"], name))
    if there is not None and not is_owned_by(there, run):
        raise Ending(CanaryDecision.INCONCLUSIVE, RunReason.NameTaken, f"there is a {resource.kind} {name} already, which is not of this run: delete it")
    return there


async def ensure(client: ApiClient, resource: Resource, run: Object, wanted: Object) -> Object:
    """Make an object of the run, unless it is there; return it as it is."""
    namespace, name = wanted["metadata"]["namespace"], wanted["metadata"]["name"]
    there = await owned(client, resource, run, name)
    if there is not None:
        return there
    try:
        made = await client.create(resource, wanted, namespace)
    except Conflict:
        # A request of ours, or of the process before us, got through though nobody heard of it.
        again = await owned(client, resource, run, name)
        if again is None:
            raise
        return again
    log.info("%s %s/%s: made %s %s", run["kind"], namespace, run["metadata"]["name"], resource.kind, name)
    return made


async def delete(client: ApiClient, resource: Resource, obj: Object) -> None:
    """Delete this very object, if it is still there."""
    with suppress(NotFound, Conflict):
        await client.delete(resource.path(obj["metadata"]["namespace"], obj["metadata"]["name"]), uid=obj["metadata"]["uid"])


def typed(obj: Object, resource: Resource) -> Object:
    """Items of a list come without these two."""
    return {**obj, "apiVersion": resource.api_version, "kind": resource.kind}
