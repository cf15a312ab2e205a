"""Bundles of every kind that there is, for tests: any version, any kinds of entries, any number of timestamps, a certificate, a chain or a plain key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from e2e.sigstore.authority import Authority
from e2e.sigstore.entries import EntryKind, Signature, b64, entry_body
from e2e.sigstore.log import TransparencyLog
from e2e.sigstore.timestamps import timestamp

MEDIA_TYPES = {
    "0.1": "application/vnd.dev.sigstore.bundle+json;version=0.1",
    "0.2": "application/vnd.dev.sigstore.bundle+json;version=0.2",
    "0.3": "application/vnd.dev.sigstore.bundle.v0.3+json",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """An entry to be made, in a log, at a time."""

    kind: EntryKind
    log: TransparencyLog
    when: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamped:
    """A timestamp to be made, by the unit of an authority, at a time."""

    unit: Authority
    when: datetime


def bundle(
    signature: Signature,
    *,
    version: str = "0.3",
    hint: str = "",
    chain: Sequence[x509.Certificate] = (),
    logged: Sequence[Logged] = (),
    stamped: Sequence[Stamped] = (),
) -> bytes:
    """The bundle of `signature`; `chain` are the authorities above its certificate, which makes it a chain also in version 0.3."""
    material: dict[str, Any] = {}
    if signature.certificate is None:
        material["publicKey"] = {"hint": hint}
    elif version != "0.3" or chain:
        material["x509CertificateChain"] = {"certificates": [_der(each) for each in (signature.certificate, *chain)]}
    else:
        material["certificate"] = _der(signature.certificate)
    material["tlogEntries"] = [each.log.append(entry_body(each.kind, signature), when=each.when) for each in logged]
    if stamped:
        stamps = [{"signedTimestamp": b64(timestamp(signature.value, when=each.when, unit=each.unit))} for each in stamped]
        material["timestampVerificationData"] = {"rfc3161Timestamps": stamps}
    document: dict[str, Any] = {"mediaType": MEDIA_TYPES[version], "verificationMaterial": material}
    if signature.payload is None:
        digest = {"algorithm": "SHA2_256", "digest": b64(hashlib.sha256(signature.content).digest())}
        document["messageSignature"] = {"messageDigest": digest, "signature": b64(signature.value)}
    else:
        signatures = [{"sig": b64(signature.value)}]
        document["dsseEnvelope"] = {"payload": b64(signature.payload), "payloadType": signature.payload_type, "signatures": signatures}
    return json.dumps(document).encode()


def _der(certificate: x509.Certificate) -> dict[str, str]:
    return {"rawBytes": b64(certificate.public_bytes(serialization.Encoding.DER))}
