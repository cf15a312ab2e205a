"""What is in a TrustRoot, one line for each that is trusted, so that people can read it and two of them can be compared line by line."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from sluice.api.trust import TrustRootSpec
from sluice.decision.reading import Unreadable, read
from sluice.decision.records import TrustRoot
from sluice.provenance.digests import sha256_of
from sluice.provenance.errors import Reason, closed


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """The lines of one TrustRoot. Equal lines mean equal trust."""

    name: str
    digest: str
    authorities: tuple[str, ...]
    revoked: tuple[str, ...]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Material:
        """Read a TrustRoot. Raises ValueError and ProvenanceError: it cannot be used, or not be shown."""
        metadata = document.get("metadata")
        name = str(metadata.get("name") if isinstance(metadata, dict) else "")
        root, spec = TrustRoot.of(name, document), read(TrustRootSpec, document)
        if root.anchors is None or isinstance(spec, Unreadable) or root.revocations.problem:
            raise ValueError(root.problem or root.revocations.problem)
        lines: Iterable[str]
        if spec.sigstore is not None:
            lines = _of_sigstore(json.loads(spec.sigstore.trusted_root))
            asked = spec.sigstore.thresholds
            needed = [f"needs {asked.logs} log(s) and {asked.timestamps} timestamp(s) for each signature"]
        elif spec.certificate_authorities is not None:
            private = spec.certificate_authorities
            lines = (*_of_pem("certificate authority", private.pem), *_of_pem("timestamp authority", private.timestamp_pem or ""))
            needed = [f"needs {private.timestamps} timestamp(s) for each signature; undated ones: {private.undated}"]
        else:
            lines = (f"key {key.name} {key.fingerprint}" for key in root.anchors.named_keys.values())
            needed = []
        revoked = tuple(sorted(f"revoked: {one.words.partition(' revoked ')[2]}" for one in root.revocations.entries))
        return cls(name=name, digest=root.digest, authorities=(*sorted(lines), *needed), revoked=revoked)


def _of_sigstore(document: Mapping[str, Any]) -> Iterator[str]:
    """The lines of a `trusted_root.json` that was read before, so that it is of the right form."""
    for what, member in (("certificate authority", "certificateAuthorities"), ("timestamp authority", "timestampAuthorities")):
        for index, authority in enumerate(document.get(member) or ()):
            encoded = [base64.b64decode(each["rawBytes"]) for each in authority["certChain"]["certificates"]]
            named = [_named(der, where=f"sigstore.trustedRoot: {member}[{index}].certChain.certificates[{place}]") for place, der in enumerate(encoded)]
            yield f"{what} {' below '.join(named)}, {_window(authority.get('validFor'))}"
    for what, member in (("transparency log", "tlogs"), ("certificate transparency log", "ctlogs")):
        for log in document.get(member) or ():
            key = log["publicKey"]
            digest = sha256_of(base64.b64decode(key["rawBytes"]))
            yield f"{what} {log.get('baseUrl') or '(no address)'} key {digest} ({key.get('keyDetails')}), {_window(key.get('validFor'))}"


def _of_pem(what: str, pem: str) -> Iterator[str]:
    for certificate in x509.load_pem_x509_certificates(pem.encode()) if pem else ():
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        named = _named(certificate.public_bytes(serialization.Encoding.DER), where=what)
        yield f"{what} {named}, {start:%Y-%m-%dT%H:%M:%SZ} to {end:%Y-%m-%dT%H:%M:%SZ}"


def _named(der: bytes, *, where: str) -> str:
    """A certificate by its subject and its digest. Raises ProvenanceError: what verifies asks for keys and windows, so nobody may have read the name before."""
    with closed(Reason.TrustRootMalformed, f"{where}: the subject of the certificate does not parse"):
        return f"{x509.load_der_x509_certificate(der).subject.rfc4514_string()} {sha256_of(der)}"


def _window(window: Mapping[str, Any] | None) -> str:
    start, end = (window or {}).get("start") or "ever", (window or {}).get("end")
    return f"since {start}" if end is None else f"{start} to {end}"
