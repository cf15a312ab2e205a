"""Users meet a candidate, or do not any more.

`Router` is what a live share needs of whatever sends requests somewhere. `PodRouter` is the one for plain Services: one more endpoint, by the readiness
condition of the Pod, so the share is that of Pods among Pods. What has weights (HTTPRoute, Argo Rollouts, KServe) can give finer ones behind the same methods.

Limit: a Service whose clients choose endpoints themselves (headless, sticky sessions, subsetting) may give an endpoint more or less than its part.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, Protocol

from sluice.api.base import parse_time
from sluice.api.names import CANARY_LABEL, READINESS_GATE
from sluice.cluster.client import ApiClient, Object
from sluice.cluster.errors import NotFound
from sluice.cluster.resource import PODS, SERVICES

_MESSAGE_LIMIT: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Who else answers users where a candidate would: the endpoints of the Service in which it would be the largest part. `service` is empty without one."""

    service: str = ""
    others: int = 0

    @property
    def share(self) -> Decimal:
        """The part of the endpoints that one Pod of the candidate is: all of them where nobody else serves, none where no Service knows it."""
        return (Decimal(1) / (1 + self.others)).quantize(Decimal("0.0001")) if self.service else Decimal(0)

    def fits(self, share: Decimal) -> bool:
        """Tell whether one Pod is no more than `share`, and something at all."""
        return bool(self.service) and share * (1 + self.others) >= 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What users have to do with a Pod, as the API server tells it."""

    exposed: bool
    """Whether they are meant to meet it."""
    reason: str = ""
    """Of the last change."""
    message: str = ""
    since: datetime | None = None
    """When it last changed; None before the first time."""


class Router(Protocol):
    """Sends a part of what users ask to a candidate."""

    async def room(self, pod: Object) -> Room:
        """Find out how large a part the candidate would be now. Raises `ApiError`."""

    async def expose(self, pod: Object, *, reason: str, message: str) -> None:
        """Let users meet exactly this Pod, as it was judged. Raises `Conflict` when it changed meanwhile, and other `ApiError`."""

    async def withdraw(self, pod: Object, *, reason: str, message: str) -> None:
        """Let users meet it no more, whatever else changed; one that is gone is met by nobody. Raises `ApiError`."""

    def exposure(self, pod: Object) -> Exposure:
        """Read how things stand."""


class PodRouter:
    """A `Router` for Services that select Pods by label."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def room(self, pod: Object) -> Room:
        """Count, for each Service that selects the candidate, the ready Pods that are none of its run."""
        namespace, labels = pod["metadata"]["namespace"], pod["metadata"].get("labels") or {}
        rooms = []
        for service in await self._client.list(SERVICES, namespace):
            selector = service["spec"].get("selector") or {}
            if selector and selector.items() <= labels.items():
                text = ",".join(f"{name}={value}" for name, value in sorted(selector.items()))
                pods = await self._client.list(PODS, namespace, label_selector=text)
                others = sum(1 for other in pods if is_ready(other) and (other["metadata"].get("labels") or {}).get(CANARY_LABEL) != labels.get(CANARY_LABEL))
                rooms.append(Room(service=service["metadata"]["name"], others=others))
        return min(rooms, key=lambda room: (room.others, room.service), default=Room())

    async def expose(self, pod: Object, *, reason: str, message: str) -> None:
        """Set the readiness condition True."""
        await self._set(pod, "True", reason, message, bound_to=("namespace", "name", "uid", "resourceVersion"))

    async def withdraw(self, pod: Object, *, reason: str, message: str) -> None:
        """Set it False. Not bound to what the Pod was when it was read: it shall go, whatever it is by now."""
        try:
            await self._set(pod, "False", reason, message, bound_to=("namespace", "name", "uid"))
        except NotFound:
            return

    def exposure(self, pod: Object) -> Exposure:
        """Read the readiness condition."""
        ours = next((item for item in (pod.get("status") or {}).get("conditions") or () if item.get("type") == READINESS_GATE), None)
        if ours is None:
            return Exposure(exposed=False)
        return Exposure(
            exposed=ours.get("status") == "True",
            reason=str(ours.get("reason") or ""),
            message=str(ours.get("message") or ""),
            since=parse_time(ours["lastTransitionTime"]),
        )

    async def _set(self, pod: Object, status: str, reason: str, message: str, *, bound_to: tuple[str, ...]) -> None:
        condition = {
            "type": READINESS_GATE,
            "status": status,
            "reason": reason,
            "message": message[:_MESSAGE_LIMIT],
            "lastTransitionTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        metadata = {field: pod["metadata"][field] for field in bound_to}
        content = {"apiVersion": PODS.api_version, "kind": PODS.kind, "metadata": metadata, "status": {"conditions": [condition]}}
        await self._client.apply(PODS.path(metadata["namespace"], metadata["name"]), content, subresource="status")


def is_ready(pod: Object) -> bool:
    """Tell whether Services send requests to a Pod."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return "deletionTimestamp" not in pod["metadata"] and any(item.get("type") == "Ready" and item.get("status") == "True" for item in conditions)
