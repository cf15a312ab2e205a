"""The demo on a cluster that it found: it touches no Sluice that is not its own, leaves nothing behind, and says what failed. kubectl and Helm are scripted."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from e2e.cluster import Narrator, StepFailed
from e2e.cluster.cli import main as cluster_command
from e2e.demo.install import install
from e2e.demo.target import DEMO_LABEL, Target, down
from sluice.api.kinds import KINDS

QUIET = Narrator(quiet=True)


class Programs:
    """Stands for kubectl and Helm: keeps what is asked of them, and has a namespace of Sluice's with some labels, or none."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.stdin: list[str] = []
        self.system: dict[str, str] | None = None
        self.fails: str | None = None

    def run(self, command: list[str], *, input: str, **_: object) -> subprocess.CompletedProcess[str]:  # noqa: A002 - subprocess's own word
        words = [Path(command[0]).name, *command[1:]]
        self.asked.append(words)
        self.stdin.append(input)
        if self.fails and self.fails in words:
            return subprocess.CompletedProcess(command, 1, "", f"{self.fails} does not work")
        there = "" if self.system is None else json.dumps({"metadata": {"name": "sluice-system", "labels": self.system}})
        return subprocess.CompletedProcess(command, 0, there if words[2:4] == ["get", "namespace"] else "", "")

    def lines(self) -> str:
        return "\n".join(" ".join(words) for words in self.asked)


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Programs:
    """A cluster of the name `kind-kind`, with kubectl on PATH."""
    programs = Programs()
    monkeypatch.setenv("KUBE_CONTEXT", "kind-kind")
    monkeypatch.delenv("REGISTRY", raising=False)
    monkeypatch.setattr("e2e.demo.target.shutil.which", lambda _: "kubectl")
    monkeypatch.setattr("e2e.demo.target.Binaries", lambda _: {"helm": Path("helm"), "crane": Path("crane")})
    monkeypatch.setattr("e2e.demo.target.subprocess.run", programs.run)
    return programs


def test_a_cluster_that_was_found_needs_a_registry_before_anything_is_asked_of_it(programs: Programs) -> None:
    with pytest.raises(StepFailed, match="KUBE_CONTEXT needs REGISTRY"):
        Target.up(QUIET)
    assert programs.asked == []


@pytest.mark.parametrize("labels", [{}, {DEMO_LABEL: "false"}, {"app": "sluice"}])
def test_a_sluice_of_somebody_else_is_neither_upgraded_nor_removed(programs: Programs, monkeypatch: pytest.MonkeyPatch, labels: dict[str, str]) -> None:
    programs.system = labels
    monkeypatch.setenv("REGISTRY", "registry.example.com")
    with pytest.raises(StepFailed, match=r"not the demo's.*Use another cluster"):
        Target.up(QUIET)
    with pytest.raises(StepFailed, match="not the demo's"):
        down(QUIET)
    assert {words[2] for words in programs.asked} == {"get"}


def test_the_demo_marks_what_it_installs_and_finds_it_again(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY", "registry.example.com")
    install(Target.up(QUIET), "registry.example.com/sluice@sha256:" + "0" * 64)
    marked = next(index for index, words in enumerate(programs.asked) if "apply" in words)
    assert f"{DEMO_LABEL}: 'true'" in programs.stdin[marked]
    assert marked < next(index for index, words in enumerate(programs.asked) if words[0] == "helm")
    programs.system = {DEMO_LABEL: "true"}
    assert Target.up(QUIET).registry == "registry.example.com"


def test_nothing_is_left_in_a_cluster_that_was_found(programs: Programs) -> None:
    programs.system = {DEMO_LABEL: "true"}
    down(QUIET)
    done = programs.lines()
    assert "helm --kube-context=kind-kind uninstall sluice" in done
    assert all(f"{kind.plural}.sluice.dev" in done for kind in KINDS)
    for removed in ("delete namespace digits", "delete namespace sluice-system", "delete mrp/production mtr/ci"):
        assert f"kubectl --context=kind-kind {removed}" in done


def test_what_failed_is_told_with_what_the_cluster_said_last(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    target = Target.existing("kind-kind", QUIET)
    programs.fails = "logs"
    assert "logs does not work" in target.last_words()
    programs.fails = "apply"
    with pytest.raises(StepFailed, match=r"kubectl --context=kind-kind apply -f -\napply does not work"):
        target.apply({})

    def hang(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        raise subprocess.TimeoutExpired(command, 300)

    monkeypatch.setattr("e2e.demo.target.subprocess.run", hang)
    with pytest.raises(StepFailed, match="no end after 300 s"):
        target.kubectl("get", "pods")


@pytest.mark.parametrize("command", [["kubeconfig"], ["kubectl", "get", "pods"]])
def test_nobody_becomes_the_administrator_by_naming_a_group_only(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cluster_command([command[0], "--group", "appsec", *command[1:]])
    assert ended.value.code == 2
    assert "--group goes with --user" in capsys.readouterr().err


def test_a_step_that_fails_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(StepFailed), Narrator().step("install Sluice with Helm"):
        raise StepFailed("it does not start")
    assert "install Sluice with Helm: FAILED after" in capsys.readouterr().err
