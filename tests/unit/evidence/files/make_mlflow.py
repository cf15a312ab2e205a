"""Writes what MLflow keeps of an evaluation, offline: `python make_mlflow.py FOLDER` with mlflow installed, once for each version.

Eight answers, made here, of two regions. Of a run only the tables and the metric files are kept: the rest says where, and by whom, it was made.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlflow  # type: ignore[import-not-found,unused-ignore]
import pandas as pd  # type: ignore[import-not-found,import-untyped,unused-ignore]
from mlflow.metrics import MetricValue, make_metric  # type: ignore[import-not-found,unused-ignore]

_TABLE = "eval_results_table.json"
_GENAI = 3


def right(predictions: Sequence[str], targets: Sequence[str]) -> Any:  # noqa: ANN401 - a type of the tool's
    """One for each answer that is right."""
    scores = [int(answer == target) for answer, target in zip(predictions, targets, strict=True)]
    return MetricValue(scores=scores, aggregate_results={"mean": sum(scores) / len(scores)})


def evaluate() -> str:
    """`mlflow.evaluate`, with a metric of three steps beside it; gives where the run is."""
    answers = pd.DataFrame(
        {
            "case": [f"c-{number}" for number in range(8)],
            "inputs": [f"what is {number}?\nyes or no" for number in range(8)],
            "region": ["DACH", "UK"] * 4,
            "ground_truth": ["yes", "no"] * 4,
            "outputs": ["yes", "no", "yes", "yes", "yes", "no", "no", "no"],
        }
    )
    with mlflow.start_run() as run:
        metrics = [make_metric(eval_fn=right, greater_is_better=True, name="right")]
        mlflow.evaluate(data=answers, predictions="outputs", targets="ground_truth", evaluators="default", extra_metrics=metrics)
        for step in range(3):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        return str(run.info.artifact_uri)


def evaluate_genai() -> str:
    """`mlflow.genai.evaluate`, and its result logged as a table: by itself it leaves none."""

    @mlflow.genai.scorers.scorer  # type: ignore[untyped-decorator,unused-ignore]
    def exact(outputs: str, expectations: dict[str, str]) -> bool:
        return outputs == expectations["answer"]

    @mlflow.genai.scorers.scorer  # type: ignore[untyped-decorator,unused-ignore]
    def rated(outputs: str, expectations: dict[str, str]) -> str:
        return "yes" if outputs == expectations["answer"] else "no"

    asked = [{"inputs": {"q": f"what is {each}?"}, "outputs": str(each % 3), "expectations": {"answer": str(each % 2)}} for each in range(6)]
    found = mlflow.genai.evaluate(data=asked, scorers=[exact, rated])
    columns = ["trace_id", "exact/value", "rated/value", "answer/value", "state", "request", "response"]
    with mlflow.start_run(run_id=found.run_id) as run:
        mlflow.log_table(found.result_df[columns], _TABLE)
        return str(run.info.artifact_uri)


if __name__ == "__main__":
    to = Path(sys.argv[1]) / f"mlflow-{mlflow.__version__}"
    with tempfile.TemporaryDirectory() as folder:
        mlflow.set_tracking_uri(f"file://{folder}/runs")
        kept = Path(evaluate().removeprefix("file://"))
        for part in ("metrics/right/mean", "metrics/loss", f"artifacts/{_TABLE}"):
            (to / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(kept.parent / part, to / part)
        if int(mlflow.__version__.split(".")[0]) >= _GENAI:
            mlflow.set_tracking_uri(f"sqlite:///{folder}/runs.db")
            mlflow.create_experiment("genai", artifact_location=f"file://{folder}/kept")
            mlflow.set_experiment("genai")
            shutil.copyfile(Path(evaluate_genai().removeprefix("file://")) / _TABLE, to / "artifacts" / f"genai_{_TABLE}")
