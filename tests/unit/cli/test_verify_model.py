"""`sluice sign model` and `sluice verify model`: what the one signs the other verifies, and nothing else."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from e2e.sigstore import model_signature_statement
from sluice.cli.signer import PASSWORD_VARIABLE
from sluice.cli.verify_model import read_bundle_file
from sluice.provenance.model_directory import manifest_of
from tests.signing import ISSUER, TRAINER, sign, sigstore
from tests.unit.cli.models import Desk, desk, run


@pytest.fixture
def at(tmp_path: Path) -> Desk:
    return desk(tmp_path)


@pytest.mark.parametrize("kind", ["p256", "p384", "p521", "ed25519", "rsa"])
def test_every_kind_of_key_signs_and_verifies(at: Desk, kind: str) -> None:
    assert at.sign(kind=kind).exit_code == 0
    verified = at.verify(kind=kind)
    assert (verified.exit_code, verified.stdout.splitlines()[0]) == (0, "verified")


@pytest.mark.parametrize("options", [["--hash", "blake3"], ["--hash", "blake2b", "--shards", "--shard-size", "1"], ["--shards"], ["--include-git"]])
def test_every_way_to_list_the_files_verifies(at: Desk, options: list[str]) -> None:
    assert at.sign(*options).exit_code == 0
    assert at.answer()["verified"] is True


def test_the_digest_is_the_one_that_a_release_names(at: Desk) -> None:
    at.sign()
    assert at.answer()["digest"] == manifest_of(at.model, leave_out=["model.sig"]).digest


def test_the_same_model_gives_the_same_statement(at: Desk) -> None:
    def payload() -> bytes:
        at.sign()
        return base64.b64decode(json.loads(at.bundle.read_bytes())["dsseEnvelope"]["payload"])

    assert payload() == payload()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: (m / "config.json").write_bytes(b"{ }"), "FilesDiffer"),
        (lambda m: (m / "config.json").unlink(), "FilesDiffer"),
        (lambda m: (m / "extra").write_bytes(b""), "UncoveredFiles"),
        (lambda m: (m / "link").symlink_to("config.json"), "FilesDiffer"),
        (lambda m: (m / "model.sig").write_bytes(b"{}"), "BundleMalformed"),
        (lambda m: (m / "model.sig").write_bytes((m / "model.sig").read_bytes().replace(b"dsseEnvelope", b"dsseEnvelopf")), "BundleMalformed"),
    ],
)
def test_a_changed_model_is_not_verified_and_the_reason_is_told(at: Desk, change: Callable[[Path], object], reason: str) -> None:
    at.sign()
    change(at.model)
    assert at.verify().exit_code == 1
    assert (at.answer()["verified"], at.answer()["reason"]) == (False, reason)


def test_files_that_differ_are_told_one_by_one(at: Desk) -> None:
    at.sign()
    (at.model / "config.json").write_bytes(b"{ }")
    assert at.answer()["files"] == [{"name": "config.json", "fault": "differs from what was signed"}]
    assert "  files                  config.json differs from what was signed\n" in at.verify().stdout


def test_another_key_does_not_verify(at: Desk) -> None:
    at.sign(kind="p384")
    assert at.verify(kind="p256").exit_code == 1
    assert at.verify("--key", at.public("p384"), kind="p256").exit_code == 0


def test_git_is_left_out_and_refused_unless_accepted_path_by_path(at: Desk) -> None:
    (at.model / ".git").mkdir()
    (at.model / ".git/HEAD").write_bytes(b"ref")
    (at.model / ".gitattributes").write_bytes(b"")
    at.sign()
    assert at.answer("--allow-uncovered", ".git")["files"] == [{"name": ".gitattributes", "fault": "was not signed"}]
    answer = at.answer("--allow-uncovered", ".git", "--allow-uncovered", ".gitattributes")
    assert answer["uncovered"] == answer["leftOutBySigner"] == [".git", ".gitattributes"]
    at.sign("--include-git")
    assert at.verify().exit_code == 0


def test_a_path_to_leave_out_is_written_as_the_list_has_it(at: Desk) -> None:
    (at.model / "cache").mkdir()
    (at.model / "cache/x").write_bytes(b"x")
    assert [at.sign("--ignore", path).exit_code for path in ("./cache", "cache/", "/cache", "../cache")] == [2, 2, 2, 2]
    assert at.sign("--ignore", "cache").exit_code == 0
    assert at.answer("--allow-uncovered", "cache")["uncovered"] == ["cache"]


def test_some_files_are_verified_alone(at: Desk) -> None:
    at.sign()
    (at.model / "config.json").write_bytes(b"changed")
    answer = at.answer("--file", "weights/model.bin")
    assert (answer["verified"], answer["partial"], answer["files"]) == (True, True, 1)
    assert at.verify("--file", "config.json").exit_code == 1


def test_a_model_of_one_file_has_its_signature_beside_it(tmp_path: Path) -> None:
    at = desk(tmp_path)
    file = tmp_path / "churn.gguf"
    file.write_bytes(b"weights")
    assert run("sign", "model", file, "--key", at.key()).exit_code == 0
    assert run("verify", "model", file, "--bundle", tmp_path / "churn.gguf.sig", "--key", at.public()).exit_code == 0


def sigstore_options(at: Desk, *, identity: str = TRAINER, issuer: str = ISSUER) -> list[object]:
    """A bundle by certificate, and who is trusted."""
    at.bundle.unlink(missing_ok=True)
    at.bundle.write_bytes(sign(model_signature_statement(at.model)))
    root = at.folder / "trusted_root.json"
    root.write_text(sigstore().trusted_root_json)
    return ["verify", "model", at.model, "--trust-root", root, "--identity", identity, "--issuer", issuer, "-o", "json"]


def test_a_certificate_verifies_for_exactly_the_identity_and_issuer_that_are_named(at: Desk) -> None:
    assert json.loads(run(*sigstore_options(at)).stdout)["signer"]["identity"] == TRAINER
    for wrong in ({"identity": TRAINER + "x"}, {"issuer": "https://login.example.net"}):
        found = run(*sigstore_options(at, **wrong))
        assert (found.exit_code, json.loads(found.stdout)["reason"]) == (1, "SignerUnexpected")


def test_a_trust_root_as_it_is_applied_to_a_cluster_is_read(at: Desk) -> None:
    at.sign()
    keys = [{"name": "ci", "pem": at.public().read_text()}]
    root = at.folder / "root.yaml"
    root.write_text(yaml.safe_dump({"apiVersion": "sluice.dev/v1alpha1", "kind": "TrustRoot", "metadata": {"name": "release-keys"}, "spec": {"keys": keys}}))
    found = run("verify", "model", at.model, "--trust-root", root, "-o", "yaml")
    assert yaml.safe_load(found.stdout)["signer"]["key"] == "ci"


def test_a_key_that_the_trust_root_revokes_verifies_nothing(at: Desk) -> None:
    at.sign()
    spec = {"keys": [{"name": "ci", "pem": at.public().read_text()}], "revoked": [{"type": "Key", "key": "ci", "reason": "was on a lost laptop"}]}
    root = at.folder / "root.yaml"
    root.write_text(yaml.safe_dump({"apiVersion": "sluice.dev/v1alpha1", "kind": "TrustRoot", "metadata": {"name": "release-keys"}, "spec": spec}))
    found = run("verify", "model", at.model, "--trust-root", root)
    assert found.exit_code == 1
    assert "SignerRevoked" in found.stdout
    assert "was on a lost laptop" in found.stdout


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([], "whom you trust"),
        (["--key", "{public}", "--trust-root", "{root}"], "whom you trust"),
        (["--key", "{public}", "--identity", "x"], "nobody's identity"),
        (["--trust-root", "{root}"], "who must have signed"),
        (["--trust-root", "{root}", "--identity", "x"], "who must have signed"),
        (["--trust-root", "{public}"], "no TrustRoot"),
        (["--trust-root", "{broken}"], "neither YAML"),
        (["--trust-root", "{config}", "--identity", "x", "--issuer", "https://x"], "trusted root"),
        (["--key", "{config}"], "not a PEM public key"),
        (["--key", "nowhere"], "does not exist"),
        (["--key", "{public}", "--threads", "0"], "threads"),
    ],
)
def test_whom_to_trust_has_to_be_said_in_full(at: Desk, options: list[str], complaint: str) -> None:
    at.sign()
    root = at.folder / "trusted_root.json"
    root.write_text(sigstore().trusted_root_json)
    broken = at.folder / "broken"
    broken.write_text("a: [")
    named = {"broken": broken, "public": at.public(), "root": root, "config": at.model / "config.json"}
    found = run("verify", "model", at.model, *(each.format(**named) for each in options))
    assert found.exit_code == 2
    assert complaint in found.output


def test_a_signature_that_is_not_there_is_no_answer_and_can_be_named(at: Desk) -> None:
    found = at.verify()
    assert found.exit_code == 3
    assert "say where the signature is, with --bundle FILE" in found.output


def test_a_bundle_that_is_too_large_is_refused(at: Desk) -> None:
    at.sign()
    with at.bundle.open("ab") as file:
        file.truncate((32 << 20) + 1)
    assert at.answer()["reason"] == "BundleTooLarge"
    assert len(read_bundle_file(at.bundle)) == (32 << 20) + 1


def test_a_key_with_a_password_asks_for_the_right_one(at: Desk) -> None:
    key = at.key(password=b"correct")
    command = ["sign", "model", at.model, "--key", key]
    refused = run(*command), run(*command, **{PASSWORD_VARIABLE: "wrong"})
    assert [each.exit_code for each in refused] == [2, 2]
    assert not at.bundle.exists()
    assert run(*command, **{PASSWORD_VARIABLE: "correct"}).exit_code == 0
    assert at.verify().exit_code == 0


@pytest.mark.parametrize("break_it", [lambda m: (m / "link").symlink_to("config.json"), lambda m: [path.unlink() for path in m.rglob("*") if path.is_file()]])
def test_what_cannot_be_signed_leaves_no_signature(at: Desk, break_it: Callable[[Path], object]) -> None:
    break_it(at.model)
    found = at.sign("-o", "json")
    assert (found.exit_code, json.loads(found.stdout)["signed"]) == (1, False)
    assert not list(at.model.glob("*.sig*"))


def test_a_public_key_is_no_private_one(at: Desk) -> None:
    assert run("sign", "model", at.model, "--key", at.public()).exit_code == 2
