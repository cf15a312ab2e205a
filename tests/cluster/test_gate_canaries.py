"""Runs, and what belongs to one, are the controller's: said by the API server alone."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import yaml

from e2e.cluster import Cluster, StepFailed
from sluice.api.names import (
    CANARY_LABEL,
    CANARY_ROLE_LABEL,
    DRILL_LABEL,
    DRILL_NAMESPACE_LABEL,
    DRILL_ROLE_LABEL,
    DRILL_UID_LABEL,
    GOVERN_LABEL,
    SCRATCH_LABEL,
)
from tests.cluster.gate import EDITOR, GITOPS, Object, patched, pod
from tests.cluster.installation import CONTROLLER, ROOT
from tests.cluster.namespace import Namespace

RUN: Object = yaml.safe_load((ROOT / "examples/CanaryRun.yaml").read_text())
MINE = {CANARY_LABEL: "churn-2-1-0-1", CANARY_ROLE_LABEL: "candidate"}
OTHERS = (None, EDITOR, GITOPS)
REFUSED = r"are set by the controller only"


@pytest.fixture
def scored(governed: Namespace) -> Namespace:
    """A governed namespace where everybody may do everything, as far as RBAC is concerned."""
    rbac = "rbac.authorization.k8s.io"
    role = {"apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-admin"}
    subjects = [{"apiGroup": rbac, "kind": "User", "name": user} for user in (EDITOR, CONTROLLER)]
    governed.apply({"apiVersion": f"{rbac}/v1", "kind": "RoleBinding", "metadata": {"name": "everybody"}, "roleRef": role, "subjects": subjects})
    return governed


def labelled(obj: Object, **labels: str) -> Object:
    return obj | {"metadata": obj["metadata"] | {"labels": obj["metadata"].get("labels", {}) | labels}}


def until(condition: Callable[[], bool], *, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def job(cluster: Cluster, name: str, *, role: str) -> Object:
    template = labelled(pod(cluster, name), **MINE | {CANARY_ROLE_LABEL: role})
    template["spec"]["restartPolicy"] = "Never"
    spec = {"template": {"metadata": {"labels": template["metadata"]["labels"]}, "spec": template["spec"]}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}


# Runs.


def test_only_the_controller_makes_a_run(scored: Namespace, subtests: pytest.Subtests) -> None:
    for who in OTHERS:
        with subtests.test(who=who), pytest.raises(StepFailed, match=r"canary runs are made by the controller only"):
            scored.create(RUN, as_user=who)
    assert scored.create(RUN, as_user=CONTROLLER)["metadata"]["name"] == "churn-2-1-0-1"


def test_only_the_controller_changes_a_run(scored: Namespace, subtests: pytest.Subtests) -> None:
    changes: dict[str, Any] = {
        "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "mine", "uid": "0"}],
        "finalizers": ["example.com/never"],
        "labels": {"a": "b"},
    }
    scored.create(RUN, as_user=CONTROLLER)
    for who, (field, value) in product(OTHERS, changes.items()):
        with subtests.test(who=who, field=field), pytest.raises(StepFailed, match=r"canary runs are changed by the controller only"):
            patched(scored, "canaryrun/churn-2-1-0-1", {"metadata": {field: value}}, as_user=who)


def test_who_may_do_anything_in_a_namespace_deletes_no_run_of_it(scored: Namespace, subtests: pytest.Subtests) -> None:
    scored.create(RUN, as_user=CONTROLLER)
    for who, which in product((EDITOR, GITOPS), ("churn-2-1-0-1", "--all")):
        with subtests.test(who=who, which=which), pytest.raises(StepFailed, match=r"canary runs stay, or what was rolled back could be tried again"):
            scored.kubectl("delete", "canaryrun", which, as_user=who)
    assert scored.get("canaryrun", "churn-2-1-0-1")["metadata"]["name"] == "churn-2-1-0-1"


def test_nobody_empties_the_collection_of_runs_either(cluster: Cluster, scored: Namespace) -> None:
    scored.create(RUN, as_user=CONTROLLER)
    with pytest.raises(StepFailed, match=r"canary runs stay, or what was rolled back could be tried again"):
        cluster.kubectl("delete", f"--raw=/apis/sluice.dev/v1alpha1/namespaces/{scored.name}/canaryruns", as_user=EDITOR)


@pytest.mark.parametrize("cascade", ["background", "foreground"])
@pytest.mark.parametrize("who", [CONTROLLER, None], ids=["controller", "platform-team"])
def test_the_controller_and_the_platform_team_delete_runs(scored: Namespace, who: str | None, cascade: str) -> None:
    scored.create(RUN, as_user=CONTROLLER)
    scored.kubectl("delete", "canaryrun", "churn-2-1-0-1", f"--cascade={cascade}", "--wait", "--timeout=30s", as_user=who)
    assert scored.kubectl("get", "canaryruns", "--output=name").stdout == ""


def test_runs_go_with_their_namespace(cluster: Cluster, gate: None) -> None:  # noqa: ARG001 - the policies are effective
    with Namespace(cluster, labels={GOVERN_LABEL: "true"}, prefix="ending") as namespace:
        namespace.create(pod(cluster, "other"))
        controller = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": CONTROLLER}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
        binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "c"}, "roleRef": role, "subjects": [controller]}
        namespace.apply(binding)
        namespace.create(RUN, as_user=CONTROLLER)
        cluster.kubectl("delete", "namespace", namespace.name, "--wait", "--timeout=60s")
        assert cluster.kubectl("get", "namespace", namespace.name, "--ignore-not-found", "--output=name").stdout == ""


# Pods and Jobs of a run.


def test_nobody_else_makes_a_pod_of_a_run(cluster: Cluster, scored: Namespace, subtests: pytest.Subtests) -> None:
    for who, (label, value) in product(OTHERS, MINE.items()):
        with subtests.test(who=who, label=label), pytest.raises(StepFailed, match=REFUSED):
            scored.create(labelled(pod(cluster, "churn", release="churn-2"), **{label: value}), as_user=who)


def test_a_pod_of_a_run_is_made_by_the_controller_and_held_like_any_other(cluster: Cluster, scored: Namespace) -> None:
    stored = scored.create(labelled(pod(cluster, "churn", release="churn-2"), **MINE), as_user=CONTROLLER)
    assert [gate["name"] for gate in stored["spec"]["schedulingGates"]] == ["sluice.dev/release"]


def test_a_pod_neither_joins_nor_leaves_a_run(cluster: Cluster, scored: Namespace, subtests: pytest.Subtests) -> None:
    scored.create(pod(cluster, "plain"))
    scored.create(labelled(pod(cluster, "churn", release="churn-2"), **MINE), as_user=CONTROLLER)
    changes: list[tuple[str, dict[str, Any]]] = [("plain", MINE), ("churn", dict.fromkeys(MINE)), ("churn", {CANARY_ROLE_LABEL: "scorer"})]
    for who, subresource, (name, labels) in product((None, GITOPS), ("", "status"), changes):
        with subtests.test(who=who, subresource=subresource, name=name, labels=labels), pytest.raises(StepFailed, match=REFUSED):
            patched(scored, f"pod/{name}", {"metadata": {"labels": labels}}, as_user=who, subresource=subresource)
    for who, team in ((None, "a"), (GITOPS, "b")):
        assert patched(scored, "pod/churn", {"metadata": {"labels": {"team": team}}}, as_user=who)["metadata"]["labels"]["team"] == team


def test_nobody_else_makes_a_job_of_a_run(cluster: Cluster, scored: Namespace, subtests: pytest.Subtests) -> None:
    for who in OTHERS:
        with subtests.test(who=who), pytest.raises(StepFailed, match=REFUSED):
            scored.create(job(cluster, "scorers", role="scorer"), as_user=who)


def test_a_job_does_not_join_a_run_while_it_is_suspended(cluster: Cluster, scored: Namespace) -> None:
    plain = job(cluster, "plain", role="scorer")
    plain["spec"]["template"]["metadata"]["labels"] = {"app": "plain"}
    plain["spec"]["suspend"] = True
    scored.create(plain, as_user=EDITOR)
    with pytest.raises(StepFailed, match=REFUSED):
        patched(scored, "job/plain", {"spec": {"template": {"metadata": {"labels": MINE}}}}, as_user=EDITOR)


def test_the_controllers_job_makes_scorers_and_nothing_else(cluster: Cluster, scored: Namespace) -> None:
    for name, role in (("impostors", "candidate"), ("scorers", "scorer")):
        scored.create(job(cluster, name, role=role), as_user=CONTROLLER)
    scored.wait("job", "scorers", lambda obj: (obj.get("status") or {}).get("active") == 1)
    until(lambda: any(re.search(REFUSED, event.get("message") or "") for event in scored.list("events")))
    assert [item["metadata"]["labels"][CANARY_ROLE_LABEL] for item in scored.list("pods")] == ["scorer"]


def test_a_deployment_makes_no_pods_of_a_run(cluster: Cluster, scored: Namespace) -> None:
    template = labelled(pod(cluster, "churn"), **MINE)
    made = {"metadata": {"labels": template["metadata"]["labels"]}, "spec": template["spec"]}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "churn"}}, "template": made}
    scored.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "churn"}, "spec": spec}, as_user=EDITOR)

    def refused(obj: Object) -> bool:
        return any(c["type"] == "ReplicaFailure" and re.search(REFUSED, c["message"]) for c in (obj.get("status") or {}).get("conditions") or [])

    scored.wait("deployment", "churn", refused)


def test_where_nobody_opted_in_the_labels_are_anybodys(cluster: Cluster, gate: None, ns: Namespace) -> None:  # noqa: ARG001 - the policies are effective
    assert ns.create(labelled(pod(cluster, "churn"), **MINE))["metadata"]["labels"][CANARY_LABEL] == MINE[CANARY_LABEL]


# Drills.


def test_pods_of_a_drill_are_the_controllers_and_its_services_are_those_of_drills(cluster: Cluster, scored: Namespace) -> None:
    mine = {DRILL_LABEL: "monday", DRILL_ROLE_LABEL: "release"}
    refused = rf"the labels {DRILL_LABEL}, {DRILL_ROLE_LABEL}, {DRILL_NAMESPACE_LABEL} are set by the controller only"
    for who in (None, EDITOR, GITOPS):
        for name, value in {**mine, DRILL_NAMESPACE_LABEL: "payments"}.items():
            with pytest.raises(StepFailed, match=refused):
                scored.create(labelled(pod(cluster, "churn", release="churn-2"), **{name: value}), as_user=who)
    stored = scored.create(labelled(pod(cluster, "churn", release="churn-2"), **mine), as_user=CONTROLLER)
    assert [gate["name"] for gate in stored["spec"]["schedulingGates"]] == ["sluice.dev/release"]
    with pytest.raises(StepFailed, match=refused):
        patched(scored, "pod/churn", {"metadata": {"labels": dict.fromkeys(mine)}}, as_user=GITOPS)

    def service(name: str, labels: Object, selector: Object) -> Object:
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": labels}, "spec": {"clusterIP": "None", "selector": selector}}

    label: Object = {DRILL_LABEL: "monday"}
    others: list[tuple[Object, Object]] = [({}, label), (label, {"app": "churn"}), (label, {DRILL_LABEL: "tuesday"}), ({"app": "churn"}, {"app": "churn"})]
    for labels, selector in others:
        with pytest.raises(StepFailed, match="denied by sluice: the controller makes and deletes services of drills only"):
            scored.create(service("other", labels, selector), as_user=CONTROLLER)
    scored.create(service("users", {}, {"app": "churn"}), as_user=EDITOR)
    with pytest.raises(StepFailed, match="denied by sluice: the controller makes and deletes services of drills only"):
        scored.kubectl("delete", "service", "users", as_user=CONTROLLER)
    scored.create(service("monday", label, label), as_user=CONTROLLER)
    # Of a drill of another namespace, only where that is wanted; and its Service stays as the controller has made it.
    from_there = {DRILL_NAMESPACE_LABEL: "payments"}
    away = labelled(pod(cluster, "away", release="churn-2"), **mine, **from_there)
    owner = service("away", {DRILL_LABEL: "away", **from_there, DRILL_UID_LABEL: "1"}, {DRILL_LABEL: "away"})
    for wrong in (None, "risk"):
        scored.label({SCRATCH_LABEL: wrong})
        for obj in (away, owner):
            with pytest.raises(StepFailed, match="this namespace is not scratch for the one that the label"):
                scored.create(obj, as_user=CONTROLLER, dry_run=True)
    scored.label({SCRATCH_LABEL: "payments"})
    scored.create(away, as_user=CONTROLLER, dry_run=True)
    for label_ in (owner["metadata"]["labels"], {DRILL_UID_LABEL: "1"}):
        with pytest.raises(StepFailed, match=rf"services with the label {DRILL_UID_LABEL} are made and changed by the controller only"):
            scored.create(service("away", label_, {"app": "churn"}), as_user=EDITOR)
    scored.create(owner, as_user=CONTROLLER)
    changes: list[Object] = [
        {"metadata": {"labels": {DRILL_UID_LABEL: None}}}, {"metadata": {"labels": {DRILL_UID_LABEL: "2"}}}, {"spec": {"selector": {"app": "churn"}}},
        {"metadata": {"labels": {DRILL_NAMESPACE_LABEL: "risk"}}},
    ]  # fmt: skip
    for change in changes:
        with pytest.raises(StepFailed, match=rf"services with the label {DRILL_UID_LABEL} are made and changed by the controller only"):
            scored.patch("service", "away", change, as_user=EDITOR)
    with pytest.raises(StepFailed, match=rf"services with the label {DRILL_UID_LABEL} are made and changed by the controller only"):
        scored.patch("service", "users", {"metadata": {"labels": {DRILL_UID_LABEL: "1"}}}, as_user=EDITOR)
    scored.patch("service", "away", {"metadata": {"annotations": {"note": "of a drill"}}}, as_user=EDITOR)
    scored.kubectl("delete", "service", "monday", as_user=CONTROLLER)


# The controller itself.


def test_the_controller_makes_and_deletes_no_workload_but_its_own_and_only_where_it_governs(cluster: Cluster, scored: Namespace) -> None:
    plain = pod(cluster, "plain")
    template = {"metadata": {"labels": {"app": "set"}}, "spec": plain["spec"]}
    selected = {"selector": {"matchLabels": {"app": "set"}}, "template": template}
    replica_set = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "plain"}, "spec": {"replicas": 0, **selected}}
    scored.create(plain)
    scored.create(replica_set)
    for obj in (pod(cluster, "other"), {**replica_set, "metadata": {"name": "other"}}):
        with pytest.raises(StepFailed, match="denied by sluice: the controller makes"):
            scored.create(obj, as_user=CONTROLLER)
    for kind in ("pod", "replicaset"):
        with pytest.raises(StepFailed, match="denied by sluice: the controller makes"):
            scored.kubectl("delete", kind, "plain", as_user=CONTROLLER)
    scored.create(labelled(pod(cluster, "candidate"), **MINE), as_user=CONTROLLER)
    scored.create(pod(cluster, "withdrawn", release="churn-2"))
    for name in ("candidate", "withdrawn"):
        scored.kubectl("delete", "pod", name, "--grace-period=0", "--force", as_user=CONTROLLER)
    with Namespace(cluster) as elsewhere:
        rbac = "rbac.authorization.k8s.io"
        role, subject = ({"apiGroup": rbac, "kind": kind, "name": name} for kind, name in (("ClusterRole", "cluster-admin"), ("User", CONTROLLER)))
        elsewhere.apply({"apiVersion": f"{rbac}/v1", "kind": "RoleBinding", "metadata": {"name": "all"}, "roleRef": role, "subjects": [subject]})
        with pytest.raises(StepFailed, match="in governed namespaces"):
            elsewhere.create(labelled(pod(cluster, "candidate"), **MINE), as_user=CONTROLLER)
