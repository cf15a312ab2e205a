"""Gets documents by digest out of OCI registries (Distribution Specification 1.1): for the controller only, and only from registries that are listed.

Everything is bounded: bytes before they are kept, time for each request with all its redirects, and how often a registry may send us on. Bytes are given
back only when their SHA-256 is the one that was asked for. Each repository is asked with its own credentials, which go nowhere else: a redirect to another
host goes without.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import aiohttp
from yarl import URL

from sluice.cluster.outbound import AddressRefused, ListedRegistry, Outbound, Reference
from sluice.cluster.registry_login import Credentials, Login, read_body
from sluice.decision.discovery_reasons import DiscoveryReason

REQUEST_SECONDS: Final = 15.0
MOST_REDIRECTS: Final = 3
MOST_CONNECTIONS: Final = 8
_OK: Final = 200
_UNAUTHORIZED: Final = (401, 403)
_NOT_FOUND: Final = 404
_ON: Final = frozenset({301, 302, 303, 307, 308})


class NotFetched(Exception):
    """What was asked for is not here; `reason` is a stable code, the message is for people and holds no credentials."""

    def __init__(self, reason: DiscoveryReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A document as the registry gave it, and the page that it says comes next, if any."""

    body: bytes
    media_type: str
    following: URL | None = None


class Registries:
    """The listed registries; an async context manager that belongs to the event loop it was entered in."""

    def __init__(self, outbound: Outbound, *, tls: ssl.SSLContext | None = None) -> None:
        self._outbound = outbound
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(resolver=self._outbound, limit=MOST_CONNECTIONS, use_dns_cache=False, ssl=True if self._tls is None else self._tls)
        self._session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS),
            headers={"Accept-Encoding": "identity", "User-Agent": "sluice"},
        )  # fmt: skip
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def listed(self, reference: Reference) -> ListedRegistry | None:
        """The listed registry that holds the reference, if one does."""
        return self._outbound.registry_of(reference)

    def repository(self, reference: Reference, credentials: Credentials | None) -> Repository:
        """The repository of a reference. Raises NotFetched when nobody listed it."""
        registry = self.listed(reference)
        if registry is None:
            listed = ", ".join(sorted({f"{item.host}/{item.prefix}".rstrip("/") for item in self._outbound.listed})[:8]) or "none"
            raise NotFetched(
                DiscoveryReason.RegistryNotListed, f"{reference.host}/{reference.repository} is in no registry that evidence may come from ({listed})"
            )
        if self._session is None:
            raise RuntimeError("Registries is used outside its `async with`")
        return Repository(reference, registry, credentials, self._session, self._outbound)


class Repository:
    """One repository, asked with one account or none."""

    def __init__(
        self, reference: Reference, registry: ListedRegistry, credentials: Credentials | None, session: aiohttp.ClientSession, outbound: Outbound
    ) -> None:
        self._name = f"{reference.host}/{reference.repository}"
        self._origin = registry.origin
        self._base = f"{registry.origin}/v2/{reference.repository}"
        self._session = session
        self._outbound = outbound
        self._login = Login(plain_http=registry.plain_http, credentials=credentials, anonymous=True, check=outbound.check)

    async def manifest(self, digest: str, *, limit: int, accept: str) -> bytes:
        """Get a manifest by digest. Raises NotFetched."""
        return self._checked(await self._get(f"manifests/{digest}", limit=limit, accept=accept), digest)

    async def blob(self, digest: str, *, limit: int) -> bytes:
        """Get a blob by digest. Raises NotFetched."""
        return self._checked(await self._get(f"blobs/{digest}", limit=limit, accept="*/*"), digest)

    async def document(self, path: str, *, limit: int, accept: str) -> Answer | None:
        """Get what has no digest that we know: a list, or what a tag names. None when there is none (404). Raises NotFetched."""
        return await self._ask(URL(f"{self._base}/{path}"), limit=limit, accept=accept)

    async def page(self, following: URL, *, limit: int, accept: str) -> Answer | None:
        """Get a further page of a list of this repository. Raises NotFetched for one that leads elsewhere."""
        if (
            not following.absolute
            or following.scheme not in {"http", "https"}
            or following.origin() != self._origin
            or not following.path.startswith(f"{URL(self._base).path}/referrers/")
        ):
            raise NotFetched(DiscoveryReason.RegistryRefused, f"{self._name} continues its list at another place")
        return await self._ask(following, limit=limit, accept=accept)

    async def _get(self, path: str, *, limit: int, accept: str) -> Answer:
        answer = await self._ask(URL(f"{self._base}/{path}"), limit=limit, accept=accept)
        if answer is None:
            raise NotFetched(DiscoveryReason.NotFound, f"{self._name} has no {path}")
        return answer

    def _checked(self, answer: Answer, digest: str) -> bytes:
        got = "sha256:" + hashlib.sha256(answer.body).hexdigest()
        if got != digest:
            raise NotFetched(DiscoveryReason.DigestMismatch, f"{self._name} gives {got} for {digest}")
        return answer.body

    async def _ask(self, url: URL, *, limit: int, accept: str) -> Answer | None:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                return await self._follow(url, limit=limit, accept=accept)
        except TimeoutError:
            raise NotFetched(DiscoveryReason.RegistryUnreachable, f"{self._name} did not answer within {REQUEST_SECONDS:g} s") from None
        except AddressRefused as error:
            raise NotFetched(DiscoveryReason.AddressRefused, f"{self._name}: {error}") from None
        except aiohttp.InvalidURL:
            raise NotFetched(DiscoveryReason.RegistryRefused, f"{self._name} sends us to what is no address") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            refused = _cause(error)
            if refused is not None:
                raise NotFetched(DiscoveryReason.AddressRefused, f"{self._name}: {refused}") from None
            raise NotFetched(DiscoveryReason.RegistryUnreachable, f"{self._name} cannot be reached: {type(error).__name__}: {str(error)[:200]}") from None

    async def _follow(self, url: URL, *, limit: int, accept: str) -> Answer | None:
        asked_again = False
        for _ in range(MOST_REDIRECTS + 2):
            self._outbound.check(url)
            ours = self._login.headers if url.origin() == self._origin else {}
            async with self._session.get(url, headers={"Accept": accept, **ours}, allow_redirects=False) as response:
                if response.status in _ON:
                    url = url.join(URL(response.headers.get("Location", "")))
                    continue
                if response.status == _UNAUTHORIZED[0] and not asked_again and url.origin() == self._origin:
                    asked_again = True
                    if await self._login.answer(response.headers.get("WWW-Authenticate", ""), self._session):
                        continue
                return await self._read(response, limit)
        raise NotFetched(DiscoveryReason.RegistryRefused, f"{self._name} sends us on more than {MOST_REDIRECTS} times")

    async def _read(self, response: aiohttp.ClientResponse, limit: int) -> Answer | None:
        if response.status == _NOT_FOUND:
            return None
        if response.status in _UNAUTHORIZED:
            raise NotFetched(DiscoveryReason.NotAuthorized, f"{self._name} answers {response.status}")
        if response.status != _OK:
            raise NotFetched(DiscoveryReason.RegistryRefused, f"{self._name} answers {response.status}")
        body = await read_body(response, limit)
        if body is None:
            raise NotFetched(DiscoveryReason.TooLarge, f"{self._name} gives more than the {limit:,} bytes that are read")
        link = response.links.get("next")
        following = None if link is None else response.url.join(URL(str(link["url"])))
        return Answer(body=body, media_type=response.headers.get("Content-Type", "").partition(";")[0].strip(), following=following)


def _cause(error: BaseException | None) -> AddressRefused | None:
    """What the resolver refused comes wrapped in what the connector says about it."""
    for _ in range(5):
        if error is None or isinstance(error, AddressRefused):
            return error
        inner = getattr(error, "os_error", None)
        error = inner if isinstance(inner, OSError) and inner is not error else error.__cause__
    return None
