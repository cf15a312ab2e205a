"""Bundles: the good ones say who signed; everything else is refused with its reason."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ObjectIdentifier

from e2e.sigstore import PrivateSigstore, model_signature_statement, sign_with_key
from sluice.provenance.bundle import verify_bundle
from sluice.provenance.digests import sha256_of
from sluice.provenance.errors import Reason
from sluice.provenance.trust import TrustAnchors
from tests.signing import (
    FILES,
    ISSUER,
    LOGGED,
    NOW,
    TRAINER,
    Json,
    anchors,
    bundle,
    edited,
    error_of,
    flipped,
    key_anchors,
    plain_keys,
    public_pem,
    refusal,
    sign,
    sigstore,
)

STATEMENT = model_signature_statement(FILES)
LATER = "application/vnd.dev.sigstore.bundle.v0.4+json"
USERNAME = ObjectIdentifier("1.3.6.1.4.1.57264.1.7")


@pytest.mark.parametrize("rekor", [1, 2])
def test_a_certificate_bundle_says_who_signed_what_and_when(rekor: int) -> None:
    envelope = verify_bundle(bundle(rekor), anchors())
    assert json.loads(envelope.payload) == STATEMENT
    assert (envelope.signer.identity, envelope.signer.issuer, envelope.signer.key) == (TRAINER, ISSUER, None)
    assert envelope.signer.trust_root == "ci"
    assert envelope.signed_at == LOGGED
    assert envelope.bundle_digest == sha256_of(bundle(rekor))


@pytest.mark.parametrize("rekor", [1, 2])
def test_the_signer_carries_what_the_identity_provider_claimed_and_the_chain_that_vouches(rekor: int) -> None:
    claims = {9: TRAINER, 12: "https://git.example.com/payments/churn", 15: "4711", 17: "12", 20: "push", 99: "of an extension that nobody defined"}
    signer = verify_bundle(sign(STATEMENT, rekor=rekor, claims=claims), anchors()).signer
    assert dict(signer.claims) == {
        "buildSignerURI": TRAINER,
        "sourceRepositoryURI": claims[12],
        "sourceRepositoryIdentifier": "4711",
        "sourceRepositoryOwnerIdentifier": "12",
        "buildTrigger": "push",
    }
    above = [sha256_of(each.certificate.public_bytes(serialization.Encoding.DER)) for each in (sigstore().intermediate, sigstore().root)]
    assert signer.chain_fingerprints[1:] == tuple(above)
    leaf = base64.b64decode(json.loads(bundle(rekor))["verificationMaterial"]["certificate"]["rawBytes"])
    signer = verify_bundle(bundle(rekor), anchors()).signer
    assert (signer.claims, signer.chain_fingerprints[0]) == ({}, sha256_of(leaf))
    assert signer.serial == format(x509.load_der_x509_certificate(leaf).serial_number, "x")


def test_a_claim_that_cannot_be_read_is_not_left_out() -> None:
    assert refusal(sign(STATEMENT, claims={15: "4711\n"})) is Reason.IdentityMalformed
    assert refusal(sign(STATEMENT, claims={15: "9" * 3000})) is Reason.IdentityMalformed


def test_a_second_entry_of_the_log_verifies_as_the_first_did() -> None:
    for _ in range(9):
        assert verify_bundle(sign(STATEMENT), anchors()).signed_at == LOGGED


@pytest.mark.parametrize("name", sorted(plain_keys()))
def test_a_key_bundle_says_which_key_signed(name: str) -> None:
    raw = sign_with_key(STATEMENT, plain_keys()[name], hint=name)
    envelope = verify_bundle(raw, key_anchors())
    assert (envelope.signer.key, envelope.signer.identity, envelope.signer.issuer) == (name, None, None)
    assert envelope.signer.key_fingerprint == key_anchors().named_keys[name].fingerprint
    assert (envelope.signer.claims, envelope.signer.chain_fingerprints, envelope.signer.serial) == ({}, (), None)
    assert envelope.signed_at is None, "nobody but the signer could have said when"


@pytest.mark.parametrize("hint", ["", "a name from elsewhere"])
def test_a_hint_that_names_no_key_leaves_all_keys_to_be_tried(hint: str) -> None:
    assert verify_bundle(sign_with_key(STATEMENT, plain_keys()["p384"], hint), key_anchors()).signer.key == "p384"


def test_a_hint_may_be_the_fingerprint() -> None:
    fingerprint = key_anchors().named_keys["ed25519"].fingerprint
    for hint in (fingerprint, fingerprint.removeprefix("sha256:")):
        assert verify_bundle(sign_with_key(STATEMENT, plain_keys()["ed25519"], hint), key_anchors()).signer.key == "ed25519"


def test_a_hint_that_names_another_key_is_not_overruled() -> None:
    assert refusal(sign_with_key(STATEMENT, plain_keys()["p384"], "p256"), key_anchors()) is Reason.SignatureInvalid


def test_a_key_that_the_trust_root_does_not_hold_is_unknown() -> None:
    only_rsa = TrustAnchors.keys("k", {"one": public_pem(plain_keys()["rsa"]), "two": public_pem(plain_keys()["p521"])})
    assert refusal(sign_with_key(STATEMENT, plain_keys()["p256"], ""), only_rsa) is Reason.KeyUnknown


def test_a_log_entry_beside_a_plain_key_proves_nothing_and_changes_nothing() -> None:
    entry = json.loads(bundle())["verificationMaterial"]["tlogEntries"]
    raw = edited(sign_with_key(STATEMENT, plain_keys()["p256"], "p256"), lambda d: d["verificationMaterial"].update(tlogEntries=entry))
    assert verify_bundle(raw, key_anchors()).signed_at is None


def test_trust_of_the_other_kind_verifies_nothing() -> None:
    assert refusal(bundle(), key_anchors()) is Reason.CertificateUntrusted
    assert refusal(sign_with_key(STATEMENT, plain_keys()["p256"], "p256"), anchors()) is Reason.KeyUnknown


@pytest.mark.parametrize("rekor", [1, 2])
def test_another_sigstore_with_the_same_names_is_not_trusted(rekor: int) -> None:
    other = PrivateSigstore.create(now=NOW)
    raw = other.sign_statement(STATEMENT, identity=TRAINER, issuer=ISSUER, when=NOW, rekor=1 if rekor == 1 else 2)
    assert refusal(raw) in {Reason.CertificateUntrusted, Reason.TimestampInvalid, Reason.TimestampMissing}


def material(document: Json) -> Json:
    return document["verificationMaterial"]


def entry(document: Json) -> Json:
    return material(document)["tlogEntries"][0]


def signature(document: Json) -> Json:
    return document["dsseEnvelope"]["signatures"][0]


def other_payload(document: Json) -> None:
    payload = json.dumps(model_signature_statement({"config.json": b"changed"})).encode()
    document["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()


def sized_otherwise(document: Json) -> None:
    proof = entry(document)["inclusionProof"]
    proof["treeSize"] = str(int(proof["treeSize"]) + 1)


def entry_of_another_signature(document: Json) -> None:
    material(document)["tlogEntries"] = json.loads(sign(STATEMENT))["verificationMaterial"]["tlogEntries"]


EDITS: list[tuple[str, Callable[[Json], object], set[Reason]]] = [
    ("the payload is changed", other_payload, {Reason.SignatureInvalid}),
    (
        "the signature is changed",
        lambda d: signature(d).update(sig=flipped(signature(d)["sig"], 8)),
        {Reason.SignatureInvalid, Reason.LogEntryInvalid, Reason.TimestampMissing},
    ),
    ("the signature is empty", lambda d: signature(d).update(sig=""), {Reason.BundleMalformed, Reason.SignatureInvalid}),
    ("there are two signatures", lambda d: d["dsseEnvelope"].update(signatures=[signature(d)] * 2), {Reason.BundleMalformed}),
    ("there is no signature", lambda d: d["dsseEnvelope"].update(signatures=[]), {Reason.BundleMalformed}),
    ("the log entry is gone", lambda d: material(d).update(tlogEntries=[]), {Reason.TooFewWitnesses}),
    ("the log entry is there twice", lambda d: material(d).update(tlogEntries=[entry(d)] * 2), {Reason.LogEntryInvalid}),
    ("the log entry is about another signature", entry_of_another_signature, {Reason.LogEntryInvalid}),
    ("the log entry's body is changed", lambda d: entry(d).update(canonicalizedBody=flipped(entry(d)["canonicalizedBody"], 30)), {Reason.LogEntryInvalid}),
    (
        "the proof's root is changed",
        lambda d: entry(d)["inclusionProof"].update(rootHash=flipped(entry(d)["inclusionProof"]["rootHash"])),
        {Reason.LogEntryInvalid},
    ),
    ("the proof is for another tree size", sized_otherwise, {Reason.LogEntryInvalid}),
    ("the proof has no checkpoint", lambda d: entry(d)["inclusionProof"].pop("checkpoint"), {Reason.LogEntryInvalid}),
    ("the proof is too long", lambda d: entry(d)["inclusionProof"].update(hashes=["AAAA"] * 65), {Reason.LogEntryInvalid}),
    (
        "nothing is logged about the body's kind",
        lambda d: entry(d).update(kindVersion={"kind": "intoto", "version": "0.0.2"}),
        {Reason.LogEntryInvalid, Reason.SignatureInvalid},
    ),
    ("the certificate is gone", lambda d: material(d).pop("certificate"), {Reason.BundleMalformed}),
    ("the certificate is garbage", lambda d: material(d)["certificate"].update(rawBytes="AAAA"), {Reason.BundleMalformed}),
    ("there is a key beside the certificate", lambda d: material(d).update(publicKey={"hint": "x"}), {Reason.BundleMalformed}),
    ("the payload type is another", lambda d: d["dsseEnvelope"].update(payloadType="text/plain"), {Reason.PayloadTypeUnexpected}),
    ("it signs plain bytes", lambda d: d.update(messageSignature={"signature": "AAAA"}), {Reason.BundleMalformed}),
    ("it has a member of nobody's", lambda d: d.update(extra=1), {Reason.BundleMalformed}),
    ("a field is written a second way", lambda d: d.update(dsse_envelope=d["dsseEnvelope"]), {Reason.BundleMalformed}),
    ("a field is written a second way inside", lambda d: material(d).update(tlog_entries=material(d)["tlogEntries"]), {Reason.BundleMalformed}),
    ("base64 holds junk", lambda d: signature(d).update(sig=signature(d)["sig"] + "\n"), {Reason.BundleMalformed}),
    ("base64 is without padding", lambda d: entry(d)["logId"].update(keyId=entry(d)["logId"]["keyId"].rstrip("=")), {Reason.LogEntryInvalid}),
    ("it is of a version to come, with a member of it", lambda d: d.update(mediaType=LATER, witnesses=[]), {Reason.BundleMalformed}),
    ("its version is none", lambda d: d.update(mediaType=LATER.replace("v0.4", "v0.04")), {Reason.BundleMalformed}),
    ("it is of an earlier version in the spelling of a later one", lambda d: d.update(mediaType=LATER.replace("v0.4", "v0.2")), {Reason.BundleMalformed}),
]


@pytest.mark.parametrize("rekor", [1, 2])
@pytest.mark.parametrize(("edit", "reasons"), [pytest.param(edit, reasons, id=name) for name, edit, reasons in EDITS])
def test_a_bundle_is_refused_when(edit: Callable[[Json], object], reasons: set[Reason], rekor: int) -> None:
    assert refusal(edited(bundle(rekor), edit)) in reasons


@pytest.mark.parametrize(
    "edit",
    [
        lambda d: material(d).update(tlog_entries=[]),
        lambda d: d.update(mediaType=LATER.replace("v0.4", "v0.2")),
        lambda d: d["dsseEnvelope"].update(signatures=[signature(d)] * 2),
        lambda d: material(d).update(certificate={"rawBytes": "AAAA"}),
        lambda d: material(d).update(publicKey="p256"),
        lambda d: material(d)["publicKey"].update(hint=7),
    ],
)
def test_a_key_bundle_of_another_shape_is_malformed_although_its_signature_holds(edit: Callable[[Json], object]) -> None:
    assert refusal(edited(sign_with_key(STATEMENT, plain_keys()["p256"], "p256"), edit), key_anchors()) is Reason.BundleMalformed


@pytest.mark.parametrize("version", ["0.3.1", "0.4", "0.10.2", "1.0"])
def test_a_bundle_of_a_later_version_is_read_as_the_newest_that_is_known(version: str) -> None:
    later = edited(bundle(), lambda d: d.update(mediaType=LATER.replace("0.4", version)))
    assert verify_bundle(later, anchors()).payload == verify_bundle(bundle(), anchors()).payload
    promised = edited(later, lambda d: entry(d).pop("inclusionProof"))
    assert refusal(promised) is Reason.LogEntryInvalid, "only version 0.1 does without a proof"


def test_base64_has_one_spelling() -> None:
    """The last character before the padding carries bits that no byte takes; most decoders ignore them."""

    def respell(document: Json) -> None:
        spelled = entry(document)["logId"]["keyId"]
        assert spelled[-1] == "="
        entry(document)["logId"]["keyId"] = spelled[:-2] + chr(ord(spelled[-2]) + 1) + "="

    error = error_of(lambda: verify_bundle(edited(bundle(), respell), anchors()))
    assert (error.reason, "another spelling" in str(error)) == (Reason.LogEntryInvalid, True)


def test_an_entry_that_is_not_the_newest_verifies_against_the_size_that_the_log_signed_and_no_other() -> None:
    """For an older entry several sizes make a proof of the same shape; only the checkpoint says which is true."""
    private = PrivateSigstore.create(now=NOW)
    trust = TrustAnchors.sigstore("ci", private.trusted_root_json)
    first, *_ = [private.sign_statement(STATEMENT, identity=TRAINER, issuer=ISSUER, when=NOW) for _ in range(3)]
    proven = edited(first, lambda d: entry(d).update(inclusionProof=private.logs[1].inclusion_proof(0)))
    assert verify_bundle(proven, trust).signed_at == LOGGED
    lied = edited(proven, lambda d: entry(d)["inclusionProof"].update(treeSize="4"))
    assert "the log signed another" in str(error_of(lambda: verify_bundle(lied, trust)))


def test_the_two_places_of_the_issuer_must_agree() -> None:
    assert refusal(sign(STATEMENT, deprecated_issuer="https://evil.example.com")) is Reason.IdentityMalformed
    assert verify_bundle(sign(STATEMENT, deprecated_issuer=""), anchors()).signer.issuer == ISSUER
    assert verify_bundle(sign(STATEMENT, issuer="", deprecated_issuer=ISSUER), anchors()).signer.issuer == ISSUER
    assert refusal(sign(STATEMENT, issuer="")) is Reason.IdentityMalformed


def test_an_older_integrated_time_is_refused() -> None:
    assert refusal(edited(bundle(), lambda d: entry(d).update(integratedTime=str(int(entry(d)["integratedTime"]) - 1)))) is Reason.LogEntryInvalid


@pytest.mark.parametrize("time", ["", "-1", "٣", "1e9", "253402300800", "9" * 40])
def test_a_time_that_is_no_number_of_seconds_is_refused(time: str) -> None:
    assert refusal(edited(bundle(), lambda d: entry(d).update(integratedTime=time))) in {
        Reason.LogEntryInvalid,
        Reason.BundleMalformed,
        Reason.TimestampMissing,
    }


def test_a_time_without_the_logs_promise_is_no_time() -> None:
    assert refusal(edited(bundle(), lambda d: entry(d).pop("inclusionPromise"))) is Reason.TimestampMissing


def test_an_entry_without_any_time_is_refused() -> None:
    assert refusal(edited(bundle(2), lambda d: material(d).pop("timestampVerificationData"))) is Reason.TimestampMissing


def test_a_timestamp_over_another_signature_is_refused() -> None:
    foreign = json.loads(sign(STATEMENT, rekor=2))["verificationMaterial"]["timestampVerificationData"]
    assert refusal(edited(bundle(2), lambda d: material(d).update(timestampVerificationData=foreign))) is Reason.TimestampInvalid


def test_a_timestamp_over_another_signature_is_not_covered_for_by_one_that_holds() -> None:
    foreign = json.loads(sign(STATEMENT, rekor=2))["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"]
    raw = edited(bundle(2), lambda d: material(d)["timestampVerificationData"]["rfc3161Timestamps"].extend(foreign))
    assert refusal(raw) is Reason.TimestampInvalid


@pytest.mark.parametrize("rekor", [1, 2])
def test_a_signature_logged_after_its_certificate_ended_is_refused(rekor: int) -> None:
    assert refusal(sign(STATEMENT, rekor=rekor, logged_after=timedelta(minutes=11))) is Reason.CertificateUntrusted


@pytest.mark.parametrize(
    "names",
    [
        [x509.UniformResourceIdentifier(TRAINER), x509.UniformResourceIdentifier("https://evil.example.com")],
        [x509.RFC822Name("a@example.com"), x509.UniformResourceIdentifier(TRAINER)],
        [x509.DNSName("git.example.com")],
        [x509.OtherName(ObjectIdentifier("1.2.3.4"), b"\x0c\x01a")],
    ],
)
def test_a_certificate_that_does_not_name_exactly_one_identity_is_refused(names: list[x509.GeneralName]) -> None:
    assert refusal(sign(STATEMENT, identity=names)) is Reason.IdentityMalformed


def test_email_addresses_and_usernames_are_identities() -> None:
    assert verify_bundle(sign(STATEMENT, identity="trainer@example.com"), anchors()).signer.identity == "trainer@example.com"
    username = [x509.OtherName(USERNAME, b"\x16\x0aci!example")]
    assert refusal(sign(STATEMENT, identity=username)) is Reason.IdentityMalformed, "an IA5String is no UTF8String"
    username = [x509.OtherName(USERNAME, b"\x0c\x0aci!example")]
    assert verify_bundle(sign(STATEMENT, identity=username), anchors()).signer.identity == "ci!example"


def test_a_long_issuer_is_read_whole() -> None:
    issuer = "https://token.example.com/" + "x" * 150
    assert verify_bundle(sign(STATEMENT, issuer=issuer), anchors()).signer.issuer == issuer


def test_control_characters_in_names_are_refused() -> None:
    assert refusal(sign(STATEMENT, issuer="https://a\n.example.com")) is Reason.IdentityMalformed


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"\x00" * 100, b'{"mediaType": 1}', b"{" * 5_000, json.dumps({"mediaType": "x" * 10_000}).encode()])
def test_bytes_that_are_no_bundle_are_malformed(raw: bytes) -> None:
    assert refusal(raw) is Reason.BundleMalformed
    assert refusal(raw, key_anchors()) is Reason.BundleMalformed


def test_five_megabytes_are_too_large_before_they_are_parsed() -> None:
    assert refusal(b'{"a":"' + b"x" * 5_000_000 + b'"}') is Reason.BundleTooLarge


def test_a_bundle_of_many_small_values_is_too_large_before_it_is_parsed() -> None:
    """A list of files may be long; it is one string of the bundle."""
    assert refusal(b'{"mediaType": [' + b"0," * 10_000 + b"0]}") is Reason.BundleTooLarge
    assert refusal(edited(bundle(), lambda d: d.update(more=[0] * 1_000))) is Reason.BundleMalformed


def test_a_member_given_twice_is_refused() -> None:
    assert refusal(bundle().replace(b'"dsseEnvelope"', b'"dsseEnvelope": {}, "dsseEnvelope"')) is Reason.BundleMalformed


def test_a_private_sigstore_in_a_folder_signs_on_after_a_restart(tmp_path: Path) -> None:
    first = PrivateSigstore.in_folder(tmp_path / "s", now=NOW)
    trust = TrustAnchors.sigstore("ci", first.trusted_root_json)
    before = first.sign_statement(STATEMENT, identity=TRAINER, issuer=ISSUER, when=NOW)
    again = PrivateSigstore.in_folder(tmp_path / "s")
    after = again.sign_statement(STATEMENT, identity=TRAINER, issuer=ISSUER, when=NOW)
    assert verify_bundle(before, trust).signer.identity == verify_bundle(after, trust).signer.identity
    assert entry(json.loads(after))["logIndex"] == "1", "the log goes on where it was"
    assert again.trusted_root_json == first.trusted_root_json
    assert sigstore().trusted_root_json != first.trusted_root_json
