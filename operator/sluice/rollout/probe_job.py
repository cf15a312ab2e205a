"""What one probe needs: a Job of one Pod, what it is to ask or to fetch, and whom it may reach. The Job belongs to its `ReleaseMonitor`, the rest to the Job.

It has no Kubernetes credentials and reaches Pods of the release only, not even a name server. It carries the labels of a scorer, so that what guards those
guards it, too: nobody else makes one, and the controller makes nothing else.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sluice.api.names import API_VERSION, CANARY_LABEL, CANARY_ROLE_LABEL, GROUP, RELEASE_LABEL
from sluice.cluster.client import Object
from sluice.cluster.resource import CONFIG_MAPS, JOBS, MONITORS, NETWORK_POLICIES
from sluice.rollout.canary_pods import Role
from sluice.rollout.remote_scorers import Token
from sluice.rollout.scoring_job import CASES_KEY, PLAN_KEY
from sluice.scoring.plan import REFUSED

CONTAINER: Final = "probe"
MESSAGE_PATH: Final = "/dev/termination-log"
POD_ANNOTATION: Final = f"{GROUP}/probed-pod"
"""On a Job: the Pod that is asked."""
PLAN_ANNOTATION: Final = f"{GROUP}/plan"
"""On a Job: digest of the plan that it follows."""
MONITOR_ANNOTATION: Final = f"{GROUP}/monitor"
"""On the Pod of a Job: the monitor that waits for what it says."""
UNTIL_ANNOTATION: Final = f"{GROUP}/until"
"""On a Job that fetches answers of users: until when they are counted."""
_RETRIES: Final = 2
_KEPT_SECONDS: Final = 600
"""How long a Job stays that nobody read: the controller is away, or the release went out of service."""
_FOLDER: Final = "/etc/sluice"
_SECRET_FOLDER: Final = "/etc/sluice-secret"  # noqa: S105 - a path
_NOBODY: Final = 65532


def probe_name(monitor: Object, *, due: datetime) -> str:
    """Name the probe of a monitor that is due then: whoever makes it makes the same."""
    return "probe-" + hashlib.sha256(f"{monitor['metadata']['uid']} {due.isoformat()}".encode()).hexdigest()[:20]


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """Where answers of users are fetched, and of which time."""

    url: str
    since: datetime
    until: datetime


def probe_job(
    monitor: Object, name: str, *, image: str, metric: str, plan: str, pod: str, seconds: int, token: Token | None, live: Live | None = None
) -> Object:
    """Make the Job. Its Pod starts only once the ConfigMap of the same name is there, and so is who it may talk to."""
    arguments = ["probe", "--plan", f"{_FOLDER}/{PLAN_KEY}", "--cases", f"{_FOLDER}/{CASES_KEY}", "--metric", metric, "--message", MESSAGE_PATH]
    mounts: list[Object] = [{"name": "plan", "mountPath": _FOLDER, "readOnly": True}, {"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - of the Pod
    volumes: list[Object] = [{"name": "plan", "configMap": {"name": name}}, {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}]
    if live is not None:
        arguments += ["--live", live.url, "--since", live.since.isoformat(), "--until", live.until.isoformat()]
    if token is not None:
        arguments += ["--token-file", f"{_SECRET_FOLDER}/token"]
        mounts.append({"name": "token", "mountPath": _SECRET_FOLDER, "readOnly": True})
        volumes.append({"name": "token", "secret": {"secretName": token.secret, "items": [{"key": token.key, "path": "token"}]}})
    container = {
        "name": CONTAINER,
        "image": image,
        "args": arguments,
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": mounts,
        "terminationMessagePath": MESSAGE_PATH,
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": _NOBODY, "runAsGroup": _NOBODY, "fsGroup": _NOBODY, "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": volumes,
    }  # fmt: skip
    body = {
        "backoffLimit": _RETRIES,
        "activeDeadlineSeconds": seconds,
        "ttlSecondsAfterFinished": _KEPT_SECONDS,
        "podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": {"containerName": CONTAINER, "operator": "In", "values": [REFUSED]}}]},
        "template": {"metadata": {"labels": _labels(name), "annotations": {MONITOR_ANNOTATION: monitor["metadata"]["name"]}}, "spec": spec},
    }
    owner = {"apiVersion": API_VERSION, "kind": MONITORS.kind, "name": monitor["metadata"]["name"], "uid": monitor["metadata"]["uid"], "controller": True}
    metadata = {
        "namespace": monitor["metadata"]["namespace"], "name": name, "labels": _labels(name), "ownerReferences": [owner],
        "annotations": {POD_ANNOTATION: pod, PLAN_ANNOTATION: plan} | ({} if live is None else {UNTIL_ANNOTATION: live.until.isoformat()}),
    }  # fmt: skip
    return {"apiVersion": JOBS.api_version, "kind": JOBS.kind, "metadata": metadata, "spec": body}


def probe_policy(job: Object, *, release: str, port: int) -> Object:
    """Make the NetworkPolicy of the Job's Pod."""
    egress = [{"to": [{"podSelector": {"matchLabels": {RELEASE_LABEL: release}}}], "ports": [{"protocol": "TCP", "port": port}]}]
    spec = {"podSelector": {"matchLabels": _labels(job["metadata"]["name"])}, "policyTypes": ["Ingress", "Egress"], "ingress": [], "egress": egress}
    return {"apiVersion": NETWORK_POLICIES.api_version, "kind": NETWORK_POLICIES.kind, "metadata": _of_job(job), "spec": spec}


def probe_map(job: Object, *, plan: str, cases: str) -> Object:
    """Make the ConfigMap with what is asked."""
    data = {PLAN_KEY: plan, CASES_KEY: cases}
    return {"apiVersion": CONFIG_MAPS.api_version, "kind": CONFIG_MAPS.kind, "metadata": _of_job(job), "immutable": True, "data": data}


def said_at_end(pods: list[Object], *, failed: bool) -> str:
    """Give what the container of a probe that is over said; empty when nobody knows any more."""
    for pod in pods:
        for status in (pod.get("status") or {}).get("containerStatuses") or ():
            ended = (status.get("state") or {}).get("terminated") or {}
            if status.get("name") == CONTAINER and ended and failed == bool(ended.get("exitCode")):
                return str(ended.get("message") or "")
    return ""


def _labels(name: str) -> Object:
    return {CANARY_LABEL: name, CANARY_ROLE_LABEL: str(Role.SCORER)}


def _of_job(job: Object) -> Object:
    metadata = job["metadata"]
    owner = {"apiVersion": JOBS.api_version, "kind": JOBS.kind, "name": metadata["name"], "uid": metadata["uid"], "controller": True}
    return {"namespace": metadata["namespace"], "name": metadata["name"], "ownerReferences": [owner]}
