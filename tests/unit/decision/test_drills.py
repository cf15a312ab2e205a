"""The requirement of type RollbackDrill: tried, signed by somebody who may, about this release and its baseline, and not too long ago."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from sluice.api.release import Outcome, Phase
from sluice.decision.drills import Drill
from sluice.decision.gate import Action, Namespace, Subject, decide_drill_pod, decide_pod
from sluice.decision.model import Allowance, Release, Result, Verdict
from sluice.decision.pod import PodView, view_pod
from sluice.decision.problems import policy_problems
from sluice.decision.reasons import Reason
from sluice.evidence.drill import PREDICATE_TYPE, RollbackDrill
from sluice.provenance.signing import SigningKey
from tests.unit.decision import case as c

Object = dict[str, Any]
REQUIREMENT: Object = {"name": "way-back", "type": "RollbackDrill", "maxAge": "10d"}
DRILL = "before-the-holidays"


def policy(**changes: Any) -> Object:  # noqa: ANN401 - fields of the requirement
    spec = c.policy_spec()
    spec["requirements"].append({field: value for field, value in (REQUIREMENT | changes).items() if value is not None})
    spec["signers"].append({"name": "sluice", "trustRoot": "sluice-controller-key", "key": "controller", "may": ["RollbackDrill"]})
    return c.item("ReleasePolicy", "customer-facing", spec, namespace="")


def drilled_world(**changes: Any) -> c.World:  # noqa: ANN401 - fields of the requirement
    """A world in which the release has everything but a drill."""
    world = c.canary_world()
    trust = {"keys": [{"name": "controller", "pem": c.controller_key().public_pem}]}
    world.put("TrustRoot", c.item("TrustRoot", "sluice-controller-key", trust, namespace=""))
    world.put("ReleasePolicy", policy(**changes))
    return world


def said(world: c.World, **changes: Any) -> RollbackDrill:  # noqa: ANN401 - fields of the drill
    release, baseline = world.releases[c.KEY], world.releases[c.BASELINE_KEY]
    assert isinstance(release, Release)
    assert isinstance(baseline, Release)
    drill = RollbackDrill(
        namespace=c.NAMESPACE, name=DRILL, uid="u1", release=c.NAME, release_digest=release.digest, baseline=c.BASELINE, baseline_digest=baseline.digest,
        deployment="churn", cluster="c1", started_at=c.NOW - timedelta(minutes=6), finished_at=c.NOW - timedelta(minutes=5), restore_ms=4200, out_ms=310,
        back_ms=290,
    )  # fmt: skip
    return replace(drill, **changes)


def evidence(drill: RollbackDrill, *, key: SigningKey | None = None, name: str = "drill") -> Object:
    bundle = (key or c.controller_key()).sign(predicate_type=PREDICATE_TYPE, subjects={"weights": c.weights_digest()}, predicate=drill.predicate())
    return c.item("ReleaseEvidence", name, {"bundle": {"inline": base64.b64encode(bundle).decode()}})


def verdict_of(world: c.World, *, now: datetime = c.NOW) -> Verdict:
    verdict = world.verdict(c.KEY, now=now)
    assert verdict is not None
    return verdict


def result_of(world: c.World, *, now: datetime = c.NOW) -> Result:
    return next(result for result in verdict_of(world, now=now).results if result.requirement == "way-back")


def with_drill(world: c.World, **changes: Any) -> c.World:  # noqa: ANN401 - fields of the drill
    world.put("ReleaseEvidence", evidence(said(world, **changes)))
    return world


def test_a_release_that_lacks_only_the_drill_may_be_tried_and_not_serve() -> None:
    verdict = verdict_of(drilled_world())
    (open_,) = verdict.open
    assert (open_.outcome, open_.reason, verdict.allows, verdict.phase) == (Outcome.MISSING, Reason.DrillMissing, Allowance.CANARY, Phase.AWAITING_EVIDENCE)
    assert open_.remedy == f"kubectl sluice drill mr/{c.NAME} -n {c.NAMESPACE}"
    assert verdict.due == ()


def test_what_nobody_approved_is_not_even_tried() -> None:
    world = drilled_world()
    world.remove("ReleaseApproval", c.Key(namespace=c.NAMESPACE, name=f"{c.NAME}-by-security"))
    verdict = verdict_of(world)
    assert (verdict.allows, verdict.phase) == (Allowance.NOTHING, Phase.AWAITING_APPROVAL)


def test_a_drill_lets_it_serve_until_it_is_too_old_and_approvals_do_not_die_of_it() -> None:
    world = drilled_world()
    before = verdict_of(world).evidence_digest
    with_drill(world)
    verdict, result = verdict_of(world), result_of(world)
    assert (result.outcome, result.reason, verdict.phase, verdict.evidence_digest) == (Outcome.SATISFIED, Reason.DrillPassed, Phase.SERVING, before)
    assert "4.2 s" in result.message
    ends = c.NOW - timedelta(minutes=5) + timedelta(days=10)
    assert verdict.changes_at == ends
    assert result_of(world, now=ends - timedelta(seconds=1)).outcome is Outcome.SATISFIED
    late = result_of(world, now=ends)
    assert (late.outcome, late.reason) == (Outcome.EXPIRED, Reason.DrillExpired)


def test_a_release_that_promises_more_is_held_to_it() -> None:
    world = drilled_world()
    world.put("ModelRelease", c.item("ModelRelease", c.NAME, c.release_spec() | {"rollback": {"criteria": "any", "drillMaxAge": "2d"}}))
    c.approve(world, c.KEY)
    with_drill(world)
    assert verdict_of(world).changes_at == c.NOW - timedelta(minutes=5) + timedelta(days=2)


@pytest.mark.parametrize(
    "changes",
    [
        {"release_digest": "sha256:" + "0" * 64}, {"baseline": "churn-1-9-0"}, {"baseline_digest": "sha256:" + "0" * 64},
        {"started_at": c.NOW, "finished_at": c.NOW + timedelta(minutes=11)},
    ],
    ids=["release", "baseline-name", "baseline-digest", "future"],
)  # fmt: skip
def test_a_drill_about_anything_else_does_not_count(changes: Object) -> None:
    assert result_of(with_drill(drilled_world(), **changes)).reason is Reason.DrillMissing


def test_a_drill_that_somebody_else_signed_does_not_count_and_says_so_and_can_be_repeated() -> None:
    world = drilled_world()
    stranger = SigningKey.generate()
    trust = {"keys": [{"name": "controller", "pem": c.controller_key().public_pem}, {"name": "stranger", "pem": stranger.public_pem}]}
    world.put("TrustRoot", c.item("TrustRoot", "sluice-controller-key", trust, namespace=""))
    world.put("ReleaseEvidence", evidence(said(world), key=stranger))
    result = result_of(world)
    assert result.reason is Reason.DrillMissing
    assert "signed by key stranger" in result.message
    assert verdict_of(world).allows is Allowance.CANARY


def test_evidence_of_another_kind_is_no_drill_and_a_drill_is_no_other_evidence() -> None:
    world = drilled_world()
    bundle = c.controller_key().sign(predicate_type="https://example.com/drill", subjects={"weights": c.weights_digest()}, predicate=said(world).predicate())
    world.put("ReleaseEvidence", c.item("ReleaseEvidence", "other", {"bundle": {"inline": base64.b64encode(bundle).decode()}}))
    assert result_of(world).reason is Reason.DrillMissing


def test_a_drill_goes_back_to_nobody_who_may_not_serve() -> None:
    world = drilled_world()
    world.remove("ReleaseApproval", c.Key(namespace=c.NAMESPACE, name=f"{c.BASELINE}-by-security"))
    assert result_of(world).reason is Reason.BaselineNotEntitled
    assert verdict_of(world).allows is Allowance.NOTHING


def test_the_first_release_of_a_model_has_nothing_to_go_back_to() -> None:
    verdict = drilled_world().verdict(c.BASELINE_KEY, now=c.NOW)
    assert verdict is not None
    assert verdict.phase is Phase.SERVING


def test_a_baseline_of_another_model_fails() -> None:
    world = drilled_world()
    world.put("ModelRelease", c.item("ModelRelease", c.BASELINE, c.first_release_spec() | {"model": "other"}))
    assert (result_of(world).outcome, result_of(world).reason) == (Outcome.FAILED, Reason.BaselineOfAnotherModel)


# When the controller drills by itself.


def test_without_every_people_start_drills() -> None:
    assert result_of(drilled_world()).drill is None


def test_with_every_the_first_drill_is_due_at_once_and_the_next_one_when_it_is_time() -> None:
    world = drilled_world(every="7d")
    due = result_of(world).drill
    assert due is not None
    assert due.last is None
    with_drill(world)
    assert result_of(world).drill is None
    next_at = c.NOW - timedelta(minutes=5) + timedelta(days=7)
    assert verdict_of(world).changes_at == next_at
    later = result_of(world, now=next_at)
    assert later.outcome is Outcome.SATISFIED
    assert later.drill is not None
    assert later.drill.last == c.NOW - timedelta(minutes=5)


def test_a_policy_whose_drills_would_expire_before_the_next_one_is_told() -> None:
    world = drilled_world(every="10d")
    usable = world.policies["customer-facing"]
    problems = policy_problems(usable.spec, world.trust_roots)  # type: ignore[union-attr]
    assert [problem.reason for problem in problems] == [Reason.DrillTooRare]


# The gate.


def pod(role: str, release: str, *, drill: str = DRILL) -> PodView:
    labels = {"sluice.dev/release": release, "sluice.dev/drill": drill, "sluice.dev/drill-role": role}
    spec = {"serviceAccountName": "churn", "containers": [{"name": "server", "image": f"registry.example.com/server@{c.SERVER}"}]}
    return view_pod({"metadata": {"labels": labels}, "spec": spec})


def drill_of(world: c.World, **changes: Any) -> Drill:  # noqa: ANN401 - fields of the drill
    drill = said(world)
    found = Drill(
        namespace=c.NAMESPACE, name=DRILL, release=c.NAME, release_digest=drill.release_digest, baseline=c.BASELINE, baseline_digest=drill.baseline_digest,
        phase="Starting",
    )  # fmt: skip
    return replace(found, **changes)


def decided(world: c.World, view: PodView, drill: Drill) -> tuple[Action, Reason]:
    namespace = Namespace(name=c.NAMESPACE, labels=c.namespace()["metadata"]["labels"])
    subject: Subject | None = world.subject(c.NAMESPACE, view.release or "", now=c.NOW)
    decision = decide_drill_pod(view, namespace, subject, drill, home=namespace)
    return decision.action, decision.reason


@pytest.mark.parametrize(("role", "release"), [("release", c.NAME), ("baseline", c.BASELINE)])
def test_both_pods_of_a_drill_may_run(role: str, release: str) -> None:
    world = drilled_world()
    assert decided(world, pod(role, release), drill_of(world)) == (Action.ALLOW, Reason.DrillPod)


@pytest.mark.parametrize(
    ("view", "changes"),
    [
        (pod("release", c.BASELINE), {}), (pod("baseline", c.NAME), {}), (pod("other", c.NAME), {}), (pod("release", c.NAME, drill="another"), {}),
        (pod("release", c.NAME), {"phase": "Passed"}), (pod("release", c.NAME), {"phase": "Failed"}), (pod("release", c.NAME), {"release_digest": "sha256:0"}),
        (pod("baseline", c.BASELINE), {"baseline_digest": ""}),
    ],
    ids=["role", "other-role", "no-role", "another-drill", "passed", "failed", "changed", "not-pinned"],
)  # fmt: skip
def test_nothing_else_runs_for_a_drill(view: PodView, changes: Object) -> None:
    world = drilled_world()
    assert decided(world, view, drill_of(world, **changes))[0] is Action.DENY


def test_a_release_that_lacks_an_approval_does_not_run_for_a_drill() -> None:
    world = drilled_world()
    world.remove("ReleaseApproval", c.Key(namespace=c.NAMESPACE, name=f"{c.NAME}-by-security"))
    assert decided(world, pod("release", c.NAME), drill_of(world)) == (Action.HOLD, Reason.ApprovalMissing)


def test_nobody_but_the_controller_lets_a_pod_of_a_drill_go_though_its_release_may_serve() -> None:
    world = with_drill(drilled_world())
    namespace = Namespace(name=c.NAMESPACE, labels=c.namespace()["metadata"]["labels"])
    decision = decide_pod(pod("release", c.NAME), namespace, world.subject(c.NAMESPACE, c.NAME, now=c.NOW), serves={})
    assert (decision.action, decision.reason) == (Action.HOLD, Reason.DrillPod)
