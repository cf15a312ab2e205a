"""What `sluice sign statement` signs, `sluice verify bundle` verifies; and a bundle becomes a manifest that a cluster takes."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest
import yaml
from click.testing import Result

from sluice.api.evidence import EvidenceSpec
from tests.signing import plain_keys, public_pem
from tests.unit.cli.models import desk as model_desk
from tests.unit.cli.models import run

TYPE = "https://example.com/verdict/v1"
DIGEST = "sha256:" + "a" * 64


class Desk:
    """A predicate, a key, and where the bundle goes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bundle = folder, folder / "out.json"
        self.private = model_desk(folder).key()
        self.public = folder / "p256.pub"
        self.public.write_text(public_pem(plain_keys()["p256"]))
        self.predicate = folder / "predicate.json"
        self.predicate.write_text('{"score": 0.5, "by": "Zoë"}')

    def sign(self, *subjects: str, key: Path | None = None) -> Result:
        named = [part for subject in subjects for part in ("--subject", subject)]
        options = ["--predicate-type", TYPE, "--predicate", self.predicate, *named, "--key", key or self.private, "--bundle", self.bundle]
        return run("sign", "statement", *options)

    def verify(self, *options: object) -> Result:
        return run("verify", "bundle", self.bundle, "--key", self.public, *options)


@pytest.fixture
def at(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_what_is_signed_verifies_about_its_subjects_and_says_what_was_said(at: Desk) -> None:
    file = at.folder / "model.bin"
    file.write_bytes(b"weights")
    assert at.sign(f"model={file}", f"other={DIGEST}").exit_code == 0
    for artifact in (str(file), DIGEST):
        assert at.verify("--artifact", artifact).exit_code == 0
    assert at.verify("--artifact", "sha256:" + "b" * 64).exit_code == 1
    payload = json.loads(base64.b64decode(json.loads(at.bundle.read_bytes())["dsseEnvelope"]["payload"]))
    assert (payload["predicateType"], payload["predicate"]) == (TYPE, {"score": 0.5, "by": "Zoë"})
    assert payload["subject"][0] == {"name": "model", "digest": {"sha256": hashlib.sha256(b"weights").hexdigest()}}


@pytest.mark.parametrize(
    ("kind", "predicate", "said"),
    [
        (
            "https://slsa.dev/provenance/v1",
            {"buildDefinition": {}},
            "note: as evidence this counts for nothing, since no cluster reads it (PredicateMalformed): ",
        ),
        ("https://slsa.dev/verification_summary/v1", {}, "(PredicateMalformed): predicate has no 'verificationResult'"),
        ("https://in-toto.io/attestation/test-result/v0.1", {}, "(PredicateMalformed): "),
        # Its numbers are in a file that is attached later.
        ("https://in-toto.io/attestation/test-result/v0.1", {"result": "PASSED", "configuration": [{"name": "r.json", "digest": {"sha256": "a" * 64}}]}, ""),
        (TYPE, {"anything": 1}, ""),
    ],
)
def test_what_no_cluster_would_read_is_signed_for_others_and_said(at: Desk, kind: str, predicate: object, said: str) -> None:
    at.predicate.write_text(json.dumps(predicate))
    options = ["--predicate-type", kind, "--predicate", at.predicate, "--subject", f"m={DIGEST}", "--key", at.private, "--bundle", at.bundle]
    found = run("sign", "statement", *options)
    assert found.exit_code == 0
    assert said in found.stderr
    assert ("note" in found.stderr) is bool(said), found.stderr


@pytest.mark.parametrize("subject", ["model", "=sha256:" + "a" * 64, "model=sha256:abc", "model=sha256:" + "A" * 64])
def test_a_subject_that_says_nothing_is_refused(at: Desk, subject: str) -> None:
    assert at.sign(subject).exit_code == 2
    assert not at.bundle.exists()


@pytest.mark.parametrize("content", ["[]", "{", '{"a": 1, "a": 2}', '{"a": NaN}', ""])
def test_a_predicate_that_nobody_would_read_is_not_signed(at: Desk, content: str) -> None:
    at.predicate.write_text(content)
    assert at.sign(f"model={DIGEST}").exit_code == 2
    assert not at.bundle.exists()


def test_a_file_that_is_not_there_is_no_answer(at: Desk) -> None:
    assert at.sign(f"model={at.folder / 'nothing'}").exit_code == 3


def test_a_bundle_becomes_a_manifest_always_the_same(at: Desk) -> None:
    at.sign(f"model={DIGEST}")
    raw = at.folder / "results.json"
    raw.write_text("{}")
    command = ["evidence", "create", "--bundle", at.bundle, "--attach", raw, "-n", "payments"]
    written = run(*command)
    assert written.exit_code == 0
    document = yaml.safe_load(written.stdout)
    spec = EvidenceSpec.model_validate(document["spec"])
    assert base64.b64decode(spec.bundle.inline or "") == at.bundle.read_bytes()
    assert [(one.name, base64.b64decode(one.inline)) for one in spec.attachments] == [("results.json", b"{}")]
    assert (document["kind"], document["metadata"]["namespace"]) == ("ReleaseEvidence", "payments")
    assert document["metadata"]["name"].startswith("out-")
    assert run(*command).stdout == written.stdout
    assert json.loads(run(*command, "-o", "json", "--name", "eval").stdout)["metadata"]["name"] == "eval"


def test_what_no_object_can_carry_is_refused(at: Desk) -> None:
    at.bundle.write_bytes(b"x" * 400_000)
    result = run("evidence", "create", "--bundle", at.bundle)
    assert (result.exit_code, "keep it in a registry" in result.output) == (2, True)


def test_a_raw_file_that_no_object_can_carry_may_be_compressed(at: Desk) -> None:
    (raw := at.bundle.with_name("samples.jsonl")).write_bytes(b"x" * 200_000)
    assert at.sign(f"samples={raw}").exit_code == 0
    result = run("evidence", "create", "--bundle", at.bundle, "--attach", raw)
    assert (result.exit_code, "compress it with gzip or Zstandard" in result.output) == (2, True)
