"""Scorers that somebody else runs, on the cluster: containers beside the scorer, and Pods of a release that judges.

A container shares the network of its scorer Pod, so a NetworkPolicy leaves it the two models and the judges, and nothing beyond. It sees no plan, no cases, no
Secret and no service account; its file system is read-only but for a `/tmp` of its own. Judges are asked at the addresses of their Pods, never by a name or a
Service, which a tenant could aim elsewhere; the Job remembers which, since every scorer of a run has to ask the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sluice.api.names import GROUP, RELEASE_LABEL
from sluice.cluster.client import ApiClient, Object
from sluice.rollout.serving import serving_pods, url_of

JUDGES_ANNOTATION: Final = f"{GROUP}/judges"
"""On a Job: where the judges of a run are asked, as JSON."""
_PODS: Final = 4
"""Pods of one judge that are asked at most."""

Addresses = tuple[tuple[str, tuple[str, ...]], ...]
"""Metric and where its judge is asked, sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """A container that scores."""

    metric: str
    image: str
    args: Sequence[str]
    memory: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """The Secret with the token that a model server asks for."""

    secret: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgePods:
    """The release whose Pods judge."""

    metric: str
    release: str
    port: int
    token: Token | None


def sidecars(wanted: Sequence[Sidecar]) -> Mapping[str, list[Object]]:
    """Make the containers, and the volumes they need: members of a Pod's spec. They start before the scorer, and end with it."""
    containers, volumes = [], []
    for sidecar in wanted:
        name = f"container-{sidecar.port}"
        containers.append(
            {
                "name": name,
                "image": sidecar.image,
                "args": list(sidecar.args),
                "env": [{"name": "PORT", "value": str(sidecar.port)}],
                "restartPolicy": "Always",
                "resources": {"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"memory": sidecar.memory}},
                "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
                "volumeMounts": [{"name": name, "mountPath": "/tmp"}],  # noqa: S108 - of the Pod
            }
        )
        volumes.append({"name": name, "emptyDir": {"sizeLimit": "64Mi"}})
    return {"initContainers": containers, "volumes": volumes}


def judge_egress(judges: Sequence[JudgePods]) -> list[Object]:
    """Make the rules of a NetworkPolicy by which scorers reach the judges."""
    return [{"to": [{"podSelector": {"matchLabels": {RELEASE_LABEL: judge.release}}}], "ports": [{"protocol": "TCP", "port": judge.port}]} for judge in judges]


async def find_judges(client: ApiClient, namespace: str, judges: Sequence[JudgePods]) -> Addresses | str:
    """Find where the judges are asked; or say which has no Pod that serves. Raises `ApiError`."""
    found = []
    for judge in judges:
        pods = await serving_pods(client, namespace, judge.release)
        if not pods:
            return f"no Pod is ready of {judge.release}, which judges {judge.metric}"
        found.append((judge.metric, tuple(url_of(pod["status"]["podIP"], judge.port) for pod in pods[:_PODS])))
    return tuple(sorted(found))


def noted(addresses: Addresses) -> Mapping[str, str]:
    """Write the annotation of a Job; none when nobody judges."""
    return {JUDGES_ANNOTATION: json.dumps(dict(addresses), sort_keys=True)} if addresses else {}


def judges_of(job: Object) -> Addresses:
    """Read it back. Only the controller writes annotations of a scoring Job; one that cannot be read fits no plan."""
    try:
        value = json.loads((job["metadata"].get("annotations") or {}).get(JUDGES_ANNOTATION, "{}"))
        return tuple(sorted((str(metric), tuple(map(str, addresses))) for metric, addresses in value.items()))
    except (ValueError, AttributeError, TypeError):
        return ()
