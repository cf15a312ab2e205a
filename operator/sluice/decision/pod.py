"""What the gate looks at in a Pod.

Raw JSON in, because admission must judge exactly what the API server stores, fields unknown to any client library included.
Init, ephemeral and ordinary containers and image volumes count alike: each runs or carries bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sluice.api.names import CANARY_LABEL, CANARY_ROLE_LABEL, DRILL_LABEL, DRILL_ROLE_LABEL, READINESS_GATE, RELEASE_LABEL, SCHEDULING_GATE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
_SHA256_REFERENCE = len("sha256:") + 64


class PodMalformedError(ValueError):
    """The Pod has not the form of a Pod; nothing can be said about it, so it is not let in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image reference and where in the Pod it stands."""

    path: str
    reference: str

    @property
    def digest(self) -> str | None:
        """The `sha256:…` digest that the reference pins, or None when it is named by tag."""
        _, at, digest = self.reference.rpartition("@")
        pinned = at and digest.startswith("sha256:") and len(digest) == _SHA256_REFERENCE
        return digest if pinned else None


@dataclass(frozen=True, slots=True, kw_only=True)
class PodView:
    """What the gate looks at in a Pod."""

    release: str | None
    images: tuple[Image, ...]
    service_account: str
    scheduling_gated: bool
    readiness_gated: bool
    canary_run: str | None = None
    """The CanaryRun that it belongs to; only the controller can make such a Pod."""
    canary_role: str | None = None
    drill: str | None = None
    """The ReleaseDrill that it belongs to; only the controller can make such a Pod."""
    drill_role: str | None = None


def view_pod(pod: Mapping[str, Any]) -> PodView:
    """Read a Pod, or the template of one.

    Raises:
        PodMalformedError: a part that the gate judges has another type than the API defines.
    """
    try:
        metadata, spec = pod.get("metadata") or {}, pod["spec"]
        labels = metadata.get("labels") or {}
        return PodView(
            release=labels.get(RELEASE_LABEL),
            images=tuple(_images(spec)),
            service_account=spec.get("serviceAccountName") or "default",
            scheduling_gated=any(gate["name"] == SCHEDULING_GATE for gate in spec.get("schedulingGates") or ()),
            readiness_gated=any(gate["conditionType"] == READINESS_GATE for gate in spec.get("readinessGates") or ()),
            canary_run=labels.get(CANARY_LABEL),
            canary_role=labels.get(CANARY_ROLE_LABEL),
            drill=labels.get(DRILL_LABEL),
            drill_role=labels.get(DRILL_ROLE_LABEL),
        )
    except (KeyError, TypeError, AttributeError) as error:
        message = f"not the form of a Pod: {type(error).__name__}: {error}"
        raise PodMalformedError(message) from error


def _images(spec: Mapping[str, Any]) -> Iterator[Image]:
    for field in _CONTAINERS:
        for container in spec.get(field) or ():
            yield Image(path=f"spec.{field}[{container['name']}].image", reference=str(container.get("image") or ""))
    for volume in spec.get("volumes") or ():
        if volume.get("image") is not None:
            yield Image(path=f"spec.volumes[{volume['name']}].image.reference", reference=str(volume["image"].get("reference") or ""))
