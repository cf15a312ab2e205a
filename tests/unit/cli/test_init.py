"""`sluice init` writes what the cluster takes as it is, and what only a signature and an approval are missing from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result

from sluice.api.policy import PolicySpec
from sluice.decision.problems import policy_problems
from sluice.decision.records import TrustRoot
from tests.unit.cli.models import Desk, desk, run

IMAGE = "registry.example.com/churn@sha256:" + "b" * 64


class Made:
    """A model, and the folder that its manifests go to."""

    def __init__(self, at: Path) -> None:
        self.desk: Desk = desk(at)
        self.to = at / "deploy"

    def init(self, *more: object, approvers: tuple[object, ...] = ("--approver", "olga@example.com")) -> Result:
        who = (*approvers, "--owner", "payments-ml", "--contact", "payments-ml@example.com", "--key", self.desk.public())
        return run("init", self.desk.model, "--model", "churn", "--version", "1.0.0", "-n", "payments", *who, "--to", self.to, *more)

    def check(self, *more: object) -> tuple[int, dict[str, str]]:
        found = run("check", "-f", self.to, "-o", "json", *more)
        (answer,) = json.loads(found.stdout)
        return found.exit_code, {each["name"]: each["outcome"] for each in answer["requirements"]}

    def written(self, name: str) -> Any:  # noqa: ANN401 - parsed YAML
        return yaml.safe_load((self.to / name).read_text())


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """The model."""
    return Made(tmp_path)


def test_only_evidence_and_an_approval_are_missing_and_the_signature_of_the_model_is_the_evidence(made: Made) -> None:
    assert made.init("--image", IMAGE).exit_code == 0
    assert made.check() == (1, {"weights-signed": "Missing", "approvals": "Missing"})
    assert made.desk.sign().exit_code == 0
    evidence = run("evidence", "create", "--bundle", made.desk.bundle, "--name", "churn-1-0-0-weights", "-n", "payments")
    (made.to / "evidence.yaml").write_text(evidence.stdout)
    assert made.check("--until", "approval") == (0, {"weights-signed": "Satisfied", "approvals": "Missing"})
    release = made.written("modelrelease.yaml")["spec"]
    assert release["artifacts"][1] == {"name": "server", "type": "Image", "uri": IMAGE, "digest": "sha256:" + "b" * 64}


def test_approvers_who_sign_are_all_that_is_missing_and_what_they_sign_lets_it_serve(made: Made) -> None:
    signing = ("--approver-key", f"olga@example.com={made.desk.public('p384')}")
    answer = json.loads(made.init("-o", "json", approvers=signing).stdout)
    assert [line.split()[:2] for line in answer["next"]].count(["sluice", "approve"]) == 1
    assert made.desk.sign().exit_code == 0
    evidence = run("evidence", "create", "--bundle", made.desk.bundle, "--name", "churn-1-0-0-weights", "-n", "payments")
    (made.to / "evidence.yaml").write_text(evidence.stdout)
    assert made.check("--until", "approval") == (0, {"weights-signed": "Satisfied", "approvals": "Missing"})
    private = made.desk.key("p384")
    approved = run(
        "approve", "mr/churn-1-0-0", "-n", "payments", "--role", "owner", "-f", made.to, "--key", private, "--expires", "2099-01-01T00:00:00Z", "--yes"
    )
    assert approved.exit_code == 0, approved.output
    (made.to / "approval.yaml").write_text(approved.stdout)
    assert made.check() == (0, {"weights-signed": "Satisfied", "approvals": "Satisfied"})
    policy, root = made.written("policy.yaml")["spec"], TrustRoot.of("approvers", made.written("approvers.yaml"))
    assert policy_problems(PolicySpec.model_validate(policy), {"approvers": root, "ci": TrustRoot.of("ci", made.written("trustroot.yaml"))}) == ()
    assert policy["roles"][0]["subjects"] == [{"kind": "Signer", "name": "p384"}]


def test_who_approves_in_the_cluster_and_who_signs_stand_side_by_side(made: Made) -> None:
    both = ("--approver", "sam@example.com", "--approver-key", f"olga@example.com={made.desk.public('p384')}")
    assert made.init(approvers=both).exit_code == 0
    assert [each["kind"] for each in made.written("policy.yaml")["spec"]["roles"][0]["subjects"]] == ["User", "Signer"]
    assert made.check()[0] == 1


@pytest.mark.parametrize(
    ("approvers", "said"),
    [
        ((), "nobody could approve: give --approver USER, or --approver-key USER=FILE"),
        (("--approver-key", "p384.pub"), "say whose key it is, as olga@example.com=olga.pub"),
        (("--approver-key", "olga@example.com=none.pub"), "'none.pub' does not exist"),
        (("--approver-key", "olga@example.com=p256.pub"), "would both be key 'p256': rename one of them"),
        (("--approver-key", "olga@example.com=p384.pem"), "it is a private key"),
        (("--approver-key", "olga@example.com=p384.pub", "--approver-key", "sam@example.com=p384.pub"), "is the key of olga@example.com already"),
    ],
    ids=["nobody", "whose", "no-file", "same-name", "private", "two-people"],
)
def test_approvers_who_could_not_approve_are_refused(made: Made, monkeypatch: pytest.MonkeyPatch, approvers: tuple[object, ...], said: str) -> None:
    made.desk.public("p384")
    made.desk.key("p384")
    monkeypatch.chdir(made.desk.folder)
    refused = made.init(approvers=approvers)
    assert (refused.exit_code, said in " ".join(refused.output.split()), made.to.exists()) == (2, True, False), refused.output


def test_what_signers_leave_out_of_a_folder_is_accepted_where_it_is_there(made: Made) -> None:
    (made.desk.model / ".gitattributes").write_text("*.bin filter=lfs")
    assert made.init().exit_code == 0
    assert made.written("policy.yaml")["spec"]["requirements"][0]["acceptUncovered"] == [".gitattributes"]
    assert made.desk.sign().exit_code == 0
    evidence = run("evidence", "create", "--bundle", made.desk.bundle, "--name", "churn-1-0-0-weights", "-n", "payments")
    (made.to / "evidence.yaml").write_text(evidence.stdout)
    assert made.check()[1]["weights-signed"] == "Satisfied"


def test_it_says_what_to_do_next_and_which_digest_it_found(made: Made) -> None:
    answer = json.loads(made.init("-o", "json").stdout)
    assert (answer["written"], answer["release"]) == (True, "payments/churn-1-0-0")
    assert answer["digest"] == made.written("modelrelease.yaml")["spec"]["artifacts"][0]["digest"]
    assert [line.split()[:2] for line in answer["next"]] == [["sluice", "sign"], ["sluice", "evidence"], ["sluice", "check"], ["kubectl", "apply"]]
    assert json.loads(made.desk.sign("-o", "json").stdout)["digest"] == answer["digest"]
    assert json.loads(made.init("--force", "-o", "json").stdout)["digest"] == answer["digest"]


def test_nothing_is_written_over_unless_asked(made: Made) -> None:
    made.to.mkdir()
    (made.to / "policy.yaml").write_text("mine")
    refused = made.init()
    assert (refused.exit_code, "policy.yaml is there already" in refused.stderr) == (1, True)
    assert [path.name for path in made.to.iterdir()] == ["policy.yaml"]
    assert (made.to / "policy.yaml").read_text() == "mine"
    assert made.init("--force").exit_code == 0
    assert made.written("policy.yaml")["kind"] == "ReleasePolicy"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--model", "Churn Model"), "modelrelease.yaml: spec.model"),
        (("--version", "1/0"), "modelrelease.yaml: spec.version"),
        (("--owner", ""), "modelrelease.yaml: spec.owner.group"),
        (("--stage", "Production!"), "modelrelease.yaml: spec.stages.0"),
        (("--image", "registry.example.com/churn:latest"), "name the image by digest"),
        (("--baseline", "Not A Name"), "a name has lower-case letters"),
    ],
)
def test_what_no_cluster_would_take_is_refused_before_anything_is_hashed(made: Made, options: tuple[str, ...], said: str) -> None:
    (made.desk.model / "link").symlink_to("nowhere")
    found = made.init(*options)
    assert (found.exit_code, said in found.stderr, made.to.exists()) == (2, True, False), found.output


def test_a_private_key_and_a_folder_that_cannot_be_signed_are_refused(made: Made) -> None:
    private = made.init("--key", made.desk.key())
    assert (private.exit_code, "it is a private key" in private.stderr, made.to.exists()) == (2, True, False), private.output
    (made.desk.model / "link").symlink_to("nowhere")
    link = made.init()
    assert (link.exit_code, "NOT WRITTEN" in link.stdout, made.to.exists()) == (1, True, False), link.output
