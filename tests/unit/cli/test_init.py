"""`sluice init` writes what the cluster takes as it is, and what only a signature and an approval are missing from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result

from tests.unit.cli.models import Desk, desk, run

IMAGE = "registry.example.com/churn@sha256:" + "b" * 64


class Made:
    """A model, and the folder that its manifests go to."""

    def __init__(self, at: Path) -> None:
        self.desk: Desk = desk(at)
        self.to = at / "deploy"

    def init(self, *more: object) -> Result:
        who = ("--approver", "olga@example.com", "--owner", "payments-ml", "--contact", "payments-ml@example.com", "--key", self.desk.public())
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
