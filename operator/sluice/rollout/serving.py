"""The Pods of a release that serve now: ready, and none of them part of a canary run or a drill."""

from __future__ import annotations

from sluice.api.names import FOR_USERS, RELEASE_LABEL
from sluice.cluster.client import ApiClient, Object
from sluice.cluster.resource import PODS
from sluice.rollout.canary_state import Stand, state_of
from sluice.rollout.owned import typed


async def serving_pods(client: ApiClient, namespace: str, release: str) -> list[Object]:
    """List them, the oldest first. The label is guarded by the API server: a Pod that has it is of this release, and was let in."""
    pods = [typed(pod, PODS) for pod in await client.list(PODS, namespace, label_selector=f"{RELEASE_LABEL}={release},{FOR_USERS}")]
    serving = [pod for pod in pods if state_of(pod, what="").stand is Stand.READY and is_ready(pod)]
    return sorted(serving, key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))


def url_of(address: str, port: int) -> str:
    """Write where a Pod is asked."""
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def is_ready(pod: Object) -> bool:
    """Tell whether Kubernetes calls a Pod ready, so that Services send users to it."""
    return any(item.get("type") == "Ready" and item.get("status") == "True" for item in (pod.get("status") or {}).get("conditions") or ())
