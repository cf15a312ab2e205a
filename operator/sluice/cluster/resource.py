"""The resources Sluice reads and writes, and the paths the API server serves them at.

Paths are built here only. Names come from objects that others wrote, so each segment is checked: no name can lead to another resource.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from sluice.api import names
from sluice.decision.records import Key

_SEGMENT: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._:-]{0,251}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One kind of object. `group` is empty for the core group."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """The `apiVersion` of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """Path of one object (with `name`) or of a collection (without), in one namespace or in all.

        Raises `ValueError` when a part cannot be a Kubernetes name, or when scope and namespace contradict each other.
        """
        if namespace is not None and not self.namespaced:
            raise ValueError(f"{self.kind} is cluster-scoped: it has no namespace, but {namespace!r} was given")
        if name is not None and namespace is None and self.namespaced:
            raise ValueError(f"{self.kind} {name!r} needs a namespace")
        if subresource is not None and name is None:
            raise ValueError(f"subresource {subresource!r} of {self.kind} needs a name")
        parts = [f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"]
        if namespace is not None:
            parts += ["namespaces", _segment(namespace)]
        parts.append(self.plural)
        if name is not None:
            parts.append(_segment(name))
        if subresource is not None:
            parts.append(_segment(subresource))
        return "/".join(parts)

    def key_of(self, obj: object) -> Key | None:
        """Read the address of an object of this kind; None when it carries none."""
        metadata = obj.get("metadata") if isinstance(obj, dict) else None
        if not isinstance(metadata, dict):
            return None
        name, namespace = metadata.get("name"), metadata.get("namespace", "")
        if not isinstance(name, str) or not name or not isinstance(namespace, str) or bool(namespace) is not self.namespaced:
            return None
        return Key(namespace, name)


def _segment(text: str) -> str:
    if not _SEGMENT.fullmatch(text):
        raise ValueError(f"{text[:80]!r} cannot be part of a path: it is not a Kubernetes name")
    return text


def _ours(plural: str, kind: str, *, namespaced: bool = True) -> Resource:
    return Resource(group=names.GROUP, version=names.VERSION, plural=plural, kind=kind, namespaced=namespaced)


PODS: Final = Resource(group="", version="v1", plural="pods", kind="Pod")
NAMESPACES: Final = Resource(group="", version="v1", plural="namespaces", kind="Namespace", namespaced=False)
DEPLOYMENTS: Final = Resource(group="apps", version="v1", plural="deployments", kind="Deployment")
STATEFUL_SETS: Final = Resource(group="apps", version="v1", plural="statefulsets", kind="StatefulSet")
CONTROLLER_REVISIONS: Final = Resource(group="apps", version="v1", plural="controllerrevisions", kind="ControllerRevision")
REPLICA_SETS: Final = Resource(group="apps", version="v1", plural="replicasets", kind="ReplicaSet")
JOBS: Final = Resource(group="batch", version="v1", plural="jobs", kind="Job")
CONFIG_MAPS: Final = Resource(group="", version="v1", plural="configmaps", kind="ConfigMap")
SECRETS: Final = Resource(group="", version="v1", plural="secrets", kind="Secret")
ENDPOINT_SLICES: Final = Resource(group="discovery.k8s.io", version="v1", plural="endpointslices", kind="EndpointSlice")
SERVICES: Final = Resource(group="", version="v1", plural="services", kind="Service")
NETWORK_POLICIES: Final = Resource(group="networking.k8s.io", version="v1", plural="networkpolicies", kind="NetworkPolicy")
ROLES: Final = Resource(group="rbac.authorization.k8s.io", version="v1", plural="roles", kind="Role")
ROLE_BINDINGS: Final = Resource(group="rbac.authorization.k8s.io", version="v1", plural="rolebindings", kind="RoleBinding")
CLUSTER_ROLES: Final = Resource(group="rbac.authorization.k8s.io", version="v1", plural="clusterroles", kind="ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDINGS: Final = Resource(
    group="rbac.authorization.k8s.io", version="v1", plural="clusterrolebindings", kind="ClusterRoleBinding", namespaced=False
)
LEASES: Final = Resource(group="coordination.k8s.io", version="v1", plural="leases", kind="Lease")
EVENTS: Final = Resource(group="events.k8s.io", version="v1", plural="events", kind="Event")

RELEASES: Final = _ours("modelreleases", "ModelRelease")
EVIDENCE: Final = _ours("releaseevidences", "ReleaseEvidence")
APPROVALS: Final = _ours("releaseapprovals", "ReleaseApproval")
WAIVERS: Final = _ours("releasewaivers", "ReleaseWaiver")
POLICIES: Final = _ours("releasepolicies", "ReleasePolicy", namespaced=False)
TRUST_ROOTS: Final = _ours("trustroots", "TrustRoot", namespaced=False)
SCORING_SUITES: Final = _ours("scoringsuites", "ScoringSuite")
DRILLS: Final = _ours("releasedrills", "ReleaseDrill")
CANARY_RUNS: Final = _ours("canaryruns", "CanaryRun")
MONITORS: Final = _ours("releasemonitors", "ReleaseMonitor")
