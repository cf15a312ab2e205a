"""The shape of a bundle, before any cryptography: one thing signed, one signature, one way to say by whom, one spelling of everything.

We read the bundle ourselves, so that no library's lenience (base64 that skips junk, protobuf's second spelling of a field, the last of two members) decides
what was signed.

Versions differ in little: 0.1 and 0.2 carry a chain of certificates, 0.3 one certificate (model signatures of the OpenSSF carry a chain there too, so each is
read in all of them); 0.1 may do with a log's promise instead of its proof. A later version is read as 0.3 is, and a member that it adds is refused by name:
refusing its number would keep out honest bundles only, since no signature covers it, and whoever hands one over may write 0.3.

Specifications: Sigstore bundle (`sigstore_bundle.proto`), DSSE v1.0 (`envelope.md`, `protocol.md`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sluice.provenance.certificate_chain import CHAIN_LIMIT
from sluice.provenance.digests import sha256_of
from sluice.provenance.encoding import base64_member, decoded, refuse_unknown
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.strict_json import JsonObject, member, objects, optional, parse_object

BUNDLE_LIMIT = 1_048_576
IN_TOTO_PAYLOAD_TYPE = "application/vnd.in-toto+json"
MEDIA_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "application/vnd.dev.sigstore.bundle+json;version=0.1": "0.1",
        "application/vnd.dev.sigstore.bundle+json;version=0.2": "0.2",
        "application/vnd.dev.sigstore.bundle+json;version=0.3": "0.3",
        "application/vnd.dev.sigstore.bundle.v0.3+json": "0.3",
    }
)
"""Media types of bundles, with the version that each means."""
_LATER = re.compile(r"application/vnd\.dev\.sigstore\.bundle\.v(0|[1-9][0-9]?)\.(0|[1-9][0-9]?)(\.(0|[1-9][0-9]?))?\+json")
_NEWEST = "0.3"
WITNESS_LIMIT = 8
"""At most as many log entries, and as many timestamps."""

_MALFORMED = Reason.BundleMalformed
_VALUE_LIMIT = 8192
"""Most of a bundle is in few strings: eight log entries with long proofs hold 700 values."""
_SIGNERS = {"certificate", "x509CertificateChain", "publicKey"}
_MESSAGE_DIGESTS: Mapping[str, str] = MappingProxyType({"SHA2_256": "sha256", "SHA2_384": "sha384", "SHA2_512": "sha512"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A DSSE envelope around an in-toto statement."""

    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A signature over an artifact that is elsewhere."""

    algorithm: str
    """Of the digest: sha256, sha384 or sha512."""
    digest: bytes | None
    """Which artifact, by the word of whoever wrote the bundle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedBundle:
    """What a bundle says, nothing of it verified yet."""

    digest: str
    version: str
    """0.1, 0.2 or 0.3: by whose rules it is read."""
    certificates: tuple[bytes, ...]
    """DER, the signer's first; empty for a plain key."""
    key_hint: str
    """Which key, for a plain key; may be empty, and proves nothing."""
    log_entries: tuple[JsonObject, ...]
    timestamps: tuple[bytes, ...]
    """DER TimeStampResp (RFC 3161)."""
    content: Envelope | Message
    signature: bytes

    @property
    def payload(self) -> bytes:
        """The in-toto statement. Raises ProvenanceError (BundleMalformed): the bundle signs plain bytes."""
        if isinstance(self.content, Message):
            raise ProvenanceError(_MALFORMED, "the bundle signs plain bytes (messageSignature); evidence is an in-toto statement in a dsseEnvelope")
        return self.content.payload


def signed_bytes(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding of an in-toto statement (DSSE v1.0, protocol.md)."""
    kind = IN_TOTO_PAYLOAD_TYPE.encode("ascii")
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def read_bundle(raw: bytes, *, limit: int = BUNDLE_LIMIT) -> UnverifiedBundle:
    """Read `raw` (at most `limit` bytes of JSON). Raises ProvenanceError: BundleTooLarge, BundleMalformed, PayloadTypeUnexpected."""
    document = parse_object(raw, what="the bundle", limit=limit, reason=_MALFORMED, too_large=Reason.BundleTooLarge, values=_VALUE_LIMIT)
    # 1. The version.
    media_type = member(document, "mediaType", str, where="bundle", reason=_MALFORMED)
    version = MEDIA_TYPES.get(media_type) or _later(media_type)
    refuse_unknown(document, {"mediaType", "verificationMaterial", "dsseEnvelope", "messageSignature"}, where="bundle")
    # 2. Who signed.
    material = member(document, "verificationMaterial", dict, where="bundle", reason=_MALFORMED)
    refuse_unknown(material, _SIGNERS | {"tlogEntries", "timestampVerificationData"}, where="verificationMaterial")
    certificates, key_hint = _signer(material)
    # 3. Who saw it.
    entries = objects(
        optional(material, "tlogEntries", list, where="verificationMaterial", reason=_MALFORMED) or [],
        where="verificationMaterial.tlogEntries",
        reason=Reason.LogEntryInvalid,
        limit=WITNESS_LIMIT,
    )
    # 4. What was signed: exactly one of the two.
    if ("dsseEnvelope" in document) == ("messageSignature" in document):
        raise ProvenanceError(_MALFORMED, "the bundle needs either a dsseEnvelope or a messageSignature")
    content, signature = _envelope(document) if "dsseEnvelope" in document else _message(document)
    return UnverifiedBundle(
        digest=sha256_of(raw),
        version=version,
        certificates=certificates,
        key_hint=key_hint,
        log_entries=tuple(entries),
        timestamps=_timestamps(material),
        content=content,
        signature=signature,
    )


def _later(media_type: str) -> str:
    """Give the version that a bundle after 0.3 is read as. Raises ProvenanceError (BundleMalformed)."""
    named = _LATER.fullmatch(media_type)
    if named is None or (int(named[1]), int(named[2])) < (0, 3):
        raise ProvenanceError(_MALFORMED, f"bundle.mediaType is {media_type[:100]!r}; bundles of versions 0.1, 0.2, 0.3 and later are read")
    return _NEWEST


def _signer(material: JsonObject) -> tuple[tuple[bytes, ...], str]:
    named = sorted(material.keys() & _SIGNERS)
    if len(named) != 1:
        raise ProvenanceError(_MALFORMED, f"verificationMaterial has {' and '.join(named) or 'neither certificate nor publicKey'}; exactly one says who signed")
    where = f"verificationMaterial.{named[0]}"
    value = member(material, named[0], dict, where="verificationMaterial", reason=_MALFORMED)
    match named[0]:
        case "publicKey":
            # Model signatures before 1.1 carry the key itself, which is no reason to believe it: not read.
            refuse_unknown(value, {"hint", "rawBytes", "keyDetails"}, where=where)
            return (), optional(value, "hint", str, where=where, reason=_MALFORMED) or ""
        case "certificate":
            refuse_unknown(value, {"rawBytes"}, where=where)
            return (base64_member(value, "rawBytes", where=where),), ""
        case _:
            refuse_unknown(value, {"certificates"}, where=where)
            chain = objects(
                member(value, "certificates", list, where=where, reason=_MALFORMED), where=f"{where}.certificates", reason=_MALFORMED, limit=CHAIN_LIMIT
            )
            if not chain:
                raise ProvenanceError(_MALFORMED, f"{where}.certificates is empty; the signer's certificate stands first")
            for index, each in enumerate(chain):
                refuse_unknown(each, {"rawBytes"}, where=f"{where}.certificates[{index}]")
            return tuple(base64_member(each, "rawBytes", where=f"{where}.certificates[{index}]") for index, each in enumerate(chain)), ""


def _timestamps(material: JsonObject) -> tuple[bytes, ...]:
    where = "timestampVerificationData"
    data = optional(material, where, dict, where="verificationMaterial", reason=_MALFORMED) or {}
    refuse_unknown(data, {"rfc3161Timestamps"}, where=where)
    stamps = objects(
        optional(data, "rfc3161Timestamps", list, where=where, reason=_MALFORMED) or [],
        where=f"{where}.rfc3161Timestamps",
        reason=Reason.TimestampInvalid,
        limit=WITNESS_LIMIT,
    )
    for index, each in enumerate(stamps):
        refuse_unknown(each, {"signedTimestamp"}, where=f"{where}.rfc3161Timestamps[{index}]")
    return tuple(base64_member(each, "signedTimestamp", where=f"{where}.rfc3161Timestamps[{index}]") for index, each in enumerate(stamps))


def _envelope(document: JsonObject) -> tuple[Envelope, bytes]:
    envelope = member(document, "dsseEnvelope", dict, where="bundle", reason=_MALFORMED)
    refuse_unknown(envelope, {"payload", "payloadType", "signatures"}, where="dsseEnvelope")
    signatures = objects(member(envelope, "signatures", list, where="dsseEnvelope", reason=_MALFORMED), where="signatures", reason=_MALFORMED, limit=1)
    if len(signatures) != 1:
        raise ProvenanceError(_MALFORMED, "dsseEnvelope has no signature; exactly one is read")
    refuse_unknown(signatures[0], {"sig", "keyid"}, where="signatures[0]")
    optional(signatures[0], "keyid", str, where="signatures[0]", reason=_MALFORMED)
    payload_type = member(envelope, "payloadType", str, where="dsseEnvelope", reason=_MALFORMED)
    if payload_type != IN_TOTO_PAYLOAD_TYPE:
        raise ProvenanceError(Reason.PayloadTypeUnexpected, f"the envelope holds {payload_type[:100]!r}; evidence is {IN_TOTO_PAYLOAD_TYPE!r}")
    payload = decoded(member(envelope, "payload", str, where="dsseEnvelope", reason=_MALFORMED), where="dsseEnvelope.payload")
    return Envelope(payload=payload), base64_member(signatures[0], "sig", where="signatures[0]")


def _message(document: JsonObject) -> tuple[Message, bytes]:
    where = "messageSignature"
    message = member(document, where, dict, where="bundle", reason=_MALFORMED)
    refuse_unknown(message, {"messageDigest", "signature"}, where=where)
    digest = optional(message, "messageDigest", dict, where=where, reason=_MALFORMED)
    content = Message(algorithm="sha256", digest=None)
    if digest is not None:
        refuse_unknown(digest, {"algorithm", "digest"}, where=f"{where}.messageDigest")
        named = member(digest, "algorithm", str, where=f"{where}.messageDigest", reason=_MALFORMED)
        algorithm = _MESSAGE_DIGESTS.get(named)
        if algorithm is None:
            raise ProvenanceError(_MALFORMED, f"{where}.messageDigest is by {named[:40]!r}; {', '.join(_MESSAGE_DIGESTS)} are read")
        content = Message(algorithm=algorithm, digest=base64_member(digest, "digest", where=f"{where}.messageDigest"))
    return content, base64_member(message, "signature", where=where)
