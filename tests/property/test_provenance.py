"""Promises over all bundles: nothing but the error tree leaves, and nothing that was changed verifies."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from e2e.sigstore import evaluation_statement, lm_eval_results, model_signature_statement, sign_with_key
from sluice.evidence.claims import read_claims
from sluice.evidence.facts import Fact, establish
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.model_signature import ModelFile, name_binding_digest, parse_model_manifest
from sluice.provenance.statement import parse_statement
from sluice.provenance.strict_json import parse_object
from sluice.provenance.trust import TrustAnchors
from tests.signing import Json, anchors, bundle, key_anchors, plain_keys, sign

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
JSON = st.recursive(SCALARS, lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=10), children, max_size=4), max_leaves=12)
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="/\\"), min_size=1, max_size=8).filter(
    lambda name: name not in {".", ".."}
)
FILES = st.dictionaries(st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.binary(max_size=8), min_size=1, max_size=6).filter(
    lambda files: not any(other.startswith(f"{name}/") for name in files for other in files)  # no disk has a file that is a folder as well
)
# Fewer examples than usual where one takes ten milliseconds or more, most of them to draw it.
RAW = lm_eval_results("churn-core", "acc", 0.93, 500)


def outcome(raw: bytes, attachments: Mapping[str, bytes], trust: TrustAnchors) -> Fact | Reason:
    """A fact or a reason; anything else that is raised fails the test."""
    try:
        return establish(raw, attachments, trust)
    except ProvenanceError as error:
        return error.reason


def paths(value: Json, here: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where everything in a JSON document is."""
    yield here
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from paths(child, (*here, key))


def placed(document: Json, path: tuple[str | int, ...], value: Json) -> Json:
    if not path:
        return value
    copy: Json = document.copy()
    copy[path[0]] = placed(document[path[0]], path[1:], value)
    return copy


@given(st.binary(max_size=400))
def test_arbitrary_bytes_end_in_the_error_tree(raw: bytes) -> None:
    for trust in (anchors(), key_anchors()):
        assert isinstance(outcome(raw, {}, trust), Reason)
    assert read_claims(raw).subjects == frozenset()


@given(st.text(max_size=200) | JSON.map(json.dumps))
def test_arbitrary_text_is_no_trusted_root_and_says_so(text: str) -> None:
    with pytest.raises(ProvenanceError) as caught:
        TrustAnchors.sigstore("ci", text)
    assert caught.value.reason is Reason.TrustRootMalformed


@given(st.data(), st.sampled_from([1, 2, 0]), JSON)
def test_putting_anything_anywhere_into_a_bundle_yields_no_other_fact(data: st.DataObject, rekor: int, value: Json) -> None:
    """The fact is the same except for the digest of the bundle's bytes, or there is none."""
    trust = anchors() if rekor else key_anchors()
    good = bundle(rekor) if rekor else sign_with_key(model_signature_statement({"a": b"1"}), plain_keys()["p256"], "p256")
    document = json.loads(good)
    path = data.draw(st.sampled_from(list(paths(document))))
    raw = json.dumps(placed(document, path, value)).encode()
    result = outcome(raw, {}, trust)
    if isinstance(result, Fact):
        expected = establish(good, {}, trust)
        assert (result.signer, result.signed_at, result.subjects, result.content) == (expected.signer, expected.signed_at, expected.subjects, expected.content)


@given(st.data(), st.sampled_from([1, 2]))
def test_a_flipped_bit_anywhere_in_signed_material_is_noticed(data: st.DataObject, rekor: int) -> None:
    document = json.loads(bundle(rekor))
    signed = {("dsseEnvelope", "payload"), ("dsseEnvelope", "signatures", 0, "sig"), ("verificationMaterial", "certificate", "rawBytes")}
    entry = ("verificationMaterial", "tlogEntries", 0)
    signed |= {(*entry, "canonicalizedBody"), (*entry, "inclusionProof", "rootHash")}
    if rekor == 1:
        signed.add((*entry, "inclusionPromise", "signedEntryTimestamp"))
    path = data.draw(st.sampled_from(sorted(signed, key=str)))
    value: Json = document
    for key in path:
        value = value[key]
    content = bytearray(base64.b64decode(value))
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    raw = json.dumps(placed(document, path, base64.b64encode(bytes(content)).decode())).encode()
    assert isinstance(outcome(raw, {}, anchors()), Reason)


@given(st.data(), st.sampled_from([1, 2]))
def test_a_byte_changed_anywhere_in_the_file_yields_no_other_fact(data: st.DataObject, rekor: int) -> None:
    raw = bytearray(bundle(rekor))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    result = outcome(bytes(raw), {}, anchors())
    if isinstance(result, Fact):
        expected = establish(bundle(rekor), {}, anchors())
        assert (result.signer, result.signed_at, result.subjects, result.content) == (expected.signer, expected.signed_at, expected.subjects, expected.content)


@given(st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
def test_a_signature_over_anything_does_not_make_it_evidence(payload: bytes) -> None:
    assert isinstance(outcome(sign_with_key(payload, plain_keys()["ed25519"], "ed25519"), {}, key_anchors()), Reason)


@settings(max_examples=60)
@given(st.data(), JSON)
def test_a_raw_file_with_anything_anywhere_ends_in_numbers_or_the_error_tree(data: st.DataObject, value: Json) -> None:
    document = json.loads(RAW)
    raw = json.dumps(placed(document, data.draw(st.sampled_from(list(paths(document)))), value)).encode()
    signed = sign_with_key(evaluation_statement("sha256:" + "a" * 64, "r.json", raw), plain_keys()["ed25519"], "ed25519")
    outcome(signed, {"r.json": raw}, key_anchors())


@settings(max_examples=60)
@given(JSON)
def test_what_strict_json_accepts_it_reads_as_python_does(value: Json) -> None:
    raw = json.dumps({"value": value}).encode()
    try:
        parsed = parse_object(raw, what="the file", limit=1_000_000, reason=Reason.StatementMalformed)
    except ProvenanceError:
        return
    assert json.dumps(parsed) == json.dumps(json.loads(raw))


@settings(max_examples=50)
@given(FILES, FILES)
def test_the_name_binding_digest_is_one_to_one_on_file_lists(one: dict[str, bytes], two: dict[str, bytes]) -> None:
    first, second = (parse_model_manifest(parse_statement(json.dumps(model_signature_statement(files)).encode())) for files in (one, two))
    assert (first.digest == second.digest) == (one == two)


@settings(max_examples=50)
@given(FILES, st.data())
def test_renaming_a_file_keeps_the_oms_root_and_changes_our_digest(files: dict[str, bytes], data: st.DataObject) -> None:
    statement = model_signature_statement(files)
    index = data.draw(st.integers(0, len(files) - 1))
    name = data.draw(NAMES)
    assume(name not in files)
    names = [name, *(other for position, other in enumerate(sorted(files)) if position != index)]
    # What is a file is no folder of others.
    assume(not any(one.startswith(f"{other}/") for one in names for other in names))
    before = parse_model_manifest(parse_statement(json.dumps(statement).encode()))
    statement["predicate"]["resources"][index]["name"] = name
    after = parse_model_manifest(parse_statement(json.dumps(statement).encode()))
    assert after.oms_root == before.oms_root
    assert after.digest != before.digest


@given(st.lists(st.builds(ModelFile, NAMES, st.just("sha256"), st.just("a" * 64)), min_size=1, max_size=5, unique_by=lambda file: file.name), st.randoms())
def test_the_order_of_files_does_not_matter(files: list[ModelFile], random: Random) -> None:
    shuffled = list(files)
    random.shuffle(shuffled)
    assert name_binding_digest(shuffled) == name_binding_digest(files)


def test_the_good_bundles_of_this_file_are_good() -> None:
    """Else every promise above would hold for the wrong reason."""
    assert isinstance(outcome(bundle(1), {}, anchors()), Fact)
    assert isinstance(outcome(bundle(2), {}, anchors()), Fact)
    assert isinstance(outcome(sign(evaluation_statement("sha256:" + "a" * 64, "r.json", RAW)), {"r.json": RAW}, anchors()), Fact)
