"""The client of sigstore-conformance: its argument conventions, and its exit codes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from e2e.sigstore import model_signature_statement
from sluice.provenance.digests import sha256_of
from tests.bundles import ARTIFACT, KEY_NAME, KINDS, Kind, make
from tests.conformance.sigstore_client import NOT_VERIFIED, VERIFIED, WRONG_CALL, main
from tests.signing import FILES, ISSUER, TRAINER, plain_keys, public_pem, sigstore
from tests.unit.provenance.test_published import FOLDER, GITHUB

MESSAGE = Kind(message=True, entries=("hashedrekord 0.0.1",))
WHO = ["--certificate-identity", TRAINER, "--certificate-oidc-issuer", ISSUER]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "root.json").write_text(sigstore().trusted_root_json)
    (tmp_path / "empty.json").write_text('{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}')
    (tmp_path / "a.txt").write_bytes(ARTIFACT)
    (tmp_path / "other.txt").write_bytes(b"other")
    (tmp_path / "key.pub").write_text(public_pem(plain_keys()[KEY_NAME]))
    (tmp_path / "wrong.pub").write_text(public_pem(plain_keys()["p384"]))
    return tmp_path


def verify(folder: Path, kind: Kind, *arguments: str, artifact: str | None = None, root: str = "root.json") -> int:
    (folder / "bundle.json").write_bytes(make(kind))
    who = list(arguments) or (["--key", str(folder / "key.pub")] if kind.keyed else WHO)
    path = folder / "a.txt" if artifact is None else artifact
    return main(["verify-bundle", "--bundle", str(folder / "bundle.json"), *who, "--trusted-root", str(folder / root), str(path)])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.message], ids=str)
def test_artifacts_verify_by_file_and_by_digest(folder: Path, kind: Kind) -> None:
    assert verify(folder, kind) == VERIFIED
    assert verify(folder, kind, artifact=sha256_of(ARTIFACT)) == VERIFIED
    assert verify(folder, kind, artifact=str(folder / "other.txt")) == NOT_VERIFIED
    assert verify(folder, kind, artifact=sha256_of(b"other")) == NOT_VERIFIED


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.message], ids=str)
def test_a_statement_has_to_speak_of_the_artifact(folder: Path, kind: Kind) -> None:
    subject = model_signature_statement(FILES)["subject"][0]["digest"]["sha256"]
    assert verify(folder, kind, artifact=f"sha256:{subject}") == VERIFIED
    assert verify(folder, kind) == NOT_VERIFIED


def test_another_identity_another_issuer_and_another_key_do_not_verify(folder: Path) -> None:
    assert verify(folder, MESSAGE, "--certificate-identity", TRAINER[:-1], "--certificate-oidc-issuer", ISSUER) == NOT_VERIFIED
    assert verify(folder, MESSAGE, "--certificate-identity", TRAINER, "--certificate-oidc-issuer", ISSUER + "/") == NOT_VERIFIED
    assert verify(folder, Kind(keyed=True, message=True), "--key", str(folder / "wrong.pub")) == NOT_VERIFIED
    assert verify(folder, MESSAGE, "--key", str(folder / "key.pub")) == NOT_VERIFIED


def test_a_key_needs_no_instance_and_what_the_bundle_brings_of_one_has_to_hold(folder: Path) -> None:
    assert verify(folder, Kind(keyed=True, message=True), root="empty.json") == VERIFIED
    assert verify(folder, Kind(keyed=True, message=True, entries=("hashedrekord 0.0.2",), stamps=1), root="empty.json") == NOT_VERIFIED
    assert verify(folder, MESSAGE, root="empty.json") == NOT_VERIFIED


@pytest.mark.parametrize("arguments", [["--key", "k", *WHO], WHO[:2], WHO[2:], []])
def test_a_key_and_an_identity_exclude_each_other_and_an_identity_needs_its_issuer(folder: Path, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["verify-bundle", "--bundle", str(folder / "b"), *arguments, str(folder / "a.txt")])
    assert left.value.code == WRONG_CALL


def test_a_file_that_is_missing_and_a_bundle_that_is_none_are_not_verified(folder: Path) -> None:
    assert verify(folder, MESSAGE, artifact=str(folder / "missing")) == NOT_VERIFIED
    assert main(["verify-bundle", "--bundle", str(folder / "a.txt"), *WHO, str(folder / "a.txt")]) == NOT_VERIFIED


def test_a_file_that_is_named_like_a_digest_is_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    name = sha256_of(b"anything")
    (folder / name).write_bytes(ARTIFACT)
    assert verify(folder, MESSAGE, artifact=name) == VERIFIED


def test_it_does_not_sign_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sign-bundle", "--identity-token", "t", "--bundle", "b", "f"]) == WRONG_CALL
    assert "does not sign" in capsys.readouterr().err


def test_the_door_opens_from_the_shell_and_trusts_the_public_instance_by_default() -> None:
    door = Path(__file__).parents[2] / "conformance" / "sigstore"
    package = "pypi_attestation_models-0.0.4a2.tar.gz"
    identity = "https://github.com/trailofbits/pypi-attestation-models/.github/workflows/release.yml@refs/tags/v0.0.4a2"
    who = ["--certificate-identity", identity, "--certificate-oidc-issuer", GITHUB]
    digest = "sha256:c9709ce6fd5b67b59b4a28758cf14d3f411803c4b89b6068b1f1a8e4ee94c8ef"
    command = [str(door), "verify-bundle", "--bundle", str(FOLDER / f"{package}.sigstore"), *who, digest]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, identity in ended.stdout) == (VERIFIED, True), ended.stderr
