"""The controller as processes of this machine, with what the chart installs for it: CRDs, the admission policies of L0 and the least rights.

Each process has a certificate of the service account's name, so RBAC and the API server's own policies treat it as they treat the real one.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from e2e.cluster import Cluster
from e2e.cluster.api_server import ApiServer
from sluice.api.names import CONTROLLER
from tests.cluster.forked import Forked, controller
from tests.cluster.installation import CONTROLLER as USER
from tests.cluster.installation import HOME as NAMESPACE
from tests.cluster.installation import install

__all__ = ["NAMESPACE", "USER", "Controller", "Process"]
READY_SECONDS = 40


class Process:
    """One controller."""

    def __init__(self, cluster: Cluster, folder: Path, identity: str, **settings: object) -> None:
        self.identity = identity
        self.log = folder / f"{identity}.log"
        kubeconfig = folder / f"{identity}.kubeconfig"
        kubeconfig.write_text(cluster.user_kubeconfig(USER, groups=["system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}"]))
        given = {"namespace": NAMESPACE, "identity": identity, "host": "127.0.0.1", "probe_port": 0, **settings}
        self.process = Forked(controller, str(kubeconfig), json.dumps(given), log=self.log)

    def said(self) -> str:
        """Everything it logged so far."""
        return self.log.read_text()

    def wait_said(self, text: str, *, seconds: float = READY_SECONDS) -> None:
        """Wait until it has logged something."""
        deadline = time.monotonic() + seconds
        while text not in self.said():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, f"{self.identity} did not say {text!r}:\n{self.said()}"
            time.sleep(0.05)

    def wait_quiet(self, *, seconds: float = 1) -> None:
        """Wait until it has logged nothing for so long: what it had begun is done."""
        before = ""
        while before != (before := self.said()):
            time.sleep(seconds)

    def probe(self, path: str) -> tuple[int, str]:
        """Ask the port of probes and metrics."""
        self.wait_said("probes and metrics on port ")
        port = self.said().partition("probes and metrics on port ")[2].split()[0]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name: str) -> float:
        """The value of one series, named as in the text format."""
        lines = self.probe("/metrics")[1].splitlines()
        return next(float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == name)

    def wait_metric(self, name: str, *, least: float, seconds: float = READY_SECONDS) -> None:
        """Wait until a series is that high: it follows what was written, which people see first."""
        deadline = time.monotonic() + seconds
        while (found := self.metric(name)) < least:
            assert time.monotonic() < deadline, f"{name} is {found}"
            time.sleep(0.05)

    def kill(self) -> None:
        """`kill -9`."""
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """Ask it to end, and wait until it has."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


class Controller:
    """Processes, and what the chart installs for them. At the end of the `with` block they are gone, with what they made."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self.folder = folder
        self.processes: list[Process] = []
        self._api = ApiServer.of(cluster)

    def __enter__(self) -> Self:
        install(self.cluster)
        self.free_lease()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for process in self.processes:
            if process.process.poll() is None:
                process.kill()
        # What the processes made: the next one's key would be published beside theirs.
        for made in ("secrets", "configmaps", "events.events.k8s.io"):
            self._api.delete_all(made, namespace=NAMESPACE)
        self._api.close()

    def start(self, identity: str, **settings: object) -> Process:
        """Start a process; it need not be the leader."""
        process = Process(self.cluster, self.folder, identity, **settings)
        self.processes.append(process)
        return process

    def lead(self, identity: str, **settings: object) -> Process:
        """Start a process and wait until it leads."""
        process = self.start(identity, **settings)
        process.wait_said("lease sluice-controller: held by")
        return process

    def free_lease(self) -> None:
        """Let the next process act at once where the wait for a killed one is not what is tested: it wrote this when it is told to end."""
        free = {"spec": {"holderIdentity": "", "leaseDurationSeconds": 1}}
        self._api.patch("lease", CONTROLLER, free, namespace=NAMESPACE)
