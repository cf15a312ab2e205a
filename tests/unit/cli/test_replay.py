"""`sluice replay`: from a file of requests to a file of cases, at a desk."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from sluice.cli import main
from sluice.scoring.cases import read_cases

SUITE = {
    "protocol": {"type": "OpenAICompletions", "port": 80, "model": "churn", "sampling": {"maxTokens": 8}},
    "cases": {"inline": "{}"},
    "scorers": [
        {"name": "accuracy", "type": "ExactMatch"},
        {"name": "privacy", "type": "PersonalData"},
        {"name": "prompt", "type": "Refusal", "wanted": "Comply"},
    ],
}
REQUESTS: list[Any] = [{"prompt": f"Answer {name}@firma.de"} for name in ("anna", "bob", "chris")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recording, a suite, and a suite that is none."""
    lines = [*REQUESTS, {"messages": [{"role": "user", "content": "hi"}]}]
    (tmp_path / "day.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + "GET /healthz\n")
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump({"kind": "ScoringSuite", "spec": SUITE}))
    (tmp_path / "broken.yaml").write_text(
        yaml.safe_dump({"kind": "ScoringSuite", "spec": SUITE | {"scorers": [{"name": "a", "type": "Regex", "pattern": "("}]}})
    )
    return tmp_path


def replay(folder: Path, *flags: str) -> Result:
    given = [str(folder / flag) if flag.endswith((".jsonl", ".yaml", ".key")) else flag for flag in flags]
    return CliRunner().invoke(main, ["replay", *given])


def test_cases_and_manifest_are_written_and_what_scorers_can_do_is_said(folder: Path) -> None:
    result = replay(folder, "day.jsonl", "-o", "cases.jsonl", "--suite", "suite.yaml", "--tag", "safe", "--redact", "VERB=Answer")
    assert result.exit_code == 0, result.output
    cases = read_cases((folder / "cases.jsonl").read_bytes())
    manifest = json.loads((folder / "cases.jsonl.manifest.json").read_text())
    assert manifest["cases"] == {"digest": cases.digest, "number": 3}
    assert f"3 cases of 4 requests, {cases.digest}" in result.output
    assert "replaced: EMAIL 3, VERB 3" in result.output
    assert "left out: NotJson 1, Unsuitable 1" in result.output
    assert "accuracy: 0 of 3 cases; it needs what nobody has written for them" in result.output
    assert "privacy: 3 of 3 cases\n" in result.output
    assert "prompt: 3 of 3 cases\n" in result.output
    assert "firma.de" not in (folder / "cases.jsonl").read_text()


def test_with_a_key_that_is_kept_the_same_cases_come_again(folder: Path) -> None:
    replay(folder, "day.jsonl", "-o", "one.jsonl", "--key-file", "replay.key")
    replay(folder, "day.jsonl", "-o", "two.jsonl", "--key-file", "replay.key")
    replay(folder, "day.jsonl", "-o", "three.jsonl")
    one, two, three = ((folder / f"{name}.jsonl").read_text() for name in ("one", "two", "three"))
    assert one == two != three
    assert stat.S_IMODE((folder / "replay.key").stat().st_mode) == 0o600
    assert json.loads((folder / "one.jsonl.manifest.json").read_text())["key"] is not None


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--slice", "region"], "not NAME=VALUE"),
        (["--slice", "region=metadata"], "write a JSON pointer"),
        (["--tag", "two words"], "--tag 'two words'"),
        (["--redact", "customer=x"], "'customer' is no name"),
        (["--key-file", "day.jsonl", "--redact", "A=("], "cannot be read"),
        (["--suite", "broken.yaml"], "scorer a: Regex.pattern"),
        (["--suite", "day.jsonl"], "day.jsonl: neither YAML nor JSON"),
        (["--stratify", "regoin", "--slice", "asked=/prompt"], "no line has the slice 'regoin' to draw by; there are: asked. Name one"),
        (["--stratify", "region"], "there are: none"),
    ],
)
def test_what_cannot_be_followed_is_said_and_ends_with_2(folder: Path, flags: list[str], complaint: str) -> None:
    result = replay(folder, "day.jsonl", "-o", "cases.jsonl", *flags)
    assert result.exit_code == 2, result.output
    assert complaint in " ".join(result.output.split())
    assert not (folder / "cases.jsonl").exists()


def test_a_short_key_and_a_recording_without_questions_are_refused(folder: Path) -> None:
    (folder / "short.key").write_bytes(b"secret")
    assert "the key has 6 bytes" in replay(folder, "day.jsonl", "-o", "cases.jsonl", "--key-file", "short.key").output
    (folder / "empty.jsonl").write_text("GET /\n")
    result = replay(folder, "empty.jsonl", "-o", "cases.jsonl")
    assert result.exit_code == 2
    assert "no line of the recording makes a case (NotJson: line 1" in result.output


def test_more_than_a_config_map_holds_is_said(folder: Path) -> None:
    (folder / "large.jsonl").write_text("".join(json.dumps({"prompt": f"{number} " + "word " * 1000}) + "\n" for number in range(300)))
    result = replay(folder, "large.jsonl", "-o", "cases.jsonl")
    assert "larger than the 1 MiB that a ConfigMap holds" in result.output
