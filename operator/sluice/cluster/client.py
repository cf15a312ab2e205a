"""A thin asynchronous client for raw Kubernetes JSON.

Objects go in and come out as plain dictionaries: nothing is dropped that this program does not know, and reading costs no model.
Every request is bounded in time and in bytes. Redirects are not followed, so credentials reach the API server only.

A *write* first asks the guard, which raises when this process may no longer write (see `lease`), and it tells the API server to give
up after the same time (its `timeout` parameter), so that no write lingers there after this process stopped waiting for it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
from kubernetes.config import ConfigException

from sluice.api.names import FIELD_MANAGER
from sluice.cluster.connection import Connection
from sluice.cluster.errors import ApiError, Malformed, TooLarge, Unavailable, error_from
from sluice.cluster.resource import Resource

REQUEST_TIMEOUT_SECONDS: Final = 5.0
LIST_TIMEOUT_SECONDS: Final = 30.0
MAX_RESPONSE_BYTES: Final = 32 << 20
MAX_EVENT_BYTES: Final = 8 << 20
"""One watch event. The API server takes objects up to 3 MiB; escapes and the envelope add to that."""
MAX_ERROR_BYTES: Final = 1 << 20
PAGE_LIMIT: Final = 250
MAX_ITEMS: Final = 200_000
"""A list longer than this is refused rather than read until memory is gone."""
MAX_CONNECTIONS: Final = 64

Object = dict[str, Any]
Guard = Callable[[float], None]


def _unguarded(_timeout_seconds: float, /) -> None:
    """Let every write pass: for processes of which many may write, and for the Lease itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of a list. `more` asks for the next part; it is empty on the last one."""

    items: list[Object]
    resource_version: str
    more: str


class ApiClient:
    """Talks to one API server; an async context manager that belongs to the event loop it was entered in.

    Every method raises a kind of `ApiError`; writes raise also what `guard` raises. `guard` gets the time, in seconds, that the write may take.
    """

    def __init__(self, connection: Connection, *, guard: Guard = _unguarded, timeout_seconds: float = REQUEST_TIMEOUT_SECONDS) -> None:
        self._connection = connection
        self._guard = guard
        self._timeout_seconds = timeout_seconds
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        tls = self._connection.tls
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, ssl=True if tls is None else tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            # Compression would save bytes that are cheap and cost time that is not.
            headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "sluice"},
            auto_decompress=False,
        )
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    # Reading

    async def get(self, path: str) -> Object:
        """Read one object, or any other JSON document at `path`."""
        return await self._read(path, {})

    async def list(
        self, resource: Resource, namespace: str | None = None, *, label_selector: str | None = None, field_selector: str | None = None
    ) -> list[Object]:
        """Read a whole collection as of one moment, in one namespace or in all; raises `Gone` when reading took longer than that moment lasts."""
        items: list[Object] = []
        page = None
        while page is None or page.more:
            page = await self.list_page(resource, namespace, label_selector=label_selector, field_selector=field_selector, more=page.more if page else "")
            items += page.items
            check_count(resource, len(items))
        return items

    async def list_page(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        limit: int = PAGE_LIMIT,
        more: str = "",
    ) -> Page:
        """Read a part of a collection. No resource version is asked for, which makes it as new as the moment of the first request."""
        query = _selectors(label_selector, field_selector) | {"limit": str(limit)} | ({"continue": more} if more else {})
        answer = await self._read(resource.path(namespace), query, timeout_seconds=LIST_TIMEOUT_SECONDS)
        metadata, items = answer.get("metadata"), answer.get("items")
        version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
        if not isinstance(metadata, dict) or not isinstance(version, str) or not version or not isinstance(items, list):
            raise Malformed(200, "NoList", f"{resource.plural}: the answer to a list request is not a list of objects")
        return Page(items=items, resource_version=version, more=str(metadata.get("continue") or ""))

    async def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        resource_version: str,
        seconds: float,
        silence_seconds: float,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> AsyncGenerator[Object, None]:
        """Follow a collection from `resource_version` on: yields `{"type": …, "object": …}`, bookmarks included, errors not.

        Ends when the server ends it after `seconds`. Raises `Unavailable` when nothing was heard for `silence_seconds` or the
        connection broke, `Gone` when the server no longer knows the version, `Malformed` and `TooLarge` for what is no event.
        """
        query = _selectors(label_selector, field_selector) | {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(max(1, int(seconds))),
        }
        # A server that trickles bytes is never silent: the overall deadline is for that one.
        deadline = monotonic() + seconds + silence_seconds
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._timeout_seconds, sock_read=silence_seconds)
        line = bytearray()
        async with self._exchange("GET", resource.path(namespace), query, timeout=timeout) as response:
            async for chunk in response.content.iter_any():
                *ends, rest = chunk.split(b"\n")
                for end in ends:
                    line += end
                    if line.strip():
                        yield _event(bytes(line))
                    line.clear()
                line += rest
                if len(line) > MAX_EVENT_BYTES:
                    raise TooLarge(200, "EventTooLarge", f"{resource.plural}: a watch event is larger than {MAX_EVENT_BYTES} bytes")
                if monotonic() > deadline:
                    raise Unavailable(0, "Timeout", f"{resource.plural}: the server did not end the watch in time")
        if line.strip():
            raise Unavailable(0, "CutOff", f"{resource.plural}: the watch ended in the middle of an event")

    # Writing

    async def create(self, resource: Resource, obj: Object, namespace: str | None = None) -> Object:
        """Create an object; raises `Conflict` (`AlreadyExists`) when its name is taken."""
        return await self._write("POST", resource.path(namespace), obj)

    async def apply(self, path: str, obj: Object, *, field_manager: str = FIELD_MANAGER, force: bool = True, subresource: str | None = None) -> Object:
        """Server-side apply: `obj` holds exactly the fields that `field_manager` wants to own, `apiVersion`, `kind` and the name.

        Creates the object if it is missing (not through a subresource). Without `force`, raises `Conflict` where others own a field.
        """
        query = {"fieldManager": field_manager, "force": "true" if force else "false"}
        return await self._write("PATCH", _sub(path, subresource), obj, query=query, content_type="application/apply-patch+yaml")

    async def patch_json(
        self, path: str, operations: Sequence[Mapping[str, object]], *, field_manager: str = FIELD_MANAGER, subresource: str | None = None
    ) -> Object:
        """JSON Patch (RFC 6902), all or nothing; raises `DoesNotFit` when a `test` or a path fails."""
        query = {"fieldManager": field_manager}
        return await self._write("PATCH", _sub(path, subresource), operations, query=query, content_type="application/json-patch+json")

    async def replace(self, path: str, obj: Object) -> Object:
        """PUT; raises `Conflict` when `metadata.resourceVersion` is no longer the current one."""
        return await self._write("PUT", path, obj)

    async def delete(self, path: str, *, uid: str | None = None) -> Object:
        """Delete the object at `path`, and in the background what it owns; with `uid`, only that one and never a successor of the same name (`Conflict`)."""
        # Without a policy the API server leaves the Pods of a Job behind, for old times' sake.
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"} | ({"preconditions": {"uid": uid}} if uid else {})
        return await self._write("DELETE", path, options)

    async def evict(self, path: str, *, uid: str) -> Object:
        """Evict the Pod at `path`, as it is drained from a node: disruption budgets count, and `Unavailable` says that one does not allow it now."""
        *_, namespace, _, name = path.split("/")
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"namespace": namespace, "name": name}, "deleteOptions": options}
        return await self._write("POST", f"{path}/eviction", eviction)

    # The wire

    async def _read(self, path: str, query: Mapping[str, str], *, timeout_seconds: float | None = None) -> Object:
        seconds = self._timeout_seconds if timeout_seconds is None else timeout_seconds
        async with self._bounded(seconds, path), self._exchange("GET", path, query) as response:
            return _decode(response.status, await _body(response, MAX_RESPONSE_BYTES))

    async def _write(
        self, method: str, path: str, content: object, *, query: Mapping[str, str] | None = None, content_type: str = "application/json"
    ) -> Object:
        seconds = self._timeout_seconds
        parameters = {**(query or {}), "timeout": f"{seconds:g}s"}
        data = json.dumps(content, separators=(",", ":")).encode()
        exchange = self._exchange(method, path, parameters, data=data, content_type=content_type, writes=True)
        async with self._bounded(seconds, path), exchange as response:
            return _decode(response.status, await _body(response, MAX_RESPONSE_BYTES))

    @asynccontextmanager
    async def _bounded(self, seconds: float, path: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            raise Unavailable(0, "Timeout", f"{path}: no complete answer within {seconds:g} s") from None

    @asynccontextmanager
    async def _exchange(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        *,
        data: bytes | None = None,
        content_type: str | None = None,
        writes: bool = False,
        timeout: aiohttp.ClientTimeout | None = None,  # noqa: ASYNC109 - aiohttp's own settings, not a time
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request and yield the answer once its status is a good one."""
        if self._session is None:
            raise RuntimeError("ApiClient is used outside its `async with`")
        try:
            async with asyncio.timeout(self._timeout_seconds):
                headers = await self._connection.authorization()
            if content_type is not None:
                headers["Content-Type"] = content_type
            if writes:
                # As late as possible: nothing below waits for anything but this request.
                self._guard(self._timeout_seconds)
            async with self._session.request(
                method,
                self._connection.server + path,
                params=query,
                data=data,
                headers=headers,
                allow_redirects=False,
                proxy=self._connection.proxy,
                server_hostname=self._connection.server_name,
                timeout=timeout or aiohttp.ClientTimeout(total=None),
            ) as response:
                if not 200 <= response.status < 300:  # noqa: PLR2004 - success, RFC 9110 section 15.3
                    raise await _refusal(response)
                try:
                    yield response
                finally:
                    # An answer left half read, a watch above all: its connection serves nothing any more, and a polite TLS goodbye
                    # would wait up to 30 s for a peer that is busy sending.
                    if response.connection is not None and response.connection.transport is not None and not response.content.at_eof():
                        response.connection.transport.abort()
        except ConfigException as error:
            raise Unavailable(0, "NoCredentials", f"cannot read the credentials for {self._connection.server}: {error}") from error
        except TimeoutError as error:
            if timeout is None:
                raise  # The caller's own bound; `_bounded` says what was waited for.
            raise Unavailable(0, "Silence", f"{path}: nothing heard from the server in time") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(0, "NoAnswer", f"{path}: {type(error).__name__}: {error}") from error


def check_count(resource: Resource, count: int) -> None:
    """Refuse a list that has grown beyond what this process is willing to hold."""
    if count > MAX_ITEMS:
        raise TooLarge(200, "ListTooLarge", f"there are more than {MAX_ITEMS} {resource.plural}")


def _selectors(label_selector: str | None, field_selector: str | None) -> dict[str, str]:
    return ({"labelSelector": label_selector} if label_selector else {}) | ({"fieldSelector": field_selector} if field_selector else {})


def _sub(path: str, subresource: str | None) -> str:
    return f"{path}/{subresource}" if subresource else path


async def _body(response: aiohttp.ClientResponse, limit: int) -> bytes:
    parts, size = [], 0
    async for chunk in response.content.iter_any():
        parts.append(chunk)
        size += len(chunk)
        if size > limit:
            response.close()
            raise TooLarge(response.status, "AnswerTooLarge", f"{response.url.path}: the answer is larger than {limit} bytes")
    return b"".join(parts)


async def _refusal(response: aiohttp.ClientResponse) -> ApiError:
    try:
        return error_from(response.status, json.loads(await _body(response, MAX_ERROR_BYTES)))
    except (ValueError, RecursionError, TooLarge):
        return error_from(response.status, None)


def _decode(status: int, content: bytes) -> Object:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Malformed(status, "NoJSON", f"the answer is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise Malformed(status, "NoObject", f"the answer is a JSON {type(document).__name__}, not an object")
    return document


def _event(line: bytes) -> Object:
    event = _decode(200, line)
    if event.get("type") == "ERROR":
        status = event.get("object")
        code = status.get("code") if isinstance(status, dict) else None
        raise error_from(code, status) if isinstance(code, int) else Malformed(200, "NoStatus", "a watch failed without a status")
    return event
