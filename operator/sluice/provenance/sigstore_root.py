"""A Sigstore trusted root: logs, certificate authorities, certificate transparency logs and timestamp authorities, each with its window.

Everything is parsed here, once, so that what cannot be used shows when the trust root is applied and not at the first bundle. Which material was valid when is
asked for each bundle, at times that are authenticated by then.

Specification: `sigstore_trustroot.proto`; both ends of `validFor` are inclusive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key
from cryptography.x509 import Certificate, load_der_x509_certificate
from sigstore_models.common.v1 import PublicKeyDetails, TimeRange
from sigstore_models.trustroot import v1 as models

from sluice.provenance.certificate_chain import CHAIN_LIMIT, check_authorities
from sluice.provenance.digests import sha256_of
from sluice.provenance.errors import ProvenanceError, Reason, closed
from sluice.provenance.keys import RsaPadding, VerificationKey, spki_of
from sluice.provenance.log_key import LogKey
from sluice.provenance.strict_json import JsonObject, canonical, parse_object
from sluice.provenance.timestamp import TimestampAuthority
from sluice.provenance.validity import FOREVER, Window, window_of

TEXT_LIMIT = 262_144
AUTHORITY_LIMIT = 32
_VALUE_LIMIT = 8192
"""Four lists of as many authorities as are read hold 3,000."""

_Entry = TypeVar("_Entry")
_Read = TypeVar("_Read")
_MALFORMED = Reason.TrustRootMalformed
_PSS = {
    PublicKeyDetails.PKCS1_RSA_PSS,
    PublicKeyDetails.PKIX_RSA_PSS,
    PublicKeyDetails.PKIX_RSA_PSS_2048_SHA256,
    PublicKeyDetails.PKIX_RSA_PSS_3072_SHA256,
    PublicKeyDetails.PKIX_RSA_PSS_4096_SHA256,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateAuthority:
    """Who issues signing certificates: a chain that is known to hold, from the issuer up to a root."""

    chain: tuple[Certificate, ...]
    windows: tuple[Window, ...]
    """The trust root's window, and that of each certificate of the chain."""
    issuer_spki: bytes
    """DER SubjectPublicKeyInfo of the issuer."""
    fingerprints: tuple[str, ...]
    """`sha256:` over each DER certificate of the chain."""


class SigstoreRoot:
    """The keys and certificates of one Sigstore instance. Immutable; raises ProvenanceError (TrustRootMalformed) when the text is not usable."""

    def __init__(self, text: str, *, for_certificates: bool = True) -> None:
        """Parse `text` (`trusted_root.json`). Without `for_certificates` it may hold less: only its logs and timestamp authorities are asked."""
        raw = text.encode("utf-8", "replace")
        document = parse_object(raw, what="the trusted root", limit=TEXT_LIMIT, reason=_MALFORMED, values=_VALUE_LIMIT)
        _refuse_second_spelling(document)
        self.canonical = canonical(document)
        filled = _with_empty_fields(document)
        with closed(_MALFORMED, "the trusted root does not parse"):
            parsed = models.TrustedRoot.from_json(canonical(filled))
        for what, entries in (("tlogs", parsed.tlogs), ("certificateAuthorities", parsed.certificate_authorities), ("ctlogs", parsed.ctlogs)):
            if not int(for_certificates) <= len(entries) <= AUTHORITY_LIMIT:
                raise ProvenanceError(_MALFORMED, f"the trusted root has {len(entries)} {what}; it needs {int(for_certificates)} to {AUTHORITY_LIMIT}")
        if len(parsed.timestamp_authorities) > AUTHORITY_LIMIT:
            raise ProvenanceError(_MALFORMED, f"the trusted root has more than {AUTHORITY_LIMIT} timestampAuthorities")
        self.logs = _each("tlogs", _log, parsed.tlogs)
        _refuse_shared_ids(self.logs)
        self.certificate_logs = _each("ctlogs", _log, parsed.ctlogs)
        self.certificate_authorities = _each("certificateAuthorities", _authority, parsed.certificate_authorities)
        self.timestamp_authorities = _each("timestampAuthorities", _timestamp_authority, parsed.timestamp_authorities)


def _each(member: str, read: Callable[[_Entry], _Read], entries: Sequence[_Entry]) -> tuple[_Read, ...]:
    """Read all entries of a list; whatever the libraries say of one is said with its place."""
    found = []
    for index, entry in enumerate(entries):
        with closed(_MALFORMED, f"{member}[{index}] of the trusted root does not parse"):
            found.append(read(entry))
    return tuple(found)


def _refuse_second_spelling(document: JsonObject) -> None:
    """Refuse snake_case members anywhere: protobuf's JSON mapping knows two spellings of a field, and a field that is given twice has two values."""
    pending: list[object] = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            for key, child in value.items():
                if "_" in key:
                    raise ProvenanceError(_MALFORMED, f"member {key[:80]!r}: write fields in lowerCamelCase")
                pending.append(child)
        elif isinstance(value, list):
            pending.extend(value)


def _with_empty_fields(document: JsonObject) -> JsonObject:
    """`document` with the fields that protobuf leaves out when they are empty: lists, and the parts of an authority's subject, which nothing depends on."""
    filled: JsonObject = {"tlogs": [], "certificateAuthorities": [], "ctlogs": []} | document
    for part in ("certificateAuthorities", "timestampAuthorities"):
        authorities = filled.get(part)
        for authority in authorities if isinstance(authorities, list) else []:
            if isinstance(authority, dict) and isinstance(subject := authority.get("subject", {}), dict):
                authority["subject"] = {"organization": "", "commonName": "", **subject}
    return filled


def _refuse_shared_ids(logs: Sequence[LogKey]) -> None:
    """Refuse two keys under one log id: the windows of one would be lent to the other."""
    keys = {(log.log_id, log.key.fingerprint) for log in logs}
    if len(keys) != len({log_id for log_id, _ in keys}):
        raise ProvenanceError(_MALFORMED, "the trusted root has two keys under one logId; a log that changes its key changes its id")


def _log(log: models.TransparencyLogInstance) -> LogKey:
    details = log.public_key.key_details
    key = VerificationKey.of(
        load_der_public_key(log.public_key.raw_bytes or b""),
        what=f"the key of {log.base_url[:200]!r}",
        name=log.base_url,
        reason=_MALFORMED,
        rsa_padding=RsaPadding.PSS if details in _PSS else RsaPadding.PKCS1V15,
    )
    log_id = log.log_id.key_id
    return LogKey(
        log_id=log_id,
        checkpoint_id=log.checkpoint_key_id.key_id if log.checkpoint_key_id else log_id,
        key=key,
        window=FOREVER if log.public_key.valid_for is None else _window(log.public_key.valid_for),
        operator=log.operator or log_id.hex(),
    )


def _authority(authority: models.CertificateAuthority) -> CertificateAuthority:
    chain = _chain(authority)
    check_authorities(chain, reason=_MALFORMED)
    key = VerificationKey.of(chain[0].public_key(), what="the key of a certificate authority", name="issuer", reason=_MALFORMED)
    return CertificateAuthority(
        chain=chain,
        windows=(_window(authority.valid_for), *map(window_of, chain)),
        issuer_spki=spki_of(key.public_key),
        fingerprints=tuple(sha256_of(certificate.public_bytes(Encoding.DER)) for certificate in chain),
    )


def _timestamp_authority(authority: models.CertificateAuthority) -> TimestampAuthority:
    return TimestampAuthority.of_chain(_chain(authority), window=_window(authority.valid_for), operator=authority.operator)


def _chain(authority: models.CertificateAuthority) -> tuple[Certificate, ...]:
    certificates: Sequence[object] = authority.cert_chain.certificates
    if not 1 <= len(certificates) <= CHAIN_LIMIT:
        raise ProvenanceError(_MALFORMED, f"a chain of the trusted root has {len(certificates)} certificates; 1 to {CHAIN_LIMIT} are read")
    return tuple(load_der_x509_certificate(certificate.raw_bytes) for certificate in authority.cert_chain.certificates)


def _window(declared: TimeRange) -> Window:
    for time in (declared.start, declared.end):
        if time is not None and time.tzinfo is None:
            raise ProvenanceError(_MALFORMED, f"the trusted root says {time.isoformat()}, which has no time zone")
    return Window(start=declared.start, end=declared.end)
