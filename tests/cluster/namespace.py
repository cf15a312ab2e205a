"""A namespace of one test, and what the test does in it.

What changes something goes through kubectl, whose error messages are the ones that people see; what only looks does not (`e2e.cluster.reading`).
Waiting is watching: no polling, and no sleep that is too short on a busy machine.
"""

import json
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self
from uuid import uuid4

from e2e.cluster import Cluster, StepFailed
from e2e.cluster.reading import Reader

Object = dict[str, Any]
DELETION_SECONDS = 60


class Namespace:
    """A namespace, gone at the end of the `with` block together with the cluster-scoped objects that were made through it."""

    def __init__(self, cluster: Cluster, *, labels: Mapping[str, str] | None = None, prefix: str = "t") -> None:
        """Choose a name; the namespace is made on entering."""
        self.cluster = cluster
        self.name = f"{prefix}-{uuid4().hex[:8]}"
        self._labels = dict(labels or {})
        self._cluster_scoped: list[tuple[str, str]] = []
        self._reader = Reader.of(cluster)

    def __enter__(self) -> Self:
        """Make the namespace, and wait for the service account without which no Pod is admitted."""
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name, "labels": self._labels}}
        self.cluster.kubectl("create", "--filename=-", stdin=json.dumps(namespace))
        self.wait("serviceaccount", "default", lambda _: True)
        return self

    def __exit__(self, *_: object) -> None:
        """Delete what was made: cluster-scoped objects first, since policies and webhooks among them could resist the rest.

        The namespace itself takes Kubernetes five seconds at least; `wait_gone` waits for it where that matters.
        """
        self._reader.close()
        if self._cluster_scoped:
            names = [f"{kind}/{name}" for kind, name in reversed(self._cluster_scoped)]
            self.cluster.kubectl("delete", *names, "--ignore-not-found", f"--timeout={DELETION_SECONDS}s")
        owners = "deployments,replicasets,statefulsets,jobs,pods"
        self.kubectl("delete", owners, "--all", "--grace-period=0", "--force", "--wait=false")
        self.cluster.kubectl("delete", "namespace", self.name, "--ignore-not-found", "--wait=false")

    def wait_gone(self) -> None:
        """Wait until nothing is left of the namespace, after the `with` block."""
        self.cluster.kubectl("wait", "--for=delete", f"namespace/{self.name}", f"--timeout={DELETION_SECONDS}s")

    def label(self, labels: Mapping[str, str | None]) -> None:
        """Set labels of the namespace; None removes one."""
        words = [f"{key}-" if value is None else f"{key}={value}" for key, value in labels.items()]
        self.cluster.kubectl("label", "namespace", self.name, "--overwrite", *words)

    def kubectl(
        self,
        *arguments: str,
        as_user: str | None = None,
        groups: Sequence[str] = (),
        stdin: str | None = None,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl in this namespace. With `check`, raises StepFailed with what kubectl said."""
        return self.cluster.kubectl(f"--namespace={self.name}", *arguments, as_user=as_user, groups=groups, stdin=stdin, check=check)

    def apply(self, obj: Object, *, as_user: str | None = None, groups: Sequence[str] = (), field_manager: str = "test") -> Object:
        """Apply an object server-side and give it as stored. Raises StepFailed with the API server's message when it is refused."""
        arguments = ("apply", "--server-side", "--force-conflicts", f"--field-manager={field_manager}")
        return self._send(obj, arguments, as_user=as_user, groups=groups)

    def apply_all(self, *objects: Object) -> None:
        """Apply several objects in the order given, in one go: starting kubectl costs more than what it does."""
        together = {"apiVersion": "v1", "kind": "List", "items": objects}
        arguments = ("apply", "--server-side", "--force-conflicts", "--field-manager=test")
        done = self.kubectl(*arguments, "--filename=-", "--output=json", stdin=json.dumps(together))
        stored = json.loads(done.stdout)
        for obj in stored["items"] if stored["kind"] == "List" else [stored]:
            self._note(obj)

    def create(self, obj: Object, *, as_user: str | None = None, groups: Sequence[str] = ()) -> Object:
        """Create an object and give it as stored; for `generateName`, and where an existing object must be an error."""
        return self._send(obj, ("create",), as_user=as_user, groups=groups)

    def _send(self, obj: Object, arguments: Sequence[str], *, as_user: str | None, groups: Sequence[str]) -> Object:
        done = self.kubectl(*arguments, "--filename=-", "--output=json", as_user=as_user, groups=groups, stdin=json.dumps(obj))
        stored: Object = json.loads(done.stdout)
        self._note(stored)
        return stored

    def _note(self, stored: Object) -> None:
        """Remember what does not go with the namespace."""
        if "namespace" not in stored["metadata"]:
            group, slash, version = stored["apiVersion"].rpartition("/")
            kind = f"{stored['kind']}.{version}.{group}" if slash else stored["kind"]
            self._cluster_scoped.append((kind, stored["metadata"]["name"]))

    def get(self, kind: str, name: str) -> Object:
        """Read one object. Raises StepFailed when it is not there."""
        return self._reader.get(kind, name, namespace=self.name)

    def list(self, kind: str, *, selector: str = "") -> list[Object]:
        """Read all objects of a kind in this namespace that carry the labels asked for."""
        return self._reader.list(kind, namespace=self.name, selector=selector)

    def delete(self, kind: str, name: str) -> None:
        """Delete an object and wait until it is gone."""
        self.kubectl("delete", kind, name, f"--timeout={DELETION_SECONDS}s")

    def wait(self, kind: str, name: str, condition: Callable[[Object], object], *, seconds: float = 30.0) -> Object:
        """Watch an object, which need not exist yet, until `condition` holds for it, and give it as it is then.

        Raises StepFailed with the object as last seen when that does not happen in time.
        """
        last: Object | None = None
        for obj in self._watch(kind, name, seconds=seconds):
            last = obj
            if condition(obj):
                return obj
        seen = "it was never there" if last is None else f"last seen:\n{json.dumps(_without_noise(last), indent=1)}"
        raise StepFailed(f"{kind} {name} in {self.name} did not become as expected within {seconds:.0f} s; {seen}")

    def wait_ready(self, pod: str, *, seconds: float = 30.0) -> Object:
        """Wait until a Pod is Ready."""
        return self.wait("pod", pod, lambda obj: condition_of(obj, "Ready") == "True", seconds=seconds)

    def _watch(self, kind: str, name: str, *, seconds: float) -> Iterator[Object]:
        """Give the object each time it is there or changes, until time is over."""
        deadline = time.monotonic() + seconds
        command = [
            str(self.cluster.binaries["kubectl"]),
            f"--kubeconfig={self.cluster.kubeconfig}",
            f"--namespace={self.name}",
            *("get", kind, f"--field-selector=metadata.name={name}", "--watch", "--output-watch-events", "--output=json"),
        ]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            try:
                text, decoder = b"", json.JSONDecoder()
                while (left := deadline - time.monotonic()) > 0 and select.select([process.stdout], [], [], left)[0]:
                    chunk = os.read(process.stdout.fileno(), 1 << 20)
                    if not chunk:
                        raise StepFailed(f"watching {kind} {name}: {process.stderr.read().decode().strip()}")
                    text = (text + chunk).lstrip()
                    while text:
                        try:
                            event, end = decoder.raw_decode(text.decode())
                        except (json.JSONDecodeError, UnicodeDecodeError):
                            break
                        text = text.decode()[end:].lstrip().encode()
                        if event["type"] != "DELETED":
                            yield event["object"]
            finally:
                process.kill()


def condition_of(obj: Object, condition_type: str) -> str | None:
    """Give the status of one of an object's conditions; None when it has no such condition."""
    conditions = obj.get("status", {}).get("conditions", [])
    return next((condition["status"] for condition in conditions if condition["type"] == condition_type), None)


def _without_noise(obj: Object) -> Object:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {**obj, "metadata": metadata}
