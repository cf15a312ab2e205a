"""Scratch namespaces: where a drill may be done beside the namespace of its release.

The platform team prepares one, with the Secrets, claims and service accounts that the templates name, and labels it with the namespace that it is for. It is
the scratch namespace that has to say so: a drill runs the images of a release with whatever lies there.

Pods of a drill there name a release of another namespace. Which one they mean is believed only as far as the label of the namespace goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sluice.api.names import GOVERN_LABEL, SCRATCH_LABEL, STAGE_LABEL
from sluice.decision.drill_reasons import DrillReason

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sluice.decision.gate import Namespace
    from sluice.decision.model import Release
    from sluice.decision.pod import PodView


@dataclass(frozen=True, slots=True, kw_only=True)
class ScratchProblem:
    """Why a drill cannot be done in a scratch namespace."""

    reason: DrillReason
    message: str


def is_scratch_for(namespace: Namespace, home: str) -> bool:
    """Whether a namespace says that it is scratch for `home`. None is for itself."""
    return namespace.labels.get(SCRATCH_LABEL) == home != namespace.name


def home_of(pod: PodView, namespace: Namespace) -> str:
    """The namespace of the release that a Pod in `namespace` names: this one, but for Pods of drills for which it is scratch."""
    home = pod.drill_namespace
    return home if home is not None and pod.drill is not None and is_scratch_for(namespace, home) else namespace.name


def find_scratch(home: str, namespaces: Iterable[Namespace], releases: Sequence[Release]) -> Namespace | ScratchProblem:
    """Find the scratch namespace for drills of `home` in which both releases of a drill may run; of several the first by name.

    Raises nothing: when there is none, the problem is that of the one that comes closest.
    """
    label = f"{SCRATCH_LABEL}: {home}"
    candidates = sorted((item for item in namespaces if is_scratch_for(item, home)), key=lambda item: item.name)
    governed = [item for item in candidates if item.governed]
    for item in governed:
        if all(item.labels.get(STAGE_LABEL) in release.spec.stages for release in releases):
            return item
    if governed:
        first = governed[0]
        release = next(release for release in releases if first.labels.get(STAGE_LABEL) not in release.spec.stages)
        message = (
            f"namespace {first.name} ({label}) has {STAGE_LABEL}: {first.labels.get(STAGE_LABEL) or '(no label)'}, and {release.name} is for"
            f" {', '.join(release.spec.stages)}; ask the platform team for another label"
        )
        return ScratchProblem(reason=DrillReason.ScratchStageNotPermitted, message=message)
    if candidates:
        message = f'namespace {candidates[0].name} ({label}) is not governed; ask the platform team to label it {GOVERN_LABEL}: "true"'
        return ScratchProblem(reason=DrillReason.ScratchNotGoverned, message=message)
    message = f"no other namespace has the label {label}; ask the platform team to prepare one, or set spec.place: OwnNamespace"
    return ScratchProblem(reason=DrillReason.ScratchNotFound, message=message)
