"""What a signature is over, for those who check the signature and for those who check that a log entry is about it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sluice.provenance.envelope import Envelope, UnverifiedBundle, signed_bytes
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.keys import VerificationKey

_SHA256 = "sha256"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedContent:
    """The bytes under a signature, or their SHA-256 where the bytes are elsewhere."""

    signature: bytes
    sha256: bytes
    content: bytes | None
    payload: bytes | None
    """The payload of a DSSE envelope; None for a plain message."""

    @classmethod
    def of_envelope(cls, bundle: UnverifiedBundle) -> SignedContent:
        """What the DSSE signature of `bundle` is over. Raises ProvenanceError (BundleMalformed): it has a message signature."""
        content = signed_bytes(bundle.payload)
        return cls(signature=bundle.signature, sha256=hashlib.sha256(content).digest(), content=content, payload=bundle.payload)

    @classmethod
    def of_message(cls, bundle: UnverifiedBundle, artifact: bytes | str) -> SignedContent:
        """What the message signature of `bundle` is over: `artifact`, its bytes or `sha256:<hex>`.

        Raises ProvenanceError: BundleMalformed (the bundle has an envelope), ArtifactMismatch (it says itself that it is about another artifact),
        ArtifactNeeded (it names the artifact by a digest that is not known).
        """
        if isinstance(bundle.content, Envelope):
            raise ProvenanceError(Reason.BundleMalformed, "the bundle holds a statement (dsseEnvelope), no signature over plain bytes")
        content = None if isinstance(artifact, str) else artifact
        sha256 = bytes.fromhex(artifact.removeprefix("sha256:")) if isinstance(artifact, str) else hashlib.sha256(artifact).digest()
        signed = cls(signature=bundle.signature, sha256=sha256, content=content, payload=None)
        algorithm, named = bundle.content.algorithm, bundle.content.digest
        if named is None:
            return signed
        known = signed.digest(algorithm)
        if known is None:
            raise ProvenanceError(
                Reason.ArtifactNeeded, f"the bundle names its artifact by {algorithm}, which a SHA-256 tells nothing of; give the file itself"
            )
        if named != known:
            raise ProvenanceError(
                Reason.ArtifactMismatch, f"the bundle is about the artifact {algorithm}:{named.hex()[:128]}, and this is {algorithm}:{known.hex()}"
            )
        return signed

    def digest(self, algorithm: str) -> bytes | None:
        """The digest by `algorithm` (sha256, sha384 or sha512); None when only the SHA-256 is known."""
        if algorithm == _SHA256:
            return self.sha256
        return None if self.content is None else hashlib.new(algorithm, self.content).digest()

    def check_signed_by(self, key: VerificationKey, *, who: str) -> None:
        """Check the signature. Raises ProvenanceError: SignatureInvalid, ArtifactNeeded (this key signs over more than a SHA-256)."""
        if self.content is not None:
            holds = key.verifies(self.signature, self.content)
        elif not key.signs_sha256:
            raise ProvenanceError(Reason.ArtifactNeeded, f"{who} does not sign over a SHA-256, so the digest alone tells nothing; give the file itself")
        else:
            holds = key.verifies_digest(self.signature, self.sha256)
            if not holds and key.signs_other_hashes:
                message = f"the signature is not by {who} over the SHA-256; it may be over the longer hash of this key, which needs the file itself"
                raise ProvenanceError(Reason.ArtifactNeeded, message)
        if not holds:
            raise ProvenanceError(Reason.SignatureInvalid, f"the signature is not by {who}, or what it signed was changed")
