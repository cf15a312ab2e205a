"""What a drill makes: two Pods, the Service that is all of their traffic, and who may talk to them (nobody).

The Pods are made of templates that exist already, and carry only the labels that name them: no Service of users knows them, and no ReplicaSet adopts them.
Everything is owned by the `Site`, so it goes with it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sluice.api.names import DRILL_LABEL, DRILL_NAMESPACE_LABEL, DRILL_ROLE_LABEL, DRILL_UID_LABEL, RELEASE_LABEL
from sluice.cluster.client import Object
from sluice.cluster.resource import NETWORK_POLICIES, PODS, SERVICES
from sluice.rollout.canary_pods import held_spec, is_owned_by, without_bookkeeping

NAME_LENGTH: Final = 52
_NAME: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


class Role(StrEnum):
    """What a Pod does in a drill: the value of its label `sluice.dev/drill-role`."""

    RELEASE = "release"
    BASELINE = "baseline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a drill is done, and what owns there what it makes: the `ReleaseDrill` itself, or its Service in a scratch namespace. Both have its name."""

    owner: Object
    """With `apiVersion` and `kind`."""
    home: str | None = None
    """The namespace of the drill, where that is another one."""

    @property
    def namespace(self) -> str:
        """Where its Pods are."""
        return str(self.owner["metadata"]["namespace"])

    @property
    def name(self) -> str:
        """Name of the drill."""
        return str(self.owner["metadata"]["name"])

    @property
    def labels(self) -> dict[str, str]:
        """Of all that it makes here."""
        return _labels(self.name, self.home)

    def has(self, obj: Object) -> bool:
        """Tell whether an object is of this drill."""
        return is_owned_by(obj, self.owner) or obj["metadata"].get("uid") == self.owner["metadata"]["uid"]


def name_problem(name: str) -> str:
    """Say why a drill cannot be called so; empty when it can. Its objects have names that begin with its own, and a Service's is a DNS label."""
    if len(name) <= NAME_LENGTH and _NAME.fullmatch(name):
        return ""
    return f"metadata.name: {name[:80]!r} is no DNS label of at most {NAME_LENGTH} characters that begins with a letter; make another with a shorter name"


def pod_name(drill: str, role: Role) -> str:
    """Name a Pod of a drill."""
    return f"{drill}-{role}"


def drill_pod(site: Site, role: Role, template: Object) -> Object:
    """Make a Pod of a template, held at both gates."""
    release = template["metadata"]["labels"][RELEASE_LABEL]
    metadata = _metadata(site, pod_name(site.name, role)) | {
        "labels": {RELEASE_LABEL: release, DRILL_ROLE_LABEL: str(role)} | site.labels,
        "annotations": (without_bookkeeping(template).get("metadata") or {}).get("annotations") or {},
    }
    return {"apiVersion": PODS.api_version, "kind": PODS.kind, "metadata": metadata, "spec": held_spec(template)}


def drill_service(site: Site) -> Object:
    """Make the Service. It has no address of its own: what is measured is which endpoints it has, and nobody asks them anything."""
    return _service(_metadata(site, site.name) | {"labels": site.labels}, site.name)


def scratch_service(drill: Object, namespace: str) -> Object:
    """Make the same in a scratch namespace. Owner references do not cross namespaces: it bears the UID of the drill, and nobody else may write such a label."""
    home, name = drill["metadata"]["namespace"], drill["metadata"]["name"]
    labels = _labels(name, home) | {DRILL_UID_LABEL: drill["metadata"]["uid"]}
    return _service({"namespace": namespace, "name": name, "labels": labels}, name)


def drill_policy(site: Site) -> Object:
    """Make the NetworkPolicy: nobody talks to the Pods of a drill."""
    spec = {"podSelector": {"matchLabels": {DRILL_LABEL: site.name}}, "policyTypes": ["Ingress"]}
    return {"apiVersion": NETWORK_POLICIES.api_version, "kind": NETWORK_POLICIES.kind, "metadata": _metadata(site, site.name), "spec": spec}


def _labels(drill: str, home: str | None) -> dict[str, str]:
    return {DRILL_LABEL: drill} | ({DRILL_NAMESPACE_LABEL: home} if home else {})


def _service(metadata: Object, drill: str) -> Object:
    spec = {"clusterIP": "None", "selector": {DRILL_LABEL: drill}}
    return {"apiVersion": SERVICES.api_version, "kind": SERVICES.kind, "metadata": metadata, "spec": spec}


def _metadata(site: Site, name: str) -> Object:
    owner = site.owner
    reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": site.name, "uid": owner["metadata"]["uid"], "controller": True}
    return {"namespace": site.namespace, "name": name, "ownerReferences": [reference]}
