"""Scratch namespaces: who says so, whose Pods run there, and which drills count."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sluice.api.names import DRILL_LABEL, DRILL_NAMESPACE_LABEL
from sluice.decision.drills import Drill
from sluice.decision.gate import Action, Decision, Namespace, decide_drill_pod, decide_pod
from sluice.decision.model import Allowance
from sluice.decision.pod import PodView
from sluice.decision.reasons import Reason
from sluice.decision.scratch import home_of
from sluice.evidence.drill import PREDICATE_TYPE, parse_drill
from sluice.provenance.errors import ProvenanceError
from sluice.provenance.statement import STATEMENT_TYPE, Statement
from sluice.webhook.admission import Path
from tests.unit.decision import case as c
from tests.unit.decision.test_drills import drill_of, drilled_world, pod, result_of, said, verdict_of, with_drill
from tests.unit.decision.test_weights import CLAIM, on_claim, world_of
from tests.unit.webhook.reviews import ask, body, patched

SCRATCH = "payments-drills"
LABELS = {"sluice.dev/govern": "true", "sluice.dev/stage": "production", "sluice.dev/scratch-for": c.NAMESPACE}
HOME = Namespace(name=c.NAMESPACE, labels=c.namespace()["metadata"]["labels"])


def scratch(**labels: str | None) -> Namespace:
    wanted = LABELS | {f"sluice.dev/{name.replace('_', '-')}": value for name, value in labels.items()}
    return Namespace(name=SCRATCH, labels={name: value for name, value in wanted.items() if value is not None})


def there(role: str = "release", release: str = c.NAME, **changes: Any) -> PodView:  # noqa: ANN401 - fields of the view
    return replace(pod(role, release), **({"drill_namespace": c.NAMESPACE} | changes))


def decided(view: PodView, drill: Drill, *, at: Namespace | None = None, home: Namespace = HOME) -> Decision:
    namespace = at or scratch()
    # Whoever asks finds the release of the Pod's own namespace when nothing else is agreed: here even that would not let it go.
    subject = drilled_world().subject(c.NAMESPACE, view.release or "", now=c.NOW)
    return decide_drill_pod(view, namespace, subject, drill, home=home)


def drill(**changes: Any) -> Drill:  # noqa: ANN401 - fields of the drill
    return drill_of(drilled_world(), **({"scratch_namespace": SCRATCH} | changes))


@pytest.mark.parametrize(("role", "release"), [("release", c.NAME), ("baseline", c.BASELINE)])
def test_both_pods_of_a_drill_may_run_in_its_scratch_namespace(role: str, release: str) -> None:
    assert decided(there(role, release), drill()).action is Action.ALLOW


@pytest.mark.parametrize(
    ("view", "at", "of"),
    [
        (there(drill_namespace=None), scratch(), {}), (there(drill_namespace="risk"), scratch(), {}), (there(), scratch(scratch_for=None), {}),
        (there(), scratch(scratch_for="risk"), {}), (there(), scratch(govern=None), {}), (there(), replace(scratch(), name="other-drills"), {}),
        (there(), scratch(), {"scratch_namespace": ""}), (there(), scratch(), {"scratch_namespace": "other-drills"}), (there(), HOME, {}),
        (there(drill_namespace=None), HOME, {}), (there(drill_namespace="risk"), scratch(scratch_for="risk"), {}),
        (there(), scratch(), {"namespace": "risk"}), (there(), scratch(stage="playground"), {}), (there(), scratch(stage=None), {}),
        (there(release=c.BASELINE), scratch(), {}), (there(drill="another"), scratch(), {}), (there(drill=None), scratch(), {}),
        (there(), scratch(), {"phase": "Failed"}), (there(), scratch(), {"release_digest": "sha256:0"}),
    ],
    ids=[
        "names-no-namespace", "names-another", "not-scratch", "scratch-for-another", "not-governed", "elsewhere", "drill-at-home", "drill-elsewhere", "at-home",
        "at-home-unlabelled", "of-another", "drill-of-another", "stage", "no-stage", "role", "another-drill", "no-drill", "over", "changed",
    ],
)  # fmt: skip
def test_nothing_else_runs_there_for_a_drill(view: PodView, at: Namespace, of: dict[str, Any]) -> None:
    assert decided(view, drill(**of), at=at).action is not Action.ALLOW


def test_a_release_that_may_not_run_at_home_does_not_run_in_scratch() -> None:
    staged = replace(HOME, labels={**HOME.labels, "sluice.dev/stage": "playground"})
    opted_out = replace(HOME, labels={**HOME.labels, "sluice.dev/govern": "false"})
    assert decided(there(), drill(), home=staged).reason is Reason.StageNotPermitted
    assert decided(there(), drill(), home=opted_out).action is Action.DENY


def test_a_pod_that_only_claims_to_be_of_a_drill_is_held_like_everywhere() -> None:
    world = drilled_world()
    for view in (there(drill=None), there(drill_namespace=None), there(drill_namespace="risk")):
        assert home_of(view, scratch()) == SCRATCH
        decision = decide_pod(view, scratch(), world.subject(SCRATCH, c.NAME, now=c.NOW), serves={})
        assert (decision.action, decision.reason) == (Action.HOLD, Reason.ReleaseNotFound)
        assert f"in namespace {SCRATCH} yet" in decision.message
    # And one that is of a drill is let go by the controller alone.
    waiting = decide_pod(there(), scratch(), world.subject(home_of(there(), scratch()), c.NAME, now=c.NOW), serves={})
    assert (waiting.action, waiting.reason) == (Action.HOLD, Reason.DrillPod)


def test_weights_are_checked_where_they_are_loaded_there_too() -> None:
    world = world_of.__wrapped__(CLAIM)
    world.put("Namespace", {"metadata": {"name": SCRATCH, "labels": LABELS}})
    obj = on_claim()
    obj["metadata"] |= {"namespace": SCRATCH, "labels": obj["metadata"]["labels"] | {DRILL_LABEL: "monday", DRILL_NAMESPACE_LABEL: c.NAMESPACE}}
    held = patched(obj, ask(Path.MUTATE, world, body(obj, namespace=SCRATCH)))
    (check,) = held["spec"]["initContainers"]
    assert check["name"].startswith("sluice-verify-")
    del obj["metadata"]["labels"][DRILL_NAMESPACE_LABEL]
    assert "initContainers" not in patched(obj, ask(Path.MUTATE, world, body(obj, namespace=SCRATCH)))["spec"]


# Which drills count.


@pytest.mark.parametrize(
    ("place", "done_in", "counts"),
    [
        (None, None, True), (None, SCRATCH, True), ("OwnNamespace", None, True), ("OwnNamespace", SCRATCH, False), ("ScratchNamespace", None, False),
        ("ScratchNamespace", SCRATCH, True),
    ],
)  # fmt: skip
def test_a_drill_counts_where_policy_wants_it(place: str | None, done_in: str | None, *, counts: bool) -> None:
    world = with_drill(drilled_world(place=place), scratch_namespace=done_in)
    result = result_of(world)
    assert (result.reason is Reason.DrillPassed) is counts
    assert verdict_of(world).allows is (Allowance.SERVE if counts else Allowance.CANARY)
    assert ("was done in place" in result.message) is not counts
    if not counts:
        flag = " --scratch" if place == "ScratchNamespace" else ""
        assert result.remedy == f"kubectl sluice drill mr/{c.NAME} -n {c.NAMESPACE}{flag}"


@pytest.mark.parametrize("place", [None, SCRATCH])
def test_a_statement_says_where_it_was_done(place: str | None) -> None:
    drilled = said(drilled_world(), scratch_namespace=place)
    statement = Statement(kind=STATEMENT_TYPE, subjects=(), predicate_type=PREDICATE_TYPE, predicate=drilled.predicate())
    assert parse_drill(statement) == drilled
    assert ("scratchNamespace" in statement.predicate) is (place is not None)


@pytest.mark.parametrize("written", ["", None, 3, ["a"]])
def test_a_statement_that_says_it_in_another_form_is_refused(written: Any) -> None:  # noqa: ANN401 - JSON
    predicate = said(drilled_world()).predicate() | {"scratchNamespace": written}
    with pytest.raises(ProvenanceError, match="scratchNamespace"):
        parse_drill(Statement(kind=STATEMENT_TYPE, subjects=(), predicate_type=PREDICATE_TYPE, predicate=predicate))
