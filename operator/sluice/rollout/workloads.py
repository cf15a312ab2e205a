"""Where the templates of the two Pods come from: the workload that waits for the candidate, and what its history keeps of the baseline.

A *Deployment* is paused for the candidate, and keeps old templates in its ReplicaSets. A *StatefulSet* cannot be paused: its first new Pod waits at the gate,
one Pod of capacity is missing meanwhile, and its ControllerRevisions keep old templates. A *ReplicaSet* that no Deployment owns has Pods that wait at the
gate, and no history: the newest other ReplicaSet that names the baseline stands for it. Nothing of any of them is written.

Limits: Pods of a run get new, empty volumes for the claims of a StatefulSet, so a model that lives in such a claim does not start there. Jobs, and Pods
without an owner, are no workload to be compared: they end, and nothing asks them. Their Pods wait for the approval of the release.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from typing import Final

from sluice.api.names import CANARY_LABEL, RELEASE_LABEL, SCHEDULING_GATE
from sluice.cluster.client import ApiClient, Object
from sluice.cluster.resource import CONTROLLER_REVISIONS, DEPLOYMENTS, PODS, REPLICA_SETS, STATEFUL_SETS, Resource
from sluice.rollout.canary_pods import is_owned_by, replica_set_of
from sluice.rollout.owned import found
from sluice.rollout.owners import held_for

KINDS: Final[dict[str, Resource]] = {resource.kind: resource for resource in (DEPLOYMENTS, STATEFUL_SETS, REPLICA_SETS)}
"""What can be a workload of a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One of them, by name."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


async def waiting_for(client: ApiClient, namespace: str, release: str) -> Workload | None:
    """Find a workload that waits for a release: a Deployment that is held for it, or else what owns a Pod that waits at the gate. Raises `ApiError`."""
    held = [item["metadata"]["name"] for item in await client.list(DEPLOYMENTS, namespace) if held_for(item) == release]
    if held:
        return Workload(kind=DEPLOYMENTS.kind, name=min(held))
    pods = await client.list(PODS, namespace, label_selector=f"{RELEASE_LABEL}={release},!{CANARY_LABEL}")
    owners = sorted({owner for pod in pods if _is_gated(pod) and (owner := _owner(pod)) is not None})
    for kind, name in owners:
        workload = Workload(kind=kind, name=name)
        if await candidate_of(client, namespace, workload, release) is not None:
            return workload
    return None


async def candidate_of(client: ApiClient, namespace: str, workload: Workload, release: str) -> Object | None:
    """Give a workload as long as it waits for a release, with the template of the candidate in `spec.template`; else None. Raises `ApiError`."""
    resource = KINDS.get(workload.kind)
    there = None if resource is None else await found(client, resource.path(namespace, workload.name))
    if there is None or "deletionTimestamp" in there["metadata"]:
        return None
    if workload.kind == DEPLOYMENTS.kind:
        return there if held_for(there) == release else None
    if _named_by(there["spec"].get("template")) != release or (workload.kind == REPLICA_SETS.kind and _is_of_a_deployment(there)):
        return None
    return with_template(there, there["spec"]["template"])


async def baseline_of(client: ApiClient, workload: Object, kind: str, release: str) -> Object | None:
    """Find what keeps the template of the baseline of a workload, in `spec.template`; None when nothing does. Raises `ApiError`."""
    namespace = workload["metadata"]["namespace"]
    if kind == STATEFUL_SETS.kind:
        kept = _newest(
            revision
            for revision in await client.list(CONTROLLER_REVISIONS, namespace)
            if is_owned_by(revision, workload) and _named_by(_template_in(revision)) == release
        )
        return None if kept is None else with_template(workload, _template_in(kept) or {})
    replica_sets = await client.list(REPLICA_SETS, namespace)
    if kind == DEPLOYMENTS.kind:
        return replica_set_of(workload, replica_sets, release)
    return _newest(item for item in replica_sets if _named_by(item["spec"].get("template")) == release)


def with_template(workload: Object, template: Object) -> Object:
    """Give a workload with another template, as Pods are made of it. Claims of a StatefulSet become volumes that go with the Pod."""
    template = deepcopy(template)
    template.pop("$patch", None)
    claims = [
        {"name": claim["metadata"]["name"], "ephemeral": {"volumeClaimTemplate": {"spec": claim["spec"]}}}
        for claim in workload["spec"].get("volumeClaimTemplates") or ()
    ]
    if claims:
        names = {claim["name"] for claim in claims}
        others = [volume for volume in template["spec"].get("volumes") or () if volume["name"] not in names]
        template["spec"]["volumes"] = [*others, *claims]
    return {**workload, "spec": {**workload["spec"], "template": template}}


def _is_gated(pod: Object) -> bool:
    return any(gate.get("name") == SCHEDULING_GATE for gate in pod["spec"].get("schedulingGates") or ())


def _owner(pod: Object) -> tuple[str, str] | None:
    owners: Iterable[Object] = pod["metadata"].get("ownerReferences") or ()
    return next(((item["kind"], item["name"]) for item in owners if item.get("controller") and item.get("apiVersion") == "apps/v1"), None)


def _is_of_a_deployment(replica_set: Object) -> bool:
    return any(owner.get("controller") for owner in replica_set["metadata"].get("ownerReferences") or ())


def _template_in(revision: Object) -> Object | None:
    """Read the template that a revision of a StatefulSet keeps: its data is the patch that would bring it back."""
    template = ((revision.get("data") or {}).get("spec") or {}).get("template")
    return template if isinstance(template, dict) else None


def _named_by(template: Object | None) -> str:
    labels = ((template or {}).get("metadata") or {}).get("labels") or {}
    named = labels.get(RELEASE_LABEL)
    return named if isinstance(named, str) else ""


def _newest(items: Iterable[Object]) -> Object | None:
    return max(items, key=lambda item: (item["metadata"].get("creationTimestamp") or "", item["metadata"]["name"]), default=None)
