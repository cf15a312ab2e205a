"""What a log entry is about: this signature, by this certificate or key, over this content. An entry about anything else proves nothing (CVE-2022-36056).

Each kind of entry records that in its own words. Entries whose words do not bind a signature (`intoto` 0.0.1, anything newer than we know) are refused.

Specifications: https://github.com/sigstore/rekor/tree/main/pkg/types (version 1), https://github.com/sigstore/rekor-tiles (version 2), and "Bundle content vs.
Rekor entry kind" of the Sigstore client specification.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sluice.provenance.encoding import base64_member, decoded
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.keys import VerificationKey, spki_of
from sluice.provenance.log_entry import LogEntry
from sluice.provenance.signed_content import SignedContent
from sluice.provenance.strict_json import JsonObject, member, objects, optional, parse_object

_INVALID = Reason.LogEntryInvalid
_BODY_LIMIT = 1_048_576
_VALUE_LIMIT = 1024
"""The largest kind has 20."""
_HASHES: Mapping[str, str] = MappingProxyType(
    {
        "sha256": "sha256",
        "sha384": "sha384",
        "sha512": "sha512",
        "SHA2_256": "sha256",
        "SHA2_384": "sha384",
        "SHA2_512": "sha512",
    }
)
"""Names of hashes in entries of both versions."""
_PEM = re.compile(r"-----BEGIN ([A-Z ]+)-----\n([A-Za-z0-9+/=\n]+)-----END \1-----\n?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signatory:
    """Who signed, as log entries record it: a certificate, or else a key."""

    key: VerificationKey
    certificate: bytes | None
    """DER."""

    @property
    def der(self) -> bytes:
        """What stands in an entry."""
        return self.certificate or spki_of(self.key.public_key)


def check_about(entry: LogEntry, signed: SignedContent, by: Signatory) -> None:
    """Check that `entry` records the signature of `signed`, made by `by`. Raises ProvenanceError (LogEntryInvalid)."""
    where = "canonicalizedBody"
    document = parse_object(entry.body, what="the log entry's body", limit=_BODY_LIMIT, reason=_INVALID, values=_VALUE_LIMIT)
    named = (
        member(document, "kind", str, where=where, reason=_INVALID),
        member(document, "apiVersion", str, where=where, reason=_INVALID),
    )
    if named != (entry.kind, entry.version):
        raise ProvenanceError(
            _INVALID, f"the log entry says that it is {entry.kind[:40]!r} {entry.version[:40]!r}, and its body is {named[0][:40]!r} {named[1][:40]!r}"
        )
    check = _KINDS.get(named)
    if check is None:
        known = ", ".join(" ".join(each) for each in _KINDS)
        raise ProvenanceError(_INVALID, f"the log entry is of kind {named[0][:40]!r} {named[1][:40]!r}; these are read: {known}")
    check(_Record(value=member(document, "spec", dict, where=where, reason=_INVALID), where=f"{where}.spec"), signed, by)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """An object of a body, and where it is."""

    value: JsonObject
    where: str

    def at(self, *path: str) -> _Record:
        record = self
        for key in path:
            record = _Record(value=member(record.value, key, dict, where=record.where, reason=_INVALID), where=f"{record.where}.{key}")
        return record

    def only(self, key: str) -> _Record:
        """The one object of a list."""
        found = objects(member(self.value, key, list, where=self.where, reason=_INVALID), where=f"{self.where}.{key}", reason=_INVALID, limit=1)
        if len(found) != 1:
            raise ProvenanceError(_INVALID, f"{self.where}.{key} is empty; one signature is logged")
        return _Record(value=found[0], where=f"{self.where}.{key}[0]")

    def text(self, key: str) -> str:
        return member(self.value, key, str, where=self.where, reason=_INVALID)

    def content(self, key: str) -> bytes:
        return base64_member(self.value, key, where=self.where, reason=_INVALID)

    def require(self, key: str, *, holds: bool) -> None:
        if not holds:
            raise ProvenanceError(_INVALID, f"the log entry is about something else: its {self.where}.{key} is not the bundle's")

    def digest(self, key: str, *, of: Callable[[str], bytes | None]) -> None:
        """Check a digest of version 1 (`algorithm`, hexadecimal `value`) or 2 (`algorithm`, base64 `digest`)."""
        said = self.at(key)
        algorithm = _HASHES.get(said.text("algorithm"))
        expected = of(algorithm) if algorithm else None
        if "value" in said.value:
            said.require("value", holds=expected is not None and said.text("value") == expected.hex())
        else:
            said.require("digest", holds=expected is not None and said.content("digest") == expected)


def _hashedrekord_1(spec: _Record, signed: SignedContent, by: Signatory) -> None:
    spec.at("data").digest("hash", of=signed.digest)
    signature = spec.at("signature")
    signature.require("content", holds=signature.content("content") == signed.signature)
    public_key = signature.at("publicKey")
    public_key.require("content", holds=_pem(public_key.content("content"), by) == by.der)


def _hashedrekord_2(spec: _Record, signed: SignedContent, by: Signatory) -> None:
    record = spec.at("hashedRekordV002")
    record.digest("data", of=signed.digest)
    _signature_2(record.at("signature"), signed, by)


def _dsse_1(spec: _Record, signed: SignedContent, by: Signatory) -> None:
    # `envelopeHash` is over an envelope in no canonical form, which nobody can check.
    spec.digest("payloadHash", of=_payload(spec, signed))
    signature = spec.only("signatures")
    signature.require("signature", holds=signature.content("signature") == signed.signature)
    signature.require("verifier", holds=_pem(signature.content("verifier"), by) == by.der)


def _dsse_2(spec: _Record, signed: SignedContent, by: Signatory) -> None:
    record = spec.at("dsseV002")
    record.digest("payloadHash", of=_payload(record, signed))
    _signature_2(record.only("signatures"), signed, by)


def _intoto_2(spec: _Record, signed: SignedContent, by: Signatory) -> None:
    content = spec.at("content")
    content.digest("payloadHash", of=_payload(content, signed))
    signature = content.at("envelope").only("signatures")
    # This kind encodes the signature, which is base64 already, once more.
    signature.require("sig", holds=_twice_decoded(signature) == signed.signature)
    signature.require("publicKey", holds=_pem(signature.content("publicKey"), by) == by.der)


def _signature_2(signature: _Record, signed: SignedContent, by: Signatory) -> None:
    signature.require("content", holds=signature.content("content") == signed.signature)
    verifier = signature.at("verifier")
    form, other = ("x509Certificate", "publicKey") if by.certificate else ("publicKey", "x509Certificate")
    verifier.require(other, holds=optional(verifier.value, other, dict, where=verifier.where, reason=_INVALID) is None)
    verifier.require(form, holds=verifier.at(form).content("rawBytes") == by.der)


def _payload(record: _Record, signed: SignedContent) -> Callable[[str], bytes]:
    payload = signed.payload
    if payload is None:
        raise ProvenanceError(_INVALID, f"the log entry ({record.where}) is about an envelope, and the bundle signs plain bytes")
    return lambda algorithm: hashlib.new(algorithm, payload).digest()


def _twice_decoded(signature: _Record) -> bytes:
    return decoded(signature.content("sig").decode("ascii", "replace"), where=f"{signature.where}.sig", reason=_INVALID)


def _pem(content: bytes, by: Signatory) -> bytes:
    """The DER inside PEM of the kind that `by` is; empty for anything else."""
    match = _PEM.fullmatch(content.decode("ascii", "replace"))
    if match is None or match[1] != ("CERTIFICATE" if by.certificate else "PUBLIC KEY"):
        return b""
    return decoded(match[2].replace("\n", ""), where="the log entry's certificate or key", reason=_INVALID)


_KINDS: Mapping[tuple[str, str], Callable[[_Record, SignedContent, Signatory], None]] = MappingProxyType(
    {
        ("hashedrekord", "0.0.1"): _hashedrekord_1,
        ("hashedrekord", "0.0.2"): _hashedrekord_2,
        ("dsse", "0.0.1"): _dsse_1,
        ("dsse", "0.0.2"): _dsse_2,
        ("intoto", "0.0.2"): _intoto_2,
    }
)
