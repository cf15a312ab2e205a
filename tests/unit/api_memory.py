"""An API server in memory: objects under their paths, and a list of every write, for code that talks to `ApiClient`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from sluice.cluster.client import ApiClient
from sluice.cluster.errors import ApiError, Conflict, DoesNotFit, NotFound
from sluice.cluster.resource import Resource

Object = dict[str, Any]


class MemoryClient(ApiClient):
    """Understands the writes that we do. `before_write` may change things between the judgement and the write, or raise; `after_write` may raise, too.

    `now` is when objects are made.
    """

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.writes: list[tuple[str, str]] = []
        self.before_write: Callable[[], None] = lambda: None
        self.after_write: Callable[[], None] = lambda: None
        self.now = "2026-11-20T12:00:00Z"
        self.refused_evictions: dict[str, ApiError] = {}
        self._made = 0

    def put(self, resource: Resource, obj: Object) -> str:
        """Store an object; gives its path."""
        path = resource.path(obj["metadata"].get("namespace"), obj["metadata"]["name"])
        self.objects[path] = deepcopy(obj)
        return path

    async def get(self, path: str) -> Object:
        if path not in self.objects:
            raise NotFound(404, "NotFound", path)
        return deepcopy(self.objects[path])

    async def list(
        self, resource: Resource, namespace: str | None = None, *, label_selector: str | None = None, field_selector: str | None = None
    ) -> list[Object]:
        folder = resource.path(namespace) + "/"
        found = [obj for path, obj in self.objects.items() if path.startswith(folder) or (namespace is None and path == _path(resource, obj))]
        if label_selector:
            found = [obj for obj in found if all(_selects(part, obj["metadata"].get("labels") or {}) for part in label_selector.split(","))]
        if field_selector:
            found = [obj for obj in found if obj["metadata"]["name"] == field_selector.partition("=")[2]]
        return deepcopy(found)

    async def create(self, resource: Resource, obj: Object, namespace: str | None = None) -> Object:
        path = f"{resource.path(namespace)}/{obj['metadata']['name']}"
        self._written("create", path)
        if path in self.objects:
            raise Conflict(409, "AlreadyExists", path)
        self._made += 1
        served = {"uid": f"made-{self._made}", "resourceVersion": "1", "creationTimestamp": self.now}
        made: Object = deepcopy(obj)
        self.objects[path] = made | {"metadata": served | made["metadata"]}
        self.after_write()
        return deepcopy(self.objects[path])

    async def delete(self, path: str, *, uid: str | None = None) -> Object:
        self._written("delete", path)
        stored = await self.get(path)
        if uid is not None and stored["metadata"]["uid"] != uid:
            raise Conflict(409, "Conflict", path)
        del self.objects[path]
        self.after_write()
        return stored

    async def apply(self, path: str, obj: Object, *, field_manager: str = "sluice", force: bool = True, subresource: str | None = None) -> Object:  # noqa: ARG002 - the client's signature
        self._written("apply", f"{path}/{subresource}")
        stored = await self.get(path)
        if any(stored["metadata"].get(field) != obj["metadata"][field] for field in ("uid", "resourceVersion") if field in obj["metadata"]):
            raise DoesNotFit(409, "Conflict", path)
        if stored["kind"] == "Pod":
            # Others own the rest of a Pod's status; of the list, an applier owns the items that it names.
            ours = {item["type"] for item in obj["status"]["conditions"]}
            others = [item for item in stored["status"]["conditions"] if item["type"] not in ours]
            stored["status"]["conditions"] = others + obj["status"]["conditions"]
        else:
            stored["status"] = deepcopy(obj["status"])
        return self._store(path, stored)

    async def evict(self, path: str, *, uid: str) -> Object:
        self._written("evict", path)
        if path in self.refused_evictions:
            raise self.refused_evictions[path]
        stored = await self.get(path)
        if stored["metadata"]["uid"] != uid:
            raise Conflict(409, "Conflict", path)
        del self.objects[path]
        self.after_write()
        return stored

    async def patch_json(
        self,
        path: str,
        operations: Sequence[Mapping[str, object]],
        *,
        field_manager: str = "sluice",  # noqa: ARG002 - the client's signature
        subresource: str | None = None,  # noqa: ARG002 - the client's signature
    ) -> Object:
        self._written("patch", path)
        stored = await self.get(path)
        for operation in operations:
            *parents, last = [part.replace("~1", "/") for part in str(operation["path"]).split("/")[1:]]
            at: Any = stored
            for part in parents:
                at = at[int(part)] if isinstance(at, list) else at[part]
            key: Any = int(last) if isinstance(at, list) else last
            if operation["op"] == "test" and at[key] != operation["value"]:
                raise DoesNotFit(422, "Invalid", f"{operation['path']}: test failed")
            if operation["op"] == "add":
                at[key] = deepcopy(operation["value"])
            if operation["op"] == "remove":
                del at[key]
        return self._store(path, stored)

    def _written(self, verb: str, path: str) -> None:
        self.before_write()
        self.writes.append((verb, path))

    def _store(self, path: str, obj: Object) -> Object:
        obj["metadata"]["resourceVersion"] = str(int(obj["metadata"]["resourceVersion"]) + 1)
        self.objects[path] = obj
        self.after_write()
        return deepcopy(obj)


def _path(resource: Resource, obj: Object) -> str:
    """Where an object would be, were it of this kind."""
    namespace = obj["metadata"].get("namespace")
    return resource.path(namespace, obj["metadata"]["name"]) if resource.namespaced and namespace else ""


def _selects(part: str, labels: Mapping[str, str]) -> bool:
    """One of `name=value`, `!name`, `name`."""
    name, equal, value = part.partition("=")
    if equal:
        return labels.get(name) == value
    return (name.removeprefix("!") in labels) != name.startswith("!")
