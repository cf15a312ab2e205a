"""Canaries: runs are the controller's, and so are the Pods and Jobs that belong to one.

A run that rolled a release back must not go away: without it the same release could be tried again, until chance promotes it. So nobody deletes a run but the
controller, the platform team that the chart's values list, and Kubernetes when it deletes a whole namespace. Nobody else changes its metadata either: an owner
reference to something that is deleted would have the garbage collector do the rest.
"""

from __future__ import annotations

from typing import Final

from sluice.api.kinds import CANARY_RUN
from sluice.api.names import CANARY_LABEL, CANARY_ROLE_LABEL, GROUP, VERSION
from sluice.gate.pods import EVERY_WAY_TO_CHANGE_A_POD
from sluice.gate.policy import CREATE, DELETE, UPDATE, Installation, Manifest, Matches, Rule, by_kubernetes, governed, validating

SCORER: Final = "scorer"
"""The role of Pods that a Job makes; the other two are made by the controller itself."""


def guard_runs(installation: Installation) -> list[Manifest]:
    """Refuse runs that are not the controller's, and their end."""
    return validating(
        "sluice-guard-runs",
        why="Canary runs are written by the controller only, and stay: what was rolled back is not tried again.",
        matches=Matches(group=GROUP, version=VERSION, resources=[CANARY_RUN.plural], operations=(*CREATE, *UPDATE, *DELETE)),
        rules=[
            Rule(
                expression=f"request.operation != 'CREATE' || {installation.by_controller}",
                message="denied by sluice: canary runs are made by the controller only, when a policy asks for one and a workload names the release",
            ),
            Rule(
                # The garbage collector takes off its own finalizer when somebody who may deletes in the foreground.
                expression=f"request.operation != 'UPDATE' || {installation.by_controller}\n  || {by_kubernetes('generic-garbage-collector')}",
                message="denied by sluice: canary runs are changed by the controller only",
            ),
            Rule(
                expression=f"""\
request.operation != 'DELETE' || {installation.by_controller}
  || {by_kubernetes("namespace-controller")}
  || {installation.by_platform_team}""",
                message=(
                    "denied by sluice: canary runs stay, or what was rolled back could be tried again; ask the platform team"
                    " (they are listed in the chart's value namespaceGuard)"
                ),
            ),
        ],
    )  # fmt: skip


def guard_canary_pods(installation: Installation) -> list[Manifest]:
    """Refuse Pods that claim to belong to a run. Those of its scorers come from a Job, which is guarded below."""
    return validating(
        "sluice-guard-canary-pods",
        why="Pods of a canary run are made by the controller, or by its scoring Job.",
        matches=Matches(group="", version="v1", resources=EVERY_WAY_TO_CHANGE_A_POD, operations=(*CREATE, *UPDATE), namespaces=governed(installation)),
        conditions={"of-a-run": _some_label("object", "oldObject")},
        variables={"now": _labels("object"), "was": f"oldObject == null ? ['', ''] : {_labels('oldObject')}"},
        rules=[
            Rule(
                expression=f"""\
{installation.by_controller} || variables.now == variables.was
  || (request.operation == 'CREATE' && variables.now[1] == '{SCORER}' && {by_kubernetes("job-controller")})""",
                message=f"denied by sluice: the labels {CANARY_LABEL} and {CANARY_ROLE_LABEL} are set by the controller only; leave them out",
            ),
        ],
    )


def guard_canary_jobs(installation: Installation) -> list[Manifest]:
    """Refuse Jobs whose Pods would claim to belong to a run."""
    template = ("object.spec.template", "oldObject.spec.template")
    return validating(
        "sluice-guard-canary-jobs",
        why="Scoring Jobs are made by the controller.",
        matches=Matches(group="batch", version="v1", resources=["jobs"], operations=(*CREATE, *UPDATE), namespaces=governed(installation)),
        conditions={"of-a-run": f"{_some_label('object', 'oldObject')}\n  || {_some_label(*template)}"},
        variables={
            "now": f"{_labels('object')} + {_labels(template[0])}",
            "was": f"oldObject == null ? ['', '', '', ''] : {_labels('oldObject')} + {_labels(template[1])}",
        },
        rules=[
            Rule(
                expression=f"{installation.by_controller} || variables.now == variables.was",
                message=f"denied by sluice: the labels {CANARY_LABEL} and {CANARY_ROLE_LABEL} are set by the controller only; leave them out",
            ),
        ],
    )


def _labels(path: str) -> str:
    """CEL: both labels of the object at `path`, empty where it has none."""
    both = (f"{path}.?metadata.?labels['{label}'].orValue('')" for label in (CANARY_LABEL, CANARY_ROLE_LABEL))
    return f"[{', '.join(both)}]"


def _some_label(now: str, before: str) -> str:
    """CEL: one of the labels is on the object at one of the paths, as it is or as it was."""
    return "\n  || ".join(
        text
        for label in (CANARY_LABEL, CANARY_ROLE_LABEL)
        for text in (
            f"'{label}' in {now}.?metadata.?labels.orValue({{}})",
            f"(oldObject != null && '{label}' in {before}.?metadata.?labels.orValue({{}}))",
        )
    )
