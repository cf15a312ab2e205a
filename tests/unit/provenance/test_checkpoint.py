"""What a log signs of its tree, and the way from an entry to it."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from e2e.sigstore.log import TransparencyLog
from sluice.provenance.checkpoint import Checkpoint, root_of
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.keys import VerificationKey
from sluice.provenance.log_key import LogKey
from sluice.provenance.validity import FOREVER
from tests.signing import error_of

LARGEST = 24
ORIGIN = "log.example"
KEY = ec.generate_private_key(ec.SECP256R1())
WHEN = datetime(2026, 11, 20, tzinfo=UTC)


def body(index: int) -> bytes:
    return json.dumps({"apiVersion": "0.0.1", "kind": "x", "spec": index}, separators=(",", ":")).encode()


def log_of(size: int) -> TransparencyLog:
    log = TransparencyLog(origin=ORIGIN, key=KEY)
    for index in range(size):
        log.append(json.loads(body(index)), when=WHEN)
    return log


def trusted() -> LogKey:
    log = log_of(1)
    key = VerificationKey.of(KEY.public_key(), what="the log's key", name="log", reason=Reason.TrustRootMalformed)
    return LogKey(log_id=log.log_id, checkpoint_id=log.log_id, key=key, window=FOREVER, operator="somebody")


@pytest.mark.parametrize("size", range(1, LARGEST + 1))
def test_each_entry_leads_to_the_root_from_its_own_place_and_from_no_other(size: int) -> None:
    log = log_of(size)
    for index in range(size):
        proof = log.inclusion_proof(index)
        root, path = base64.b64decode(proof["rootHash"]), [base64.b64decode(each) for each in proof["hashes"]]
        assert root_of(body(index), index=index, size=size, path=path) == root
        for other in range(size):
            assert not leads(body(index), other, size, path, root) or other == index
        assert not leads(body(index) + b" ", index, size, path, root)
        assert not leads(body(index), index, size, [*path, bytes(32)], root)
        assert not (path and leads(body(index), index, size, path[:-1], root))


def leads(content: bytes, index: int, size: int, path: list[bytes], root: bytes) -> bool:
    try:
        return root_of(content, index=index, size=size, path=path) == root
    except ProvenanceError:
        return False


@pytest.mark.parametrize(("index", "size", "path"), [(0, 0, []), (1, 1, []), (-1, 1, []), (0, 2, [b"short"]), (0, 2**64, [bytes(32)] * 65), (0, 2**63, [])])
def test_a_place_that_is_none_and_a_path_that_is_none_are_refused(index: int, size: int, path: list[bytes]) -> None:
    assert error_of(lambda: root_of(b"x", index=index, size=size, path=path)).reason is Reason.LogEntryInvalid


def note() -> str:
    envelope: str = log_of(3).inclusion_proof(0)["checkpoint"]["envelope"]
    return envelope


def checked(text: str) -> Checkpoint:
    checkpoint = Checkpoint.parse(text)
    checkpoint.check_signed(trusted())
    return checkpoint


def signed(text: str, *, name: str = ORIGIN, key_id: bytes | None = None) -> str:
    """`text` with a signature by the log, under any name and key id."""
    log = log_of(1)
    line = base64.b64encode((key_id or log.log_id[:4]) + log._sign(text.encode())).decode()
    return f"{text}\n\N{EM DASH} {name} {line}\n"


ROOT = base64.b64encode(bytes(32)).decode()
OTHERS = "\N{EM DASH} witness.example " + base64.b64encode(b"\1\2\3\4" + bytes(72)).decode() + "\n"
GOOD: dict[str, str] = {
    "as it is": note(),
    "with a witness after": note() + OTHERS,
    "with a witness before": note().replace("\n\n", "\n\n" + OTHERS),
    "with more lines": signed(f"{ORIGIN}\n3\n{ROOT}\nTimestamp: 1\nmore\n"),
    "of one of its trees, by number": signed(f"{ORIGIN} - 4711\n3\n{ROOT}\n"),
    "signed twice": note() + signed(note().partition("\n\n")[0] + "\n").partition("\n\n")[2],
}
BAD: dict[str, str] = {
    "empty": "",
    "no signature": note().partition("\n\n")[0] + "\n\n",
    "a witness only": note().partition("\n\n")[0] + "\n\n" + OTHERS,
    "under a name with a space": signed(f"{ORIGIN} - 4711\n3\n{ROOT}\n", name=f"{ORIGIN} - 4711"),
    "of an origin that only begins like it": signed(f"{ORIGIN}.org\n3\n{ROOT}\n"),
    "under another name": signed(f"{ORIGIN}\n3\n{ROOT}\n", name="log.exampl"),
    "of another origin": signed("other.example\n3\n" + ROOT + "\n", name=ORIGIN),
    "with another key id": signed(f"{ORIGIN}\n3\n{ROOT}\n", key_id=b"\0\0\0\0"),
    "over another text": note().replace("\n3\n", "\n4\n"),
    "with a second, wrong signature of its own": note() + signed("x\n").partition("\n\n")[2],
    "size with a zero before it": signed(f"{ORIGIN}\n03\n{ROOT}\n"),
    "negative size": signed(f"{ORIGIN}\n-3\n{ROOT}\n"),
    "size in other digits": signed(f"{ORIGIN}\n٣\n{ROOT}\n"),
    "endless size": signed(f"{ORIGIN}\n{'9' * 30}\n{ROOT}\n"),
    "without a root": signed(f"{ORIGIN}\n3\n"),
    "root in the other base64": signed(f"{ORIGIN}\n3\n{'_' * 43}=\n"),
    "no last line break": note()[:-1],
    "carriage returns": note().replace("\n", "\r\n"),
    "a hyphen for the dash": note().replace("\N{EM DASH}", "-"),
    "sixty-five signatures": note() + OTHERS * 64,
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_a_checkpoint_is_believed_by_the_logs_own_signature_whoever_else_signed(text: str) -> None:
    assert checked(text).size == 3


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_a_checkpoint_is_refused_that_the_log_did_not_sign_or_that_has_two_readings(text: str) -> None:
    assert error_of(lambda: checked(text)).reason is Reason.LogEntryInvalid
