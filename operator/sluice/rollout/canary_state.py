"""How far a Pod of a canary run is, from the Pod alone.

A candidate that cannot start is worse than the baseline, and is rolled back for good: so what the cluster did to it (no node had room, it was evicted or
deleted) is told apart from what it did itself (its container ends, again and again).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from sluice.api.base import parse_time
from sluice.cluster.client import Object

SCORER_CONTAINER: Final = "scorer"
"""The container of a Pod that scores which is ours."""
_ON_ITS_WAY: Final = ("ContainerCreating", "PodInitializing")
_MOUNT_SECONDS: Final = 20
"""More than it takes to mount what is there, also on a busy node."""
_CRASHES: Final = 4
"""Ends of one container after which nothing better is expected: the kubelet waits 80 s before the next start."""


class Stand(StrEnum):
    """How far a Pod is."""

    GONE = "Gone"
    """There is none, it was put an end to, or is on its way out."""
    WAITING = "Waiting"
    """Something of it has not started yet."""
    HOMELESS = "Homeless"
    """No node takes it, though nothing of ours holds it."""
    READY = "Ready"
    """Running, and each container ready: it can be asked. Whether it gets traffic is another question."""
    BROKEN = "Broken"
    """It does nothing but end and start again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodState:
    """How far a Pod is, and why, for people."""

    stand: Stand
    message: str
    address: str = ""
    """Its IP address, once it has one."""
    since: datetime | None = None
    """Since when it has been able to start, or no node has taken it; None while a gate holds it."""


def state_of(pod: Object | None, *, what: str) -> PodState:
    """Judge a Pod; `what` names it in the message (`the candidate Pod churn-2-1-candidate`)."""
    if pod is None or "deletionTimestamp" in pod["metadata"]:
        return PodState(stand=Stand.GONE, message=f"{what} is gone")
    status = pod.get("status") or {}
    conditions = {item.get("type"): item for item in status.get("conditions") or ()}
    if status.get("phase") in {"Failed", "Succeeded"}:
        # Pods of a Deployment restart their containers for ever: it was put an end to from outside.
        return PodState(stand=Stand.GONE, message=f"{what} was ended: {_words(status.get('reason'), status.get('message'))}")
    if "DisruptionTarget" in conditions:
        return PodState(stand=Stand.GONE, message=f"{what} is being taken away: {conditions['DisruptionTarget'].get('reason')}")
    scheduled = conditions.get("PodScheduled") or {}
    gated = not scheduled or scheduled.get("reason") == "SchedulingGated"
    stand, why = _stand(status, conditions, gated=gated)
    since = None if gated else parse_time(scheduled["lastTransitionTime"])
    return PodState(stand=stand, message=f"{what} {why}", address=str(status.get("podIP") or ""), since=since)


def ends_of(pod: Object) -> int:
    """Count how often containers of a Pod have ended. One that is not started again yet has ended once more than it was started anew."""
    status = pod.get("status") or {}
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return sum(int(container.get("restartCount") or 0) + ("running" not in (container.get("state") or {})) for container in containers)


def _stand(status: Object, conditions: Object, *, gated: bool) -> tuple[Stand, str]:
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    for container in containers:
        if int(container.get("restartCount") or 0) >= _CRASHES and not container.get("ready"):
            return Stand.BROKEN, f"does not start: container {container.get('name')} ended {container['restartCount']} times, {_last(container)}"
    if _true(conditions, "ContainersReady") and status.get("podIP"):
        return Stand.READY, "is ready"
    if not gated and not _true(conditions, "PodScheduled"):
        scheduled = conditions["PodScheduled"]
        return Stand.HOMELESS, f"finds no node: {_words(scheduled.get('reason'), scheduled.get('message'))}"
    waiting = next((words for container in containers if (words := _waiting(container))), "its containers are not ready")
    return Stand.WAITING, "waits to be let in" if gated else f"is not ready: {waiting}"


def _true(conditions: Object, type_: str) -> bool:
    return bool((conditions.get(type_) or {}).get("status") == "True")


def unstarted(pods: Iterable[Object], *, now: datetime) -> str:
    """Say what keeps a Pod from starting that is not only on its way (an image, or a Secret, that cannot be had); empty when nothing does."""
    for pod in pods:
        status = pod.get("status") or {}
        for container in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
            if ((container.get("state") or {}).get("waiting") or {}).get("reason") not in {None, *_ON_ITS_WAY}:
                return f"Pod {pod['metadata']['name']}: {_waiting(container)}"
        for container in status.get("initContainerStatuses") or ():
            # All of them are scorers of somebody's own, which are to run as long as the Pod; the kubelet shows their pauses between two starts as an end.
            if "terminated" in (container.get("state") or {}):
                image = next((each.get("image") for each in pod["spec"].get("initContainers") or () if each["name"] == container.get("name")), "")
                return f"Pod {pod['metadata']['name']}: container {container.get('name')} (image {image}) ends again and again, {_last(container)}"
        if seconds := _unmounted(status, now=now):
            wanted = [volume["secret"] for volume in pod["spec"].get("volumes") or () if "secret" in volume]
            secrets = [f"Secret {each['secretName']} with key {each['items'][0]['key']}" for each in wanted]
            what = f"is {' or '.join(secrets)} missing? " if secrets else ""
            return f"Pod {pod['metadata']['name']} has waited {seconds:.0f} s for what is mounted into it; {what}kubectl describe pod says"
    return ""


def _unmounted(status: Object, *, now: datetime) -> float:
    """Tell for how many seconds a Pod with a node has had no sandbox, which comes when all is mounted; 0: not for long. Events alone tell why."""
    conditions = {item.get("type"): item for item in status.get("conditions") or ()}
    ready = conditions.get("PodReadyToStartContainers") or {}
    if status.get("phase") != "Pending" or ready.get("status") != "False" or not _true(conditions, "PodScheduled"):
        return 0.0
    seconds = (now - parse_time(ready["lastTransitionTime"])).total_seconds()
    return seconds if seconds >= _MOUNT_SECONDS else 0.0


def _waiting(container: Object) -> str:
    state = (container.get("state") or {}).get("waiting") or {}
    return f"container {container.get('name')} waits: {_words(state.get('reason'), state.get('message'))}" if state else ""


def _last(container: Object) -> str:
    ended = (container.get("lastState") or {}).get("terminated") or (container.get("state") or {}).get("terminated") or {}
    return f"exit code {ended.get('exitCode')} ({ended.get('reason')})"


def _words(reason: object, message: object) -> str:
    """What the cluster says, shortened: a message may be as long as a program's last words."""
    return ": ".join(str(part)[:300] for part in (reason, message) if part) or "no reason given"
