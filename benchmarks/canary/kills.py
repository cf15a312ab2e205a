"""`kill -9` of one part of a cluster that Sluice is installed in: a container by the processes in its Pod's cgroup, a part of Kubernetes by its name.

Containers are started again by the kubelet, parts of Kubernetes by us after `DOWN_SECONDS`, as the init system of a node would.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

from e2e.cluster import Cluster
from e2e.cluster.sandbox import kill
from tests.cluster.namespace import Namespace

DOWN_SECONDS = 2.0
SYSTEM = "sluice-system"
_PAUSE = "sleep"
"""What the process that holds a Pod's namespaces is called in the local cluster."""


class Part(StrEnum):
    """What can be killed."""

    CONTROLLER = "controller"
    SCORER = "scorer"
    CANDIDATE = "candidate"
    WEBHOOK = "webhook"
    KUBELET = "kubelet"
    API_SERVER = "kube-apiserver"


def kill_part(cluster: Cluster, ns: Namespace, run: str, part: Part, *, give_up: Callable[[], bool]) -> bool:
    """Kill a part, waiting until it is there, or `give_up()`. Gives whether something was killed."""
    if part in {Part.KUBELET, Part.API_SERVER}:
        kill(cluster.place.folder, lambda process: process.component == part)
        time.sleep(DOWN_SECONDS)
        cluster.sandbox.start(next(component for component in cluster.components() if component.name == part))
        return True
    while not give_up():
        if sum(_kill_container(pod["metadata"]["uid"]) for pod in _pods(cluster, ns, run, part)):
            return True
        time.sleep(0.1)
    return False


def _pods(cluster: Cluster, ns: Namespace, run: str, part: Part) -> list[dict[str, Any]]:
    match part:
        case Part.CONTROLLER:
            lease = cluster.kubectl("get", "lease", "sluice-controller", f"--namespace={SYSTEM}", "--output=jsonpath={.spec.holderIdentity}", check=False)
            leader = lease.stdout.partition("_")[0]
            return [pod for pod in _listed(cluster, SYSTEM, "app.kubernetes.io/component=controller") if pod["metadata"]["name"] == leader]
        case Part.WEBHOOK:
            return _listed(cluster, SYSTEM, "app.kubernetes.io/component=webhook")[:1]
        case _:
            return _listed(cluster, ns.name, f"sluice.dev/canary-run={run},sluice.dev/canary-role={part}")


def _listed(cluster: Cluster, namespace: str, selector: str) -> list[dict[str, Any]]:
    done = cluster.kubectl("get", "pods", f"--namespace={namespace}", f"--selector={selector}", "--output=json", check=False)
    return list(json.loads(done.stdout)["items"]) if done.returncode == 0 else []


def _kill_container(pod_uid: str) -> int:
    """Kill what runs in the containers of a Pod; gives how many processes that were."""
    killed = 0
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            pid = int(entry.name)
            if f"pod{pod_uid}" in (entry / "cgroup").read_text() and (entry / "comm").read_text().strip() not in {_PAUSE, "busybox"}:
                os.kill(pid, signal.SIGKILL)
                killed += 1
    return killed
