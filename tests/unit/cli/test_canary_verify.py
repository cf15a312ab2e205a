"""`sluice canary verify`: a run whose decision follows from what it names, and runs that were tampered with."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from sluice.api.canary import CanaryDecision, CanaryPhase
from sluice.api.digests import suite_digest
from sluice.api.scoring import SuiteSpec
from sluice.cli import main
from sluice.evidence.canary_record import sign_record
from sluice.provenance.published import with_key
from sluice.provenance.signing import SigningKey
from sluice.scoring.cases import read_cases
from sluice.scoring.judgement import Terms, judge, standings, up_to
from sluice.scoring.plan import plan_run
from sluice.scoring.samples import FileSink, Keep
from sluice.scoring.suite import prepare
from sluice.scoring.tally import merge
from sluice.scoring.worker import Worker
from tests.unit.cli.canary_runs import run
from tests.unit.scoring.sides import Side, said

PLANNED = 520
"""Enough for two shards."""
FEW = 150
"""Enough for a rollback: where a test is not about shards, because every sample that is scored again costs."""


def suite_of(cases: bytes) -> dict[str, Any]:
    return {
        "protocol": {"type": "OpenAICompletions", "port": 80, "model": "churn", "sampling": {"maxTokens": 8}},
        "cases": {"configMap": {"name": "c", "key": "k", "digest": "sha256:" + hashlib.sha256(cases).hexdigest()}},
        "slices": ["region"],
        "scorers": [{"name": "accuracy", "type": "ExactMatch"}, {"name": "latency", "type": "Latency"}],
    }


def cases_of(planned: int) -> bytes:
    lines = [
        {"id": f"c-{number}", "input": {"prompt": f"{number}?"}, "expect": {"text": "yes"}, "slices": {"region": "dach" if number % 3 else "emea"}}
        for number in range(planned)
    ]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two shards that rolled back, with all that it names."""
    folder = tmp_path_factory.mktemp("run")
    asyncio.run(make(folder, planned=PLANNED, shards=2, pinned=2))
    return folder


@pytest.fixture(scope="module")
def made_of_few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one shard that rolled back, with all that it names."""
    folder = tmp_path_factory.mktemp("few")
    asyncio.run(make(folder, planned=FEW, shards=1, pinned=7))
    return folder


@pytest.fixture
def two_shards(made: Path, tmp_path: Path) -> Path:
    """The run of two shards, to be changed."""
    return Path(shutil.copytree(made, tmp_path, dirs_exist_ok=True))


@pytest.fixture
def folder(made_of_few: Path, tmp_path: Path) -> Path:
    """The run of one shard, to be changed."""
    return Path(shutil.copytree(made_of_few, tmp_path, dirs_exist_ok=True))


async def make(folder: Path, *, planned: int, shards: int, pinned: int, wrong: int = 3, waits_until: int | None = None) -> None:
    """Score so many cases in so many shards; the run pins more where it has fewer cases than policy plans.

    One case in `wrong` is answered wrong. `waits_until`: units that were in when the least time was over.
    """
    raw = cases_of(planned)
    # With slices a promotion comes at the planned end only.
    told_suite = suite_of(raw) if waits_until is None else suite_of(raw) | {"slices": []}
    cases, suite, margin = read_cases(raw), SuiteSpec.model_validate(told_suite), "0.02" if waits_until is None else "0.2"
    there = run()
    there["spec"]["margin"] = margin
    there["spec"]["shards"] = pinned
    plan = plan_run(suite, cases, run="r", candidate="http://a:1", baseline="http://b:1", seed=7, planned=3000, minimum=None, shards=shards, end_token="t" * 16)
    metrics = prepare(plan, cases).metrics
    candidate = {case.id: [said("no" if int(case.id[2:]) % wrong == 0 else "yes", seconds=0.1 + int(case.id[2:]) / 2000)] for case in cases.all}
    told = []
    for shard in range(shards):
        sink = FileSink(folder / f"{shard}.jsonl")
        worker = Worker(
            plan, cases.all, shard=shard, metrics=metrics, candidate=Side(candidate), baseline=Side(said("yes", seconds=0.3)), sink=sink, keep=Keep.TEXTS
        )
        await worker.run()
        told.append(worker.statistics())
    terms = Terms(
        margins=dict.fromkeys(plan.compared, Decimal(margin)), false_rollback_rate=Decimal("0.05"), false_promotion_rate=Decimal("0.05"), planned=plan.planned,
        minimum=plan.minimum, sliced=bool(plan.slices), waits=waits_until is not None,
    )  # fmt: skip
    merged = merge(told, plan=plan.digest, of=shards)
    if waits_until is not None:
        there["spec"]["minDuration"] = "10m"
        merged = up_to(merged, units=waits_until)
    judgement = judge(merged, terms)
    there["spec"]["suiteDigest"] = suite_digest(suite)
    there["status"] = {
        "phase": CanaryPhase.DECIDED, "decision": str(judgement.decision), "reason": judgement.reason, "message": judgement.message, "units": judgement.units,
        "metrics": [
            {
                "name": standing.metric, "slice": standing.slice, "pairs": standing.units, "estimate": f"{standing.estimate:.4f}", "interval": ["-1", "1"],
                "evidence": {"promote": "1", "rollBack": "1"},
            }
            for standing in standings(merged, terms, looks=judgement.looks)
        ],
        "samples": {"digest": merged.samples[0].digest, "uri": merged.samples[0].uri},
    }  # fmt: skip
    (folder / "run.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(there))))
    (folder / "suite.yaml").write_text(yaml.safe_dump({"kind": "ScoringSuite", "spec": told_suite}))
    (folder / "cases.jsonl").write_bytes(raw)


def verify(folder: Path, *, cases: str = "cases.jsonl", samples: tuple[str, ...] | None = None, keys: str | None = None, output: str = "table") -> Result:
    """Run the command, with the samples of all shards when none are named."""
    samples = tuple(path.name for path in sorted(folder.glob("[0-9].jsonl"))) if samples is None else samples
    given = [flag for name in samples for flag in ("--samples", str(folder / name))]
    given += [] if keys is None else ["--trust-root", str(folder / keys)]
    return CliRunner().invoke(
        main, ["canary", "verify", str(folder / "run.yaml"), "--suite", str(folder / "suite.yaml"), "--cases", str(folder / cases), "--output", output, *given]
    )


def tamper(folder: Path, change: Callable[[Any], None]) -> None:
    there = yaml.safe_load((folder / "run.yaml").read_text())
    change(there)
    (folder / "run.yaml").write_text(yaml.safe_dump(there))


def test_a_run_that_follows_from_what_it_names_is_said_to_be_the_same(two_shards: Path) -> None:
    result = verify(two_shards)
    assert result.exit_code == 0, result.output
    assert [line.split()[:2] for line in result.output.splitlines()] == [
        ["unknown", "record"], *(["same", what] for what in ("suite", "cases", "samples", "order", "scores", "decision", "numbers"))
    ]  # fmt: skip
    assert "RollBack (WorseThanMargin)" in result.output
    assert "520 of 520 answers, scored again from their texts" in result.output


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_a_program_gets_what_a_person_reads(folder: Path, output: str) -> None:
    lines = verify(folder).output.splitlines()
    result = verify(folder, output=output)
    told = yaml.safe_load(result.output)
    assert told["run"] == "payments/churn-2-1-0-canary-1"
    assert [f"{each['outcome']:<8} {each['what']:<9} {each['message']}" for each in told["findings"]] == lines
    assert result.exit_code == 0
    (folder / "0.jsonl").write_text("")
    changed = verify(folder, output=output)
    assert "differs" in {each["outcome"] for each in yaml.safe_load(changed.output)["findings"]}
    assert changed.exit_code == 1


def test_a_run_of_fewer_cases_than_were_planned_has_fewer_shards_than_it_pins(folder: Path) -> None:
    result = verify(folder)
    assert result.exit_code == 0, result.output
    assert "150 of 150 units" in result.output


async def test_a_promotion_that_waited_is_repeated_as_of_when_it_was_made(tmp_path: Path) -> None:
    await make(tmp_path, planned=300, shards=1, pinned=1, wrong=1000, waits_until=290)
    result = verify(tmp_path, samples=("0.jsonl",))
    assert result.exit_code == 0, result.output
    decided = yaml.safe_load((tmp_path / "run.yaml").read_text())["status"]["units"]
    assert 250 < decided <= 290
    assert f"Promote (WithinMargin) after {decided} units" in result.output
    # A live share that came between adds to the message what no sample knows.
    said = yaml.safe_load((tmp_path / "run.yaml").read_text())["status"]["message"]
    tamper(tmp_path, _set("status", "message", value=f"{said}, and nothing alarmed in 1 stages of a live share"))
    assert verify(tmp_path, samples=("0.jsonl",)).exit_code == 1
    tamper(tmp_path, _set("spec", "exposure", value=[{"share": "0.05", "for": "10m"}]))
    shared = verify(tmp_path, samples=("0.jsonl",))
    assert (shared.exit_code, "what users met is in no sample" in shared.output) == (0, True), shared.output
    tamper(tmp_path, _set("status", "units", value=20))
    assert "DIFFERS decision" in verify(tmp_path, samples=("0.jsonl",)).output.replace("  ", " ")


def _set(*path: str, value: Any) -> Callable[[Any], None]:  # noqa: ANN401 - any YAML
    def change(there: Any) -> None:  # noqa: ANN401
        for step in path[:-1]:
            there = there[step]
        there[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (_set("spec", "suiteDigest", value="sha256:" + "0" * 64), "DIFFERS suite the run has sha256:000"),
        (_set("spec", "seed", value=8), "DIFFERS scores rank"),
        (_set("spec", "margin", value="0.5"), "DIFFERS decision the run has RollBack (WorseThanMargin)"),
        (_set("status", "decision", value="Promote"), "DIFFERS decision the run has Promote (WorseThanMargin)"),
        (_set("status", "units", value=17), "DIFFERS decision"),
        (_set("status", "message", value="latency is worse than its margin of 0.02"), "DIFFERS decision the run says 'latency"),
        (_set("status", "samples", "digest", value="sha256:" + "0" * 64), "DIFFERS samples the run has sha256:000"),
    ],
)
def test_a_run_that_was_tampered_with_differs(folder: Path, change: Callable[[Any], None], complaint: str) -> None:
    tamper(folder, change)
    result = verify(folder)
    assert result.exit_code == 1, result.output
    assert complaint in " ".join(result.output.split())


def test_a_number_that_was_tampered_with_differs(folder: Path) -> None:
    def change(there: Any) -> None:  # noqa: ANN401 - a run
        there["status"]["metrics"][0]["estimate"] = "0.0000"

    tamper(folder, change)
    result = verify(folder)
    assert result.exit_code == 1
    assert "DIFFERS  numbers" in result.output


def test_other_cases_differ(folder: Path) -> None:
    (folder / "others.jsonl").write_bytes(cases_of(FEW).replace(b"yes", b"Yes"))
    result = verify(folder, cases="others.jsonl")
    assert result.exit_code == 1
    assert "DIFFERS  cases" in result.output


@pytest.mark.parametrize(
    ("samples", "change", "complaint"),
    [
        (("0.jsonl",), _set("spec", "seed", value=7), "unknown decision RollBack (WorseThanMargin) after"),
        (None, _set("status", "reason", value="DeadlineExceeded"), "is no matter of statistics; by these it is RollBack"),
    ],
)
def test_what_nobody_can_tell_ends_with_3(two_shards: Path, samples: tuple[str, ...] | None, change: Callable[[Any], None], complaint: str) -> None:
    tamper(two_shards, change)
    result = verify(two_shards, samples=samples)
    assert result.exit_code == 3, result.output
    assert complaint in " ".join(result.output.split())


def sign(folder: Path, *, decision: CanaryDecision = CanaryDecision.ROLL_BACK) -> None:
    """The controller signs the run, and publishes its key."""
    key = SigningKey.generate()
    published = with_key({}, fingerprint=key.fingerprint, public_pem=key.public_pem)
    (folder / "keys.json").write_text(published["trust-root.json"])
    there = yaml.safe_load((folder / "run.yaml").read_text())
    there["metadata"]["uid"] = "run-uid"
    record = sign_record(key, there, decision=decision, reason=there["status"]["reason"], decided_at="2026-11-21T07:02:05Z")
    there["status"]["record"] = record
    (folder / "run.yaml").write_text(yaml.safe_dump(there))


def test_a_run_that_the_controller_has_signed_is_said_to_be(folder: Path) -> None:
    sign(folder)
    result = verify(folder, keys="keys.json")
    assert result.exit_code == 0, result.output
    assert "same     record    RollBack, signed by the controller" in result.output


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (_set("metadata", "uid", value="another"), "its record is of run payments/churn-2-1-0-canary-1, uid run-uid"),
        (_set("spec", "policy", value="another"), "its record is of a run that pins something else"),
        (_set("status", "record", value="{}"), "its record is refused"),
    ],
)
def test_a_record_that_is_about_something_else_differs(folder: Path, change: Callable[[Any], None], complaint: str) -> None:
    sign(folder)
    tamper(folder, change)
    result = verify(folder, keys="keys.json")
    assert result.exit_code == 1, result.output
    assert complaint in " ".join(result.output.split())


def test_a_record_of_another_decision_or_by_another_key_differs(folder: Path) -> None:
    sign(folder, decision=CanaryDecision.PROMOTE)
    assert "its record says Promote" in verify(folder, keys="keys.json").output
    others = with_key({}, fingerprint="sha256:" + "0" * 64, public_pem=SigningKey.generate().public_pem)
    (folder / "others.json").write_text(others["trust-root.json"])
    result = verify(folder, keys="others.json")
    assert result.exit_code == 1
    assert "its record is refused" in result.output


def test_only_a_promotion_needs_a_record(folder: Path) -> None:
    sign(folder)
    tamper(folder, lambda there: there["status"].pop("record"))
    result = verify(folder, keys="keys.json")
    assert result.exit_code == 0
    assert "unknown  record    it carries no record" in result.output
    tamper(folder, _set("status", "decision", value="Promote"))
    assert "DIFFERS  record    it carries no record" in verify(folder, keys="keys.json").output


@pytest.mark.parametrize(
    "text", ["kind: Pod", "kind: TrustRoot", "{kind: TrustRoot, spec: {keys: [{name: a, pem: b}]}}", "{kind: TrustRoot, spec: {keys: []}}"]
)
def test_a_trust_root_that_holds_no_key_cannot_be_used(folder: Path, text: str) -> None:
    (folder / "keys.json").write_text(text)
    result = verify(folder, keys="keys.json")
    assert result.exit_code == 2, result.output


def test_a_run_without_samples_of_its_own_is_repeated_all_the_same(folder: Path) -> None:
    tamper(folder, lambda there: there["status"].pop("samples"))
    result = verify(folder)
    assert result.exit_code == 0
    assert "unknown  samples" in result.output


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("run.yaml", "kind: Pod", "this is no CanaryRun"),
        ("run.yaml", "{", "run.yaml: neither YAML nor JSON"),
        ("run.yaml", "kind: CanaryRun\nkind: CanaryRun\n", "run.yaml: line 2: member 'kind' is there twice"),
        ("run.yaml", yaml.safe_dump(run()), "the run has not decided yet"),
        ("run.yaml", yaml.safe_dump(run() | {"spec": {}}), "is this command as new as the controller?"),
        ("suite.yaml", "kind: Pod", "this is no ScoringSuite"),
        ("cases.jsonl", "{", "line 1: is not the JSON"),
    ],
)
def test_what_cannot_be_used_ends_with_2(folder: Path, name: str, text: str, complaint: str) -> None:
    (folder / name).write_text(text)
    result = verify(folder)
    assert result.exit_code == 2, result.output
    assert complaint in " ".join(result.output.split())
