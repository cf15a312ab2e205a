"""Our own two formats for raw results: what their schemas describe is read, what is left out is refused, and slices are numbers of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sluice.evidence.harness.raw import read_raw
from sluice.evidence.harness.scores import Run, Score, measure, slices_of
from sluice.evidence.measurement import Measurement
from sluice.provenance.errors import Reason
from tests.signing import Json, error_of

DOCS = Path(__file__).parents[3] / "docs"
TOOL = {"name": "our-eval", "version": "1.2"}
DIGEST = "sha256:" + "c" * 64


def metrics(**changes: Json) -> dict[str, Json]:
    return {
        "format": "https://sluice.dev/metrics/v1",
        "suite": "churn-core",
        "suiteDigest": DIGEST,
        "tool": dict(TOOL),
        "cases": {"planned": 500, "evaluated": 500},
        "metrics": [
            {"name": "accuracy", "value": 0.93, "samples": 500, "stderr": 0.011},
            {"name": "accuracy", "value": 0.81, "samples": 40, "slice": "region=DACH"},
        ],
    } | changes


def samples() -> list[dict[str, Json]]:
    header = {"format": "https://sluice.dev/scored-samples/v1", "suite": "churn-core", "suiteDigest": DIGEST, "tool": dict(TOOL), "cases": 4}
    rows = [("a", 1.0, "DACH"), ("b", 0.0, "DACH"), ("c", 1.0, "UK"), ("c", 0.0, "UK"), ("d", 1.0, "UK")]
    return [header, *({"id": case, "scores": {"accuracy": score}, "slices": {"region": region}} for case, score, region in rows)]


def lines(documents: list[dict[str, Json]]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in documents)


def read(document: Json) -> dict[tuple[str, str], Measurement]:
    raw = lines(document) if isinstance(document, list) else json.dumps(document).encode()
    return {(each.metric, each.slice): each for each in read_raw("it", raw)}


def test_plain_metrics_are_read_as_they_are() -> None:
    found = read(metrics())
    whole, part = found["accuracy", ""], found["accuracy", "region=DACH"]
    assert (whole.suite, whole.value, whole.stderr, whole.samples) == ("churn-core", 0.93, 0.011, 500)
    assert (whole.suite_digest, whole.harness, whole.harness_version) == (DIGEST, "our-eval", "1.2")
    assert (part.value, part.stderr, part.samples) == (0.81, None, 40)


def test_numbers_are_computed_from_the_samples_and_several_answers_to_a_case_are_one() -> None:
    whole = read(samples())["accuracy", ""]
    # a 1, b 0, c ½ (two answers), d 1.
    assert (whole.value, whole.samples) == (0.625, 4)
    assert whole.stderr == pytest.approx(0.2393568)
    assert (whole.suite, whole.suite_digest, whole.harness) == ("churn-core", DIGEST, "our-eval")


def test_every_slice_has_a_number_of_its_own() -> None:
    found = read(samples())
    assert {key: (each.value, each.samples) for key, each in found.items()} == {
        ("accuracy", ""): (0.625, 4),
        ("accuracy", "region=DACH"): (0.5, 2),
        ("accuracy", "region=UK"): (0.75, 2),
    }


def test_one_case_has_no_standard_error() -> None:
    (one,) = measure(Run(suite="s", harness="h", harness_version="1"), {"m": [Score(case="a", value=1)]})
    assert one.stderr is None


def schema(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads((DOCS / f"{name}.schema.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize(("name", "documents"), [("metrics", [metrics()]), ("scored-samples", samples())])
def test_the_schemas_describe_what_is_read(name: str, documents: list[Json]) -> None:
    for document in documents:
        schema(name).validate(document)


def without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda document: document.pop(key)


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (lambda d: d.update(cases={"planned": 500, "evaluated": 499}), "499 of 500"),
        (lambda d: d.update(cases={"planned": 0, "evaluated": 0}), "0 of 0"),
        (lambda d: d["metrics"][0].update(samples=499), "499 of 500"),
        (lambda d: d["metrics"][1].update(samples=501), "501 of 500"),
        (lambda d: d["metrics"][1].update(samples=0), "0 of 500"),
        (lambda d: d.update(metrics=[]), "no metric"),
    ],
)
def test_metrics_of_a_run_that_is_not_whole_are_refused(edit: Callable[[Json], object], complaint: str) -> None:
    document = metrics()
    edit(document)
    error = error_of(lambda: read(document))
    assert error.reason is Reason.RunIncomplete
    assert complaint in str(error)


@pytest.mark.parametrize(
    "edit",
    [
        *(without(key) for key in ("suite", "tool", "cases", "metrics")),
        lambda d: d.update(limit=10),
        lambda d: d["cases"].update(skipped=3),
        lambda d: d["tool"].update(url="x"),
        lambda d: d["metrics"][0].update(threshold=0.9),
        lambda d: d["metrics"][0].update(value="0.9"),
        lambda d: d["metrics"][0].update(stderr=-1),
        lambda d: d["metrics"][1].update(slice="DACH"),
        lambda d: d["metrics"][1].update(slice="region="),
        lambda d: d["metrics"][1].update(slice="=DACH"),
        lambda d: d["metrics"][1].update(slice=""),
        lambda d: d.update(suiteDigest="c" * 64),
        lambda d: d.update(suiteDigest="sha256:" + "C" * 64),
        lambda d: d.update(suite="a\x07b"),
        lambda d: d.update(metrics=[dict(d["metrics"][0], name=f"m{each}") for each in range(4097)]),
    ],
)
def test_metrics_of_another_shape_are_malformed_and_the_schema_says_so_too(edit: Callable[[Json], object]) -> None:
    document = metrics()
    edit(document)
    assert not schema("metrics").is_valid(document)
    assert error_of(lambda: read(document)).reason is Reason.RawResultMalformed


def test_a_metric_that_is_there_twice_is_ambiguous() -> None:
    document = metrics()
    document["metrics"].append(dict(document["metrics"][0], value=0.99))
    assert error_of(lambda: read(document)).reason is Reason.MeasurementAmbiguous


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (lambda d: d.pop(), "4 cases, 3 of which"),
        (lambda d: d[0].update(cases=5), "5 cases, 4 of which"),
        (lambda d: d[0].update(cases=3), "3 cases, 4 of which"),
        (lambda d: d[3]["scores"].update(accuracy=None), "line 4: 'accuracy' of case 'c' was not scored"),
        (lambda d: d[3]["scores"].update(refusal=1), "line 4: not every answer has a score 'refusal'"),
        (lambda d: d[3].update(scores={}), "line 4: not every answer has a score 'accuracy'"),
    ],
)
def test_samples_that_leave_something_out_are_refused(edit: Callable[[Json], object], complaint: str) -> None:
    documents = samples()
    edit(documents)
    error = error_of(lambda: read(documents))
    assert error.reason is Reason.RunIncomplete
    assert complaint in str(error)


@pytest.mark.parametrize(
    "edit",
    [
        *((lambda d, key=key: d[0].pop(key)) for key in ("suite", "tool", "cases")),
        *((lambda d, key=key: d[2].pop(key)) for key in ("id", "scores")),
        lambda d: d[0].update(limit=4),
        lambda d: d[2].update(weight=2),
        lambda d: d[2]["scores"].update(accuracy=True),
        lambda d: d[2]["scores"].update(accuracy="1"),
        lambda d: d[2]["slices"].update(region=3),
        lambda d: d[2]["slices"].update({"a=b": "c"}),
        lambda d: d[2]["slices"].update(region="x" * 121),
        lambda d: d[2]["slices"].update(region="a\x07b"),
        lambda d: d.extend([d[0]]),
        lambda d: [each.update(scores={}) for each in d[1:]],
        lambda d: [each.update(scores={f"m{number}": 1 for number in range(65)}) for each in d[1:]],
    ],
)
def test_samples_of_another_shape_are_malformed(edit: Callable[[Json], object]) -> None:
    documents = samples()
    edit(documents)
    assert error_of(lambda: read(documents)).reason is Reason.RawResultMalformed


def test_a_line_that_is_no_object_is_named() -> None:
    error = error_of(lambda: read_raw("it", lines(samples()) + b"[1]\n"))
    assert error.reason is Reason.RawResultMalformed
    assert "line 7" in str(error)


def test_a_document_in_one_line_is_no_json_lines_and_blank_lines_are_nothing() -> None:
    assert read_raw("it", json.dumps(metrics()).encode() + b"\n\n") == read_raw("it", json.dumps(metrics(), indent=1).encode())
    assert read_raw("it", lines(samples()).replace(b"\n", b"\n\n")) == read_raw("it", lines(samples()))


def test_more_lines_than_are_read_are_refused() -> None:
    assert "lines" in str(error_of(lambda: read_raw("it", lines(samples()[:1]) + b"{}\n" * 100_001)))


def test_a_field_with_many_values_is_no_slice() -> None:
    def scored(values: int) -> set[str]:
        scores = [Score(case=str(each), value=1, slices={"field": str(each)}) for each in range(values)]
        return {each.slice for each in measure(Run(suite="s", harness="h", harness_version="1"), {"m": scores})}

    assert len(scored(64)) == 65
    assert scored(65) == {""}


def test_more_numbers_than_are_read_are_refused() -> None:
    scores = [Score(case=str(each), value=1, slices={f"f{field}": str(each) for field in range(70)}) for each in range(60)]
    assert error_of(lambda: measure(Run(suite="s", harness="h", harness_version="1"), {"m": scores})).reason is Reason.RawResultMalformed


def test_slices_are_short_texts_whole_numbers_and_yes_or_no() -> None:
    fields: dict[str, Any] = {"a": "x", "b": 3, "c": True, "d": 1.5, "e": None, "f": [1], "g": "", "h": "x" * 121, "i": "a\nb", "j=k": "x", "": "x"}
    assert slices_of(fields) == {"a": "x", "b": "3", "c": "true"}
