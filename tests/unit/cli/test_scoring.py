"""What `sluice score` refuses before it asks anybody, and how a comparison is printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from sluice.cli import main
from sluice.cli.comparison import as_json, as_table
from sluice.scoring.judgement import Decision, Judgement, Standing
from sluice.scoring.process import Scoring
from sluice.scoring.tally import Look, Merged

CASE = {"id": "c-1", "input": {"prompt": "2 + 2?"}, "expect": {"text": "4"}}
SUITE = {
    "protocol": {"type": "OpenAICompletions", "port": 80, "model": "churn", "sampling": {"maxTokens": 8}},
    "cases": {"inline": json.dumps(CASE)},
    "scorers": [{"name": "accuracy", "type": "ExactMatch"}],
}
ELSEWHERE = SUITE | {"cases": {"configMap": {"name": "c", "key": "k", "digest": "sha256:" + "0" * 64}}}
OWN = SUITE | {"scorers": [{"name": "tone", "type": "Container", "container": {"image": f"r.example.com/tone@sha256:{'0' * 64}"}}]}
SIDES = ["--candidate", "http://a:1", "--baseline", "http://b:1"]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Suites, cases and a token in a folder."""
    for name, spec in {"suite": SUITE, "elsewhere": ELSEWHERE, "wrong": SUITE | {"repeats": 0}, "own": OWN}.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({"kind": "ScoringSuite", "spec": spec}))
    (tmp_path / "cases.jsonl").write_text(json.dumps(CASE) + "\n")
    (tmp_path / "token").write_text("two words\n")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--once"], "give --plan, or --suite"),
        (["--once", "--plan", "cases.jsonl", "--suite", "suite.yaml"], "give --plan, or --suite"),
        (["--once", "--plan", "cases.jsonl"], "give the file with --cases"),
        (["--once", "--plan", "cases.jsonl", "--cases", "cases.jsonl"], "run: Field required"),
        (["--suite", "suite.yaml", *SIDES], "say --once"),
        (["--once", "--listen", "127.0.0.1:0"], "say --once"),
        (["--listen", "nowhere"], "write HOST:PORT"),
        (["--listen", "127.0.0.1:99999"], "write HOST:PORT"),
        (["--listen", "127.0.0.1:0", "--suite", "suite.yaml", "--shard", "1", *SIDES], "shard 1 is none of the 1"),
        (["--once", "--suite", "suite.yaml"], "--suite needs --candidate URL and --baseline URL"),
        (["--once", "--suite", "cases.jsonl", *SIDES], "this is no ScoringSuite"),
        (["--once", "--suite", "wrong.yaml", *SIDES], "repeats: Input should be greater than or equal to 1"),
        (["--once", "--suite", "own.yaml", *SIDES], "start it, and give --scorer tone=http://127.0.0.1:8000"),
        (["--once", "--suite", "elsewhere.yaml", *SIDES], "give the file with --cases"),
        (["--once", "--suite", "elsewhere.yaml", "--cases", "cases.jsonl", *SIDES], "the suite is about sha256:000"),
        (["--once", "--suite", "suite.yaml", "--cases", "suite.yaml", *SIDES], "line 1: is not the JSON we accept"),
        (["--once", "--suite", "suite.yaml", "--candidate", "http://a:1", "--baseline", "ftp://b"], "the endpoint has no http"),
        (["--once", "--suite", "suite.yaml", "--token-file", "token", *SIDES], "the token is empty, longer than"),
        (["--once", "--suite", "suite.yaml", *SIDES, "--margin", "speed=0.1"], "--margin names 'speed'"),
        (["--once", "--suite", "suite.yaml", *SIDES, "--margin", "two"], "'two' is no margin"),
        (["--once", "--suite", "suite.yaml", *SIDES, "--margin", "-1"], "margin: -1.0"),
        (["--once", "--suite", "suite.yaml", *SIDES, "--false-rollback-rate", "0.7"], "give an error rate"),
    ],
)
def test_what_cannot_be_used_is_said_and_ends_with_2(files: Path, arguments: list[str], complaint: str) -> None:
    given = [str(files / argument) if (files / argument).is_file() else argument for argument in arguments]
    result = CliRunner().invoke(main, ["score", *given])
    assert result.exit_code == 2, result.output
    assert complaint in " ".join(result.output.split())
    assert "two words" not in result.output


@pytest.mark.parametrize(("error", "code"), [(OSError(28, "no space left"), 3), (RuntimeError("a mistake of ours"), 3), (KeyboardInterrupt(), 130)])
def test_a_comparison_that_breaks_off_is_no_decision(files: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int) -> None:
    async def broken(_scoring: Scoring) -> Merged:
        raise error

    monkeypatch.setattr("sluice.scoring.process.score_once", broken)
    result = CliRunner().invoke(main, ["score", "--once", "--suite", str(files / "suite.yaml"), *SIDES])
    assert result.exit_code == code


STANDING = Standing(metric="accuracy", slice="region=[bold]", units=40, estimate=-0.0125, low=-0.2, high=0.1, promote=0.5, roll_back=2.5, more=300)
JUDGEMENT = Judgement(decision=Decision.INCONCLUSIVE, reason="AllScored", message="neither side is shown", units=40, looks=1, gates={"leak": 1})
MERGED = Merged(
    scored=40,
    of=40,
    finished=True,
    looks=(
        Look(
            look=0,
            units=40,
            void=2,
            tallies={"noise:accuracy": {"all": {0: 8000, -1000: 1000, 1000: 1000}}},
            sums={"candidate": {"Asked": 40, "Timeout": 1}, "baseline": {"Asked": 50}},
        ),
    ),
    gates={"leak": 1},
    samples=(),
    why={"candidate": "POST /v1/completions: no complete answer within 30 s" + 20 * " and so on"},
)


def test_a_table_names_slices_as_they_are_and_ends_with_the_decision() -> None:
    lines = as_table(MERGED, JUDGEMENT, [STANDING]).splitlines()
    assert lines[1].split() == ["accuracy", "region=[bold]", "40", "-0.0125", "-0.200", "…", "+0.100", "0.200", "RollBack"]
    assert "candidate: Asked 40, Timeout 1" in lines
    assert f"candidate: the first without an answer: {MERGED.why['candidate']}" in lines
    assert "gate leak: 1 answers" in lines
    assert lines[-1] == "Inconclusive (AllScored) after 40 units: neither side is shown"


def test_json_holds_what_the_table_shows_and_the_evidence() -> None:
    told = json.loads(as_json(MERGED, JUDGEMENT, [STANDING]))
    assert told["decision"] == "Inconclusive"
    assert told["void"] == 2
    assert told["metrics"] == [
        {
            "name": "accuracy",
            "slice": "region=[bold]",
            "units": 40,
            "estimate": -0.0125,
            "interval": [-0.2, 0.1],
            "noise": 0.2,
            "evidence": {"promote": 0.5, "rollBack": 2.5},
            "unitsToDecide": 300,
        }
    ]
