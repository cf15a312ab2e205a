"""`sluice collect` refuses to begin in a way in which anybody could speak for the release, or read what users wrote."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from sluice.cli import main

GOOD = "a-token-of-20-letters"


def run(folder: Path, *more: str, token: str = GOOD) -> tuple[int, str]:
    (folder / "token").write_text(token)
    done = CliRunner().invoke(main, ["collect", "--token-file", str(folder / "token"), *more])
    return done.exit_code, done.output


@pytest.mark.parametrize("address", ["0.0.0.0:9001", "[::]:9001", "10.0.0.7:9001", "localhost.example.com:9001"])
def test_a_door_that_others_reach_needs_a_token(tmp_path: Path, address: str) -> None:
    code, said = run(tmp_path, "--push", address)
    assert code == 2
    assert "anybody could speak for this release: give --push-token-file" in said


@pytest.mark.parametrize("token", ["", "short", "two words of a token", "a" * 16_385, "schlüssel-schlüssel"], ids=["none", "short", "blank", "long", "umlaut"])
def test_a_token_that_is_none_is_refused_and_not_repeated(tmp_path: Path, token: str) -> None:
    code, said = run(tmp_path, token=token)
    assert code == 2
    assert "a token is 16 to 16,384 characters of ASCII without blanks" in said
    assert not token or token not in said


def test_nobody_fetches_without_a_token() -> None:
    done = CliRunner().invoke(main, ["collect"])
    assert done.exit_code == 2
    assert "--token-file" in done.output


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--share", "0"], "0<x<=1"),
        (["--per-second", "0"], "1<=x<=1000"),
        (["--tag", ""], "--tag"),
        (["--tag", "a" * 64], "--tag"),
        (["--push", "9001"], "is no address"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, more: list[str], words: str) -> None:
    code, said = run(tmp_path, *more)
    assert code == 2
    assert words in said
