"""Reads objects straight from the API server.

Starting kubectl costs a tenth of a second of a core, and whoever waits for something looks several times a second. Kinds are named as
for kubectl – `pods`, `pod`, `po`, `mr` – as the API server's own discovery has them.
"""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit

from e2e.cluster.local import Cluster
from e2e.cluster.narrate import StepFailed

Object = dict[str, Any]
SECONDS = 30.0
"""How long an answer may take."""
_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Served:
    """Where a kind is served."""

    prefix: str
    plural: str
    namespaced: bool

    def path(self, namespace: str, name: str = "") -> str:
        within = f"/namespaces/{namespace}" if self.namespaced else ""
        return f"{self.prefix}{within}/{self.plural}" + (f"/{quote(name)}" if name else "")


class Reader:
    """Reads from one cluster over one connection, which is closed at the end. Threads take turns."""

    def __init__(self, connect: Callable[[], http.client.HTTPConnection]) -> None:
        """Read over what `connect` makes, now and whenever the connection is lost."""
        self._connect = connect
        self._known: dict[str, _Served] = {}
        self._connection: http.client.HTTPConnection | None = None
        self._turn = threading.Lock()

    @classmethod
    def of(cls, cluster: Cluster) -> Self:
        """Read from a local cluster, as its administrator."""
        pki = cluster.kubeconfig.parent
        tls = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        tls.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        address = urlsplit(cluster.place.api).netloc
        return cls(lambda: http.client.HTTPSConnection(address, timeout=SECONDS, context=tls))

    def close(self) -> None:
        """Close the connection."""
        with self._turn:
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def get(self, kind: str, name: str, *, namespace: str) -> Object:
        """Read one object. Raises StepFailed when it is not there."""
        return _as_shown(self._read(self._served(kind).path(namespace, name)))

    def list(self, kind: str, *, namespace: str, selector: str = "") -> list[Object]:
        """Read all objects of a kind that carry the labels asked for, each with its kind, as kubectl shows them."""
        found = self._read(self._served(kind).path(namespace) + "?" + urlencode({"labelSelector": selector}))
        of = {"apiVersion": found["apiVersion"], "kind": found["kind"].removesuffix("List")}
        return [of | _as_shown(item) for item in found["items"]]

    def _served(self, kind: str) -> _Served:
        # Kinds come and go with tests: what is not known may have come meanwhile.
        if kind.lower() not in self._known:
            self._known = self._discover()
        try:
            return self._known[kind.lower()]
        except KeyError:
            raise StepFailed(f"the server doesn't have a resource type {kind!r}") from None

    def _discover(self) -> dict[str, _Served]:
        known: dict[str, _Served] = {}
        for root in ("/api", "/apis"):
            for group in self._read(root, accept=_DISCOVERY)["items"]:
                name = group["metadata"].get("name", "")
                version = group["versions"][0]
                prefix = f"/apis/{name}/{version['version']}" if name else f"/api/{version['version']}"
                for resource in version["resources"]:
                    served = _Served(prefix=prefix, plural=resource["resource"], namespaced=resource["scope"] == "Namespaced")
                    words = [resource["resource"], resource["singularResource"], resource["responseKind"]["kind"], *resource.get("shortNames", ())]
                    for word in words:
                        known.setdefault(word.lower(), served)
                        known.setdefault(f"{word.lower()}.{name}", served)
        return known

    def _read(self, path: str, *, accept: str = "application/json") -> Any:  # noqa: ANN401 - JSON
        """Ask once more on a new connection when the one that was kept is gone, as after a restart of the API server."""
        with self._turn:
            try:
                try:
                    status, body = self._ask(path, accept)
                except (OSError, http.client.HTTPException):
                    self._drop()
                    status, body = self._ask(path, accept)
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                raise StepFailed(f"GET {path}: {error}") from error
        if status != http.client.OK:
            raise StepFailed(f"GET {path}: {status} {body.decode(errors='replace')[:500]}")
        return json.loads(body)

    def _ask(self, path: str, accept: str) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = self._connect()
        self._connection.request("GET", path, headers={"Accept": accept})
        response = self._connection.getresponse()
        return response.status, response.read()


def _as_shown(obj: Object) -> Object:
    """Leave out who owns which field, as kubectl does."""
    obj["metadata"].pop("managedFields", None)
    return obj
