"""The controller itself: it may make Pods, Jobs and ReplicaSets in every namespace, since it cannot know where models will be, but only those that it is for.

RBAC cannot say this. Whoever gets hold of the controller's credentials could run anything under any service account; with these policies, only what belongs
to a canary run or a drill, or stands in for a Deployment, in a namespace that was opted in. It also ends Pods there that name a release: where that may serve
no more, an eviction alone could be kept waiting for ever by a disruption budget, and teams write those.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sluice.api.names import CANARY_LABEL, DRILL_LABEL, GOVERN_LABEL, RELEASE_LABEL, STAND_IN_LABEL
from sluice.gate.policy import CREATE, DELETE, OPTED_IN, Installation, Manifest, Matches, Rule, validating

_KINDS: Final = (
    ("", "pods", (CANARY_LABEL, DRILL_LABEL), (CANARY_LABEL, RELEASE_LABEL)), ("batch", "jobs", (CANARY_LABEL,), (CANARY_LABEL,)),
    ("apps", "replicasets", (STAND_IN_LABEL,), (STAND_IN_LABEL,)),
)  # fmt: skip
"""Group, resource, the labels of what it makes, and of what it deletes; of several one is enough."""


def _one_of(path: str, labels: Sequence[str]) -> str:
    """CEL: the object at `path` has one of these labels."""
    return " || ".join(f"'{label}' in {path}.?metadata.?labels.orValue({{}})" for label in labels)


def guard_controller(installation: Installation) -> list[Manifest]:
    """Refuse the controller workloads that are not of its own kind. What others do is not looked at."""
    governed = f"namespaceObject.?metadata.?labels['{GOVERN_LABEL}'].orValue('') == '{OPTED_IN}'"
    found: list[Manifest] = []
    for group, plural, made, deleted in _KINDS:
        makes, ends = _one_of("object", made), _one_of("oldObject", deleted)
        found += validating(
            f"sluice-guard-controller-{plural}",
            why=f"The controller makes and deletes {plural} that are its business only, and makes them in governed namespaces only.",
            matches=Matches(group=group, version="v1", resources=[plural], operations=(*CREATE, *DELETE)),
            conditions={"by-the-controller": installation.by_controller},
            rules=[
                Rule(
                    expression=f"""\
request.operation == 'CREATE'
  ? ({makes}) && {governed}
  : {ends}""",
                    message=(
                        f"denied by sluice: the controller makes {plural} with the label {' or '.join(made)} only, in governed namespaces,"
                        f" and deletes those with the label {' or '.join(deleted)} only"
                    ),
                )
            ],
        )
    return found
