"""What MLflow keeps of a run: tables (`mlflow.log_table`, such as the `eval_results_table.json` of `mlflow.evaluate`), and a file for each metric.

A table holds a row for each answer, and is worth the most. A metric file holds a time, a value and a step: nothing of which suite it is, nor of how many
answers it is the mean. Formats as of MLflow 2.22 and 3.17.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, Final

from sluice.cli.convert.tables import Row, each_once
from sluice.provenance.errors import ProvenanceError, Reason, quoted
from sluice.provenance.strict_json import JsonObject, parse_object

TABLE: Final = "eval_results_table.json"
TABLE_BYTES: Final = 64 << 20
_FINISHED: Final = {3, "FINISHED"}
_STATUSES: Final = {1: "running", 2: "scheduled", 4: "failed", 5: "killed"}
_METRIC_PARTS: Final = (2, 3, 5)
"""Time and value; with a step; with the name and the digest of a dataset."""
_METRIC_BYTES: Final = 1 << 20
_MALFORMED: Final = Reason.RawResultMalformed


class JsonTable:
    """Columns and rows, as pandas writes them by `orient="split"`."""

    header: bytes | None = None

    def __init__(self, raw: bytes) -> None:
        """Raises ProvenanceError: RawResultMalformed, HarnessUnknown where it is JSON, but no table."""
        document = parse_object(raw, what="the file", limit=TABLE_BYTES, values=TABLE_BYTES, reason=_MALFORMED)
        self._rows, self.columns = document.get("data"), _columns(document)
        if not isinstance(self._rows, list):
            raise ProvenanceError(_MALFORMED, "data is no list of rows")

    def rows(self, wanted: Sequence[str]) -> Iterator[Row]:
        """See Table."""
        places = [self.columns.index(name) for name in wanted]
        for number, row in enumerate(self._rows if isinstance(self._rows, list) else (), start=1):
            if not isinstance(row, list) or len(row) != len(self.columns):
                raise ProvenanceError(_MALFORMED, f"row {number:,} is no list of {len(self.columns)} values, one for each column")
            yield tuple(row[place] for place in places)


def _columns(document: JsonObject) -> tuple[str, ...]:
    columns = document.get("columns")
    if columns is None or "data" not in document:
        raise ProvenanceError(
            Reason.HarnessUnknown,
            "it is JSON, and no table of MLflow (columns and data); what is read as it is needs no conversion: docs/evaluations.md",
        )
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise ProvenanceError(_MALFORMED, "columns is no list of names")
    return each_once([str(name) for name in columns])


def table_in(folder: Path) -> Path | None:
    """Find the table of an evaluation in the folder of a run, or of its artifacts; with the prefix that the evaluation may have given it."""
    found = [path for place in (folder / "artifacts", folder) if place.is_dir() for path in sorted(place.glob(f"*{TABLE}"))]
    if len(found) > 1:
        raise ProvenanceError(Reason.MeasurementAmbiguous, f"there are several tables; name one of {', '.join(map(str, found[:5]))}")
    return found[0] if found else None


def metrics_in(folder: Path) -> tuple[Path, ...]:
    """Find the metric files of a run, whose folder, or the folder `metrics` in it, is given."""
    place = folder if folder.name == "metrics" else folder / "metrics"
    return tuple(sorted(path for path in place.rglob("*") if path.is_file()))


def check_finished(path: Path) -> None:
    """Raise ProvenanceError (RunIncomplete) for a run that did not end well, where the file or folder is in one that says so (`meta.yaml`)."""
    status = _status(path)
    if status is not None and status not in _FINISHED:
        raise ProvenanceError(
            Reason.RunIncomplete, f"its run is {_STATUSES.get(status, repr(status)[:100])} (status in meta.yaml); convert one that has finished"
        )


def _status(path: Path) -> Any:  # noqa: ANN401 - parsed YAML
    import yaml  # noqa: PLC0415 - see the package

    for folder in (path, *path.parents):
        meta = folder / "meta.yaml"
        if meta.is_file():
            try:
                document = yaml.safe_load(meta.read_bytes()[:_METRIC_BYTES])
            except yaml.YAMLError as error:
                raise ProvenanceError(_MALFORMED, f"{meta} does not parse: {quoted(error)}") from None
            # An experiment has such a file, too, and no status.
            return document.get("status") if isinstance(document, dict) else None
    return None


def metric_name(path: Path) -> str:
    """Return what a metric file is called: its path below `metrics`, since names may have slashes."""
    parts = path.absolute().parts
    return "/".join(parts[parts.index("metrics", -parts[::-1].index("metrics") - 1) + 1 :]) if "metrics" in parts[:-1] else path.name


def metric_value(path: Path, *, step: int | None) -> float:
    """Read the one value of a metric file, or that of `step`. Raises ProvenanceError: RawResultMalformed, MeasurementAmbiguous with the steps."""
    with path.open("rb") as file:
        raw = file.read(_METRIC_BYTES + 1)
    if len(raw) > _METRIC_BYTES:
        raise ProvenanceError(_MALFORMED, f"is larger than {_METRIC_BYTES:,} bytes: no metric file of an evaluation")
    found = [_metric(line, number) for number, line in enumerate(raw.decode(errors="replace").splitlines(), start=1) if line.strip()]
    if not found:
        raise ProvenanceError(_MALFORMED, "is empty: nothing was logged")
    chosen = [value for at, value in found if step is None or at == step]
    if len(chosen) == 1:
        if not isfinite(chosen[0]):
            raise ProvenanceError(Reason.RunIncomplete, f"its value is {chosen[0]}: nothing was measured")
        return chosen[0]
    steps = ", ".join(dict.fromkeys(str(at) for at, _ in found[:20]))
    told = f"none of them at step {step}" if not chosen else "and one number is needed"
    raise ProvenanceError(Reason.MeasurementAmbiguous, f"holds {len(found):,} values (steps {steps}), {told}: name the step of the evaluation, with --step")


def _metric(line: str, number: int) -> tuple[int, float]:
    parts = line.split()
    try:
        if len(parts) not in _METRIC_PARTS:
            raise ValueError
        int(parts[0])
        return int(parts[2]) if len(parts) > 2 else 0, float(parts[1])  # noqa: PLR2004 - see above
    except ValueError:
        raise ProvenanceError(_MALFORMED, f"line {number} is no metric of MLflow (time, value, step): {line[:100]!r}") from None
