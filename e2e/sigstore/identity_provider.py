"""An OpenID Connect provider that vouches for whomever it is told to: a fake, for tests of those who believe it (Fulcio, and who signs).

What it speaks is real: discovery (OpenID Connect Discovery 1.0 section 4), its key as a JWK set, tokens signed with RS256 (RFC 7519), and a login by
redirect and code (OpenID Connect Core 1.0 section 3.1) at which it asks for nothing.
"""

from __future__ import annotations

import base64
import json
import time
import urllib.parse
from types import TracebackType
from typing import Any, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from e2e.sigstore.loopback import Answer, LoopbackServer, Request

AUDIENCE = "sigstore"
_KEY_ID = "provider"


class IdentityProvider:
    """On loopback until the end of the `with` block."""

    def __init__(self, *, logs_in: str = "") -> None:
        """A new key. `logs_in` is who comes to its login, an e-mail address."""
        self._logs_in = logs_in
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._server = LoopbackServer(self._answer)

    @property
    def url(self) -> str:
        """The issuer's name, and where it answers."""
        return self._server.url

    def __enter__(self) -> Self:
        """It answers already."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Answer no more."""
        self._server.close()

    def token(self, email: str, *, audience: str = AUDIENCE, lifetime_seconds: int = 600) -> str:
        """An identity token for `email`; with a lifetime below zero one that has expired."""
        now = int(time.time())
        issued = min(now, now + lifetime_seconds) - 1
        claims = {"iss": self.url, "sub": email, "aud": audience, "iat": issued, "exp": now + lifetime_seconds, "email": email, "email_verified": True}
        signed = ".".join(_encoded(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": _KEY_ID, "typ": "JWT"}, claims))
        return f"{signed}.{_encoded(self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def claims(self, token: str) -> dict[str, Any]:
        """What `token` says, if it is by this provider. Raises ValueError."""
        signed, _, signature = token.rpartition(".")
        try:
            self._key.public_key().verify(_decoded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise ValueError("the token is by somebody else") from None
        claims: dict[str, Any] = json.loads(_decoded(signed.partition(".")[2]))
        return claims

    def _answer(self, request: Request) -> Answer:
        if request.path == "/.well-known/openid-configuration":
            return _json(
                {
                    "issuer": self.url,
                    "authorization_endpoint": f"{self.url}/auth",
                    "token_endpoint": f"{self.url}/token",
                    "jwks_uri": f"{self.url}/keys",
                    "response_types_supported": ["code"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["RS256"],
                }
            )
        if request.path == "/keys":
            public = self._key.public_key().public_numbers()
            modulus, exponent = (_encoded(number.to_bytes((number.bit_length() + 7) // 8, "big")) for number in (public.n, public.e))
            return _json({"keys": [{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": _KEY_ID, "n": modulus, "e": exponent}]})
        if request.path.startswith("/auth?"):
            asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(request.path).query))
            back = urllib.parse.urlencode({"code": "once", "state": asked["state"]})
            return Answer(status=302, body=b"", headers={"Location": f"{asked['redirect_uri']}?{back}"})
        if request.path == "/token" and dict(urllib.parse.parse_qsl(request.body.decode())).get("code") == "once":
            # What an OpenID provider calls id_token; sigstore-python reads this member.
            return _json({"access_token": self.token(self._logs_in)})
        return Answer(status=404, body=b"{}")


def _json(document: dict[str, Any]) -> Answer:
    return Answer(body=json.dumps(document).encode())


def _encoded(content: bytes) -> str:
    """Base64url without padding (RFC 7515)."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
