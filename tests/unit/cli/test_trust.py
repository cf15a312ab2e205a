"""`sluice trust`: what is imported is what the cluster takes, and a change that stops something from verifying says so."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.sigstore.trust_config import client_trust_config
from sluice.decision.records import TrustRoot
from tests.signing import plain_keys, public_pem, sigstore
from tests.unit.cli.models import run

Json = Any
REVOKED = {"type": "Key", "key": "ed25519", "reason": "laptop lost"}


def keys(folder: Path, *kinds: str) -> list[Path]:
    found = []
    for kind in kinds:
        path = folder / f"{kind}.pub"
        path.write_text(public_pem(plain_keys()[kind]))
        found.append(path)
    return found


def imported(*arguments: object) -> Json:
    found = run("trust", "import", *arguments)
    assert found.exit_code == 0, found.output
    return yaml.safe_load(found.stdout)


def stored(folder: Path, name: str, document: Json) -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump(document))
    return path


def test_keys_are_imported_under_the_names_of_their_files(tmp_path: Path) -> None:
    document = imported(*keys(tmp_path, "p256", "ed25519"), "--name", "ci")
    assert [key["name"] for key in document["spec"]["keys"]] == ["p256", "ed25519"]
    root = TrustRoot.of("ci", document)
    assert root.anchors is not None
    assert set(root.anchors.named_keys) == {"p256", "ed25519"}


def test_a_key_stands_in_the_manifest_as_it_is_in_its_file(tmp_path: Path) -> None:
    lines = run("trust", "import", *keys(tmp_path, "p256"), "--name", "ci").stdout.splitlines()
    assert "    pem: |" in lines
    assert "      -----BEGIN PUBLIC KEY-----" in lines


def test_two_keys_whose_files_have_one_name_are_refused(tmp_path: Path) -> None:
    """The second would take the place of the first."""
    (one,) = keys(tmp_path, "p256")
    other = tmp_path / "old" / "P256.pem"
    other.parent.mkdir()
    other.write_text(public_pem(plain_keys()["ed25519"]))
    found = run("trust", "import", one, other, "--name", "ci")
    assert found.exit_code == 2
    assert f"{one} and {other} would both be key 'p256': rename one of them" in " ".join(found.output.split())


def test_of_several_documents_none_is_picked(tmp_path: Path) -> None:
    path = tmp_path / "trust.yaml"
    path.write_text("---\n".join(yaml.safe_dump(imported(*keys(tmp_path, kind), "--name", kind)) for kind in ("p256", "ed25519")))
    found = run("trust", "show", path)
    assert (found.exit_code, "there are 2 documents in it; one is read" in found.output) == (2, True)


def test_a_trusted_root_is_imported_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "trusted_root.json"
    path.write_text(sigstore().trusted_root_json)
    document = imported(path, "--name", "sigstore")
    assert document["spec"] == {"sigstore": {"trustedRoot": sigstore().trusted_root_json}}
    assert TrustRoot.of("sigstore", document).anchors is not None


def test_of_a_trust_config_only_what_verifies_is_imported(tmp_path: Path) -> None:
    """The same file that says where to sign keyless."""
    root = json.loads(sigstore().trusted_root_json)
    path = tmp_path / "trust-config.json"
    path.write_text(client_trust_config(root, fulcio="https://a.example", log="https://b.example", timestamps=None, provider="https://c.example"))
    document = imported(path, "--name", "sigstore")
    assert json.loads(document["spec"]["sigstore"]["trustedRoot"]) == root
    assert run("trust", "diff", path, stored(tmp_path, "root.yaml", document)).exit_code == 0
    path.write_text('{"signingConfig": {}, "mediaType": "x"}')
    refused = run("trust", "import", path, "--name", "sigstore")
    assert (refused.exit_code, "holds no trustedRoot" in refused.stderr) == (2, True)


def test_certificates_of_a_private_pki_are_imported_with_what_dates_their_signatures(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415 - one test needs it

    ca, tsa = tmp_path / "ca.pem", tmp_path / "tsa.pem"
    ca.write_bytes(sigstore().root.certificate.public_bytes(Encoding.PEM))
    tsa.write_bytes(sigstore().timestamp_root.certificate.public_bytes(Encoding.PEM))
    document = imported(ca, "--name", "pki", "--timestamp-authority", tsa)
    assert TrustRoot.of("pki", document).anchors is not None
    assert imported(ca, "--name", "pki", "--accept-undated")["spec"]["certificateAuthorities"]["undated"] == "Accept"
    shown = run("trust", "show", stored(tmp_path, "pki.yaml", document)).stdout
    assert "certificate authority CN=" in shown
    assert "timestamp authority CN=" in shown


@pytest.mark.parametrize("content", ["", "{}", "-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----\n", "-----BEGIN CERTIFICATE-----\n", "[1]", "a: *b"])
def test_what_cannot_be_used_is_refused_before_it_reaches_a_cluster(tmp_path: Path, content: str) -> None:
    path = tmp_path / "trust"
    path.write_text(content)
    for command in (["import", path, "--name", "x"], ["show", path], ["diff", path, path]):
        assert run("trust", *command).exit_code == 2


def test_show_names_everybody_with_fingerprints_and_windows(tmp_path: Path) -> None:
    path = tmp_path / "trusted_root.json"
    path.write_text(sigstore().trusted_root_json)
    shown = run("trust", "show", path).stdout
    for words in ("certificate authority ", "transparency log https://", "certificate transparency log ", "timestamp authority ", "since 20"):
        assert words in shown
    document = imported(*keys(tmp_path, "ed25519"), "--name", "ci")
    document["spec"]["revoked"] = [REVOKED]
    answer = json.loads(run("trust", "show", stored(tmp_path, "ci.yaml", document), "-o", "json").stdout)
    assert answer["revoked"] == ["revoked: key ed25519: laptop lost"]
    assert answer["digest"] == TrustRoot.of("ci", document).digest


def test_a_change_that_stops_nothing_ends_well_and_one_that_stops_something_does_not(tmp_path: Path) -> None:
    one = imported(*keys(tmp_path, "ed25519"), "--name", "ci")
    two = imported(*keys(tmp_path, "ed25519", "p256"), "--name", "ci")
    revoked = one | {"spec": one["spec"] | {"revoked": [REVOKED]}}
    paths = {name: stored(tmp_path, f"{name}.yaml", document) for name, document in (("one", one), ("two", two), ("revoked", revoked))}

    def diff(old: str, new: str) -> tuple[int, int, int]:
        found = run("trust", "diff", paths[old], paths[new], "-o", "json")
        answer = json.loads(found.stdout)
        return found.exit_code, len(answer["stopsVerifying"]), len(answer["beginsVerifying"])

    assert diff("one", "one") == (0, 0, 0)
    assert diff("one", "two") == (0, 0, 1)
    assert diff("two", "one") == (1, 1, 0)
    assert diff("one", "revoked") == (1, 1, 0)
    assert diff("revoked", "one") == (0, 0, 1)
    assert "- key p256 sha256:" in run("trust", "diff", paths["two"], paths["one"]).stdout


def test_a_window_that_ends_is_told(tmp_path: Path) -> None:
    document = json.loads(sigstore().trusted_root_json)
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(json.dumps(document))
    document["certificateAuthorities"][0]["validFor"]["end"] = "2030-01-01T00:00:00Z"
    new.write_text(json.dumps(document))
    found = run("trust", "diff", old, new)
    assert (found.exit_code, [line[:23] for line in found.stdout.splitlines()[:2]]) == (1, ["- certificate authority", "+ certificate authority"])


@pytest.mark.parametrize("member", ["timestampAuthorities", "certificateAuthorities"])
@pytest.mark.parametrize("broken", ["5504ff0c", "55040a0cff"], ids=["no-chain", "name-not-utf-8"])
def test_an_authority_that_does_not_parse_is_named_by_its_field(tmp_path: Path, member: str, broken: str) -> None:
    root = json.loads(sigstore().trusted_root_json)
    certificate = root[member][0]["certChain"]["certificates"][-1]
    der = base64.b64decode(certificate["rawBytes"])
    # The organization of the subject, which comes after that of the issuer: its type, its length, its text.
    at, replaced = der.rindex(bytes.fromhex("55040a0c")), bytes.fromhex(broken)
    kept = der[at + 4 : at + 5] if replaced[-1] == 0xFF else b""
    certificate["rawBytes"] = base64.b64encode(der[:at] + replaced[:4] + kept + replaced[4:] + der[at + len(replaced) + len(kept) :]).decode()
    path = tmp_path / "trusted_root.json"
    path.write_text(json.dumps(root))
    shown = run("trust", "show", path)
    assert (shown.exit_code, type(shown.exception)) == (2, SystemExit), shown.output
    assert f"{member}[0]" in shown.stderr, shown.stderr
    assert "does not parse" in shown.stderr
