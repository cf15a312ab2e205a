"""Deployments that come to name a release are paused by the API server, stay paused, and are cleared: no webhook and no controller runs here."""

from __future__ import annotations

import json

import pytest

from e2e.cluster import Cluster, StepFailed
from sluice.api.names import HELD_ANNOTATION, RELEASE_LABEL
from tests.cluster.gate import EDITOR, GITOPS, Object, deployment, patched
from tests.cluster.installation import CONTROLLER
from tests.cluster.namespace import Namespace, condition_of

TARGET = "deployment/churn"
LIFT = {"metadata": {"annotations": {HELD_ANNOTATION: None}}, "spec": {"paused": None}}


def held(obj: Object) -> str | None:
    """The release for which the Deployment is paused; None when it is neither paused nor marked."""
    mark: str | None = obj["metadata"].get("annotations", {}).get(HELD_ANNOTATION)
    assert bool(mark) == bool(obj["spec"].get("paused")), obj
    return mark


def names(release: str | None) -> Object:
    return {"spec": {"template": {"metadata": {"labels": {RELEASE_LABEL: release}}}}}


def running(cluster: Cluster, ns: Namespace, *, release: str | None) -> Object:
    """A Deployment that rolled out."""
    ns.apply(deployment(cluster, "churn", release=release), as_user=EDITOR)
    if release:
        patched(ns, TARGET, LIFT, as_user=CONTROLLER)
    return ns.wait("deployment", "churn", lambda obj: obj.get("status", {}).get("observedGeneration") == obj["metadata"]["generation"])


def test_a_new_deployment_that_names_a_release_is_paused(cluster: Cluster, governed: Namespace) -> None:
    assert held(governed.apply(deployment(cluster, "churn", release="churn-2"), as_user=EDITOR)) == "churn-2"
    paused = governed.wait("deployment", "churn", lambda obj: condition_of(obj, "Progressing") == "Unknown")
    assert [c["reason"] for c in paused["status"]["conditions"] if c["type"] == "Progressing"] == ["DeploymentPaused"]
    assert governed.list("replicasets") == []


def test_a_deployment_that_names_no_release_is_left_alone(cluster: Cluster, governed: Namespace) -> None:
    assert held(governed.apply(deployment(cluster, "churn", release=None))) is None


def test_what_runs_keeps_its_full_capacity_while_the_next_release_waits(cluster: Cluster, governed: Namespace) -> None:
    governed.apply(deployment(cluster, "churn", release=None, replicas=4))
    governed.wait("deployment", "churn", lambda obj: obj.get("status", {}).get("availableReplicas") == 4)
    assert held(patched(governed, TARGET, names("churn-2"), as_user=EDITOR)) == "churn-2"
    paused = governed.wait("deployment", "churn", lambda obj: obj["status"]["observedGeneration"] == obj["metadata"]["generation"])
    assert paused["status"]["availableReplicas"] == 4
    assert len(governed.list("replicasets")) == 1


def test_another_release_is_held_again(cluster: Cluster, governed: Namespace) -> None:
    running(cluster, governed, release="churn-2")
    assert held(patched(governed, TARGET, names("churn-3"), as_user=GITOPS)) == "churn-3"
    assert held(patched(governed, TARGET, names("churn-4"), as_user=GITOPS)) == "churn-4"


def test_the_controller_names_no_release_past_the_hold_either(cluster: Cluster, governed: Namespace) -> None:
    running(cluster, governed, release="churn-2")
    assert held(patched(governed, TARGET, names("churn-3"), as_user=CONTROLLER)) == "churn-3"


ATTEMPTS: list[Object] = [
    {"spec": {"paused": False}},
    {"spec": {"paused": None}},
    {"metadata": {"annotations": {HELD_ANNOTATION: None}}},
    {"metadata": {"annotations": {HELD_ANNOTATION: ""}}},
    {"metadata": {"annotations": {HELD_ANNOTATION: "churn-1"}}, "spec": {"paused": False}},
    {"metadata": {"annotations": None}, "spec": {"paused": False}},
    LIFT,
]


@pytest.mark.parametrize("who", [None, EDITOR, GITOPS])
def test_nobody_but_the_controller_resumes(cluster: Cluster, governed: Namespace, who: str | None) -> None:
    governed.apply(deployment(cluster, "churn", release="churn-2"))
    # One after the other: what one leaves behind must not open the door for the next.
    for attempt in (*ATTEMPTS, *reversed(ATTEMPTS)):
        assert held(patched(governed, TARGET, attempt, as_user=who)) == "churn-2", attempt


def test_rollout_resume_leaves_it_paused(cluster: Cluster, governed: Namespace) -> None:
    governed.apply(deployment(cluster, "churn", release="churn-2"))
    governed.kubectl("rollout", "resume", TARGET, as_user=EDITOR)
    assert held(governed.get("deployment", "churn")) == "churn-2"


@pytest.mark.parametrize("force", [False, True], ids=["replace", "delete-and-create"])
def test_replacing_it_leaves_it_paused(cluster: Cluster, governed: Namespace, force: bool) -> None:
    manifest = deployment(cluster, "churn", release="churn-2", paused=False)
    governed.apply(manifest)
    governed.kubectl("replace", "--filename=-", *(("--force",) if force else ()), stdin=json.dumps(manifest), as_user=GITOPS)
    assert held(governed.get("deployment", "churn")) == "churn-2"


def test_git_that_says_paused_false_leaves_it_paused(cluster: Cluster, governed: Namespace) -> None:
    for _ in range(2):
        assert held(governed.apply(deployment(cluster, "churn", release="churn-2", paused=False), as_user=GITOPS)) == "churn-2"


def test_the_hold_cannot_be_dropped_through_the_status(cluster: Cluster, governed: Namespace) -> None:
    governed.apply(deployment(cluster, "churn", release="churn-2"))
    dropped = patched(governed, TARGET, {"metadata": {"annotations": None}}, as_user=GITOPS, subresource="status")
    assert held(dropped) == "churn-2"
    assert held(patched(governed, TARGET, LIFT, as_user=GITOPS)) == "churn-2"


def test_a_held_deployment_can_be_changed_and_scaled(cluster: Cluster, governed: Namespace) -> None:
    governed.apply(deployment(cluster, "churn", release="churn-2"))
    governed.kubectl("scale", TARGET, "--replicas=3", as_user=EDITOR)
    stored = patched(governed, TARGET, {"metadata": {"labels": {"team": "a"}}, "spec": {"minReadySeconds": 1}}, as_user=EDITOR)
    assert (held(stored), stored["spec"]["replicas"], stored["spec"]["minReadySeconds"]) == ("churn-2", 3, 1)


def test_the_controller_resumes_and_it_stays_resumed(cluster: Cluster, governed: Namespace) -> None:
    governed.apply(deployment(cluster, "churn", release="churn-2"))
    assert held(patched(governed, TARGET, LIFT, as_user=CONTROLLER)) is None
    governed.wait("deployment", "churn", lambda obj: obj.get("status", {}).get("replicas") == 1)
    assert held(patched(governed, TARGET, {"spec": {"replicas": 2}}, as_user=EDITOR)) is None
    assert held(governed.apply(deployment(cluster, "churn", release="churn-2"), as_user=GITOPS)) is None


@pytest.mark.parametrize("who", [EDITOR, GITOPS, CONTROLLER])
def test_a_return_to_no_release_clears_the_hold(cluster: Cluster, governed: Namespace, who: str) -> None:
    running(cluster, governed, release=None)
    assert held(patched(governed, TARGET, names("churn-2"), as_user=EDITOR)) == "churn-2"
    assert held(patched(governed, TARGET, names(None), as_user=who)) is None
    governed.wait("deployment", "churn", lambda obj: condition_of(obj, "Available") == "True")


def test_a_pause_of_its_owner_stays_its_owners(cluster: Cluster, governed: Namespace) -> None:
    running(cluster, governed, release="churn-2")
    paused = patched(governed, TARGET, {"spec": {"paused": True}}, as_user=EDITOR)
    assert HELD_ANNOTATION not in paused["metadata"].get("annotations", {})
    assert patched(governed, TARGET, {"spec": {"paused": False}}, as_user=EDITOR)["spec"].get("paused", False) is False


def test_nobody_marks_a_deployment_as_held(cluster: Cluster, governed: Namespace) -> None:
    running(cluster, governed, release="churn-2")
    forged = {"metadata": {"annotations": {HELD_ANNOTATION: "churn-2"}}}
    for subresource in ("", "status"):
        assert held(patched(governed, TARGET, forged, as_user=GITOPS, subresource=subresource)) is None
    assert held(governed.apply(deployment(cluster, "churn", release="churn-2"), as_user=GITOPS)) is None


def test_the_hold_is_no_drift_for_the_one_who_applied(cluster: Cluster, governed: Namespace) -> None:
    manifest = json.dumps(deployment(cluster, "churn", release="churn-2"))
    governed.kubectl("apply", "--server-side", "--filename=-", stdin=manifest, as_user=GITOPS)
    # What its controller writes meanwhile would be a difference, too.
    governed.wait("deployment", "churn", lambda obj: obj.get("status", {}).get("observedGeneration") == obj["metadata"]["generation"])
    done = governed.kubectl("diff", "--server-side", "--filename=-", stdin=manifest, as_user=GITOPS, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_a_namespace_that_nobody_opted_in_is_not_paused(cluster: Cluster, gate: None, ns: Namespace) -> None:  # noqa: ARG001 - effective
    assert held(ns.apply(deployment(cluster, "churn", release="churn-2"))) is None


def test_pods_of_other_owners_wait_at_the_scheduling_gate(cluster: Cluster, governed: Namespace) -> None:
    manifest = deployment(cluster, "churn", release="churn-2")
    for kind, more in (("StatefulSet", {"serviceName": "churn"}), ("ReplicaSet", {})):
        spec: Object = {**manifest["spec"], **more}
        name = f"churn-{kind.lower()}"
        governed.apply({**manifest, "kind": kind, "metadata": {"name": name}, "spec": spec})
        governed.wait(kind, name, lambda obj: obj.get("status", {}).get("replicas") == 1)
    assert [pod["spec"]["schedulingGates"] for pod in governed.list("pods")] == [[{"name": "sluice.dev/release"}]] * 2
    with pytest.raises(StepFailed, match="only Sluice removes"):
        patched(governed, "pod/churn-statefulset-0", [{"op": "remove", "path": "/spec/schedulingGates"}], as_user=EDITOR, type_="json")
