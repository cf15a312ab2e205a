"""What happens to a Pod: allowed, held or denied, by every way a model can be carried."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.decision.gate import Action, Decision, Namespace, decide_pod
from sluice.decision.pod import PodMalformedError, view_pod
from sluice.decision.reasons import Reason
from sluice.decision.world import World
from tests.unit.decision import case as c
from tests.unit.decision.test_people import only_security_missing, unsigned

MODEL = f"registry.example.com/churn@{c.CARRIER}"
SERVER = f"registry.example.com/server@{c.SERVER}"
FOREIGN = f"registry.example.com/other@{c.digest_of('other')}"


def pod(*, release: str | None = c.NAME, **spec: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of the spec
    base = {
        "serviceAccountName": "churn",
        "initContainers": [{"name": "model", "image": MODEL}],
        "containers": [{"name": "server", "image": SERVER}],
    }
    return {"metadata": {"labels": {"sluice.dev/release": release} if release else {}}, "spec": base | spec}


def decided(world: World, item: dict[str, Any], **labels: str) -> Decision:
    view = view_pod(item)
    namespace = Namespace(name=c.NAMESPACE, labels=c.namespace(**labels)["metadata"]["labels"])
    subject = world.subject(c.NAMESPACE, view.release, now=c.NOW) if view.release else None
    return decide_pod(view, namespace, subject, serves=world.serves((image.digest for image in view.images if image.digest), namespace.name))


def test_a_pod_of_an_entitled_release_is_allowed() -> None:
    assert decided(c.approved_world(), pod()).action is Action.ALLOW


def test_what_can_still_become_right_is_held_and_says_who_can_do_what() -> None:
    decision = decided(only_security_missing(), pod())
    assert (decision.action, decision.reason) == (Action.HOLD, Reason.ApprovalMissing)
    assert "approvals: 1 of 2; security is missing" in decision.lines[1]
    assert decision.lines[-1].endswith("kubectl sluice approve mr/churn-2-1-0 -n payments --role security")


def test_a_release_that_is_not_there_yet_is_waited_for() -> None:
    decision = decided(c.approved_world(), pod(release="churn-9"))
    assert (decision.action, decision.reason) == (Action.HOLD, Reason.ReleaseNotFound)


def test_a_release_that_cannot_be_read_is_held_and_names_the_field() -> None:
    world = c.approved_world()
    world.put("ModelRelease", c.item("ModelRelease", c.NAME, c.release_spec() | {"version": "?"}))
    decision = decided(world, pod())
    assert (decision.action, decision.reason) == (Action.HOLD, Reason.ReleaseInvalid)
    assert "spec.version" in decision.message


def test_failed_evidence_denies() -> None:
    world = unsigned()
    world.put("ReleaseEvidence", c.evidence("mallory", c.sign(c.model_signature_statement(c.WEIGHTS_FILES), identity="mallory@example.com")))
    assert decided(world, pod()).action is Action.DENY


def test_a_rejection_denies() -> None:
    world = c.approved_world()
    world.put("ReleaseApproval", c.approval("no", world, role="security", username="sam@example.com", groups=["appsec"], decision="Reject"))
    decision = decided(world, pod())
    assert (decision.action, decision.reason) == (Action.DENY, Reason.Rejected)
    assert "sam@example.com" in " ".join(decision.lines)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"containers": [{"name": "server", "image": FOREIGN}]}, Reason.ImageNotInRelease),
        ({"initContainers": [{"name": "model", "image": FOREIGN}]}, Reason.ImageNotInRelease),
        ({"ephemeralContainers": [{"name": "debug", "image": FOREIGN}]}, Reason.ImageNotInRelease),
        ({"volumes": [{"name": "m", "image": {"reference": FOREIGN}}]}, Reason.ImageNotInRelease),
        ({"containers": [{"name": "server", "image": "registry.example.com/server:latest"}]}, Reason.ImageNotPinned),
        ({"containers": [{"name": "server", "image": SERVER + "0"}]}, Reason.ImageNotPinned),
        ({"containers": [{"name": "server"}]}, Reason.ImageNotPinned),
        ({"serviceAccountName": "cluster-admin"}, Reason.ServiceAccountNotPermitted),
        ({"serviceAccountName": None}, Reason.ServiceAccountNotPermitted),
    ],
)
def test_a_pod_that_contradicts_its_release_is_denied_even_when_the_release_is_entitled(spec: dict[str, Any], reason: Reason) -> None:
    decision = decided(c.approved_world(), pod(**spec))
    assert (decision.action, decision.reason) == (Action.DENY, reason)
    assert decision.remedy


@pytest.mark.parametrize("stage", ["staging", ""])
def test_a_release_serves_only_in_the_stages_it_is_meant_for(stage: str) -> None:
    decision = decided(c.approved_world(), pod(), **{"sluice.dev/stage": stage})
    assert (decision.action, decision.reason) == (Action.DENY, Reason.StageNotPermitted)


@pytest.mark.parametrize(
    "where",
    [
        {"containers": [{"name": "x", "image": MODEL}], "initContainers": []},
        {"initContainers": [{"name": "x", "image": "another.example.com/copied@" + c.CARRIER}]},
        {"ephemeralContainers": [{"name": "x", "image": MODEL}], "initContainers": []},
        {"volumes": [{"name": "x", "image": {"reference": MODEL}}], "initContainers": []},
    ],
)
def test_a_known_model_that_names_no_release_is_denied_wherever_it_stands_in_the_pod(where: dict[str, Any]) -> None:
    decision = decided(c.approved_world(), pod(release=None, **where))
    assert (decision.action, decision.reason) == (Action.DENY, Reason.ReleaseNotNamed)


def test_a_pod_without_any_known_model_is_no_concern_of_ours() -> None:
    assert decided(c.approved_world(), pod(release=None, initContainers=[])).action is Action.ALLOW


def test_a_namespace_that_is_not_governed_is_no_concern_of_ours() -> None:
    assert decided(World(), pod(), **{"sluice.dev/govern": "false"}).reason is Reason.NotGoverned


@pytest.mark.parametrize(
    "item", [{}, {"spec": None}, {"spec": {"containers": [{"image": SERVER}]}}, {"spec": {"containers": [3]}}, {"spec": [], "metadata": 1}]
)
def test_what_is_not_the_form_of_a_pod_is_said_to_be_so(item: dict[str, Any]) -> None:
    with pytest.raises(PodMalformedError):
        view_pod(item)


@pytest.mark.parametrize("kind", ["Dataset", "Configuration", "Prompt", "Code", "Tokenizer"])
def test_an_artifact_that_is_neither_image_nor_model_does_not_let_an_image_run(kind: str) -> None:
    world = c.verified_world()
    spec = c.release_spec()
    spec["artifacts"].append({"name": "smuggled", "type": kind, "uri": FOREIGN, "digest": c.digest_of("other")})
    world.put("ModelRelease", c.item("ModelRelease", c.NAME, spec))
    decision = decided(world, pod(containers=[{"name": "server", "image": FOREIGN}]))
    assert (decision.action, decision.reason) == (Action.DENY, Reason.ImageNotInRelease)
