"""The shape of a bundle, before any cryptography: one DSSE envelope, one signature, one spelling of everything.

We read the bundle ourselves before a library does, so that no library's lenience (base64 that skips junk, protobuf's second spelling of a field, the last of
two members) decides what was signed.

Specifications: Sigstore bundle v0.3 (`sigstore_bundle.proto`), DSSE v1.0 (`envelope.md`, `protocol.md`).
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass

from sluice.provenance.digests import sha256_of
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.strict_json import JsonObject, member, objects, optional, parse_object

BUNDLE_LIMIT = 1_048_576
IN_TOTO_PAYLOAD_TYPE = "application/vnd.in-toto+json"
MEDIA_TYPES = frozenset({"application/vnd.dev.sigstore.bundle.v0.3+json", "application/vnd.dev.sigstore.bundle+json;version=0.3"})

_BASE64_FIELDS = frozenset({"rawBytes", "keyId", "signedEntryTimestamp", "rootHash", "canonicalizedBody", "signedTimestamp", "payload", "sig", "hashes"})
_MALFORMED = Reason.BundleMalformed


@dataclass(frozen=True, slots=True, kw_only=True)
class UnverifiedBundle:
    """What a bundle says, nothing of it verified yet."""

    raw: bytes
    digest: str
    material: JsonObject
    """`verificationMaterial`."""
    payload: bytes
    signature: bytes

    @property
    def signed_bytes(self) -> bytes:
        """What the signature is made over."""
        return signed_bytes(self.payload)


def signed_bytes(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding of an in-toto statement (DSSE v1.0, protocol.md)."""
    kind = IN_TOTO_PAYLOAD_TYPE.encode("ascii")
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def read_bundle(raw: bytes, *, limit: int = BUNDLE_LIMIT) -> UnverifiedBundle:
    """Read `raw` (at most `limit` bytes of JSON). Raises ProvenanceError: BundleTooLarge, BundleMalformed, PayloadTypeUnexpected."""
    document = parse_object(raw, what="the bundle", limit=limit, reason=_MALFORMED, too_large=Reason.BundleTooLarge)
    media_type = member(document, "mediaType", str, where="bundle", reason=_MALFORMED)
    if media_type not in MEDIA_TYPES:
        raise ProvenanceError(
            _MALFORMED, f"bundle.mediaType is {media_type[:100]!r}; write a v0.3 bundle (cosign sign --new-bundle-format, sigstore-python 3 or newer)"
        )
    if "messageSignature" in document:
        raise ProvenanceError(_MALFORMED, "the bundle signs plain bytes (messageSignature); evidence is an in-toto statement in a dsseEnvelope")
    _refuse_unknown(document, {"mediaType", "verificationMaterial", "dsseEnvelope"}, where="bundle")
    _refuse_ambiguous(document)
    envelope = member(document, "dsseEnvelope", dict, where="bundle", reason=_MALFORMED)
    _refuse_unknown(envelope, {"payload", "payloadType", "signatures"}, where="dsseEnvelope")
    signatures = objects(member(envelope, "signatures", list, where="dsseEnvelope", reason=_MALFORMED), where="signatures", reason=_MALFORMED, limit=1)
    if len(signatures) != 1:
        raise ProvenanceError(_MALFORMED, "dsseEnvelope has no signature; exactly one is read")
    _refuse_unknown(signatures[0], {"sig", "keyid"}, where="signatures[0]")
    optional(signatures[0], "keyid", str, where="signatures[0]", reason=_MALFORMED)
    payload_type = member(envelope, "payloadType", str, where="dsseEnvelope", reason=_MALFORMED)
    if payload_type != IN_TOTO_PAYLOAD_TYPE:
        raise ProvenanceError(Reason.PayloadTypeUnexpected, f"the envelope holds {payload_type[:100]!r}; evidence is {IN_TOTO_PAYLOAD_TYPE!r}")
    return UnverifiedBundle(
        raw=raw,
        digest=sha256_of(raw),
        material=member(document, "verificationMaterial", dict, where="bundle", reason=_MALFORMED),
        payload=_decoded(member(envelope, "payload", str, where="dsseEnvelope", reason=_MALFORMED), where="payload"),
        signature=_decoded(member(signatures[0], "sig", str, where="signatures[0]", reason=_MALFORMED), where="sig"),
    )


def _refuse_unknown(value: JsonObject, known: set[str], *, where: str) -> None:
    unknown = sorted(value.keys() - known)
    if unknown:
        raise ProvenanceError(_MALFORMED, f"{where} has a member {unknown[0][:80]!r} that a bundle v0.3 does not have")


def _refuse_ambiguous(document: JsonObject) -> None:
    """Refuse snake_case names (protobuf's second spelling: a field could be there twice) and base64 that has another reading."""
    pending: list[object] = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            for key, child in value.items():
                if "_" in key:
                    raise ProvenanceError(_MALFORMED, f"member {key[:80]!r}: write fields in lowerCamelCase")
                for text in child if isinstance(child, list) else [child]:
                    if key in _BASE64_FIELDS and isinstance(text, str):
                        _decoded(text, where=key)
                pending.append(child)
        elif isinstance(value, list):
            pending.extend(value)


def _decoded(text: str, *, where: str) -> bytes:
    """Canonical base64 (RFC 4648 section 4): padded, no junk, no stray bits."""
    try:
        encoded = text.encode("ascii")
        content = binascii.a2b_base64(encoded, strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        raise ProvenanceError(_MALFORMED, f"{where} is not base64") from None
    if binascii.b2a_base64(content, newline=False) != encoded:
        raise ProvenanceError(_MALFORMED, f"{where} is base64 with another spelling of the same bytes; encode it anew")
    return content
