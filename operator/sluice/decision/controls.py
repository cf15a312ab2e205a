"""The requirement of type RuntimeControls: filters and logging run beside the model, in every Pod of the release.

It is checked twice. The verdict looks at the release: a Pod may run no image that its release does not list, so a release that lists none of the images that
policy accepts could never run one. The gate looks at the Pod, once nothing is added to it any more: injectors may bring these containers.

A container counts when it lives as long as the model: an ordinary one, or a sidecar among the init containers. What it does with what it sees is for whoever
vouches for its image; how long logs are kept is what the Pod says of the system that keeps them.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from sluice.api.durations import parse_duration
from sluice.api.names import LOG_RETENTION_ANNOTATION
from sluice.api.release import ArtifactType, Outcome
from sluice.decision.reasons import Reason

if TYPE_CHECKING:
    from sluice.api.controls import Control
    from sluice.decision.model import Asked, Case, Result, Verdict
    from sluice.decision.pod import PodView

_DURATION: Final = re.compile(r"([0-9]{1,5}[dhms]){1,8}")
_SHOWN: Final = 4


class ControlProblem(NamedTuple):
    """What a Pod lacks."""

    message: str
    remedy: str


def check_runtime_controls(asked: Asked, case: Case) -> Result:
    """Check a requirement of type RuntimeControls, as far as a release goes.

    Raises ValueError: the requirement lacks what the API server demands of it.
    """
    if not asked.requirement.controls:
        raise ValueError("type RuntimeControls needs controls")
    listed = {artifact.digest: artifact.name for artifact in case.release.spec.artifacts if artifact.type is ArtifactType.IMAGE}
    runs = []
    for control in asked.requirement.controls:
        names = [listed[digest] for digest in control.images if digest in listed]
        if not names:
            return asked.result(
                Outcome.FAILED, Reason.ControlMissing,
                f"{control.type}: the release lists no image that policy {asked.policy.name} accepts ({_images(control)})",
                remedy="apply a new ModelRelease that lists one of these as an artifact of type Image",
            )  # fmt: skip
        runs.append(f"{control.type} ({', '.join(names)})")
    listed_all = asked.result(Outcome.SATISFIED, Reason.ControlsListed, f"every Pod of the release has to run {', '.join(runs)}")
    return replace(listed_all, controls=tuple(asked.requirement.controls))


def control_problem(pod: PodView, verdict: Verdict) -> ControlProblem | None:
    """Say which control does not run in a Pod to which nothing is added any more; None when all do, or none is asked for."""
    digests = {image.path: image.digest for image in pod.images}
    lasting = {digests.get(container.image_path) for container in pod.containers if container.field == "containers" or container.sidecar}
    # What was waived need not run.
    for control in (each for result in verdict.results if result.outcome is Outcome.SATISFIED for each in result.controls):
        if not lasting & set(control.images):
            return ControlProblem(
                f"no container that lasts runs {control.type}: policy accepts {_images(control)}",
                "add it to the Pod template, as a container or as a sidecar (an init container with restartPolicy: Always)",
            )
        if control.retention is not None and not _kept(pod.log_retention, control.retention):
            return ControlProblem(
                f"the annotation {LOG_RETENTION_ANNOTATION} is {pod.log_retention or 'not set'}; policy asks that logs are kept for {control.retention}",
                f"keep logs so long, and say so in the Pod template: {LOG_RETENTION_ANNOTATION}: {control.retention}",
            )
    return None


def _kept(said: str | None, asked: str) -> bool:
    # The annotation is a tenant's text: what is no duration keeps nothing.
    return isinstance(said, str) and _DURATION.fullmatch(said) is not None and parse_duration(said) >= parse_duration(asked)


def _images(control: Control) -> str:
    more = f" and {len(control.images) - _SHOWN} more" if len(control.images) > _SHOWN else ""
    return ", ".join(control.images[:_SHOWN]) + more
