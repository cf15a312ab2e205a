"""The client of the conformance suite of OpenSSF model signing: the suite's cases, in its words, and its exit codes."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from e2e.sigstore.pki import Issued, certify
from tests.conformance.model_signing_client import main
from tests.signing import Json, plain_keys, public_pem

DOOR = Path(__file__).parents[2] / "conformance" / "model-signing"
NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=1000)


@pytest.fixture
def at(tmp_path: Path) -> Path:
    """A folder with the model that the suite calls `simple`, and key material."""
    files = {"signme-1": b"signme-1\n", "signme-2": b"signme-2", "ignore-me": b"", "sub/signme-3": b"3"}
    for name, content in files.items():
        (tmp_path / "model" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "model" / name).write_bytes(content)
    for kind in ("p256", "p384", "p521"):
        (tmp_path / f"{kind}.key").write_bytes(pem_of(kind))
        (tmp_path / f"{kind}.pub").write_text(public_pem(plain_keys()[kind]))
    return tmp_path


def pem_of(kind: str) -> bytes:
    return plain_keys()[kind].private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())


def authorities(at: Path, *, root_days: int = 2000, above_days: int = 2000, leaf_start: datetime = LONG_AGO, leaf_days: int = 2000) -> list[str]:
    """Three certificates in files; what `sign-model` takes of them."""
    root = certify(plain_keys()["rsa"], "root-ca", start=LONG_AGO, days=root_days, authority=True, purposes=(), signs=False)
    above = certify(plain_keys()["p384"], "intermediate-ca", start=LONG_AGO, days=above_days, parent=root, authority=True, purposes=(), signs=False)
    leaf = certify(plain_keys()["p256"], "signing-key", start=leaf_start, days=leaf_days, parent=above)
    written: dict[str, Issued] = {"root": root, "above": above, "leaf": leaf}
    for name, issued in written.items():
        (at / f"{name}.crt").write_text(issued.pem)
    return ["--method", "certificate", "--private-key", str(at / "p256.key"), "--signing-cert", str(at / "leaf.crt"), "--cert-chain", str(at / "above.crt")]


def sign(at: Path, *options: str, kind: str = "p256", model: str = "model", bundle: str = "out.sig") -> int:
    how = options or ("--method", "key", "--private-key", str(at / f"{kind}.key"))
    return main(["sign-model", *how, "--model-path", str(at / model), "--output-bundle", str(at / bundle), "--ignore-paths", str(at / "model/ignore-me")])


def verify(at: Path, *options: str, kind: str = "p256", model: str = "model", bundle: str = "out.sig") -> int:
    how = options or ("--method", "key", "--public-key", str(at / f"{kind}.pub"))
    return main(["verify-model", *how, "--model-path", str(at / model), "--bundle", str(at / bundle)])


def listed(at: Path) -> list[str]:
    payload = base64.b64decode(json.loads((at / "out.sig").read_bytes())["dsseEnvelope"]["payload"])
    return [each["name"] for each in json.loads(payload)["predicate"]["resources"]]


@pytest.mark.parametrize("kind", ["p256", "p384", "p521"])
def test_every_curve_goes_round(at: Path, kind: str) -> None:
    assert sign(at, kind=kind) == 0
    assert listed(at) == ["signme-1", "signme-2", "sub/signme-3"]
    assert verify(at, kind=kind) == 0
    assert verify(at, kind="p384" if kind != "p384" else "p256") == 1


def test_the_short_form_of_the_call_verifies_as_well(at: Path) -> None:
    sign(at)
    assert main(["verify-model", "--bundle", str(at / "out.sig"), "--key", str(at / "p256.pub"), str(at / "model")]) == 0
    sign(at, *authorities(at))
    assert main(["verify-model", "--bundle", str(at / "out.sig"), "--certificate-chain", str(at / "root.crt"), str(at / "model")]) == 0


def test_git_at_the_top_is_left_out_and_below_it_is_not(at: Path) -> None:
    for name in (".git/HEAD", ".github/ci.yml", ".gitignore", ".gitattributes", "sub/.gitignore", ".cache/weights.bin", ".env"):
        (at / "model" / name).parent.mkdir(exist_ok=True)
        (at / "model" / name).write_bytes(b"x")
    assert sign(at) == 0
    assert listed(at) == [".cache/weights.bin", ".env", "signme-1", "signme-2", "sub/.gitignore", "sub/signme-3"]
    assert verify(at) == 0


def test_a_path_to_ignore_is_that_path_only(at: Path) -> None:
    (at / "model/sub/ignore-me").write_bytes(b"x")
    sign(at)
    assert "sub/ignore-me" in listed(at)
    assert "ignore-me" not in listed(at)


def test_a_signature_inside_of_the_model_is_none_of_its_files(at: Path) -> None:
    assert sign(at, bundle="model/model.sig") == 0
    assert verify(at, bundle="model/model.sig") == 0


def test_a_model_of_one_file_goes_round(at: Path) -> None:
    assert sign(at, model="model/signme-1") == 0
    assert listed(at) == ["signme-1"]
    assert verify(at, model="model/signme-1") == 0


@pytest.mark.parametrize("name", ["模型.bin", "file (copy).bin", "path with spaces/a:b"])
def test_unusual_names_go_round(at: Path, name: str) -> None:
    (at / "model" / name).parent.mkdir(exist_ok=True)
    (at / "model" / name).write_bytes(b"x")
    assert sign(at) == 0
    assert name in listed(at)
    assert verify(at) == 0


@pytest.mark.parametrize("target", [".", "signme-1", "/tmp/nonexistent-target"])
def test_a_model_with_a_link_is_not_signed(at: Path, target: str) -> None:
    (at / "model/link").symlink_to(target)
    assert sign(at) == 1


def test_an_empty_model_is_not_signed(at: Path) -> None:
    (at / "empty").mkdir()
    (at / "empty/.gitignore").write_bytes(b"")
    assert sign(at, model="empty") == 1


CHANGES: list[tuple[Callable[[Path], object], int]] = [
    (lambda m: (m / "signme-1").write_text("TAMPERED"), 1),
    (lambda m: (m / "signme-2").unlink(), 1),
    (lambda m: (m / "injected.bin").write_bytes(b"x"), 0),
]


@pytest.mark.parametrize(("change", "when_unsigned_files_are_ignored"), CHANGES)
def test_a_changed_model_does_not_verify(at: Path, change: Callable[[Path], object], when_unsigned_files_are_ignored: int) -> None:
    sign(at)
    change(at / "model")
    assert verify(at) == 1
    key = str(at / "p256.pub")
    assert verify(at, "--method", "key", "--public-key", key, "--ignore-unsigned-files") == when_unsigned_files_are_ignored


def test_unsigned_files_are_accepted_at_the_path_that_is_named(at: Path) -> None:
    sign(at)
    (at / "model/injected.bin").write_bytes(b"x")
    assert verify(at, "--method", "key", "--public-key", str(at / "p256.pub"), "--ignore-paths", str(at / "model/injected.bin")) == 0


def edit_payload(at: Path, edit: Callable[[Json], object]) -> None:
    bundle = json.loads((at / "out.sig").read_bytes())
    payload = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    edit(payload)
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()
    (at / "out.sig").write_text(json.dumps(bundle))


def edit_bundle(at: Path, edit: Callable[[Json], object]) -> None:
    bundle = json.loads((at / "out.sig").read_bytes())
    edit(bundle)
    (at / "out.sig").write_text(json.dumps(bundle))


@pytest.mark.parametrize(
    "break_it",
    [
        lambda at: edit_bundle(at, lambda b: b.update(mediaType="application/json")),
        lambda at: edit_bundle(at, lambda b: b["dsseEnvelope"].update(payloadType="application/octet-stream")),
        lambda at: edit_bundle(at, lambda b: b["dsseEnvelope"].update(signatures=[])),
        lambda at: edit_bundle(at, lambda b: b.pop("dsseEnvelope")),
        lambda at: edit_payload(at, lambda p: p.update(_type="https://in-toto.io/Statement/v0.1")),
        lambda at: edit_payload(at, lambda p: p.update(predicateType="https://wrong.example.com")),
        lambda at: edit_payload(at, lambda p: p["predicate"].update(resources=[])),
        lambda at: edit_payload(at, lambda p: p["predicate"].pop("serialization")),
        lambda at: (at / "out.sig").write_bytes(b""),
        lambda at: (at / "out.sig").write_bytes(b'{"garbage": true}'),
        lambda at: (at / "out.sig").write_bytes((at / "out.sig").read_bytes()[:100]),
        lambda at: (at / "out.sig").unlink(),
    ],
)
def test_a_broken_bundle_does_not_verify(at: Path, break_it: Callable[[Path], object]) -> None:
    sign(at)
    break_it(at)
    assert verify(at) == 1


def test_certificates_go_round(at: Path) -> None:
    assert sign(at, *authorities(at)) == 0
    assert verify(at, "--method", "certificate", "--cert-chain", str(at / "root.crt")) == 0
    assert verify(at, "--method", "certificate", "--cert-chain", str(at / "leaf.crt"), "--cert-chain", str(at / "root.crt")) == 0


def test_a_self_signed_certificate_goes_round(at: Path) -> None:
    authorities(at)
    own = certify(plain_keys()["p256"], "self-signed-test", start=LONG_AGO, days=2000)
    (at / "own.crt").write_text(own.pem)
    assert sign(at, "--method", "certificate", "--private-key", str(at / "p256.key"), "--signing-cert", str(at / "own.crt")) == 0
    assert verify(at, "--method", "certificate", "--cert-chain", str(at / "own.crt")) == 0
    assert verify(at, "--method", "certificate", "--cert-chain", str(at / "root.crt")) == 1


@pytest.mark.parametrize(
    "dates",
    [
        {"leaf_days": 1}, {"leaf_start": NOW + timedelta(days=1)}, {"above_days": 1}, {"root_days": 1},
        {"leaf_days": 1, "above_days": 1}, {"leaf_days": 1, "above_days": 1, "root_days": 1},
    ],
)  # fmt: skip
def test_certificates_that_are_not_valid_today_do_not_verify(at: Path, dates: dict[str, Json]) -> None:
    assert sign(at, *authorities(at, **dates)) == 0
    assert verify(at, "--method", "certificate", "--cert-chain", str(at / "root.crt")) == 1


def test_a_bundle_of_one_method_does_not_verify_by_another(at: Path) -> None:
    certificate = authorities(at)
    sigstore = ("--method", "sigstore", "--identity", "test@example.com", "--identity-provider", "https://accounts.example.com")
    sign(at)
    assert verify(at, "--method", "certificate", "--cert-chain", str(at / "root.crt")) == 1
    assert verify(at, *sigstore) == 1
    sign(at, *certificate)
    assert verify(at) == 1
    assert verify(at, *sigstore) == 1
    assert verify(at, "--method", "certificate", "--cert-chain", str(at / "above.crt")) == 0


@pytest.mark.parametrize(
    "call",
    [
        ["verify-model", "--bundle", "{bundle}", "--method", "key", "{model}"],
        ["verify-model", "--bundle", "{bundle}", "--method", "certificate", "{model}"],
        ["verify-model", "--bundle", "{bundle}", "--method", "sigstore", "{model}"],
        ["verify-model", "--bundle", "{bundle}", "--key", "{key}"],
        ["sign-model", "--output-bundle", "{bundle}", "--method", "sigstore", "--identity-token", "x", "{model}"],
        ["sign-model", "--output-bundle", "{bundle}", "--method", "certificate", "--private-key", "{key}", "{model}"],
    ],
)
def test_a_call_that_says_too_little_is_a_wrong_call(at: Path, call: list[str]) -> None:
    sign(at)
    named = {"bundle": at / "out.sig", "model": at / "model", "key": at / "p256.pub"}
    assert main([each.format(**named) for each in call]) == 2


def test_the_door_can_be_opened(at: Path) -> None:
    sign(at)
    call = [str(DOOR), "verify-model", "--method", "key", "--public-key", str(at / "p256.pub"), "--model-path", str(at / "model"), "--bundle"]
    assert subprocess.run([*call, str(at / "out.sig")], check=False, capture_output=True, timeout=60).returncode == 0
