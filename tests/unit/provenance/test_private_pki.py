"""Certificates of a private PKI: what leads to a root, and what does not."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from e2e.sigstore import PrivateSigstore
from e2e.sigstore.bundles import Stamped, bundle
from e2e.sigstore.entries import IN_TOTO, PlainKey, Signature, sign, signed_bytes
from e2e.sigstore.pki import Issued, certify
from e2e.sigstore.timestamps import timestamp
from sluice.provenance.bundle import VerifiedEnvelope, verify_bundle
from sluice.provenance.digests import sha256_of
from sluice.provenance.errors import Reason
from sluice.provenance.trust import TrustAnchors
from sluice.provenance.witnesses import Thresholds
from tests.bundles import STATEMENT
from tests.signing import NOW, Json, anchors, edited, error_of, key_anchors, plain_keys, public_pem, refusal, sigstore

START = NOW - timedelta(days=100)
IDENTITY = "https://ci.corp.example/train"


@cache
def root() -> Issued:
    """RSA, as private roots often are."""
    return certify(rsa.generate_private_key(public_exponent=65537, key_size=2048), "corp root", start=START, days=3650, authority=True, purposes=())


@cache
def key() -> PlainKey:
    return ec.generate_private_key(ec.SECP256R1())


def intermediate(**how: Json) -> Issued:
    arguments: dict[str, Any] = {"start": START, "days": 1000, "parent": root(), "authority": True, "purposes": ()} | how
    return certify(key(), "corp signing", **arguments)


def leaf(parent: Issued, **how: Json) -> Issued:
    arguments: dict[str, Any] = {"start": START, "days": 365, "parent": parent, "names": [x509.UniformResourceIdentifier(IDENTITY)]} | how
    return certify(plain_keys()["p384"], "trainer", **arguments)


def signed(by: Issued, *chain: Issued, stamped: bool = True) -> bytes:
    content = signed_bytes(IN_TOTO, STATEMENT)
    signature = Signature(content=content, payload=STATEMENT, value=sign(by.key, content), key=by.key, certificate=by.certificate)
    stamps = [Stamped(unit=sigstore().timestamping, when=NOW)] if stamped else []
    return bundle(signature, chain=[each.certificate for each in chain], stamped=stamps)


def trust(*roots: Issued, **how: Json) -> TrustAnchors:
    pem = "".join(each.pem for each in roots or (root(),))
    arguments: Json = {"timestamp_pem": timestamp_pem()} | how
    return TrustAnchors.certificates("corp", pem, **arguments)


def timestamp_pem() -> str:
    return sigstore().timestamp_root.certificate.public_bytes(serialization.Encoding.PEM).decode()


def test_a_certificate_below_a_root_of_the_company_says_who_signed_when_a_timestamp_says_when() -> None:
    middle = intermediate()
    one = leaf(middle)
    verified = verify_bundle(signed(one, middle), trust())
    assert isinstance(verified, VerifiedEnvelope)
    assert (verified.signer.identity, verified.signer.issuer, verified.signed_at) == (IDENTITY, "CN=corp root", NOW)
    ders = [each.certificate.public_bytes(serialization.Encoding.DER) for each in (one, middle, root())]
    assert verified.signer.chain_fingerprints == tuple(sha256_of(der) for der in ders)
    assert verified.signer.serial == format(one.certificate.serial_number, "x")


def test_the_root_may_be_in_the_bundle_and_an_intermediate_may_be_what_is_trusted() -> None:
    middle = intermediate()
    raw = signed(leaf(middle), middle, root())
    assert verify_bundle(raw, trust()).signer.issuer == "CN=corp root"
    assert verify_bundle(raw, trust(middle)).signer.issuer == "CN=corp signing"
    assert verify_bundle(signed(leaf(root())), trust()).signer.identity == IDENTITY


def test_without_names_the_subject_is_the_identity() -> None:
    middle = intermediate()
    assert verify_bundle(signed(leaf(middle, names=()), middle), trust()).signer.identity == "CN=trainer"


def test_a_signing_certificate_that_is_an_authority_as_well_may_sign() -> None:
    middle = intermediate()
    assert verify_bundle(signed(leaf(middle, authority=True), middle), trust()).signer.identity == IDENTITY


@pytest.mark.parametrize(
    "how",
    [
        {"purposes": ()},
        {"purposes": (ExtendedKeyUsageOID.SERVER_AUTH,)},
        {"signs": False},
        {"start": NOW + timedelta(days=1)},
        {"days": 10},
        {"more": [(x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)]},
    ],
)
def test_a_certificate_is_refused_that_is_not_for_signing_code_or_not_valid_then(how: dict[str, Any]) -> None:
    middle = intermediate()
    assert refusal(signed(leaf(middle, **how), middle), trust()) is Reason.CertificateUntrusted


@pytest.mark.parametrize(
    "how",
    [
        {"authority": False},
        {"purposes": (ExtendedKeyUsageOID.SERVER_AUTH,)},
        {"start": NOW + timedelta(days=1)},
        {"days": 10},
        {"more": [(x509.NameConstraints(permitted_subtrees=[x509.DNSName("corp.example")], excluded_subtrees=None), False)]},
    ],
)
def test_an_authority_is_refused_that_may_not_issue_or_was_not_valid_then(how: dict[str, Any]) -> None:
    middle = intermediate(**how)
    assert refusal(signed(leaf(middle), middle), trust()) is Reason.CertificateUntrusted


def test_a_path_that_is_longer_than_its_root_allows_is_refused() -> None:
    short = certify(root().key, "corp root", start=START, days=3650, authority=True, depth=0, purposes=())
    middle = intermediate(parent=short)
    assert refusal(signed(leaf(middle), middle), trust(short)) is Reason.CertificateUntrusted
    assert verify_bundle(signed(leaf(short)), trust(short)).signer.identity == IDENTITY


def test_a_root_of_the_same_name_with_another_key_is_another_root() -> None:
    impostor = certify(key(), "corp root", start=START, days=3650, authority=True, purposes=())
    assert refusal(signed(leaf(impostor)), trust()) is Reason.CertificateUntrusted
    middle = intermediate()
    assert refusal(signed(leaf(middle)), trust()) is Reason.CertificateUntrusted, "the bundle brings no intermediate"
    assert refusal(signed(leaf(middle), root(), middle), trust()) is Reason.BundleMalformed, "it brings them in no order"


def test_without_a_timestamp_the_trust_root_has_to_say_that_any_time_will_do() -> None:
    middle = intermediate()
    raw = signed(leaf(middle), middle, stamped=False)
    assert refusal(raw, trust()) is Reason.TimestampMissing
    assert verify_bundle(raw, trust(undated=True)).signed_at is None
    assert verify_bundle(raw, trust(undated=True, timestamp_pem="")).signed_at is None
    never = leaf(middle, start=NOW + timedelta(days=5000))
    assert refusal(signed(never, middle, stamped=False), trust(undated=True)) is Reason.CertificateUntrusted, "its authority had ended when it began"


def test_a_timestamp_that_is_there_has_to_hold_also_where_none_is_needed() -> None:
    middle = intermediate()
    ended = leaf(middle, days=10)
    assert verify_bundle(signed(ended, middle, stamped=False), trust(undated=True)).signed_at is None
    assert refusal(signed(ended, middle), trust(undated=True)) is Reason.CertificateUntrusted
    assert refusal(signed(leaf(middle), middle), trust(undated=True, timestamp_pem="")) is Reason.TimestampInvalid


def test_a_unit_that_leaves_its_certificate_out_has_to_be_trusted_by_itself_and_is_no_second_authority() -> None:
    middle = intermediate()

    def stamped(*, with_certificate: tuple[bool, ...]) -> bytes:
        raw = signed(leaf(middle), middle)
        signature = base64.b64decode(json.loads(raw)["dsseEnvelope"]["signatures"][0]["sig"])
        stamps = [timestamp(signature, when=NOW, unit=sigstore().timestamping, with_certificate=each) for each in with_certificate]
        entries = [{"signedTimestamp": base64.b64encode(each).decode()} for each in stamps]
        return edited(raw, lambda d: d["verificationMaterial"]["timestampVerificationData"].update(rfc3161Timestamps=entries))

    with_unit = timestamp_pem() + unit_pem()
    assert refusal(stamped(with_certificate=(False,)), trust()) is Reason.TimestampInvalid
    assert verify_bundle(stamped(with_certificate=(False,)), trust(timestamp_pem=with_unit)).signed_at == NOW
    two = Thresholds(logs=0, timestamps=2)
    assert refusal(stamped(with_certificate=(False, True)), trust(timestamp_pem=with_unit, required=two)) is Reason.TooFewWitnesses


def test_a_timestamp_of_somebody_elses_authority_dates_nothing() -> None:
    middle = intermediate()
    one = leaf(middle)
    content = signed_bytes(IN_TOTO, STATEMENT)
    signature = Signature(content=content, payload=STATEMENT, value=sign(one.key, content), key=one.key, certificate=one.certificate)
    for unit in (PrivateSigstore.create(now=NOW).timestamping, sigstore().timestamp_root):
        raw = bundle(signature, chain=[middle.certificate], stamped=[Stamped(unit=unit, when=NOW)])
        assert refusal(raw, trust()) is Reason.TimestampInvalid


def test_timestamps_are_counted_by_authority() -> None:
    middle = intermediate()
    raw = signed(leaf(middle), middle)
    assert refusal(raw, trust(required=Thresholds(logs=0, timestamps=2))) is Reason.TooFewWitnesses
    twice = edited(raw, lambda d: d["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"].append(stamp_of(d)))
    assert refusal(twice, trust()) is Reason.TimestampInvalid


def stamp_of(document: Json) -> Json:
    return document["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"][0]


def test_private_certificates_mean_nothing_to_other_trust_and_public_ones_nothing_to_this() -> None:
    raw = signed(leaf(root()))
    assert refusal(raw, anchors()) is Reason.CertificateUntrusted
    assert refusal(raw, key_anchors()) is Reason.CertificateUntrusted
    assert refusal(bundle_of_a_key(), trust()) is Reason.KeyUnknown


def bundle_of_a_key() -> bytes:
    content = signed_bytes(IN_TOTO, STATEMENT)
    return bundle(Signature(content=content, payload=STATEMENT, value=sign(key(), content), key=key(), certificate=None), hint="")


def unit_pem() -> str:
    return sigstore().timestamping.certificate.public_bytes(serialization.Encoding.PEM).decode()


@pytest.mark.parametrize(
    ("pem", "how", "complaint"),
    [
        ("", {}, "no list of PEM certificates"),
        (public_pem(plain_keys()["p256"]), {}, "no list of PEM certificates"),
        ("x" * 200_000, {}, "at most"),
        ("leaf", {}, "no certificate authority"),
        ("root", {"timestamp_pem": "nonsense"}, "timestampPem is no list"),
        ("root", {"timestamp_pem": ""}, "undated to Accept"),
        ("root", {"timestamp_pem": unit_pem()}, "no authority that issued it"),
        ("twice", {}, "that differ"),
        ("weak", {}, "of a kind that we do not verify"),
    ],
)
def test_roots_that_cannot_be_used_say_why(pem: str, how: dict[str, Any], complaint: str) -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024) if pem == "weak" else key()  # noqa: S505 - that is the point
    made = {
        "leaf": lambda: leaf(root()).pem,
        "root": lambda: root().pem,
        "twice": lambda: root().pem * 2,
        "weak": lambda: certify(weak, "weak", start=START, days=10, authority=True).pem,
    }
    error = error_of(lambda: TrustAnchors.certificates("corp", made.get(pem, lambda: pem)(), **({"timestamp_pem": timestamp_pem()} | how)))
    assert (error.reason, complaint in str(error)) == (Reason.TrustRootMalformed, True), str(error)


@pytest.mark.parametrize(
    ("of", "by", "complaint"),
    [
        (b"corp root", b"corp\xffroot", "no list of PEM certificates"),
        (bytes.fromhex("550403"), bytes.fromhex("5504ff"), "no list of PEM certificates"),
        (b"Z\x17\x0d", b"X\x17\x0d", "no list of PEM certificates"),
        (bytes.fromhex("551d0f"), bytes.fromhex("551d13"), "cannot be used"),
    ],
    ids=["name-not-utf-8", "name-without-oid", "no-time", "extension-twice"],
)
@pytest.mark.parametrize("field", ["pem", "timestampPem"])
def test_a_root_that_parses_in_part_is_refused_with_the_reason(field: str, of: bytes, by: bytes, complaint: str) -> None:
    der = root().certificate.public_bytes(serialization.Encoding.DER)
    assert of in der
    broken = f"-----BEGIN CERTIFICATE-----\n{base64.b64encode(der.replace(of, by)).decode()}\n-----END CERTIFICATE-----\n"
    pems = {"pem": root().pem, "timestampPem": timestamp_pem()} | {field: broken}
    error = error_of(lambda: TrustAnchors.certificates("corp", pems["pem"], timestamp_pem=pems["timestampPem"]))
    assert (error.reason, field in str(error), complaint in str(error)) == (Reason.TrustRootMalformed, True, True), str(error)


def test_the_digest_names_the_roots_and_what_they_are_trusted_for() -> None:
    middle = intermediate()
    kinds = [
        trust(),
        trust(middle),
        trust(root(), middle),
        trust(undated=True),
        trust(undated=True, timestamp_pem=""),
        trust(required=Thresholds(logs=0, timestamps=2)),
    ]
    assert len({each.digest for each in kinds}) == len(kinds)
    assert trust(root(), middle).digest == trust(middle, root()).digest
