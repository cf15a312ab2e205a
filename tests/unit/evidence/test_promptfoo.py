"""Results of promptfoo: real ones of two versions are read, and what was filtered, failed to run or is of several models is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from sluice.evidence.harness.raw import read_raw
from sluice.provenance.errors import ProvenanceError, Reason
from tests.signing import Json, error_of

RESULTS = sorted(Path(__file__).with_name("files").glob("promptfoo-*.json"))


@cache
def real() -> str:
    return RESULTS[-1].read_text(encoding="utf-8")


def measured(document: Json) -> dict[tuple[str, str], tuple[float, int]]:
    return {(each.metric, each.slice): (each.value, each.samples) for each in read_raw("results.json", json.dumps(document).encode())}


def changed(edit: Callable[[Json], object]) -> Json:
    document = json.loads(real())
    edit(document)
    return document


def refusal(edit: Callable[[Json], object]) -> ProvenanceError:
    return error_of(lambda: measured(changed(edit)))


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.name)
def test_results_that_two_versions_wrote_are_read(path: Path) -> None:
    read = read_raw(path.name, path.read_bytes())
    found = {(each.metric, each.slice): (each.value, each.samples) for each in read}
    # Three tests, two prompts: the first passes with both, the second with none, the third with one.
    assert found["pass", ""] == (0.5, 3)
    assert found["pass", "region=DACH"] == (1.0, 1)
    assert found["pass", "region=UK"] == (0.25, 2)
    assert found["pass", "prompt={{q}}"] == (2 / 3, 3)
    assert found["pass", "prompt=please: {{q}}"] == (1 / 3, 3)
    assert found["score", ""] == (2 / 3, 3)
    assert found["metric/facts", ""] == (0.5, 2)
    assert (read[0].suite, read[0].harness, f"promptfoo-{read[0].harness_version}.json") == ("support-answers", "promptfoo", path.name)


def test_a_test_that_is_repeated_is_one_case() -> None:
    def twice(document: Json) -> None:
        results = document["results"]["results"]
        document["results"]["results"] = [*results, *(each | {"testIdx": each["testIdx"] + 3} for each in results)]
        document["results"]["stats"] |= {"successes": 6, "failures": 6}
        document["runtimeOptions"]["repeat"] = 2

    assert measured(changed(twice)) == measured(json.loads(real()))


def drop(document: Json, count: int) -> None:
    """What `--filter-first-n` leaves."""
    results = document["results"]
    results["results"] = [each for each in results["results"] if each["testIdx"] >= count]
    passed = sum(each["success"] for each in results["results"])
    results["stats"] |= {"successes": passed, "failures": len(results["results"]) - passed}


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (lambda d: drop(d, 1), "asks for 6 answers (2 prompts, repeated 1 times), the file holds 4"),
        (lambda d: d["runtimeOptions"].update(repeat=2), "asks for 12 answers"),
        (lambda d: d["config"]["tests"][0]["vars"].update(q=["a", "b"]), "asks for 8 answers"),
        (lambda d: d["config"].update(tests="file://tests.yaml"), "names files"),
        (lambda d: d["config"]["tests"].append("file://tests.yaml"), "names files"),
        (lambda d: d["config"].pop("tests"), "names files"),
        (lambda d: d["config"].update(scenarios=[{"config": []}]), "scenarios"),
        (lambda d: d["results"]["stats"].update(errors=1), "1 tests could not be carried out"),
        (lambda d: d["results"]["results"][0].update(failureReason=2), "1 tests could not be carried out"),
        (lambda d: d["results"]["results"].pop(), "holds 5 of 6"),
        (lambda d: d["results"].update(results=[]), "holds 0 of 6"),
    ],
)
def test_a_run_that_is_not_whole_says_what_is_missing(edit: Callable[[Json], object], complaint: str) -> None:
    error = refusal(edit)
    assert error.reason is Reason.RunIncomplete
    assert complaint in str(error)


@pytest.mark.parametrize(
    "edit",
    [
        lambda d: d["results"].update(version=4),
        lambda d: d["config"].pop("description"),
        lambda d: d["config"].update(description=""),
        lambda d: d["results"]["stats"].update(successes=4, failures=2),
        lambda d: d["results"]["results"][0].update(success=1),
        lambda d: d["results"]["results"][0].update(score="1"),
        lambda d: d["results"]["results"][0].update(namedScores={"facts": True}),
        lambda d: d["results"]["results"][0].update(namedScores={"a\nb": 1}),
        lambda d: d["results"]["results"][0].update(namedScores={str(each): 1 for each in range(70)}),
        lambda d: d["results"]["results"][0].pop("testCase"),
    ],
)
def test_results_of_another_shape_are_malformed(edit: Callable[[Json], object]) -> None:
    assert refusal(edit).reason is Reason.RawResultMalformed


@pytest.mark.parametrize("edit", [lambda d: d["results"]["prompts"][1].update(provider="other"), lambda d: d["results"].update(prompts=[])])
def test_results_of_several_models_or_of_none_are_ambiguous(edit: Callable[[Json], object]) -> None:
    assert refusal(edit).reason is Reason.MeasurementAmbiguous
