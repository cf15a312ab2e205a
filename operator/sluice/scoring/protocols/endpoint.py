"""Where a model server is, and what proves that we may ask it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

from yarl import URL

from sluice.scoring.protocols.settings import SettingsError

TOKEN_LENGTH: Final = 8192
# RFC 6750, section 2.1, and what vendors make of it: printable ASCII without spaces.
_TOKEN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Scheme, host and port; the path belongs to the protocol."""

    origin: str
    """Such as `http://10.0.0.7:8080`."""
    authority: str
    """Such as `10.0.0.7:8080` or `[fd00::7]:8080`."""
    tls: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises SettingsError, which does not repeat `text`: it may hold a password."""
        wanted = "write http://host:port or https://host:port"
        try:
            url = URL(text)
            host, port = url.host, url.port
        except ValueError:
            raise SettingsError(f"the endpoint is no URL; {wanted}") from None
        if url.scheme not in {"http", "https"} or not host or port is None:
            raise SettingsError(f"the endpoint has no http or https scheme, or no host; {wanted}")
        if url.user is not None or url.password is not None or url.raw_path not in {"", "/"} or url.raw_query_string or url.raw_fragment:
            raise SettingsError(f"the endpoint has more than scheme, host and port; {wanted}, the path belongs to the protocol's settings")
        authority = f"[{host}]:{port}" if ":" in host else f"{url.raw_host}:{port}"
        return cls(origin=f"{url.scheme}://{authority}", authority=authority, tls=url.scheme == "https")


def check_token(token: str | None) -> None:
    """Refuse what no header may carry; raises SettingsError, which does not repeat the token."""
    if token is not None and (len(token) > TOKEN_LENGTH or not _TOKEN.fullmatch(token)):
        raise SettingsError(f"the token is empty, longer than {TOKEN_LENGTH:,} characters or has spaces, line ends or other than ASCII; look at the Secret")
