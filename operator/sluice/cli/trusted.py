"""Whom a command trusts, from its options: a TrustRoot, a Sigstore trusted root, keys or certificates, as files; and who exactly must have signed.

An identity means nothing without who vouched for it, and a trust root that certifies the whole world means nothing without an identity: such options are
refused before anything is read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from sluice.cli.verify import BadTrust

if TYPE_CHECKING:
    from sluice.decision.revocations import Revocations
    from sluice.provenance.bundle import Signer, VerifiedEnvelope
    from sluice.provenance.trust import TrustAnchors

FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_TRUST_BYTES: Final = 1 << 20

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusted:
    """Trust material, and who must have signed."""

    anchors: TrustAnchors | None
    """None: `certificates` are trusted."""
    certificates: str = ""
    """PEM."""
    revocations: Revocations | None = None
    """Of the TrustRoot."""
    identity: str | None
    issuer: str | None

    def verify(self, raw: bytes, *, limit: int) -> VerifiedEnvelope:
        """Verify a bundle of at most `limit` bytes, and that it is by whoever was named. Raises ProvenanceError."""
        from sluice.provenance.bundle import verify_bundle  # noqa: PLC0415 - see the package
        from sluice.provenance.model_certificate import verify_by_certificates  # noqa: PLC0415

        if self.anchors is None:
            envelope = verify_by_certificates(raw, self.certificates, now=datetime.now(UTC), limit=limit)
        else:
            envelope = verify_bundle(raw, self.anchors, limit=limit)
        self.check(envelope.signer)
        self.check_revoked(envelope.signer, envelope.signed_at)
        return envelope

    def check(self, signer: Signer) -> None:
        """Compare who signed with who was named, exactly. Raises ProvenanceError (SignerUnexpected)."""
        from sluice.provenance.errors import ProvenanceError, Reason  # noqa: PLC0415 - see the package

        for what, wanted, found in (("identity", self.identity, signer.identity), ("issuer", self.issuer, signer.issuer)):
            if wanted is not None and wanted != found:
                raise ProvenanceError(Reason.SignerUnexpected, f"the signature holds, and its {what} is {found!r}, not {wanted!r}")

    def check_revoked(self, signer: Signer, signed_at: datetime | None) -> None:
        """Look whether the TrustRoot believes who signed no more. Raises ProvenanceError (SignerRevoked)."""
        from sluice.provenance.errors import ProvenanceError, Reason  # noqa: PLC0415 - see the package

        if self.revocations is not None and (revocation := self.revocations.of_signer(signer, signed_at)) is not None:
            raise ProvenanceError(Reason.SignerRevoked, f"the signature holds, and {revocation.words}")


def trust_options(command: F) -> F:
    """Add the options that `trusted` reads."""
    for option in (
        click.option("--issuer", metavar="URL", help="Who must have vouched for the identity, exact (an OIDC issuer)."),
        click.option("--identity", metavar="NAME", help="Who must have signed, exact: the name in the certificate."),
        click.option("--key", "key_files", type=FILE, multiple=True, help="Trust a public key, PEM. May be given more than once: any of them."),
        click.option(
            "--certificate-chain", "certificate_files", type=FILE, multiple=True, help="Trust certificates of authorities, PEM, as they are valid now."
        ),
        click.option(
            "--trust-root", "trust_root_file", type=FILE, help="Trust a TrustRoot (YAML or JSON), a Sigstore trusted_root.json, or the one in a trust config."
        ),
    ):
        command = option(command)
    return command


def trusted(
    *, trust_root_file: Path | None, key_files: tuple[Path, ...], certificate_files: tuple[Path, ...] = (), identity: str | None, issuer: str | None
) -> Trusted:
    """Read the files of `trust_options`. Raises UsageError, BadTrust, OSError."""
    from sluice.provenance.errors import ProvenanceError  # noqa: PLC0415 - see the package
    from sluice.provenance.model_certificate import load_trusted  # noqa: PLC0415
    from sluice.provenance.trust import TrustAnchors  # noqa: PLC0415

    if (trust_root_file is not None) + bool(key_files) + bool(certificate_files) != 1:
        raise click.UsageError("say whom you trust: --trust-root FILE, or --key FILE, or --certificate-chain FILE")
    if key_files and (identity or issuer):
        raise click.UsageError("a key is nobody's identity: --identity and --issuer go with --trust-root")
    revocations = None
    try:
        if certificate_files:
            certificates = "\n".join(map(text_of, certificate_files))
            load_trusted(certificates)
            return Trusted(anchors=None, certificates=certificates, identity=identity, issuer=issuer)
        if trust_root_file:
            anchors, revocations = _read_trust_root(trust_root_file)
        else:
            anchors = TrustAnchors.keys("command line", {str(path): text_of(path) for path in key_files})
    except ProvenanceError as error:
        raise BadTrust(str(error)) from error
    if anchors.root is not None and (identity is None or issuer is None):
        raise click.UsageError(f"{trust_root_file} certifies anybody: say who must have signed, with --identity and --issuer")
    return Trusted(anchors=anchors, revocations=revocations, identity=identity, issuer=issuer)


def _read_trust_root(path: Path) -> tuple[TrustAnchors, Revocations | None]:
    """The material of a TrustRoot manifest and what it revokes, or of a Sigstore trusted root. Raises BadTrust, ProvenanceError, OSError."""
    from sluice.decision.records import TrustRoot  # noqa: PLC0415 - see the package
    from sluice.provenance.trust import TrustAnchors  # noqa: PLC0415

    text = text_of(path)
    document = material_in(path, text)
    if document is None:
        return TrustAnchors.sigstore(path.name, trusted_root_in(path, text)), None
    metadata = document.get("metadata")
    found = TrustRoot.of(str(metadata.get("name") if isinstance(metadata, dict) else path.name), document)
    if found.anchors is None or found.revocations.problem:
        raise BadTrust(f"{path}: {found.problem or found.revocations.problem}")
    return found.anchors, found.revocations


def material_in(path: Path, text: str) -> dict[str, Any] | None:
    """The TrustRoot that `text`, the content of `path`, is; None for what may be a trusted_root.json. Raises BadTrust."""
    from sluice.cli.manifests import ManifestRefused, check_rules, documents  # noqa: PLC0415 - see the package

    try:
        found = [document for document in documents(text) if document is not None]
    except ManifestRefused as error:
        raise BadTrust(f"{path}: {error}") from None
    if len(found) > 1:
        raise BadTrust(f"{path}: there are {len(found)} documents in it; one is read")
    document = found[0] if found else None
    if not isinstance(document, dict):
        hint = (
            "; a key is given with --key, certificates with --certificate-chain, and `sluice trust import` makes a TrustRoot of them" if "BEGIN" in text else ""
        )
        raise BadTrust(f"{path}: this is no TrustRoot and no trusted_root.json{hint}")
    if "kind" in document and document["kind"] != "TrustRoot":
        raise BadTrust(f"{path}: this is a {str(document['kind'])[:80]}, and no TrustRoot")
    if "kind" not in document:
        return None
    try:
        check_rules(document)
    except ManifestRefused as error:
        raise BadTrust(f"{path}: {error}") from None
    return document


def trusted_root_in(path: Path, text: str) -> str:
    """The trusted root that `text`, the content of `path`, is, or that it holds beside where to sign: a ClientTrustConfig. Raises BadTrust."""
    from sluice.provenance.errors import ProvenanceError, Reason  # noqa: PLC0415 - see the package
    from sluice.provenance.strict_json import canonical, parse_object  # noqa: PLC0415

    if '"signingConfig"' not in text:
        return text
    try:
        root = parse_object(text.encode(), what="the trust config", limit=_TRUST_BYTES, reason=Reason.TrustRootMalformed).get("trustedRoot")
    except ProvenanceError as error:
        raise BadTrust(f"{path}: {error}") from error
    if not isinstance(root, dict):
        raise BadTrust(f"{path}: it says where to sign and holds no trustedRoot")
    return canonical(root).decode()


def text_of(path: Path) -> str:
    """Read a file of trust material, which is text of at most 1 MiB. Raises BadTrust, OSError."""
    with path.open("rb") as file:
        content = file.read(_TRUST_BYTES + 1)
    if len(content) > _TRUST_BYTES:
        raise BadTrust(f"{path}: longer than {_TRUST_BYTES:,} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise BadTrust(f"{path}: this is no text; convert DER to PEM") from None
