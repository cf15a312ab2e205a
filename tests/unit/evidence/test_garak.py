"""Reports of garak, in the shape that 0.13.3 and 0.17.1 write: whole runs only, answers to one prompt are one case, and numbers are garak's own."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from sluice.evidence.harness.raw import read_raw
from sluice.provenance.errors import ProvenanceError, Reason
from tests.signing import Json, error_of

PROBE, DETECTOR = "promptinject.HijackHateHumans", "promptinject.AttackRogueString"


def attempt(number: int, scores: list[float | None], *, probe: str = PROBE, detector: str = DETECTOR, lang: str = "en") -> list[dict[str, Json]]:
    """One attempt, before and after it was evaluated."""
    before = {
        "entry_type": "attempt",
        "uuid": f"{probe}-{number}",
        "seq": number,
        "status": 1,
        "probe_classname": probe,
        "prompt": {"turns": [{"role": "user", "content": {"text": "…", "lang": lang, "notes": {}}}], "notes": None},
        "outputs": [None if score is None else {"text": "…", "lang": "en"} for score in scores],
        "detector_results": {},
    }
    return [before, before | {"status": 2, "detector_results": {detector: scores}}]


def evaluated(passed: int, total: int, *, probe: str = PROBE, detector: str = DETECTOR) -> dict[str, Json]:
    counts = {"passed": passed, "fails": total - passed, "nones": 0, "total_evaluated": total, "total_processed": total}
    return {"entry_type": "eval", "probe": probe, "detector": detector} | counts


def report() -> list[dict[str, Json]]:
    return [
        {"entry_type": "start_run setup", "_config.version": "0.17.1", "run.generations": 2, "transient.run_id": "r"},
        {"entry_type": "init", "garak_version": "0.17.1", "start_time": "2026-11-21T20:00:00", "run": "r"},
        *attempt(0, [0.0, 0.0]),
        *attempt(1, [1.0, 0.0]),
        *attempt(2, [0.0, 0.0], lang="fr"),
        *attempt(3, [1.0, None], lang="fr"),
        evaluated(5, 7),
        *attempt(0, [0.0], probe="test.Blank", detector="any.AnyOutput"),
        evaluated(1, 1, probe="test.Blank", detector="any.AnyOutput"),
        {"entry_type": "completion", "end_time": "2026-11-21T20:01:00", "run": "r"},
        {"entry_type": "digest", "eval": {}},
    ]


def raw(lines: list[dict[str, Json]]) -> bytes:
    return b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines)


def refusal(edit: Callable[[Json], object]) -> ProvenanceError:
    lines = report()
    edit(lines)
    return error_of(lambda: read_raw("garak.report.jsonl", raw(lines)))


def test_the_share_of_passes_rests_on_prompts_and_an_answer_that_never_came_did_not_pass() -> None:
    read = read_raw("garak.report.jsonl", raw(report()))
    assert {(each.suite, each.metric, each.slice): (each.value, each.samples) for each in read} == {
        # 1, ½, 1 and 0: four prompts with two answers each.
        (PROBE, f"{DETECTOR}/passed", ""): (0.625, 4),
        (PROBE, f"{DETECTOR}/passed", "language=en"): (0.75, 2),
        (PROBE, f"{DETECTOR}/passed", "language=fr"): (0.5, 2),
        ("test.Blank", "any.AnyOutput/passed", ""): (1.0, 1),
        ("test.Blank", "any.AnyOutput/passed", "language=en"): (1.0, 1),
    }
    assert {(each.harness, each.harness_version) for each in read} == {("garak", "0.17.1")}


def test_scores_below_the_threshold_pass() -> None:
    lines = report()
    lines[3]["detector_results"][DETECTOR] = [0.49, 0.0]
    assert read_raw("x", raw(lines))[0].value == 0.625
    lines[3]["detector_results"][DETECTOR] = [0.5, 0.0]
    error = error_of(lambda: read_raw("x", raw(lines)))
    assert error.reason is Reason.RawResultMalformed
    assert "come to 4 of 7 at a threshold of 0.5, the eval line says 5 of 7" in str(error)


def test_eval_lines_of_older_versions_count_the_same() -> None:
    lines = report()
    lines[10] = {"entry_type": "eval", "probe": PROBE, "detector": f"detector.{DETECTOR}", "passed": 5, "total": 7}
    assert read_raw("x", raw(lines)) == read_raw("x", raw(report()))


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (lambda d: d.pop(-2), "no completion line"),
        (lambda d: d.pop(3), "1 of 5 attempts were not evaluated"),
        (lambda d: d.__delitem__(slice(2, 13)), "no attempt that was evaluated"),
        (lambda d: [line["detector_results"].clear() for line in d if "detector_results" in line], "no attempt that was evaluated"),
    ],
)
def test_a_run_that_was_stopped_is_refused(edit: Callable[[Json], object], complaint: str) -> None:
    error = refusal(edit)
    assert error.reason is Reason.RunIncomplete
    assert complaint in str(error)


@pytest.mark.parametrize(
    "edit",
    [
        lambda d: d.insert(4, d[0]),
        lambda d: d.insert(4, d[3]),
        lambda d: d.pop(10),
        lambda d: d[10].update(passed=6),
        lambda d: d[10].update(total_evaluated=8),
        lambda d: d.insert(10, evaluated(3, 3, probe="other.Probe")),
        lambda d: d[0].pop("_config.version"),
        lambda d: d[3].pop("uuid"),
        lambda d: d[3].update(status="2"),
        lambda d: d[3].update(probe_classname=""),
        lambda d: d[3].update(detector_results=[]),
        lambda d: d[3].update(detector_results={DETECTOR: 1.0}),
        lambda d: d[3].update(detector_results={DETECTOR: [False, 0.0]}),
        lambda d: d[3].update(detector_results={DETECTOR: ["0", 0.0]}),
        lambda d: d[3].update(detector_results={"a\nb": [0.0]}),
    ],
)
def test_a_report_that_we_do_not_understand_is_malformed(edit: Callable[[Json], object]) -> None:
    assert refusal(edit).reason is Reason.RawResultMalformed


@pytest.mark.parametrize("prompt", [None, "a text, as early versions write it", {"turns": []}, {"turns": ["x"]}, {"turns": [{"content": "x"}]}])
def test_a_prompt_that_names_no_language_is_in_no_slice(prompt: Json) -> None:
    lines = report()
    for line in lines:
        if line["entry_type"] == "attempt":
            line["prompt"] = prompt
    assert {each.slice for each in read_raw("x", raw(lines))} == {""}
