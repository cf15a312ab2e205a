"""The two Pods of a canary run, made of templates that exist already: the candidate of the Deployment's new template, the baseline of the old one.

Both are owned by the `CanaryRun`, so they go with it, and carry no `pod-template-hash`, so no ReplicaSet adopts them. Both wait at both gates, also where the
admission policies are not installed. The candidate keeps the labels of its template; the baseline only those that name it, so that no Service knows it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from copy import deepcopy
from enum import StrEnum
from typing import Final

from sluice.api.names import API_VERSION, CANARY_LABEL, CANARY_ROLE_LABEL, READINESS_GATE, RELEASE_LABEL, SCHEDULING_GATE
from sluice.cluster.client import Object
from sluice.cluster.resource import CANARY_RUNS, PODS


class Role(StrEnum):
    """What a Pod does in a run: the value of its label `sluice.dev/canary-role`."""

    CANDIDATE = "candidate"
    BASELINE = "baseline"
    SCORER = "scorer"


_HASH_LABEL: Final = "pod-template-hash"
_BOOKKEEPING: Final = ("kubectl.kubernetes.io/last-applied-configuration", "argocd.argoproj.io/")
"""Annotations (by their beginning) by which a tool recognises its own objects: these are ours."""
_STEM_LENGTH: Final = 40
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def run_name(release: str, number: int) -> str:
    """Name the `number`-th run of a release.

    Short enough that `NAME-scorer-15` is a DNS label, which the Pods of an Indexed Job are: a release with a longer name, or dots, is abridged.
    """
    stem = release
    if len(release) > _STEM_LENGTH or not _LABEL.fullmatch(release):
        digest = hashlib.sha256(release.encode()).hexdigest()[:8]
        stem = f"{release.replace('.', '-')[: _STEM_LENGTH - 9].rstrip('-')}-{digest}"
    return f"{stem}-{number}"


def owned_by(run: Object) -> Object:
    """Give the owner reference to a run."""
    metadata = run["metadata"]
    return {"apiVersion": API_VERSION, "kind": CANARY_RUNS.kind, "name": metadata["name"], "uid": metadata["uid"], "controller": True}


def is_owned_by(obj: Object, owner: Object) -> bool:
    """Tell whether `owner` is the controller of `obj`: this very object, not one of the same name."""
    references: Iterable[Object] = obj["metadata"].get("ownerReferences") or ()
    return any(reference.get("controller") and reference.get("uid") == owner["metadata"]["uid"] for reference in references)


def candidate_pod(run: Object, deployment: Object) -> Object:
    """Make the candidate of the template that a Deployment has now."""
    template = deployment["spec"]["template"]
    labels = dict((template.get("metadata") or {}).get("labels") or {})
    return _pod(run, Role.CANDIDATE, template, labels)


def baseline_pod(run: Object, replica_set: Object) -> Object:
    """Make the baseline of the template that a ReplicaSet has kept."""
    template = replica_set["spec"]["template"]
    return _pod(run, Role.BASELINE, template, {RELEASE_LABEL: template["metadata"]["labels"][RELEASE_LABEL]})


def replica_set_of(deployment: Object, replica_sets: Iterable[Object], release: str) -> Object | None:
    """Find the newest ReplicaSet of a Deployment whose template names `release`; None when there is none."""
    naming = [
        item
        for item in replica_sets
        if is_owned_by(item, deployment) and ((item["spec"]["template"].get("metadata") or {}).get("labels") or {}).get(RELEASE_LABEL) == release
    ]
    return max(naming, key=lambda item: (item["metadata"].get("creationTimestamp") or "", item["metadata"]["name"]), default=None)


def pod_name(run: str, role: Role) -> str:
    """Name a Pod of a run."""
    return f"{run}-{role}"


def without_bookkeeping(template: Object) -> Object:
    """Give a Pod template without the annotations by which tools recognise what they made."""
    metadata = template.get("metadata") or {}
    kept = {name: value for name, value in (metadata.get("annotations") or {}).items() if not name.startswith(_BOOKKEEPING)}
    return {**template, "metadata": {**metadata, "annotations": kept}}


def held_spec(template: Object) -> Object:
    """Give the spec of a Pod of this template that waits at both gates."""
    spec: Object = deepcopy(template["spec"])
    spec["schedulingGates"] = _with(spec.get("schedulingGates"), "name", SCHEDULING_GATE)
    spec["readinessGates"] = _with(spec.get("readinessGates"), "conditionType", READINESS_GATE)
    return spec


def _pod(run: Object, role: Role, template: Object, labels: Object) -> Object:
    labels.pop(_HASH_LABEL, None)
    annotations = (without_bookkeeping(template).get("metadata") or {}).get("annotations") or {}
    metadata = {
        "namespace": run["metadata"]["namespace"],
        "name": pod_name(run["metadata"]["name"], role),
        "labels": {**labels, CANARY_LABEL: run["metadata"]["name"], CANARY_ROLE_LABEL: str(role)},
        "annotations": annotations,
        "ownerReferences": [owned_by(run)],
    }
    return {"apiVersion": PODS.api_version, "kind": PODS.kind, "metadata": metadata, "spec": held_spec(template)}


def _with(entries: list[Object] | None, member: str, value: str) -> list[Object]:
    others = [entry for entry in entries or () if entry.get(member) != value]
    return [*others, {member: value}]
