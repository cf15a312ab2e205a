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
_GIVES_TIMES: Final = 1
"""Version of the log's protocol: later ones do not date their entries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One Sigstore."""

    name: str
    config: ClientTrustConfig
    anchors: TrustAnchors
    """What verifies its signatures."""
    services: tuple[tuple[str, str], ...]
    """What there is, and its URL."""
    timestamps: int
    """How many timestamps a signature gets."""
    login: str | None
    """Where people log in."""

    def service(self, url: str) -> str:
        """What answers at `url`, in words."""
        for what, address in self.services:
            if url.startswith(address.rstrip("/")):
                return f"{what} ({address})"
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
        raise CannotTell(f"the public Sigstore's description cannot be had: {quoted(error)}") from error
    return _instance(raw, "public Sigstore")


def _instance(raw: bytes, name: str) -> Instance:
    try:
        document = parse_object(raw, what="the trust config", limit=_CONFIG_BYTES, reason=Reason.TrustRootMalformed)
        root, signing = document.get("trustedRoot"), document.get("signingConfig")
        if not isinstance(root, dict) or not isinstance(signing, dict):
            raise ProvenanceError(Reason.TrustRootMalformed, "it needs trustedRoot and signingConfig (a ClientTrustConfig, as `cosign trusted-root` keeps them)")
        anchors = TrustAnchors.sigstore(name, canonical(root).decode())
        services = tuple(_services(signing))
        with closed(Reason.TrustRootMalformed, "it does not describe an instance to sign with"):
            config = ClientTrustConfig.from_json(raw.decode())
            # Some of the fields are read when they are first asked for.
            timestamps, logs = len(config.signing_config.get_tsas()), config.signing_config.get_tlogs()
            login = config.signing_config.get_oidc_url() if signing.get("oidcUrls") else None
        _check(services, dated=timestamps > 0 or _dated(signing), logs=len(logs))
    except ProvenanceError as error:
        raise BadTrust(f"{name}: {error}") from error
    return Instance(name=name, config=config, anchors=anchors, services=services, timestamps=timestamps, login=login)
