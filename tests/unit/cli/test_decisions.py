"""A person signs off exactly what they were shown. The API server is scripted here: what it answers is the point of these tests."""

from __future__ import annotations

from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

from sluice.cli import decisions, main
from sluice.cli.access import Access

RELEASE = {
    "apiVersion": "sluice.dev/v1alpha1",
    "kind": "ModelRelease",
    "metadata": {"name": "churn-2-1-0", "namespace": "payments"},
    "spec": {"model": "churn", "version": "2.1.0", "change": {"type": "Quantize", "baseline": {"name": "churn-2-0-0"}}},
    "status": {
        "releaseDigest": "sha256:" + "a" * 64,
        "evidenceDigest": "sha256:" + "b" * 64,
        "risk": {"tier": "high"},
        "requirements": [{"name": "quality", "outcome": "Satisfied", "message": "acc of core is 0.97"}],
    },
}


class Server:
    """Answers a read with `release`, and keeps what is created."""

    def __init__(self, release: dict[str, Any]) -> None:
        self.release = release
        self.created: list[dict[str, Any]] = []
        self.counted: dict[str, Any] | None = {"type": "Counted", "status": "True", "reason": "Counted", "message": "Approve by sam as security"}

    async def get(self, _access: Access, _namespace: str, _name: str) -> dict[str, Any]:
        return self.release

    async def create(self, _access: Access, _namespace: str, item: dict[str, Any]) -> dict[str, Any]:
        self.created.append(item)
        return {**item, "metadata": {**item["metadata"], "name": "churn-2-1-0-security-x7"}, "spec": {**item["spec"], "approver": {"username": "sam"}}}

    async def says(self, _access: Access, _namespace: str, _name: str) -> dict[str, Any] | None:
        return self.counted


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """The API server."""
    server = Server(RELEASE)
    monkeypatch.setattr(decisions, "_get", server.get)
    monkeypatch.setattr(decisions, "_create", server.create)
    monkeypatch.setattr(decisions, "_counted", server.says)
    return server


def run(*arguments: str, answer: str = "") -> tuple[int, str]:
    result = CliRunner().invoke(main, [*arguments], input=answer)
    return result.exit_code, result.output


APPROVE = ("approve", "mr/churn-2-1-0", "-n", "payments", "--role", "security")


def test_what_is_signed_off_is_what_was_shown(server: Server) -> None:
    code, output = run(*APPROVE, "--comment", "Red-team run 118", answer="y\n")
    assert code == 0
    (created,) = server.created
    assert created["spec"]["releaseDigest"] in output
    assert created["spec"]["evidenceDigest"] in output
    assert "acc of core is 0.97" in output
    assert created["spec"] == {
        "release": {"name": "churn-2-1-0"},
        "releaseDigest": "sha256:" + "a" * 64,
        "evidenceDigest": "sha256:" + "b" * 64,
        "role": "security",
        "decision": "Approve",
        "comment": "Red-team run 118",
    }


def test_a_decision_that_does_not_count_is_no_success(server: Server) -> None:
    server.counted = {"type": "Counted", "status": "False", "reason": "NotInRole", "message": "sam does not hold the role security"}
    code, output = run(*APPROVE, "--yes")
    assert (code, len(server.created)) == (1, 1)
    assert "✓" not in output
    assert "mra/churn-2-1-0-security-x7 is there and does not count: sam does not hold the role security" in output


def test_when_nobody_says_whether_it_counts_that_is_said(server: Server) -> None:
    server.counted = None
    code, output = run(*APPROVE, "--yes")
    assert code == 0
    assert "whether it counts is not said yet: kubectl get mra/churn-2-1-0-security-x7 -n payments" in output


@pytest.mark.parametrize("answer", ["n\n", "\n"])
def test_nothing_is_created_without_a_yes(server: Server, answer: str) -> None:
    code, output = run(*APPROVE, answer=answer)
    assert (code, server.created) == (1, [])
    assert "nothing was created" in output


def test_a_dry_run_prints_the_object_and_creates_nothing(server: Server) -> None:
    result = CliRunner().invoke(main, [*APPROVE, "--dry-run", "-o", "yaml"])
    assert result.exit_code == 0
    assert yaml.safe_load(result.stdout)["kind"] == "ReleaseApproval"
    assert server.created == []


@pytest.mark.parametrize(
    "message",
    ["spec.initContainers[model].image differs", "signed by [red]nobody[/red]", "ends [/] in what is no markup", ":warning: [link=https://a.b]c[/link]"],
)
def test_what_signers_and_files_say_is_shown_letter_by_letter(server: Server, message: str) -> None:
    server.release = RELEASE | {"status": RELEASE["status"] | {"requirements": [{"name": "q", "outcome": "Failed", "message": message}]}}  # type: ignore[operator]
    code, output = run(*APPROVE, "--yes")
    assert code == 0
    assert message in output


def test_a_digest_is_shown_to_its_end(server: Server) -> None:
    digest = "sha256:" + "0123456789abcdef" * 4
    asked = {"name": "weights-signed-by-the-pipeline", "outcome": "Satisfied", "message": f"weights {digest} signed by key trainer"}
    server.release = RELEASE | {"status": RELEASE["status"] | {"requirements": [asked]}}  # type: ignore[operator]
    assert digest in "".join(run(*APPROVE, "--yes")[1].split())


def test_what_is_shown_moves_no_cursor(server: Server) -> None:
    hidden = {"name": "quality", "outcome": "Failed", "message": "acc is 0.2\x1b[2K\rall is well"}
    server.release = RELEASE | {"status": RELEASE["status"] | {"requirements": [hidden]}}  # type: ignore[operator]
    output = run(*APPROVE, "--yes")[1]
    assert "acc is 0.2?[2K?all is well" in output
    assert "\x1b" not in output


def test_reject_says_reject(server: Server) -> None:
    assert run("reject", "churn-2-1-0", "-n", "payments", "--role", "security", "--yes")[0] == 0
    assert server.created[0]["spec"]["decision"] == "Reject"


def test_a_release_that_nobody_looked_at_yet_cannot_be_signed_off(server: Server) -> None:
    server.release = {key: value for key, value in RELEASE.items() if key != "status"}
    code, output = run(*APPROVE, "--yes")
    assert (code, server.created) == (3, [])
    assert "is the controller running?" in output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("approve", "pod/churn", "-n", "p", "--role", "r"), "name a ModelRelease: mr/NAME"),
        (("approve", "mr/churn", "-n", "p"), "--role"),
        (("approve", "mr/churn", "--role", "r"), "--namespace"),
        (("approve", "mr/churn", "-n", "p", "--role", "App Sec"), "'App Sec': a role is written as in the ReleasePolicy"),
        (("approve", "mr/", "-n", "p", "--role", "r"), "names no release; write mr/NAME"),
        (("approve", "/churn", "-n", "p", "--role", "r"), "name a ModelRelease: mr/NAME"),
        (("approve", "mr/churn", "-n", "p", "--role", "r", "--expires", "tomorrow"), "such as 2026-12-20T00:00:00Z"),
        (("approve", "mr/churn", "-n", "p", "--role", "r", "--expires", "2099-12-20T00:00:00"), "time and offset"),
        (("approve", "mr/churn", "-n", "p", "--role", "r", "--expires", "2020-12-20T00:00:00Z"), "has passed"),
    ],
)
def test_wrong_words_end_with_usage(arguments: tuple[str, ...], said: str) -> None:
    code, output = run(*arguments)
    assert code == 2
    assert said in output


@pytest.mark.parametrize("command", ["approve", "reject", "controller", "webhook"])
def test_every_command_explains_itself(command: str) -> None:
    code, output = run(command, "--help")
    assert code == 0
    loaded = main.get_command(click.Context(main), command)
    assert loaded is not None
    described = [option for option in loaded.params if isinstance(option, click.Option)]
    assert all(option.help for option in described)
    assert "Options:" in output
