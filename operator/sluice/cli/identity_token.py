"""Where the identity of a keyless signature comes from: a file, the environment, the CI job, or a person at a browser.

A token lets whoever reads it sign in one's name until it expires: none is ever printed, nor kept beyond the process. Whether it is genuine only Fulcio
can tell; what is looked at here saves a request that cannot succeed, and says which claim is wrong.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from sigstore.oidc import ExpiredIdentity, IdentityError, IdentityToken, Issuer, detect_credential

from sluice.cli.verify import CannotTell
from sluice.provenance.errors import quoted

TOKEN_VARIABLE: Final = "SIGSTORE_ID_TOKEN"  # noqa: S105 - the name of a variable
_TOKEN_BYTES: Final = 1 << 16
_NOBODY: Final = f"nobody says who signs: give --identity-token-file, set {TOKEN_VARIABLE}, run it in a CI job that may have tokens, or at a terminal"
# Three parts in base64url (RFC 7515 section 7.1). Libraries skip other characters, and a line feed would end a header.
_FORM: Final = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSource:
    """Where to get tokens from."""

    file: Path | None
    client_id: str
    """The audience that a token must have."""
    login: str | None
    """The OIDC provider (URL) where people log in; None: the instance has none."""

    def obtain(self) -> IdentityToken:
        """A token that is valid now: the one that is given, else of whoever sits at the terminal. Raises CannotTell, OSError."""
        token = self.given()
        if token is not None:
            return token
        if self.login is None:
            raise CannotTell(_NOBODY)
        return self._asked(self.login)

    def given(self) -> IdentityToken | None:
        """A token that is valid now and needs no login: of the file, else of the environment, else of the CI job; None: somebody could log in.

        Raises CannotTell, OSError.
        """
        if self.file is not None:
            with self.file.open("rb") as file:
                return self._parsed(file.read(_TOKEN_BYTES).decode("ascii", "replace"), str(self.file))
        if text := os.environ.get(TOKEN_VARIABLE):
            return self._parsed(text, TOKEN_VARIABLE)
        try:
            ambient = detect_credential(self.client_id)
        except (IdentityError, OSError) as error:
            raise CannotTell(f"this CI job gives no identity token: {quoted(error)}") from error
        if ambient is not None:
            return self._parsed(ambient, "the CI job")
        if not sys.stdin.isatty():
            raise CannotTell(_NOBODY)
        return None

    def _parsed(self, text: str, where: str) -> IdentityToken:
        if not _FORM.fullmatch(token := text.strip()):
            raise CannotTell(f"{where}: this is no OpenID Connect identity token (three parts of base64url, joined by dots)")
        try:
            return IdentityToken(token, self.client_id)
        except (IdentityError, ExpiredIdentity) as error:
            _refuse(where, error, self.client_id)

    def _asked(self, login: str) -> IdentityToken:
        """Let a person log in. The answer of the command is what stdout is for: the prompt goes elsewhere."""
        try:
            with contextlib.redirect_stdout(sys.stderr):
                return Issuer(login).identity_token(self.client_id)
        except Exception as error:
            raise CannotTell(f"the login at {login} came to nothing: {quoted(error.__cause__ or error)}") from error


def _refuse(where: str, error: Exception, client_id: str) -> NoReturn:
    """Say what is wrong with a token, from the kind of the library's error: its message may quote what it could not read."""
    cause = error.__cause__
    found: dict[str, Callable[[], str]] = {
        "ExpiredSignatureError": lambda: "has expired: get a new one",
        "ImmatureSignatureError": lambda: "is not valid yet: look at the clocks",
        "InvalidAudienceError": lambda: f"is not meant for {client_id!r}: ask the provider for that audience, or say another one with --oidc-client-id",
        "MissingRequiredClaimError": lambda: f"has no claim {getattr(cause, 'claim', '')!r}",
    }
    said = found.get(type(cause).__name__, lambda: quoted(error) if cause is None else "cannot be read")
    # Without the library's error: a traceback shows no token.
    raise CannotTell(f"{where}: the identity token {said()}") from None
