"""What certificate the webhook serves, and when the next one is due. Pure: material and the time in, material out.

1. A CA of our own signs a leaf. The leaf is renewed when a third of its life is left.
2. A CA that a new leaf would outlive gets a successor. For `overlap` seconds the successor is only published, beside the old one, so that every API server
   trusts it before the first leaf of it is served. Then the next leaf comes from it.
3. The old CA stays published for `overlap` seconds after that, because another replica may still serve its leaf.

So at any moment every certificate that is served was issued by a CA that has been published for long enough.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BACKDATE: Final = timedelta(minutes=5)
"""Clocks of API servers may be behind ours."""

_CA_CERTIFICATES, _CA_KEY, _LEAF, _LEAF_KEY = "ca.crt", "ca.key", "tls.crt", "tls.key"
_PEM_LIMIT = 64 << 10


class MaterialMalformedError(ValueError):
    """What was stored cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetimes:
    """How long certificates live, and how long a CA is published before and after its leaves are served."""

    ca: timedelta = timedelta(days=3650)
    leaf: timedelta = timedelta(days=90)
    overlap: timedelta = timedelta(minutes=2)

    def __post_init__(self) -> None:
        if not timedelta(0) < self.overlap * 6 <= self.leaf or self.leaf * 2 > self.ca:
            raise ValueError(f"lifetimes: need 6 times overlap ({self.overlap}) ≤ leaf ({self.leaf}) and twice leaf ≤ ca ({self.ca})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """CA certificates, the newest first, the newest one's key, and the leaf that is served."""

    authorities: tuple[x509.Certificate, ...]
    authority_key: ec.EllipticCurvePrivateKey
    leaf: x509.Certificate
    leaf_key: ec.EllipticCurvePrivateKey

    @property
    def bundle_pem(self) -> bytes:
        """All published CA certificates."""
        return b"".join(_pem(authority) for authority in self.authorities)

    @property
    def leaf_pem(self) -> bytes:
        """The certificate to serve."""
        return _pem(self.leaf)

    @property
    def leaf_key_pem(self) -> bytes:
        """Its private key."""
        return _key_pem(self.leaf_key)

    def stored(self) -> dict[str, bytes]:
        """Write it as the data of a Secret of type kubernetes.io/tls."""
        return {_CA_CERTIFICATES: self.bundle_pem, _CA_KEY: _key_pem(self.authority_key), _LEAF: self.leaf_pem, _LEAF_KEY: self.leaf_key_pem}

    @classmethod
    def read(cls, data: Mapping[str, bytes]) -> Material:
        """Read the data of a Secret back. Raises MaterialMalformedError when a part is missing, does not parse or does not belong to the others."""
        try:
            if any(len(part) > _PEM_LIMIT for part in data.values()):
                raise ValueError(f"a part is larger than {_PEM_LIMIT} bytes")
            authorities = tuple(x509.load_pem_x509_certificates(data[_CA_CERTIFICATES]))
            leaf = x509.load_pem_x509_certificate(data[_LEAF])
            keys = [serialization.load_pem_private_key(data[name], password=None) for name in (_CA_KEY, _LEAF_KEY)]
        except (KeyError, ValueError, TypeError) as error:
            raise MaterialMalformedError(f"{type(error).__name__}: {error}") from None
        authority_key, leaf_key = keys
        if not isinstance(authority_key, ec.EllipticCurvePrivateKey) or not isinstance(leaf_key, ec.EllipticCurvePrivateKey):
            raise MaterialMalformedError("a key is no elliptic curve key")
        if authorities[0].public_key() != authority_key.public_key() or leaf.public_key() != leaf_key.public_key():
            raise MaterialMalformedError("a key does not belong to its certificate")
        if not any(_issued(authority, leaf) for authority in authorities):
            raise MaterialMalformedError("no CA certificate issued the leaf")
        return cls(authorities=authorities, authority_key=authority_key, leaf=leaf, leaf_key=leaf_key)


def renew(current: Material | None, names: Iterable[str], lifetimes: Lifetimes, *, now: datetime) -> Material:
    """Give what should be stored at `now`: `current` itself when nothing is due. `names` are the DNS names and addresses of the leaf."""
    wanted = tuple(sorted(names))
    # 1. Nothing yet: nobody trusts an older CA, so nothing has to be waited for.
    if current is None:
        authority, authority_key = _new_authority(lifetimes, now)
        leaf, leaf_key = _new_leaf(authority, authority_key, names=wanted, lifetimes=lifetimes, now=now)
        return Material(authorities=(authority,), authority_key=authority_key, leaf=leaf, leaf_key=leaf_key)
    # 2. A CA that the next leaf would outlive gets a successor, which is only published at first.
    newest = current.authorities[0]
    if newest.not_valid_after_utc - now <= lifetimes.leaf:
        authority, authority_key = _new_authority(lifetimes, now)
        current, newest = replace(current, authorities=(authority, *current.authorities), authority_key=authority_key), authority
    # 3. The leaf: due by age, by name, or because the successor has been published for long enough. One that cannot be used any more does not wait.
    leaf, unusable = current.leaf, current.leaf.not_valid_after_utc <= now or _names(current.leaf) != wanted
    succeeded = not _issued(newest, leaf)
    published = now >= _made(newest) + lifetimes.overlap
    aged = leaf.not_valid_after_utc - now <= (leaf.not_valid_after_utc - _made(leaf)) / 3
    if unusable or (succeeded and published) or (aged and not succeeded):
        made, key = _new_leaf(newest, current.authority_key, names=wanted, lifetimes=lifetimes, now=now)
        current = replace(current, leaf=made, leaf_key=key)
    # 4. Old CAs go when no replica can be serving a leaf of theirs any more.
    settled = now >= _made(current.leaf) + lifetimes.overlap
    kept = tuple(
        authority
        for authority in current.authorities
        if authority is newest or (authority.not_valid_after_utc > now and (_issued(authority, current.leaf) or not settled))
    )
    return current if kept == current.authorities else replace(current, authorities=kept)


def _new_authority(lifetimes: Lifetimes, now: datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key, serial = ec.generate_private_key(ec.SECP256R1()), x509.random_serial_number()
    # The serial number keeps the names of two CAs apart, by which a verifier finds the issuer.
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"sluice-webhook-ca-{serial:x}"[:64])])
    builder = (
        x509.CertificateBuilder(subject_name=subject, issuer_name=subject, public_key=key.public_key(), serial_number=serial)
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + lifetimes.ca)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return builder.sign(key, hashes.SHA256()), key


def _new_leaf(
    authority: x509.Certificate, authority_key: ec.EllipticCurvePrivateKey, *, names: tuple[str, ...], lifetimes: Lifetimes, now: datetime
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder(public_key=key.public_key(), serial_number=x509.random_serial_number())
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sluice-webhook")]))
        .issuer_name(authority.subject)
        .not_valid_before(now - BACKDATE)
        .not_valid_after(min(now + lifetimes.leaf, authority.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
    )
    return builder.sign(authority_key, hashes.SHA256()), key


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return tuple(sorted(str(name.value) for name in names))


def _made(certificate: x509.Certificate) -> datetime:
    return certificate.not_valid_before_utc + BACKDATE


def _issued(authority: x509.Certificate, leaf: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
