"""Trust roots: what can be used, and when."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from e2e.sigstore import PrivateSigstore, model_signature_statement, sign_with_key
from sluice.api.trust import TrustRootSpec
from sluice.provenance.bundle import verify_bundle
from sluice.provenance.errors import Reason
from sluice.provenance.trust import TrustAnchors
from tests.signing import FILES, LOGGED, NOW, Json, anchors, bundle, edited, error_of, key_anchors, plain_keys, public_pem, refusal, sigstore


def root(edit: Callable[[Json], object]) -> TrustAnchors:
    return TrustAnchors.sigstore("ci", edited(sigstore().trusted_root_json, edit).decode())


def window(part: str, index: int, **valid_for: str) -> TrustAnchors:
    def edit(document: Json) -> None:
        entry = document[part][index]
        (entry.get("publicKey") or entry)["validFor"] = {"start": "2020-01-01T00:00:00Z"} | valid_for

    return root(edit)


@pytest.mark.parametrize(("part", "rekor"), [("tlogs", 1), ("tlogs", 2), ("certificateAuthorities", 1), ("ctlogs", 1), ("timestampAuthorities", 2)])
def test_material_whose_window_ended_before_the_signature_vouches_for_nothing(part: str, rekor: int) -> None:
    index = rekor - 1 if part == "tlogs" else 0
    ended = window(part, index, end=(NOW - timedelta(seconds=1)).isoformat())
    assert refusal(bundle(rekor), ended) in {Reason.TrustExpired, Reason.LogEntryInvalid, Reason.TimestampInvalid}


@pytest.mark.parametrize(("part", "rekor"), [("tlogs", 1), ("tlogs", 2), ("certificateAuthorities", 1), ("ctlogs", 1), ("timestampAuthorities", 2)])
def test_material_whose_window_starts_after_the_signature_vouches_for_nothing(part: str, rekor: int) -> None:
    index = rekor - 1 if part == "tlogs" else 0
    later = window(part, index, start=(LOGGED + timedelta(seconds=1)).isoformat())
    assert refusal(bundle(rekor), later) in {Reason.TrustExpired, Reason.LogEntryInvalid, Reason.TimestampInvalid}


@pytest.mark.parametrize(("part", "rekor"), [("tlogs", 1), ("tlogs", 2), ("certificateAuthorities", 1), ("ctlogs", 1), ("timestampAuthorities", 2)])
def test_a_window_that_ended_after_the_signature_still_vouches_for_it(part: str, rekor: int) -> None:
    index = rekor - 1 if part == "tlogs" else 0
    assert verify_bundle(bundle(rekor), window(part, index, end=LOGGED.isoformat())).signed_at == LOGGED


def test_a_certificate_promised_by_a_retired_log_is_refused_although_another_log_is_valid() -> None:
    def retire(document: Json) -> None:
        other = json.loads(PrivateSigstore.create(now=NOW).trusted_root_json)["ctlogs"][0]
        document["ctlogs"][0]["publicKey"]["validFor"] = {"start": "2020-01-01T00:00:00Z", "end": (NOW - timedelta(days=1)).isoformat()}
        document["ctlogs"].append(other)

    assert refusal(bundle(), root(retire)) is Reason.TrustExpired


def test_a_window_that_opens_in_the_far_future_does_not_disturb_what_is_valid_now() -> None:
    def two_logs(document: Json) -> None:
        twin = json.loads(json.dumps(document["tlogs"][0]))
        twin["publicKey"]["validFor"] = {"start": "2090-01-01T00:00:00Z"}
        document["tlogs"].insert(0, twin)

    assert verify_bundle(bundle(), root(two_logs)).signed_at == LOGGED


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (lambda d: d.update(tlogs=[]), "0 tlogs"),
        (lambda d: d.update(ctlogs=[]), "0 ctlogs"),
        (lambda d: d.update(certificateAuthorities=[]), "0 certificateAuthorities"),
        (lambda d: d.update(tlogs=d["tlogs"] * 40), "80 tlogs"),
        (lambda d: d.update(timestampAuthorities=d["timestampAuthorities"] * 40), "timestampAuthorities"),
        (lambda d: d.update(mediaType="text/plain"), "does not parse"),
        (lambda d: d.update(surprise=1), "does not parse"),
        (lambda d: d.update(certificate_authorities=[]), "lowerCamelCase"),
        (lambda d: d["certificateAuthorities"][0]["certChain"].update(certificates=[]), "0 certificates"),
        (lambda d: d["certificateAuthorities"][0]["certChain"]["certificates"][0].update(rawBytes="AAAA"), "does not parse"),
        (lambda d: d["certificateAuthorities"][0].update(validFor={"start": "2020-01-01T00:00:00"}), "time zone"),
        (lambda d: d["tlogs"][0]["publicKey"].update(rawBytes="AAAA"), "does not parse"),
        (lambda d: d["tlogs"][0]["publicKey"].update(validFor={"end": "2090-01-01T00:00:00Z"}), "start"),
        (lambda d: d["tlogs"][0].update(logId=d["tlogs"][1]["logId"]), "two keys under one logId"),
        (lambda d: d.update(certificateAuthorities=d["timestampAuthorities"]), "no certificate authority"),
        (lambda d: d["certificateAuthorities"][0].update(subject=None), "does not parse"),
        (lambda d: d["timestampAuthorities"].append(d["timestampAuthorities"][0] | {"certChain": {"certificates": []}}), "0 certificates"),
        (lambda d: d["certificateAuthorities"].append(other_authority(ExtendedKeyUsageOID.SERVER_AUTH)), "not for signing code"),
    ],
)
def test_a_trusted_root_that_cannot_be_used_says_why(edit: Callable[[Json], object], complaint: str) -> None:
    error = error_of(lambda: root(edit))
    assert error.reason is Reason.TrustRootMalformed
    assert complaint in str(error)


def other_authority(purpose: ObjectIdentifier) -> Json:
    """An authority of the same name as the one that issued, with a key of its own, limited to `purpose`."""
    own = sigstore().intermediate.certificate
    key = ec.generate_private_key(ec.SECP256R1())
    made = (
        x509.CertificateBuilder(own.subject, own.subject, key.public_key(), 1, own.not_valid_before_utc, own.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain = {"certificates": [{"rawBytes": base64.b64encode(made.public_bytes(serialization.Encoding.DER)).decode()}]}
    return {"subject": {"organization": "x", "commonName": "y"}, "certChain": chain, "validFor": {"start": "2020-01-01T00:00:00Z"}}


def test_an_authority_of_the_same_name_does_not_stand_in_the_way_of_the_one_that_issued() -> None:
    """The promise of the certificate log is over the issuer's key: a verifier that finds the issuer by its name takes the wrong one."""
    assert verify_bundle(bundle(), root(lambda d: d["certificateAuthorities"].insert(0, other_authority(ExtendedKeyUsageOID.CODE_SIGNING)))).signed_at == LOGGED


def test_what_protobuf_leaves_out_when_it_is_empty_may_be_left_out() -> None:
    def cut(document: Json) -> None:
        document["certificateAuthorities"][0].pop("subject")
        document["timestampAuthorities"][0]["subject"].pop("organization")

    assert verify_bundle(bundle(), root(cut)).signed_at == LOGGED


@pytest.mark.parametrize("text", ["", "null", "{", "\ud800", '{"tlogs": [], "tlogs": []}', "x" * 300_000])
def test_text_that_is_no_trusted_root_is_refused(text: str) -> None:
    assert error_of(lambda: TrustAnchors.sigstore("ci", text)).reason is Reason.TrustRootMalformed


def test_the_digest_names_the_material_and_the_trust_root() -> None:
    text = sigstore().trusted_root_json
    assert TrustAnchors.sigstore("ci", json.dumps(json.loads(text))).digest == anchors().digest, "white space is no material"
    others = {TrustAnchors.sigstore("other", text).digest, window("tlogs", 0, end=NOW.isoformat()).digest, key_anchors().digest, anchors().digest}
    assert len(others) == 4


def test_the_digest_of_keys_names_each_key_and_its_name() -> None:
    one, two = public_pem(plain_keys()["p256"]), public_pem(plain_keys()["ed25519"])
    digests = {TrustAnchors.keys("k", keys).digest for keys in ({"a": one}, {"b": one}, {"a": two}, {"a": one, "b": two}, {"a": two, "b": one})}
    assert len(digests) == 5


@pytest.mark.parametrize(
    "pem",
    [
        "",
        "not a key",
        "é",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "x" * 10_000,
        public_pem(ec.generate_private_key(ec.SECP224R1())),
        public_pem(ec.generate_private_key(ec.SECP256K1())),
        public_pem(x25519.X25519PrivateKey.generate()),
        public_pem(rsa.generate_private_key(public_exponent=65537, key_size=1024)),  # noqa: S505 - that is the point
        plain_keys()["p256"].private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode(),
    ],
)
def test_a_key_that_is_weak_unknown_or_no_key_is_refused_by_name(pem: str) -> None:
    error = error_of(lambda: TrustAnchors.keys("release-keys", {"mine": pem}))
    assert error.reason is Reason.TrustRootMalformed
    assert "'mine'" in str(error)


def test_one_key_under_two_names_is_refused() -> None:
    pem = public_pem(plain_keys()["p256"])
    assert "two names" in str(error_of(lambda: TrustAnchors.keys("k", {"a": pem, "b": pem})))


@pytest.mark.parametrize("count", [0, 17])
def test_the_number_of_keys_is_bounded(count: int) -> None:
    pem = public_pem(plain_keys()["p256"])
    assert "1 to 16" in str(error_of(lambda: TrustAnchors.keys("k", {f"key-{index}": pem for index in range(count)})))


def of_spec(**spec: Json) -> TrustAnchors:
    return TrustAnchors.of_spec("ci", TrustRootSpec.model_validate(spec))


def test_each_field_of_a_trust_root_decides_something() -> None:
    """What each means has its own tests; here, that the field in the object is the one that is read."""
    root = sigstore().trusted_root_json
    assert of_spec(sigstore={"trustedRoot": root}).digest == anchors().digest
    for asked in ({"logs": 2}, {"timestamps": 1}):
        assert refusal(bundle(), of_spec(sigstore={"trustedRoot": root, "thresholds": asked})) is Reason.TooFewWitnesses

    rsa_key = plain_keys()["rsa"]
    raw = sign_with_key(model_signature_statement(FILES), rsa_key, "k", pss=True)
    assert refusal(raw, of_spec(keys=[{"name": "k", "pem": public_pem(rsa_key)}])) is Reason.SignatureInvalid
    assert verify_bundle(raw, of_spec(keys=[{"name": "k", "pem": public_pem(rsa_key), "rsaPadding": "PSS"}])).signer.key == "k"

    pem, dating = (each.certificate.public_bytes(serialization.Encoding.PEM).decode() for each in (sigstore().root, sigstore().timestamp_root))
    private: Json = {"pem": pem, "timestampPem": dating}
    specs: list[Json] = [private, private | {"timestamps": 1}, private | {"undated": "Accept"}, {"pem": pem, "undated": "Accept"}, private | {"pem": dating}]
    assert len({of_spec(certificateAuthorities=each).digest for each in specs}) == len(specs)
    assert of_spec(certificateAuthorities=private).authorities is not None
