"""What the webhook answers about the owners of Pods.

An owner is never denied: its Pods are, with the reason. A denied owner breaks the whole application in a GitOps tool (a server-side dry run that is denied is
an error of the comparison), and L0 has paused it in this same request already. So: early warnings for all, and an entitled Deployment loses its pause.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sluice.api.names import HELD_ANNOTATION
from sluice.decision.gate import Action
from sluice.decision.pod import PodMalformedError, view_template
from sluice.decision.reasons import Reason
from sluice.webhook.review import Answer, Object, Operation, Request
from sluice.webhook.sight import Sight

_TEMPLATE = ("spec", "template")
TEMPLATES: dict[str, tuple[str, ...]] = {
    "apps/v1/deployments": _TEMPLATE,
    "apps/v1/statefulsets": _TEMPLATE,
    "apps/v1/replicasets": _TEMPLATE,
    "apps/v1/daemonsets": _TEMPLATE,
    "batch/v1/jobs": _TEMPLATE,
    "batch/v1/cronjobs": ("spec", "jobTemplate", "spec", "template"),
}
"""Where each kind of owner keeps the template of its Pods."""


def mutate(request: Request, sight: Sight) -> Answer:
    """Resume a Deployment that is held for a release which is entitled.

    Raises PodMalformedError.
    """
    pod = view_template(_template(request))
    held = _held_for(request.object)
    if not held or held != pod.release:
        return Answer(action=Action.ALLOW, reason=Reason.Unchanged)
    decision = sight.judge(pod, request.namespace)
    if decision.reason is not Reason.Entitled:
        # The validating side says why, on the final object.
        return Answer(action=Action.HOLD, reason=decision.reason)
    return Answer(action=Action.ALLOW, reason=decision.reason, patch=tuple(_resume(request, held)))


def validate(request: Request, sight: Sight) -> Answer:
    """Say early what will become of the Pods.

    Raises PodMalformedError.
    """
    decision = sight.judge(view_template(_template(request)), request.namespace)
    if decision.action is Action.ALLOW:
        return Answer(action=Action.ALLOW, reason=decision.reason)
    head, *rest = decision.lines
    if decision.action is Action.DENY:
        head = f"Pods will be {head}"
    return Answer(action=Action.HOLD, reason=decision.reason, lines=(head, *rest))


def _template(request: Request) -> Object:
    template: Any = request.object
    for part in TEMPLATES[request.resource]:
        template = template.get(part) if isinstance(template, dict) else None
    if not isinstance(template, dict):
        raise PodMalformedError(f"{'.'.join(TEMPLATES[request.resource])} is no object")
    return template


def _held_for(owner: Object | None) -> str:
    annotations = ((owner or {}).get("metadata") or {}).get("annotations") or {}
    held = annotations.get(HELD_ANNOTATION)
    return held if isinstance(held, str) else ""


def _resume(request: Request, held: str) -> Iterator[Operation]:
    annotation = f"/metadata/annotations/{HELD_ANNOTATION.replace('/', '~1')}"
    yield {"op": "test", "path": annotation, "value": held}
    yield {"op": "remove", "path": annotation}
    old = request.old_object or {}
    paused_by_its_owner = (old.get("spec") or {}).get("paused") is True and not _held_for(old)
    if request.object["spec"].get("paused") is True and not paused_by_its_owner:
        yield {"op": "test", "path": "/spec/paused", "value": True}
        yield {"op": "remove", "path": "/spec/paused"}
