"""Facts: what a bundle proves, and to which digest it binds."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from e2e.sigstore import evaluation_statement, lm_eval_results, model_signature_statement, sign_with_key, slsa_statement
from sluice.evidence.claims import read_claims
from sluice.evidence.evaluation import Evaluation
from sluice.evidence.facts import OtherStatement, content_digest, establish, fact_key
from sluice.provenance.errors import Reason
from sluice.provenance.model_signature import ModelManifest
from sluice.provenance.slsa import BuildProvenance
from sluice.provenance.trust import TrustAnchors
from tests.signing import FILES, ISSUER, LOGGED, NOW, TRAINER, anchors, bundle, edited, error_of, flipped, key_anchors, plain_keys, sign, sigstore

IMAGE = "sha256:" + "1" * 64
RAW = lm_eval_results("churn-core", "acc", 0.93, 500)


def test_a_model_signature_binds_the_name_binding_digest_and_never_the_oms_root() -> None:
    fact = establish(bundle(), {}, anchors())
    assert isinstance(fact.content, ModelManifest)
    assert fact.subjects == {fact.content.digest}
    assert fact.content.oms_root not in fact.subjects
    assert (fact.signer.identity, fact.signer.issuer, fact.signed_at) == (TRAINER, ISSUER, LOGGED)
    assert (fact.trust_root, fact.trust_root_digest) == ("ci", anchors().digest)


def test_provenance_binds_its_subjects() -> None:
    fact = establish(sign(slsa_statement({"server": IMAGE, "other": "sha256:" + "2" * 64}, "https://ci.example.com/runner")), {}, anchors())
    assert isinstance(fact.content, BuildProvenance)
    assert fact.subjects == {IMAGE, "sha256:" + "2" * 64}


def test_an_evaluation_binds_the_weights_and_carries_numbers() -> None:
    fact = establish(sign(evaluation_statement(IMAGE, "results.json", RAW)), {"results.json": RAW}, anchors())
    assert isinstance(fact.content, Evaluation)
    assert fact.subjects == {IMAGE}
    assert [each.value for each in fact.content.measurements] == [0.93]


def test_a_statement_of_unknown_type_is_a_fact_that_is_none_of_the_others() -> None:
    statement = slsa_statement({"server": IMAGE}, "https://ci.example.com/runner") | {"predicateType": "https://example.com/other/v1"}
    assert isinstance(establish(sign(statement), {}, anchors()).content, OtherStatement)


@pytest.mark.parametrize("kind", ["https://slsa.dev/provenance/v1", "https://in-toto.io/attestation/test-result/v0.1"])
def test_a_statement_that_wears_the_name_of_another_type_is_refused(kind: str) -> None:
    statement = model_signature_statement(FILES) | {"predicateType": kind}
    assert error_of(lambda: establish(sign(statement), {}, anchors())).reason is Reason.PredicateMalformed


def test_attachments_of_a_statement_that_names_none_are_refused() -> None:
    assert error_of(lambda: establish(bundle(), {"results.json": RAW}, anchors())).reason is Reason.AttachmentMismatch


def test_the_number_of_attachments_is_bounded() -> None:
    many = {f"{index}.json": b"{}" for index in range(17)}
    assert error_of(lambda: establish(sign(evaluation_statement(IMAGE, "r", RAW)), many, anchors())).reason is Reason.AttachmentMismatch


def test_a_fact_by_a_plain_key_has_no_time() -> None:
    fact = establish(sign_with_key(model_signature_statement(FILES), plain_keys()["ed25519"], "ed25519"), {}, key_anchors())
    assert (fact.signer.key, fact.signed_at) == ("ed25519", None)


def test_facts_can_be_kept_in_sets() -> None:
    assert len({establish(bundle(), {}, anchors()), establish(bundle(), {}, anchors())}) == 1


def test_the_cache_key_covers_everything_that_the_fact_depends_on() -> None:
    evaluation = sign(evaluation_statement(IMAGE, "results.json", RAW))
    other_root = TrustAnchors.sigstore("other", sigstore().trusted_root_json)
    keys = [
        fact_key(content_digest(evaluation, {"results.json": RAW}), anchors()),
        fact_key(content_digest(evaluation, {}), anchors()),
        fact_key(content_digest(evaluation, {"results.json": RAW + b" "}), anchors()),
        fact_key(content_digest(evaluation, {"other.json": RAW}), anchors()),
        fact_key(content_digest(bundle(), {"results.json": RAW}), anchors()),
        fact_key(content_digest(evaluation, {"results.json": RAW}), other_root),
    ]
    assert len(set(keys)) == len(keys)
    assert fact_key(content_digest(evaluation, {"a": b"1", "b": b"2"}), anchors()) == fact_key(content_digest(evaluation, {"b": b"2", "a": b"1"}), anchors())


def test_establishing_a_fact_does_not_depend_on_the_clock() -> None:
    """A bundle of years ago and one of the future verify as they did then: only the times inside of them count."""
    for when in (NOW, NOW + timedelta(days=3000)):
        assert establish(sign(model_signature_statement(FILES), when=when), {}, anchors()).signed_at == when + timedelta(seconds=5)


def test_what_a_refused_bundle_claims_to_be_about_can_be_told() -> None:
    broken = edited(bundle(), lambda d: d["dsseEnvelope"]["signatures"][0].update(sig=flipped(d["dsseEnvelope"]["signatures"][0]["sig"], 9)))
    assert error_of(lambda: establish(broken, {}, anchors())).reason is Reason.SignatureInvalid
    assert read_claims(broken).subjects == establish(bundle(), {}, anchors()).subjects
    assert read_claims(sign(slsa_statement({"server": IMAGE}, "https://ci.example.com/runner"))).subjects == {IMAGE}


@pytest.mark.parametrize("raw", [b"", b"{}", json.dumps({"dsseEnvelope": {"payload": "e30="}}).encode(), b"\xff" * 100])
def test_what_cannot_be_read_claims_nothing(raw: bytes) -> None:
    assert read_claims(raw).subjects == frozenset()
