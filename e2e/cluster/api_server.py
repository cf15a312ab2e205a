"""Speaks to the API server without kubectl.

Starting kubectl costs a tenth of a second of a core, and tests that wait look several times a second. Kinds are named as for kubectl – `pods`,
`pod`, `po`, `mr` – as the API server's own discovery has them; what is refused is refused in the API server's own words.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit

from e2e.cluster.local import Cluster
from e2e.cluster.narrate import StepFailed

Object = dict[str, Any]
SECONDS = 30.0
"""How long an answer may take."""
PATCHES = {"apply": "application/apply-patch+yaml", "json": "application/json-patch+json", "merge": "application/merge-patch+json",
           "strategic": "application/strategic-merge-patch+json"}  # fmt: skip
_QUOTED = re.compile(r"\\(.)")
_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody to be impersonated. Without a name: the administrator."""

    user: str | None = None
    groups: Sequence[str] = ()

    def headers(self) -> list[tuple[str, str]]:
        """Give the headers of impersonation."""
        return [("Impersonate-User", self.user), *(("Impersonate-Group", group) for group in self.groups)] if self.user else []


ADMINISTRATOR = Person()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """What is asked."""

    verb: str
    path: str
    body: Any = None
    content: str = "application/json"
    accept: str = "application/json"
    person: Person = ADMINISTRATOR

    def __str__(self) -> str:
        return f"{self.verb} {self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Served:
    """Where a kind is served."""

    prefix: str
    plural: str
    namespaced: bool

    def path(self, namespace: str, name: str = "") -> str:
        within = f"/namespaces/{namespace}" if self.namespaced else ""
        return f"{self.prefix}{within}/{self.plural}" + (f"/{quote(name)}" if name else "")


class ApiServer:
    """One API server over one connection, which is closed at the end. Threads take turns. Everything raises StepFailed with what the server said."""

    def __init__(self, connect: Callable[[float], http.client.HTTPConnection]) -> None:
        """Speak over what `connect` makes – the argument is the time in seconds that an answer may take – now and whenever the connection is lost."""
        self._connect = connect
        self._known: dict[str, _Served] = {}
        self._connection: http.client.HTTPConnection | None = None
        self._turn = threading.Lock()
        self.warnings: tuple[str, ...] = ()
        """What the last answer warned of."""

    @classmethod
    def of(cls, cluster: Cluster) -> Self:
        """Speak to a local cluster, as its administrator."""
        pki = cluster.kubeconfig.parent
        tls = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        tls.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        address = urlsplit(cluster.place.api).netloc
        return cls(lambda seconds: http.client.HTTPSConnection(address, timeout=seconds, context=tls))

    def close(self) -> None:
        """Close the connection."""
        with self._turn:
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def get(self, kind: str, name: str, *, namespace: str) -> Object:
        """Read one object."""
        return _as_shown(self._call(_Request(verb="GET", path=self._served(kind).path(namespace, name))))

    def list(self, kind: str, *, namespace: str, selector: str = "") -> list[Object]:
        """Read all objects of a kind that carry the labels asked for, each with its kind, as kubectl shows them."""
        found = self._call(_Request(verb="GET", path=f"{self._served(kind).path(namespace)}?{urlencode({'labelSelector': selector})}"))
        of = {"apiVersion": found["apiVersion"], "kind": found["kind"].removesuffix("List")}
        return [of | _as_shown(item) for item in found["items"]]

    def create(self, obj: Object, *, namespace: str, person: Person = ADMINISTRATOR, dry_run: bool = False) -> Object:
        """Create an object; fields that the server does not know are refused. With `dry_run` nothing is stored."""
        path = self._place(obj, namespace).path(namespace)
        query = {"fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})
        return _as_shown(self._call(_Request(verb="POST", path=f"{path}?{urlencode(query)}", body=obj, person=person)))

    def apply(self, obj: Object, *, namespace: str, person: Person = ADMINISTRATOR, field_manager: str) -> Object:
        """Apply an object server-side, and take over what others have set."""
        path = self._place(obj, namespace).path(namespace, obj["metadata"]["name"])
        query = {"fieldManager": field_manager, "force": "true", "fieldValidation": "Strict"}
        return _as_shown(self._call(_Request(verb="PATCH", path=f"{path}?{urlencode(query)}", body=obj, content=PATCHES["apply"], person=person)))

    def patch(self, kind: str, name: str, change: Any, *, namespace: str, how: str = "merge", subresource: str = "",  # noqa: ANN401 - JSON
              person: Person = ADMINISTRATOR, dry_run: bool = False) -> Object:  # fmt: skip
        """Change an object; `how` is one of PATCHES."""
        path = self._served(kind).path(namespace, name) + (f"/{subresource}" if subresource else "")
        query = {"fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})
        return _as_shown(self._call(_Request(verb="PATCH", path=f"{path}?{urlencode(query)}", body=change, content=PATCHES[how], person=person)))

    def delete(self, kind: str, name: str, *, namespace: str, seconds: float = SECONDS, missing_ok: bool = False) -> None:
        """Delete an object, and what it owns after it; wait until it is gone itself. With 0 `seconds` nobody waits."""
        request = _Request(verb="DELETE", path=self._served(kind).path(namespace, name), body={"propagationPolicy": "Background"})
        status, answer = self._ask(request)
        if status >= http.client.BAD_REQUEST and not (missing_ok and status == http.client.NOT_FOUND):
            raise StepFailed(f"{request}: {status} {_said(answer)}")
        deadline = time.monotonic() + seconds
        while seconds and self._ask(_Request(verb="GET", path=request.path))[0] != http.client.NOT_FOUND:
            if time.monotonic() > deadline:
                raise StepFailed(f"{kind} {name} is still there, {seconds:.0f} s after it was deleted")
            time.sleep(0.05)

    def take_away(self, obj: Object, *, namespace: str, seconds: float = SECONDS) -> None:
        """Delete what was made of `obj`, if it is there; `namespace` is for an object that names none."""
        metadata = obj["metadata"]
        kind = f"{obj['kind']}.{obj['apiVersion'].rpartition('/')[0]}"
        self.delete(kind, metadata["name"], namespace=metadata.get("namespace", namespace), seconds=seconds, missing_ok=True)

    def delete_all(self, kind: str, *, namespace: str) -> None:
        """Begin to delete all objects of a kind, without a time of grace."""
        options = {"propagationPolicy": "Background", "gracePeriodSeconds": 0}
        self._call(_Request(verb="DELETE", path=self._served(kind).path(namespace), body=options))

    def watch(self, kind: str, name: str, *, namespace: str, seconds: float) -> Iterator[Object]:
        """Give an object, which need not exist yet, as it is and each time it changes, until time is over."""
        deadline = time.monotonic() + seconds
        connection = self._connect(seconds)
        try:
            query = urlencode({"watch": "true", "fieldSelector": f"metadata.name={name}"})
            connection.request("GET", f"{self._served(kind).path(namespace)}?{query}", headers={"Accept": "application/json"})
            socket, answer = connection.sock, connection.getresponse()
            while (left := deadline - time.monotonic()) > 0:
                socket.settimeout(left)
                line = answer.readline()
                if not line:
                    raise StepFailed(f"watching {kind} {name}: the API server ended it")
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise StepFailed(f"watching {kind} {name}: {event['object'].get('message')}")
                if event["type"] != "DELETED":
                    yield event["object"]
        except TimeoutError:
            return
        except (OSError, http.client.HTTPException) as error:
            raise StepFailed(f"watching {kind} {name}: {error}") from error
        finally:
            connection.close()

    def _place(self, obj: Object, namespace: str) -> _Served:
        group = obj["apiVersion"].rpartition("/")[0]
        served = self._served(f"{obj['kind']}.{group}" if group else obj["kind"])
        own = obj["metadata"].get("namespace", namespace)
        if served.namespaced and own != namespace:
            raise StepFailed(f"{obj['kind']} {obj['metadata'].get('name')} is for namespace {own}, not {namespace}")
        return served

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
            for group in self._call(_Request(verb="GET", path=root, accept=_DISCOVERY))["items"]:
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

    def _call(self, request: _Request) -> Any:  # noqa: ANN401 - JSON
        status, answer = self._ask(request)
        if status >= http.client.BAD_REQUEST:
            raise StepFailed(f"{request}: {status} {_said(answer)}")
        return json.loads(answer)

    def _ask(self, request: _Request) -> tuple[int, bytes]:
        """Ask once more on a new connection when the one that was kept is gone, as after a restart of the API server."""
        with self._turn:
            try:
                if request.verb == "POST":
                    # What is asked twice is made twice: a new connection from the start.
                    self._drop()
                    return self._exchange(request)
                try:
                    return self._exchange(request)
                except (OSError, http.client.HTTPException):
                    self._drop()
                    return self._exchange(request)
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                raise StepFailed(f"{request}: {error}") from error

    def _exchange(self, request: _Request) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = self._connect(SECONDS)
        body = b"" if request.body is None else json.dumps(request.body).encode()
        headers = [("Accept", request.accept), ("Content-Type", request.content), ("Content-Length", str(len(body))), *request.person.headers()]
        self._connection.putrequest(request.verb, request.path)
        for name, value in headers:
            self._connection.putheader(name, value)
        self._connection.endheaders(body)
        response = self._connection.getresponse()
        # 299 - "text", quoted as in a header (RFC 9110, section 5.6.4).
        self.warnings = tuple(_QUOTED.sub(r"\1", warning.split(" ", 2)[2].strip('"')) for warning in response.headers.get_all("Warning", ()))
        return response.status, response.read()


def _said(answer: bytes) -> str:
    """Give a Status's reason and message; what is not a Status as it is."""
    try:
        status = json.loads(answer)
        return f"({status['reason']}) {status['message']}"
    except (ValueError, KeyError, TypeError):
        return answer.decode(errors="replace")[:2000]


def _as_shown(obj: Object) -> Object:
    """Leave out who owns which field, as kubectl does."""
    obj["metadata"].pop("managedFields", None)
    return obj
