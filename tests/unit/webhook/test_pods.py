"""What the webhook answers about Pods, vector by vector."""

from typing import Any

import pytest

from sluice.decision.records import Key
from sluice.decision.world import World
from sluice.webhook.admission import Path
from tests.unit.decision.case import (
    BASELINE,
    CARRIER,
    NAME,
    NAMESPACE,
    SERVER,
    approval,
    approved_world,
    canary_world,
    digest_of,
    item,
    namespace,
    promoted_world,
    release_spec,
    run,
    verified_world,
)
from tests.unit.webhook.reviews import MODEL_IMAGE, READINESS, SCHEDULING, SERVER_IMAGE, ask, body, denied_with, held_with, patched, pod

FOREIGN = f"registry.example.com/other@{digest_of('other')}"


def mutate(world: World, obj: dict[str, Any], *, about: str = "v1/pods", old: dict[str, Any] | None = None, **more: object) -> dict[str, Any]:
    return ask(Path.MUTATE, world, body(obj, about=about, old=old, **more))


def validate(world: World, obj: dict[str, Any], *, about: str = "v1/pods", old: dict[str, Any] | None = None, **more: object) -> dict[str, Any]:
    return ask(Path.VALIDATE, world, body(obj, about=about, old=old, **more))


def test_an_entitled_pod_loses_our_gates_and_nothing_else() -> None:
    theirs = {"name": "example.com/quota"}
    obj = pod(schedulingGates=[theirs, SCHEDULING], readinessGates=[READINESS, {"conditionType": "example.com/lb"}, READINESS])
    response = mutate(approved_world(), obj)
    expected = pod(gated=False, schedulingGates=[theirs], readinessGates=[{"conditionType": "example.com/lb"}])
    assert patched(obj, response) == expected
    assert "warnings" not in response


def test_no_empty_lists_are_left_where_our_gates_were() -> None:
    response = mutate(approved_world(), pod())
    assert patched(pod(), response) == pod(gated=False)


def test_an_entitled_pod_without_gates_is_allowed_on_both_sides() -> None:
    assert "patch" not in mutate(approved_world(), pod(gated=False))
    assert validate(approved_world(), pod(gated=False)) == {"uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "allowed": True}


def test_a_held_pod_stays_as_it_is_and_the_warning_says_what_is_missing() -> None:
    for answer in (mutate, validate):
        warnings = held_with(answer(verified_world(), pod()), "ApprovalMissing")
        assert warnings[0].startswith("held by sluice: churn/2.1.0 is not entitled")
        assert any("security" in line for line in warnings)
        assert all("\n" not in line and len(line.encode()) <= 256 for line in warnings)


def test_a_pod_of_a_release_that_is_not_there_waits_for_it() -> None:
    warnings = held_with(validate(approved_world(), pod(release="churn-3")), "ReleaseNotFound")
    assert "churn-3" in warnings[0]


@pytest.mark.parametrize("gates", [[], [{"name": "example.com/other"}]])
def test_a_pod_that_should_be_held_and_has_no_gate_is_denied(gates: list[dict[str, str]]) -> None:
    message = denied_with(validate(verified_world(), pod(gated=False, schedulingGates=gates)), "ApprovalMissing")
    assert "no scheduling gate sluice.dev/release" in message
    denied_with(validate(verified_world(), pod(release="churn-3", gated=False)), "ReleaseNotFound")


def test_a_rejected_release_denies_with_the_objection() -> None:
    world = verified_world()
    no = approval("no", world, role="security", username="sam@example.com", groups=[], decision="Reject", comment="leaks")
    world.put("ReleaseApproval", no)
    message = denied_with(validate(world, pod()), "Rejected")
    assert message.splitlines()[0] == "denied by sluice: churn/2.1.0 was rejected for namespace payments (Rejected)"
    assert "→" in message.splitlines()[-1]
    assert "patch" not in mutate(world, pod())


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"containers": [{"name": "server", "image": "registry.example.com/server:v1"}]}, "ImageNotPinned"),
        ({"containers": [{"name": "server", "image": FOREIGN}]}, "ImageNotInRelease"),
        ({"containers": [{"name": "server", "image": SERVER_IMAGE}, {"name": "side", "image": FOREIGN}]}, "ImageNotInRelease"),
        ({"initContainers": [{"name": "fetch", "image": FOREIGN}]}, "ImageNotInRelease"),
        ({"initContainers": [{"name": "fetch", "image": "busybox"}]}, "ImageNotPinned"),
        ({"ephemeralContainers": [{"name": "debug", "image": FOREIGN}]}, "ImageNotInRelease"),
        ({"volumes": [{"name": "model", "image": {"reference": FOREIGN}}]}, "ImageNotInRelease"),
        ({"volumes": [{"name": "model", "image": {"reference": "registry.example.com/churn:latest"}}]}, "ImageNotPinned"),
        ({"volumes": [{"name": "model", "image": {}}]}, "ImageNotPinned"),
        ({"serviceAccountName": "admin"}, "ServiceAccountNotPermitted"),
        ({"serviceAccountName": None}, "ServiceAccountNotPermitted"),
    ],
)
def test_what_contradicts_an_approved_release_is_denied_and_keeps_its_gates(spec: dict[str, Any], reason: str) -> None:
    denied_with(validate(approved_world(), pod(**spec)), reason)
    assert "patch" not in mutate(approved_world(), pod(**spec))


@pytest.mark.parametrize(
    "spec",
    [
        {"containers": [{"name": "c", "image": f"elsewhere.example.com/renamed@{CARRIER}"}], "volumes": []},
        {"initContainers": [{"name": "c", "image": MODEL_IMAGE}], "volumes": []},
        {"ephemeralContainers": [{"name": "c", "image": MODEL_IMAGE}], "volumes": []},
        {},
    ],
)
@pytest.mark.parametrize("gated", [True, False])
def test_a_known_model_without_a_release_is_denied_wherever_it_stands(spec: dict[str, Any], gated: bool) -> None:
    message = denied_with(validate(approved_world(), pod(release=None, gated=gated, **spec)), "ReleaseNotNamed")
    assert f"sluice.dev/release: {NAME}" in message


def test_a_model_is_recognised_in_a_namespace_that_has_no_release_of_it() -> None:
    world = approved_world()
    world.put("Namespace", namespace("web"))
    denied_with(validate(world, pod(release=None), namespace="web"), "ReleaseNotNamed")
    held_with(validate(world, pod(), namespace="web"), "ReleaseNotFound")


def test_a_stranger_in_a_strict_namespace_loses_the_gates() -> None:
    world = approved_world()
    world.put("Namespace", namespace(**{"sluice.dev/strict": "true"}))
    obj = pod(release=None, containers=[{"name": "web", "image": "nginx"}], volumes=[])
    response = mutate(world, obj)
    assert patched(obj, response)["spec"] == pod(gated=False, containers=[{"name": "web", "image": "nginx"}], volumes=[])["spec"]
    assert "warnings" not in response


def test_gates_stay_while_the_label_of_the_namespace_has_not_reached_us() -> None:
    world = approved_world()
    world.put("Namespace", {"kind": "Namespace", "metadata": {"name": NAMESPACE}})
    assert "patch" not in mutate(world, pod(release=None, volumes=[], containers=[{"name": "web", "image": "nginx"}]))


def test_a_namespace_we_do_not_know_yet_holds() -> None:
    held_with(validate(approved_world(), pod(), namespace="new"), "NotReady")
    denied_with(validate(approved_world(), pod(gated=False), namespace="new"), "NotReady")


def test_a_blind_webhook_holds_what_is_gated_and_denies_what_is_not() -> None:
    world = approved_world()
    held_with(ask(Path.MUTATE, world, body(pod()), blind="it has not listed ModelRelease yet"), "NotReady")
    held_with(ask(Path.VALIDATE, world, body(pod()), blind="it has not listed ModelRelease yet"), "NotReady")
    message = denied_with(ask(Path.VALIDATE, world, body(pod(gated=False)), blind="it has not listed ModelRelease yet"), "NotReady")
    assert "it has not listed ModelRelease yet" in message


def test_deletion_exempts_no_pod() -> None:
    going = pod(gated=False)
    going["metadata"] |= {"deletionTimestamp": "2026-11-20T12:00:00Z", "deletionGracePeriodSeconds": 999999}
    denied_with(validate(verified_world(), going), "ApprovalMissing")
    old = pod(gated=False)
    going["spec"]["containers"] = [{"name": "server", "image": FOREIGN}]
    denied_with(validate(approved_world(), going, old=old), "ImageNotInRelease")


def test_a_running_pod_that_lost_its_entitlement_can_still_lose_its_finalizers() -> None:
    old, new = pod(gated=False), pod(gated=False)
    old["metadata"]["finalizers"] = ["batch.kubernetes.io/job-tracking"]
    new["metadata"]["annotations"] = {"a": "b"}
    for blind in ("", "it last heard from the API server 900 s ago"):
        assert ask(Path.VALIDATE, verified_world(), body(new, old=old), blind=blind)["allowed"]


def test_nobody_lifts_the_gate_before_the_release_is_entitled() -> None:
    denied_with(validate(verified_world(), pod(gated=False), old=pod()), "ApprovalMissing")
    assert validate(approved_world(), pod(gated=False), old=pod())["allowed"]


def test_an_existing_pod_keeps_its_gates_on_the_mutating_side() -> None:
    assert "patch" not in mutate(approved_world(), pod(), old=pod())


def test_an_ephemeral_container_must_be_of_the_release() -> None:
    old = pod(gated=False)
    new = pod(gated=False, ephemeralContainers=[{"name": "debug", "image": "busybox"}])
    denied_with(validate(approved_world(), new, old=old, about="v1/pods/ephemeralcontainers"), "ImageNotPinned")
    new = pod(gated=False, ephemeralContainers=[{"name": "debug", "image": SERVER_IMAGE}])
    assert validate(approved_world(), new, old=old, about="v1/pods/ephemeralcontainers")["allowed"]


def test_an_ephemeral_container_does_not_bring_a_model_into_a_stranger() -> None:
    web = {"containers": [{"name": "web", "image": "nginx"}], "volumes": []}
    new = pod(release=None, gated=False, ephemeralContainers=[{"name": "debug", "image": MODEL_IMAGE}], **web)
    old = pod(release=None, gated=False, **web)
    denied_with(validate(approved_world(), new, old=old, about="v1/pods/ephemeralcontainers"), "ReleaseNotNamed")


def test_a_label_taken_off_a_running_pod_does_not_hide_the_model() -> None:
    denied_with(validate(approved_world(), pod(release=None, gated=False), old=pod(gated=False)), "ReleaseNotNamed")


def test_a_forged_status_changes_nothing() -> None:
    world = verified_world()
    forged = item("ModelRelease", NAME, release_spec()) | {"status": {"phase": "Serving", "conditions": [{"type": "Ready", "status": "True"}]}}
    world.put("ModelRelease", forged)
    obj = pod() | {"status": {"phase": "Running", "conditions": [{"type": "sluice.dev/serving", "status": "True"}]}}
    obj["metadata"]["annotations"] = {"sluice.dev/held": "", "sluice.dev/allow": "true"}
    held_with(mutate(world, obj), "ApprovalMissing")
    held_with(validate(world, obj), "ApprovalMissing")


def test_a_dry_run_gets_the_same_answer() -> None:
    held_with(validate(verified_world(), pod(), dryRun=True), "ApprovalMissing")
    denied_with(validate(approved_world(), pod(serviceAccountName="admin"), dryRun=True), "ServiceAccountNotPermitted")
    assert "patch" in mutate(approved_world(), pod(), dryRun=True)


def test_the_namespace_of_the_request_counts_and_not_the_one_in_the_object() -> None:
    obj = pod(gated=False)
    obj["metadata"]["namespace"] = NAMESPACE
    world = approved_world()
    world.put("Namespace", namespace("web"))
    denied_with(validate(world, obj, namespace="web"), "ReleaseNotFound")


@pytest.mark.parametrize("spec", [None, [], {"containers": {"a": 1}}, {"containers": [None]}, {"containers": [{"image": SERVER}]}])
def test_a_pod_without_the_form_of_one_is_denied(spec: object) -> None:
    obj = pod()
    obj["spec"] = spec
    denied_with(validate(approved_world(), obj), "ObjectInvalid")
    denied_with(mutate(approved_world(), obj), "ObjectInvalid")


def of_run(release: str, role: str, **spec: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of the Pod's spec
    obj = pod(release=release, **spec)
    obj["metadata"]["labels"] |= {"sluice.dev/canary-run": "churn-2-1-0-1", "sluice.dev/canary-role": role}
    return obj


@pytest.mark.parametrize("world", [canary_world(), promoted_world()], ids=["scored", "promoted"])
@pytest.mark.parametrize(("release", "role"), [(NAME, "candidate"), (BASELINE, "baseline")])
def test_pods_of_a_run_keep_their_gates_although_their_release_may_serve(world: World, release: str, role: str) -> None:
    for answer in (mutate, validate):
        held_with(answer(world, of_run(release, role)), "CanaryPod")


def test_a_pod_of_a_run_without_the_gate_is_denied() -> None:
    denied_with(validate(canary_world(), of_run(NAME, "candidate", schedulingGates=[])), "CanaryPod")


@pytest.mark.parametrize(("release", "role"), [(NAME, "candidate"), (BASELINE, "baseline")])
def test_the_controller_may_let_a_pod_of_a_run_go_while_the_run_permits_it(release: str, role: str) -> None:
    world = canary_world()
    held, free = of_run(release, role), of_run(release, role, schedulingGates=[])
    assert "is not known to it yet" in denied_with(validate(world, free, old=held), "NotReady")
    world.put("CanaryRun", run("churn-2-1-0-1"))
    assert validate(world, free, old=held)["allowed"] is True
    world.put("CanaryRun", run("churn-2-1-0-1", decision="Inconclusive"))
    denied_with(validate(world, free, old=held), "CanaryPod")


def test_while_a_release_is_scored_its_pods_wait_and_once_rolled_back_they_are_denied() -> None:
    world = canary_world()
    world.put("CanaryRun", run("churn-2-1-0-1"))
    assert any("churn-2-1-0-1" in line for line in held_with(validate(world, pod()), "CanaryRunning"))
    world.put("CanaryRun", run("churn-2-1-0-1", decision="RollBack"))
    assert "was rolled back" in denied_with(validate(world, pod()), "CanaryRolledBack")


def of_drill(release: str, role: str, **spec: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of the Pod's spec
    obj = pod(release=release, **spec)
    obj["metadata"]["labels"] |= {"sluice.dev/drill": "monday", "sluice.dev/drill-role": role}
    return obj


@pytest.mark.parametrize(("release", "role"), [(NAME, "release"), (BASELINE, "baseline")])
def test_the_controller_may_let_a_pod_of_a_drill_go_while_the_drill_goes_on(release: str, role: str) -> None:
    world = promoted_world()
    held, free = of_drill(release, role), of_drill(release, role, schedulingGates=[])
    for answer in (mutate, validate):
        held_with(answer(world, held), "DrillPod")
    denied_with(validate(world, free), "DrillPod")
    assert "is not known to it yet" in denied_with(validate(world, free, old=held), "NotReady")
    digests = {name: world.releases[Key(namespace=NAMESPACE, name=name)].digest for name in (NAME, BASELINE)}  # type: ignore[union-attr]
    status = {"phase": "Starting", "releaseDigest": digests[NAME], "baseline": {"name": BASELINE}, "baselineDigest": digests[BASELINE]}
    drill = {"metadata": {"namespace": NAMESPACE, "name": "monday"}, "spec": {"release": {"name": NAME}}}
    world.put("ReleaseDrill", drill | {"status": status})
    assert validate(world, free, old=held)["allowed"] is True
    world.put("ReleaseDrill", drill | {"status": status | {"phase": "Passed"}})
    denied_with(validate(world, free, old=held), "DrillPod")


def test_a_pod_of_a_drill_in_a_scratch_namespace_is_judged_by_the_release_and_the_drill_of_the_namespace_that_it_is_scratch_for() -> None:
    world = promoted_world()
    labels = {"sluice.dev/govern": "true", "sluice.dev/stage": "production", "sluice.dev/scratch-for": NAMESPACE}
    world.put("Namespace", {"metadata": {"name": "drills", "labels": labels}})
    held, free = of_drill(NAME, "release"), of_drill(NAME, "release", schedulingGates=[])
    for obj in (held, free):
        obj["metadata"] |= {"namespace": "drills", "labels": obj["metadata"]["labels"] | {"sluice.dev/drill-namespace": NAMESPACE}}
    for answer in (mutate, validate):
        held_with(answer(world, held, namespace="drills"), "DrillPod")
    digests = {name: world.releases[Key(namespace=NAMESPACE, name=name)].digest for name in (NAME, BASELINE)}  # type: ignore[union-attr]
    status = {"phase": "Starting", "releaseDigest": digests[NAME], "baseline": {"name": BASELINE}, "baselineDigest": digests[BASELINE]}
    drill = {"metadata": {"namespace": NAMESPACE, "name": "monday"}, "spec": {"release": {"name": NAME}}}
    world.put("ReleaseDrill", drill | {"status": status})
    denied_with(validate(world, free, old=held, namespace="drills"), "DrillPod")
    world.put("ReleaseDrill", drill | {"status": status | {"scratchNamespace": "drills"}})
    assert validate(world, free, old=held, namespace="drills")["allowed"] is True
    world.put("Namespace", {"metadata": {"name": "drills", "labels": labels | {"sluice.dev/scratch-for": "risk"}}})
    held_with(validate(world, held, namespace="drills"), "ReleaseNotFound")
    assert validate(world, free, old=held, namespace="drills")["allowed"] is False
