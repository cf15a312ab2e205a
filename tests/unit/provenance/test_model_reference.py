"""Bundles that the reference implementation, model_signing 1.1.1, has signed. `python -m e2e.model_signing --record` made them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from e2e.model_signing import CASES, MODEL, Case
from sluice.provenance.bundle import verify_bundle
from sluice.provenance.errors import Reason
from sluice.provenance.model_certificate import verify_by_certificates
from sluice.provenance.model_signature import ModelManifest, parse_model_manifest
from sluice.provenance.model_verification import FilesRefused, verify_on_disk
from sluice.provenance.statement import parse_statement
from sluice.provenance.trust import TrustAnchors
from tests.signing import error_of

RECORDED = Path(__file__).parent / "reference"
NOW = datetime(2027, 1, 1, tzinfo=UTC)
KEPT = [case for case in CASES if not case.keyless]
"""What a private Sigstore dates to the minute is verified where it is made, and not kept."""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    for name, content in MODEL.items():
        path = tmp_path / "model" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "model"


def signed(case: Case) -> ModelManifest:
    raw = (RECORDED / f"{case.name}.sig").read_bytes()
    if case.certificate:
        envelope = verify_by_certificates(raw, (RECORDED / "root.crt").read_text(), now=NOW)
    else:
        envelope = verify_bundle(raw, TrustAnchors.keys("recorded", {case.curve: (RECORDED / f"{case.curve}.pub").read_text()}))
    return parse_model_manifest(parse_statement(envelope.payload))


@pytest.mark.parametrize("case", KEPT, ids=lambda case: case.name)
def test_what_the_reference_signed_is_verified_and_a_change_is_seen(case: Case, model: Path) -> None:
    path = model / "weights/a.bin" if case.one_file else model
    accepted = ["ä.txt"] if case.shards else []
    assert verify_on_disk(signed(case), path, accept_uncovered=accepted).files == (1 if case.one_file else len(MODEL) - len(accepted))
    (model / "weights/a.bin").write_bytes(MODEL["weights/a.bin"][:-1] + b"x")
    error = error_of(lambda: verify_on_disk(signed(case), path, accept_uncovered=accepted))
    assert isinstance(error, FilesRefused)
    assert [each.name for each in error.faults] == ["a.bin" if case.one_file else "weights/a.bin"]


@pytest.mark.parametrize("case", [case for case in KEPT if not case.certificate], ids=lambda case: case.name)
def test_what_the_reference_signed_does_not_verify_with_another_key(case: Case) -> None:
    other = "p384" if case.curve != "p384" else "p256"
    anchors = TrustAnchors.keys("recorded", {other: (RECORDED / f"{other}.pub").read_text()})
    assert error_of(lambda: verify_bundle((RECORDED / f"{case.name}.sig").read_bytes(), anchors)).reason is Reason.SignatureInvalid


def test_git_is_what_the_reference_leaves_out_by_default() -> None:
    assert signed(CASES[0]).uncovered == (".git", ".gitattributes", ".github", ".gitignore")
