"""What logs record about a signature, in the words of each kind of entry.

Rekor version 1: https://github.com/sigstore/rekor/tree/main/pkg/types; version 2: https://github.com/sigstore/rekor-tiles.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

IN_TOTO = "application/vnd.in-toto+json"

PlainKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
EntryKind = Literal["hashedrekord 0.0.1", "dsse 0.0.1", "intoto 0.0.2", "hashedrekord 0.0.2", "dsse 0.0.2"]
Json = dict[str, Any]


def b64(content: bytes) -> str:
    """Canonical base64."""
    return base64.b64encode(content).decode("ascii")


def signed_bytes(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def sign(key: PlainKey, content: bytes, *, pss: bool = False, algorithm: hashes.HashAlgorithm | None = None) -> bytes:
    """Sign `content` with the hash that belongs to `key`, or with `algorithm`."""
    match key:
        case ec.EllipticCurvePrivateKey():
            own = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}[key.key_size]
            return key.sign(content, ec.ECDSA(algorithm or own))
        case rsa.RSAPrivateKey():
            scheme = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH) if pss else padding.PKCS1v15()
            return key.sign(content, scheme, algorithm or hashes.SHA256())
        case _:
            return key.sign(content)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A signature over an in-toto statement (`payload`) or over plain bytes."""

    content: bytes
    """What the signature is over."""
    payload: bytes | None
    payload_type: str = IN_TOTO
    value: bytes
    key: PlainKey
    certificate: x509.Certificate | None
    """None for a plain key."""

    @property
    def pem(self) -> bytes:
        """The certificate, or the key."""
        if self.certificate is not None:
            return self.certificate.public_bytes(serialization.Encoding.PEM)
        return self.key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    @property
    def verifier(self) -> Json:
        """The certificate, or the key, as version 2 writes it."""
        details = "PKIX_ECDSA_P256_SHA_256"
        if self.certificate is not None:
            return {"keyDetails": details, "x509Certificate": {"rawBytes": b64(self.certificate.public_bytes(serialization.Encoding.DER))}}
        der = self.key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return {"keyDetails": details, "publicKey": {"rawBytes": b64(der)}}


def entry_body(kind: EntryKind, signature: Signature) -> Json:
    """The body of an entry of `kind` about `signature`."""
    payload = signature.payload or b""
    # Version 1 records a hash of an envelope in no canonical form, which no verifier can check.
    envelope = json.dumps({"payloadType": signature.payload_type, "payload": b64(payload), "signatures": [{"sig": b64(signature.value)}]}).encode()
    match kind:
        case "hashedrekord 0.0.1":
            signed = {"content": b64(signature.value), "publicKey": {"content": b64(signature.pem)}}
            spec: Json = {"data": {"hash": _hash_1(signature.content)}, "signature": signed}
        case "dsse 0.0.1":
            spec = _dsse_1(envelope, payload, b64(signature.value), b64(signature.pem))
        case "intoto 0.0.2":
            signatures = [{"publicKey": b64(signature.pem), "sig": b64(b64(signature.value).encode())}]
            content = {
                "envelope": {"payloadType": signature.payload_type, "signatures": signatures},
                "hash": _hash_1(envelope),
                "payloadHash": _hash_1(payload),
            }
            spec = {"content": content}
        case "hashedrekord 0.0.2":
            spec = {"hashedRekordV002": {"data": _hash_2(signature.content), "signature": {"content": b64(signature.value), "verifier": signature.verifier}}}
        case _:  # dsse 0.0.2
            spec = {"dsseV002": {"payloadHash": _hash_2(payload), "signatures": [{"content": b64(signature.value), "verifier": signature.verifier}]}}
    name, version = kind.split()
    return {"apiVersion": version, "kind": name, "spec": spec}


def dsse_body(envelope: Json, text: bytes, verifier: str) -> Json:
    """The body of a version 1 entry about `envelope`, which was sent as `text`, with the verifier (a PEM certificate) in base64."""
    return {"apiVersion": "0.0.1", "kind": "dsse", "spec": _dsse_1(text, base64.b64decode(envelope["payload"]), envelope["signatures"][0]["sig"], verifier)}


def _dsse_1(envelope: bytes, payload: bytes, signature: str, verifier: str) -> Json:
    return {"envelopeHash": _hash_1(envelope), "payloadHash": _hash_1(payload), "signatures": [{"signature": signature, "verifier": verifier}]}


def _hash_1(content: bytes) -> Json:
    return {"algorithm": "sha256", "value": hashlib.sha256(content).hexdigest()}


def _hash_2(content: bytes) -> Json:
    return {"algorithm": "SHA2_256", "digest": b64(hashlib.sha256(content).digest())}
