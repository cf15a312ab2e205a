"""Bundles of every kind: what was signed, by whom, in which version, who saw it, and when."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier
from sigstore.verify.policy import Identity
from sigstore_models.trustroot.v1 import TrustedRoot as TrustedRootModel

from e2e.sigstore import PrivateSigstore, model_signature_statement, sign_with_key
from e2e.sigstore.authority import Authority
from e2e.sigstore.bundles import Logged, Stamped, bundle
from e2e.sigstore.entries import PlainKey, Signature, sign
from e2e.sigstore.timestamps import timestamp
from sluice.provenance.bundle import verify_bundle, verify_message
from sluice.provenance.digests import sha256_of
from sluice.provenance.errors import Reason
from sluice.provenance.keys import RsaPadding
from sluice.provenance.trust import ONE_LOG, TrustAnchors
from sluice.provenance.witnesses import Thresholds
from tests.bundles import ARTIFACT, KEY_NAME, KINDS, Kind, keyed_anchors, make, merged_root, signature
from tests.signing import FILES, ISSUER, LOGGED, NOW, TRAINER, Json, anchors, edited, error_of, plain_keys, public_pem, refusal, sigstore

DIGEST = sha256_of(ARTIFACT)


def material(document: Json) -> Json:
    return document["verificationMaterial"]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_bundle_of_each_kind_says_who_signed_and_when(kind: Kind) -> None:
    verified = kind.verify(make(kind))
    assert verified.signed_at == (LOGGED if kind.dated else None)
    if kind.keyed:
        assert (verified.signer.key, verified.signer.identity) == (KEY_NAME, None)
    else:
        assert (verified.signer.identity, verified.signer.issuer) == (TRAINER, ISSUER)
        assert len(verified.signer.chain_fingerprints) == 3


ORACLE_KNOWS = [kind for kind in KINDS if not kind.keyed and len(kind.entries) == 1 and kind.entries[0] in {"dsse 0.0.1", "hashedrekord 0.0.2"}]


@pytest.mark.parametrize("kind", ORACLE_KNOWS, ids=str)
def test_the_kinds_that_sigstore_python_verifies_it_verifies_too(kind: Kind) -> None:
    """So that neither the bundles of these tests nor our reading of them is a dialect of our own."""
    verifier = Verifier(trusted_root=TrustedRoot(TrustedRootModel.from_json(sigstore().trusted_root_json)))
    parsed, policy = Bundle.from_json(make(kind)), Identity(identity=TRAINER, issuer=ISSUER)
    if kind.message:
        verifier.verify_artifact(ARTIFACT, parsed, policy)
    else:
        verifier.verify_dsse(parsed, policy)


def test_an_artifact_is_verified_by_its_bytes_or_its_digest_alone() -> None:
    for kind in (kind for kind in KINDS if kind.message):
        by_digest = verify_message(make(kind), DIGEST, kind.trust)
        assert by_digest == kind.verify(make(kind))
        assert by_digest.sha256 == DIGEST


@pytest.mark.parametrize("artifact", [b"something else", sha256_of(b"something else")])
def test_another_artifact_is_refused_whether_or_not_the_bundle_says_which_it_is(artifact: bytes | str) -> None:
    raw = make(next(kind for kind in KINDS if kind.message and kind.keyed))
    assert error_of(lambda: verify_message(raw, artifact, keyed_anchors())).reason is Reason.ArtifactMismatch
    silent = edited(raw, lambda document: document["messageSignature"].pop("messageDigest"))
    assert error_of(lambda: verify_message(silent, artifact, keyed_anchors())).reason is Reason.SignatureInvalid


def test_a_statement_is_no_message_and_a_message_no_statement() -> None:
    statement, message = (make(next(kind for kind in KINDS if kind.message is which)) for which in (False, True))
    assert error_of(lambda: verify_message(statement, ARTIFACT, anchors())).reason is Reason.BundleMalformed
    assert error_of(lambda: verify_bundle(message, anchors())).reason is Reason.BundleMalformed


def message_by(key: PlainKey, *, pss: bool = False, algorithm: hashes.HashAlgorithm | None = None) -> bytes:
    value = sign(key, ARTIFACT, pss=pss, algorithm=algorithm)
    return bundle(Signature(content=ARTIFACT, payload=None, value=value, key=key, certificate=None), hint="one")


def one_key(key: PlainKey, padding: RsaPadding = RsaPadding.PKCS1V15) -> TrustAnchors:
    return TrustAnchors.keys("one", {"one": public_pem(key)}, rsa_padding={"one": padding})


@pytest.mark.parametrize("name", sorted(plain_keys()))
def test_each_kind_of_key_signs_artifacts(name: str) -> None:
    key = plain_keys()[name]
    assert verify_message(message_by(key), ARTIFACT, one_key(key)).signer.key == "one"
    assert error_of(lambda: verify_message(message_by(key), ARTIFACT + b"!", one_key(key))).reason is Reason.ArtifactMismatch


@pytest.mark.parametrize(("name", "algorithm"), [("p384", "sha384"), ("p521", "sha512"), ("ed25519", "sha512"), ("p256", "sha384")])
def test_a_bundle_may_name_its_artifact_by_a_longer_digest(name: str, algorithm: str) -> None:
    """As sigstore-go does for larger curves."""

    def named(content: bytes) -> bytes:
        digest = {"algorithm": "SHA2_" + algorithm.removeprefix("sha"), "digest": base64.b64encode(hashlib.new(algorithm, content).digest()).decode()}
        return edited(message_by(plain_keys()[name]), lambda d: d["messageSignature"].update(messageDigest=digest))

    trust = one_key(plain_keys()[name])
    assert verify_message(named(ARTIFACT), ARTIFACT, trust).signer.key == "one"
    assert error_of(lambda: verify_message(named(b"other"), ARTIFACT, trust)).reason is Reason.ArtifactMismatch
    assert error_of(lambda: verify_message(named(ARTIFACT), DIGEST, trust)).reason is Reason.ArtifactNeeded


def test_a_key_that_signs_the_content_itself_needs_it() -> None:
    ed25519 = plain_keys()["ed25519"]
    assert error_of(lambda: verify_message(message_by(ed25519), DIGEST, one_key(ed25519))).reason is Reason.ArtifactNeeded


@pytest.mark.parametrize("name", ["p384", "p521"])
def test_larger_curves_may_sign_over_sha256_as_older_clients_do_and_over_no_other_hash_than_their_own(name: str) -> None:
    key = plain_keys()[name]
    assert verify_message(message_by(key, algorithm=hashes.SHA256()), DIGEST, one_key(key)).signer.key == "one"
    other = hashes.SHA512() if name == "p384" else hashes.SHA384()
    assert error_of(lambda: verify_message(message_by(key, algorithm=other), ARTIFACT, one_key(key))).reason is Reason.SignatureInvalid


@pytest.mark.parametrize("name", ["p384", "p521"])
def test_a_larger_curve_that_signed_over_its_own_hash_needs_the_content(name: str) -> None:
    raw, trust = message_by(plain_keys()[name]), one_key(plain_keys()[name])
    assert verify_message(raw, ARTIFACT, trust).signer.key == "one"
    assert error_of(lambda: verify_message(raw, DIGEST, trust)).reason is Reason.ArtifactNeeded


def test_p256_and_rsa_sign_over_sha256_only() -> None:
    for name in ("p256", "rsa"):
        raw = message_by(plain_keys()[name], algorithm=hashes.SHA512())
        trust = one_key(plain_keys()[name])
        assert error_of(lambda raw=raw, trust=trust: verify_message(raw, ARTIFACT, trust)).reason is Reason.SignatureInvalid  # type: ignore[misc]  # the lambda binds its own


@pytest.mark.parametrize("padding", RsaPadding)
def test_the_trust_root_says_how_an_rsa_key_signs_and_the_other_way_is_refused(padding: RsaPadding) -> None:
    key = plain_keys()["rsa"]
    assert isinstance(key, rsa.RSAPrivateKey)
    pss = padding is RsaPadding.PSS
    statement = model_signature_statement(FILES)
    assert verify_bundle(sign_with_key(statement, key, "one", pss=pss), one_key(key, padding)).signer.key == "one"
    assert refusal(sign_with_key(statement, key, "one", pss=not pss), one_key(key, padding)) is Reason.SignatureInvalid
    assert one_key(key).digest != one_key(key, RsaPadding.PSS).digest, "facts of one reading are no facts of the other"


def test_the_hint_may_be_written_as_cosign_writes_it() -> None:
    key = plain_keys()["p384"]
    trust = TrustAnchors.keys("two", {"one": public_pem(key), "two": public_pem(plain_keys()["p256"])})
    hint = base64.b64encode(bytes.fromhex(trust.named_keys["one"].fingerprint.removeprefix("sha256:"))).decode()
    raw = sign_with_key(model_signature_statement(FILES), plain_keys()["p256"], hint)
    assert refusal(raw, trust) is Reason.SignatureInvalid, "the hint named the other key"


# Who saw it, and how many.


def other() -> PrivateSigstore:
    return PrivateSigstore.create(now=NOW)


def seen_by(*instances: PrivateSigstore, operators: tuple[str, ...] = (), twice: bool = False, asked: Thresholds = ONE_LOG) -> tuple[bytes, TrustAnchors]:
    """A statement of the first instance's signer that the logs and timestamp authorities of all `instances` saw (each log twice on request)."""
    signed = signature(keyed=False, message=False, by=instances[0])
    logged = [Logged(kind="dsse 0.0.1", log=each.logs[1], when=LOGGED) for each in instances for _ in range(1 + twice)]
    stamped = [Stamped(unit=each.timestamping, when=LOGGED) for each in instances for _ in range(1 + twice)]
    trust = TrustAnchors.sigstore("all", merged_root(*instances, operators=operators), required=asked)
    return bundle(signed, logged=logged, stamped=stamped), trust


def test_several_logs_and_timestamps_count_once_for_each_authority() -> None:
    raw, trust = seen_by(other(), other(), asked=Thresholds(logs=2, timestamps=2))
    assert verify_bundle(raw, trust).signed_at == LOGGED


@pytest.mark.parametrize("asked", [Thresholds(logs=2, timestamps=0), Thresholds(logs=1, timestamps=2)])
def test_two_entries_of_one_log_and_two_timestamps_of_one_authority_are_one_witness(asked: Thresholds) -> None:
    raw, trust = seen_by(other(), twice=True, asked=asked)
    assert refusal(raw, trust) is Reason.TooFewWitnesses
    raw, trust = seen_by(other(), twice=True)
    assert verify_bundle(raw, trust).signed_at == LOGGED


@pytest.mark.parametrize("asked", [Thresholds(logs=2, timestamps=0), Thresholds(logs=1, timestamps=2)])
def test_two_authorities_of_one_operator_are_one_witness(asked: Thresholds) -> None:
    raw, trust = seen_by(other(), other(), operators=("one.example", "one.example"), asked=asked)
    assert refusal(raw, trust) is Reason.TooFewWitnesses
    raw, trust = seen_by(other(), other(), operators=("one.example", "two.example"), asked=asked)
    assert verify_bundle(raw, trust).signed_at == LOGGED


def test_a_witness_that_the_trust_root_does_not_hold_is_not_outvoted() -> None:
    one, two = other(), other()
    raw, _ = seen_by(one, two)
    only_one = TrustAnchors.sigstore("one", one.trusted_root_json)
    assert refusal(raw, only_one) is Reason.LogEntryInvalid
    without_entry = edited(raw, lambda document: material(document)["tlogEntries"].pop())
    assert refusal(without_entry, only_one) is Reason.TimestampInvalid


@pytest.mark.parametrize("path", [("tlogEntries",), ("timestampVerificationData", "rfc3161Timestamps")])
def test_a_bundle_brings_at_most_eight_of_each_kind_of_witness(path: tuple[str, ...]) -> None:
    def nine(document: Json) -> None:
        holder = material(document)
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] *= 9

    raw = edited(stamped_at(LOGGED), nine)
    assert "at most 8 are read" in str(error_of(lambda: verify_bundle(raw, anchors())))


def test_a_plain_key_may_be_asked_for_witnesses() -> None:
    pems = {KEY_NAME: public_pem(plain_keys()[KEY_NAME])}
    logged = TrustAnchors.keys("keys", pems, witnesses=sigstore().trusted_root_json, required=Thresholds(logs=1, timestamps=0))
    assert verify_bundle(make(Kind(keyed=True, entries=("dsse 0.0.1",))), logged).signed_at == LOGGED
    assert refusal(make(Kind(keyed=True)), logged) is Reason.TooFewWitnesses


def test_the_log_entry_of_a_certificate_proves_nothing_about_a_key_and_the_other_way_around() -> None:
    by_key, by_certificate = make(Kind(keyed=True, entries=("dsse 0.0.1",))), make(Kind(entries=("dsse 0.0.1",)))
    entries = material(json.loads(by_certificate))["tlogEntries"]
    assert refusal(edited(by_key, lambda document: material(document).update(tlogEntries=entries)), keyed_anchors()) is Reason.LogEntryInvalid


def stamped_at(*times: datetime) -> bytes:
    logged = [Logged(kind="hashedrekord 0.0.2", log=sigstore().logs[2], when=NOW)]
    return bundle(signature(keyed=False, message=False), logged=logged, stamped=[Stamped(unit=sigstore().timestamping, when=time) for time in times])


def test_every_timestamp_has_to_lie_within_the_certificate() -> None:
    ends = NOW + timedelta(minutes=10)
    assert verify_bundle(stamped_at(LOGGED, ends), anchors()).signed_at == LOGGED
    assert refusal(stamped_at(LOGGED, ends + timedelta(seconds=1))) is Reason.CertificateUntrusted
    assert refusal(stamped_at(NOW - timedelta(seconds=1), LOGGED)) is Reason.CertificateUntrusted


@pytest.mark.parametrize("with_certificate", [True, False])
@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_timestamps_are_over_any_of_three_hashes_and_may_leave_out_the_certificate_that_the_trust_root_holds(algorithm: str, with_certificate: bool) -> None:
    signed = signature(keyed=False, message=False)
    raw = bundle(signed, logged=[Logged(kind="hashedrekord 0.0.2", log=sigstore().logs[2], when=NOW)])

    def stamp(unit: Authority) -> bytes:
        stamped = timestamp(signed.value, when=LOGGED, unit=unit, algorithm=algorithm, with_certificate=with_certificate)
        data = {"rfc3161Timestamps": [{"signedTimestamp": base64.b64encode(stamped).decode()}]}
        return edited(raw, lambda document: material(document).update(timestampVerificationData=data))

    assert verify_bundle(stamp(sigstore().timestamping), anchors()).signed_at == LOGGED
    assert refusal(stamp(other().timestamping)) is Reason.TimestampInvalid
    assert refusal(stamp(sigstore().intermediate)) is Reason.TimestampInvalid, "it is no authority for timestamps"


def test_the_earliest_time_is_when_it_was_signed() -> None:
    assert verify_bundle(stamped_at(LOGGED + timedelta(seconds=9), LOGGED), anchors()).signed_at == LOGGED


def timestamping(edit: Callable[[Json], object]) -> TrustAnchors:
    return TrustAnchors.sigstore("ci", edited(sigstore().trusted_root_json, lambda root: edit(root["timestampAuthorities"])).decode())


def test_the_window_of_a_timestamp_authority_ends_with_its_last_second_and_is_not_lent_by_another() -> None:
    def until(end: datetime) -> Callable[[Json], object]:
        return lambda authorities: authorities[0]["validFor"].update(end=end.isoformat())

    raw = stamped_at(LOGGED)
    assert verify_bundle(raw, timestamping(until(LOGGED))).signed_at == LOGGED
    assert refusal(raw, timestamping(until(LOGGED - timedelta(seconds=1)))) is Reason.TrustExpired

    def with_a_lender(authorities: Json) -> None:
        until(LOGGED - timedelta(seconds=1))(authorities)
        authorities.extend(json.loads(other().trusted_root_json)["timestampAuthorities"])

    assert refusal(raw, timestamping(with_a_lender)) is Reason.TrustExpired


def test_a_chain_that_is_none_and_a_root_of_nobody_are_refused() -> None:
    signed = signature(keyed=False, message=False)
    middle, root = sigstore().intermediate.certificate, sigstore().root.certificate
    logged = [Logged(kind="dsse 0.0.1", log=sigstore().logs[1], when=LOGGED)]
    assert verify_bundle(bundle(signed, chain=[middle], logged=logged), anchors()).signer.identity == TRAINER
    assert refusal(bundle(signed, chain=[middle, root], logged=logged)) is Reason.BundleMalformed, "the specification lets no bundle carry a root"
    assert refusal(bundle(signed, chain=[root, middle], logged=logged)) is Reason.BundleMalformed
    assert refusal(bundle(signed, chain=(other().intermediate.certificate,), logged=logged)) is Reason.BundleMalformed
    foreign = signature(keyed=False, message=False, by=other())
    assert refusal(bundle(foreign, logged=logged)) is Reason.CertificateUntrusted
