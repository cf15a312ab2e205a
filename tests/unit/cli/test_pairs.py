"""`sluice score --pairs`: from what was recorded to a decision and a page, and nobody is asked."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from sluice.cli import main

SUITE = {
    "protocol": {"type": "OpenAICompletions", "port": 80, "model": "churn", "sampling": {"maxTokens": 8}},
    "cases": {"inline": "{}"},
    "slices": ["region"],
    "scorers": [{"name": "privacy", "type": "PersonalData"}, {"name": "latency", "type": "Latency", "quantile": "0.99"}],
    "repeats": 3,
}


def says(text: str) -> dict[str, Any]:
    return {"seconds": 0.25, "status": 200, "body": {"choices": [{"text": text}]}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pairs in which the candidate tells a telephone number now and then, more often in one region; and a suite."""
    lines: list[dict[str, Any]] = []
    for number in range(300):
        leaks = number % 4 == 0 if number % 3 else number % 20 == 0
        answer = "call +49 170 1234567" if leaks else "no idea"
        slices = {"region": "dach" if number % 3 else "emea"}
        lines.append({"id": str(number), "request": {"prompt": f"{number}?"}, "slices": slices, "baseline": says("no idea"), "candidate": says(answer)})
    lines.append({"request": {"messages": [{"role": "user", "content": "hi"}]}, "baseline": None, "candidate": None})
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump({"kind": "ScoringSuite", "spec": SUITE}))
    judge = {"release": "judge-1", "releaseDigest": "sha256:" + "2" * 64, "port": 80, "model": "judge", "rubric": "Prefer the kinder one."}
    judged = SUITE | {"scorers": [{"name": "helpful", "type": "LLMJudge", "judge": judge}]}
    (tmp_path / "judged.yaml").write_text(yaml.safe_dump({"kind": "ScoringSuite", "spec": judged}))
    (tmp_path / "cut.jsonl").write_text('{"request": {"prompt": "a"}, "baseline": null, "cand')
    return tmp_path


def score(folder: Path, *flags: str) -> Result:
    given = [str(folder / flag) if flag.endswith((".jsonl", ".yaml")) or flag == "result" else flag for flag in flags]
    return CliRunner().invoke(main, ["score", *given])


def test_recorded_pairs_end_in_a_decision_and_a_page(folder: Path) -> None:
    result = score(folder, "--once", "--suite", "suite.yaml", "--pairs", "pairs.jsonl", "--margin", "0.02", "--result", "result", "--samples", "samples.jsonl")
    assert result.exit_code == 1, result.output
    assert "left out: Unsuitable 1" in result.output
    assert "RollBack (WorseThanMargin)" in result.output
    # 299 answers fix this limit: how often the suite would ask does not count, how often it was asked does.
    assert re.search(r"^latency +all +82 ", result.output, re.MULTILINE)
    assert len((folder / "samples.jsonl").read_text().splitlines()) == 300
    page = folder / "report.html"
    given = ["--plan", str(folder / "result/plan.json"), "--statistics", str(folder / "result/statistics.json"), "--margin", "0.02"]
    told = CliRunner().invoke(main, ["canary", "report", *given, "-o", str(page), "--json", "-"])
    assert told.exit_code == 0, told.output
    assert json.loads(told.output)["decision"] == "RollBack"
    assert "recorded:candidate" in page.read_text()


def test_the_same_pairs_in_another_order_come_to_the_same(folder: Path) -> None:
    flags = ["--once", "--suite", "suite.yaml", "--pairs", "pairs.jsonl", "-o", "json"]
    first = score(folder, *flags)
    path = folder / "pairs.jsonl"
    path.write_text("".join(sorted(path.read_text().splitlines(keepends=True))))
    assert json.loads(score(folder, *flags).stdout) == json.loads(first.stdout)


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--suite", "suite.yaml"], "--pairs go with --once and --suite"),
        (["--once"], "--pairs go with --once and --suite"),
        (["--once", "--suite", "suite.yaml", "--baseline", "http://b:1"], "--baseline does not go with --pairs"),
        (["--once", "--suite", "suite.yaml", "--cases", "pairs.jsonl"], "--cases does not go with --pairs"),
        (["--once", "--suite", "suite.yaml", "--pairs", "cut.jsonl"], "line 1: the line is not the JSON"),
        (["--once", "--suite", "judged.yaml"], "nobody says where scorer helpful answers: at a desk, add --scorer helpful="),
        (["--once", "--suite", "suite.yaml", "--margin", "accuracy=0.1"], "--margin names 'accuracy'"),
    ],
)
def test_what_cannot_be_used_is_said_and_ends_with_2(folder: Path, flags: list[str], complaint: str) -> None:
    result = score(folder, "--pairs", "pairs.jsonl", *(flags if "--once" in flags else [*flags, "--listen", "127.0.0.1:0"]))
    assert result.exit_code == 2, result.output
    assert complaint in " ".join(result.output.split())
