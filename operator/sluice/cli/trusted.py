"""Whom a command trusts, from its options: a TrustRoot, a Sigstore trusted root, or a key, as files; and who exactly must have signed.

An identity means nothing without who vouched for it, and a trust root that certifies the whole world means nothing without an identity: such options are
refused before anything is read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from sluice.cli.verify import BadTrust

if TYPE_CHECKING:
    from sluice.provenance.bundle import Signer
    from sluice.provenance.trust import TrustAnchors

FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_TRUST_BYTES: Final = 1 << 20

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusted:
    """Trust material, and who must have signed."""

    anchors: TrustAnchors
    identity: str | None
    issuer: str | None

    def check(self, signer: Signer) -> None:
        """Compare who signed with who was named, exactly. Raises ProvenanceError (SignerUnexpected)."""
        from sluice.provenance.errors import ProvenanceError, Reason  # noqa: PLC0415 - see the package

        for what, wanted, found in (("identity", self.identity, signer.identity), ("issuer", self.issuer, signer.issuer)):
            if wanted is not None and wanted != found:
                raise ProvenanceError(Reason.SignerUnexpected, f"the signature holds, and its {what} is {found!r}, not {wanted!r}")


def trust_options(command: F) -> F:
    """Add the options that `trusted` reads."""
    for option in (
        click.option("--issuer", metavar="URL", help="Who must have vouched for the identity, exact (an OIDC issuer)."),
        click.option("--identity", metavar="NAME", help="Who must have signed, exact: the name in the certificate."),
        click.option("--key", "key_files", type=FILE, multiple=True, help="Trust a public key, PEM. May be given more than once: any of them."),
        click.option("--trust-root", "trust_root_file", type=FILE, help="Trust a TrustRoot (YAML or JSON), or a Sigstore trusted_root.json."),
    ):
        command = option(command)
    return command


def trusted(*, trust_root_file: Path | None, key_files: tuple[Path, ...], identity: str | None, issuer: str | None) -> Trusted:
    """Read the files of `trust_options`. Raises UsageError, BadTrust, OSError."""
    from sluice.provenance.errors import ProvenanceError  # noqa: PLC0415 - see the package
    from sluice.provenance.trust import TrustAnchors  # noqa: PLC0415

    if (trust_root_file is not None) + bool(key_files) != 1:
        raise click.UsageError("say whom you trust: --trust-root FILE, or --key FILE")
    if key_files and (identity or issuer):
        raise click.UsageError("a key is nobody's identity: --identity and --issuer go with --trust-root")
    try:
        anchors = _anchors(trust_root_file) if trust_root_file else TrustAnchors.keys("command line", {str(path): _text(path) for path in key_files})
    except ProvenanceError as error:
        raise BadTrust(str(error)) from error
    if anchors.root is not None and (identity is None or issuer is None):
        raise click.UsageError(f"{trust_root_file} certifies anybody: say who must have signed, with --identity and --issuer")
    return Trusted(anchors=anchors, identity=identity, issuer=issuer)


def _anchors(path: Path) -> TrustAnchors:
    """The material of a TrustRoot manifest, or of a trusted_root.json. Raises BadTrust, ProvenanceError, OSError."""
    import yaml  # noqa: PLC0415 - see the package
    from pydantic import ValidationError  # noqa: PLC0415

    from sluice.api.trust import TrustRootSpec  # noqa: PLC0415
    from sluice.decision.records import TrustRoot  # noqa: PLC0415
    from sluice.provenance.trust import TrustAnchors  # noqa: PLC0415

    text = _text(path)
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadTrust(f"{path}: neither YAML nor JSON: {' '.join(str(error).split())[:300]}") from None
    if not isinstance(document, dict):
        raise BadTrust(f"{path}: this is no TrustRoot and no trusted_root.json")
    if document.get("kind") != "TrustRoot":
        return TrustAnchors.sigstore(path.name, text)
    try:
        spec = TrustRootSpec.model_validate(document.get("spec"))
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)[0]
        raise BadTrust(f"{path}: spec.{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}") from None
    metadata = document.get("metadata")
    found = TrustRoot.of(str(metadata.get("name") if isinstance(metadata, dict) else path.name), spec)
    if found.anchors is None:
        raise BadTrust(f"{path}: {found.problem}")
    return found.anchors


def _text(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(_TRUST_BYTES + 1)
    if len(content) > _TRUST_BYTES:
        raise BadTrust(f"{path}: longer than {_TRUST_BYTES:,} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise BadTrust(f"{path}: this is no text") from None
