"""What the people of the demo apply."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from e2e.demo import suite
from sluice.api.names import API_VERSION

NAMESPACE = "digits"
ISSUER = "https://token.ci.example.com"
TRAINER = "https://git.example.com/digits/model/.ci/train.yml@refs/heads/main"
EVALUATOR = "https://git.example.com/digits/model/.ci/eval.yml@refs/heads/main"
BUILDER = "https://ci.example.com/runners/trusted"
SUITE = "digits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One version of the model, packed: what a release names."""

    version: str
    change: str
    weights: str
    image: str
    server: str
    baseline: str | None = None

    @property
    def release(self) -> str:
        """Name of its ModelRelease."""
        return f"digits-{self.version.replace('.', '-')}"


def _object(kind: str, name: str, spec: dict[str, Any], *, namespaced: bool = True) -> dict[str, Any]:
    metadata = {"name": name} | ({"namespace": NAMESPACE} if namespaced else {})
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def platform(trusted_root: str, *, questions: int) -> list[dict[str, Any]]:
    """What the platform team sets up once: the namespace, whose signatures can be verified, and the policy. `questions`: how many a candidate is asked."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": NAMESPACE, "labels": {"sluice.dev/govern": "true", "sluice.dev/stage": "production"}},
        },
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "digits", "namespace": NAMESPACE}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "approver", "namespace": NAMESPACE},
            "rules": [{"apiGroups": ["sluice.dev"], "resources": ["releaseapprovals"], "verbs": ["create"]}],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "approver", "namespace": NAMESPACE},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "approver"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": name} for name in ("digits-leads", "appsec", "digits-trainers")],
        },
        _object("TrustRoot", "ci", {"sigstore": {"trustedRoot": trusted_root}}, namespaced=False),
        _object("ReleasePolicy", "production", policy(questions), namespaced=False),
    ]


def watched(questions: int) -> dict[str, Any]:
    """The policy, which from now on wants releases watched, too. `questions`: how many a candidate is asked."""
    return _object("ReleasePolicy", "production", policy(questions) | {"monitors": [suite.monitor()]}, namespaced=False)


def policy(questions: int) -> dict[str, Any]:
    """What a release needs in production."""
    return {
        "selector": {"namespaces": {"matchLabels": {"sluice.dev/stage": "production"}}},
        "signers": [
            {
                "name": "trainer-ci",
                "trustRoot": "ci",
                "issuer": ISSUER,
                "identity": TRAINER,
                "may": ["ModelSignature", "Provenance"],
                "operatedBy": {"groups": ["digits-trainers"]},
            },
            {"name": "eval-ci", "trustRoot": "ci", "issuer": ISSUER, "identity": EVALUATOR, "may": ["Evaluation"]},
        ],
        "roles": [
            {"name": "owner", "subjects": [{"kind": "Group", "name": "digits-leads"}]},
            {"name": "security", "subjects": [{"kind": "Group", "name": "appsec"}]},
        ],
        "tiers": [
            {"name": "high", "when": "release.authority.tools.exists(t, t.effect != 'Read')"},
            {"name": "standard", "when": "true"},
        ],
        "requirements": [
            {"name": "weights-signed", "type": "ModelSignature", "artifactTypes": ["Weights"]},
            {"name": "built-here", "type": "Provenance", "artifactTypes": ["Image"], "builders": [BUILDER]},
            {
                "name": "quality",
                "type": "Evaluation",
                "artifactTypes": ["Weights"],
                "measures": [{"suite": SUITE, "metric": "acc", "atLeast": "0.95", "maxAge": "30d"}],
            },
            {"name": "approvals", "type": "Approval", "counts": {"owner": 1, "security": 1}, "distinctFrom": ["Trainer", "Evaluator"]},
            suite.requirement(questions),
        ],
    }


def release(model: Model) -> dict[str, Any]:
    """What the ML engineer applies for one version."""
    change: dict[str, Any] = {"type": model.change}
    if model.baseline:
        change["baseline"] = {"name": model.baseline}
    spec = {
        "model": "digits",
        "version": model.version,
        "owner": {"group": "digits-leads", "contact": "digits@example.com"},
        "change": change,
        "artifacts": [
            {"name": "weights", "type": "Weights", "uri": f"oci://{model.image}", "digest": model.weights},
            {"name": "server", "type": "Image", "uri": model.server, "digest": model.server.rpartition("@")[2]},
        ],
        "authority": {"serviceAccount": "digits"},
        "stages": ["production"],
    }
    return _object("ModelRelease", model.release, spec)


def evidence(name: str, bundle: bytes, attachment: tuple[str, bytes] | None = None) -> dict[str, Any]:
    """What CI applies: one signed statement, and the raw file it names."""
    spec: dict[str, Any] = {"bundle": {"inline": base64.b64encode(bundle).decode()}}
    if attachment:
        spec["attachments"] = [{"name": attachment[0], "inline": base64.b64encode(attachment[1]).decode()}]
    return _object("ReleaseEvidence", name, spec)


def _pod_spec(model: Model) -> dict[str, Any]:
    hardened = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}}
    volumes = [{"name": "model", "mountPath": "/mnt/models"}]
    return {
        "serviceAccountName": "digits",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 10,
        "initContainers": [{"name": "model", "image": model.image, "volumeMounts": volumes, "securityContext": hardened}],
        "containers": [
            {
                "name": "server",
                "image": model.server,
                "ports": [{"containerPort": 8080}],
                "readinessProbe": {"httpGet": {"path": "/v2/models/digits/ready", "port": 8080}, "periodSeconds": 1, "failureThreshold": 120},
                # A Pod that goes still answers until nobody is sent to it any more.
                "lifecycle": {"preStop": {"sleep": {"seconds": 4}}},
                # Writable, as it often is: at the end of the story somebody changes the file.
                "volumeMounts": [volumes[0], {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - a volume of the Pod
                "securityContext": hardened,
            }
        ],
        "volumes": [{"name": "model", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}],
    }


def pod(model: Model, *, release_name: str | None) -> dict[str, Any]:
    """Serve the model in a bare Pod."""
    labels = {"sluice.dev/release": release_name} if release_name else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "try", "namespace": NAMESPACE, "labels": {"app": "try"} | labels},
        "spec": _pod_spec(model),
    }


def serving(model: Model, *, release_name: str) -> list[dict[str, Any]]:
    """Serve the model in a Deployment behind a Service."""
    labels = {"app": "digits"}
    template = {"metadata": {"labels": labels | {"sluice.dev/release": release_name}}, "spec": _pod_spec(model)}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "digits", "namespace": NAMESPACE},
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "digits", "namespace": NAMESPACE},
            "spec": {
                "replicas": 2,
                "strategy": {"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}},
                "selector": {"matchLabels": labels},
                "template": template,
            },
        },
    ]
