"""A Sigstore instance to sign with: where its services are, and what verifies what they vouch for.

In: Sigstore's ClientTrustConfig (`sigstore_trustroot.proto`): `signingConfig` and `trustedRoot`. What could not come to a signature that verifies is refused
before anything is sent: a log keeps what it was sent for ever.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from sigstore.models import ClientTrustConfig

from sluice.cli.verify import BadTrust, CannotTell
from sluice.provenance.errors import ProvenanceError, Reason, closed, quoted
from sluice.provenance.strict_json import canonical, parse_object
from sluice.provenance.trust import TrustAnchors

if TYPE_CHECKING:
    from sluice.api.strict_json import JsonObject

_CONFIG_BYTES: Final = 1 << 20
_SERVICES: Final = {"caUrls": "Fulcio", "rekorTlogUrls": "the transparency log", "tsaUrls": "the timestamp authority", "oidcUrls": "the identity provider"}
_SEE_TOKENS: Final = {"caUrls", "oidcUrls"}
_GIVES_TIMES: Final = 1
"""Version of the log's protocol: later ones do not date their entries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service of `signingConfig`."""

    member: str
    """Of which list."""
    url: str
    version: int
    """Of its protocol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One Sigstore."""

    name: str
    config: ClientTrustConfig
    anchors: TrustAnchors
    """What verifies its signatures."""
    services: tuple[Service, ...]
    timestamps: int
    """How many timestamps a signature gets."""
    login: str | None
    """Where people log in."""

    def named(self, url: str) -> str:
        """What answers at `url`, in words."""
        for service in sorted(self.services, key=lambda service: -len(service.url)):
            if url.startswith(service.url):
                return f"{_SERVICES[service.member]} ({service.url})"
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def private_instance(path: Path) -> Instance:
    """The instance that a ClientTrustConfig describes. Raises BadTrust, OSError."""
    with path.open("rb") as file:
        raw = file.read(_CONFIG_BYTES + 1)
    return _instance(raw, str(path))


def public_instance() -> Instance:
    """The public good instance, as its TUF repository describes it now: a request to its address. Raises BadTrust, CannotTell."""
    try:
        config = ClientTrustConfig.production()
        raw = config._inner.to_json().encode()  # noqa: SLF001 - the library has no public way from a config to its text
    except Exception as error:
        raise CannotTell(f"the public Sigstore does not say where its services are: {quoted(error)}: {quoted(error.__cause__ or error)}") from error
    return _instance(raw, "public Sigstore")


def _instance(raw: bytes, name: str) -> Instance:
    try:
        document = parse_object(raw, what="the trust config", limit=_CONFIG_BYTES, reason=Reason.TrustRootMalformed)
        root, signing = document.get("trustedRoot"), document.get("signingConfig")
        if not isinstance(root, dict) or not isinstance(signing, dict):
            raise ProvenanceError(Reason.TrustRootMalformed, "no ClientTrustConfig: it needs trustedRoot and signingConfig")
        anchors = TrustAnchors.sigstore(name, canonical(root).decode())
        with closed(Reason.TrustRootMalformed, "the trust config describes no instance to sign with"):
            services = tuple(_services(signing))
            config = ClientTrustConfig.from_json(raw.decode())
            # The library looks at the lists when it is asked for them.
            chosen = config.signing_config
            timestamps = len(chosen.get_tsas())
            login = chosen.get_oidc_url() if signing.get("oidcUrls") else None
        _check(services, dated=timestamps > 0 or all(service.version == _GIVES_TIMES for service in services if service.member == "rekorTlogUrls"))
    except ProvenanceError as error:
        raise BadTrust(f"{name}: {error}") from error
    return Instance(name=name, config=config, anchors=anchors, services=services, timestamps=timestamps, login=login)


def _services(signing: JsonObject) -> Iterator[Service]:
    for member in _SERVICES:
        listed = signing.get(member) or []
        for each in listed if isinstance(listed, list) else [listed]:
            if not isinstance(each, dict) or not isinstance(url := each.get("url"), str) or not isinstance(version := each.get("majorApiVersion"), int):
                raise ProvenanceError(Reason.TrustRootMalformed, f"{member}: each entry needs url and majorApiVersion")
            yield Service(member=member, url=url, version=version)


def _check(services: tuple[Service, ...], *, dated: bool) -> None:
    """Refuse to show a token to whoever listens on the line, and to log what nobody could verify. Raises ProvenanceError."""
    for service in services:
        if service.member in _SEE_TOKENS and not _private(service.url):
            raise ProvenanceError(Reason.TrustRootMalformed, f"{service.member}: {service.url} would get the identity token in the clear; use https")
    if not dated:
        raise ProvenanceError(Reason.TrustRootMalformed, "nothing would say when it was signed: logs of version 2 date no entries, and tsaUrls names nobody")


def _private(url: str) -> bool:
    """Whether nobody else reads what is sent to `url`."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    try:
        return parts.scheme == "http" and (parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname or "").is_loopback)
    except ValueError:
        return False
