"""What happens to Pods while their release is scored, and to the Pods of a run."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.api.names import CANARY_LABEL, CANARY_ROLE_LABEL
from sluice.decision.gate import Action, Decision, Namespace, decide_canary_pod
from sluice.decision.model import Allowance
from sluice.decision.pod import view_pod
from sluice.decision.reasons import Reason
from sluice.decision.runs import Run
from sluice.decision.world import World
from tests.unit.decision import case as c
from tests.unit.decision.test_gate import FOREIGN, decided, pod

RUN = "churn-2-1-0-1"
RUN_KEY = c.Key(c.NAMESPACE, RUN)


def of_run(role: str = "candidate", *, run: str = RUN, release: str = "", **spec: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of the Pod's spec
    item = pod(release=release or (c.NAME if role == "candidate" else c.BASELINE), **spec)
    item["metadata"]["labels"] |= {CANARY_LABEL: run, CANARY_ROLE_LABEL: role}
    return item


def scoring(decision: str = "Pending", **changes: Any) -> World:  # noqa: ANN401 - fields of the run
    world = c.canary_world()
    world.put("CanaryRun", c.run(RUN, decision=decision, **changes))
    return world


def may_start(world: World, item: dict[str, Any], **labels: str) -> Decision:
    view, run = view_pod(item), world.canaries.runs[RUN_KEY]
    assert isinstance(run, Run)
    namespace = Namespace(name=c.NAMESPACE, labels=c.namespace(**labels)["metadata"]["labels"])
    subject = world.subject(c.NAMESPACE, view.release, now=c.NOW) if view.release else None
    return decide_canary_pod(view, namespace, subject, run)


# Users' Pods.


def test_while_a_release_is_scored_its_pods_are_held_and_say_so() -> None:
    decision = decided(scoring(), pod())
    assert (decision.action, decision.reason) == (Action.HOLD, Reason.CanaryRunning)
    assert decision.lines[0] == "held by sluice: churn/2.1.0 is scored beside its baseline before it may serve in namespace payments (CanaryRunning)"
    assert RUN in decision.lines[1]


def test_before_it_is_scored_its_pods_are_held_and_say_what_starts_it() -> None:
    decision = decided(c.canary_world(), pod())
    assert (decision.action, decision.reason) == (Action.HOLD, Reason.CanaryNotRun)


def test_pods_of_a_release_that_was_rolled_back_are_denied() -> None:
    decision = decided(scoring("RollBack"), pod())
    assert (decision.action, decision.reason) == (Action.DENY, Reason.CanaryRolledBack)
    assert decision.message == "churn/2.1.0 was rolled back in namespace payments"


def test_whatever_else_is_wrong_with_it_the_roll_back_is_said_first() -> None:
    world = scoring("RollBack")
    world.remove("ReleaseEvidence", c.Key(namespace=c.NAMESPACE, name="signature"))
    assert decided(world, pod()).reason is Reason.CanaryRolledBack


def test_pods_of_a_promoted_release_are_allowed() -> None:
    assert decided(scoring("Promote"), pod()).action is Action.ALLOW


# Pods of a run.


@pytest.mark.parametrize("world", [scoring(), scoring("Promote"), c.canary_world()], ids=["scoring", "promoted", "no-run"])
@pytest.mark.parametrize("role", ["candidate", "baseline", "scorer", "king"])
def test_who_lets_other_pods_go_leaves_those_of_a_run_alone(world: World, role: str) -> None:
    decision = decided(world, of_run(role))
    assert (decision.action, decision.reason) == (Action.HOLD, Reason.CanaryPod)


def test_a_pod_of_a_run_whose_release_is_rolled_back_is_denied_like_any_other() -> None:
    assert decided(scoring("RollBack"), of_run()).action is Action.DENY


def test_to_be_of_a_run_excuses_no_foreign_image() -> None:
    foreign = of_run(containers=[{"name": "server", "image": FOREIGN}])
    assert decided(scoring(), foreign).reason is Reason.ImageNotInRelease
    assert may_start(scoring(), foreign).reason is Reason.ImageNotInRelease
    assert may_start(scoring(), of_run("baseline", serviceAccountName="root")).reason is Reason.ServiceAccountNotPermitted


@pytest.mark.parametrize("role", ["candidate", "baseline"])
def test_the_controller_starts_both_pods_of_a_run(role: str) -> None:
    decision = may_start(scoring(), of_run(role))
    assert (decision.action, decision.reason) == (Action.ALLOW, Reason.CanaryPod)


@pytest.mark.parametrize(
    ("world", "item", "action"),
    [
        (scoring("RollBack"), of_run(), Action.DENY),
        (scoring("Promote"), of_run(), Action.DENY),
        (scoring("Inconclusive"), of_run("baseline"), Action.DENY),
        (scoring(), of_run(run="another-run"), Action.DENY),
        (scoring(), pod(), Action.DENY),
        (scoring(), of_run("scorer"), Action.DENY),
        (scoring(), of_run(release=c.BASELINE), Action.DENY),
        (scoring(releaseDigest=c.promoted_world().verdict(c.BASELINE_KEY, now=c.NOW).release_digest), of_run(release=c.BASELINE), Action.DENY),  # type: ignore[union-attr]
        (scoring(releaseDigest=c.digest_of("former")), of_run(), Action.DENY),
        (scoring(baselineDigest=c.digest_of("former")), of_run("baseline"), Action.DENY),
    ],
    ids=[
        "rolled-back", "promoted", "inconclusive", "of-another-run", "of-no-run", "scorer",
        "baseline-as-candidate", "other-name", "former-release", "former-baseline",
    ],
)  # fmt: skip
def test_nothing_else_starts_by_way_of_a_run(world: World, item: dict[str, Any], action: Action) -> None:
    assert may_start(world, item).action is action


def test_where_nobody_decides_nothing_starts_by_way_of_a_run() -> None:
    assert may_start(scoring(), of_run(), **{"sluice.dev/govern": "false"}).action is Action.DENY


@pytest.mark.parametrize("role", ["candidate", "baseline"])
def test_who_lost_what_it_needs_waits(role: str) -> None:
    world = scoring()
    world.remove("ReleaseApproval", c.Key(c.NAMESPACE, f"{c.NAME if role == 'candidate' else c.BASELINE}-by-owner"))
    assert may_start(world, of_run(role)).action is Action.HOLD


def test_a_baseline_that_may_only_be_scored_itself_is_nobodys_baseline() -> None:
    world = c.canary_world()
    world.put("ModelRelease", c.item("ModelRelease", "churn-1", c.first_release_spec("1.0.0")))
    world.put("ModelRelease", c.item("ModelRelease", c.BASELINE, c.release_spec() | {"change": {"type": "Prune", "baseline": {"name": "churn-1"}}}))
    for key in (c.Key(c.NAMESPACE, "churn-1"), c.BASELINE_KEY):
        c.approve(world, key)
    verdict = world.verdict(c.BASELINE_KEY, now=c.NOW)
    assert verdict is not None
    assert verdict.allows is Allowance.CANARY
    world.put("CanaryRun", c.run(RUN, baselineDigest=verdict.release_digest))
    decision = may_start(world, of_run("baseline"))
    assert (decision.action, decision.reason) == (Action.HOLD, Reason.CanaryNotRun)


def test_a_release_that_is_gone_does_not_start() -> None:
    world = scoring()
    world.remove("ModelRelease", c.KEY)
    assert may_start(world, of_run()).action is Action.HOLD
