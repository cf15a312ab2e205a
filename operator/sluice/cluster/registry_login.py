"""How a registry is told who asks (RFC 9110 section 11.6.1; for Bearer the token service of the OCI distribution, with or without an account).

Credentials go to the registry that they are for, and to the token service that this registry names: over https, unless the registry itself has no TLS.
"""

from __future__ import annotations

import base64
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
from yarl import URL

from sluice.api.strict_json import JsonRefused, parse

_TOKEN_BYTES: Final = 65_536
_CONFIG_BYTES: Final = 1 << 20
_CHALLENGE: Final = re.compile(r'(\w+)="([^"]*)"')
_BODIES: Final = re.compile(r"(https?://)?(?P<host>[^/]+)(/.*)?")

Credentials = tuple[str, str]
"""User and password."""


def tls_trusting(ca_file: Path) -> ssl.SSLContext:
    """Trust the authorities of the system and those of `ca_file` (PEM), for a registry may send us on to the public. Raises OSError and ValueError."""
    with ca_file.open("rb") as file:
        raw = file.read(_CONFIG_BYTES + 1)
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if len(raw) > _CONFIG_BYTES:
            raise ValueError
        context.load_verify_locations(cadata=raw.decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise ValueError(f"{ca_file}: these are no certificates of authorities, PEM, of at most {_CONFIG_BYTES:,} bytes") from None
    return context


@dataclass(slots=True, kw_only=True)
class Login:
    """What authorizes requests to one repository. `anonymous`: a token is asked for without an account, too. `check` refuses addresses, or raises nothing."""

    plain_http: bool
    credentials: Credentials | None
    anonymous: bool = False
    check: Callable[[URL], None] = field(default=lambda _url: None)
    headers: dict[str, str] = field(default_factory=dict)

    async def answer(self, challenge: str, session: aiohttp.ClientSession) -> bool:
        """Answer a challenge; say whether there is something new to show. Raises what the session and `check` raise."""
        basic = None if self.credentials is None else aiohttp.encode_basic_auth(*self.credentials)
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "basic" and basic is not None:
            self.headers = {"Authorization": basic}
            return True
        if scheme.lower() != "bearer" or (basic is None and not self.anonymous):
            return False
        asked = dict(_CHALLENGE.findall(rest))
        realm = URL(asked.pop("realm", ""))
        if realm.scheme != "https" and not (self.plain_http and realm.scheme == "http"):
            return False
        self.check(realm)
        query = {name: asked[name] for name in ("service", "scope") if name in asked}
        shown = {} if basic is None else {"Authorization": basic}
        async with session.get(realm.update_query(query), headers=shown, allow_redirects=False) as response:
            raw = await read_body(response, _TOKEN_BYTES)
        try:
            answer: Any = parse(raw or b"", limit=_TOKEN_BYTES)
            token = answer.get("token") or answer["access_token"]
        except (JsonRefused, KeyError, TypeError, AttributeError):
            return False
        if not isinstance(token, str):
            return False
        self.headers = {"Authorization": f"Bearer {token}"}
        return True


async def read_body(response: aiohttp.ClientResponse, limit: int) -> bytes | None:
    """Read a body of at most `limit` bytes; None when there is more, whatever its length was said to be."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            return None
    return bytes(body)


def parse_docker_configuration(raw: bytes) -> dict[str, Credentials]:
    """Read user and password by registry (`host:port`) from a Docker configuration. Raises ValueError, which repeats nothing of it."""
    found = {}
    try:
        configuration: Any = parse(raw, limit=_CONFIG_BYTES)
        for name, entry in configuration["auths"].items():
            host = _BODIES.fullmatch(str(name))
            if host is not None:
                found[host["host"].lower()] = _account(entry)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError('it is no Docker configuration; that holds {"auths": {"HOST": {"auth": "…"}}}') from None
    return found


def _account(entry: dict[str, Any]) -> Credentials:
    if "auth" in entry:
        user, _, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
        return user, password
    return str(entry["username"]), str(entry["password"])
