"""Bundles that carry a certificate of a Sigstore instance: who it was issued to, and that they signed while it was good.

The steps are those of the Sigstore client specification, "Verification"; `docs/verification.md` lists them with what we ask beyond it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sluice.provenance.certificate_chain import check_code_signing, is_issued_by
from sluice.provenance.certificate_names import claims_of, identity_of, issuer_of
from sluice.provenance.certificate_transparency import check_certificate_logged
from sluice.provenance.digests import sha256_of
from sluice.provenance.envelope import UnverifiedBundle
from sluice.provenance.errors import ProvenanceError, Reason, closed
from sluice.provenance.log_body import Signatory
from sluice.provenance.signed_content import SignedContent
from sluice.provenance.sigstore_root import CertificateAuthority, SigstoreRoot
from sluice.provenance.validity import window_of
from sluice.provenance.witnesses import Thresholds, verify_witnesses

_DER = Encoding.DER
_UNTRUSTED = Reason.CertificateUntrusted


@dataclass(frozen=True, slots=True, kw_only=True)
class Certified:
    """What a certificate that leads to the trust root says about who signed."""

    identity: str
    issuer: str
    claims: Mapping[str, str]
    key_fingerprint: str
    """`sha256:` over the certified key."""
    chain_fingerprints: tuple[str, ...]
    """`sha256:` over each DER certificate, the signer's first."""
    serial: str
    signed_at: datetime | None
    """The earliest time of a log, else of a timestamp authority; None when nobody dated the signature."""


def verify_certificate_bundle(bundle: UnverifiedBundle, signed: SignedContent, root: SigstoreRoot, required: Thresholds) -> Certified:
    """Verify `bundle`, which signs `signed`, against `root`. Raises ProvenanceError."""
    with closed(Reason.BundleMalformed, "the certificate does not parse"):
        certificate, *others = load_certificates(bundle.certificates)
        # 1. The certificate was issued by an authority of the trust root. What else the bundle carries is not needed, and must be what it claims to be.
        authorities = [authority for authority in root.certificate_authorities if is_issued_by(certificate, authority.chain[0])]
        if not authorities:
            raise ProvenanceError(_UNTRUSTED, "the certificate was not issued by an authority of the trust root")
        check_order([certificate, *others])
        if any(other.subject == other.issuer for other in others):
            raise ProvenanceError(
                Reason.BundleMalformed, "the bundle brings a root certificate; roots are the trust root's to name, and no bundle may hold one"
            )
        # 2. It is for signing code, and names one identity.
        key = check_code_signing(certificate)
        identity, issuer, claims = identity_of(certificate), issuer_of(certificate), claims_of(certificate)
        # 3. The certified key made the signature.
        signed.check_signed_by(key, who="the certificate's key")
        # 4. Logs and timestamp authorities saw it, and say when.
        seen = verify_witnesses(bundle, signed, Signatory(key=key, certificate=bundle.certificates[0]), root, required)
        if seen.signed_at is None:
            raise ProvenanceError(Reason.TimestampMissing, "nothing says when this was signed: no signed entry timestamp of a log, no RFC 3161 timestamp")
        # 5. The certificate and its authorities were valid at each of these times.
        check_valid(certificate, seen.times)
        authority = _valid_authority(authorities, seen.times)
        # 6. A certificate transparency log has seen the certificate.
        check_certificate_logged(certificate, authority.issuer_spki, root.certificate_logs)
        return Certified(
            identity=identity,
            issuer=issuer,
            claims=claims,
            key_fingerprint=key.fingerprint,
            chain_fingerprints=(sha256_of(bundle.certificates[0]), *authority.fingerprints),
            serial=serial_of(certificate),
            signed_at=seen.signed_at,
        )


def load_certificates(ders: Sequence[bytes]) -> list[x509.Certificate]:
    """Parse certificates that are DER and nothing else. Raises ValueError."""
    certificates = [x509.load_der_x509_certificate(der) for der in ders]
    if any(certificate.public_bytes(_DER) != der for certificate, der in zip(certificates, ders, strict=True)):
        raise ProvenanceError(Reason.BundleMalformed, "a certificate is not in DER")
    return certificates


def check_order(chain: Sequence[x509.Certificate]) -> None:
    """Check that each of `chain` was issued by the next. Raises ProvenanceError (BundleMalformed)."""
    for child, parent in pairwise(chain):
        if not is_issued_by(child, parent):
            raise ProvenanceError(Reason.BundleMalformed, "the bundle's certificates are no chain: one was not issued by the next")


def check_valid(certificate: x509.Certificate, times: Sequence[datetime]) -> None:
    """Check that `certificate` was valid at all `times`. Raises ProvenanceError (CertificateUntrusted)."""
    window = window_of(certificate)
    if not window.holds(times):
        said = ", ".join(sorted({time.isoformat() for time in times}))
        raise ProvenanceError(
            _UNTRUSTED,
            f"the certificate was valid from {certificate.not_valid_before_utc.isoformat()} to {certificate.not_valid_after_utc.isoformat()}, signed at {said}",
        )


def fingerprints(chain: Sequence[x509.Certificate]) -> tuple[str, ...]:
    """`sha256:` over each DER certificate."""
    return tuple(sha256_of(certificate.public_bytes(_DER)) for certificate in chain)


def serial_of(certificate: x509.Certificate) -> str:
    """The serial number in lower-case hexadecimal digits without leading zeros."""
    return format(certificate.serial_number, "x")


def _valid_authority(authorities: Sequence[CertificateAuthority], times: Sequence[datetime]) -> CertificateAuthority:
    for authority in authorities:
        if all(window.holds(times) for window in authority.windows):
            return authority
    said = ", ".join(sorted({time.isoformat() for time in times}))
    raise ProvenanceError(Reason.TrustExpired, f"the certificate authority was not valid when this was signed ({said})")
