"""The timestamp authority: RFC 3161 responses over SHA-256, in CMS (RFC 5652) with the certificate inside (RFC 5816)."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

from asn1crypto import algos, cms, tsp  # type: ignore[import-untyped]  # the package ships no types
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from e2e.sigstore.authority import Authority

_POLICY = "1.3.6.1.4.1.57264.2"


def timestamp(message: bytes, *, when: datetime, unit: Authority, algorithm: str = "sha256", with_certificate: bool = True) -> bytes:
    """DER TimeStampResp: `unit` says that it saw `message`, hashed by `algorithm`, at `when`. Public authorities leave their certificate out."""
    digest = hashlib.new(algorithm, message).digest()
    return timestamp_of_digest(digest, when=when, unit=unit, algorithm=algorithm, with_certificate=with_certificate)


def timestamp_of_digest(digest: bytes, *, when: datetime, unit: Authority, algorithm: str, with_certificate: bool = True) -> bytes:
    """As `timestamp`, of what is known by its digest."""
    certificate = asn1_x509.Certificate.load(unit.certificate.public_bytes(serialization.Encoding.DER))
    sha256 = algos.DigestAlgorithm({"algorithm": "sha256"})
    info = tsp.TSTInfo(
        {
            "version": "v1",
            "policy": _POLICY,
            "message_imprint": {"hash_algorithm": algos.DigestAlgorithm({"algorithm": algorithm}), "hashed_message": digest},
            "serial_number": secrets.randbits(63),
            "gen_time": when,
            "accuracy": {"seconds": 1},
        }
    )
    identifier = tsp.ESSCertIDv2({"hash_algorithm": sha256, "cert_hash": hashlib.sha256(certificate.dump()).digest()})
    attributes = cms.CMSAttributes(
        [
            cms.CMSAttribute({"type": "content_type", "values": ["tst_info"]}),
            cms.CMSAttribute({"type": "signing_time", "values": [cms.Time({"utc_time": when})]}),
            cms.CMSAttribute({"type": "message_digest", "values": [hashlib.sha256(info.dump()).digest()]}),
            cms.CMSAttribute({"type": "signing_certificate_v2", "values": [tsp.SigningCertificateV2({"certs": [identifier]})]}),
        ]
    )
    signer = cms.SignerInfo(
        {
            "version": "v1",
            "sid": cms.SignerIdentifier(
                {"issuer_and_serial_number": cms.IssuerAndSerialNumber({"issuer": certificate.issuer, "serial_number": certificate.serial_number})}
            ),
            "digest_algorithm": sha256,
            "signed_attrs": attributes,
            "signature_algorithm": {"algorithm": "sha256_ecdsa"},
            "signature": unit.key.sign(attributes.dump(), ec.ECDSA(hashes.SHA256())),
        }
    )
    signed = cms.SignedData(
        {
            "version": "v3",
            "digest_algorithms": [sha256],
            "encap_content_info": {"content_type": "tst_info", "content": cms.ParsableOctetString(info.dump())},
            "certificates": [certificate] if with_certificate else None,
            "signer_infos": [signer],
        }
    )
    response: bytes = tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": {"content_type": "signed_data", "content": signed}}).dump()
    return response
