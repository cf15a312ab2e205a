"""Bundles that carry a certificate: verified offline by sigstore-python, and what it leaves open, by us.

The library checks the chain, the SCT, the inclusion proof, the signed entry timestamp or RFC 3161 timestamp, the DSSE signature and that the log
entry is about this signature. We add: windows of all trust material at the signing time (`sigstore_root`), the checkpoint's size (the library
compares its root hash only), one name in the certificate, at most one timestamp. We never use the library's identity policies: who signed is
reported, whether that is enough is decided later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from sigstore.errors import CertValidationError
from sigstore.models import Bundle, InvalidBundle

from sluice.provenance.certificate_names import claims_of, identity_of, issuer_of
from sluice.provenance.digests import sha256_of
from sluice.provenance.envelope import UnverifiedBundle
from sluice.provenance.errors import ProvenanceError, Reason, closed, quoted
from sluice.provenance.sigstore_root import SigstoreRoot
from sluice.provenance.strict_json import JsonObject, member, objects, optional

_PROOF_LIMIT = 64
_NO_TIME = "nothing says when this was signed: no signed entry timestamp of a log, no RFC 3161 timestamp"
_YEAR_9999 = 253_402_300_799

# What the library says, in its words, and what that is in ours. Wording only: whatever is not listed is refused just the same, as SignatureInvalid.
_LIBRARY_WORDS = (
    ("not enough sources of verified time", Reason.TimestampMissing),
    ("must contain an inclusion promise or signed timestamp", Reason.TimestampMissing),
    ("Timestamp Authorit", Reason.TimestampInvalid),
    ("imestamp Response", Reason.TimestampInvalid),
    ("expired at time of signing", Reason.CertificateUntrusted),
    ("SCT", Reason.CertificateUntrusted),
    ("Key usage", Reason.CertificateUntrusted),
    ("Extended usage", Reason.CertificateUntrusted),
    ("log entry", Reason.LogEntryInvalid),
    ("inclusion proof", Reason.LogEntryInvalid),
    ("checkpoint", Reason.LogEntryInvalid),
)


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
    signed_at: datetime
    """The log's time when the log signed one, else the timestamp authority's."""


def verify_certificate_bundle(bundle: UnverifiedBundle, root: SigstoreRoot) -> Certified:
    """Verify `bundle` against `root`. Raises ProvenanceError."""
    # 1. One log entry, at most one timestamp: with more, one that holds would cover for one that does not.
    entry = _only_log_entry(bundle.material)
    _check_checkpoint_size(entry)
    # 2. The times that the bundle claims. The library authenticates the log's time only with a promise, and so do we take it only then.
    logged = _integrated_time(entry)
    if not logged and not bundle.material.get("timestampVerificationData"):
        raise ProvenanceError(Reason.TimestampMissing, _NO_TIME)
    with closed(Reason.BundleMalformed, "the bundle does not parse"):
        parsed = Bundle.from_json(bundle.raw)
        certificate = parsed.signing_certificate
        identity, issuer, claims = identity_of(certificate), issuer_of(certificate), claims_of(certificate)
        timestamps = parsed.verification_material.timestamp_verification_data
        stamped = [response.tst_info.gen_time for response in timestamps.rfc3161_timestamps] if timestamps else []
        certified_at = _certified_at(certificate)
    if len(stamped) > 1:
        raise ProvenanceError(Reason.TimestampInvalid, f"the bundle has {len(stamped)} RFC 3161 timestamps; at most one is read")
    claimed = [*logged, *stamped]
    if not claimed:
        raise ProvenanceError(Reason.TimestampMissing, _NO_TIME)
    # 3. Verify with what was valid then, and with nothing else.
    verifier = root.verifier_at(signed_at=claimed, certified_at=certified_at)
    with closed(Reason.SignatureInvalid, "the bundle does not verify"):
        try:
            _, payload = verifier.verify_dsse(parsed, _AnySigner())
        except CertValidationError as error:
            raise ProvenanceError(Reason.CertificateUntrusted, f"the certificate does not lead to the trust root: {quoted(error)}") from error
        except InvalidBundle as error:
            raise ProvenanceError(Reason.BundleMalformed, f"the bundle is malformed: {quoted(error)}") from error
        except Exception as error:
            raise ProvenanceError(_reason_of(str(error)), f"the bundle does not verify: {quoted(error)}") from error
    # 4. What the library verified is what we read.
    if payload != bundle.payload:
        raise ProvenanceError(Reason.BundleMalformed, "two readings of the bundle disagree about its payload")
    fingerprint = sha256_of(certificate.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))
    chain = (certificate, *root.issuers_of(certificate))
    return Certified(
        identity=identity,
        issuer=issuer,
        claims=claims,
        key_fingerprint=fingerprint,
        chain_fingerprints=tuple(sha256_of(each.public_bytes(serialization.Encoding.DER)) for each in chain),
        serial=format(certificate.serial_number, "x"),
        signed_at=claimed[0],
    )


class _AnySigner:
    """The library asks for a policy on the certificate. Who signed is reported by us, and judged where policies are."""

    def verify(self, cert: x509.Certificate) -> None:
        """Accept the certificate's names as they are."""


def _reason_of(message: str) -> Reason:
    return next((reason for words, reason in _LIBRARY_WORDS if words in message), Reason.SignatureInvalid)


def _only_log_entry(material: JsonObject) -> JsonObject:
    where = "verificationMaterial.tlogEntries"
    entries = objects(
        member(material, "tlogEntries", list, where="verificationMaterial", reason=Reason.LogEntryInvalid), where=where, reason=Reason.LogEntryInvalid, limit=1
    )
    if not entries:
        raise ProvenanceError(Reason.LogEntryInvalid, f"{where} is empty: the signature was never logged; sign with a transparency log")
    return entries[0]


def _integrated_time(entry: JsonObject) -> list[datetime]:
    """The time at which a Rekor v1 log says it took the entry; empty without a promise that signs it."""
    text = optional(entry, "integratedTime", str, where="tlogEntries[0]", reason=Reason.LogEntryInvalid)
    if text is None or not entry.get("inclusionPromise"):
        return []
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(_YEAR_9999)) or int(text) > _YEAR_9999:
        raise ProvenanceError(Reason.LogEntryInvalid, f"tlogEntries[0].integratedTime is {text[:40]!r} where seconds since 1970 belong")
    return [datetime.fromtimestamp(int(text), tz=UTC)] if int(text) else []


def _check_checkpoint_size(entry: JsonObject) -> None:
    """The proof's tree must be the tree that the log signed: the library compares the root hashes, not the sizes (C2SP tlog-checkpoint, second line)."""
    proof = member(entry, "inclusionProof", dict, where="tlogEntries[0]", reason=Reason.LogEntryInvalid)
    hashes = optional(proof, "hashes", list, where="inclusionProof", reason=Reason.LogEntryInvalid) or []
    if len(hashes) > _PROOF_LIMIT:
        raise ProvenanceError(Reason.LogEntryInvalid, f"the inclusion proof has {len(hashes)} hashes; at most {_PROOF_LIMIT} are read")
    checkpoint = member(proof, "checkpoint", dict, where="inclusionProof", reason=Reason.LogEntryInvalid)
    lines = member(checkpoint, "envelope", str, where="checkpoint", reason=Reason.LogEntryInvalid).split("\n", 2)
    size = member(proof, "treeSize", str, where="inclusionProof", reason=Reason.LogEntryInvalid)
    if len(lines) < 2 or lines[1] != size:  # noqa: PLR2004 - origin and size
        raise ProvenanceError(Reason.LogEntryInvalid, f"the inclusion proof is for a tree of size {size[:24]}, the log signed another")


def _certified_at(certificate: x509.Certificate) -> datetime:
    """When the certificate transparency log saw the certificate: the time in its one SCT (RFC 6962 section 3.2)."""
    stamps = list(certificate.extensions.get_extension_for_class(x509.PrecertificateSignedCertificateTimestamps).value)
    if len(stamps) != 1:
        raise ProvenanceError(Reason.CertificateUntrusted, f"the certificate has {len(stamps)} signed certificate timestamps; exactly one is read")
    seen: datetime = stamps[0].timestamp
    return seen.replace(tzinfo=UTC)
