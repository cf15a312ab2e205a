"""People's and pipelines' own keys: an in-toto statement signed with a key, or with a certificate for a key, as a Sigstore bundle v0.3.

The hash follows from the key, as where bundles are verified. No log and no timestamp vouches for a time. A key is named by the SHA-256 of its PEM form, in
hexadecimal, as OpenSSF model signatures have it (SPEC.md 4.1); who verifies with one key needs no name.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from sluice.provenance.envelope import IN_TOTO_PAYLOAD_TYPE, signed_bytes
from sluice.provenance.errors import ProvenanceError, Reason, closed
from sluice.provenance.keys import VerificationKey
from sluice.provenance.strict_json import JsonObject, JsonValue, canonical

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PEM_BYTES = 65_536
_CHAIN_LIMIT = 8

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleSigner:
    """Signs statements. Its representation shows no key."""

    fingerprint: str
    """`sha256:` over the DER SubjectPublicKeyInfo."""
    _private: PrivateKey = field(repr=False, compare=False)
    _material: JsonObject = field(repr=False, compare=False, hash=False)

    @classmethod
    def with_key(cls, pem: bytes, *, password: bytes | None = None) -> BundleSigner:
        """Sign with a PEM private key: ECDSA P-256, P-384, P-521, Ed25519, or RSA of 2048 bits or more. Raises ProvenanceError (TrustRootMalformed)."""
        private, public = _private(pem, password)
        encoded = public.public_key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        material: JsonObject = {"publicKey": {"hint": hashlib.sha256(encoded).hexdigest()}, "tlogEntries": []}
        return cls(fingerprint=public.fingerprint, _private=private, _material=material)

    @classmethod
    def with_certificate(cls, pem: bytes, certificate: bytes, chain: bytes = b"", *, password: bytes | None = None) -> BundleSigner:
        """Sign with a key and its PEM certificate; `chain` holds those above it, the nearest first, without the root. Raises ProvenanceError."""
        private, public = _private(pem, password)
        with closed(Reason.TrustRootMalformed, "the certificates do not parse"):
            certificates = [x509.load_pem_x509_certificate(certificate), *(x509.load_pem_x509_certificates(chain) if chain.strip() else [])]
        if len(certificates) > _CHAIN_LIMIT:
            raise ProvenanceError(Reason.TrustRootMalformed, f"the chain has {len(certificates)} certificates; at most {_CHAIN_LIMIT} are read")
        certified = VerificationKey.of(certificates[0].public_key(), what="the certificate's key", name="certificate", reason=Reason.TrustRootMalformed)
        if certified.fingerprint != public.fingerprint:
            raise ProvenanceError(Reason.TrustRootMalformed, "the certificate is for another key than the private key that is given")
        written: list[JsonValue] = [{"rawBytes": _base64(each.public_bytes(serialization.Encoding.DER))} for each in certificates]
        return cls(fingerprint=public.fingerprint, _private=private, _material={"x509CertificateChain": {"certificates": written}, "tlogEntries": []})

    def sign(self, statement: bytes) -> bytes:
        """A bundle of the in-toto statement `statement`."""
        signature = _signed(self._private, signed_bytes(statement))
        envelope: JsonObject = {"payload": _base64(statement), "payloadType": IN_TOTO_PAYLOAD_TYPE, "signatures": [{"sig": _base64(signature), "keyid": ""}]}
        return canonical({"mediaType": MEDIA_TYPE, "verificationMaterial": self._material, "dsseEnvelope": envelope})


def _private(pem: bytes, password: bytes | None) -> tuple[PrivateKey, VerificationKey]:
    with closed(Reason.TrustRootMalformed, "the private key does not parse"):
        try:
            key = serialization.load_pem_private_key(pem, password=password)
        except Exception:  # noqa: BLE001 - a library's message about a private key belongs nowhere
            raise ProvenanceError(Reason.TrustRootMalformed, f"the private key cannot be used: {_problem(pem, password)}") from None
        public = VerificationKey.of(key.public_key(), what="the private key", name="private key", reason=Reason.TrustRootMalformed)
    if not isinstance(key, PrivateKey):
        raise ProvenanceError(Reason.TrustRootMalformed, "the private key is of a kind that does not sign")
    return key, public


def _problem(pem: bytes, password: bytes | None) -> str:
    """What is wrong with what was given as a private key, without a word of it."""
    labels = [label for label in (b"ENCRYPTED PRIVATE KEY", b"PRIVATE KEY", b"PUBLIC KEY", b"CERTIFICATE") if label + b"-----" in pem]
    if not labels:
        return "there is no PEM private key (-----BEGIN PRIVATE KEY-----)"
    if b"PRIVATE KEY" not in labels:
        return f"it is a {labels[0].decode().lower()}; give the private key that belongs to it"
    if password is not None:
        return "this password does not open it, or it is broken"
    return "it has a password: give it" if labels[0].startswith(b"ENCRYPTED") or b"ENCRYPTED" in pem else "it is broken"


def _signed(key: PrivateKey, content: bytes) -> bytes:
    match key:
        case ec.EllipticCurvePrivateKey(curve=ec.SECP384R1()):
            return key.sign(content, ec.ECDSA(hashes.SHA384()))
        case ec.EllipticCurvePrivateKey(curve=ec.SECP521R1()):
            return key.sign(content, ec.ECDSA(hashes.SHA512()))
        case ec.EllipticCurvePrivateKey():
            return key.sign(content, ec.ECDSA(hashes.SHA256()))
        case rsa.RSAPrivateKey():
            return key.sign(content, padding.PKCS1v15(), hashes.SHA256())
        case ed25519.Ed25519PrivateKey():
            return key.sign(content)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
