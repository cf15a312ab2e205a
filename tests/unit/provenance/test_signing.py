"""The controller's own key: what it signs is read like all other evidence, and nothing tells of its private half."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sluice.provenance.bundle import verify_bundle
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.published import TRUST_ROOT_ENTRY, entry_of, read_published, with_key
from sluice.provenance.signing import SigningKey
from sluice.provenance.statement import parse_statement
from sluice.provenance.strict_json import JsonObject
from sluice.provenance.trust import TrustAnchors

SUBJECT = "sha256:" + "a" * 64
PREDICATE: JsonObject = {"said": "für alle"}


def anchors(key: SigningKey, name: str = "controller") -> TrustAnchors:
    return TrustAnchors.keys("own", {name: key.public_pem})


def signed(key: SigningKey) -> bytes:
    return key.sign(predicate_type="https://sluice.dev/test/v1", subjects={"weights": SUBJECT}, predicate=PREDICATE)


def test_what_it_signs_verifies_against_its_published_half_and_says_the_same() -> None:
    key = SigningKey.generate()
    envelope = verify_bundle(signed(key), anchors(key))
    statement = parse_statement(envelope.payload)
    assert (envelope.signer.key, envelope.signer.key_fingerprint, envelope.signed_at) == ("controller", key.fingerprint, None)
    assert (statement.predicate_type, [subject.sha256 for subject in statement.subjects], statement.predicate) == (
        "https://sluice.dev/test/v1", [SUBJECT], PREDICATE,
    )  # fmt: skip


def test_another_key_is_not_believed() -> None:
    with pytest.raises(ProvenanceError) as raised:
        verify_bundle(signed(SigningKey.generate()), anchors(SigningKey.generate()))
    assert raised.value.reason is Reason.SignatureInvalid


def test_a_key_comes_back_from_where_it_is_kept() -> None:
    key = SigningKey.generate()
    again = SigningKey.from_pem(key.private_pem())
    assert again == key
    verify_bundle(signed(again), anchors(key))


def test_its_representation_and_its_refusals_tell_nothing_of_it() -> None:
    key = SigningKey.generate()
    secret = key.private_pem().decode().splitlines()[1]
    assert secret not in repr(key)
    for broken in (b"", b"not a key " + secret.encode(), key.private_pem()[:-40]):
        with pytest.raises(ProvenanceError) as raised:
            SigningKey.from_pem(broken)
        assert secret not in str(raised.value)
        assert raised.value.__cause__ is None


def test_a_key_on_another_curve_is_refused() -> None:
    other = ec.generate_private_key(ec.SECP384R1())
    pem = other.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with pytest.raises(ProvenanceError, match="P-256"):
        SigningKey.from_pem(pem)


# What is published.


def test_a_key_that_was_replaced_is_still_believed() -> None:
    old, new = SigningKey.generate(), SigningKey.generate()
    entries: dict[str, str] = {}
    for key in (old, new):
        entries = with_key(entries, fingerprint=key.fingerprint, public_pem=key.public_pem)
    keys = read_published(entries)
    assert keys is not None
    for key in (old, new):
        assert verify_bundle(signed(key), keys).signer.key == entry_of(key.fingerprint).removesuffix(".pem")
    assert with_key(entries, fingerprint=new.fingerprint, public_pem=new.public_pem) == entries, "publishing it again changes nothing"


def test_an_entry_that_is_no_key_takes_no_other_with_it() -> None:
    key = SigningKey.generate()
    entries = with_key({"broken.pem": "hello", "note.txt": "hello"}, fingerprint=key.fingerprint, public_pem=key.public_pem)
    keys = read_published(entries)
    assert keys is not None
    assert list(keys.named_keys) == [entry_of(key.fingerprint).removesuffix(".pem")]
    assert read_published({"broken.pem": "hello"}) is None
    assert read_published({TRUST_ROOT_ENTRY: "{}"}) is None


def test_more_keys_than_a_trust_root_holds_are_not_published() -> None:
    entries: dict[str, str] = {}
    for _ in range(16):
        key = SigningKey.generate()
        entries = with_key(entries, fingerprint=key.fingerprint, public_pem=key.public_pem)
    with pytest.raises(ValueError, match="17 public keys"):
        with_key(entries, fingerprint=SigningKey.generate().fingerprint, public_pem="-")
