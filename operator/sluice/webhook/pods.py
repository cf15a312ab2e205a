"""What the webhook answers about Pods.

Mutating, at creation: takes our two gates off a Pod that is entitled, so that approved models start with the controller down; where weights have to be
checked before they are loaded, it adds the init containers that do, and the controller takes the gates off. It never denies, because other
webhooks may still change the Pod (resolve its tags, for one).
Validating, on the final object: denies what cannot become right, and whatever should be held and is not. A hold is only as good as its scheduling gate: L0
puts it there, and we look whether it did.

An UPDATE that changes nothing the gate judges is let through without a verdict. A Pod that runs may have lost its entitlement since, and its finalizers must
still come off; to take it out of service is the controller's work. `deletionTimestamp` exempts nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from sluice.api.names import READINESS_GATE, SCHEDULING_GATE
from sluice.decision.gate import Action, Decision
from sluice.decision.pod import PodMalformedError, view_pod, view_template
from sluice.decision.reasons import Reason
from sluice.decision.weights import WeightsProblem
from sluice.webhook.injection import inject
from sluice.webhook.review import Answer, Object, Operation, Request
from sluice.webhook.sight import Sight


def mutate(request: Request, sight: Sight) -> Answer:
    """Take the gates off an entitled Pod; leave any other as it is, with a warning that says what it waits for.

    Raises PodMalformedError.
    """
    pod = view_template(request.object)
    if request.operation != "CREATE":
        # Only the controller lifts the gate of a Pod that exists.
        return Answer(action=Action.ALLOW, reason=Reason.Unchanged)
    decision = sight.judge(pod, request.namespace)
    checks = () if decision.action is Action.DENY else sight.checks(pod, request.namespace)
    if checks:
        # It keeps its gates: what is in the final Pod, after everybody who may change it, is for the controller to see.
        lines = decision.lines if decision.action is Action.HOLD else ()
        patch = () if isinstance(checks, WeightsProblem) else tuple(inject(request.object, checks))
        return Answer(action=Action.HOLD, reason=decision.reason, lines=lines, patch=patch)
    if decision.action is Action.ALLOW:
        # "Not governed" is an answer about strictness only where we see that the namespace is governed: else our watch may lag behind its label.
        lifts = decision.reason is Reason.Entitled or sight.governs(request.namespace)
        return Answer(action=Action.ALLOW, reason=decision.reason, patch=tuple(_ungate(request.object)) if lifts else ())
    held = decision.action is Action.HOLD
    return Answer(action=Action.HOLD, reason=decision.reason, lines=decision.lines if held else ())


def validate(request: Request, sight: Sight) -> Answer:
    """Deny what cannot become right, warn about what is held, let in the rest.

    Raises PodMalformedError.
    """
    pod = view_pod(request.object)
    if request.old_object is not None and _same(request.old_object, request.object):
        return Answer(action=Action.ALLOW, reason=Reason.Unchanged)
    decision = sight.judge(pod, request.namespace)
    if decision.action is Action.HOLD and not pod.scheduling_gated:
        if request.old_object is not None and pod.canary_run is not None:
            # The controller lets it go (the API server refuses anybody else), to be scored out of traffic: judged by what its run permits.
            decision = sight.judge_of_run(pod, request.namespace)
        elif request.old_object is not None and pod.drill is not None:
            decision = sight.judge_of_drill(pod, request.namespace)
        if decision.action is Action.HOLD:
            decision = _unheld(decision)
    return Answer(action=decision.action, reason=decision.reason, lines=() if decision.action is Action.ALLOW else decision.lines)


def _unheld(decision: Decision) -> Decision:
    missing = f"the Pod has no scheduling gate {SCHEDULING_GATE}, so it cannot wait"
    return replace(decision, action=Action.DENY, needs=(*decision.needs, missing))


def _same(old: Object, new: Object) -> bool:
    try:
        return view_pod(old) == view_pod(new)
    except PodMalformedError:
        return False


def _ungate(pod: Object) -> Iterator[Operation]:
    spec = pod["spec"]
    yield from _without(spec.get("schedulingGates"), "/spec/schedulingGates", key="name", value=SCHEDULING_GATE)
    yield from _without(spec.get("readinessGates"), "/spec/readinessGates", key="conditionType", value=READINESS_GATE)


def _without(entries: list[dict[str, Any]] | None, path: str, *, key: str, value: str) -> Iterator[Operation]:
    """Remove our entries only, the last first so that indices stay right; each removal tests that it meets what we saw."""
    ours = [index for index, entry in enumerate(entries or ()) if entry[key] == value]
    if entries and len(ours) == len(entries):
        yield {"op": "test", "path": path, "value": entries}
        yield {"op": "remove", "path": path}
        return
    for index in reversed(ours):
        yield {"op": "test", "path": f"{path}/{index}/{key}", "value": value}
        yield {"op": "remove", "path": f"{path}/{index}"}
