"""`sluice verify bundle` and `verify image`: 0 for exactly what somebody who was named has signed, and for nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result

from e2e.sigstore import entries, model_signature_statement, sign_with_key, slsa_statement
from e2e.sigstore.bundles import bundle
from e2e.sigstore.entries import Signature
from sluice.provenance.envelope import BUNDLE_LIMIT
from sluice.provenance.model_files import ModelFile, name_binding_digest
from tests.bundles import ARTIFACT, Kind, make
from tests.signing import ISSUER, TRAINER, plain_keys, public_pem, sign, sigstore
from tests.unit.cli.models import run

MODEL = b"weights"
DIGEST = "sha256:" + hashlib.sha256(MODEL).hexdigest()
OTHER = "sha256:" + "0" * 64
WHO = ["--identity", TRAINER, "--issuer", ISSUER]


class Desk:
    """A bundle about a file, a trust root, and the file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bundle = self.write("bundle.json", sign(slsa_statement({"model": DIGEST}, "https://builder.example.com")))
        self.root = self.write("trusted_root.json", sigstore().trusted_root_json.encode())
        self.artifact = self.write("model.bin", MODEL)

    def write(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    def trust_root(self, **more: Any) -> Path:  # noqa: ANN401 - fields of the spec
        spec = {"sigstore": {"trustedRoot": sigstore().trusted_root_json}} | more
        return self.write("trust.yaml", yaml.safe_dump({"kind": "TrustRoot", "metadata": {"name": "ci"}, "spec": spec}).encode())

    def verify(self, *options: object, root: Path | None = None) -> Result:
        return run("verify", "bundle", self.bundle, "--trust-root", root or self.root, *WHO, *options)

    def answer(self, *options: object, root: Path | None = None) -> Any:  # noqa: ANN401 - parsed JSON
        return json.loads(self.verify(*options, "-o", "json", root=root).stdout)


@pytest.fixture
def at(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.mark.parametrize("artifact", ["file", DIGEST, None])
def test_a_statement_about_the_artifact_by_who_was_named_is_verified(at: Desk, artifact: str | None) -> None:
    options = [] if artifact is None else ["--artifact", at.artifact if artifact == "file" else artifact]
    assert at.verify(*options).exit_code == 0
    answer = at.answer(*options)
    assert answer["verified"] is True
    assert answer["subjects"] == [f"model {DIGEST}"]
    assert (answer["signer"]["identity"], answer["signer"]["issuer"]) == (TRAINER, ISSUER)
    assert len(answer["certificates"]) > 1


def test_a_statement_about_something_else_is_not(at: Desk) -> None:
    at.write("model.bin", b"other weights")
    for artifact in (str(at.artifact), OTHER):
        assert at.verify("--artifact", artifact).exit_code == 1
        assert at.answer("--artifact", artifact)["reason"] == "SubjectMissing"


@pytest.mark.parametrize(("option", "value"), [("--identity", TRAINER + "x"), ("--issuer", "https://elsewhere.example.com")])
def test_a_signature_of_somebody_else_is_not(at: Desk, option: str, value: str) -> None:
    assert at.verify(option, value).exit_code == 1
    assert at.answer(option, value)["reason"] == "SignerUnexpected"


def test_a_signature_of_somebody_whom_the_trust_root_revokes_is_not(at: Desk) -> None:
    assert at.verify(root=at.trust_root()).exit_code == 0
    root = at.trust_root(revoked=[{"type": "Identity", "identity": TRAINER, "issuer": ISSUER, "reason": "runner compromised"}])
    answer = at.answer(root=root)
    assert (answer["verified"], answer["reason"]) == (False, "SignerRevoked")
    assert "TrustRoot ci revoked identity" in answer["message"]
    assert "runner compromised" in answer["message"]


def test_a_statement_of_another_kind_is_not_the_one_that_was_asked_for(at: Desk) -> None:
    kind = at.answer()["predicateType"]
    assert at.verify("--predicate-type", kind).exit_code == 0
    refused = at.answer("--predicate-type", kind + "x")
    assert (refused["verified"], refused["reason"]) == (False, "PredicateTypeUnexpected")
    at.bundle.write_bytes(make(Kind(message=True, entries=("hashedrekord 0.0.1",))))
    at.artifact.write_bytes(ARTIFACT)
    assert "the bundle signs plain bytes" in at.answer("--artifact", at.artifact, "--predicate-type", kind)["message"]


def test_an_image_has_a_statement_of_the_kind_that_was_asked_for_or_is_not_verified(at: Desk) -> None:
    """CVE-2022-35930: an attestation of another type satisfied the check."""
    other = at.write("other.json", sign(model_signature_statement({"a": MODEL})))
    named = ["verify", "image", f"registry.example.com/churn@{DIGEST}", "--trust-root", at.root, *WHO]
    kind = at.answer()["predicateType"]
    assert run(*named, "--bundle", other, "--bundle", at.bundle, "--predicate-type", kind).exit_code == 0
    refused = run(*named, "--bundle", at.bundle, "--predicate-type", "https://spdx.dev/Document/v3", "-o", "json")
    assert (refused.exit_code, json.loads(refused.stdout)["reason"]) == (1, "PredicateTypeUnexpected")


def test_of_a_model_signature_the_list_is_verified_and_its_digest_is_that_of_releases(at: Desk) -> None:
    contents = {"a": MODEL, "b": b"{}"}
    files = [ModelFile(name, "sha256", hashlib.sha256(content).hexdigest()) for name, content in contents.items()]
    at.bundle.write_bytes(sign(model_signature_statement(contents)))
    answer = at.answer()
    root = answer["subjects"][0].split()[1]
    assert (answer["files"], answer["digest"]) == (2, name_binding_digest(files))
    assert at.verify("--artifact", answer["digest"]).exit_code == 0
    for other in (root, at.artifact):
        refused = at.answer("--artifact", other)
        assert (refused["reason"], "compared by `sluice verify model`" in refused["message"]) == ("SubjectMissing", True)


def test_a_model_signature_may_be_longer_than_what_a_cluster_reads_and_nothing_else(at: Desk) -> None:
    names = [f"{'x' * 90}/{number}" for number in range(5000)]
    at.bundle.write_bytes(sign_with_key(model_signature_statement(dict.fromkeys(names, b"x")), plain_keys()["p256"], "p256"))
    key = at.write("key.pub", public_pem(plain_keys()["p256"]).encode())
    assert at.bundle.stat().st_size > BUNDLE_LIMIT
    assert run("verify", "bundle", at.bundle, "--key", key).exit_code == 0
    other = slsa_statement({"model": DIGEST}, "https://builder.example.com/" + "x" * BUNDLE_LIMIT)
    at.bundle.write_bytes(sign_with_key(other, plain_keys()["p256"], "p256"))
    refused = run("verify", "bundle", at.bundle, "--key", key)
    assert (refused.exit_code, "BundleTooLarge" in refused.output) == (1, True)


def test_half_a_revocation_verifies_nothing(at: Desk) -> None:
    """Without its issuer it would revoke nobody."""
    found = at.verify(root=at.trust_root(revoked=[{"type": "Identity", "identity": TRAINER, "reason": "runner compromised"}]))
    assert found.exit_code == 2
    assert "spec.revoked[0].issuer: issuer goes with type Identity, which needs it" in found.output


def test_a_signature_over_plain_bytes_is_verified_with_the_bytes_only(at: Desk) -> None:
    at.bundle.write_bytes(make(Kind(message=True, entries=("hashedrekord 0.0.1",))))
    at.artifact.write_bytes(ARTIFACT)
    assert at.verify().exit_code == 2
    assert at.answer("--artifact", at.artifact)["artifact"] == "sha256:" + hashlib.sha256(ARTIFACT).hexdigest()
    assert at.verify("--artifact", OTHER).exit_code == 1


@pytest.mark.parametrize("kind", ["ed25519", "p384", "p521", "rsa"])
def test_a_signature_over_the_content_itself_is_verified_with_the_file_and_asks_for_it_where_there_is_a_digest(at: Desk, kind: str) -> None:
    key = plain_keys()[kind]
    signature = Signature(content=MODEL, payload=None, value=entries.sign(key, MODEL), key=key, certificate=None)
    signed = at.write("signed.json", bundle(signature, hint="none of these"))
    keys = [option for name in ("p256", kind) for option in ("--key", at.write(f"{name}.pub", public_pem(plain_keys()[name]).encode()))]
    assert run("verify", "bundle", signed, *keys, "--artifact", at.artifact).exit_code == 0
    by_digest = run("verify", "bundle", signed, *keys, "--artifact", DIGEST)
    assert (by_digest.exit_code, "needs the file" in by_digest.output or "give the file" in by_digest.output) == ((0, False) if kind == "rsa" else (1, True))
    assert run("verify", "bundle", signed, *keys, "--artifact", at.write("other.bin", b"other")).exit_code == 1


def test_what_cannot_be_read_or_used_has_its_own_codes(at: Desk) -> None:
    assert run("verify", "bundle", at.bundle, "--trust-root", at.root).exit_code == 2, "a trust root that certifies anybody needs a name"
    assert run("verify", "bundle", at.folder / "nothing", "--trust-root", at.root, *WHO).exit_code == 2
    assert at.verify("--artifact", at.folder / "nothing").exit_code == 3
    assert at.verify("--artifact", "sha256:abc").exit_code == 2
    at.bundle.write_bytes(b"{")
    assert at.answer()["reason"] == "BundleMalformed"


def image(at: Desk, reference: str, *bundles: Path) -> Result:
    return run("verify", "image", reference, *(part for path in bundles for part in ("--bundle", path)), "--trust-root", at.root, *WHO, "-o", "json")


def test_an_image_is_verified_by_its_digest_and_one_bundle_that_verifies_is_enough(at: Desk) -> None:
    wrong = at.write("wrong.json", sign(slsa_statement({"model": OTHER}, "https://builder.example.com")))
    found = image(at, f"registry.example.com/churn@{DIGEST}", wrong, at.bundle)
    assert (found.exit_code, json.loads(found.stdout)["image"]) == (0, f"registry.example.com/churn@{DIGEST}")
    assert image(at, f"registry.example.com/churn@{DIGEST}", wrong).exit_code == 1
    several = json.loads(image(at, f"registry.example.com/churn@{DIGEST}", wrong, wrong).stdout)
    assert "none of 2 bundles verifies" in several["message"]
    for reference in ("registry.example.com/churn:latest", f"churn@{DIGEST}x", f"churn:{DIGEST}"):
        assert image(at, reference, at.bundle).exit_code == 2


def test_what_strangers_wrote_reaches_no_terminal_as_control_characters(at: Desk) -> None:
    payload = json.loads(base64.b64decode(json.loads(at.bundle.read_bytes())["dsseEnvelope"]["payload"]))
    payload["subject"][0]["name"] = "model\x1b[2J"
    at.bundle.write_bytes(sign(payload))
    shown = at.verify()
    assert shown.exit_code == 0
    assert "\x1b" not in shown.stdout
