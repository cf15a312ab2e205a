"""Somebody approves with a certificate instead of a key, from their login to what check and controller make of it. The services are ours, on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from e2e.sigstore import PrivateSigstore
from e2e.sigstore.identity_provider import IdentityProvider
from e2e.sigstore.services import PrivateServices
from sluice.cli import main
from sluice.controller.conditions import Moment
from sluice.controller.object_status import STATUSES
from sluice.decision.records import Key
from sluice.decision.world import World
from sluice.provenance.signing import SigningKey

SAM = "sam@example.com"
RELEASE = "churn-1-0-0"


@pytest.fixture(scope="module")
def sigstore() -> PrivateSigstore:
    return PrivateSigstore.create()


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    with IdentityProvider() as running:
        yield running


class Git:
    """A folder as it lies in Git: a release that waits for Sam, whom policy knows by identity and issuer."""

    def __init__(self, folder: Path, provider: IdentityProvider, services: PrivateServices) -> None:
        self.folder, self.provider, self.deploy = folder, provider, folder / "deploy"
        self.config = folder / "config.json"
        self.config.write_text(services.trust_config())
        (folder / "root.json").write_text(services.trusted_root_json)
        key = SigningKey.generate()
        (folder / "trainer.pem").write_bytes(key.private_pem())
        (folder / "trainer.pub").write_text(key.public_pem)
        (folder / "churn").mkdir()
        (folder / "churn" / "weights.bin").write_bytes(b"weights")
        model = ("--model", "churn", "--version", "1.0.0", "-n", "payments", "--key", folder / "trainer.pub", "--approver", "olga@example.com")
        self.run("init", folder / "churn", *model, "--owner", "payments-ml", "--contact", "payments-ml@example.com", "--to", self.deploy)
        self.run("sign", "model", folder / "churn", "--key", folder / "trainer.pem")
        self.keep("weights.yaml", self.run("evidence", "create", "--bundle", folder / "churn" / "model.sig", "--name", "weights", "-n", "payments"))
        self.keep("people.yaml", self.run("trust", "import", folder / "root.json", "--name", "people"))
        self.know({"identity": SAM, "issuer": provider.url})

    def know(self, sam: dict[str, str]) -> None:
        """Let policy know Sam by this."""
        path = self.deploy / "policy.yaml"
        policy = yaml.safe_load(path.read_text())
        policy["spec"]["signers"] = [*policy["spec"]["signers"][:1], {"name": "sam-signs", "trustRoot": "people", "may": ["Approval"]} | sam]
        policy["spec"]["roles"] = [{"name": "owner", "subjects": [{"kind": "Signer", "name": "sam-signs"}]}]
        path.write_text(yaml.safe_dump(policy))

    def run(self, *arguments: object, **variables: str) -> Result:
        done = CliRunner().invoke(main, [str(each) for each in arguments], env=variables)
        assert done.exit_code == 0, done.output
        return done

    def keep(self, name: str, made: Result) -> None:
        (self.deploy / name).write_text(made.stdout)

    def approve(self, who: str = SAM) -> Result:
        """Somebody logs in, reads the release from the files and signs; what comes out is committed."""
        keyless = ("--keyless", "--trust-config", self.config, "--expires", "2099-01-01T00:00:00Z", "--yes")
        made = self.run(
            "approve", f"mr/{RELEASE}", "-n", "payments", "--role", "owner", "-f", self.deploy, *keyless, SIGSTORE_ID_TOKEN=self.provider.token(who)
        )
        self.keep("approval.yaml", made)
        return made

    def check(self) -> tuple[int, dict[str, Any]]:
        """What `sluice check` says to the folder."""
        done = CliRunner().invoke(main, ["check", "-f", str(self.deploy), "-o", "json"])
        (answer,) = json.loads(done.stdout)
        return done.exit_code, answer

    def status(self) -> dict[str, Any]:
        """What the controller writes into the status of the approval, which a GitOps controller has applied."""
        world = World()
        for path in sorted(self.deploy.iterdir()):
            item = yaml.safe_load(path.read_text())
            world.put(item["kind"], item)
        approval = Key.of(yaml.safe_load((self.deploy / "approval.yaml").read_text()))
        status = STATUSES["ReleaseEvidence"](world, approval, Moment(previous={}, generation=1, now=datetime.now(UTC)))
        assert status is not None
        return status | {"conditions": {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}}


@pytest.fixture
def git(tmp_path: Path, sigstore: PrivateSigstore, provider: IdentityProvider) -> Iterator[Git]:
    with PrivateServices(sigstore, provider) as services:
        yield Git(tmp_path, provider, services)


def test_who_approves_with_a_certificate_lets_the_release_serve_and_the_controller_says_who_it_was(git: Git) -> None:
    code, before = git.check()
    assert (code, before["phase"]) == (1, "AwaitingApproval")
    git.approve()
    code, after = git.check()
    assert (code, after["phase"]) == (0, "Serving")
    (decision,) = after["approvals"]
    assert (decision["by"], decision["role"], decision["counts"]) == (SAM, "owner", True)
    status = git.status()
    assert status["conditions"] == {"Verified": ("True", "SignatureVerified"), "Counted": ("True", "Counted")}
    assert status["signer"] == {"identity": SAM, "issuer": git.provider.url, "trustRoot": "people"}


def test_a_certificate_of_somebody_else_approves_nothing_and_they_are_told_at_once(git: Git) -> None:
    made = git.approve("eve@example.com")
    assert "no policy gives eve@example.com the role owner" in made.stderr
    code, answer = git.check()
    assert (code, answer["phase"]) == (1, "AwaitingApproval")
    assert "by eve@example.com as owner" in answer["requirements"][-1]["message"]
    assert git.status()["conditions"] == {"Verified": ("True", "SignatureVerified"), "Counted": ("False", "RoleNotGranted")}


@pytest.mark.parametrize(
    "known", [{"identity": SAM, "issuer": "https://accounts.example.com"}, {"identity": "sam@elsewhere.example"}], ids=["issuer", "identity"]
)
def test_the_same_name_by_another_provider_is_somebody_else(git: Git, known: dict[str, str]) -> None:
    git.know({"issuer": git.provider.url} | known)
    git.approve()
    assert git.check()[0] == 1
    assert git.status()["conditions"]["Counted"] == ("False", "RoleNotGranted")


def test_a_certificate_of_another_authority_is_no_certificate(git: Git) -> None:
    (git.folder / "other.json").write_text(PrivateSigstore.create().trusted_root_json)
    git.keep("people.yaml", git.run("trust", "import", git.folder / "other.json", "--name", "people"))
    git.approve()
    code, answer = git.check()
    assert (code, answer["approvals"]) == (1, [])
    assert "was refused (CertificateUntrusted)" in answer["requirements"][-1]["message"]
    assert git.status()["conditions"] == {"Verified": ("False", "CertificateUntrusted")}


def test_an_approval_dies_with_the_release_that_was_seen(git: Git) -> None:
    git.approve()
    path = git.deploy / "modelrelease.yaml"
    release = yaml.safe_load(path.read_text())
    release["spec"]["owner"]["contact"] = "others@example.com"
    path.write_text(yaml.safe_dump(release))
    code, answer = git.check()
    assert (code, answer["approvals"][0]["reason"], answer["approvals"][0]["by"]) == (1, "ReleaseChanged", SAM)
    assert git.status()["conditions"]["Counted"] == ("False", "ReleaseChanged")
