"""Deployments: resume what the API server paused, once the release that the template names is entitled.

The pause is ours while the annotation says so; a Deployment that its owner paused has none and is left alone.
"""

from __future__ import annotations

import logging
from typing import Final

from sluice.api.names import HELD_ANNOTATION, RELEASE_LABEL
from sluice.cluster.client import Object
from sluice.cluster.errors import Conflict, NotFound
from sluice.cluster.resource import DEPLOYMENTS
from sluice.decision.gate import Action
from sluice.decision.pod import PodMalformedError, view_template
from sluice.rollout.actuation import Actuation, Settled, same_object

_HELD_PATH: Final = f"/metadata/annotations/{HELD_ANNOTATION.replace('/', '~1')}"

log: Final = logging.getLogger(__name__)


def held_for(deployment: Object) -> str:
    """Return the release for which the API server paused it; empty when it is not held."""
    held = ((deployment.get("metadata") or {}).get("annotations") or {}).get(HELD_ANNOTATION)
    return held if isinstance(held, str) else ""


def releases_of(deployment: Object) -> frozenset[str]:
    """Return the releases that a Deployment concerns: the one its template names, and the one it is held for."""
    template = ((deployment.get("spec") or {}).get("template") or {}).get("metadata") or {}
    named = (template.get("labels") or {}).get(RELEASE_LABEL)
    return frozenset(name for name in (named, held_for(deployment)) if isinstance(name, str) and name)


async def settle_deployment(deployment: Object, tools: Actuation) -> Settled:
    """Resume a held Deployment whose Pods would be let in. Raises `ApiError` for what may work later."""
    namespace, name, held = str(deployment["metadata"]["namespace"]), str(deployment["metadata"]["name"]), held_for(deployment)
    if not held or "deletionTimestamp" in deployment["metadata"]:
        return Settled.DONE
    try:
        view = view_template(deployment["spec"]["template"])
    except PodMalformedError as error:
        log.warning("deployment %s/%s: stays held: %s", namespace, name, error)
        return Settled.WAITING
    decision = tools.judge(view, namespace)
    if decision.action is not Action.ALLOW:
        await tools.announcer.tell(deployment, decision, action=decision.action)
        return Settled.WAITING
    operations: list[dict[str, object]] = [*same_object(deployment), {"op": "remove", "path": _HELD_PATH}]
    if deployment["spec"].get("paused"):
        operations.append({"op": "remove", "path": "/spec/paused"})
    try:
        await tools.client.patch_json(DEPLOYMENTS.path(namespace, name), operations)
    except NotFound:
        return Settled.DONE
    except Conflict as error:
        log.info("deployment %s/%s: changed while it was judged, looked at again: %s", namespace, name, error)
        return Settled.CHANGED
    log.info("deployment %s/%s: resumed for %s (%s)", namespace, name, held, decision.reason)
    await tools.announcer.tell(deployment, decision, action="Resume")
    return Settled.DONE
