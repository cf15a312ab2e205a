"""Pods: held on creation, and not changed behind the gate's back."""

from __future__ import annotations

from typing import Final

from sluice.api.names import READINESS_GATE, RELEASE_LABEL, SCHEDULING_GATE, STRICT_LABEL
from sluice.gate.policy import (
    CREATE,
    OPTED_IN,
    UPDATE,
    Installation,
    Manifest,
    Matches,
    Rule,
    governed,
    mutating,
    patch,
    release_named_by,
    validating,
)

# Labels can be written through the status, too. Images cannot, but one list is easier to keep whole than two.
EVERY_WAY_TO_CHANGE_A_POD: Final = ("pods", "pods/status", "pods/ephemeralcontainers", "pods/resize")

_NAMES_A_RELEASE: Final = f"{release_named_by('object')} != ''"


def _add(field: str, member: str, value: str) -> str:
    """CEL: the JSON patch that adds `{member: value}` to a list of the Pod's spec, unless it is there."""
    return f"""\
(!has(object.spec.{field})
  ? [JSONPatch{{op: 'add', path: '/spec/{field}', value: [{{'{member}': '{value}'}}]}}]
  : object.spec.{field}.exists(g, g.{member} == '{value}')
  ? []
  : [JSONPatch{{op: 'add', path: '/spec/{field}/-', value: {{'{member}': '{value}'}}}}])"""


# One patch for both, and no server-side apply: a Pod of 300 containers takes 25 ms longer, and would take 140.
_HOLD: Final = patch(f"{_add('schedulingGates', 'name', SCHEDULING_GATE)}\n+ {_add('readinessGates', 'conditionType', READINESS_GATE)}")


def hold_pods(installation: Installation) -> list[Manifest]:
    """Hold every Pod that names a release, and keep it out of traffic, until somebody who knows the release lets it go.

    A Pod that is created with `nodeName` would pass the scheduler by; the API server itself refuses one that has a scheduling gate.
    """
    return mutating(
        "sluice-hold-pods",
        why="Pods that name a release wait, unscheduled and out of traffic, until Sluice finds the release entitled.",
        matches=Matches(group="", version="v1", resources=["pods"], operations=CREATE, namespaces=governed(installation)),
        conditions={"names-a-release": _NAMES_A_RELEASE},
        mutations=[_HOLD],
    )


def hold_strict_pods(installation: Installation) -> list[Manifest]:
    """Hold all other Pods of strict namespaces, until Sluice has looked at them."""
    strict = governed(installation, {STRICT_LABEL: OPTED_IN})
    return mutating(
        "sluice-hold-strict-pods",
        why="In strict namespaces, Pods that name no release wait, too, until Sluice has looked at them.",
        matches=Matches(group="", version="v1", resources=["pods"], operations=CREATE, namespaces=strict),
        conditions={"names-no-release": f"!({_NAMES_A_RELEASE})"},
        mutations=[_HOLD],
    )


def guard_pods(installation: Installation) -> list[Manifest]:
    """Keep governed Pods as they were judged: gate, images, release, condition, and no foreign code by way of a debugging container."""
    gated = f"spec.?schedulingGates.orValue([]).exists(g, g.name == '{SCHEDULING_GATE}')"
    serving = f"?status.?conditions.orValue([]).filter(c, c.type == '{READINESS_GATE}').map(c, [c.status, c.?reason.orValue(''), c.?message.orValue('')])"
    known = "\n  + ".join(f"oldObject.spec.?{kind}.orValue([]).map(c, c.image)" for kind in ("containers", "initContainers", "ephemeralContainers"))
    strict = f"namespaceObject.?metadata.?labels['{STRICT_LABEL}'].orValue('') == '{OPTED_IN}'"
    return validating(
        "sluice-guard-pods",
        why="Only the controller lifts the gate and sets the condition; images and release of governed Pods do not change.",
        matches=Matches(group="", version="v1", resources=EVERY_WAY_TO_CHANGE_A_POD, operations=UPDATE, namespaces=governed(installation)),
        variables={"release": release_named_by("oldObject"), "known": known},
        rules=[
            Rule(
                expression=f"{installation.by_controller} || !oldObject.{gated} || object.{gated}",
                message=f"held by sluice: only Sluice removes the scheduling gate {SCHEDULING_GATE}, once the release is entitled",
                details=f"""\
'held by sluice: only Sluice removes the scheduling gate {SCHEDULING_GATE} of Pod ' + object.metadata.name + (variables.release == ''
  ? ', once it has looked at it'
  : ', once release ' + variables.release + ' is entitled: see kubectl describe mr ' + variables.release)""",
            ),
            Rule(
                expression=f"{release_named_by('object')} == variables.release",
                message=f"denied by sluice: the label {RELEASE_LABEL} of a Pod does not change once it is created; change the template of its owner instead",
            ),
            *(
                Rule(
                    expression=f"""\
object.spec.?{kind}.orValue([]).map(c, [c.name, c.image])
  == oldObject.spec.?{kind}.orValue([]).map(c, [c.name, c.image])""",
                    message=f"denied by sluice: spec.{kind}[*].image of a governed Pod does not change; change the template of its owner instead",
                )
                for kind in ("containers", "initContainers")
            ),
            Rule(
                expression=f"""\
(variables.release == '' && !({strict}))
  || object.spec.?ephemeralContainers.orValue([]).all(c, c.image in variables.known)""",
                message="denied by sluice: a debugging container of a governed Pod must use one of the images that the Pod already has",
            ),
            Rule(
                expression=f"{installation.by_controller}\n  || object.{serving}\n  == oldObject.{serving}",
                message=f"withheld by sluice: only Sluice sets the condition {READINESS_GATE}",
            ),
        ],
    )
