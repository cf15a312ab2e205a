"""What MLflow kept of a run, in files that it wrote: tables become scored samples; of a metric file everything is asked for that it does not say."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import Result

from sluice.evidence.harness.raw import read_raw
from tests.unit.cli.models import run

FILES = Path(__file__).parents[1] / "evidence" / "files"
VERSIONS = sorted(FILES.glob("mlflow-*"))
GENAI = FILES / "mlflow-3.17.2" / "artifacts" / "genai_eval_results_table.json"
TABLE = "artifacts/eval_results_table.json"
TOLD = ("--suite", "churn-core", "--tool", "mlflow=3.17.2")


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The folder of a run that has finished."""
    folder = tmp_path / "run"
    shutil.copytree(FILES / "mlflow-2.22.5", folder)
    (folder / "meta.yaml").write_text("run_id: 4f2a\nstatus: 3\n")
    return folder


def convert(*arguments: object, to: Path, cases: int = 8) -> Result:
    return run("evidence", "convert", *arguments, *TOLD, "--cases", cases, "-o", to)


def test_there_are_two_versions() -> None:
    assert [path.name for path in VERSIONS] == ["mlflow-2.22.5", "mlflow-3.17.2"]


@pytest.mark.parametrize("version", VERSIONS, ids=lambda path: path.name)
def test_the_table_of_an_evaluation_is_converted_and_comes_to_the_number_that_mlflow_has(version: Path, tmp_path: Path) -> None:
    to = tmp_path / "samples.jsonl"
    result = convert(version / TABLE, "--column", "id=case", "--column", "slices.region=region", to=to)
    assert result.exit_code == 0, result.output
    assert {(each.metric, each.slice): (each.value, each.samples) for each in read_raw(to.name, to.read_bytes())} == {
        ("right", ""): (0.75, 8), ("right", "region=DACH"): (0.75, 4), ("right", "region=UK"): (0.75, 4),
    }  # fmt: skip
    assert (version / "metrics/right/mean").read_text().split()[1] == "0.75"
    assert convert(version / TABLE, "--id-of", "inputs", to=to).exit_code == 0


def test_the_folder_of_a_run_and_that_of_its_artifacts_have_the_table(kept: Path, tmp_path: Path) -> None:
    named = ("--column", "id=case")
    assert convert(kept, *named, to=tmp_path / "a").exit_code == 0
    assert convert(kept / "artifacts", *named, to=tmp_path / "b").exit_code == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_which_of_several_tables_is_asked(kept: Path, tmp_path: Path) -> None:
    shutil.copy(GENAI, kept / "artifacts")
    result = convert(kept, "--column", "id=case", to=tmp_path / "it")
    assert "there are several tables; name one of" in result.output
    assert result.exit_code == 1


def test_ratings_are_scores_where_they_are_named_and_what_was_expected_is_none(tmp_path: Path) -> None:
    to = tmp_path / "it"
    asked = convert(GENAI, "--id-of", "request", to=to, cases=6)
    assert "no column is a score" in asked.output
    assert convert(GENAI, "--id-of", "request", "--column", "scores.exact=exact/value", "--column", "scores.rated=rated/value", to=to, cases=6).exit_code == 0
    assert {each.metric: each.value for each in read_raw("it", to.read_bytes())} == {"exact": 1 / 3, "rated": 1 / 3}


@pytest.mark.parametrize(("status", "told"), [(4, "failed"), (1, "running"), (5, "killed"), ("FAILED", "'FAILED'")])
def test_a_run_that_did_not_end_well_is_refused(kept: Path, tmp_path: Path, status: object, told: str) -> None:
    (kept / "meta.yaml").write_text(f"run_id: 4f2a\nstatus: {status}\n")
    for source in (kept, kept / TABLE, kept / "metrics/right/mean"):
        result = convert(source, "--column", "id=case", to=tmp_path / "it")
        assert f"its run is {told} (status in meta.yaml); convert one that has finished" in result.output
        assert result.exit_code == 1


def test_an_experiment_says_nothing_of_its_runs(kept: Path, tmp_path: Path) -> None:
    (kept / "meta.yaml").write_text("experiment_id: '0'\nname: Default\n")
    assert convert(kept, "--column", "id=case", to=tmp_path / "it").exit_code == 0


def test_a_file_that_says_what_became_of_the_run_and_cannot_be_read_is_no_finished_run(kept: Path, tmp_path: Path) -> None:
    (kept / "meta.yaml").write_text("status: [\n")
    result = convert(kept, "--column", "id=case", to=tmp_path / "it")
    assert "meta.yaml does not parse" in result.output
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"columns": ["id", "x/score"], "data": [["a", 1], ["b", None]]}, "row 2, column 'x/score' is null: the answer was not scored"),
        ({"columns": ["id", "x/score"], "data": [["a", 1], ["b"]]}, "row 2 is no list of 2 values, one for each column"),
        ({"columns": ["id", "x/score"], "data": {"a": 1}}, "data is no list of rows"),
        ({"columns": ["id", 7], "data": []}, "columns is no list of names"),
        ({"columns": ["id", "x/score", "id"], "data": []}, "two columns are named 'id'"),
        ({"columns": ["id", "x/score"], "data": [["a", {"value": 1}]]}, "row 1, column 'x/score' is an object; a score is a number"),
        ({"columns": ["id", "x/score"], "data": [[["a"], 1]]}, "row 1, column 'id' is a list"),
        ({"format": "https://sluice.dev/metrics/v1"}, "it is JSON, and no table of MLflow (columns and data); what is read as it is needs no conversion"),
    ],
)  # fmt: skip
def test_a_table_that_is_not_whole_is_refused(tmp_path: Path, table: object, told: str) -> None:
    (tmp_path / "it.json").write_text(json.dumps(table))
    result = convert(tmp_path / "it.json", to=tmp_path / "out", cases=2)
    assert told in result.output
    assert result.exit_code == 1
    assert not (tmp_path / "out").exists()


def test_a_metric_file_becomes_plain_metrics_with_what_it_does_not_say(kept: Path, tmp_path: Path) -> None:
    for source in (kept, FILES / "mlflow-3.17.2"):
        result = convert(source / "metrics/right/mean", to=tmp_path / "metrics.json")
        assert result.exit_code == 0, result.output
        (found,) = read_raw("it", (tmp_path / "metrics.json").read_bytes())
        assert (found.suite, found.metric, found.value, found.samples, found.stderr) == ("churn-core", "right/mean", 0.75, 8, None)


def test_several_metric_files_are_one_document(kept: Path, tmp_path: Path) -> None:
    (kept / "metrics/f1").write_text("1795331215184 0.8\n")
    assert convert(kept / "metrics/right/mean", kept / "metrics/f1", to=tmp_path / "it").exit_code == 0
    assert {each.metric: each.value for each in read_raw("it", (tmp_path / "it").read_bytes())} == {"right/mean": 0.75, "f1": 0.8}


def test_a_metric_file_alone_is_asked_for_what_it_lacks(kept: Path, tmp_path: Path) -> None:
    result = run("evidence", "convert", kept / "metrics/right/mean", "-o", tmp_path / "it")
    told = " ".join(result.output.split())
    assert "an MLflow metric file holds a time, a value and a step, and does not say all that is needed. Add --suite NAME" in told
    assert "--cases N how many cases the suite has: a number is believed as far as they reach" in told
    assert result.exit_code == 2


def test_of_several_values_that_of_the_step_is_taken(kept: Path, tmp_path: Path) -> None:
    curve = kept / "metrics/loss"
    several = convert(curve, to=tmp_path / "it")
    assert "holds 3 values (steps 0, 1, 2), and one number is needed: name the step of the evaluation, with --step" in several.output
    assert several.exit_code == 1
    none = convert(curve, "--step", "7", to=tmp_path / "it")
    assert "none of them at step 7" in none.output
    assert convert(curve, "--step", "1", to=tmp_path / "it").exit_code == 0
    assert [each.value for each in read_raw("it", (tmp_path / "it").read_bytes())] == [0.5]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty: nothing was logged"),
        (b"accuracy,0.9\n", "line 1 is no metric of MLflow (time, value, step): 'accuracy,0.9'"),
        (b"\xff\xfe 0.9 0\n", "line 1 is no metric of MLflow"),
        (b"1795331215184 nan 0\n", "its value is nan: nothing was measured"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_metric_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "accuracy").write_bytes(content)
    result = convert(tmp_path / "accuracy", to=tmp_path / "it")
    assert told in result.output
    assert result.exit_code == 1


def test_columns_are_of_tables_and_metric_files_stand_beside_no_table(kept: Path, tmp_path: Path) -> None:
    mean = kept / "metrics/right/mean"
    columns = convert(mean, "--column", "id=case", to=tmp_path / "it")
    assert "a metric file has one number and no columns" in columns.output
    beside = convert(mean, kept / TABLE, to=tmp_path / "it")
    assert "eval_results_table.json is no metric file" in beside.output
    assert (columns.exit_code, beside.exit_code) == (2, 2)


def test_a_run_without_a_table_is_told_of_its_metric_files(kept: Path, tmp_path: Path) -> None:
    (kept / TABLE).unlink()
    for source in (kept, kept / "metrics"):
        result = convert(source, to=tmp_path / "it")
        assert "has no table of an evaluation (*eval_results_table.json, in it or in its artifacts/); there are metric files" in result.output
        assert "metrics/loss" in result.output
        assert result.exit_code == 2
