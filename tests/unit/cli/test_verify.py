"""Every way in which a verification can end has its exit code, and only a proof ends with 0."""

from __future__ import annotations

import json

import click
import pytest
import yaml
from click.testing import CliRunner, Result

from sluice.cli import main
from sluice.cli.verify import BadTrust, CannotTell, answering, tell
from sluice.provenance.errors import ProvenanceError, Reason


def ended(error: BaseException, output: str = "table") -> Result:
    """What becomes of `error` inside a command."""

    @click.command()
    def command() -> None:
        with answering(output):
            raise error

    return CliRunner().invoke(command, [])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ProvenanceError(Reason.SignatureInvalid, "no"), 1),
        (click.UsageError("no"), 2),
        (BadTrust("no"), 2),
        (CannotTell("no"), 3),
        (FileNotFoundError(2, "No such file", "x"), 3),
        (PermissionError(13, "Permission denied", "x"), 3),
        (RuntimeError("a mistake of ours"), 3),
        (MemoryError(), 3),
    ],
)
def test_no_error_ends_as_verified_and_each_has_its_code(error: BaseException, code: int) -> None:
    assert ended(error).exit_code == code


@pytest.mark.parametrize(("output", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_a_refusal_is_an_answer_that_programs_can_read(output: str, read: object) -> None:
    assert callable(read)
    told = read(ended(ProvenanceError(Reason.KeyUnknown, "none of the keys"), output).stdout)
    assert told == {"verified": False, "reason": "KeyUnknown", "message": "none of the keys"}


def test_people_see_the_reason_first_and_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    tell({"verified": False, "reason": "KeyUnknown", "message": "by \x1b[2J nobody", "files": ["a", "b"], "signer": {"key": "ci", "issuer": None}}, "table")
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "NOT VERIFIED (KeyUnknown)"
    assert "\x1b" not in out
    assert [line.split() for line in out.splitlines()[2:]] == [["files", "a"], ["files", "b"], ["signer.key", "ci"]]


@pytest.mark.parametrize("output", ["table", "json", "yaml"])
def test_an_answer_is_printed_at_once_and_one_that_nobody_takes_is_none(output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(click, "echo", written.append)
    tell({"verified": True, "files": ["a", "b"]}, output)
    assert len(written) == 1

    def full(_text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(click, "echo", full)
    with pytest.raises(CannotTell, match="the answer cannot be printed: No space left on device"):
        tell({"verified": True}, output)


def test_the_help_tells_the_exit_codes() -> None:
    told = CliRunner().invoke(main, ["verify", "--help"]).output
    assert all(f" {code}  " in told for code in range(4))
