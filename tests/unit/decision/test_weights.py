"""Weights on storage that checks nothing are checked by the Pod itself, and nothing that its author writes gets around that."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from typing import Any

import pytest

from sluice.decision.gate import Action, Decision, decide_pod
from sluice.decision.model import Release
from sluice.decision.pod import view_pod, view_template
from sluice.decision.weights import Check, checks_for, pinned, stored_weights
from sluice.webhook.admission import Path
from tests.unit.decision import case
from tests.unit.webhook.reviews import SCHEDULING, SERVER_IMAGE, ask, body, denied_with, patched, pod

Object = dict[str, Any]
VERIFIER = f"registry.example.com/sluice@{case.digest_of('sluice')}"
CLAIM = "pvc://models/churn/2"
BUCKET = "s3://models/churn/2"


@cache
def world_of(uri: str, *, verifier: str = VERIFIER) -> case.World:
    """An approved release whose weights are at `uri`; the same each time."""
    world = case.verified_world()
    world.verifier = verifier
    spec = case.release_spec()
    spec["artifacts"][0]["uri"] = uri
    world.put("ModelRelease", case.item("ModelRelease", case.NAME, spec))
    case.approve(world, case.KEY)
    return world


def release_of(world: case.World) -> Release:
    release = world.releases[case.KEY]
    assert isinstance(release, Release)
    return release


def mount(name: str = "model", **more: Any) -> Object:  # noqa: ANN401 - fields of a mount
    return {"name": name, "mountPath": "/models", "readOnly": True} | more


def server(*mounts: Object, name: str = "server") -> Object:
    return {"name": name, "image": SERVER_IMAGE, "volumeMounts": list(mounts)}


def on_claim(**spec: Any) -> Object:  # noqa: ANN401 - fields of the Pod's spec
    """A Pod that serves from a claim."""
    fields: Object = {"containers": [server(mount(subPath="churn/2"))], "volumes": [{"name": "model", "persistentVolumeClaim": {"claimName": "models"}}]}
    return pod(**(fields | spec))


def fetched(**spec: Any) -> Object:  # noqa: ANN401 - fields of the Pod's spec
    """A Pod that fetches its weights first."""
    fetch = {"name": "fetch", "image": SERVER_IMAGE, "volumeMounts": [mount(readOnly=False)]}
    fields: Object = {"initContainers": [fetch], "containers": [server(mount())], "volumes": [{"name": "model", "emptyDir": {}}]}
    return pod(**(fields | spec))


PODS = {CLAIM: on_claim, BUCKET: fetched}


def mutated(world: case.World, obj: Object) -> Object:
    return patched(obj, ask(Path.MUTATE, world, body(obj)))


def stored(obj: Object) -> Object:
    """What the API server and others fill in."""
    obj = deepcopy(obj)
    for container in (*obj["spec"].get("initContainers", ()), *obj["spec"]["containers"]):
        container |= {"terminationMessagePath": "/dev/termination-log", "imagePullPolicy": "IfNotPresent"}
        token = {"name": "kube-api-access-x", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": True}
        container.setdefault("volumeMounts", []).append(token)
    return obj


def decided(world: case.World, obj: Object) -> Decision:
    return decide_pod(view_pod(obj), world.namespaces[case.NAMESPACE], world.subject(case.NAMESPACE, case.NAME, now=case.NOW), serves={})


@pytest.mark.parametrize("uri", PODS)
def test_the_webhook_adds_the_check_last_and_the_final_pod_is_entitled_once_the_controller_sees_it(uri: str) -> None:
    world, before = world_of(uri), PODS[uri]()
    after = mutated(world, before)
    *others, ours = after["spec"]["initContainers"]
    assert others == before["spec"].get("initContainers", [])
    assert (ours["image"], ours["args"][0]) == (VERIFIER, "verify-weights")
    assert ours["args"][-2:] == [case.weights_digest(), "/sluice/weights/churn/2" if uri == CLAIM else "/sluice/weights"]
    assert {"name": "model", "mountPath": "/sluice/weights", "readOnly": True} in ours["volumeMounts"]
    assert after["spec"]["volumes"][-1]["configMap"]["name"] == ours["volumeMounts"][-1]["name"]
    # The gates stay: it is the controller that looks at the final Pod.
    assert (after["spec"]["schedulingGates"], after["spec"]["readinessGates"]) == (before["spec"]["schedulingGates"], before["spec"]["readinessGates"])
    assert ask(Path.VALIDATE, world, body(stored(after)))["allowed"] is True
    assert decided(world, stored(after)).action is Action.ALLOW


@pytest.mark.parametrize("uri", PODS)
def test_asked_a_second_time_it_changes_nothing(uri: str) -> None:
    world = world_of(uri)
    once = mutated(world, PODS[uri]())
    assert mutated(world, once) == once
    assert mutated(world, stored(once)) == stored(once)


@pytest.mark.parametrize("uri", PODS)
def test_a_pod_without_the_check_is_denied_by_webhook_and_controller(uri: str) -> None:
    world = world_of(uri)
    denied_with(ask(Path.VALIDATE, world, body(PODS[uri]())), "WeightsUnverified")
    decision = decided(world, PODS[uri]())
    assert (decision.action, decision.reason) == (Action.DENY, "WeightsUnverified")
    # The template of an owner is not final: nobody is warned of what the webhook will add.
    template = view_template(PODS[uri]())
    subject = world.subject(case.NAMESPACE, case.NAME, now=case.NOW)
    assert decide_pod(template, world.namespaces[case.NAMESPACE], subject, serves={}).action is Action.ALLOW


NOT_ROOT: Object = {"securityContext": {"runAsUser": 1000}}


@pytest.mark.parametrize(
    ("context", "skips"),
    [
        (None, False), ({"runAsUser": 1000}, True), ({"runAsNonRoot": True}, True), ({"runAsUser": 0}, False), ({"runAsUser": 0, "runAsNonRoot": True}, False),
        ({"runAsNonRoot": False}, False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("level", ["Pod", "container"])
def test_a_lost_and_found_is_passed_over_only_where_nobody_who_loads_is_root(context: Object | None, level: str, *, skips: bool) -> None:
    spec: Object = {"securityContext": context} if context else {}
    obj = fetched(**spec) if level == "Pod" else fetched(containers=[server(mount()) | spec])
    args = mutated(world_of(BUCKET), obj)["spec"]["initContainers"][-1]["args"]
    assert ("--skip-lost-found" in args) is skips


def test_one_container_that_may_be_root_is_enough_to_look_into_lost_and_found() -> None:
    """Wherever it mounts the volume; whoever fetches the weights may be anybody."""
    one, other = server(mount()) | NOT_ROOT, server(mount(), name="other")
    side = server(mount(), name="side") | {"restartPolicy": "Always"}
    fetch = fetched()["spec"]["initContainers"]
    for fields in ({"containers": [one, other]}, {"containers": [one], "initContainers": [*fetch, side]}):
        assert "--skip-lost-found" not in mutated(world_of(BUCKET), fetched(**fields))["spec"]["initContainers"][-1]["args"]
    elsewhere = server(name="other")
    assert "--skip-lost-found" in mutated(world_of(BUCKET), fetched(containers=[one, elsewhere]))["spec"]["initContainers"][-1]["args"]
    # A part of a claim has none at its top; the whole of it has, whatever the volumes are called that show it.
    whole = on_claim(containers=[server(mount()) | NOT_ROOT])
    assert "--skip-lost-found" in mutated(world_of("pvc://models"), whole)["spec"]["initContainers"][-1]["args"]
    whole["spec"]["containers"].append(server(mount("again"), name="other"))
    whole["spec"]["volumes"].append({"name": "again", "persistentVolumeClaim": {"claimName": "models"}})
    assert "--skip-lost-found" not in mutated(world_of("pvc://models"), whole)["spec"]["initContainers"][-1]["args"]
    assert "--skip-lost-found" not in mutated(world_of(CLAIM), on_claim(**NOT_ROOT))["spec"]["initContainers"][-1]["args"]


def test_a_check_that_was_told_to_skip_and_should_not_is_no_check() -> None:
    world = world_of(BUCKET)
    after = mutated(world, fetched(**NOT_ROOT))
    assert decided(world, stored(after)).action is Action.ALLOW
    after["spec"]["containers"][0]["securityContext"] = {"runAsUser": 0}
    assert decided(world, stored(after)).reason == "WeightsUnverified"
    root = mutated(world, fetched(securityContext={"runAsUser": 0}))
    root["spec"]["initContainers"][-1]["args"].insert(1, "--skip-lost-found")
    assert decided(world, stored(root)).reason == "WeightsUnverified"


CHANGES: dict[str, Object] = {
    "another image": {"image": SERVER_IMAGE},
    "a command of its own": {"command": ["true"]},
    "other arguments": {"args": ["--help"]},
    "an environment": {"env": [{"name": "PYTHONPATH", "value": "/models"}]},
    "an environment from elsewhere": {"envFrom": [{"configMapRef": {"name": "x"}}]},
    "no weights": {"volumeMounts": []},
    "a restart policy": {"restartPolicy": "Always"},
    "a working directory": {"workingDir": "/models"},
    "privileges": {"securityContext": {"privileged": True}},
    "a hook": {"lifecycle": {"postStart": {"exec": {"command": ["true"]}}}},
    "a device": {"volumeDevices": [{"name": "model", "devicePath": "/dev/x"}]},
}


@pytest.mark.parametrize("uri", PODS)
@pytest.mark.parametrize("change", CHANGES)
def test_a_container_that_only_bears_the_name_is_replaced_and_one_that_was_changed_afterwards_is_denied(uri: str, change: str) -> None:
    world = world_of(uri)
    right = mutated(world, PODS[uri]())
    wrong = deepcopy(right)
    wrong["spec"]["initContainers"][-1] |= CHANGES[change]
    assert ask(Path.VALIDATE, world, body(stored(wrong)))["allowed"] is False
    assert (decided(world, stored(wrong)).action, decided(world, stored(wrong)).reason) == (Action.DENY, "WeightsUnverified")
    assert mutated(world, wrong) == right


@pytest.mark.parametrize("where", ["/opt", "/sluice/weights/churn", "/usr/local/lib/python3.11", "/var/run/secrets/kubernetes.io"])
def test_nothing_else_may_be_mounted_into_the_check(where: str) -> None:
    world = world_of(CLAIM)
    obj = mutated(world, on_claim())
    obj["spec"]["initContainers"][-1]["volumeMounts"].append({"name": "mine", "mountPath": where})
    assert (decided(world, obj).action, decided(world, obj).reason) == (Action.DENY, "WeightsUnverified")


@pytest.mark.parametrize(
    ("uri", "spec"),
    [
        (CLAIM, {"containers": [server(mount(subPath="churn/2", readOnly=False))]}),
        (CLAIM, {"containers": [server(mount(subPath="churn/2")), server(mount(subPath="churn/2", readOnly=False), name="side")]}),
        (CLAIM, {"initContainers": [{"name": "first", "image": SERVER_IMAGE, "volumeMounts": [mount(readOnly=False)]}]}),
        (CLAIM, {"ephemeralContainers": [{"name": "debug", "image": SERVER_IMAGE, "volumeMounts": [mount(subPath="churn/2", readOnly=False)]}]}),
        (CLAIM, {"containers": [{"name": "server", "image": SERVER_IMAGE, "volumeDevices": [{"name": "model", "devicePath": "/dev/xvda"}]}]}),
        (
            CLAIM,
            {
                "volumes": [{"name": name, "persistentVolumeClaim": {"claimName": "models"}} for name in ("model", "again")],
                "containers": [server(mount(subPath="churn/2"), mount("again", readOnly=False, subPath="churn/2", mountPath="/b"))],
            },
        ),
        (BUCKET, {"containers": [server(mount(readOnly=False))]}),
        (BUCKET, {"initContainers": [{"name": "f", "image": SERVER_IMAGE, "restartPolicy": "Always", "volumeMounts": [mount(readOnly=False)]}]}),
    ],
)
def test_what_could_change_the_weights_after_the_check_is_denied(uri: str, spec: Object) -> None:
    world = world_of(uri)
    obj = mutated(world, PODS[uri](**spec))
    decision = decided(world, obj)
    assert decision.action is Action.DENY
    assert decision.reason in {"WeightsWritable", "WeightsNotMounted"}
    assert ask(Path.VALIDATE, world, body(obj))["allowed"] is False


def test_an_init_container_that_comes_after_the_check_must_not_write() -> None:
    world = world_of(BUCKET)
    obj = mutated(world, fetched())
    obj["spec"]["initContainers"].append({"name": "late", "image": SERVER_IMAGE, "volumeMounts": [mount(readOnly=False)]})
    assert decided(world, obj).reason == "WeightsWritable"
    # Where mutating is repeated after another webhook, the check comes last again.
    again = mutated(world, obj)
    assert [container["name"] for container in again["spec"]["initContainers"]][:2] == ["fetch", "late"]
    assert decided(world, again).action is Action.ALLOW


@pytest.mark.parametrize("sub_path", ["", "churn", "churn/20", "other", "churn/1"])
def test_a_part_of_the_claim_that_is_not_checked_is_not_served_from(sub_path: str) -> None:
    world = world_of(CLAIM)
    decision = decided(world, mutated(world, on_claim(containers=[server(mount(subPath=sub_path))])))
    assert (decision.action, decision.reason) == (Action.DENY, "WeightsNotMounted")


def test_a_claim_that_is_read_only_as_a_whole_needs_no_word_on_each_mount() -> None:
    world = world_of(CLAIM)
    volumes = [{"name": "model", "persistentVolumeClaim": {"claimName": "models", "readOnly": True}}]
    obj = on_claim(volumes=volumes, containers=[server(mount(subPath="churn/2/shards", readOnly=False))])
    assert decided(world, mutated(world, obj)).action is Action.ALLOW


@pytest.mark.parametrize(
    ("uri", "spec"),
    [
        (CLAIM, {"volumes": [{"name": "model", "persistentVolumeClaim": {"claimName": "others"}}]}),
        (CLAIM, {"volumes": [{"name": "model", "emptyDir": {}}]}),
        ("pvc://models/../etc", {}),
        ("pvc:///churn", {}),
        (BUCKET, {"initContainers": []}),
        (BUCKET, {"volumes": [{"name": "model", "hostPath": {"path": "/models"}}]}),
        (BUCKET, {"volumes": [{"name": "model", "nfs": {"server": "x", "path": "/"}}]}),
    ],
)
def test_a_pod_that_does_not_mount_what_the_release_says_is_denied(uri: str, spec: Object) -> None:
    world = world_of(uri)
    obj = PODS.get(uri, on_claim)(**spec)
    assert mutated(world, obj)["spec"].get("initContainers", []) == obj["spec"].get("initContainers", [])
    assert decided(world, obj).reason == "WeightsNotMounted"


def test_two_volumes_that_could_be_meant_are_one_too_many() -> None:
    world = world_of(BUCKET)
    two = [mount(readOnly=False), mount("cache", readOnly=False, mountPath="/cache")]
    obj = fetched(
        initContainers=[{"name": "fetch", "image": SERVER_IMAGE, "volumeMounts": two}], containers=[server(*two)],
        volumes=[{"name": name, "emptyDir": {}} for name in ("model", "cache")],
    )  # fmt: skip
    decision = decided(world, obj)
    assert (decision.reason, "model, cache" in decision.message) == ("WeightsNotMounted", True)


@pytest.mark.parametrize(
    ("spec", "user"),
    [
        ({}, 65532),
        ({"securityContext": {"runAsUser": 1000}}, 1000),
        ({"containers": [server(mount(subPath="churn/2")) | {"securityContext": {"runAsUser": 7}}], "securityContext": {"runAsUser": 1000}}, 7),
        ({"securityContext": {"runAsUser": 0}}, 0),
    ],
)
def test_the_check_reads_as_whoever_serves(spec: Object, user: int) -> None:
    world = world_of(CLAIM)
    obj = mutated(world, on_claim(**spec))
    context = obj["spec"]["initContainers"][-1]["securityContext"]
    assert (context["runAsUser"], context["runAsNonRoot"]) == (user, user != 0)
    assert decided(world, obj).action is Action.ALLOW


@pytest.mark.parametrize("uri", PODS)
def test_without_an_image_that_checks_such_pods_wait_and_say_for_whom(uri: str) -> None:
    world = world_of(uri, verifier="")
    assert mutated(world, PODS[uri]()) == PODS[uri](gated=True)
    decision = decided(world, PODS[uri]())
    assert (decision.action, decision.reason) == (Action.HOLD, "VerifierMissing")


@pytest.mark.parametrize(
    "uri", ["gs://b/x", "hf://org/model@main", "https://models.example.com/x.tar", "s3://b/x@" + case.CARRIER, "mlflow://runs/1", "pvc://c"]
)
def test_every_place_that_checks_nothing_is_one(uri: str) -> None:
    (weights,) = stored_weights(release_of(world_of(uri)))
    assert weights.digest == case.weights_digest()


@pytest.mark.parametrize("uri", [f"oci://registry.example.com/churn@{case.CARRIER}", f"registry.example.com/churn@{case.CARRIER}", f"pvc+x@{case.CARRIER}"])
def test_what_a_manifest_digest_binds_is_checked_by_the_node(uri: str) -> None:
    assert stored_weights(release_of(world_of(uri))) == ()


def test_a_pod_of_a_release_in_a_registry_is_let_in_as_ever() -> None:
    world = case.approved_world()
    world.verifier = VERIFIER
    assert "schedulingGates" not in mutated(world, pod())["spec"]


def test_the_image_of_sluice_is_permitted_in_exactly_that_container() -> None:
    world = world_of(CLAIM)
    obj = mutated(world, on_claim())
    obj["spec"]["containers"].append({"name": "mine", "image": VERIFIER})
    assert decided(world, obj).reason == "ImageNotInRelease"
    obj["spec"]["containers"].pop()
    obj["spec"]["initContainers"].insert(0, deepcopy(obj["spec"]["initContainers"][0]) | {"name": "sluice-verify-000000000000"})
    assert decided(world, obj).action is Action.DENY


def test_each_release_has_checks_of_its_own() -> None:
    world = world_of(CLAIM)
    (check,) = _checks(world)
    other = Release(namespace=case.NAMESPACE, name="other", spec=release_of(world).spec)
    (another,) = stored_weights(other)
    assert another.manifest != check.weights.manifest


def test_a_gated_pod_that_is_not_entitled_yet_gets_its_check_already() -> None:
    world = world_of.__wrapped__(CLAIM)
    world.remove("ReleaseApproval", case.Key(case.NAMESPACE, f"{case.NAME}-by-owner"))
    after = mutated(world, on_claim())
    assert after["spec"]["schedulingGates"] == [SCHEDULING]
    assert len(after["spec"]["initContainers"]) == 1


def _checks(world: case.World) -> tuple[Check, ...]:
    checks = checks_for(view_pod(on_claim()), release_of(world), VERIFIER)
    assert isinstance(checks, tuple)
    return checks


@pytest.mark.parametrize("image", ["registry.example.com/sluice:v1", "registry.example.com/sluice", "@sha256:" + "a" * 64, "x@sha256:abc"])
def test_the_image_that_checks_is_named_by_digest(image: str) -> None:
    assert (pinned(""), pinned(VERIFIER)) == ("", VERIFIER)
    with pytest.raises(ValueError, match="by digest"):
        pinned(image)


MODEL = f"registry.example.com/churn@{case.CARRIER}"
OTHER = f"registry.example.com/churn@{case.digest_of('another model')}"
CARRIED: dict[str, Callable[[str], Object]] = {
    "an image volume": lambda image: {"volumes": [{"name": "model", "image": {"reference": image}}]},
    "a ModelCar beside the server": lambda image: {"containers": [server(), {"name": "modelcar", "image": image}], "volumes": []},
    "a ModelCar that starts first": lambda image: {"initContainers": [{"name": "modelcar", "image": image, "restartPolicy": "Always"}], "volumes": []},
    "a container that copies it": lambda image: {"initContainers": [{"name": "copy", "image": image}], "volumes": []},
}


@pytest.mark.parametrize("how", CARRIED)
def test_a_model_in_a_registry_is_recognised_however_a_pod_carries_it(how: str) -> None:
    world = case.approved_world()
    assert decided(world, pod(**CARRIED[how](MODEL))).action is Action.ALLOW
    assert decided(world, pod(**CARRIED[how](OTHER))).reason == "ImageNotInRelease"
    assert decided(world, pod(**CARRIED[how]("registry.example.com/churn:2.1.0"))).reason == "ImageNotPinned"
    denied_with(ask(Path.VALIDATE, world, body(pod(release=None, **CARRIED[how](MODEL)))), "ReleaseNotNamed")
