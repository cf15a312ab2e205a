"""After release: a model that serves users and may not any more is taken out of service, and its baseline stands in.

Git still asks for the withdrawn release, and a self-healing GitOps controller puts back what somebody edits. So nothing is edited: a ReplicaSet of our own,
from the template that the Deployment's own history keeps of the baseline, serves behind the same Service. For each of its Pods that is ready one withdrawn
Pod is evicted: users always have as many as before, and a cluster with room for a single Pod more is enough. What the Deployment makes instead is held or
denied. The stand-in goes when the Deployment's own Pods, of a release that is entitled, are ready again.

Nothing is evicted without somebody to stand in: where the baseline is not entitled, or no template of it is left, people are told, and decide. Unless
policy asked for just that: the Pods of a release that a monitor withdrew, or that was revoked, go all the same. Of one that policy scales to zero they go
at once: what was found about it is worse than not being there.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Final

from sluice.api.names import API_VERSION, FOR_USERS, GROUP, RELEASE_LABEL, STAND_IN_LABEL
from sluice.cluster.client import ApiClient, Object
from sluice.cluster.errors import Conflict, NotFound, Unavailable
from sluice.cluster.resource import DEPLOYMENTS, PODS, RELEASES, REPLICA_SETS
from sluice.rollout.canary_pods import is_owned_by, replica_set_of, without_bookkeeping
from sluice.rollout.serving import is_ready

LOOK_SECONDS: Final = 1.0
"""How often a stand-in is looked at until it is needed no more, if nothing is heard of its Pods."""
INSTEAD_OF: Final = f"{GROUP}/instead-of"
"""On Pods of a stand-in: the release that they replace, which is looked at when one of them changes. Nothing is decided by it."""
_HASH_LABEL: Final = "pod-template-hash"
_NAME_LENGTH: Final = 63
_SUFFIX: Final = "-stand-in"
_TOLD: Final = 8
"""Pods that are named, and reasons that are given, at most."""
_BUDGET: Final = "disruptionbudget"
"""Of what the API server speaks when it does not evict: a budget does not allow it (HTTP 429, as for too many requests), or a Pod has two (500)."""

log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """How things stand with a release: whether it may not serve any more, whatever is waited for, and who stands in for it."""

    release: Object
    withdrawn: bool
    baseline: str | None
    may_serve: Callable[[str], bool]
    """Whether a release of this namespace is entitled to serve now."""
    regardless: bool
    """Whether its Pods go also where nobody stands in."""
    at_once: bool = False
    """Whether they go now, and nobody is asked to stand in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """In how many seconds to look again, if at all, and what people should know."""

    again_seconds: float | None = None
    problem: str = ""
    """Why Pods of it still run."""
    unserved: str = ""
    """Whose Pods went though nobody stands in, and why nobody does."""


def stand_in_name(deployment: str) -> str:
    """Name the ReplicaSet that stands in for a Deployment."""
    return f"{deployment[: _NAME_LENGTH - len(_SUFFIX)]}{_SUFFIX}"


def stand_in_for(release: Object, deployment: Object, template_of: Object, *, replicas: int) -> Object:
    """Make the ReplicaSet. It selects by a label of its own, so the Deployment neither adopts it nor counts its Pods."""
    name = deployment["metadata"]["name"]
    template = without_bookkeeping(deepcopy(template_of["spec"]["template"]))
    labels = {key: value for key, value in template["metadata"]["labels"].items() if key != _HASH_LABEL} | {STAND_IN_LABEL: name}
    annotations = {**(template["metadata"].get("annotations") or {}), INSTEAD_OF: release["metadata"]["name"]}
    template["metadata"] = {**template["metadata"], "labels": labels, "annotations": annotations}
    owner = {"apiVersion": API_VERSION, "kind": RELEASES.kind, "name": release["metadata"]["name"], "uid": release["metadata"]["uid"], "controller": True}
    metadata = {"namespace": release["metadata"]["namespace"], "name": stand_in_name(name), "labels": {STAND_IN_LABEL: name}, "ownerReferences": [owner]}
    spec = {"replicas": replicas, "selector": {"matchLabels": {STAND_IN_LABEL: name, RELEASE_LABEL: labels[RELEASE_LABEL]}}, "template": template}
    return {"apiVersion": REPLICA_SETS.api_version, "kind": REPLICA_SETS.kind, "metadata": metadata, "spec": spec}


async def settle_stand_ins(withdrawal: Withdrawal, client: ApiClient) -> Outcome:
    """Bring stand-ins, and the Pods that they replace, to what a release asks for now. Raises `ApiError`."""
    namespace, release = withdrawal.release["metadata"]["namespace"], withdrawal.release["metadata"]["name"]
    stand_ins = [item for item in await client.list(REPLICA_SETS, namespace, label_selector=STAND_IN_LABEL) if is_owned_by(item, withdrawal.release)]
    drifted: Sequence[Object] = ()
    if withdrawal.withdrawn:
        pods = await client.list(PODS, namespace, label_selector=f"{RELEASE_LABEL}={release},{FOR_USERS}")
        drifted = [pod for pod in pods if _runs(pod)]
    if not stand_ins and not drifted:
        return Outcome()
    deployments = {item["metadata"]["name"]: item for item in await client.list(DEPLOYMENTS, namespace)}
    # 1. Stand-ins that nobody needs any more.
    for item in list(stand_ins):
        if _needed_no_more(item, deployments, withdrawal):
            with suppress(NotFound, Conflict):
                await client.delete(REPLICA_SETS.path(namespace, item["metadata"]["name"]), uid=item["metadata"]["uid"])
            log.info("release %s/%s: the stand-in %s goes", namespace, release, item["metadata"]["name"])
            stand_ins.remove(item)
    if not drifted:
        return Outcome(again_seconds=LOOK_SECONDS if stand_ins else None)
    # 2. Nobody is to stand in.
    if withdrawal.at_once:
        return await _unserved([(drifted, "policy scales it to zero")], client)
    # 3. Nobody to stand in: nothing is taken away that policy did not want taken away.
    if withdrawal.baseline is None or not withdrawal.may_serve(withdrawal.baseline):
        why = f"its baseline {withdrawal.baseline} is not entitled to serve" if withdrawal.baseline else "it names no baseline"
        return await _unserved([(drifted, why)], client) if withdrawal.regardless else _left([(drifted, why)])
    return await _replace(withdrawal, stand_ins, drifted, deployments, client)


async def _replace(
    withdrawal: Withdrawal, stand_ins: Sequence[Object], drifted: Sequence[Object], deployments: Mapping[str, Object], client: ApiClient
) -> Outcome:
    namespace, release = withdrawal.release["metadata"]["namespace"], withdrawal.release["metadata"]["name"]
    replica_sets = await client.list(REPLICA_SETS, namespace)
    by_deployment, lost = _by_deployment(drifted, replica_sets, deployments)
    alone = [([pod], "it has no Deployment that keeps a template of the baseline") for pod in lost]
    known = {item["metadata"]["name"]: item for item in stand_ins}
    for name, pods in sorted(by_deployment.items()):
        # 4. Made of what the Deployment keeps of its own past.
        standing = known.get(stand_in_name(name))
        if standing is None:
            template_of = replica_set_of(deployments[name], replica_sets, withdrawal.baseline or "")
            if template_of is None:
                alone.append((pods, f"no ReplicaSet of Deployment {name} has a template of {withdrawal.baseline} any more"))
                continue
            wanted = stand_in_for(
                withdrawal.release, deployments[name], template_of, replicas=max(len(pods), int(deployments[name]["spec"].get("replicas", 1)))
            )
            with suppress(Conflict):
                await client.create(REPLICA_SETS, wanted, namespace)
                made, count = wanted["metadata"]["name"], wanted["spec"]["replicas"]
                log.info("release %s/%s: %s stands in for Deployment %s with %d Pods", namespace, release, made, name, count)
        # 5. Ready first: for each one that is, a withdrawn Pod goes.
        else:
            ready = await _ready_pods(standing, client)
            await _end(pods[max(0, int(standing["spec"]["replicas"]) - ready) :], client)
    # 6. The rest goes, or stays, as policy asked.
    rest = await _unserved(alone, client) if withdrawal.regardless else _left(alone)
    return replace(rest, again_seconds=LOOK_SECONDS) if by_deployment else rest


def _left(alone: Sequence[tuple[Sequence[Object], str]]) -> Outcome:
    """Pods that nobody can stand in for stay, and people are told."""
    return Outcome(problem="; ".join(f"{_named(pods)} still serve: nobody can stand in, {why}" for pods, why in alone[:_TOLD]))


async def _unserved(alone: Sequence[tuple[Sequence[Object], str]], client: ApiClient) -> Outcome:
    """Pods that nobody can stand in for go."""
    for pods, _ in alone:
        await _end(pods, client)
    told = "; ".join(f"{_named(pods)} went, and nobody stands in: {why}" for pods, why in alone[:_TOLD])
    return Outcome(again_seconds=LOOK_SECONDS if alone else None, unserved=told)


async def _end(pods: Sequence[Object], client: ApiClient) -> None:
    """End Pods, gracefully, and whatever disruption budgets say.

    A budget is asked first, so that it counts what happens. Its answer does not stand in the way: teams write budgets, and one with `maxUnavailable: 1` would
    let the first Pod go and keep all others serving, since the Pod that is made instead is held and never ready.
    """
    for pod in pods:
        path, uid = PODS.path(pod["metadata"]["namespace"], pod["metadata"]["name"]), pod["metadata"]["uid"]
        with suppress(NotFound, Conflict):
            try:
                await client.evict(path, uid=uid)
                how = "evicted"
            except Unavailable as error:
                if _BUDGET not in error.message.lower().replace(" ", ""):
                    raise
                await client.delete(path, uid=uid)
                how = "deleted, since a disruption budget keeps it"
            log.info("pod %s/%s: %s: its release may serve no more", pod["metadata"]["namespace"], pod["metadata"]["name"], how)


def _named(pods: Sequence[Object]) -> str:
    names = sorted(str(pod["metadata"]["name"]) for pod in pods)
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    return f"Pod{'s' if len(names) > 1 else ''} {', '.join(names[:_TOLD])}{more}"


def _by_deployment(
    drifted: Sequence[Object], replica_sets: Sequence[Object], deployments: Mapping[str, Object]
) -> tuple[dict[str, list[Object]], list[Object]]:
    """Sort Pods by the Deployment that made them; give those, too, that none made."""
    sorted_: dict[str, list[Object]] = defaultdict(list)
    lost = []
    for pod in drifted:
        owner = next((item for item in replica_sets if is_owned_by(pod, item)), None)
        of = next((name for name, deployment in deployments.items() if owner is not None and is_owned_by(owner, deployment)), None)
        if of is None:
            lost.append(pod)
        else:
            sorted_[of].append(pod)
    return sorted_, lost


def _needed_no_more(stand_in: Object, deployments: Mapping[str, Object], withdrawal: Withdrawal) -> bool:
    """Whether the Deployment is gone, or serves by itself: all of its Pods are of a release that is entitled, and ready."""
    deployment = deployments.get(stand_in["metadata"]["labels"][STAND_IN_LABEL])
    if deployment is None:
        return True
    named = (deployment["spec"]["template"].get("metadata") or {}).get("labels", {}).get(RELEASE_LABEL)
    status, wanted = deployment.get("status") or {}, int(deployment["spec"].get("replicas", 1))
    seen = status.get("observedGeneration") == deployment["metadata"].get("generation")
    ready = min(int(status.get("updatedReplicas") or 0), int(status.get("readyReplicas") or 0)) >= wanted
    return bool(seen) and ready and isinstance(named, str) and withdrawal.may_serve(named)


async def _ready_pods(stand_in: Object, client: ApiClient) -> int:
    """Count its Pods that are ready. The status of a ReplicaSet says so, too, and later."""
    namespace, name = stand_in["metadata"]["namespace"], stand_in["metadata"]["labels"][STAND_IN_LABEL]
    pods = await client.list(PODS, namespace, label_selector=f"{STAND_IN_LABEL}={name}")
    return sum(is_owned_by(pod, stand_in) and _runs(pod) and is_ready(pod) for pod in pods)


def _runs(pod: Object) -> bool:
    return "deletionTimestamp" not in pod["metadata"] and (pod.get("status") or {}).get("phase") == "Running"
