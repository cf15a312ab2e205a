"""A namespace of one test, and what the test does in it.

kubectl is for tests of what people see of it; the others speak to the API server directly (`e2e.cluster.api_server`), at a fiftieth of the price.
Waiting is watching: no polling, and no sleep that is too short on a busy machine.
"""

import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self
from uuid import uuid4

from e2e.cluster import Cluster, StepFailed
from e2e.cluster.api_server import ApiServer, Person

Object = dict[str, Any]
DELETION_SECONDS = 60
_JUDGED = ("ModelRelease.sluice.dev", "ReleaseApproval.sluice.dev", "ReleaseEvidence.sluice.dev")
"""What a controller judges again whenever a policy or a trust root comes or goes: the one of the next test, and the one after, while the namespace goes."""
_CACHE_SECONDS = 0.25
"""Admission reads namespaces, and authorisation reads bindings, from caches that are milliseconds late, and nothing shows how late."""


class Namespace:
    """A namespace, gone at the end of the `with` block together with the cluster-scoped objects that were made through it."""

    def __init__(self, cluster: Cluster, *, labels: Mapping[str, str] | None = None, prefix: str = "t") -> None:
        """Choose a name; the namespace is made on entering."""
        self.cluster = cluster
        self.name = f"{prefix}-{uuid4().hex[:8]}"
        self._labels = dict(labels or {})
        self._cluster_scoped: list[tuple[str, str]] = []
        self._kinds: set[str] = set()
        self._api = ApiServer.of(cluster)

    def __enter__(self) -> Self:
        """Make the namespace, and wait for the service account without which no Pod is admitted."""
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name, "labels": self._labels}}
        self._api.create(namespace, namespace=self.name)
        self.wait("serviceaccount", "default", lambda _: True)
        return self

    def __exit__(self, *_: object) -> None:
        """Delete what was made: what is judged, then cluster-scoped objects, since policies and webhooks among them could resist the rest.

        The namespace itself takes Kubernetes five seconds at least; `wait_gone` waits for it where that matters.
        """
        for kind in (kind for kind in _JUDGED if kind in self._kinds):
            # What a policy or a webhook of the test does not let go now goes with the namespace.
            with suppress(StepFailed):
                self._api.delete_all(kind, namespace=self.name)
        for kind, name in reversed(self._cluster_scoped):
            self._api.delete(kind, name, namespace=self.name, seconds=DELETION_SECONDS, missing_ok=True)
        for owners in ("deployments.apps", "replicasets.apps", "statefulsets.apps", "jobs.batch", "pods"):
            self._api.delete_all(owners, namespace=self.name)
        self._api.delete("namespace", self.name, namespace=self.name, seconds=0, missing_ok=True)
        self._api.close()

    def wait_gone(self) -> None:
        """Wait until nothing is left of the namespace, after the `with` block."""
        self.cluster.kubectl("wait", "--for=delete", f"namespace/{self.name}", f"--timeout={DELETION_SECONDS}s")

    def label(self, labels: Mapping[str, str | None]) -> None:
        """Set labels of the namespace; None removes one. Admission knows them when this returns."""
        self._api.patch("namespace", self.name, {"metadata": {"labels": labels}}, namespace=self.name)
        time.sleep(_CACHE_SECONDS)

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
        stored = self._api.apply(obj, namespace=self.name, person=Person(user=as_user, groups=groups), field_manager=field_manager)
        self._note(stored)
        return stored

    def apply_all(self, *objects: Object) -> None:
        """Apply several objects in the order given."""
        for obj in objects:
            self.apply(obj)

    def create(self, obj: Object, *, as_user: str | None = None, groups: Sequence[str] = (), dry_run: bool = False) -> Object:
        """Create an object and give it as stored; for `generateName`, and where an existing object must be an error. With `dry_run` nothing is stored."""
        stored = self._api.create(obj, namespace=self.name, person=Person(user=as_user, groups=groups), dry_run=dry_run)
        if not dry_run:
            self._note(stored)
        return stored

    def patch(self, kind: str, name: str, change: Any, *, how: str = "merge", subresource: str = "", as_user: str | None = None,  # noqa: ANN401 - JSON
              groups: Sequence[str] = (), dry_run: bool = False) -> Object:  # fmt: skip
        """Change an object by a merge patch (or a `json`, `strategic` one) and give it as stored."""
        who = Person(user=as_user, groups=groups)
        return self._api.patch(kind, name, change, namespace=self.name, how=how, subresource=subresource, person=who, dry_run=dry_run)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the API server warned of in its last answer."""
        return self._api.warnings

    def _note(self, stored: Object) -> None:
        """Remember what does not go with the namespace; rights are effective when this returns."""
        if stored["kind"] in {"RoleBinding", "ClusterRoleBinding"}:
            time.sleep(_CACHE_SECONDS)
        group = stored["apiVersion"].rpartition("/")[0]
        kind = f"{stored['kind']}.{group}" if group else stored["kind"]
        self._kinds.add(kind)
        if "namespace" not in stored["metadata"]:
            self._cluster_scoped.append((kind, stored["metadata"]["name"]))

    def get(self, kind: str, name: str) -> Object:
        """Read one object. Raises StepFailed when it is not there."""
        return self._api.get(kind, name, namespace=self.name)

    def list(self, kind: str, *, selector: str = "") -> list[Object]:
        """Read all objects of a kind in this namespace that carry the labels asked for."""
        return self._api.list(kind, namespace=self.name, selector=selector)

    def delete(self, kind: str, name: str) -> None:
        """Delete an object and wait until it is gone."""
        self._api.delete(kind, name, namespace=self.name, seconds=DELETION_SECONDS)

    def wait(self, kind: str, name: str, condition: Callable[[Object], object], *, seconds: float = 30.0) -> Object:
        """Watch an object, which need not exist yet, until `condition` holds for it, and give it as it is then.

        Raises StepFailed with the object as last seen when that does not happen in time.
        """
        last: Object | None = None
        for obj in self._api.watch(kind, name, namespace=self.name, seconds=seconds):
            last = obj
            if condition(obj):
                return obj
        seen = "it was never there" if last is None else f"last seen:\n{json.dumps(_without_noise(last), indent=1)}"
        raise StepFailed(f"{kind} {name} in {self.name} did not become as expected within {seconds:.0f} s; {seen}")

    def wait_ready(self, pod: str, *, seconds: float = 30.0) -> Object:
        """Wait until a Pod is Ready."""
        return self.wait("pod", pod, lambda obj: condition_of(obj, "Ready") == "True", seconds=seconds)


def condition_of(obj: Object, condition_type: str) -> str | None:
    """Give the status of one of an object's conditions; None when it has no such condition."""
    conditions = obj.get("status", {}).get("conditions", [])
    return next((condition["status"] for condition in conditions if condition["type"] == condition_type), None)


def _without_noise(obj: Object) -> Object:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {**obj, "metadata": metadata}
