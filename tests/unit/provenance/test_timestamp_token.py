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
from rfc3161_client import decode_timestamp_response

from e2e.sigstore.timestamps import timestamp
from sluice.provenance.errors import Reason
from sluice.provenance.timestamp import TimestampAuthority, verify_timestamps
from sluice.provenance.validity import FOREVER
from tests.bundles import Kind, make
from tests.signing import LOGGED, Json, edited, refusal, sigstore

STAMPED = Kind(entries=("hashedrekord 0.0.2",), stamps=1)
SIGNATURE = base64.b64decode(json.loads(make(STAMPED))["dsseEnvelope"]["signatures"][0]["sig"])
UNIT = sigstore().timestamping
OWN = UNIT.certificate.public_bytes(serialization.Encoding.DER)
BELOW_ROOT = TimestampAuthority.of_root(sigstore().timestamp_root.certificate)


def stamp(edit: Callable[[Json], object] = lambda _: None, *, weak: bool = False, twice: str = "", signers: int = 1) -> bytes:
    """A timestamp over the signature whose attributes by name were edited, and which was signed again.

    `weak`: over SHA-1. `twice` names an attribute that is there twice. With `signers` other than one the certificate is left out: the library then counts none.
    """
    response = tsp.TimeStampResp.load(timestamp(SIGNATURE, when=LOGGED, unit=UNIT, with_certificate=signers == 1))
    content = response["time_stamp_token"]["content"]
    signer = content["signer_infos"][0]
    attributes = {each["type"].native: each["values"] for each in signer["signed_attrs"]}
    edit(attributes)
    if weak:
        signer["digest_algorithm"], signer["signature_algorithm"] = {"algorithm": "sha1"}, {"algorithm": "sha1_ecdsa"}
        content["digest_algorithms"] = [algos.DigestAlgorithm({"algorithm": "sha1"})]
        attributes["message_digest"] = [hashlib.sha1(content["encap_content_info"]["content"].parsed.dump(), usedforsecurity=False).digest()]
    written = [cms.CMSAttribute({"type": name, "values": values}) for name, values in attributes.items() for _ in range(1 + (name == twice))]
    signer["signed_attrs"] = cms.CMSAttributes(written)
    algorithm = hashes.SHA1() if weak else hashes.SHA256()  # noqa: S303 - that is the point
    signer["signature"] = UNIT.key.sign(signer["signed_attrs"].untag().dump(), ec.ECDSA(algorithm))
    content["signer_infos"] = [cms.SignerInfo.load(signer.dump()) for _ in range(signers)]
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
GOOD: dict[str, Callable[[Json], object]] = {
    "as it is": lambda _: None,
    "named by SHA-384": lambda a: rename(a, named(hashlib.sha384(OWN).digest(), algorithm="sha384")),
    "named in the old form": lambda a: rename(a, named(SHA1, old=True), old=True),
    "named in both forms": lambda a: a.update(signing_certificate=named(SHA1, old=True)),
    "without a time of its own": lambda a: a.pop("signing_time"),
}
BAD: dict[str, Callable[[Json], object]] = {
    "no certificate named": lambda a: a.pop("signing_certificate_v2"),
    "another certificate named": lambda a: rename(a, named(hashlib.sha256(OWN + b"x").digest())),
    "another certificate named in the old form": lambda a: a.update(signing_certificate=named(SHA1[::-1], old=True)),
    "named by a hash that can be forged": lambda a: rename(a, named(SHA1, algorithm="sha1")),
    "nothing in the name": lambda a: rename(a, named(b"")),
    "other content": lambda a: a.update(content_type=["data"]),
    "no content type": lambda a: a.pop("content_type"),
}


@pytest.mark.parametrize("edit", GOOD.values(), ids=GOOD)
def test_a_token_that_names_its_signers_certificate_in_any_form_dates_a_signature(edit: Callable[[Json], object]) -> None:
    raw = stamp(edit)
    assert STAMPED.verify(with_stamp(raw)).signed_at == LOGGED
    assert verify_timestamps([raw], SIGNATURE, [BELOW_ROOT])[0].time == LOGGED


@pytest.mark.parametrize("edit", BAD.values(), ids=BAD)
def test_a_token_that_does_not_name_its_signers_certificate_or_is_none_dates_nothing(edit: Callable[[Json], object]) -> None:
    assert refusal(with_stamp(stamp(edit))) is Reason.TimestampInvalid


def test_a_signature_over_a_hash_that_can_be_forged_dates_nothing() -> None:
    assert refusal(with_stamp(stamp(weak=True))) is Reason.TimestampInvalid


@pytest.mark.parametrize("name", ["content_type", "signing_certificate_v2"])
def test_an_attribute_that_is_there_twice_says_two_things(name: str) -> None:
    assert refusal(with_stamp(stamp(twice=name))) is Reason.TimestampInvalid


def test_a_signature_over_the_bare_token_dates_nothing() -> None:
    response = tsp.TimeStampResp.load(timestamp(SIGNATURE, when=LOGGED, unit=UNIT))
    content = response["time_stamp_token"]["content"]
    signer = content["signer_infos"][0]
    del signer["signed_attrs"]
    signer["signature"] = UNIT.key.sign(content["encap_content_info"]["content"].parsed.dump(), ec.ECDSA(hashes.SHA256()))
    assert refusal(with_stamp(response.dump())) is Reason.TimestampInvalid


@pytest.mark.parametrize("signers", [0, 2])
def test_a_timestamp_of_nobody_or_of_two_dates_nothing(signers: int) -> None:
    assert refusal(with_stamp(stamp(signers=signers))) is Reason.TimestampInvalid


def test_what_is_refused_here_the_library_believes() -> None:
    """But for a timestamp without a signer: so it is our checks that these tests are about."""
    own = TimestampAuthority.of_chain([UNIT.certificate, sigstore().timestamp_root.certificate], window=FOREVER)
    accepted = [stamp(edit) for edit in BAD.values()] + [stamp(weak=True), stamp(twice="content_type"), stamp(signers=2)]
    assert [own._verifier.verify_message(decode_timestamp_response(raw), SIGNATURE) for raw in accepted] == [True] * len(accepted)
