"""Weights on storage that is not content-addressed: what a Pod has to do before it loads them.

A digest in an image reference is checked by the node. A bucket or a volume checks nothing, so its files are checked where they are loaded: an init container
with the image of Sluice itself compares every file with the signed list whose digest the release names, before the server starts. The webhook adds it; here
is what it must look like, and whether a final Pod has exactly it. What the author of a Pod writes cannot relax that: neither which volume is looked at nor
what is looked for comes from the Pod, and a container that only bears the name is no check.

Which volume holds the weights follows from where the release says that they are:

- `pvc://CLAIM/PATH`: every volume with this claim; whoever mounts one mounts PATH in it (`subPath`), as KServe does.
- anything else with a scheme (`s3://`, `gs://`, `hf://`, `https://`, …): the one volume of the Pod itself (emptyDir, ephemeral) that an init container fills
  and a container reads.

From the moment of the check on, the volume must be read-only for everybody in the Pod. Limits: another Pod that mounts the same claim can still write to it, a
server that is told to load from elsewhere is not noticed, and one set of weights for each kind of place is all that can be told apart.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from sluice.api.names import VERIFIER_PREFIX
from sluice.decision.model import MODELS, carrier
from sluice.decision.reasons import Reason

if TYPE_CHECKING:
    from sluice.decision.model import Release
    from sluice.decision.pod import Container, Mount, PodView

FOLDER: Final = "/sluice/weights"
MANIFEST_FOLDER: Final = "/sluice/manifest"
BUNDLE_KEY: Final = "bundle.json"
NOBODY: Final = 65532
_MARK: Final = 12
_PINNED: Final = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")
_TOKEN_FOLDER: Final = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - where the API server mounts it
_SET_BY_OTHERS: Final = frozenset({"resources", "imagePullPolicy", "terminationMessagePath", "terminationMessagePolicy"})
"""What the API server fills in, and quotas adjust: nothing that changes what is checked."""

Object = dict[str, Any]


def pinned(image: str) -> str:
    """Take the image that checks weights. Raises ValueError for one that is not named by digest: it could become another one."""
    if image and not _PINNED.fullmatch(image):
        raise ValueError(f"--verifier-image is {image[:200]!r}; name the image by digest, REPOSITORY@sha256:…")
    return image


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWeights:
    """Weights or an adapter that no manifest digest binds: `claim` and `path` for a volume that outlives Pods, None for what each Pod fetches."""

    release: str
    name: str
    digest: str
    uri: str
    claim: str | None = None
    path: str = ""

    @property
    def mark(self) -> str:
        """What the names of all that is made for it end in."""
        return hashlib.sha256(f"{self.release}/{self.name}/{self.digest}".encode()).hexdigest()[:_MARK]

    @property
    def container(self) -> str:
        """Name of the init container."""
        return f"{VERIFIER_PREFIX}{self.mark}"

    @property
    def manifest(self) -> str:
        """Name of the ConfigMap with the signed list, and of the volume."""
        return f"sluice-manifest-{self.mark}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One init container that a Pod must have: what it checks, in which volume."""

    weights: StoredWeights
    volume: str
    image: str
    user: int
    """As who reads the weights: whom the files let read them is the business of that Pod."""
    skip_lost_found: bool = False
    """Pass over `lost+found`, at the top of a volume, which only root may read: nobody who loads from this volume is root."""

    def container(self) -> Object:
        """The container, as the webhook adds it."""
        folder = f"{FOLDER}/{self.weights.path}".rstrip("/")
        return {
            "name": self.weights.container,
            "image": self.image,
            "args": [
                "verify-weights", *(["--skip-lost-found"] if self.skip_lost_found else []),
                "--bundle-file", f"{MANIFEST_FOLDER}/{BUNDLE_KEY}", "--digest", self.weights.digest, folder,
            ],
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
            "securityContext": {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"}, "runAsUser": self.user, "runAsNonRoot": self.user != 0,
            },
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "volumeMounts": [
                {"name": self.volume, "mountPath": FOLDER, "readOnly": True},
                {"name": self.weights.manifest, "mountPath": MANIFEST_FOLDER, "readOnly": True},
            ],
        }  # fmt: skip

    def is_exactly(self, container: Mapping[str, Any]) -> bool:
        """Whether a container of a Pod is the one, apart from what the API server fills in."""
        wanted = {name: value for name, value in self.container().items() if name not in _SET_BY_OTHERS}
        mounts = [mount for mount in container.get("volumeMounts") or () if mount.get("mountPath") != _TOKEN_FOLDER]
        there = {name: value for name, value in container.items() if name not in _SET_BY_OTHERS and value not in (None, [], {})}
        return {**there, "volumeMounts": mounts} == wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsProblem:
    """Why the weights of a Pod are not checked before they are loaded, or could change afterwards."""

    reason: Reason
    message: str
    remedy: str


def stored_weights(release: Release) -> tuple[StoredWeights, ...]:
    """The weights and adapters of a release that lie on storage which is not content-addressed, by what their `uri` says."""
    found = []
    for artifact in release.spec.artifacts:
        scheme, separator, rest = (artifact.uri or "").partition("://")
        if artifact.type not in MODELS or not separator or scheme == "oci" or carrier(artifact) is not None:
            continue
        claim, _, path = rest.partition("/")
        place = {"claim": claim, "path": path.strip("/")} if scheme == "pvc" else {}
        found.append(StoredWeights(release=release.name, name=artifact.name, digest=artifact.digest, uri=artifact.uri or "", **place))
    return tuple(found)


def checks_for(pod: PodView, release: Release, image: str) -> tuple[Check, ...] | WeightsProblem:
    """What a Pod of a release must check, and where; or why that cannot be told. `image` is the verifier's, by digest."""
    stored = stored_weights(release)
    if stored and not image:
        return WeightsProblem(
            reason=Reason.VerifierMissing, message="the weights have to be checked where they are loaded, and no image is set that does it",
            remedy="ask the platform team to start Sluice with --verifier-image (its chart does)",
        )  # fmt: skip
    checks: list[Check] = []
    for weights in stored:
        volume = _volume_of(pod, weights)
        if isinstance(volume, WeightsProblem):
            return volume
        if weights.claim is None and any(check.volume == volume for check in checks):
            return _not_mounted(weights, "another artifact of the release comes from such a place, too, and the two cannot be told apart")
        skip = not weights.path and _nobody_is_root(pod, weights, volume)
        checks.append(Check(weights=weights, volume=volume, image=image, user=_reader(pod, volume), skip_lost_found=skip))
    return tuple(checks)


def weights_problem(pod: PodView, release: Release, image: str) -> WeightsProblem | None:
    """Say what is wrong with a final Pod; None when its weights are checked before anything loads them, and cannot be changed by it afterwards."""
    checks = checks_for(pod, release, image)
    if isinstance(checks, WeightsProblem):
        return checks
    for check in checks:
        at = next((index for index, container in enumerate(pod.containers) if _is_check(check, container)), None)
        if at is None:
            return WeightsProblem(
                reason=Reason.WeightsUnverified,
                message=f"the weights at {check.weights.uri} are not checked before they are loaded: {check.weights.container} is missing or changed",
                remedy="delete the Pod, its owner makes another one (the webhook of Sluice adds the container); do not write the container yourself",
            )  # fmt: skip
        if problem := _changeable(pod, check, at):
            return problem
    return None


def checked_images(pod: PodView, release: Release, image: str) -> frozenset[str]:
    """Paths of images in the Pod that are those of its checks, or will be: they belong to Sluice, and not to the release."""
    checks = checks_for(pod, release, image)
    if isinstance(checks, WeightsProblem):
        return frozenset()
    if not pod.final and checks:
        return frozenset(container.image_path for container in pod.containers if container.raw is not None)
    return frozenset(container.image_path for check in checks for container in pod.containers if _is_check(check, container))


def _is_check(check: Check, container: Container) -> bool:
    return container.field == "initContainers" and container.raw is not None and check.is_exactly(container.raw)


def _volume_of(pod: PodView, weights: StoredWeights) -> str | WeightsProblem:
    if weights.claim is not None:
        if ".." in PurePosixPath(weights.path).parts or not weights.claim:
            return _not_mounted(weights, "that is no claim and no path in it")
        volumes = [volume.name for volume in pod.volumes if volume.claim == weights.claim]
        return volumes[0] if volumes else _not_mounted(weights, f"no volume of the Pod is of claim {weights.claim}")
    filled = [volume.name for volume in pod.volumes if volume.local and _is_filled(pod, volume.name)]
    if len(filled) != 1:
        found = f"volumes {', '.join(filled[:5])} could all be meant" if filled else "no volume of the Pod is filled by an init container and then read"
        return _not_mounted(weights, found)
    return filled[0]


def _reader(pod: PodView, volume: str) -> int:
    readers = (container for container in pod.containers if container.field == "containers" and any(_mounts(container, volume)))
    return next((container.user for container in readers if container.user is not None), NOBODY)


def _nobody_is_root(pod: PodView, weights: StoredWeights, volume: str) -> bool:
    """Whether everybody who could load from the volume is said not to be root. Who attaches a debugging container later changes nothing about the check."""
    volumes = _volumes(pod, weights, volume)
    loads = (
        container
        for container in pod.containers
        if container.field != "ephemeralContainers" and container.raw is None and not (weights.claim is None and _comes_first(container))
    )
    return all(container.never_root for container in loads if any(True for name in volumes for _ in _mounts(container, name)))


def _is_filled(pod: PodView, volume: str) -> bool:
    written = any(not mount.read_only for container in pod.containers if _comes_first(container) for mount in _mounts(container, volume))
    read = any(True for container in pod.containers if container.field == "containers" for _ in _mounts(container, volume))
    return written and read


def _changeable(pod: PodView, check: Check, at: int) -> WeightsProblem | None:
    """Who could change the files once they were checked, or reads others of the same volume."""
    weights = check.weights
    volumes = _volumes(pod, weights, check.volume)
    locked = {volume.name for volume in pod.volumes if volume.read_only}
    for index, container in enumerate(pod.containers):
        # Init containers that ended before the check are what fetched the weights.
        if index == at or (weights.claim is None and index < at and _comes_first(container)):
            continue
        for mount in (mount for volume in volumes for mount in _mounts(container, volume)):
            if mount.device or not (mount.read_only or mount.volume in locked):
                return WeightsProblem(
                    reason=Reason.WeightsWritable, message=f"{container.path} mounts volume {mount.volume} so that it could change weights that were checked",
                    remedy="set readOnly: true on this volumeMount",
                )  # fmt: skip
            if weights.path and not f"{mount.sub_path}/".startswith(f"{weights.path}/"):
                return WeightsProblem(
                    reason=Reason.WeightsNotMounted,
                    message=f"{container.path} mounts {mount.sub_path or 'all'} of volume {mount.volume}, and {weights.path} alone is checked",
                    remedy=f"set subPath: {weights.path} on this volumeMount",
                )  # fmt: skip
    return None


def _volumes(pod: PodView, weights: StoredWeights, volume: str) -> set[str]:
    """Volumes that show the same files."""
    return {other.name for other in pod.volumes if weights.claim is not None and other.claim == weights.claim} or {volume}


def _comes_first(container: Container) -> bool:
    return container.field == "initContainers" and not container.sidecar and not container.name.startswith(VERIFIER_PREFIX)


def _mounts(container: Container, volume: str) -> Iterator[Mount]:
    return (mount for mount in container.mounts if mount.volume == volume)


def _not_mounted(weights: StoredWeights, why: str) -> WeightsProblem:
    return WeightsProblem(
        reason=Reason.WeightsNotMounted, message=f"artifact {weights.name} is at {weights.uri}, and {why}",
        remedy="see docs/model-artifacts.md: mount the claim, or let one init container fetch the weights into one emptyDir that the server reads",
    )  # fmt: skip
