"""Two replicas of the webhook as processes of this machine, behind the Service and the configurations that the chart installs.

They run with a certificate of the service account's name, so the chart's RBAC is what they have. Each has an EndpointSlice of its own in place of a Pod.
"""

from __future__ import annotations

import base64
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from e2e.cluster import Cluster, StepFailed
from e2e.cluster.api_server import ApiServer
from sluice.api.names import WEBHOOK
from tests.cluster.forked import Forked, command
from tests.cluster.installation import disturbed, install_crds, objects_of, rendered
from tests.cluster.namespace import Namespace

READY_SECONDS = 40


class Replica:
    """One process and its endpoint."""

    def __init__(self, cluster: Cluster, folder: Path, name: str, namespace: str, lifetimes: Mapping[str, float]) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self.host = str(cluster.place.host_address)
        self.port, self.probe_port = (_free_port(self.host) for _ in range(2))
        kubeconfig = folder / "kubeconfig"
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}"]
        kubeconfig.write_text(cluster.user_kubeconfig(f"system:serviceaccount:{namespace}:{WEBHOOK}", groups=groups))
        flags: dict[str, object] = {"kubeconfig": kubeconfig, "namespace": namespace, "host": self.host, "port": self.port, "probe-port": self.probe_port}
        flags |= {name.replace("_", "-"): value for name, value in lifetimes.items()}
        self.process = Forked(command, "webhook", *(f"--{name}={value}" for name, value in flags.items()), log=self.log)

    def probe(self, path: str) -> tuple[int, str]:
        """Ask the plain HTTP port."""
        try:
            with urllib.request.urlopen(f"http://{self.host}:{self.probe_port}{path}", timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def wait_ready(self) -> None:
        """Wait until it says that it is ready."""
        deadline = time.monotonic() + READY_SECONDS
        while (answer := self.probe("/readyz"))[0] != 200:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, f"{answer}\n{self.log.read_text()}"
            time.sleep(0.1)

    def end(self) -> int:
        """Ask it to end, and wait until it has."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class Webhook:
    """Two replicas; everything is gone at the end of the `with` block, except the CRDs."""

    def __init__(self, cluster: Cluster, folder: Path, **lifetimes: float) -> None:
        self.cluster = cluster
        # A name of its own: the next one need not wait until this one is gone.
        self.namespace = f"webhook-{uuid4().hex[:8]}"
        self._folder = folder
        self._lifetimes = lifetimes
        self.replicas: list[Replica] = []
        self._api = ApiServer.of(cluster)
        self._manifests = objects_of(rendered(cluster, "rbac", "webhooks", namespace=self.namespace))

    def __enter__(self) -> Self:
        install_crds(self.cluster)
        # Cluster roles are there once: what was bound to the parts in another namespace is bound to these.
        disturbed(self.cluster)
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}
        ports = [{"name": "admission", "port": 443, "targetPort": 9443}]
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": WEBHOOK}, "spec": {"ports": ports}}
        objects: list[dict[str, Any]] = [namespace, service, *self._manifests]
        for obj in objects:
            self._api.apply(obj, namespace=obj["metadata"].get("namespace", self.namespace), field_manager="test")
        for number in range(2):
            folder = self._folder / str(number)
            folder.mkdir()
            self.replicas.append(Replica(self.cluster, folder, f"replica-{number}", self.namespace, self._lifetimes))
        try:
            for replica in self.replicas:
                replica.wait_ready()
                self.publish(replica)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for obj in self._manifests:
            self._api.take_away(obj, namespace=self.namespace)
        for replica in self.replicas:
            replica.process.terminate()
        for replica in self.replicas:
            replica.end()
        self._api.delete("namespace", self.namespace, namespace=self.namespace, seconds=0, missing_ok=True)
        self._api.close()

    def publish(self, replica: Replica, *, ready: bool = True) -> None:
        """Do what the kubelet and the endpoint controller do for a Pod."""
        named = {"name": replica.name, "labels": {"kubernetes.io/service-name": WEBHOOK}}
        endpoint = {"addresses": [replica.host], "conditions": {"ready": ready}}
        ports = [{"name": "admission", "port": replica.port, "protocol": "TCP"}]
        published = {"addressType": "IPv4", "endpoints": [endpoint], "ports": ports}
        obj = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": named, **published}
        self._api.apply(obj, namespace=self.namespace, field_manager="test")

    def secret(self) -> dict[str, str]:
        """The data of the Secret that the replicas share."""
        data: dict[str, str] = self._api.get("secret", f"{WEBHOOK}-tls", namespace=self.namespace)["data"]
        return data

    def bundles(self) -> set[str]:
        """The `caBundle` of every entry of both configurations."""
        configurations = ("mutatingwebhookconfiguration", "validatingwebhookconfiguration")
        found = [self._api.get(kind, WEBHOOK, namespace=self.namespace) for kind in configurations]
        return {webhook["clientConfig"].get("caBundle", "") for configuration in found for webhook in configuration["webhooks"]}

    def trusted(self, bundle: str, replica: Replica) -> bool:
        """Make a new connection like an API server that has this `caBundle`."""
        context = ssl.create_default_context(cadata=base64.b64decode(bundle).decode())
        name = f"{WEBHOOK}.{self.namespace}.svc"
        try:
            with socket.create_connection((replica.host, replica.port), timeout=10) as plain, context.wrap_socket(plain, server_hostname=name):
                return True
        except ssl.SSLCertVerificationError:
            return False


def create(ns: Namespace, obj: dict[str, Any], *, dry_run: bool = False) -> tuple[dict[str, Any] | None, str]:
    """Create an object like a person; gives it as stored, or None, and what a terminal shows."""
    try:
        stored = ns.create(obj, dry_run=dry_run)
    except StepFailed as refused:
        return None, str(refused)
    return stored, "".join(f"Warning: {warning}\n" for warning in ns.warnings)


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
