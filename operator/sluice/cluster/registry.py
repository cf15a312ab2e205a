"""Pushes one artifact to one OCI repository that the installation names (OCI Distribution Specification 1.1).

Never an address that a tenant writes: the repository and its credentials are flags of the controller. Bytes, time and redirects are bounded as for the API
server; credentials go to the registry, and to the token service that the registry itself names, over https unless the installation says plain HTTP.

Limits: blobs are sent whole (single POST and PUT), tokens are fetched for each push.
"""

from __future__ import annotations

import hashlib
import json
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import aiohttp
from yarl import URL

from sluice.cluster.registry_login import Login, parse_docker_configuration

PUSH_SECONDS: Final = 30.0
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
EMPTY: Final = b"{}"
EMPTY_TYPE: Final = "application/vnd.oci.empty.v1+json"
_CONFIG_BYTES: Final = 1 << 20
_OK: Final = 200
_ACCEPTED: Final = 202
_CREATED: Final = 201
_UNAUTHORIZED: Final = 401
_REPOSITORY: Final = re.compile(r"(?P<plain>http://)?(?P<host>[A-Za-z0-9.-]+(:[0-9]{1,5})?)/(?P<name>[a-z0-9]+([._/-]+[a-z0-9]+)*)")


class RegistryRefused(Exception):
    """Nothing was pushed; the message says what the registry answered, and holds no credentials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """Where to push, with the user and password for it, if any."""

    host: str
    name: str
    plain_http: bool
    credentials: tuple[str, str] | None = None
    tls: ssl.SSLContext | None = None
    """Whom its certificate may come from; None: from authorities of the system."""

    @classmethod
    def parse(cls, text: str, *, credentials: Mapping[str, tuple[str, str]], tls: ssl.SSLContext | None = None) -> Self:
        """Read `registry.example.com/team/samples`; `http://` before it stands for a registry without TLS. Raises ValueError."""
        match = _REPOSITORY.fullmatch(text)
        if match is None:
            raise ValueError(f"{text[:200]!r} is no repository; write registry.example.com/team/samples")
        account = credentials.get(match["host"].lower())
        return cls(host=match["host"], name=match["name"], plain_http=bool(match["plain"]), credentials=account, tls=tls)

    @property
    def origin(self) -> str:
        """Scheme and host."""
        return f"{'http' if self.plain_http else 'https'}://{self.host}"


def read_credentials(path: Path) -> dict[str, tuple[str, str]]:
    """Read user and password by registry from a Docker configuration (`.dockerconfigjson`). Raises OSError, and ValueError, which repeats nothing of it."""
    with path.open("rb") as file:
        raw = file.read(_CONFIG_BYTES + 1)
    try:
        return parse_docker_configuration(raw)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


async def push(repository: Repository, *, artifact_type: str, media_type: str, content: bytes, annotations: Mapping[str, str]) -> str:
    """Push `content` as the only layer of an artifact; return its reference, `host/name@sha256:…`. Raises RegistryRefused."""
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": artifact_type,
        "config": {"mediaType": EMPTY_TYPE, "digest": _digest(EMPTY), "size": len(EMPTY)},
        "layers": [{"mediaType": media_type, "digest": _digest(content), "size": len(content)}],
        "annotations": dict(annotations),
    }
    body = json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()
    timeout = aiohttp.ClientTimeout(total=PUSH_SECONDS)
    try:
        connector = aiohttp.TCPConnector(ssl=True if repository.tls is None else repository.tls)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False) as session:
            registry = _Registry(repository, session)
            for blob in (EMPTY, content):
                await registry.upload(blob)
            await registry.put(f"manifests/{_digest(body)}", body, MANIFEST)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise RegistryRefused(f"{repository.host} cannot be reached: {type(error).__name__}: {str(error)[:200]}") from None
    return f"{repository.host}/{repository.name}@{_digest(body)}"


class _Registry:
    """One push: the requests, and how they are authorized."""

    def __init__(self, repository: Repository, session: aiohttp.ClientSession) -> None:
        self._repository = repository
        self._session = session
        self._base = f"{repository.origin}/v2/{repository.name}"
        self.login = Login(plain_http=repository.plain_http, credentials=repository.credentials)

    async def upload(self, blob: bytes) -> None:
        """Put a blob where it is not yet."""
        async with self._asked("HEAD", URL(f"{self._base}/blobs/{_digest(blob)}")) as response:
            if response.status == _OK:
                return
        async with self._asked("POST", URL(f"{self._base}/blobs/uploads/")) as response:
            location = response.headers.get("Location", "")
            if response.status != _ACCEPTED or not location:
                raise RegistryRefused(f"{self._repository.host} answers {response.status} to an upload")
        at = URL(self._repository.origin).join(URL(location))
        await self._put(at.update_query(digest=_digest(blob)), blob, "application/octet-stream")

    async def put(self, path: str, body: bytes, media_type: str) -> None:
        """Put something below the repository."""
        await self._put(URL(f"{self._base}/{path}"), body, media_type)

    async def _put(self, at: URL, body: bytes, media_type: str) -> None:
        async with self._asked("PUT", at, body=body, media_type=media_type) as response:
            if response.status != _CREATED:
                raise RegistryRefused(f"{self._repository.host} answers {response.status} to {at.path[:200]}")

    @asynccontextmanager
    async def _asked(self, method: str, at: URL, *, body: bytes | None = None, media_type: str = "") -> AsyncIterator[aiohttp.ClientResponse]:
        for attempt in (1, 2):
            # An upload may be sent elsewhere; what authorizes us stays with the registry.
            ours = self.login.headers if at.origin() == URL(self._repository.origin) else {}
            headers = ours | ({"Content-Type": media_type} if media_type else {})
            async with self._session.request(method, at, data=body, headers=headers, allow_redirects=False) as response:
                challenge = response.headers.get("WWW-Authenticate", "")
                if response.status != _UNAUTHORIZED or attempt == 2 or not await self.login.answer(challenge, self._session):  # noqa: PLR2004
                    yield response
                    return


def _digest(blob: bytes) -> str:
    return "sha256:" + hashlib.sha256(blob).hexdigest()
