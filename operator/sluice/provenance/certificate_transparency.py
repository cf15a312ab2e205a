"""The promise of a certificate transparency log, in the certificate itself, that it has seen the certificate (RFC 6962 section 3.2)."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from datetime import UTC

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.certificate_transparency import LogEntryType, Version

from sluice.provenance.certificate_chain import extension_of
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.log_key import LogKey

_CERTIFICATE_TIMESTAMP = 0


def check_certificate_logged(certificate: x509.Certificate, issuer_spki: bytes, logs: Iterable[LogKey]) -> None:
    """Check the one promise in `certificate` against the log of `logs` that it names.

    `issuer_spki` is the DER SubjectPublicKeyInfo of the authority that is proven to have issued it.

    Raises ProvenanceError: CertificateUntrusted, or TrustExpired for a promise outside the log's window.
    """
    # 1. Exactly one promise, over the certificate as it was before the promise was put in.
    promises = list(extension_of(certificate, x509.PrecertificateSignedCertificateTimestamps) or ())
    if len(promises) != 1:
        raise ProvenanceError(Reason.CertificateUntrusted, f"the certificate has {len(promises)} signed certificate timestamps; exactly one is read")
    promise = promises[0]
    if promise.version != Version.v1 or promise.entry_type != LogEntryType.PRE_CERTIFICATE:
        raise ProvenanceError(Reason.CertificateUntrusted, "the signed certificate timestamp is not of version 1 for a precertificate")
    if not isinstance(promise.signature_hash_algorithm, hashes.SHA256):
        raise ProvenanceError(Reason.CertificateUntrusted, "the signed certificate timestamp is not over SHA-256 (RFC 6962 section 2.1.4)")
    # 2. The log that it names; several entries for one log are windows of one key.
    named = [log for log in logs if log.log_id == promise.log_id]
    if not named:
        raise ProvenanceError(Reason.CertificateUntrusted, f"the certificate was promised by transparency log {promise.log_id.hex()[:16]}…, unknown here")
    seen = promise.timestamp.replace(tzinfo=UTC)
    valid = [log for log in named if log.window.holds([seen])]
    if not valid:
        raise ProvenanceError(Reason.TrustExpired, f"the certificate transparency log was not valid when it saw the certificate ({seen.isoformat()})")
    # 3. The signature. The issuer is the one of the verified chain, never one found by its name.
    precertificate = certificate.tbs_precertificate_bytes
    key_hash = hashlib.sha256(issuer_spki).digest()
    milliseconds = int(seen.timestamp()) * 1000 + seen.microsecond // 1000
    signed = (
        struct.pack("!BBQH", promise.version.value, _CERTIFICATE_TIMESTAMP, milliseconds, promise.entry_type.value)
        + key_hash
        + len(precertificate).to_bytes(3, "big")
        + precertificate
        + struct.pack("!H", len(promise.extension_bytes))
        + promise.extension_bytes
    )
    if not any(log.key.verifies(promise.signature, signed) for log in valid):
        raise ProvenanceError(Reason.CertificateUntrusted, "the signed certificate timestamp is not by the log that it names, or the certificate was changed")
