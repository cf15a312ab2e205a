"""What a drill makes in the namespace of its release: two Pods, the Service that is all of their traffic, and who may talk to them (nobody).

The Pods are made of templates that exist already, and carry only the labels that name them: no Service of users knows them, and no ReplicaSet adopts them.
Everything is owned by the `ReleaseDrill`, so it goes with it.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from sluice.api.names import API_VERSION, DRILL_LABEL, DRILL_ROLE_LABEL, RELEASE_LABEL
from sluice.cluster.client import Object
from sluice.cluster.resource import DRILLS, NETWORK_POLICIES, PODS, SERVICES
from sluice.rollout.canary_pods import held_spec, without_bookkeeping

NAME_LENGTH: Final = 52
_NAME: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


class Role(StrEnum):
    """What a Pod does in a drill: the value of its label `sluice.dev/drill-role`."""

    RELEASE = "release"
    BASELINE = "baseline"


def name_problem(name: str) -> str:
    """Say why a drill cannot be called so; empty when it can. Its objects have names that begin with its own, and a Service's is a DNS label."""
    if len(name) <= NAME_LENGTH and _NAME.fullmatch(name):
        return ""
    return f"metadata.name: {name[:80]!r} is no DNS label of at most {NAME_LENGTH} characters that begins with a letter; make another with a shorter name"


def pod_name(drill: str, role: Role) -> str:
    """Name a Pod of a drill."""
    return f"{drill}-{role}"


def drill_pod(drill: Object, role: Role, template: Object) -> Object:
    """Make a Pod of a template, held at both gates."""
    release = template["metadata"]["labels"][RELEASE_LABEL]
    labels = {RELEASE_LABEL: release, DRILL_LABEL: drill["metadata"]["name"], DRILL_ROLE_LABEL: str(role)}
    metadata = _metadata(drill, pod_name(drill["metadata"]["name"], role)) | {
        "labels": labels,
        "annotations": (without_bookkeeping(template).get("metadata") or {}).get("annotations") or {},
    }
    return {"apiVersion": PODS.api_version, "kind": PODS.kind, "metadata": metadata, "spec": held_spec(template)}


def drill_service(drill: Object) -> Object:
    """Make the Service. It has no address of its own: what is measured is which endpoints it has, and nobody asks them anything."""
    selector = {DRILL_LABEL: drill["metadata"]["name"]}
    metadata = _metadata(drill, drill["metadata"]["name"]) | {"labels": selector}
    return {"apiVersion": SERVICES.api_version, "kind": SERVICES.kind, "metadata": metadata, "spec": {"clusterIP": "None", "selector": selector}}


def drill_policy(drill: Object) -> Object:
    """Make the NetworkPolicy: nobody talks to the Pods of a drill."""
    spec = {"podSelector": {"matchLabels": {DRILL_LABEL: drill["metadata"]["name"]}}, "policyTypes": ["Ingress"]}
    return {"apiVersion": NETWORK_POLICIES.api_version, "kind": NETWORK_POLICIES.kind, "metadata": _metadata(drill, drill["metadata"]["name"]), "spec": spec}


def _metadata(drill: Object, name: str) -> Object:
    metadata = drill["metadata"]
    owner = {"apiVersion": API_VERSION, "kind": DRILLS.kind, "name": metadata["name"], "uid": metadata["uid"], "controller": True}
    return {"namespace": metadata["namespace"], "name": name, "ownerReferences": [owner]}
