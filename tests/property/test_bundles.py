"""Promises over bundles of every kind: nothing but the error tree leaves, and whatever strangers write changes nothing that is believed."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st

from sluice.provenance.bundle import VerifiedEnvelope, VerifiedMessage
from sluice.provenance.checkpoint import Checkpoint, root_of
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.timestamp import verify_timestamps
from sluice.provenance.trust import TrustAnchors
from tests.bundles import KINDS, Kind, make
from tests.property.test_provenance import JSON, paths, placed
from tests.signing import Json, anchors

TEXTS = st.text(max_size=200) | st.lists(st.text(max_size=20), max_size=8).map("\n".join)


T = TypeVar("T")


def attempt(act: Callable[[], T]) -> T | Reason:
    """What `act` returns, or the reason with which it refuses; anything else that is raised fails the test."""
    try:
        return act()
    except ProvenanceError as error:
        return error.reason


def outcome(kind: Kind, raw: bytes) -> VerifiedEnvelope | VerifiedMessage | Reason:
    return attempt(lambda: kind.verify(raw))


def same_but_for_its_bytes(kind: Kind, result: VerifiedEnvelope | VerifiedMessage) -> bool:
    """Whether `result` says the same of the same signer as the good bundle does, at the same time or at none."""
    good = kind.verify(make(kind))
    payloads = [getattr(each, "payload", None) for each in (good, result)]
    return payloads[0] == payloads[1] and good.signer == result.signer and result.signed_at in {good.signed_at, None}


@given(st.data(), st.sampled_from(KINDS), JSON)
def test_putting_anything_anywhere_into_a_bundle_of_any_kind_changes_nothing_that_is_believed(data: st.DataObject, kind: Kind, value: Json) -> None:
    document = json.loads(make(kind))
    raw = json.dumps(placed(document, data.draw(st.sampled_from(list(paths(document)))), value)).encode()
    result = outcome(kind, raw)
    assert isinstance(result, Reason) or same_but_for_its_bytes(kind, result)


@given(st.data(), st.sampled_from(KINDS))
def test_any_bytes_in_any_encoded_field_change_nothing_that_is_believed(data: st.DataObject, kind: Kind) -> None:
    """The fields that hold DER, JSON or signatures, filled with bytes that are near to what was there, or far."""
    document = json.loads(make(kind))
    fields = [path for path in paths(document) if path and path[-1] in {"rawBytes", "canonicalizedBody", "signedTimestamp", "signedEntryTimestamp", "sig"}]
    if not fields:
        return
    path = data.draw(st.sampled_from(fields))
    value: Json = document
    for key in path:
        value = value[key]
    content = base64.b64decode(value)
    start = data.draw(st.integers(0, len(content)))
    changed = content[:start] + data.draw(st.binary(max_size=40)) + content[data.draw(st.integers(start, min(start + 40, len(content)))) :]
    result = outcome(kind, json.dumps(placed(document, path, base64.b64encode(changed).decode())).encode())
    assert isinstance(result, Reason) or (changed == content and same_but_for_its_bytes(kind, result))


@given(TEXTS)
def test_any_text_is_a_checkpoint_or_refused(text: str) -> None:
    checkpoint = attempt(lambda: Checkpoint.parse(text))
    if isinstance(checkpoint, Checkpoint):
        assert checkpoint.text.decode() + "\n" in text
        assert checkpoint.signatures
    else:
        assert checkpoint is Reason.LogEntryInvalid


@given(st.binary(max_size=300))
def test_any_bytes_are_no_timestamp(raw: bytes) -> None:
    root = anchors().root
    assert root is not None
    assert attempt(lambda: verify_timestamps([raw], b"signature", root.timestamp_authorities)) is Reason.TimestampInvalid


@given(st.lists(st.binary(min_size=1, max_size=8), min_size=1, max_size=40), st.data())
def test_an_entry_has_a_proof_for_its_own_place_in_its_own_tree_and_for_no_other(bodies: list[bytes], data: st.DataObject) -> None:
    """Against a tree that is computed in the plainest way."""
    index = data.draw(st.integers(0, len(bodies) - 1))
    path, top = plain_proof(bodies, index)
    assert root_of(bodies[index], index=index, size=len(bodies), path=path) == top
    other = data.draw(st.integers(0, len(bodies) + 1))
    found = attempt(lambda: root_of(bodies[index], index=other, size=len(bodies), path=path))
    if found == top:
        assert other == index or bodies[index] == bodies[other]
    else:
        assert other != index
        assert isinstance(found, bytes) or found is Reason.LogEntryInvalid


def plain_proof(bodies: list[bytes], index: int) -> tuple[list[bytes], bytes]:

    def top(part: list[bytes]) -> bytes:
        if len(part) == 1:
            return hashlib.sha256(b"\0" + part[0]).digest()
        return hashlib.sha256(b"\1" + top(part[: split(part)]) + top(part[split(part) :])).digest()

    def split(part: list[bytes]) -> int:
        size = 1
        while size * 2 < len(part):
            size *= 2
        return size

    def path(part: list[bytes], at: int) -> list[bytes]:
        if len(part) == 1:
            return []
        middle = split(part)
        if at < middle:
            return [*path(part[:middle], at), top(part[middle:])]
        return [*path(part[middle:], at - middle), top(part[:middle])]

    return path(bodies, index), top(bodies)


@given(TEXTS, TEXTS)
def test_any_text_is_no_private_pki_and_says_so(pem: str, timestamp_pem: str) -> None:
    assert attempt(lambda: TrustAnchors.certificates("corp", pem, timestamp_pem=timestamp_pem, undated=True)) is Reason.TrustRootMalformed
