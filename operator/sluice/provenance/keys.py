"""Plain public keys: loaded once, with a floor on their strength, and each with exactly one way to verify.

The hash follows from the key, as in Sigstore's algorithm registry (ECDSA P-256/SHA-256, P-384/SHA-384, P-521/SHA-512, Ed25519 pure, RSA PKCS#1 v1.5 with
SHA-256), so that a signer cannot choose it.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from sluice.provenance.digests import sha256_of
from sluice.provenance.errors import ProvenanceError, Reason, closed

PEM_LIMIT = 8192
_RSA_BITS = range(2048, 8192 + 1)  # below: weak; above: seconds of CPU for one signature

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey


def _curve_hash(curve: ec.EllipticCurve) -> hashes.HashAlgorithm | None:
    match curve:
        case ec.SECP256R1():
            return hashes.SHA256()
        case ec.SECP384R1():
            return hashes.SHA384()
        case ec.SECP521R1():
            return hashes.SHA512()
        case _:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationKey:
    """A public key that a trust root names."""

    name: str
    fingerprint: str
    """`sha256:` over the DER SubjectPublicKeyInfo."""
    public_key: PublicKey

    @classmethod
    def from_pem(cls, name: str, pem: str) -> VerificationKey:
        """Load one PEM SubjectPublicKeyInfo. Raises ProvenanceError (TrustRootMalformed) saying what is wrong with which key."""
        what = f"key {name!r}"
        if len(pem) > PEM_LIMIT:
            raise ProvenanceError(Reason.TrustRootMalformed, f"{what} is {len(pem):,} characters; at most {PEM_LIMIT:,} are read")
        with closed(Reason.TrustRootMalformed, f"{what} is not a PEM public key"):
            key = serialization.load_pem_public_key(pem.encode("ascii"))
        match key:
            case ec.EllipticCurvePublicKey() if _curve_hash(key.curve) is not None:
                pass
            case rsa.RSAPublicKey() if key.key_size in _RSA_BITS:
                pass
            case ed25519.Ed25519PublicKey():
                pass
            case _:
                kinds = "ECDSA on P-256, P-384 or P-521, Ed25519, or RSA of 2048 to 8192 bits"
                raise ProvenanceError(Reason.TrustRootMalformed, f"{what} is of a kind that we do not verify; use {kinds}")
        der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return cls(name=name, fingerprint=sha256_of(der), public_key=key)

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether `signature` over `data` is this key's."""
        key = self.public_key
        try:
            match key:
                case ec.EllipticCurvePublicKey():
                    algorithm = _curve_hash(key.curve)
                    if algorithm is None:
                        return False
                    key.verify(signature, data, ec.ECDSA(algorithm))
                case rsa.RSAPublicKey():
                    key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
                case ed25519.Ed25519PublicKey():
                    key.verify(signature, data)
        except InvalidSignature:
            return False
        return True
