"""Raw results of lm-evaluation-harness (`results_*.json`), as written by 0.4.12 and later.

Before, `n-samples` was computed from `--limit`, not counted: cases that somebody picked with `--samples` left no trace in the file.

A run counts when it is whole: no `--limit`, every case of every task evaluated. One task cut short spoils the file, because whoever chose what to cut
chose after seeing it. Groups (such as `mmlu`) rest on the cases of the tasks below them.
"""

from __future__ import annotations

import re

from sluice.evidence.measurement import Measurement
from sluice.provenance.digests import is_hex_digest
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.statement import text
from sluice.provenance.strict_json import JsonObject, JsonValue, member, optional

HARNESS = "lm-eval"
_TASK_LIMIT = 1024
_METRIC_LIMIT = 64
_GROUP_DEPTH_LIMIT = 8
_STDERR = "_stderr"
_OLDEST = (0, 4, 12)
_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})\.(\d{1,4})")
_MALFORMED = Reason.RawResultMalformed


def recognises(document: JsonObject) -> bool:
    """Whether `document` is a result file of this harness."""
    return "lm_eval_version" in document and "results" in document


def read(document: JsonObject) -> tuple[Measurement, ...]:
    """All measurements of a whole run. Raises ProvenanceError: RunIncomplete with what is missing, RawResultMalformed."""
    version = _version(document)
    _check_limit(document)
    counts = _sample_counts(document)
    results = member(document, "results", dict, where="results file", reason=_MALFORMED)
    if not 1 <= len(results) <= _TASK_LIMIT:
        raise ProvenanceError(_MALFORMED, f"results has {len(results)} tasks; 1 to {_TASK_LIMIT} are read")
    hashes = optional(document, "task_hashes", dict, where="results file", reason=_MALFORMED) or {}
    groups = optional(document, "group_subtasks", dict, where="results file", reason=_MALFORMED) or {}
    measurements = []
    for task in results:
        values = member(results, task, dict, where="results", reason=_MALFORMED)
        if len(values) > _METRIC_LIMIT:
            raise ProvenanceError(_MALFORMED, f"results.{task} has {len(values)} values; at most {_METRIC_LIMIT} are read")
        for key in values:
            metric, comma, filter_name = key.partition(",")
            # "N/A" and the task's alias are no measurements.
            if not comma or metric.endswith(_STDERR) or isinstance(values[key], str):
                continue
            measurements.append(
                Measurement(
                    suite=task,
                    metric=metric,
                    filter=filter_name,
                    value=float(member(values, key, float, where=f"results.{task}", reason=_MALFORMED)),
                    stderr=_stderr(values, f"{metric}{_STDERR},{filter_name}", task),
                    samples=_samples(task, counts, groups, depth=0),
                    suite_digest=_suite_digest(hashes, task),
                    harness=HARNESS,
                    harness_version=version,
                )
            )
    if not measurements:
        raise ProvenanceError(Reason.RunIncomplete, "the results file holds no measurement")
    return tuple(measurements)


def _version(document: JsonObject) -> str:
    version = text(document, "lm_eval_version", where="results file", reason=_MALFORMED)
    numbers = _VERSION.match(version)
    if numbers is None:
        raise ProvenanceError(_MALFORMED, f"lm_eval_version is {version[:40]!r}, which is no version")
    if tuple(map(int, numbers.groups())) < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        raise ProvenanceError(
            Reason.RunIncomplete, f"lm-eval {version[:40]} does not count the cases that were evaluated (--samples); evaluate with {oldest} or later"
        )
    return version


def _check_limit(document: JsonObject) -> None:
    config = member(document, "config", dict, where="results file", reason=_MALFORMED)
    if "limit" not in config:
        raise ProvenanceError(Reason.RunIncomplete, "config.limit is absent: whether the run was cut short cannot be told")
    if config["limit"] is not None:
        raise ProvenanceError(Reason.RunIncomplete, f"the run was cut short by --limit {str(config['limit'])[:40]}; run all cases")


def _sample_counts(document: JsonObject) -> dict[str, int]:
    """Cases of each task, all of which were evaluated."""
    tasks = member(document, "n-samples", dict, where="results file", reason=_MALFORMED)
    if len(tasks) > _TASK_LIMIT:
        raise ProvenanceError(_MALFORMED, f"n-samples has {len(tasks)} tasks; at most {_TASK_LIMIT} are read")
    counts = {}
    for task in tasks:
        entry = member(tasks, task, dict, where="n-samples", reason=_MALFORMED)
        effective = member(entry, "effective", int, where=f"n-samples.{task}", reason=_MALFORMED)
        original = member(entry, "original", int, where=f"n-samples.{task}", reason=_MALFORMED)
        if effective != original or effective < 1:
            raise ProvenanceError(Reason.RunIncomplete, f"task {task[:100]!r} evaluated {effective} of {original} cases")
        counts[task] = effective
    return counts


def _samples(task: str, counts: dict[str, int], groups: JsonObject, *, depth: int) -> int:
    if task in counts:
        return counts[task]
    subtasks: JsonValue = groups.get(task)
    if not isinstance(subtasks, list) or not subtasks or len(subtasks) > _TASK_LIMIT or depth == _GROUP_DEPTH_LIMIT:
        raise ProvenanceError(Reason.RunIncomplete, f"n-samples does not say how many cases {task[:100]!r} rests on")
    if len({str(subtask) for subtask in subtasks}) != len(subtasks):
        raise ProvenanceError(_MALFORMED, f"group_subtasks.{task[:100]} names a task twice")
    return sum(_samples(str(subtask), counts, groups, depth=depth + 1) for subtask in subtasks)


def _stderr(values: JsonObject, key: str, task: str) -> float | None:
    if isinstance(values.get(key), str):  # "N/A"
        return None
    stderr = optional(values, key, float, where=f"results.{task}", reason=_MALFORMED)
    if stderr is not None and stderr < 0:
        raise ProvenanceError(_MALFORMED, f"results.{task}.{key} is negative")
    return None if stderr is None else float(stderr)


def _suite_digest(hashes: JsonObject, task: str) -> str | None:
    value = optional(hashes, task, str, where="task_hashes", reason=_MALFORMED)
    if value is None:
        return None
    if not is_hex_digest("sha256", value):
        raise ProvenanceError(_MALFORMED, f"task_hashes.{task} is not 64 lower-case hexadecimal digits")
    return f"sha256:{value}"
