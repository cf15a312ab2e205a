"""Monitors, and what they found, are the controller's to write and the platform team's to end: said by the API server alone."""

from __future__ import annotations

import json

import pytest
import yaml

from e2e.cluster import Cluster, StepFailed
from sluice.api.names import GOVERN_LABEL
from tests.cluster.gate import EDITOR, GITOPS, Object, patched
from tests.cluster.installation import CONTROLLER, ROOT
from tests.cluster.namespace import Namespace

MONITOR: Object = yaml.safe_load((ROOT / "examples/ReleaseMonitor.yaml").read_text())
NAME = MONITOR["metadata"]["name"]
FINDING = {"cause": "Silence", "ask": "Alert", "at": "2026-11-21T12:00:00Z", "message": "nothing heard"}
STAYS = "what was found after release stays until it is dealt with"


def everything(namespace: Namespace) -> None:
    """Everybody may do everything, as far as RBAC is concerned."""
    rbac = "rbac.authorization.k8s.io"
    role = {"apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-admin"}
    subjects = [{"apiGroup": rbac, "kind": "User", "name": user} for user in (EDITOR, CONTROLLER)]
    namespace.apply({"apiVersion": f"{rbac}/v1", "kind": "RoleBinding", "metadata": {"name": "everybody"}, "roleRef": role, "subjects": subjects})


@pytest.fixture
def watched(governed: Namespace) -> Namespace:
    """A namespace with a monitor that found nothing yet."""
    everything(governed)
    governed.create(MONITOR, as_user=CONTROLLER)
    return governed


def found(namespace: Namespace) -> None:
    patched(namespace, f"mrm/{NAME}", {"status": {"findings": [FINDING]}}, subresource="status", as_user=CONTROLLER)


def test_only_the_controller_makes_changes_or_concludes(watched: Namespace) -> None:
    for who in (None, EDITOR, GITOPS):
        with pytest.raises(StepFailed, match="monitors are made by the controller only"):
            watched.create({**MONITOR, "metadata": {"name": "mine"}}, as_user=who)
        for change in ({"metadata": {"finalizers": ["example.com/never"]}}, {"metadata": {"labels": {"a": "b"}}}):
            with pytest.raises(StepFailed, match="monitors are changed by the controller only"):
                patched(watched, f"mrm/{NAME}", change, as_user=who)
        with pytest.raises(StepFailed, match="the status is written by the controller only"):
            patched(watched, f"mrm/{NAME}", {"status": {"findings": [FINDING]}}, subresource="status", as_user=who)


def test_who_may_do_anything_in_a_namespace_deletes_no_monitor_of_it(cluster: Cluster, watched: Namespace) -> None:
    for who in (EDITOR, GITOPS):
        for words in (NAME, "--all"):
            with pytest.raises(StepFailed, match=STAYS):
                watched.kubectl("delete", "mrm", words, as_user=who)
    with pytest.raises(StepFailed, match=STAYS):
        cluster.kubectl("delete", f"--raw=/apis/sluice.dev/v1alpha1/namespaces/{watched.name}/releasemonitors", as_user=EDITOR)


def test_the_controller_deletes_what_found_nothing_and_nothing_else(watched: Namespace) -> None:
    watched.kubectl("delete", "mrm", NAME, "--wait", "--timeout=30s", as_user=CONTROLLER)
    watched.create(MONITOR, as_user=CONTROLLER)
    found(watched)
    with pytest.raises(StepFailed, match=STAYS):
        watched.kubectl("delete", "mrm", NAME, as_user=CONTROLLER)


@pytest.mark.parametrize("cascade", ["background", "foreground"])
def test_the_platform_team_deletes_what_was_found(watched: Namespace, cascade: str) -> None:
    found(watched)
    watched.kubectl("delete", "mrm", NAME, f"--cascade={cascade}", "--wait", "--timeout=30s")
    assert watched.kubectl("get", "mrm", "--output=name").stdout == ""


def test_findings_go_with_their_namespace(cluster: Cluster, gate: None) -> None:  # noqa: ARG001 - the policies are effective
    with Namespace(cluster, labels={GOVERN_LABEL: "true"}, prefix="ending") as namespace:
        everything(namespace)
        namespace.create(MONITOR, as_user=CONTROLLER)
        found(namespace)
        shown = json.loads(namespace.kubectl("get", "mrm", NAME, "--output=json").stdout)
        assert shown["status"]["findings"] == [FINDING]
        cluster.kubectl("delete", "namespace", namespace.name, "--wait", "--timeout=60s")
        assert cluster.kubectl("get", "namespace", namespace.name, "--ignore-not-found", "--output=name").stdout == ""
