"""Where a drill is done: found, made ready, and left as it was.

In the namespace of its release the `ReleaseDrill` owns everything, and the garbage collector takes it along. Owner references do not cross namespaces: in a
scratch namespace the Service is made first and deleted last, owns the rest, and bears the UID of its drill. So what a drill has there hangs on one object, and
a look at these finds all that drills have left that are no more, whatever was killed or deleted meanwhile. A finalizer would do, too, and would keep whole
namespaces from being deleted once Sluice is gone.

Limits: whoever deletes that Service leaves the rest to the garbage collector, which takes it within seconds. Who opts the scratch namespace out and deletes the
drill before it has ended tidies up there by hand.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from sluice.api.canary import CanaryDecision
from sluice.api.names import DRILL_LABEL, DRILL_NAMESPACE_LABEL, DRILL_UID_LABEL
from sluice.cluster.client import ApiClient, Object
from sluice.cluster.errors import Conflict
from sluice.cluster.resource import DRILLS, NETWORK_POLICIES, PODS, SERVICES
from sluice.decision.run_reasons import RunReason
from sluice.rollout.drill_objects import Role, Site, drill_policy, drill_service, pod_name, scratch_service
from sluice.rollout.endings import Ending
from sluice.rollout.owned import delete, ensure, found, typed

log: Final = logging.getLogger(__name__)


def scratch_of(drill: Object) -> str | None:
    """The scratch namespace that a drill has pinned; None for one that is done in its own."""
    return (drill.get("status") or {}).get("scratchNamespace") or None


async def site_of(client: ApiClient, drill: Object) -> Site | None:
    """Find where a drill is done; None while it has no Service in its scratch namespace.

    Raises `Ending` when somebody else has its name there, and `ApiError`.
    """
    scratch = scratch_of(drill)
    if scratch is None:
        return Site(owner=drill)
    name = drill["metadata"]["name"]
    there = await found(client, SERVICES.path(scratch, name))
    if there is None:
        return None
    if not _is_of(there, drill):
        taken = f"there is a Service {name} in namespace {scratch} already, which is not of this run: delete it"
        raise Ending(CanaryDecision.INCONCLUSIVE, RunReason.NameTaken, taken)
    return Site(owner=typed(there, SERVICES), home=drill["metadata"]["namespace"])


async def make_site(client: ApiClient, drill: Object) -> Site:
    """Make what is there before the Pods: their Service, and that nobody talks to them. Raises `Ending` as above, and `ApiError`."""
    site = await site_of(client, drill)
    if site is None:
        scratch = scratch_of(drill) or drill["metadata"]["namespace"]
        try:
            made = await client.create(SERVICES, scratch_service(drill, scratch), scratch)
        except Conflict:
            # A request of ours, or of the process before us, got through though nobody heard of it.
            site = await site_of(client, drill)
            if site is None:
                raise
        else:
            log.info("drill %s/%s: made its Service in scratch namespace %s", drill["metadata"]["namespace"], drill["metadata"]["name"], scratch)
            site = Site(owner=typed(made, SERVICES), home=drill["metadata"]["namespace"])
    await ensure(client, NETWORK_POLICIES, site.owner, drill_policy(site))
    if site.home is None:
        await ensure(client, SERVICES, site.owner, drill_service(site))
    return site


async def tidy_up(client: ApiClient, drill: Object) -> bool:
    """Delete what a drill has left, the release first and its Service last; return whether nothing was there any more. Raises `ApiError`."""
    try:
        site = await site_of(client, drill)
    except Ending:
        # Somebody else has its name there, so nothing there is its own.
        return True
    if site is None:
        return not await _orphans(client, drill)
    rest = [(PODS, pod_name(site.name, Role.RELEASE)), (PODS, pod_name(site.name, Role.BASELINE)), (NETWORK_POLICIES, site.name), (SERVICES, site.name)]
    clean = True
    for resource, at in rest:
        there = await found(client, resource.path(site.namespace, at))
        if there is None or not site.has(there):
            continue
        # What owns the rest goes when nothing else is left: until then it is known whose that is.
        last = there["metadata"]["uid"] == site.owner["metadata"]["uid"]
        if "deletionTimestamp" not in there["metadata"] and (clean or not last):
            await delete(client, resource, there)
            log.info("drill %s/%s: deleted %s %s/%s", drill["metadata"]["namespace"], site.name, resource.kind, site.namespace, at)
        clean = False
    return clean


async def sweep(client: ApiClient, *, governed: Callable[[str], bool]) -> bool:
    """Delete what drills that are no more have left in scratch namespaces; return whether there was anything. Raises `ApiError`.

    Only in namespaces that are `governed`: elsewhere anybody writes such labels, and what they are on is theirs.
    """
    swept = False
    for service in await client.list(SERVICES, label_selector=f"{DRILL_UID_LABEL},{DRILL_NAMESPACE_LABEL}"):
        metadata = service["metadata"]
        if not governed(metadata["namespace"]):
            continue
        home, name = metadata["labels"][DRILL_NAMESPACE_LABEL], metadata["labels"].get(DRILL_LABEL, "")
        try:
            path = DRILLS.path(home, name)
        except ValueError:
            # It was labelled before the namespace was governed: no drill is called so.
            continue
        drill = await found(client, path)
        if drill is not None and _is_of(service, drill) and "deletionTimestamp" not in drill["metadata"]:
            continue
        swept = True
        if "deletionTimestamp" not in metadata:
            await delete(client, SERVICES, service)
            log.info("drill %s/%s: it is gone, deleted what it had left in scratch namespace %s", home, name, metadata["namespace"])
    return swept


async def _orphans(client: ApiClient, drill: Object) -> list[Object]:
    """Pods of a drill whose Service in the scratch namespace is gone: the garbage collector is at it."""
    name = drill["metadata"]["name"]
    selector = f"{DRILL_LABEL}={name},{DRILL_NAMESPACE_LABEL}={drill['metadata']['namespace']}"
    pods = await client.list(PODS, scratch_of(drill), label_selector=selector)
    owner = (SERVICES.kind, name)
    return [pod for pod in pods if any((of.get("kind"), of.get("name")) == owner for of in pod["metadata"].get("ownerReferences") or ())]


def _is_of(service: Object, drill: Object) -> bool:
    """Tell whether a Service in a scratch namespace is of this very drill."""
    labels, metadata = service["metadata"].get("labels") or {}, drill["metadata"]
    return bool(labels.get(DRILL_UID_LABEL) == metadata["uid"] and labels.get(DRILL_NAMESPACE_LABEL) == metadata["namespace"])
