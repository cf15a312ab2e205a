"""Model signatures by certificate, as people verify them at a desk: against certificates in files, at the time of looking.

Such bundles have no log and, as a rule, no timestamp: nothing says when they were signed. So the whole chain has to be valid now (SPEC.md 8.2), which
`model_signing` 1.1.1 does not ask. A cluster wants a timestamp instead (`private_pki`), because a model is served for longer than certificates last.

A self-signed certificate that is itself among the trusted ones is a key with a name: it needs to be no authority.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509

from sluice.provenance.bundle import Signer, VerifiedEnvelope, verify_bundle
from sluice.provenance.certificate import check_valid, fingerprints, load_certificates, serial_of
from sluice.provenance.certificate_chain import check_code_signing
from sluice.provenance.certificate_names import printable
from sluice.provenance.envelope import BUNDLE_LIMIT, IN_TOTO_PAYLOAD_TYPE, UnverifiedBundle, read_bundle
from sluice.provenance.errors import ProvenanceError, Reason, closed
from sluice.provenance.private_pki import PEM_LIMIT
from sluice.provenance.signed_content import SignedContent
from sluice.provenance.trust import TrustAnchors

TRUST_NAME = "certificates"


def load_trusted(pem: str) -> list[x509.Certificate]:
    """The certificates of `pem`. Raises ProvenanceError (TrustRootMalformed)."""
    if len(pem) > PEM_LIMIT:
        raise ProvenanceError(Reason.TrustRootMalformed, f"the trusted certificates are {len(pem):,} characters; at most {PEM_LIMIT:,} are read")
    if "-----BEGIN CERTIFICATE-----" not in pem:
        raise ProvenanceError(Reason.TrustRootMalformed, "there is no PEM certificate (-----BEGIN CERTIFICATE-----) among what is to be trusted")
    with closed(Reason.TrustRootMalformed, "there is no PEM certificate to trust"):
        return x509.load_pem_x509_certificates(pem.encode("ascii"))


def verify_by_certificates(raw: bytes, pem: str, *, now: datetime, limit: int = BUNDLE_LIMIT) -> VerifiedEnvelope:
    """Verify the bundle in `raw`, at most `limit` bytes, against the certificates of `pem`: authorities, or the signer's own. Raises ProvenanceError."""
    trusted = load_trusted(pem)
    with closed(Reason.BundleMalformed, "the bundle does not parse"):
        bundle = read_bundle(raw, limit=limit)
        carried = load_certificates(bundle.certificates)
        if not carried:
            raise ProvenanceError(Reason.CertificateUntrusted, "the bundle is signed with a plain key, and certificates are trusted")
        if carried[0] in trusted:
            envelope, chain = _by_itself(bundle, carried[0]), carried[:1]
        else:
            envelope = verify_bundle(raw, TrustAnchors.certificates(TRUST_NAME, pem, undated=True), limit=limit)
            chain = _chain(envelope.signer.chain_fingerprints, [*carried, *trusted])
        for certificate in chain:
            check_valid(certificate, [now])
        return envelope


def _by_itself(bundle: UnverifiedBundle, certificate: x509.Certificate) -> VerifiedEnvelope:
    """A bundle whose signing certificate is trusted as it is."""
    signed = SignedContent.of_envelope(bundle)
    key = check_code_signing(certificate, may_be_authority=True)
    signed.check_signed_by(key, who="the certificate's key")
    signer = Signer(
        trust_root=TRUST_NAME,
        key_fingerprint=key.fingerprint,
        identity=printable(certificate.subject.rfc4514_string(), "identity"),
        issuer=printable(certificate.issuer.rfc4514_string(), "issuer"),
        chain_fingerprints=fingerprints([certificate]),
        serial=serial_of(certificate),
    )
    return VerifiedEnvelope(payload_type=IN_TOTO_PAYLOAD_TYPE, payload=bundle.payload, signer=signer, signed_at=None, bundle_digest=bundle.digest)


def _chain(of: Sequence[str], known: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """The certificates with these fingerprints."""
    by_fingerprint = dict(zip(fingerprints(known), known, strict=True))
    return [by_fingerprint[fingerprint] for fingerprint in of]
