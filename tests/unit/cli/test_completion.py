"""Shells and kubectl complete what there is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.models import run


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_a_shell_needs_is_printed(shell: str) -> None:
    printed = run("completion", shell).stdout
    assert "_SLUICE_COMPLETE" in printed
    assert f"{shell}_complete" in printed


CANARY = ["plan", "report", "verify", "watch"]


@pytest.mark.parametrize(("words", "told"), [(["appr"], ["approve"]), (["canary", ""], CANARY), (["check", "--outp"], ["--output"])])
def test_kubectl_is_told_what_could_follow(tmp_path: Path, words: list[str], told: list[str]) -> None:
    program = tmp_path / "kubectl_complete-sluice"
    program.write_text(run("completion", "kubectl").stdout)
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(["/bin/sh", str(program), *words], env={"PATH": path}, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [*told, ":4"]


def test_another_shell_is_refused_by_name() -> None:
    refused = run("completion", "tcsh")
    assert (refused.exit_code, "'tcsh' is not one of" in refused.output) == (2, True)
