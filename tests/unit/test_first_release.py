"""docs/first-release.md works as it is written: its commands run, its manifests are read, and the release serves once it is approved."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sluice.cli import main

GUIDE = (Path(__file__).parents[2] / "docs" / "first-release.md").read_text()
MANIFESTS = dict(re.findall(r"`(\w+\.yaml)`:\n```yaml\n(.*?)```", GUIDE, flags=re.DOTALL))
COMMANDS = [line.removeprefix("$ sluice ") for line in GUIDE.splitlines() if line.startswith("$ sluice ")]
SIGNED = re.search(r"digest +(sha256:[0-9a-f]{64})\n", GUIDE)
RELEASE = ("verify", "release", "mr/churn-1-0-0", "-n", "payments")
FILES = [option for name in ("policy", "trust", "evidence", "release") for option in ("-f", f"{name}.yaml")]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Result]:
    """Somebody did all of it up to the cluster; the answers of the commands."""
    monkeypatch.chdir(tmp_path)
    key = ec.generate_private_key(ec.SECP256R1())
    pem = serialization.Encoding.PEM
    Path("trainer.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    Path("trainer.pub").write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    Path("churn").mkdir()
    Path("churn/weights.bin").write_bytes(b"weights")
    Path("churn/config.json").write_text("{}")
    for name, text in MANIFESTS.items():
        Path(name).write_text(text)
    answers = []
    for command in COMMANDS:
        words, _, target = command.partition(" > ")
        result = run(*shlex.split(words))
        answers.append(result)
        if target:
            Path(target).write_text(result.stdout)
        if words.startswith("sign model"):
            found = re.search(r"digest +(sha256:[0-9a-f]{64})", result.stdout)
            assert found, result.output
            assert SIGNED
            Path("release.yaml").write_text(MANIFESTS["release.yaml"].replace(SIGNED[1], found[1]))
    return answers


def approval(verdict: dict[str, Any]) -> dict[str, Any]:
    """What `sluice approve` makes, with the name that the API server stamps."""
    digests = {name: verdict[name] for name in ("releaseDigest", "evidenceDigest")}
    spec = {"release": {"name": "churn-1-0-0"}, **digests, "role": "owner", "decision": "Approve", "approver": {"username": "olga@example.com"}}
    return {"apiVersion": "sluice.dev/v1alpha1", "kind": "ReleaseApproval", "metadata": {"name": "by-olga", "namespace": "payments"}, "spec": spec}


def test_the_guide_has_what_its_reader_needs() -> None:
    assert set(MANIFESTS) == {"policy.yaml", "release.yaml", "deployment.yaml"}
    assert [command.split()[0] for command in COMMANDS] == ["trust", "sign", "evidence", "verify"]
    assert SIGNED
    assert MANIFESTS["release.yaml"].count(SIGNED[1]) == 1


def test_each_command_of_the_guide_ends_as_it_says(followed: list[Result]) -> None:
    assert [answer.exit_code for answer in followed] == [0, 0, 0, 1]
    told = GUIDE.partition("$ sluice verify release")[2].splitlines()[1:3]
    assert followed[-1].stdout.splitlines()[:2] == told


def test_nothing_but_the_approval_is_missing_and_with_it_the_release_serves(followed: list[Result]) -> None:
    assert followed
    verdict = json.loads(run(*RELEASE, *FILES, "-o", "json").stdout)
    assert [one["outcome"] for one in verdict["requirements"]] == ["Satisfied", "Missing"]
    Path("approval.yaml").write_text(yaml.safe_dump(approval(verdict)))
    found = run(*RELEASE, *FILES, "-f", "approval.yaml")
    assert found.exit_code == 0, found.output
    assert "Serving" in found.stdout


def test_the_workload_of_the_guide_serves_the_image_of_its_release() -> None:
    release, deployment = yaml.safe_load(MANIFESTS["release.yaml"]), yaml.safe_load(MANIFESTS["deployment.yaml"])
    template = deployment["spec"]["template"]
    assert template["metadata"]["labels"]["sluice.dev/release"] == release["metadata"]["name"]
    assert [one["image"] for one in template["spec"]["containers"]] == [one["uri"] for one in release["spec"]["artifacts"] if one["type"] == "Image"]
