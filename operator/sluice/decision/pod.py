"""What the gate looks at in a Pod.

Raw JSON in, because admission must judge exactly what the API server stores, fields unknown to any client library included.
Init, ephemeral and ordinary containers and image volumes count alike: each runs or carries bytes.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sluice.api.names import (
    CANARY_LABEL,
    CANARY_ROLE_LABEL,
    DRILL_LABEL,
    DRILL_NAMESPACE_LABEL,
    DRILL_ROLE_LABEL,
    LOG_RETENTION_ANNOTATION,
    READINESS_GATE,
    RELEASE_LABEL,
    SCHEDULING_GATE,
    VERIFIER_PREFIX,
)
from sluice.decision.credentials import Credential, credentials_of

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
class Mount:
    """One volume as a container sees it. `device`: as a raw block device."""

    volume: str
    read_only: bool = False
    sub_path: str = ""
    device: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container: what it mounts, and whether it ends before the next one starts. `raw` is all of one that might check weights."""

    field: str
    name: str
    path: str
    mounts: tuple[Mount, ...] = ()
    sidecar: bool = False
    user: int | None = None
    """Numeric user that the Pod runs it as; None: what the image says."""
    never_root: bool = False
    """Whether the Pod says so: by that user, or by `runAsNonRoot`, which the node enforces."""
    raw: Mapping[str, Any] | None = None

    @property
    def image_path(self) -> str:
        """Where its image stands."""
        return f"{self.path}.image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """One volume: of a claim, or of the Pod itself (`local`), or something else."""

    name: str
    claim: str | None = None
    read_only: bool = False
    local: bool = False


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
    drill_namespace: str | None = None
    """The namespace of that ReleaseDrill and of the release, on a Pod in a scratch namespace."""
    containers: tuple[Container, ...] = ()
    """In the order in which they start."""
    volumes: tuple[Volume, ...] = ()
    credentials: tuple[Credential, ...] = ()
    """Secrets and tokens that it brings into its containers."""
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """What NetworkPolicies select it by."""
    log_retention: str | None = None
    """How long what it logs is kept, as its annotation says."""
    final: bool = True
    """Whether nothing is added any more: not so for the template of an owner, and for a Pod before all have mutated it."""


def view_template(pod: Mapping[str, Any]) -> PodView:
    """Read a Pod to which something may still be added, such as the template of an owner. Raises PodMalformedError."""
    return replace(view_pod(pod), final=False)


def view_pod(pod: Mapping[str, Any]) -> PodView:
    """Read a Pod.

    Raises:
        PodMalformedError: a part that the gate judges has another type than the API defines.
    """
    try:
        metadata, spec = pod.get("metadata") or {}, pod["spec"]
        labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
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
            drill_namespace=labels.get(DRILL_NAMESPACE_LABEL),
            credentials=tuple(credentials_of(spec, _CONTAINERS)),
            labels=_labels(labels),
            log_retention=annotations.get(LOG_RETENTION_ANNOTATION),
            containers=tuple(_container(field, container, spec) for field in _CONTAINERS for container in spec.get(field) or ()),
            volumes=tuple(_volume(volume) for volume in spec.get("volumes") or ()),
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


def _container(field: str, container: Mapping[str, Any], spec: Mapping[str, Any]) -> Container:
    init = field == "initContainers"
    mounts = [Mount(volume=mount["name"], read_only=mount.get("readOnly") is True, sub_path=_sub_path(mount)) for mount in container.get("volumeMounts") or ()]
    devices = [Mount(volume=device["name"], device=True) for device in container.get("volumeDevices") or ()]
    contexts = [part.get("securityContext") or {} for part in (container, spec)]
    user, non_root = (next((value for context in contexts if (value := context.get(name)) is not None), None) for name in ("runAsUser", "runAsNonRoot"))
    return Container(
        field=field, name=container["name"], path=f"spec.{field}[{container['name']}]", mounts=(*mounts, *devices),
        user=user, never_root=user != 0 if user is not None else non_root is True, sidecar=init and container.get("restartPolicy") == "Always",
        raw=container if init and container["name"].startswith(VERIFIER_PREFIX) else None,
    )  # fmt: skip


def _sub_path(mount: Mapping[str, Any]) -> str:
    """What of the volume is mounted. What an expression comes to is known on the node only, so it stands for itself, and is nothing that anybody asks for."""
    return str(mount.get("subPath") or mount.get("subPathExpr") or "").strip("/")


def _labels(labels: Mapping[str, Any]) -> Mapping[str, str]:
    """Read labels. Raises TypeError: one of them is no text."""
    if not all(isinstance(text, str) for pair in labels.items() for text in pair):
        raise TypeError("a label is no text")
    return dict(labels)


def _volume(volume: Mapping[str, Any]) -> Volume:
    claim = volume.get("persistentVolumeClaim") or {}
    local = volume.get("emptyDir") is not None or volume.get("ephemeral") is not None
    return Volume(name=volume["name"], claim=claim.get("claimName"), read_only=claim.get("readOnly") is True, local=local)
