"""A company's own certificate authorities, for tests: a root, an intermediate, and signing certificates of any make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from e2e.sigstore.authority import key_usage
from e2e.sigstore.entries import PlainKey

CODE_SIGNING = (ExtendedKeyUsageOID.CODE_SIGNING,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A key with its certificate."""

    key: PlainKey
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        """The certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()


def certify(
    key: PlainKey,
    name: str,
    *,
    start: datetime,
    days: int,
    parent: Issued | None = None,
    authority: bool = False,
    depth: int | None = None,
    purposes: Sequence[ObjectIdentifier] = CODE_SIGNING,
    signs: bool = True,
    names: Sequence[x509.GeneralName] = (),
    more: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> Issued:
    """A certificate of `key` for the common name `name`, below `parent` or self-signed; `more` are further extensions, and whether each is critical."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(parent.certificate.subject if parent else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=depth), critical=True)
        .add_extension(key_usage(signatures=signs, certificates=authority), critical=True)
    )
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    for extension, critical in more:
        builder = builder.add_extension(extension, critical=critical)
    signing_key = parent.key if parent else key
    algorithm = None if isinstance(signing_key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Issued(key=key, certificate=builder.sign(signing_key, algorithm))
