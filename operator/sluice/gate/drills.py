"""Drills: whoever may make a `ReleaseDrill` may, but its Pods and its Service are the controller's.

A Pod with the label of a drill is let in though its release may not serve yet, so nobody else may write that label. The controller, in turn, makes no
Service but those of drills: one that selects the Pods of a team would be a way to their traffic.

In a scratch namespace the Service of a drill says whose it is by a label, and owns the rest, so that label is the controller's too. What belongs to a drill of
another namespace is made only where the namespace itself says that it is scratch for that one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sluice.api.names import DRILL_LABEL, DRILL_NAMESPACE_LABEL, DRILL_ROLE_LABEL, DRILL_UID_LABEL, GOVERN_LABEL, SCRATCH_LABEL
from sluice.gate.pods import EVERY_WAY_TO_CHANGE_A_POD
from sluice.gate.policy import CREATE, DELETE, OPTED_IN, UPDATE, Installation, Manifest, Matches, Rule, governed, validating

_LABELS: Final = (DRILL_LABEL, DRILL_ROLE_LABEL, DRILL_NAMESPACE_LABEL)
_HOME: Final = f"object.?metadata.?labels['{DRILL_NAMESPACE_LABEL}'].orValue('')"
_PERMITTED: Final = f"{_HOME} == '' || {_HOME} == namespaceObject.?metadata.?labels['{SCRATCH_LABEL}'].orValue('')"
"""CEL: the object is of a drill of this namespace, or of one for which this is scratch."""
_ELSEWHERE: Final = f"denied by sluice: this namespace is not scratch for the one that the label {DRILL_NAMESPACE_LABEL} names; see its label {SCRATCH_LABEL}"


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
        variables={"now": _all("object"), "was": f"oldObject == null ? {['' for _ in _LABELS]} : {_all('oldObject')}"},
        rules=[
            Rule(
                expression=f"{installation.by_controller} || variables.now == variables.was",
                message=f"denied by sluice: the labels {', '.join(_LABELS)} are set by the controller only; leave them out",
            ),
            Rule(expression=f"request.operation != 'CREATE' || {_PERMITTED}", message=_ELSEWHERE),
        ],
    )


def guard_scratch_services(installation: Installation) -> list[Manifest]:
    """Refuse Services that claim to own what a drill has made in a scratch namespace."""
    labels = (*_LABELS, DRILL_UID_LABEL)
    return validating(
        "sluice-guard-scratch-services",
        why="Services of drills in scratch namespaces are made by the controller, and stay as they are.",
        matches=Matches(group="", version="v1", resources=["services"], operations=(*CREATE, *UPDATE), namespaces=governed(installation)),
        conditions={
            "of-a-drill": f"'{DRILL_UID_LABEL}' in object.?metadata.?labels.orValue({{}})"
            f"\n  || (oldObject != null && '{DRILL_UID_LABEL}' in oldObject.?metadata.?labels.orValue({{}}))"
        },
        variables={"now": _all("object", labels), "was": f"oldObject == null ? {['' for _ in labels]} : {_all('oldObject', labels)}"},
        rules=[
            Rule(
                expression=f"{installation.by_controller}\n  || (oldObject != null && variables.now == variables.was && object.spec == oldObject.spec)",
                message=f"denied by sluice: services with the label {DRILL_UID_LABEL} are made and changed by the controller only",
            ),
            Rule(expression=f"request.operation != 'CREATE' || {_PERMITTED}", message=_ELSEWHERE),
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


def _all(path: str, labels: Sequence[str] = _LABELS) -> str:
    """CEL: these labels of the object at `path`, empty where it has none."""
    return "[" + ", ".join(f"{path}.?metadata.?labels['{label}'].orValue('')" for label in labels) + "]"
