"""A certificate transparency log for Fulcio: it promises everything and keeps nothing. The promise is real (RFC 6962 sections 3.2 and 4.2), the log is a fake.

A real one (TesseraCT) is not to be had as a Go module; who verifies a certificate offline sees the promise only.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import time

from asn1crypto import x509  # type: ignore[import-untyped]  # the package ships no types
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from e2e.sigstore.authority import key_id
from e2e.sigstore.entries import b64
from e2e.sigstore.loopback import Answer, Request

_POISON = "1.3.6.1.4.1.11129.2.4.3"
_SHA256_ECDSA = b"\x04\x03"


class CertificateLog:
    """Promises under `key`."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        """Nothing is kept but the key."""
        self._key = key

    def answer(self, request: Request) -> Answer:
        """Serve `add-pre-chain`, below whatever prefix."""
        if request.method != "POST" or not request.path.endswith("/ct/v1/add-pre-chain"):
            return Answer(status=404, body=b"")
        precertificate, issuer = (base64.b64decode(each) for each in json.loads(request.body)["chain"][:2])
        milliseconds = int(time.time() * 1000)
        signature = self._key.sign(_promised(precertificate, issuer, milliseconds), ec.ECDSA(hashes.SHA256()))
        promise = {
            "sct_version": 0,
            "id": b64(key_id(self._key.public_key())),
            "timestamp": milliseconds,
            "extensions": "",
            "signature": b64(_SHA256_ECDSA + struct.pack("!H", len(signature)) + signature),
        }
        return Answer(body=json.dumps(promise).encode())


def _promised(precertificate: bytes, issuer: bytes, milliseconds: int) -> bytes:
    """What is signed: the time, the issuer's key and the certificate without the poison that makes it a precertificate."""
    body = x509.Certificate.load(precertificate)["tbs_certificate"]
    body["extensions"] = x509.Extensions([each for each in body["extensions"] if each["extn_id"].dotted != _POISON])
    content: bytes = body.dump(force=True)
    issuer_key: bytes = x509.Certificate.load(issuer)["tbs_certificate"]["subject_public_key_info"].dump()
    # Version 1, a certificate's promise, the time, of a precertificate; no extensions.
    return struct.pack("!BBQH", 0, 0, milliseconds, 1) + hashlib.sha256(issuer_key).digest() + len(content).to_bytes(3, "big") + content + b"\0\0"
