"""The controller itself: it may make Pods, Jobs and ReplicaSets in every namespace, since it cannot know where models will be, but only those that it is for.

RBAC cannot say this. Whoever gets hold of the controller's credentials could run anything under any service account; with these policies, only what belongs
to a canary run, or stands in for a Deployment, in a namespace that was opted in.
"""

from __future__ import annotations

from typing import Final

from sluice.api.names import CANARY_LABEL, GOVERN_LABEL, STAND_IN_LABEL
from sluice.gate.policy import CREATE, DELETE, OPTED_IN, Installation, Manifest, Matches, Rule, validating

_KINDS: Final = (("", "pods", CANARY_LABEL), ("batch", "jobs", CANARY_LABEL), ("apps", "replicasets", STAND_IN_LABEL))


def guard_controller(installation: Installation) -> list[Manifest]:
    """Refuse the controller workloads that are not of its own kind. What others do is not looked at."""
    governed = f"namespaceObject.?metadata.?labels['{GOVERN_LABEL}'].orValue('') == '{OPTED_IN}'"
    found: list[Manifest] = []
    for group, plural, label in _KINDS:
        found += validating(
            f"sluice-guard-controller-{plural}",
            why=f"The controller makes and deletes {plural} of its own only, and makes them in governed namespaces only.",
            matches=Matches(group=group, version="v1", resources=[plural], operations=(*CREATE, *DELETE)),
            conditions={"by-the-controller": installation.by_controller},
            rules=[
                Rule(
                    expression=f"""\
request.operation == 'CREATE'
  ? '{label}' in object.?metadata.?labels.orValue({{}}) && {governed}
  : '{label}' in oldObject.?metadata.?labels.orValue({{}})""",
                    message=f"denied by sluice: the controller makes and deletes {plural} with the label {label} only, in governed namespaces",
                )
            ],
        )
    return found
