"""The certificate authority: a root, an intermediate that issues ten-minute certificates as Fulcio does, and the certificate transparency log's promise (SCT).

Profiles: Fulcio's certificate specification (extensions 1.3.6.1.4.1.57264.1.*); RFC 6962 section 3.2 for the SCT.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

CERTIFICATE_LIFETIME = timedelta(minutes=10)
_FULCIO = "1.3.6.1.4.1.57264.1"
_ISSUER_V1 = f"{_FULCIO}.1"
_ISSUER_V2 = f"{_FULCIO}.8"
_SCT_LIST = "1.3.6.1.4.1.11129.2.4.2"
_ORGANIZATION = "sluice private sigstore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A key with its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def public_der(key: ec.EllipticCurvePublicKey) -> bytes:
    """DER SubjectPublicKeyInfo."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def key_id(key: ec.EllipticCurvePublicKey) -> bytes:
    """RFC 6962's log id: SHA-256 over the public key."""
    return hashlib.sha256(public_der(key)).digest()


def new_authority(
    common_name: str, *, start: datetime, end: datetime, parent: Authority | None = None, depth: int = 0, code_signing: bool = False
) -> Authority:
    """A CA with a new P-256 key, below `parent` or self-signed, that may have `depth` CAs below it."""
    key = ec.generate_private_key(ec.SECP256R1())
    signing_key = parent.key if parent else key
    builder = (
        _certificate(common_name, key.public_key(), start=start, end=end, parent=parent, signing_key=signing_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=depth), critical=True)
        .add_extension(key_usage(certificates=True), critical=True)
    )
    if code_signing:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
    return Authority(key=key, certificate=builder.sign(signing_key, hashes.SHA256()))


def new_timestamping_unit(parent: Authority, *, start: datetime, end: datetime) -> Authority:
    """The leaf that signs timestamps (RFC 3161 section 2.3: one critical extended key usage)."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _certificate("timestamping", key.public_key(), start=start, end=end, parent=parent, signing_key=parent.key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(signatures=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
    )
    return Authority(key=key, certificate=builder.sign(parent.key, hashes.SHA256()))


def subject_name(identity: str) -> x509.GeneralName:
    """An e-mail address or a URI, as Fulcio writes identities."""
    if "@" in identity and "://" not in identity:
        return x509.RFC822Name(identity)
    return x509.UniformResourceIdentifier(identity)


def issue(
    public_key: ec.EllipticCurvePublicKey,
    *,
    names: Sequence[x509.GeneralName],
    issuer: str,
    when: datetime,
    authority: Authority,
    transparency_key: ec.EllipticCurvePrivateKey,
    deprecated_issuer: str | None = None,
    claims: Mapping[int, str] | None = None,
    lifetime: timedelta = CERTIFICATE_LIFETIME,
) -> x509.Certificate:
    """A signing certificate for `names`, vouched for by `issuer`, with an SCT.

    Fulcio writes the issuer twice, in a current and a deprecated extension; `deprecated_issuer` (default: the same) lets tests tell them apart, and an
    empty name leaves its extension out.

    `claims` are what else the identity provider said, by the last number of Fulcio's extension (15: the repository's number).
    """
    serial = x509.random_serial_number()
    issuer_v1 = issuer if deprecated_issuer is None else deprecated_issuer

    def signed(sct_list: bytes) -> x509.Certificate:
        builder = (
            _certificate("", public_key, start=when, end=when + lifetime, parent=authority, signing_key=authority.key, serial=serial)
            .add_extension(key_usage(signatures=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=True)
        )
        extensions = [(_SCT_LIST, sct_list)]
        if issuer:
            extensions.append((_ISSUER_V2, _der(0x0C, issuer.encode())))
        if issuer_v1:
            extensions.append((_ISSUER_V1, issuer_v1.encode()))
        extensions += [(f"{_FULCIO}.{number}", _der(0x0C, text.encode())) for number, text in (claims or {}).items()]
        for oid, value in extensions:
            builder = builder.add_extension(x509.UnrecognizedExtension(ObjectIdentifier(oid), value), critical=False)
        return builder.sign(authority.key, hashes.SHA256())

    # The log signs the certificate without the SCT list, so one with a placeholder is made first.
    milliseconds = int(when.timestamp() * 1000)
    precertificate = signed(_sct_list(transparency_key, milliseconds, b"\0" * 70)).tbs_precertificate_bytes
    entry = key_id(authority.key.public_key()) + len(precertificate).to_bytes(3, "big") + precertificate
    # version 1, type certificate_timestamp, time, entry type precert_entry, entry, no extensions
    signature = transparency_key.sign(struct.pack("!BBQH", 0, 0, milliseconds, 1) + entry + b"\0\0", ec.ECDSA(hashes.SHA256()))
    return signed(_sct_list(transparency_key, milliseconds, signature))


def _certificate(
    common_name: str,
    public_key: ec.EllipticCurvePublicKey,
    *,
    start: datetime,
    end: datetime,
    parent: Authority | None,
    signing_key: ec.EllipticCurvePrivateKey,
    serial: int | None = None,
) -> x509.CertificateBuilder:
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANIZATION), x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    )
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(parent.certificate.subject if parent else subject)
        .public_key(public_key)
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False)
    )


def key_usage(*, signatures: bool = False, certificates: bool = False) -> x509.KeyUsage:
    """What the key of a certificate is for."""
    return x509.KeyUsage(
        digital_signature=signatures,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _sct_list(transparency_key: ec.EllipticCurvePrivateKey, milliseconds: int, signature: bytes) -> bytes:
    # SCT: version, log id, time, no extensions, SHA-256 with ECDSA, signature; each SCT and the list are length-prefixed, and all is one OCTET STRING.
    sct = (
        b"\0" + key_id(transparency_key.public_key()) + struct.pack("!Q", milliseconds) + b"\0\0" + b"\x04\x03" + struct.pack("!H", len(signature)) + signature
    )
    one = struct.pack("!H", len(sct)) + sct
    return _der(0x04, struct.pack("!H", len(one)) + one)


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:  # noqa: PLR2004 - DER's short form of a length
        return bytes([tag, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content
