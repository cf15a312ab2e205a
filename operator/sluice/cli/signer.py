"""Who signs, from the options of a command: a key, a key with its certificate, or whoever an identity provider vouches for (keyless).

What belongs to one of these and is given with another is refused before anything is read, hashed or sent.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import click

from sluice.cli.trusted import FILE

if TYPE_CHECKING:
    from sluice.api.strict_json import JsonValue
    from sluice.provenance.bundle_signing import BundleSigner

PASSWORD_VARIABLE: Final = "SLUICE_KEY_PASSWORD"  # noqa: S105 - the name of a variable
DEFAULT_CLIENT_ID: Final = "sigstore"

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A bundle, and what is known of who signed it."""

    bundle: bytes
    signer: Mapping[str, JsonValue]
    """`keyFingerprint`; without a key of one's own also `identity`, `issuer` and `signedAt`."""


class StatementSigner(Protocol):
    """Signs in-toto statements."""

    def sign(self, statement: bytes) -> Signed:
        """A bundle of `statement`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerChoice:
    """The options of `signer_options`, by the names of their parameters."""

    key_file: Path | None
    certificate_file: Path | None
    chain_file: Path | None
    keyless: bool
    trust_config_file: Path | None
    public_sigstore: bool
    token_file: Path | None
    client_id: str | None

    @property
    def given(self) -> bool:
        """Whether any of the options was given."""
        return any(bool(getattr(self, each.name)) for each in fields(self))

    def signer(self) -> StatementSigner:
        """Read who signs. Keyless: also find the identity, so that what cannot be signed shows before a large model is hashed.

        Raises UsageError, BadTrust, CannotTell, OSError.
        """
        if self.keyless == (self.key_file is not None):
            raise click.UsageError("say who signs: --key FILE, or --keyless")
        if self.keyless:
            return self._keyless()
        if self.trust_config_file or self.public_sigstore or self.token_file or self.client_id:
            raise click.UsageError("--trust-config, --public-sigstore, --identity-token-file and --oidc-client-id go with --keyless")
        return self._with_key()

    def _with_key(self) -> StatementSigner:
        from sluice.provenance.bundle_signing import BundleSigner  # noqa: PLC0415 - see the package
        from sluice.provenance.errors import ProvenanceError  # noqa: PLC0415

        if self.chain_file is not None and self.certificate_file is None:
            raise click.UsageError("--certificate-chain goes with --certificate")
        password = os.environ.get(PASSWORD_VARIABLE, "").encode() or None
        key = _read(self.key_file)
        try:
            if self.certificate_file is None:
                return _KeySigner(bundle_signer=BundleSigner.with_key(key, password=password))
            return _KeySigner(bundle_signer=BundleSigner.with_certificate(key, _read(self.certificate_file), _read(self.chain_file), password=password))
        except ProvenanceError as error:
            hint = f" in {PASSWORD_VARIABLE}" if str(error).endswith("password: give it") else ""
            raise click.UsageError(f"{self.key_file}: {error}{hint}") from error

    def _keyless(self) -> StatementSigner:
        if self.certificate_file or self.chain_file:
            raise click.UsageError("--certificate and --certificate-chain go with --key: a keyless signature gets its certificate from Fulcio")
        if self.public_sigstore == (self.trust_config_file is not None):
            raise click.UsageError(
                "say which Sigstore: --trust-config FILE, or --public-sigstore, which writes your identity into a public log that nobody can delete from"
            )
        from sluice.cli.identity_token import TokenSource  # noqa: PLC0415 - sigstore and what it needs: 0.7 s
        from sluice.cli.keyless import KeylessSigner  # noqa: PLC0415
        from sluice.cli.sigstore_instance import private_instance, public_instance  # noqa: PLC0415

        tokens = TokenSource(file=self.token_file, client_id=self.client_id or DEFAULT_CLIENT_ID, login=None)
        if self.trust_config_file is not None:
            instance = private_instance(self.trust_config_file)
            return KeylessSigner(instance, replace(tokens, login=instance.login))
        # Where nobody can sign, nobody is asked where to.
        token = tokens.given()
        instance = public_instance()
        return KeylessSigner(instance, replace(tokens, login=instance.login), token=token)


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeySigner:
    bundle_signer: BundleSigner = field(repr=False)

    def sign(self, statement: bytes) -> Signed:
        return Signed(bundle=self.bundle_signer.sign(statement), signer={"keyFingerprint": self.bundle_signer.fingerprint})


def _read(path: Path | None) -> bytes:
    """As much of a PEM file as is read at most; nothing of none. Raises OSError."""
    from sluice.provenance.bundle_signing import PEM_BYTES  # noqa: PLC0415 - see the package

    if path is None:
        return b""
    with path.open("rb") as file:
        return file.read(PEM_BYTES)


def signer_options(command: F) -> Callable[..., Any]:
    """Add the options that say who signs; `command` gets them as one argument, `who`."""
    names = [each.name for each in fields(SignerChoice)]

    @functools.wraps(command)
    def gathered(**given: Any) -> Any:  # noqa: ANN401 - whatever the command's other options are
        return command(who=SignerChoice(**{name: given.pop(name) for name in names}), **given)

    decorated: Callable[..., Any] = gathered
    for option in (
        click.option("--oidc-client-id", "client_id", metavar="ID", help=f"Keyless: for whom the identity token is meant.  [default: {DEFAULT_CLIENT_ID}]"),
        click.option(
            "--identity-token-file", "token_file", type=FILE,
            help="Keyless: the identity token (OpenID Connect).  [default: SIGSTORE_ID_TOKEN, the one of the CI job, or a login in the browser]",
        ),
        click.option(
            "--public-sigstore", is_flag=True,
            help="Keyless: sign with the public Sigstore instance. It writes your identity (an e-mail address, a workflow) into a public log, for ever.",
        ),
        click.option("--trust-config", "trust_config_file", type=FILE, help="Keyless: the Sigstore instance to sign with, a ClientTrustConfig (JSON)."),
        click.option("--keyless", is_flag=True, help="Sign as yourself, or as this CI job: Fulcio certifies a key that lives for one signature."),
        click.option("--certificate-chain", "chain_file", type=FILE, help="Certificates above it, PEM, the nearest first, without the root."),
        click.option("--certificate", "certificate_file", type=FILE, help="Certificate of the key, PEM: sign as its subject."),
        click.option("--key", "key_file", type=FILE, help=f"Private key, PEM. Its password, if it has one, is read from {PASSWORD_VARIABLE}."),
    ):  # fmt: skip
        decorated = option(decorated)
    return decorated
