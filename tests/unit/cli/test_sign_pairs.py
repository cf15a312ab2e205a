"""From a recording to signed evidence and back: what is signed is what scorers will read, and an auditor counts a run again from the recording alone."""

from __future__ import annotations

import asyncio
import base64
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result

from sluice.api.digests import suite_digest
from sluice.api.scoring import SuiteSpec
from sluice.evidence.shadow_pairs import ShadowPairs, parse_pairs
from sluice.provenance.statement import parse_statement
from sluice.scoring.cases import StatedCases
from sluice.scoring.judgement import Terms, judge, standings
from sluice.scoring.plan import plan_run
from sluice.scoring.process import Scoring, score_once
from sluice.scoring.replay.exchange import rules_of
from sluice.scoring.replay.pairs import read_pairs
from tests.signing import plain_keys, public_pem
from tests.unit.cli import canary_runs
from tests.unit.cli.models import desk, run
from tests.unit.decision import case as c
from tests.unit.decision import recorded as r

CANDIDATE, BASELINE = "sha256:" + "a" * 64, "sha256:" + "b" * 64
REFERENCE = "registry.example.com/pairs@sha256:" + "4" * 64
SPEC = c.suite_spec(**r.SUITE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    desk(tmp_path).key()
    (tmp_path / "p256.pub").write_text(public_pem(plain_keys()["p256"]))
    (tmp_path / "pairs.jsonl").write_text(r.pairs(wrong=3))
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump({"kind": "ScoringSuite", "metadata": {"name": "churn-core"}, "spec": SPEC}))
    return tmp_path


def sign(folder: Path, **instead: object) -> Result:
    flags: dict[str, object] = {
        "pairs": folder / "pairs.jsonl", "suite": folder / "suite.yaml", "candidate": f"churn-2={CANDIDATE}", "baseline": f"churn-1={BASELINE}",
        "from": "2026-11-18T12:00:00Z", "until": "2026-11-20T10:00:00Z", "reference": REFERENCE, "key": desk(folder).key(), "bundle": folder / "out.json",
    }  # fmt: skip
    return run("sign", "pairs", *(part for name, value in (flags | instead).items() if value is not None for part in (f"--{name}", value)))


def signed(folder: Path) -> ShadowPairs:
    return parse_pairs(parse_statement(base64.b64decode(json.loads((folder / "out.json").read_bytes())["dsseEnvelope"]["payload"])))


def test_what_is_signed_names_the_file_both_releases_and_the_suite_and_verifies_against_the_file(folder: Path) -> None:
    result = sign(folder)
    assert result.exit_code == 0, result.output
    said = signed(folder)
    assert (said.digest, said.questions, said.kept) == (r.digest_of(r.pairs(wrong=3)), 120, r.IMAGE)
    assert (said.candidate.name, said.candidate.digest, said.baseline.name, said.baseline.digest) == ("churn-2", CANDIDATE, "churn-1", BASELINE)
    assert (said.suite.name, said.suite.digest) == ("churn-core", suite_digest(SuiteSpec.model_validate(SPEC)))
    verified = run("verify", "bundle", folder / "out.json", "--key", folder / "p256.pub", "--artifact", folder / "pairs.jsonl")
    assert verified.exit_code == 0, verified.output


def test_a_recording_in_a_config_map_is_named_by_its_key(folder: Path) -> None:
    assert sign(folder, reference=None, **{"config-map": "churn-pairs/pairs.jsonl"}).exit_code == 0
    assert signed(folder).kept == r.PLACE


@pytest.mark.parametrize(
    ("instead", "told"),
    [
        ({"candidate": "churn-2"}, "write NAME=sha256:"),
        ({"reference": "registry.example.com/pairs:latest"}, "--reference 'registry.example.com/pairs:latest': write REPOSITORY@sha256:DIGEST"),
        ({"reference": None}, "say where the cluster finds the recording"),
        ({"config-map": "churn-pairs/pairs.jsonl"}, "say where the cluster finds the recording"),
        ({"reference": None, "config-map": "churn-pairs"}, "--config-map 'churn-pairs': write NAME/KEY"),
        ({"until": "2026-11-18T11:00:00Z"}, "--until 2026-11-18T11:00:00Z is before --from 2026-11-18T12:00:00Z"),
    ],
    ids=["candidate", "tag", "nowhere", "twice", "key", "time"],
)
def test_what_nobody_could_count_is_not_signed(folder: Path, instead: dict[str, Any], told: str) -> None:
    result = sign(folder, **instead)
    assert (result.exit_code, told in result.output) == (2, True), result.output
    assert not (folder / "out.json").exists()


def test_a_recording_that_a_scorer_would_refuse_is_not_signed(folder: Path) -> None:
    (folder / "pairs.jsonl").write_text(r.PAIRS + '{"cut')
    assert "line 121" in sign(folder).output
    (folder / "pairs.jsonl").write_text(r.PAIRS)
    (folder / "suite.yaml").write_text(yaml.safe_dump({"kind": "ScoringSuite", "metadata": {"name": "churn-core"}, "spec": c.suite_spec()}))
    assert "cases: {recorded: Pairs}" in sign(folder).output
    (folder / "suite.yaml").write_text(yaml.safe_dump({"kind": "ScoringSuite", "spec": SPEC}))
    assert "the suite has no name" in sign(folder).output
    assert not (folder / "out.json").exists()


def test_pairs_are_packed_for_a_registry_and_the_same_file_is_the_same_image(folder: Path) -> None:
    told = [run("suite", "pack", "--pairs", folder / "pairs.jsonl", "--output", folder / name, "--repository", "r.example.com/p") for name in ("one", "two")]
    assert [result.exit_code for result in told] == [0, 0]
    assert told[0].output == told[1].output
    assert told[0].output.startswith("sluice sign pairs --reference r.example.com/p@sha256:")
    assert run("suite", "pack", "--output", folder / "three").exit_code == 2


def test_a_suite_of_pairs_is_scored_at_a_desk_on_pairs_only(folder: Path) -> None:
    asked = run("score", "--once", "--suite", folder / "suite.yaml", "--candidate", "http://127.0.0.1:1", "--baseline", "http://127.0.0.1:2")
    assert (asked.exit_code, "give the recording with --pairs" in asked.output) == (2, True)
    assert "has no cases of its own" in run("suite", "check", folder / "suite.yaml").output
    counted = run("score", "--once", "--suite", folder / "suite.yaml", "--pairs", folder / "pairs.jsonl", "--margin", "0.02")
    assert "RollBack (WorseThanMargin)" in counted.output


# What an auditor does with it.


@pytest.fixture
def decided(folder: Path) -> Path:
    """A run that counted the recording, as it stands on the cluster."""
    suite = SuiteSpec.model_validate(SPEC)
    pairs = read_pairs((folder / "pairs.jsonl").read_bytes(), rules_of(suite.protocol, suite.scorers))
    there = canary_runs.run()
    recording = {"digest": pairs.cases.digest, "count": 120, "evidence": "sha256:" + "e" * 64, "oci": {"reference": REFERENCE}}
    there["spec"] |= {"shards": 1, "suiteDigest": suite_digest(suite), "recording": recording}
    plan = plan_run(
        suite, StatedCases(digest=pairs.cases.digest, count=120), run="r", candidate="recorded:candidate", baseline="recorded:baseline",
        seed=there["spec"]["seed"], planned=3000, minimum=None, shards=1, end_token="t" * 16, recorded=True,
    )  # fmt: skip
    merged = asyncio.run(score_once(Scoring(plan=plan, cases=pairs.cases, pairs=pairs)))
    rate = Decimal("0.05")
    terms = Terms(
        margins={"accuracy": Decimal("0.02")}, false_rollback_rate=rate, false_promotion_rate=rate, planned=plan.planned, minimum=plan.minimum,
        sliced=bool(plan.slices),
    )  # fmt: skip
    judgement = judge(merged, terms)
    there["status"] = {
        "phase": "Decided", "decision": str(judgement.decision), "reason": judgement.reason, "message": judgement.message, "units": judgement.units,
        "metrics": [
            {
                "name": standing.metric, "slice": standing.slice, "pairs": standing.units, "estimate": f"{standing.estimate:.4f}", "interval": ["-1", "1"],
                "evidence": {"promote": "1", "rollBack": "1"},
            }
            for standing in standings(merged, terms, looks=judgement.looks)
        ],
    }  # fmt: skip
    (folder / "run.yaml").write_text(yaml.safe_dump(there))
    return folder


def verify(folder: Path, pairs: str = "pairs.jsonl") -> Result:
    return run("canary", "verify", folder / "run.yaml", "--suite", folder / "suite.yaml", "--cases", folder / pairs)


def test_a_run_of_a_recording_is_counted_again_from_the_recording_alone(decided: Path) -> None:
    result = verify(decided)
    assert result.exit_code == 0, result.output
    assert f"same     recording {r.digest_of(r.pairs(wrong=3))}" in result.output
    assert "same     decision  RollBack (WorseThanMargin)" in result.output
    assert "same     numbers   1 mean differences" in result.output


def test_a_run_that_does_not_follow_from_its_recording_differs(decided: Path) -> None:
    (decided / "other.jsonl").write_text(r.PAIRS)
    result = verify(decided, "other.jsonl")
    assert result.exit_code == 1
    assert "DIFFERS  recording" in result.output
    assert "DIFFERS  decision" in result.output
    there = yaml.safe_load((decided / "run.yaml").read_text())
    there["spec"]["seed"] = 8
    (decided / "run.yaml").write_text(yaml.safe_dump(there))
    assert "DIFFERS" in verify(decided).output


def test_a_run_that_asked_needs_its_samples(decided: Path) -> None:
    there = yaml.safe_load((decided / "run.yaml").read_text())
    del there["spec"]["recording"]
    (decided / "run.yaml").write_text(yaml.safe_dump(there))
    (decided / "suite.yaml").write_text(yaml.safe_dump({"kind": "ScoringSuite", "spec": c.suite_spec()}))
    (decided / "cases.jsonl").write_text(c.CASE)
    result = verify(decided, "cases.jsonl")
    assert (result.exit_code, "give the --samples of the run" in result.output) == (2, True)


def test_a_report_says_where_the_answers_came_from(decided: Path) -> None:
    page = decided / "report.html"
    told = run("canary", "report", "--run-file", decided / "run.yaml", "-o", page, "--json", "-")
    assert json.loads(told.output)["recording"] == {"name": REFERENCE, "digest": r.digest_of(r.pairs(wrong=3))}
    assert "Nobody was asked: both models had answered the same requests" in page.read_text()
    assert REFERENCE in page.read_text()
