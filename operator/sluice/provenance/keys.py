"""Public keys: loaded once, with a floor on their strength, and with the hashes that belong to each.

The hash follows from the key, as in Sigstore's algorithm registry (ECDSA P-256/SHA-256, P-384/SHA-384, P-521/SHA-512, Ed25519 pure, RSA with SHA-256), and the
padding of RSA from the trust root, so that a signer chooses neither. One exception is in the registry itself, deprecated and in many bundles: clients that sign
with larger curves over SHA-256. Both readings of such a key are tried; no signature is good for one content in the one and for another in the other.

Registry: https://github.com/sigstore/architecture-docs/blob/main/algorithm-registry.md
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from sluice.api.trust import RsaPadding
from sluice.provenance.digests import sha256_of
from sluice.provenance.errors import ProvenanceError, Reason, closed

__all__ = ["PEM_LIMIT", "PublicKey", "RsaPadding", "VerificationKey", "spki_of"]

PEM_LIMIT = 8192
_PEM_LABEL = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----")
_PUBLIC = ("PUBLIC KEY", "RSA PUBLIC KEY")
_REMEDIES = {
    "KEY": "it is a private key, which nobody else should have; take its public half: openssl pkey -in FILE -pubout",
    "CERTIFICATE": "it is a certificate; take its key (openssl x509 -in FILE -noout -pubkey), or trust certificates",
}
_RSA_BITS = range(2048, 8192 + 1)  # below: weak; above: seconds of CPU for one signature

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey


_CURVES: Mapping[type[ec.EllipticCurve], hashes.HashAlgorithm] = MappingProxyType(
    {
        ec.SECP256R1: hashes.SHA256(),
        ec.SECP384R1: hashes.SHA384(),
        ec.SECP521R1: hashes.SHA512(),
    }
)
_ECDSA = {algorithm.name: ec.ECDSA(algorithm) for algorithm in _CURVES.values()}


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationKey:
    """A public key that a trust root names, or that a certificate holds which leads to one."""

    name: str
    fingerprint: str
    """`sha256:` over the DER SubjectPublicKeyInfo."""
    public_key: PublicKey
    rsa_padding: RsaPadding = RsaPadding.PKCS1V15
    """Of no meaning for other keys."""
    _hashes: tuple[hashes.HashAlgorithm, ...] = field(repr=False, compare=False)
    """What the key's signatures may be made over, the registry's first; empty for Ed25519, which signs the content itself."""

    @classmethod
    def from_pem(cls, name: str, pem: str, *, rsa_padding: RsaPadding = RsaPadding.PKCS1V15) -> VerificationKey:
        """Load one PEM SubjectPublicKeyInfo. Raises ProvenanceError (TrustRootMalformed) saying what is wrong with which key."""
        what = f"key {name!r}"
        if len(pem) > PEM_LIMIT:
            raise ProvenanceError(Reason.TrustRootMalformed, f"{what} is {len(pem):,} characters; at most {PEM_LIMIT:,} are read")
        labels = _PEM_LABEL.findall(pem)
        if not any(label in _PUBLIC for label in labels):
            found = _REMEDIES.get(labels[-1].rpartition(" ")[2], f"it is a {labels[-1].lower()}") if labels else "there is no such block in it"
            raise ProvenanceError(Reason.TrustRootMalformed, f"{what} is not a PEM public key (-----BEGIN PUBLIC KEY-----): {found}")
        with closed(Reason.TrustRootMalformed, f"{what} is not a PEM public key"):
            key = serialization.load_pem_public_key(pem.encode("ascii"))
        return cls.of(key, what=what, name=name, reason=Reason.TrustRootMalformed, rsa_padding=rsa_padding)

    @classmethod
    def of(cls, key: object, *, what: str, name: str, reason: Reason, rsa_padding: RsaPadding = RsaPadding.PKCS1V15) -> VerificationKey:
        """Take `key`, which `what` names in messages, when it is strong and of a kind that we verify. Raises ProvenanceError (`reason`)."""
        algorithms: tuple[hashes.HashAlgorithm, ...]
        match key:
            case ec.EllipticCurvePublicKey() if type(key.curve) in _CURVES:
                own = _CURVES[type(key.curve)]
                algorithms = (own,) if isinstance(own, hashes.SHA256) else (own, hashes.SHA256())
            case rsa.RSAPublicKey() if key.key_size in _RSA_BITS:
                algorithms = (hashes.SHA256(),)
            case ed25519.Ed25519PublicKey():
                algorithms = ()
            case _:
                kinds = "ECDSA on P-256, P-384 or P-521, Ed25519, or RSA of 2048 to 8192 bits"
                raise ProvenanceError(reason, f"{what} is of a kind that we do not verify; use {kinds}")
        return cls(name=name, fingerprint=sha256_of(spki_of(key)), public_key=key, rsa_padding=rsa_padding, _hashes=algorithms)

    @property
    def signs_sha256(self) -> bool:
        """Whether a signature can be checked with nothing but the SHA-256 of what was signed. Ed25519 signs the content itself."""
        return bool(self._hashes)

    @property
    def signs_other_hashes(self) -> bool:
        """Whether a signature that does not hold over the SHA-256 may hold over the content: larger curves have hashes of their own."""
        return any(not isinstance(algorithm, hashes.SHA256) for algorithm in self._hashes)

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether `signature` over `data` is this key's."""
        if self._hashes:
            return any(self._verifies(signature, data, algorithm) for algorithm in self._hashes)
        return self._verifies(signature, data, None)

    def verifies_digest(self, signature: bytes, digest: bytes) -> bool:
        """Whether `signature` is this key's over content whose SHA-256 is `digest`."""
        return self.signs_sha256 and self._verifies(signature, digest, Prehashed(hashes.SHA256()))

    def _verifies(self, signature: bytes, data: bytes, algorithm: hashes.HashAlgorithm | Prehashed | None) -> bool:
        try:
            match self.public_key:
                case ec.EllipticCurvePublicKey() as key if algorithm is not None:
                    key.verify(signature, data, ec.ECDSA(algorithm) if isinstance(algorithm, Prehashed) else _ECDSA[algorithm.name])
                case rsa.RSAPublicKey() as key if algorithm is not None and self.rsa_padding is RsaPadding.PSS:
                    # The length of the salt is the signer's: it decides nothing (RFC 8017 section 9.1), and signers differ.
                    key.verify(signature, data, padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO), algorithm)
                case rsa.RSAPublicKey() as key if algorithm is not None:
                    key.verify(signature, data, padding.PKCS1v15(), algorithm)
                case ed25519.Ed25519PublicKey() as key if algorithm is None:
                    key.verify(signature, data)
                case _:
                    return False
        except InvalidSignature:
            return False
        return True


def spki_of(key: PublicKey) -> bytes:
    """DER SubjectPublicKeyInfo."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
