"""Drills: whoever may make a `ReleaseDrill` may, but its Pods and its Service are the controller's.

A Pod with the label of a drill is let in though its release may not serve yet, so nobody else may write that label. The controller, in turn, makes no
Service but those of drills: one that selects the Pods of a team would be a way to their traffic.
"""

from __future__ import annotations

from typing import Final

from sluice.api.names import DRILL_LABEL, DRILL_ROLE_LABEL, GOVERN_LABEL
from sluice.gate.pods import EVERY_WAY_TO_CHANGE_A_POD
from sluice.gate.policy import CREATE, DELETE, OPTED_IN, UPDATE, Installation, Manifest, Matches, Rule, governed, validating

_LABELS: Final = (DRILL_LABEL, DRILL_ROLE_LABEL)


def guard_drill_pods(installation: Installation) -> list[Manifest]:
    """Refuse Pods that claim to belong to a drill."""
    some = "\n  || ".join(
        f"'{label}' in object.?metadata.?labels.orValue({{}})\n  || (oldObject != null && '{label}' in oldObject.?metadata.?labels.orValue({{}}))"
        for label in _LABELS
    )
    return validating(
        "sluice-guard-drill-pods",
        why="Pods of a drill are made by the controller.",
        matches=Matches(group="", version="v1", resources=EVERY_WAY_TO_CHANGE_A_POD, operations=(*CREATE, *UPDATE), namespaces=governed(installation)),
        conditions={"of-a-drill": some},
        variables={"now": _both("object"), "was": f"oldObject == null ? ['', ''] : {_both('oldObject')}"},
        rules=[
            Rule(
                expression=f"{installation.by_controller} || variables.now == variables.was",
                message=f"denied by sluice: the labels {DRILL_LABEL} and {DRILL_ROLE_LABEL} are set by the controller only; leave them out",
            )
        ],
    )


def guard_drill_services(installation: Installation) -> list[Manifest]:
    """Refuse the controller every Service that is not of a drill and selects something else than its Pods. What others do is not looked at."""
    opted_in = f"namespaceObject.?metadata.?labels['{GOVERN_LABEL}'].orValue('') == '{OPTED_IN}'"
    of_a_drill = f"object.?metadata.?labels['{DRILL_LABEL}'].orValue('') != ''"
    selects = f"object.spec.?selector['{DRILL_LABEL}'].orValue('') == object.?metadata.?labels['{DRILL_LABEL}'].orValue('')"
    return validating(
        "sluice-guard-controller-services",
        why="The controller makes and deletes Services of drills only, and makes them in governed namespaces only.",
        matches=Matches(group="", version="v1", resources=["services"], operations=(*CREATE, *DELETE)),
        conditions={"by-the-controller": installation.by_controller},
        rules=[
            Rule(
                expression=f"""\
request.operation == 'CREATE'
  ? {of_a_drill} && {selects} && {opted_in}
  : '{DRILL_LABEL}' in oldObject.?metadata.?labels.orValue({{}})""",
                message=f"denied by sluice: the controller makes and deletes services of drills only, by the label {DRILL_LABEL}, in governed namespaces",
            )
        ],
    )


def _both(path: str) -> str:
    """CEL: both labels of the object at `path`, empty where it has none."""
    return "[" + ", ".join(f"{path}.?metadata.?labels['{label}'].orValue('')" for label in _LABELS) + "]"
