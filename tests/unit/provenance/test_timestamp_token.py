"""Timestamps whose authority signed something else than a token that names its own certificate. The authority's key made each of these signatures."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable

import pytest
from asn1crypto import algos, cms, tsp  # type: ignore[import-untyped]  # the package ships no types
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from e2e.sigstore.timestamps import timestamp
from sluice.provenance.errors import Reason
from sluice.provenance.timestamp import TimestampAuthority, verify_timestamps
from tests.bundles import Kind, make
from tests.signing import LOGGED, Json, edited, refusal, sigstore

STAMPED = Kind(entries=("hashedrekord 0.0.2",), stamps=1)
SIGNATURE = base64.b64decode(json.loads(make(STAMPED))["dsseEnvelope"]["signatures"][0]["sig"])
UNIT = sigstore().timestamping
OWN = UNIT.certificate.public_bytes(serialization.Encoding.DER)
BELOW_ROOT = TimestampAuthority.of_root(sigstore().timestamp_root.certificate)


def stamp(edit: Callable[[Json, Json], object] = lambda *_: None, *, digest: hashes.HashAlgorithm | None = None) -> bytes:
    """A timestamp over the signature whose signer (asn1crypto's SignerInfo) and attributes by name were edited, and which was signed again."""
    response = tsp.TimeStampResp.load(timestamp(SIGNATURE, when=LOGGED, unit=UNIT))
    content = response["time_stamp_token"]["content"]
    signer = content["signer_infos"][0]
    attributes = {each["type"].native: each["values"] for each in signer["signed_attrs"]}
    edit(signer, attributes)
    signer["signed_attrs"] = cms.CMSAttributes([cms.CMSAttribute({"type": name, "values": values}) for name, values in attributes.items()])
    signer["signature"] = UNIT.key.sign(signer["signed_attrs"].untag().dump(), ec.ECDSA(digest or hashes.SHA256()))
    return bytes(response.dump())


def with_stamp(raw: bytes) -> bytes:
    entry = {"signedTimestamp": base64.b64encode(raw).decode()}
    return edited(make(STAMPED), lambda document: document["verificationMaterial"]["timestampVerificationData"].update(rfc3161Timestamps=[entry]))


def named(digest: bytes, *, algorithm: str = "sha256", old: bool = False) -> Json:
    """A signing-certificate attribute that names a certificate by its digest, in the newer form or the old one."""
    if old:
        return [tsp.SigningCertificate({"certs": [tsp.ESSCertID({"cert_hash": digest})]})]
    identifier = tsp.ESSCertIDv2({"hash_algorithm": algos.DigestAlgorithm({"algorithm": algorithm}), "cert_hash": digest})
    return [tsp.SigningCertificateV2({"certs": [identifier]})]


def rename(attributes: Json, values: Json, *, old: bool = False) -> None:
    attributes.pop("signing_certificate_v2")
    attributes["signing_certificate" if old else "signing_certificate_v2"] = values


SHA1 = hashlib.sha1(OWN, usedforsecurity=False).digest()
GOOD: dict[str, Callable[[Json, Json], object]] = {
    "as it is": lambda *_: None,
    "named by SHA-384": lambda _, a: rename(a, named(hashlib.sha384(OWN).digest(), algorithm="sha384")),
    "named in the old form": lambda _, a: rename(a, named(SHA1, old=True), old=True),
    "named in both forms": lambda _, a: a.update(signing_certificate=named(SHA1, old=True)),
    "without a time of its own": lambda _, a: a.pop("signing_time"),
}
BAD: dict[str, Callable[[Json, Json], object]] = {
    "no certificate named": lambda _, a: a.pop("signing_certificate_v2"),
    "another certificate named": lambda _, a: rename(a, named(hashlib.sha256(OWN + b"x").digest())),
    "another certificate named in the old form": lambda _, a: a.update(signing_certificate=named(SHA1[::-1], old=True)),
    "named by a hash that can be forged": lambda _, a: rename(a, named(SHA1, algorithm="sha1")),
    "nothing in the name": lambda _, a: rename(a, named(b"")),
    "other content": lambda _, a: a.update(content_type=["data"]),
    "no content type": lambda _, a: a.pop("content_type"),
}


@pytest.mark.parametrize("edit", GOOD.values(), ids=GOOD)
def test_a_token_that_names_its_signers_certificate_in_any_form_dates_a_signature(edit: Callable[[Json, Json], object]) -> None:
    raw = stamp(edit)
    assert STAMPED.verify(with_stamp(raw)).signed_at == LOGGED
    assert verify_timestamps([raw], SIGNATURE, [BELOW_ROOT])[0].time == LOGGED


@pytest.mark.parametrize("edit", BAD.values(), ids=BAD)
def test_a_token_that_does_not_name_its_signers_certificate_or_is_none_dates_nothing(edit: Callable[[Json, Json], object]) -> None:
    assert refusal(with_stamp(stamp(edit))) is Reason.TimestampInvalid


def test_a_signature_over_a_hash_that_can_be_forged_dates_nothing() -> None:
    def weak(signer: Json, attributes: Json) -> None:
        token = timestamp(SIGNATURE, when=LOGGED, unit=UNIT)
        info = tsp.TimeStampResp.load(token)["time_stamp_token"]["content"]["encap_content_info"]["content"]
        signer["digest_algorithm"], signer["signature_algorithm"] = {"algorithm": "sha1"}, {"algorithm": "sha1_ecdsa"}
        attributes["message_digest"] = [hashlib.sha1(bytes(info), usedforsecurity=False).digest()]

    assert refusal(with_stamp(stamp(weak, digest=hashes.SHA1()))) is Reason.TimestampInvalid  # noqa: S303 - that is the point


def test_a_signature_over_the_bare_token_dates_nothing() -> None:
    response = tsp.TimeStampResp.load(timestamp(SIGNATURE, when=LOGGED, unit=UNIT))
    content = response["time_stamp_token"]["content"]
    signer = content["signer_infos"][0]
    del signer["signed_attrs"]
    signer["signature"] = UNIT.key.sign(content["encap_content_info"]["content"].parsed.dump(), ec.ECDSA(hashes.SHA256()))
    assert refusal(with_stamp(response.dump())) is Reason.TimestampInvalid


def test_a_second_signer_is_nobody_whom_anybody_asked() -> None:
    response = tsp.TimeStampResp.load(timestamp(SIGNATURE, when=LOGGED, unit=UNIT))
    content = response["time_stamp_token"]["content"]
    content["signer_infos"] = [content["signer_infos"][0], tsp.TimeStampResp.load(stamp())["time_stamp_token"]["content"]["signer_infos"][0]]
    assert refusal(with_stamp(response.dump())) is Reason.TimestampInvalid
