"""Evaluations: numbers come from the raw files, whole runs only, and the files are the ones that were signed."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from e2e.sigstore import evaluation_statement, lm_eval_results
from sluice.evidence.evaluation import EVAL_RESULT, TEST_RESULT, Evaluation, read_evaluation
from sluice.evidence.harness import lm_eval
from sluice.evidence.measurement import Measurement
from sluice.provenance.digests import sha256_of
from sluice.provenance.errors import Reason
from sluice.provenance.statement import parse_statement
from tests.signing import Json, edited, error_of

WEIGHTS = "sha256:" + "a" * 64
RAW = lm_eval_results("churn-core", "acc", 0.93, 500)
NAME = "results_2026-11-20.json"


def read(attachments: dict[str, bytes], edit: Callable[[Json], object] = lambda _: None, *, kind: str = TEST_RESULT, raw: bytes = RAW) -> Evaluation:
    statement = edited(json.dumps(evaluation_statement(WEIGHTS, NAME, raw, predicate_type=kind)), edit)
    return read_evaluation(parse_statement(statement), attachments)


def measured(raw: bytes) -> tuple[Measurement, ...]:
    return read({NAME: raw}, raw=raw).measurements


def changed(edit: Callable[[Json], object], raw: bytes = RAW) -> bytes:
    return edited(raw, edit)


@pytest.mark.parametrize("kind", [TEST_RESULT, EVAL_RESULT])
def test_numbers_are_read_from_the_raw_file(kind: str) -> None:
    evaluation = read({NAME: RAW}, kind=kind)
    assert evaluation.raw_digests == {sha256_of(RAW)}
    (one,) = evaluation.measurements
    assert (one.suite, one.metric, one.filter, one.value, one.samples) == ("churn-core", "acc", "none", 0.93, 500)
    assert (one.harness, one.harness_version, one.suite_digest) == ("lm-eval", "0.4.13", None)
    assert one.stderr == pytest.approx((0.93 * 0.07 / 500) ** 0.5)


@pytest.mark.parametrize("claim", [{"result": "FAILED"}, {"result": "PASSED", "passed": True, "value": 1.0}, {"claims": [{"metric": "acc", "passed": True}]}])
def test_what_the_producer_claims_changes_nothing(claim: dict[str, Json]) -> None:
    assert read({NAME: RAW}, lambda d: d["predicate"].update(claim)) == read({NAME: RAW})


def test_the_attachments_name_does_not_matter_its_bytes_do() -> None:
    assert read({"renamed.json": RAW}) == read({NAME: RAW})
    assert error_of(lambda: read({NAME: RAW + b" "})).reason is Reason.AttachmentMismatch


def test_a_raw_file_that_is_not_attached_is_missing_by_name() -> None:
    error = error_of(lambda: read({}))
    assert error.reason is Reason.AttachmentMissing
    assert NAME in str(error)


def test_a_file_that_the_statement_does_not_name_is_refused() -> None:
    assert error_of(lambda: read({NAME: RAW, "more.json": lm_eval_results("x", "acc", 1, 5)})).reason is Reason.AttachmentMismatch


def test_nobody_can_name_several_runs_and_attach_the_best() -> None:
    worse = {"name": "results_worse.json", "digest": {"sha256": "b" * 64}}
    assert error_of(lambda: read({NAME: RAW}, lambda d: d["predicate"]["configuration"].append(worse))).reason is Reason.AttachmentMissing


def test_two_runs_of_one_suite_are_ambiguous() -> None:
    second = lm_eval_results("churn-core", "acc", 0.99, 500)
    named = {"name": "second.json", "digest": {"sha256": sha256_of(second).removeprefix("sha256:")}}
    error = error_of(lambda: read({NAME: RAW, "second.json": second}, lambda d: d["predicate"]["configuration"].append(named)))
    assert error.reason is Reason.MeasurementAmbiguous


def test_two_suites_in_two_files_add_up() -> None:
    second = lm_eval_results("red-team", "acc", 0.99, 400)
    named = {"name": "second.json", "digest": {"sha256": sha256_of(second).removeprefix("sha256:")}}
    evaluation = read({NAME: RAW, "second.json": second}, lambda d: d["predicate"]["configuration"].append(named))
    assert {each.suite for each in evaluation.measurements} == {"churn-core", "red-team"}


@pytest.mark.parametrize(
    "edit",
    [
        lambda d: d.update(predicateType="https://example.com/v1"),
        lambda d: d["predicate"].pop("configuration"),
        lambda d: d["predicate"].update(configuration=[]),
        lambda d: d["predicate"].update(configuration={}),
        lambda d: d["predicate"].update(configuration=[{"name": "x"}]),
        lambda d: d["predicate"].update(configuration=[{"name": "x", "digest": {"sha512": "a" * 128}}]),
        lambda d: d["predicate"].update(configuration=[{"name": "x", "digest": {"sha256": "A" * 64}}]),
        lambda d: d["predicate"].update(configuration=d["predicate"]["configuration"] * 17),
        lambda d: d["predicate"].update(evidence=d["predicate"].pop("configuration")),
    ],
)
def test_an_evaluation_that_names_no_raw_file_by_sha256_is_refused(edit: Callable[[Json], object]) -> None:
    assert error_of(lambda: read({NAME: RAW}, edit)).reason is Reason.PredicateMalformed


@pytest.mark.parametrize("raw", [b"", b"[]", b"\xff", b'{"results": {}, "results": {}}', b'{"a": NaN}', b'{"a":' * 5000, b'{"a":"' + b"x" * 5_000_000 + b'"}'])
def test_a_raw_file_that_is_no_strict_json_object_is_refused(raw: bytes) -> None:
    assert error_of(lambda: measured(raw)).reason is Reason.RawResultMalformed


@pytest.mark.parametrize("raw", [b"{}", b'{"results": {}}', b'{"evals": []}'])
def test_a_raw_file_of_no_harness_that_we_read_is_refused(raw: bytes) -> None:
    assert error_of(lambda: measured(raw)).reason is Reason.HarnessUnknown


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (lm_eval_results("t", "acc", 0.9, 500, limit=10), "--limit 10"),
        (lm_eval_results("t", "acc", 0.9, 500, limit=0.5), "--limit 0.5"),
        (lm_eval_results("t", "acc", 0.9, 500, evaluated=499), "499 of 500"),
        (lm_eval_results("t", "acc", 0.9, 500, evaluated=0), "0 of 500"),
        (lm_eval_results("t", "acc", 0.9, 500, evaluated=501), "501 of 500"),
        (changed(lambda d: d["n-samples"]["churn-core"].update(effective=0, original=0)), "0 of 0"),
        (changed(lambda d: d["config"].pop("limit")), "config.limit is absent"),
        (changed(lambda d: d["config"].update(limit=0)), "--limit 0"),
        (changed(lambda d: d.update({"n-samples": {}})), "does not say how many cases"),
        (changed(lambda d: d["n-samples"].update(other={"original": 10, "effective": 9})), "9 of 10"),
        (changed(lambda d: d.update(results={"churn-core": {"alias": "x"}})), "no measurement"),
    ],
)
def test_a_run_that_is_not_whole_says_what_is_missing(raw: bytes, complaint: str) -> None:
    error = error_of(lambda: measured(raw))
    assert error.reason is Reason.RunIncomplete
    assert complaint in str(error)


@pytest.mark.parametrize(
    "edit",
    [
        lambda d: d.pop("config"),
        lambda d: d.pop("n-samples"),
        lambda d: d.update(lm_eval_version=""),
        lambda d: d.update(lm_eval_version="No package metadata was found"),
        lambda d: d.update(results={}),
        lambda d: d.update(results=[]),
        lambda d: d["results"].update(other=3),
        lambda d: d["results"]["churn-core"].update({"acc,none": True}),
        lambda d: d["results"]["churn-core"].update({"acc,none": [1]}),
        lambda d: d["results"]["churn-core"].update({"acc_stderr,none": -0.1}),
        lambda d: d["results"]["churn-core"].update({f"m{each},none": 1 for each in range(70)}),
        lambda d: d["n-samples"]["churn-core"].update(effective=True, original=True),
        lambda d: d["n-samples"]["churn-core"].update(effective=500.0),
        lambda d: d["task_hashes"].update({"churn-core": "xyz"}),
    ],
)
def test_a_results_file_of_another_shape_is_malformed(edit: Callable[[Json], object]) -> None:
    assert error_of(lambda: measured(changed(edit))).reason is Reason.RawResultMalformed


@pytest.mark.parametrize(
    ("version", "counts"), [("0.4.9", False), ("0.4.11", False), ("0.4.12", True), ("0.4.13.post1", True), ("0.5.0", True), ("1.0.0", True)]
)
def test_a_version_that_does_not_count_what_was_evaluated_is_refused(version: str, counts: bool) -> None:
    raw = changed(lambda d: d.update(lm_eval_version=version))
    if counts:
        assert measured(raw)[0].harness_version == version
    else:
        error = error_of(lambda: measured(raw))
        assert error.reason is Reason.RunIncomplete
        assert "evaluate with 0.4.12 or later" in str(error)


def test_a_standard_error_that_the_harness_did_not_compute_is_none() -> None:
    assert measured(lm_eval_results("t", "exact_match", 0.9, 500, stderr="N/A"))[0].stderr is None


def test_the_hash_of_the_samples_names_the_suite() -> None:
    assert measured(changed(lambda d: d["task_hashes"].update({"churn-core": "c" * 64})))[0].suite_digest == "sha256:" + "c" * 64


def test_filters_and_metrics_are_told_apart() -> None:
    raw = changed(lambda d: d["results"].update({"churn-core": {"exact_match,strict": 0.5, "exact_match,flexible": 0.6, "exact_match_stderr,strict": 0.1}}))
    assert {(each.metric, each.filter): (each.value, each.stderr) for each in measured(raw)} == {
        ("exact_match", "strict"): (0.5, 0.1),
        ("exact_match", "flexible"): (0.6, None),
    }


def group(document: Json) -> None:
    document["results"] |= {"all": {"acc,none": 0.9}, "half": {"acc,none": 0.9}, "other": {"acc,none": 0.8}}
    document["group_subtasks"] = {"all": ["half", "other"], "half": ["churn-core"]}
    document["n-samples"]["other"] = {"original": 100, "effective": 100}


def test_a_group_rests_on_the_cases_of_the_tasks_below_it() -> None:
    samples = {each.suite: each.samples for each in measured(changed(group))}
    assert samples == {"churn-core": 500, "other": 100, "half": 500, "all": 600}


@pytest.mark.parametrize("subtasks", [["all"], ["half", "nowhere"], [], "half"])
def test_a_group_that_goes_in_circles_or_nowhere_is_refused(subtasks: Json) -> None:
    def circle(document: Json) -> None:
        group(document)
        document["group_subtasks"]["all"] = subtasks

    assert error_of(lambda: measured(changed(circle))).reason is Reason.RunIncomplete


def test_a_group_that_counts_a_task_twice_is_refused() -> None:
    def twice(document: Json) -> None:
        group(document)
        document["group_subtasks"]["all"] = ["other", "other"]

    assert error_of(lambda: measured(changed(twice))).reason is Reason.RawResultMalformed


def test_files_of_other_harnesses_are_not_taken_for_lm_eval() -> None:
    assert lm_eval.recognises(json.loads(RAW))
    assert not lm_eval.recognises({"results": {}})
