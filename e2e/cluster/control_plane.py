"""etcd, the API server, the controller manager and the scheduler: command lines and the few objects a bare cluster lacks."""

import json
from pathlib import Path
from typing import Any

from e2e.cluster.place import API_PORT, Place
from e2e.cluster.sandbox import Component

# Writes with what was sent, reads only by name; the control plane's own chatter (leases, health, node status) would drown the rest.
AUDIT_POLICY: dict[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "omitManagedFields": True,
    "rules": [
        {"level": "None", "nonResourceURLs": ["/healthz*", "/readyz*", "/livez*", "/version", "/openapi*", "/api", "/apis*"]},
        {"level": "None", "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}]},
        {"level": "None", "users": ["system:kube-scheduler", "system:kube-proxy", "system:coredns"], "verbs": ["get", "list", "watch"]},
        {"level": "None", "userGroups": ["system:nodes"]},
        {"level": "Metadata", "resources": [{"group": "", "resources": ["secrets", "serviceaccounts/token"]}]},
        {"level": "Request", "verbs": ["create", "update", "patch", "delete", "deletecollection"]},
        {"level": "Metadata"},
    ],
}


def audit_log(place: Place) -> Path:
    """Where the API server writes audit events, one JSON object a line, while auditing is on."""
    return place.logs / "audit.log"


def etcd(place: Place, binary: Path) -> Component:
    """The store. It does not wait for the disk: a cluster for tests may lose its last second in a power cut."""
    return Component(
        name="etcd",
        command=[
            binary,
            f"--data-dir={place.folder / 'etcd'}",
            "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ],
    )


def api_server(place: Place, binary: Path, *, audit: bool) -> Component:
    """The API server, with the authorisation that clusters have: Node and RBAC."""
    pki = place.pki
    policy = place.folder / "audit-policy.json"
    audit_arguments = [f"--audit-policy-file={policy}", f"--audit-log-path={audit_log(place)}", "--audit-log-maxsize=200", "--audit-log-maxbackup=2"]
    return Component(
        name="kube-apiserver",
        command=[
            binary,
            "--etcd-servers=http://127.0.0.1:2379",
            f"--advertise-address={place.node_address}",
            f"--secure-port={API_PORT}",
            f"--tls-cert-file={pki / 'kube-apiserver.crt'}",
            f"--tls-private-key-file={pki / 'kube-apiserver.key'}",
            f"--client-ca-file={pki / 'ca.crt'}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--service-cluster-ip-range={place.service_network}",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={pki / 'service-accounts.pub'}",
            f"--service-account-signing-key-file={pki / 'service-accounts.key'}",
            f"--kubelet-client-certificate={pki / 'admin.crt'}",
            f"--kubelet-client-key={pki / 'admin.key'}",
            f"--kubelet-certificate-authority={pki / 'ca.crt'}",
            # The node's name is known to nobody's DNS; without this `kubectl logs` and `exec` look it up.
            "--kubelet-preferred-address-types=InternalIP",
            "--allow-privileged=true",
            "--profiling=false",
            # Fairness among many clients costs few of them a tenth of each request.
            "--enable-priority-and-fairness=false",
            *(audit_arguments if audit else []),
        ],
        files={policy: json.dumps(AUDIT_POLICY)} if audit else {},
        # A sixth of what it computes is the collection of garbage, which is rarer with more of it; half a gigabyte more at most.
        environment={"GOGC": "400", "GOMEMLIMIT": "1GiB"},
    )


def controller_manager(place: Place, binary: Path) -> Component:
    """The controllers, each with its own service account, and fast enough to empty many test namespaces."""
    pki = place.pki
    return Component(
        name="kube-controller-manager",
        command=[
            binary,
            f"--kubeconfig={pki / 'kube-controller-manager.kubeconfig'}",
            "--use-service-account-credentials",
            f"--service-account-private-key-file={pki / 'service-accounts.key'}",
            f"--root-ca-file={pki / 'ca.crt'}",
            f"--cluster-signing-cert-file={pki / 'ca.crt'}",
            f"--cluster-signing-key-file={pki / 'ca.key'}",
            f"--cluster-cidr={place.pod_network}",
            "--allocate-node-cidrs=false",
            "--leader-elect=false",
            "--kube-api-qps=100",
            "--kube-api-burst=200",
            "--profiling=false",
        ],
    )


def scheduler(place: Place, binary: Path) -> Component:
    """The scheduler."""
    return Component(
        name="kube-scheduler",
        command=[binary, f"--kubeconfig={place.pki / 'kube-scheduler.kubeconfig'}", "--leader-elect=false", "--profiling=false"],
    )


def base_objects(place: Place) -> list[dict[str, Any]]:
    """Objects that an installer would have made: what kube-proxy and CoreDNS may read, and the Service in front of CoreDNS."""
    rbac = "rbac.authorization.k8s.io"
    labels = {"k8s-app": "kube-dns"}
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]

    def bound(role: str, user: str) -> dict[str, Any]:
        return {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": f"sluice-local:{user}"},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": rbac, "kind": "User", "name": user}],
        }

    return [
        bound("system:node-proxier", "system:kube-proxy"),
        bound("sluice-local:coredns", "system:coredns"),
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "sluice-local:coredns"},
            "rules": [
                {"apiGroups": [""], "resources": ["services", "namespaces", "pods"], "verbs": ["list", "watch"]},
                {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
            ],
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": labels},
            "spec": {"clusterIP": place.dns_service_address, "ports": ports},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": {"kubernetes.io/service-name": "kube-dns"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [place.node_address], "conditions": {"ready": True}}],
            "ports": ports,
        },
    ]
