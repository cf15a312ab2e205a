"""Where evidence may be fetched from: registries that the installation lists, and public addresses that these send us on to.

Others write references, registries write redirects, and whoever answers for a name in DNS chooses its address. So what counts is looked at last, when a
connection is made: an address that is loopback, link-local, private, shared, multicast or reserved is refused, also as an IPv4 address inside an IPv6 one,
unless the very host and port are listed. Names are resolved once for each connection, and the addresses that were looked at are the ones connected to.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

_LISTED: Final = re.compile(r"(?P<plain>http://|https://)?(?P<host>[A-Za-z0-9.-]+(:[0-9]{1,5})?)(/(?P<prefix>[a-z0-9]+([._/-]+[a-z0-9]+)*))?")
_REFERENCE: Final = re.compile(r"(oci://)?(?P<host>[A-Za-z0-9.-]+(:[0-9]{1,5})?)/(?P<name>[a-z0-9]+([._/-]+[a-z0-9]+)*)@(?P<digest>sha256:[0-9a-f]{64})")
_REFERENCE_LENGTH: Final = 2048
_NAT64: Final = IPv6Network("64:ff9b::/96")


class AddressRefused(OSError):
    """Nobody listed it, and it is not public. Nothing was sent there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One manifest in one repository of one registry, by digest."""

    host: str
    repository: str
    digest: str

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read `registry/repository@sha256:…`, with `oci://` before it or without; None for anything else, tags among it."""
        match = _REFERENCE.fullmatch(text) if len(text) <= _REFERENCE_LENGTH else None
        return None if match is None else cls(host=match["host"].lower(), repository=match["name"], digest=match["digest"])

    def at(self, digest: str) -> Reference:
        """Another manifest of the same repository."""
        return Reference(host=self.host, repository=self.repository, digest=digest)

    def __str__(self) -> str:
        return f"{self.host}/{self.repository}@{self.digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRegistry:
    """A registry, or a part of one, that the installation lists."""

    host: str
    prefix: str = ""
    plain_http: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `registry.example.com`, `registry.example.com/team`, or `http://…` for one without TLS. Raises ValueError."""
        match = _LISTED.fullmatch(text)
        if match is None:
            raise ValueError(f"{text[:200]!r} is no registry; write registry.example.com, or registry.example.com/team for a part of it")
        return cls(host=match["host"].lower(), prefix=match["prefix"] or "", plain_http=match["plain"] == "http://")

    def holds(self, reference: Reference) -> bool:
        """Whether the reference leads there. `team` holds `team/model` and not `team-of-others/model`."""
        return reference.host == self.host and (not self.prefix or f"{reference.repository}/".startswith(f"{self.prefix}/"))

    @property
    def origin(self) -> URL:
        """Scheme, host and port."""
        return URL(f"{'http' if self.plain_http else 'https'}://{self.host}")


def is_public(text: str) -> bool:
    """Whether an address is one of the public Internet, in whatever way it is written."""
    address: IPv4Address | IPv6Address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        inside = address.ipv4_mapped or address.sixtofour or (IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None)
        if address.teredo or address.is_site_local or (inside is not None and not is_public(str(inside))):
            return False
        if address.ipv4_mapped:
            return True
    return address.is_global and not address.is_multicast


class Outbound(AbstractResolver):
    """Which addresses connections may be made to; give it to the connector as resolver, and ask `check` before each request."""

    def __init__(self, listed: Iterable[ListedRegistry]) -> None:
        self.listed: Final = tuple(listed)
        self._origins = {(item.origin.host, item.origin.port) for item in self.listed}
        self._plain = {(item.origin.host, item.origin.port) for item in self.listed if item.plain_http}

    def registry_of(self, reference: Reference) -> ListedRegistry | None:
        """The listed registry that a reference leads to; None when nobody listed it."""
        return next((item for item in self.listed if item.holds(reference)), None)

    def check(self, url: URL) -> None:
        """Refuse what may not be asked whatever its name resolves to. Raises AddressRefused."""
        at = (url.host, url.port)
        if url.scheme != "https" and not (url.scheme == "http" and at in self._plain):
            raise AddressRefused(f"{_place(url)} is not https, and not listed as a registry without TLS")
        if url.user is not None or url.password is not None:
            raise AddressRefused(f"{_place(url)} carries credentials of its own")
        # Literal addresses never come to the resolver.
        if at not in self._origins and _is_address(url.host or "") and not is_public(url.host or ""):
            raise AddressRefused(f"{_place(url)} is no public address, and not listed")

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        """Resolve a name; raises AddressRefused (an OSError) when one of its addresses may not be connected to."""
        found = await aiohttp.ThreadedResolver().resolve(host, port, family)
        if (host.lower(), port) not in self._origins:
            for result in found:
                if not is_public(result["host"]):
                    raise AddressRefused(f"{host}:{port} is at {result['host']}, which is no public address, and it is not listed")
        return found

    async def close(self) -> None:
        """Nothing is held."""


def _is_address(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _place(url: URL) -> str:
    return f"{url.scheme}://{url.host}:{url.port}"[:200]
