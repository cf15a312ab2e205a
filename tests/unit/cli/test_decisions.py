"""A person signs off exactly what they were shown. The API server is scripted here: what it answers is the point of these tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

from sluice.cli import counter, main
from sluice.cli.access import Access
from sluice.cluster.resource import Resource

RELEASE = {
    "apiVersion": "sluice.dev/v1alpha1",
    "kind": "ModelRelease",
    "metadata": {"name": "churn-2-1-0", "namespace": "payments"},
    "spec": {"model": "churn", "version": "2.1.0", "change": {"type": "Quantize", "baseline": {"name": "churn-2-0-0"}}},
    "status": {
        "releaseDigest": "sha256:" + "a" * 64,
        "evidenceDigest": "sha256:" + "b" * 64,
        "risk": {"tier": "high", "owner": "payments-risk"},
        "requirements": [{"name": "quality", "outcome": "Satisfied", "message": "acc of core is 0.97"}],
    },
}


class Server:
    """Answers a read with `release`, and keeps what is created."""

    def __init__(self, release: dict[str, Any]) -> None:
        self.release = release
        self.others: dict[str, dict[str, Any]] = {}
        self.created: list[dict[str, Any]] = []
        self.counted: dict[str, Any] | None = {"type": "Counted", "status": "True", "reason": "Counted", "message": "Approve by sam as security"}

    async def get(self, _access: Access, kind: str, _namespace: str, _name: str) -> dict[str, Any]:
        return self.release if kind == "ModelRelease" else self.others[kind]

    async def releases(self, _access: Access, _namespace: str) -> list[dict[str, Any]]:
        return [self.release]

    async def create(self, _access: Access, _namespace: str, item: dict[str, Any]) -> dict[str, Any]:
        self.created.append(item)
        return {**item, "metadata": {**item["metadata"], "name": "churn-2-1-0-security-x7"}, "spec": {**item["spec"], "approver": {"username": "sam"}}}

    async def says(self, _access: Access, _created: dict[str, Any]) -> dict[str, Any] | None:
        return self.counted


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """The API server."""
    server = Server(RELEASE)
    monkeypatch.setattr(counter, "_get", server.get)
    monkeypatch.setattr(counter, "_releases", server.releases)
    monkeypatch.setattr(counter, "_create", server.create)
    monkeypatch.setattr(counter, "_counted", server.says)
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
    assert "risk      carried by payments-risk" in output
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


WAIVE = ("waive", "mr/churn-2-1-0", "-n", "payments", "--requirement", "quality", "--reason", "rebuilt", "--risk-owner", "payments-risk",
         "--ticket", "https://changes.example.com/RISK-77", "--expires", "2099-12-01T00:00:00Z")  # fmt: skip


def test_a_waiver_names_what_was_shown_and_who_carries_the_risk(server: Server) -> None:
    code, output = run(*WAIVE, "--requirement", "quality", "--compensating-controls", "offers are capped", answer="y\n")
    assert code == 0, output
    (created,) = server.created
    assert created["kind"] == "ReleaseWaiver"
    assert created["spec"] == {
        "release": {"name": "churn-2-1-0"}, "releaseDigest": "sha256:" + "a" * 64, "requirements": ["quality"], "reason": "rebuilt",
        "riskOwner": "payments-risk", "ticket": "https://changes.example.com/RISK-77", "compensatingControls": "offers are capped",
        "expires": "2099-12-01T00:00:00Z",
    }  # fmt: skip
    shown = " ".join(output.split())
    assert "Waive quality of churn/2.1.0" in shown
    assert "waived quality: Satisfied because rebuilt risk of payments-risk tracked https://changes.example.com/RISK-77 instead offers are capped" in shown
    assert created["spec"]["releaseDigest"] in shown
    assert "mrw/churn-2-1-0-security-x7 created by sam, and counts" in shown


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        (("--requirement", "qualty"), 1, "mr/churn-2-1-0 is asked for no qualty; it is for quality"),
        (("--reason", ""), 2, "spec.reason: String should have at least 1 character"),
        (("--requirement", "Not A Name"), 2, "spec.requirements"),
        (("--expires", "2020-12-01T00:00:00Z"), 2, "has passed"),
    ],
)
def test_a_waiver_of_nothing_is_not_created(server: Server, changes: tuple[str, ...], code: int, said: str) -> None:
    assert run(*WAIVE, *changes, "--yes")[0] == code
    assert said in run(*WAIVE, *changes, "--yes")[1]
    assert server.created == []


def test_a_waiver_that_does_not_count_is_no_success_and_a_no_creates_none(server: Server) -> None:
    assert (run(*WAIVE, answer="n\n")[0], server.created) == (1, [])
    assert (run(*WAIVE, "--dry-run")[0], server.created) == (0, [])
    server.counted = {"type": "Counted", "status": "False", "reason": "NothingToWaive", "message": "no policy lets sam waive quality"}
    code, output = run(*WAIVE, "--yes")
    assert (code, "mrw/churn-2-1-0-security-x7 is there and does not count: no policy lets sam waive quality" in output) == (1, True)


def test_a_waiver_that_waits_for_others_is_a_success_and_says_for_whom(server: Server) -> None:
    message = "nobody waives alone: it waits for somebody else in role risk → kubectl sluice approve waiver/w -n payments --role risk"
    server.counted = {"type": "Counted", "status": "False", "reason": "WaiverNotApproved", "message": message}
    code, output = run(*WAIVE, "--yes")
    assert code == 0
    assert f"note: {message}" in output
    assert "and counts" not in output


def test_each_kind_of_decision_is_created_and_awaited_where_it_belongs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Client:
        async def create(self, resource: Resource, item: dict[str, Any], *, namespace: str) -> dict[str, Any]:
            asked.append(resource.path(namespace))
            return {**item, "metadata": {"name": "x", "namespace": namespace}, "spec": {**item["spec"], "approver": {"username": "sam"}}}

        async def get(self, path: str) -> dict[str, Any]:
            asked.append(path)
            return {**RELEASE, "status": {**RELEASE["status"], "conditions": [{"type": "Counted", "status": "True"}]}}  # type: ignore[dict-item]

    @asynccontextmanager
    async def connected(_access: Access) -> AsyncIterator[Client]:
        yield Client()

    monkeypatch.setattr(counter, "connected", connected)
    for command, kind in ((WAIVE, "releasewaivers"), (APPROVE, "releaseapprovals")):
        asked.clear()
        assert run(*command, "--yes")[0] == 0
        below = "/apis/sluice.dev/v1alpha1/namespaces/payments"
        assert asked == [f"{below}/modelreleases/churn-2-1-0", f"{below}/{kind}", f"{below}/{kind}/x"]


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


@pytest.mark.parametrize("command", ["approve", "reject", "revoke", "waive", "controller", "webhook"])
def test_every_command_explains_itself(command: str) -> None:
    code, output = run(command, "--help")
    assert code == 0
    loaded = main.get_command(click.Context(main), command)
    assert loaded is not None
    described = [option for option in loaded.params if isinstance(option, click.Option)]
    assert all(option.help for option in described)
    assert "Options:" in output
