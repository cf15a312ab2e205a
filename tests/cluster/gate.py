"""L0 as the chart installs it, with nothing else of Sluice running: no webhook, no controller. What holds here holds with both dead."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.cluster import Cluster, StepFailed
from sluice.api.names import GOVERN_LABEL, RELEASE_LABEL, STAGE_LABEL
from tests.cluster.namespace import Namespace
from tests.cluster.webhook import install_crds

ROOT = Path(__file__).parents[2]
HOME = "sluice-system"
CONTROLLER = f"system:serviceaccount:{HOME}:sluice-controller"
WEBHOOK = f"system:serviceaccount:{HOME}:sluice-webhook"
GITOPS = "system:serviceaccount:argocd:argocd-application-controller"
"""Bound to cluster-admin: every verb on every resource, as in Argo CD's default installation."""
EDITOR = "alice@example.com"
"""Has the role `edit`."""
DIGEST = "sha256:" + "5" * 64
OTHER_IMAGE = f"registry.example.com/other@{DIGEST}"

Object = dict[str, Any]

_TEMPLATES = ("rbac", "policies-pods", "policies-owners", "policies-people", "policies-canaries", "policies-monitors", "policies-drills")
_EFFECTIVE_SECONDS = 30


@pytest.fixture(scope="session")
def crds(cluster: Cluster) -> None:
    """Our kinds exist, and stay."""
    install_crds(cluster)


@pytest.fixture(scope="module")
def ungated(cluster: Cluster, crds: None) -> None:  # noqa: ARG001 - what is asked for is one of our kinds
    """Our kinds exist, and nothing but their schemas says what they may hold: the policies that another module deleted are no longer effective."""
    run = yaml.safe_load((ROOT / "examples" / "CanaryRun.yaml").read_text())
    run["metadata"].pop("namespace", None)
    deadline = time.monotonic() + _EFFECTIVE_SECONDS
    with Namespace(cluster, prefix="probe") as probe:
        while True:
            try:
                probe.create(run, dry_run=True)
            except StepFailed:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return


@pytest.fixture(scope="module")
def gate(cluster: Cluster, crds: None) -> Iterator[None]:  # noqa: ARG001 - the policies are about our kinds
    """The admission policies are effective, for the tests of one module; other modules may need a cluster without."""
    bindings = [
        _binding("gitops", "cluster-admin", GITOPS),
        _binding("editor", "edit", EDITOR),
        # kubectl reads a subresource before it patches it; the controller does not, and may not.
        _binding("controller-view", "view", CONTROLLER),
    ]
    manifests = "\n---\n".join([rendered(cluster, *_TEMPLATES), *map(json.dumps, bindings)])
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME}}
    cluster.kubectl("apply", "--filename=-", stdin=json.dumps(namespace))
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=manifests)
    try:
        with Namespace(cluster, labels={GOVERN_LABEL: "true"}, prefix="probe") as probe:
            _wait_effective(probe)
        yield
    finally:
        cluster.kubectl("delete", "--ignore-not-found", "--filename=-", stdin=manifests)


@pytest.fixture
def governed(cluster: Cluster, gate: None) -> Iterator[Namespace]:  # noqa: ARG001 - the policies are effective
    """A governed namespace."""
    with Namespace(cluster, labels={GOVERN_LABEL: "true", STAGE_LABEL: "production"}) as namespace:
        yield namespace


def rendered(cluster: Cluster, *templates: str) -> str:
    """What the chart installs; all of it when no template is named."""
    image = ("--set=image.repository=registry.example.com/sluice", f"--set=image.digest=sha256:{'0' * 64}")
    only = [f"--show-only=templates/{template}.yaml" for template in templates]
    chart = str(ROOT / "charts/sluice")
    command = [str(cluster.binaries["helm"]), "template", "sluice", chart, f"--namespace={HOME}", "--kube-version=1.36.3", *image, *only]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def pod(cluster: Cluster, name: str, *, release: str | None = None, **spec: Any) -> Object:  # noqa: ANN401 - fields of the Pod
    """A Pod that sleeps."""
    labels = {"app": name} | ({RELEASE_LABEL: release} if release else {})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "server", "image": cluster.images["busybox"]}], **spec},
    }


def deployment(cluster: Cluster, name: str, *, release: str | None, **spec: Any) -> Object:  # noqa: ANN401 - fields of the Deployment
    """A Deployment of one Pod that sleeps."""
    template = pod(cluster, name, release=release)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": template["metadata"]["labels"]}, "spec": template["spec"]},
            **spec,
        },
    }


def patched(
    ns: Namespace, target: str, patch: Mapping[str, Any] | list[Object], *, as_user: str | None = None, subresource: str = "", type_: str = "merge"
) -> Object:
    """Patch an object and give it as stored. Raises StepFailed with the API server's message when it is refused."""
    kind, name = target.split("/")
    return ns.patch(kind, name, patch, how=type_, subresource=subresource, as_user=as_user)


def _binding(name: str, role: str, user: str) -> Object:
    rbac = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{rbac}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"sluice-gate-{name}"},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": rbac, "kind": "User", "name": user}],
    }


def _wait_effective(probe: Namespace) -> None:
    """Ask, without changing anything, for what the last policy of either kind does. The API server takes up all policies of a kind together."""
    approval = {
        "apiVersion": "sluice.dev/v1alpha1", "kind": "ReleaseApproval", "metadata": {"name": "probe"},
        "spec": {"release": {"name": "r"}, "releaseDigest": DIGEST, "evidenceDigest": DIGEST, "role": "r", "decision": "Approve"},
    }  # fmt: skip

    def stamped() -> bool:
        # Refused for want of an approver while the validating policies are effective and the mutating ones not yet.
        try:
            return "approver" in probe.create(approval, dry_run=True)["spec"]
        except StepFailed:
            return False

    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "probe"}, "spec": {"clusterIP": "None"}}

    def guarded() -> bool:
        try:
            probe.create(service, as_user=CONTROLLER, dry_run=True)
        except StepFailed as refused:
            return "denied by sluice" in str(refused)
        return False

    deadline = time.monotonic() + _EFFECTIVE_SECONDS
    while not (stamped() and guarded()):
        if time.monotonic() > deadline:
            raise StepFailed(f"the admission policies were not effective after {_EFFECTIVE_SECONDS} s")
        time.sleep(0.1)
