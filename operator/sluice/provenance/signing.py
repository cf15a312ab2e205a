"""The controller's own key: what it measured and decided, signed, in the form in which all other evidence comes.

A key is ECDSA on P-256; its bundles are Sigstore bundles v0.3 with a plain key, so `verify_bundle` reads them, and so does anybody with cosign. No log vouches
for a time: times in such a statement are the controller's word, and count as far as its key does.
The private key never leaves this object but through `private_pem`, which exists for the one place that stores it.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sluice.provenance.digests import sha256_of
from sluice.provenance.envelope import IN_TOTO_PAYLOAD_TYPE, signed_bytes
from sluice.provenance.errors import ProvenanceError, Reason, closed
from sluice.provenance.statement import STATEMENT_TYPE
from sluice.provenance.strict_json import JsonObject, JsonValue, canonical

_MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A private key. Its representation shows the fingerprint only."""

    fingerprint: str
    """`sha256:` over the DER SubjectPublicKeyInfo; bundles carry it as the hint."""
    public_pem: str
    """PEM SubjectPublicKeyInfo."""
    _private: ec.EllipticCurvePrivateKey = field(repr=False, compare=False)

    @classmethod
    def generate(cls) -> SigningKey:
        """Make a new key."""
        return cls._of(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_pem(cls, pem: bytes) -> SigningKey:
        """Load what `private_pem` gave. Raises ProvenanceError (TrustRootMalformed), which tells nothing of the key."""
        with closed(Reason.TrustRootMalformed, "the signing key does not parse"):
            try:
                key = serialization.load_pem_private_key(pem, password=None)
            except Exception:  # noqa: BLE001 - a library's message about a private key belongs nowhere
                raise ProvenanceError(Reason.TrustRootMalformed, "the signing key is no PEM private key without a password") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise ProvenanceError(Reason.TrustRootMalformed, "the signing key is not ECDSA on P-256")
        return cls._of(key)

    @classmethod
    def _of(cls, key: ec.EllipticCurvePrivateKey) -> SigningKey:
        public = key.public_key()
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        fingerprint = sha256_of(public.public_bytes(serialization.Encoding.DER, form))
        return cls(fingerprint=fingerprint, public_pem=public.public_bytes(serialization.Encoding.PEM, form).decode("ascii"), _private=key)

    def private_pem(self) -> bytes:
        """The key as PKCS #8, unencrypted: for a Secret, and nothing else."""
        return self._private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    def sign(self, *, predicate_type: str, subjects: dict[str, str], predicate: JsonObject) -> bytes:
        """A bundle of the in-toto statement that says `predicate` of `subjects` (name to `sha256:<hex>`)."""
        named: list[JsonValue] = [{"name": name, "digest": {"sha256": digest.removeprefix("sha256:")}} for name, digest in subjects.items()]
        payload = canonical({"_type": STATEMENT_TYPE, "subject": named, "predicateType": predicate_type, "predicate": predicate})
        signature = self._private.sign(signed_bytes(payload), ec.ECDSA(hashes.SHA256()))
        envelope: JsonObject = {"payload": _base64(payload), "payloadType": IN_TOTO_PAYLOAD_TYPE, "signatures": [{"sig": _base64(signature)}]}
        material: JsonObject = {"publicKey": {"hint": self.fingerprint}}
        return canonical({"mediaType": _MEDIA_TYPE, "verificationMaterial": material, "dsseEnvelope": envelope})


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
