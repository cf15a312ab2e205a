"""Pods: take the scheduling gate off, set the serving condition. The final Pod is judged, whoever let it in.

Only ever towards running, and only for a Pod that is entitled. A Pod that is held or denied is left as it is: while it has its scheduling gate it never
starts. A Pod that runs is never touched here, also when its release lost its entitlement meanwhile: withdrawing is a decision of its own, made elsewhere.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Final

from sluice.api.names import READINESS_GATE, SCHEDULING_GATE
from sluice.cluster.client import ApiClient, Object
from sluice.cluster.errors import Conflict, Invalid, NotFound
from sluice.cluster.resource import PODS
from sluice.decision.gate import Action, Decision
from sluice.decision.pod import PodMalformedError, PodView, view_pod
from sluice.rollout.actuation import Actuation, Settled, same_object

_OVER: Final = frozenset({"Succeeded", "Failed"})

log: Final = logging.getLogger(__name__)


async def settle_pod(pod: Object, tools: Actuation) -> Settled:
    """Do what is decided about one Pod, as the API server just gave it. Raises `ApiError` for what may work later."""
    metadata = pod["metadata"]
    namespace, name = str(metadata["namespace"]), str(metadata["name"])
    if "deletionTimestamp" in metadata or (pod.get("status") or {}).get("phase") in _OVER:
        return Settled.DONE
    try:
        view = view_pod(pod)
    except PodMalformedError as error:
        log.warning("pod %s/%s: left as it is: %s", namespace, name, error)
        return Settled.DONE
    if not view.scheduling_gated and (not view.readiness_gated or _serves(pod)):
        return Settled.DONE
    decision = tools.judge(view, namespace)
    if decision.action is not Action.ALLOW:
        await tools.announcer.tell(pod, decision, action=decision.action)
        return Settled.WAITING
    return await _lift(pod, view, decision, tools)


async def _lift(pod: Object, view: PodView, decision: Decision, tools: Actuation) -> Settled:
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    path = PODS.path(namespace, name)
    try:
        # 1. The condition first: a Pod whose gate is off may be ready before a second write arrives.
        if view.readiness_gated and not _serves(pod):
            pod = await tools.client.apply(path, _serving(pod, decision, now=datetime.now(UTC)), subresource="status")
        # 2. Take the gate off exactly the Pod that was judged.
        if view.scheduling_gated:
            pod = await take_gate_off(tools.client, pod)
    except NotFound:
        return Settled.DONE
    except (Conflict, Invalid) as error:
        log.info("pod %s/%s: changed while it was judged, looked at again: %s", namespace, name, error)
        return Settled.CHANGED
    log.info("pod %s/%s: lifted (%s)", namespace, name, decision.reason)
    await tools.announcer.tell(pod, decision, action="Lift")
    return Settled.DONE


async def take_gate_off(client: ApiClient, pod: Object) -> Object:
    """Take our scheduling gate off exactly this Pod, as it was judged. Raises `Conflict` when it changed meanwhile, and other `ApiError`."""
    gates = [gate["name"] for gate in pod["spec"].get("schedulingGates") or ()]
    if SCHEDULING_GATE not in gates:
        raise Conflict(409, "NotGated", f"pod {pod['metadata']['name']} has no scheduling gate {SCHEDULING_GATE} any more")
    at = gates.index(SCHEDULING_GATE)
    path = PODS.path(pod["metadata"]["namespace"], pod["metadata"]["name"])
    return await client.patch_json(path, [*same_object(pod), {"op": "remove", "path": f"/spec/schedulingGates/{at}"}])


def _serves(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(condition.get("type") == READINESS_GATE and condition.get("status") == "True" for condition in conditions)


def _serving(pod: Object, decision: Decision, *, now: datetime) -> Object:
    """The one condition that is ours, bound to this very Pod: server-side apply leaves every other alone."""
    condition = {
        "type": READINESS_GATE,
        "status": "True",
        "reason": str(decision.reason),
        "message": decision.message,
        "lastTransitionTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    metadata = {field: pod["metadata"][field] for field in ("namespace", "name", "uid", "resourceVersion")}
    return {"apiVersion": PODS.api_version, "kind": PODS.kind, "metadata": metadata, "status": {"conditions": [condition]}}
