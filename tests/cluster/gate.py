"""L0 as the chart installs it, with nothing else of Sluice running: no webhook, no controller. What holds here holds with both dead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from e2e.cluster import Cluster
from sluice.api.names import GOVERN_LABEL, RELEASE_LABEL, STAGE_LABEL
from tests.cluster.installation import CONTROLLER, DIGEST, HOME, install, install_crds, remove
from tests.cluster.namespace import Namespace

WEBHOOK = f"system:serviceaccount:{HOME}:sluice-webhook"
GITOPS = "system:serviceaccount:argocd:argocd-application-controller"
"""Bound to cluster-admin: every verb on every resource, as in Argo CD's default installation."""
EDITOR = "alice@example.com"
"""Has the role `edit`."""
OTHER_IMAGE = f"registry.example.com/other@{DIGEST}"

Object = dict[str, Any]


@pytest.fixture(scope="package")
def crds(cluster: Cluster) -> None:
    """Our kinds exist, and stay."""
    install_crds(cluster)


@pytest.fixture(scope="module")
def ungated(cluster: Cluster) -> None:
    """Our kinds exist, and nothing but their schemas says what they may hold."""
    remove(cluster)


@pytest.fixture(scope="module")
def gate(cluster: Cluster) -> Iterator[None]:
    """The admission policies are effective, and people have rights that only these policies limit."""
    install(cluster)
    bindings = [
        _binding("gitops", "cluster-admin", GITOPS),
        _binding("editor", "edit", EDITOR),
        # kubectl reads a subresource before it patches it; the controller does not, and may not.
        _binding("controller-view", "view", CONTROLLER),
    ]
    with Namespace(cluster, prefix="people") as people:
        for binding in bindings:
            people.apply(binding)
        yield


@pytest.fixture
def governed(cluster: Cluster, gate: None) -> Iterator[Namespace]:  # noqa: ARG001 - the policies are effective
    """A governed namespace."""
    with Namespace(cluster, labels={GOVERN_LABEL: "true", STAGE_LABEL: "production"}) as namespace:
        yield namespace


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
