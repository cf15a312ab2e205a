"""What Kueue does to a Job, done by a test: for its Go module could not be had when this was written.

After `pkg/controller/jobs/job` and `pkg/podset` of kubernetes-sigs/kueue (v1beta1): its webhook suspends each new Job that names a queue; when there is room,
one write lets it go on and adds the labels, node selector and tolerations of the flavor; when others need the room, it suspends the Job, takes its start time
back, and puts the template back as it was. Here an admission policy suspends, and the rest is written under the name and the rights of Kueue's controller.
"""

from __future__ import annotations

import time
from typing import Any, Final

from tests.cluster.namespace import Namespace

Object = dict[str, Any]
QUEUE: Final = "evaluations"
QUEUE_LABEL: Final = "kueue.x-k8s.io/queue-name"
_STOPPING: Final = "kueue.x-k8s.io/stopping"
_EFFECTIVE_SECONDS: Final = 30
_KUEUE: Final = "system:serviceaccount:kueue-system:kueue-controller-manager"
_NODES: Final = {"kubernetes.io/os": "linux"}
_TOLERATIONS: Final = [{"key": "example.com/evaluations", "operator": "Exists", "effect": "NoSchedule"}]


class Queue:
    """The queue `evaluations` of one namespace."""

    def __init__(self, ns: Namespace) -> None:
        """Suspend Jobs from now on."""
        self._ns = ns
        suspend = "Object{spec: Object.spec{suspend: true}}"
        policy = {
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": ns.name}},
                "resourceRules": [{"apiGroups": ["batch"], "apiVersions": ["v1"], "resources": ["jobs"], "operations": ["CREATE"]}],
            },
            "matchConditions": [{"name": "names-a-queue", "expression": f"'{QUEUE_LABEL}' in object.metadata.?labels.orValue({{}})"}],
            "failurePolicy": "Fail",
            "reinvocationPolicy": "IfNeeded",
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": suspend}}],
        }
        admission, rbac = "admissionregistration.k8s.io/v1", "rbac.authorization.k8s.io"
        rules = [{"apiGroups": ["batch"], "resources": ["jobs", "jobs/status"], "verbs": ["get", "update", "patch"]}]
        who = [{"kind": "ServiceAccount", "name": "kueue-controller-manager", "namespace": "kueue-system"}]
        ns.apply_all(
            {"apiVersion": admission, "kind": "MutatingAdmissionPolicy", "metadata": {"name": ns.name}, "spec": policy},
            {"apiVersion": admission, "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": ns.name}, "spec": {"policyName": ns.name}},
            {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": {"name": "kueue"}, "rules": rules},
            {
                "apiVersion": f"{rbac}/v1", "kind": "RoleBinding", "metadata": {"name": "kueue"}, "subjects": who,
                "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "kueue"},
            },
        )  # fmt: skip
        deadline = time.monotonic() + _EFFECTIVE_SECONDS
        while not ns.create(_probe(), dry_run=True)["spec"].get("suspend"):
            assert time.monotonic() < deadline, "the policy that suspends does not become effective"
            time.sleep(0.1)

    def admit(self, job: str) -> None:
        """There is room for a Job."""
        template = {"metadata": {"labels": {"kueue.x-k8s.io/podset": "main"}}, "spec": {"nodeSelector": _NODES, "tolerations": _TOLERATIONS}}
        self._patch(job, {"spec": {"suspend": False, "template": template}})

    def preempt(self, job: str) -> None:
        """Others need the room of a Job."""
        self._patch(job, {"metadata": {"annotations": {_STOPPING: "true"}}, "spec": {"suspend": True}})
        self._patch(job, {"status": {"startTime": None}}, subresource="status")
        # Kubernetes lets nobody change the template while Pods of it run.
        self._ns.wait("job", job, lambda item: not item["status"].get("active"))
        template = {"metadata": {"labels": {"kueue.x-k8s.io/podset": None}}, "spec": {"nodeSelector": None, "tolerations": None}}
        self._patch(job, {"metadata": {"annotations": {_STOPPING: None}}, "spec": {"template": template}})

    def _patch(self, job: str, change: Object, *, subresource: str = "") -> None:
        self._ns.patch("job", job, change, subresource=subresource, as_user=_KUEUE, groups=("system:serviceaccounts", "system:serviceaccounts:kueue-system"))


def _probe() -> Object:
    container = {"name": "probe", "image": "registry.example.com/probe"}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "probe", "labels": {QUEUE_LABEL: QUEUE}}, "spec": {"template": template}}
