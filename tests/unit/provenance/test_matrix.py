"""The adversarial matrix: whatever is changed in a good bundle of any kind is refused with a code that is written here, or is listed here as meaning nothing.

That the matrix can fail is shown at the end: with one check taken out, it finds something that is believed and must not be.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import chain

import pytest

from sluice.provenance import certificate, log_entry, witnesses
from sluice.provenance.bundle import VerifiedEnvelope, VerifiedMessage
from sluice.provenance.checkpoint import Checkpoint
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.signed_content import SignedContent
from sluice.provenance.timestamp import TimestampAuthority
from tests.bundles import KINDS, Kind, make
from tests.signing import LOGGED, edited
from tests.unit.provenance.matrix import Change, mixtures, pairs, single_changes

_MALFORMED, _LOG, _STAMP = Reason.BundleMalformed, Reason.LogEntryInvalid, Reason.TimestampInvalid

# The first pattern that the changed field matches says with which codes it is refused. Malformed base64, a member that nobody knows and an empty field are
# malformed wherever they are.
REFUSED: list[tuple[str, set[Reason]]] = [
    (r"mediaType|", {_MALFORMED}),
    (r"dsseEnvelope\.payloadType", {Reason.PayloadTypeUnexpected, _MALFORMED}),
    (r"dsseEnvelope\.payload\.>.*", {Reason.SignatureInvalid}),
    (r"dsseEnvelope\.(payload|signatures\[\]\.sig)|messageSignature\.signature", {Reason.SignatureInvalid, _MALFORMED}),
    (r"dsseEnvelope.*", {_MALFORMED}),
    (r"messageSignature\.messageDigest\.digest", {Reason.ArtifactMismatch, _MALFORMED}),
    (r"messageSignature.*", {_MALFORMED}),
    (r"verificationMaterial\.(certificate|x509CertificateChain\.certificates\[\])\.rawBytes", {Reason.CertificateUntrusted, _MALFORMED}),
    (r"verificationMaterial(\.certificate|\.x509CertificateChain.*|\.publicKey.*)?", {_MALFORMED}),
    (r"verificationMaterial\.tlogEntries(\[\])?", {Reason.TooFewWitnesses, _LOG}),
    (r"verificationMaterial\.tlogEntries\[\]\.inclusionPromise", {Reason.TimestampMissing, _LOG}),
    (r"verificationMaterial\.tlogEntries\[\]\..*", {_LOG}),
    (r"verificationMaterial\.timestampVerificationData.*", {Reason.TimestampMissing, _STAMP, _MALFORMED}),
]

# Changes that mean nothing, because nothing that is believed depends on them, or because they only take away a witness that the trust root does not ask for:
# the bundle that comes out is one that its signer could as well have handed over.
NEUTRAL: list[tuple[str, str, str]] = [
    (r"messageSignature\.messageDigest", "left out|null", "the verifier says which artifact; the bundle may say it as well"),
    (r"verificationMaterial\.publicKey", "empty", "a hint finds the key sooner and proves nothing"),
    (r"verificationMaterial\.publicKey\.hint", "another word|empty|left out|null", "a hint finds the key sooner and proves nothing"),
    (r"verificationMaterial\.timestampVerificationData(\.rfc3161Timestamps(\[\])?)?", "empty|left out|null", "the log dates the signature, or nobody has to"),
    (r"verificationMaterial\.tlogEntries(\[\])?", "empty|left out|null", "the trust root asks for no log beside this key, or for one log of the two"),
    (r"verificationMaterial\.tlogEntries\[\]\.inclusionPromise", "left out|null", "a timestamp authority dates the signature, or nobody has to"),
    (r"verificationMaterial\.tlogEntries\[\]\.inclusionProof(\.checkpoint)?", "left out|null", "version 0.1 may bring the log's promise alone"),
]

IMPORTANT = frozenset(
    {
        "dsseEnvelope.payload",
        "dsseEnvelope.payload.>.predicateType",
        "dsseEnvelope.payload.>.subject[].digest.sha256",
        "dsseEnvelope.payload.>.subject[].name",
        "dsseEnvelope.payloadType",
        "dsseEnvelope.signatures[].sig",
        "messageSignature.messageDigest.digest",
        "messageSignature.signature",
        "verificationMaterial.certificate.rawBytes",
        "verificationMaterial.timestampVerificationData.rfc3161Timestamps[].signedTimestamp",
        "verificationMaterial.x509CertificateChain.certificates[].rawBytes",
    }
    | {
        f"verificationMaterial.tlogEntries[].{field}"
        for field in (
            "canonicalizedBody",
            "canonicalizedBody.>.spec",
            "inclusionPromise.signedEntryTimestamp",
            "inclusionProof.checkpoint.envelope",
            "inclusionProof.hashes[]",
            "inclusionProof.logIndex",
            "inclusionProof.rootHash",
            "inclusionProof.treeSize",
            "integratedTime",
            "kindVersion.version",
            "logId.keyId",
            "logIndex",
        )
    }
)


def expected(where: str) -> set[Reason]:
    return next(reasons for pattern, reasons in REFUSED if re.fullmatch(pattern, where))


def neutral(change: Change) -> bool:
    return any(re.fullmatch(where, change.where) and re.fullmatch(how, change.how) for where, how, _ in NEUTRAL)


def same_word(one: VerifiedEnvelope | VerifiedMessage, two: VerifiedEnvelope | VerifiedMessage) -> bool:
    """Whether `two` says the same as `one`, of the same signer, at the same time or at none."""
    content = one.payload == two.payload if isinstance(one, VerifiedEnvelope) and isinstance(two, VerifiedEnvelope) else type(one) is type(two)
    return content and one.signer == two.signer and two.signed_at in {one.signed_at, None}


def believed(kind: Kind, changes: Iterable[Change]) -> list[str]:
    """What of `changes` is believed, or is refused with a code that nobody expects; empty when all is as it should be."""
    return list(findings(kind, changes))


@cache
def changed_alone(kind: Kind) -> list[Change]:
    """Every change of one field of the good bundle of `kind`."""
    return list(single_changes(make(kind)))


def findings(kind: Kind, changes: Iterable[Change]) -> Iterator[str]:
    """Find what `believed` lists, one after the other."""
    good = kind.verify(make(kind))
    for change in changes:
        try:
            verified = kind.verify(change.raw)
        except ProvenanceError as error:
            allowed = set[Reason]().union(*(expected(where) for where in change.where.split(" and ") if not where.startswith("the ")))
            if allowed and error.reason not in allowed:
                yield f"{change} is refused with {error.reason}"
        else:
            if not neutral(change):
                yield f"{change} is believed"
            elif not same_word(good, verified):
                yield f"{change} changes what is believed"


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_change_of_any_field_is_refused_with_its_code(kind: Kind) -> None:
    changes = changed_alone(kind)
    assert len(changes) > 50
    assert believed(kind, changes) == []


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_no_two_changes_make_up_for_each_other(kind: Kind) -> None:
    changes = list(pairs(make(kind), IMPORTANT))
    assert len(changes) >= 1
    assert believed(kind, changes) == []


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_parts_of_two_good_bundles_of_one_signer_make_no_third(kind: Kind) -> None:
    """The parts of a plain key's bundle that are not signed may be left away, so one of these mixtures is a bundle that the signer made."""
    both = (make(kind), make(kind, another=True))
    if not kind.keyed or kind.entries:
        assert list(mixtures(*both))
    assert believed(kind, mixtures(*both)) == []


def test_the_neutral_list_names_nothing_that_never_happens() -> None:
    happened = [change for kind in KINDS for change in changed_alone(kind) if neutral(change)]
    for where, how, _ in NEUTRAL:
        for one in how.split("|"):
            assert any(re.fullmatch(where, change.where) and change.how == one for change in happened), (where, one)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_media_type_and_the_hint_of_the_envelope_are_not_signed(kind: Kind) -> None:
    """Whoever hands a bundle over may write them; what is believed stays the same."""
    other = "application/vnd.dev.sigstore.bundle+json;version=0.3"
    good = kind.verify(make(kind))
    if not kind.promise_only:
        assert same_word(good, kind.verify(edited(make(kind), lambda document: document.update(mediaType=other))))
    if not kind.message:
        assert same_word(good, kind.verify(edited(make(kind), lambda document: document["dsseEnvelope"]["signatures"][0].update(keyid="anybody"))))


def nothing(*_: object, **__: object) -> None:
    """What a check does that was taken out."""


def root_of_the_log(kind: Kind) -> bytes:
    entry = json.loads(make(kind))["verificationMaterial"]["tlogEntries"][0]
    return Checkpoint.parse(entry["inclusionProof"]["checkpoint"]["envelope"]).root


LOGGED_1, STAMPED_2, BY_KEY = KINDS[0], KINDS[3], KINDS[11]
TAKEN_OUT: list[tuple[str, Kind, object, str, Callable[[], object]]] = [
    ("that the entry is about this signature", LOGGED_1, witnesses, "check_about", lambda: nothing),
    ("that the log signed the checkpoint", STAMPED_2, Checkpoint, "check_signed", lambda: nothing),
    ("that the proof leads to the root", STAMPED_2, log_entry, "root_of", lambda: lambda *_, **__: root_of_the_log(STAMPED_2)),
    ("that the log promised the entry", LOGGED_1, log_entry, "_promised", lambda: lambda *_, **__: LOGGED),
    ("that the timestamp is over this signature", STAMPED_2, TimestampAuthority, "made", lambda: lambda *_: True),
    ("that the key made the signature", BY_KEY, SignedContent, "check_signed_by", lambda: nothing),
    ("that the certificates are a chain", KINDS[9], certificate, "load_certificates", lambda: _first_certificate),
]


def _first_certificate(ders: tuple[bytes, ...], load: Callable[..., object] = certificate.load_certificates) -> object:
    return load(ders[:1])


@pytest.mark.parametrize(("kind", "where", "check", "without"), [pytest.param(*each[1:], id=each[0]) for each in TAKEN_OUT])
def test_with_one_check_taken_out_the_matrix_finds_what_is_believed(
    kind: Kind, where: object, check: str, without: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    make(kind)
    replacement = without()
    monkeypatch.setattr(where, check, replacement)
    changes = chain(single_changes(make(kind)), mixtures(make(kind), make(kind, another=True)))
    assert any(each.endswith("is believed") for each in findings(kind, changes))
