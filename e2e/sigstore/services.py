"""The services of the private Sigstore over HTTP on loopback, for who signs keyless: certificates, log entries of both versions, timestamps.

These speak the interfaces of Fulcio, Rekor and the timestamp authority as far as sigstore-python uses them, and are ours: they can be told to fail. The real
programs are in `instance`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from asn1crypto import tsp  # type: ignore[import-untyped]  # the package ships no types
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from e2e.sigstore.authority import issue, subject_name
from e2e.sigstore.entries import dsse_body
from e2e.sigstore.identity_provider import IdentityProvider
from e2e.sigstore.loopback import Answer, LoopbackServer, Request
from e2e.sigstore.private import PrivateSigstore
from e2e.sigstore.timestamps import timestamp_of_digest
from e2e.sigstore.trust_config import client_trust_config

CERTIFICATES, LOG_1, LOG_2, TIMESTAMPS = "/api/v2/signingCert", "/rekor/api/v1/log/entries", "/rekor/api/v2/log/entries", "/api/v1/timestamp"


class PrivateServices:
    """The services of `sigstore`, which believe the tokens of `provider`, until the end of the `with` block."""

    def __init__(self, sigstore: PrivateSigstore, provider: IdentityProvider) -> None:
        """Listen."""
        self._sigstore = sigstore
        self._provider = provider
        self.instead: dict[str, Callable[[Request], Answer]] = {}
        """By path: who answers in place of the service, to break it."""
        self._server = LoopbackServer(self._answer)

    @property
    def url(self) -> str:
        """Where all of them answer."""
        return self._server.url

    def __enter__(self) -> Self:
        """They answer already."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Answer no more."""
        self._server.close()

    @property
    def trusted_root_json(self) -> str:
        """The `trusted_root.json` that verifies what this instance signs."""
        return self._sigstore.trusted_root_json

    def trust_config(self, *, log_version: int = 2, timestamps: bool = True) -> str:
        """The ClientTrustConfig of this instance."""
        asked = f"{self.url}{TIMESTAMPS}" if timestamps else None
        root = json.loads(self.trusted_root_json)
        return client_trust_config(root, fulcio=self.url, log=f"{self.url}/rekor", log_version=log_version, timestamps=asked, provider=self._provider.url)

    def _answer(self, request: Request) -> Answer:
        served = {CERTIFICATES: self.certify, LOG_1: self.log_1, LOG_2: self.log_2, TIMESTAMPS: self.stamp}
        act = self.instead.get(request.path) or served.get(request.path)
        return Answer(status=404, body=b"") if act is None else act(request)

    def certify(self, request: Request) -> Answer:
        """Certify the key of a signing request for the e-mail address of the token."""
        try:
            claims = self._provider.claims(request.headers["Authorization"].removeprefix("Bearer "))
        except ValueError:
            return Answer(status=400, body=json.dumps({"code": 3, "message": "There was an error processing the identity token", "details": []}).encode())
        wanted = x509.load_pem_x509_csr(base64.b64decode(json.loads(request.body)["certificateSigningRequest"]))
        key = wanted.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            return Answer(status=400, body=b'{"message": "the key is not ECDSA"}')
        certificate = issue(
            key,
            names=[subject_name(claims["email"])],
            issuer=claims["iss"],
            when=datetime.now(UTC).replace(microsecond=0),
            authority=self._sigstore.intermediate,
            transparency_key=self._sigstore.transparency_key,
        )
        chain = [certificate, self._sigstore.intermediate.certificate, self._sigstore.root.certificate]
        pems = [each.public_bytes(serialization.Encoding.PEM).decode() for each in chain]
        return _json({"signedCertificateEmbeddedSct": {"chain": {"certificates": pems}}}, status=201)

    def log_2(self, request: Request) -> Answer:
        """Take in an entry, as Rekor version 2 does."""
        asked = json.loads(request.body)["hashedRekordRequestV002"]
        spec = {"hashedRekordV002": {"data": {"algorithm": "SHA2_256", "digest": asked["digest"]}, "signature": asked["signature"]}}
        body = {"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": spec}
        return _json(self._sigstore.logs[2].append(body, when=datetime.now(UTC)), status=201)

    def log_1(self, request: Request) -> Answer:
        """Take in an entry, as Rekor version 1 does."""
        proposed = json.loads(request.body)["spec"]["proposedContent"]
        body = dsse_body(json.loads(proposed["envelope"]), proposed["envelope"].encode(), proposed["verifiers"][0])
        entry = self._sigstore.logs[1].append(body, when=datetime.now(UTC))
        proof = entry["inclusionProof"]
        verification = {
            "signedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
            "inclusionProof": {
                "logIndex": int(proof["logIndex"]),
                "treeSize": int(proof["treeSize"]),
                "rootHash": base64.b64decode(proof["rootHash"]).hex(),
                "hashes": [base64.b64decode(each).hex() for each in proof["hashes"]],
                "checkpoint": proof["checkpoint"]["envelope"],
            },
        }
        known = {
            "body": entry["canonicalizedBody"],
            "integratedTime": int(entry["integratedTime"]),
            "logID": base64.b64decode(entry["logId"]["keyId"]).hex(),
            "logIndex": int(entry["logIndex"]),
            "verification": verification,
        }
        return _json({"0": known}, status=201)

    def stamp(self, request: Request) -> Answer:
        """Say that the digest of a request was there now (RFC 3161)."""
        imprint = tsp.TimeStampReq.load(request.body)["message_imprint"]
        digest, algorithm = imprint["hashed_message"].native, imprint["hash_algorithm"]["algorithm"].native
        stamped = timestamp_of_digest(digest, algorithm=algorithm, when=datetime.now(UTC).replace(microsecond=0), unit=self._sigstore.timestamping)
        return Answer(body=stamped, content_type="application/timestamp-reply", status=201)


def _json(document: dict[str, Any], *, status: int = 200) -> Answer:
    return Answer(body=json.dumps(document).encode(), status=status)
