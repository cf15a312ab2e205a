"""Logs of Inspect, as archive (`.eval`) and as one document (`.json`), of format 2.

The task is the suite. Each scorer is a metric of its name: the mean of its scores over the samples, epochs reduced as the log says (`match`, or
`match:pass_at_2` for another reducer than the mean; `own/a` for a scorer with several values). What else Inspect computes (`std`, metrics of one's own) is no
mean over samples, and is not read. Slices are what samples have in their `metadata`.

Numbers are computed from the reduced score of every sample; where the log states `accuracy` or `mean`, it has to be the same number.

Of an archive `header.json`, `summaries.json` and `reductions.json` are read, the samples themselves are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isclose

from sluice.evidence.harness.archive import BUDGET, Archive
from sluice.evidence.harness.scores import Run, Score, measure, slices_of
from sluice.evidence.measurement import Measurement
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.statement import text
from sluice.provenance.strict_json import JsonObject, JsonValue, member, objects, optional, parse_list, parse_object

HARNESS = "inspect"
_FORMAT = 2
_SAMPLE_LIMIT = 100_000
_SCORER_LIMIT = 64
_MEANS = ("accuracy", "mean")
_TOLERANCE = 1e-6
"""Sums in another order differ in their last digits."""
_CHOSEN = ("limit", "sample_id")
"""Options that leave samples out."""
_MALFORMED = Reason.RawResultMalformed


@dataclass(frozen=True, slots=True, kw_only=True)
class _Log:
    header: JsonObject
    reductions: Sequence[JsonValue]
    samples: Sequence[JsonValue]
    """Samples or their summaries: what is read of them, both have."""


def recognises(document: JsonObject) -> bool:
    """Whether `document` is a log of this harness."""
    return {"version", "status", "eval", "plan"} <= document.keys()


def read(document: JsonObject) -> tuple[Measurement, ...]:
    """All metrics of a whole run. Raises ProvenanceError: RunIncomplete with what is missing, RawResultMalformed."""
    _check_ended(document)
    lists = [member(document, key, list, where="log", reason=_MALFORMED) for key in ("reductions", "samples")]
    return _read(_Log(header=document, reductions=lists[0], samples=lists[1]))


def read_archive(archive: Archive) -> tuple[Measurement, ...]:
    """Like `read`, for an `.eval` archive. Raises HarnessUnknown when the archive is another one."""
    if "header.json" not in archive.members:
        if "_journal/start.json" in archive.members:
            raise ProvenanceError(Reason.RunIncomplete, "the log has no header.json: the run was not finished")
        raise ProvenanceError(Reason.HarnessUnknown, "the archive is no log of Inspect: it has no header.json")
    header = parse_object(archive.read("header.json"), what="header.json", limit=BUDGET, reason=_MALFORMED)
    _check_ended(header)
    lists = [parse_list(archive.read(name), what=name, limit=BUDGET, reason=_MALFORMED) for name in ("reductions.json", "summaries.json")]
    return _read(_Log(header=header, reductions=lists[0], samples=lists[1]))


def _check_ended(header: JsonObject) -> None:
    """Refuse a run that was not carried to its end, before what only a whole run has is looked for."""
    if (version := member(header, "version", int, where="log", reason=_MALFORMED)) != _FORMAT:
        raise ProvenanceError(_MALFORMED, f"the log is of format {version}; {_FORMAT} is read")
    if (status := text(header, "status", where="log", reason=_MALFORMED)) != "success":
        raise ProvenanceError(Reason.RunIncomplete, f"the run ended with status {status[:40]!r}")
    if header.get("invalidated"):
        raise ProvenanceError(Reason.RunIncomplete, "the log was invalidated by whoever ran it")


def _read(log: _Log) -> tuple[Measurement, ...]:
    spec = member(log.header, "eval", dict, where="log", reason=_MALFORMED)
    results = member(log.header, "results", dict, where="log", reason=_MALFORMED)
    packages = member(spec, "packages", dict, where="eval", reason=_MALFORMED)
    run = Run(
        suite=text(spec, "task", where="eval", reason=_MALFORMED),
        harness=HARNESS,
        harness_version=text(packages, "inspect_ai", where="eval.packages", reason=_MALFORMED),
    )
    cases = _check_whole(spec, results)
    slices = _slices(log.samples, cases)
    metrics: dict[str, list[Score]] = {}
    for metric, scores in _reduced(log.reductions, slices):
        if len(scores) != cases or metric in metrics:
            raise ProvenanceError(Reason.RunIncomplete, f"scorer {metric[:100]!r} scored {len(scores)} of {cases} samples, or is there twice")
        metrics[metric] = scores
    if not 1 <= len(metrics) <= _SCORER_LIMIT:
        raise ProvenanceError(Reason.RunIncomplete, f"the log has scores of {len(metrics)} scorers; 1 to {_SCORER_LIMIT} are read")
    measurements = measure(run, metrics)
    _compare(results, {each.metric: each.value for each in measurements if not each.slice})
    return measurements


def _check_whole(spec: JsonObject, results: JsonObject) -> int:
    """Give the number of samples, all of which were completed."""
    config = member(spec, "config", dict, where="eval", reason=_MALFORMED)
    for option in _CHOSEN:
        if config.get(option) is not None:
            raise ProvenanceError(Reason.RunIncomplete, f"the run was cut short by {option} {str(config[option])[:40]}; run all samples")
    if results.get("early_stopping") is not None:
        raise ProvenanceError(Reason.RunIncomplete, "samples were left out by early stopping; run all samples")
    dataset = member(spec, "dataset", dict, where="eval", reason=_MALFORMED)
    cases = member(dataset, "samples", int, where="eval.dataset", reason=_MALFORMED)
    planned = cases * (optional(config, "epochs", int, where="eval.config", reason=_MALFORMED) or 1)
    total, completed = (member(results, key, int, where="results", reason=_MALFORMED) for key in ("total_samples", "completed_samples"))
    if not completed == total == planned or not 1 <= cases <= _SAMPLE_LIMIT:
        raise ProvenanceError(Reason.RunIncomplete, f"{completed} of {planned} samples (epochs counted) were completed")
    return cases


def _slices(samples: Sequence[JsonValue], cases: int) -> Mapping[str, Mapping[str, str]]:
    """What each sample says of itself, by its id; every sample was completed, and scored by nobody but its scorers."""
    slices: dict[str, Mapping[str, str]] = {}
    for index, sample in enumerate(objects(samples, where="samples", reason=_MALFORMED, limit=_SAMPLE_LIMIT)):
        where = f"samples[{index}]"
        name = _id(sample, "id", where)
        if sample.get("error") is not None or sample.get("invalidation") is not None:
            raise ProvenanceError(Reason.RunIncomplete, f"sample {name[:100]} ended with an error, or was invalidated")
        limit = sample.get("limit")
        if (limit.get("type") if isinstance(limit, dict) else limit) == "operator":
            raise ProvenanceError(Reason.RunIncomplete, f"sample {name[:100]} was stopped by hand")
        scores = optional(sample, "scores", dict, where=where, reason=_MALFORMED) or {}
        if any(member(scores, scorer, dict, where=f"{where}.scores", reason=_MALFORMED).get("history") for scorer in scores):
            raise ProvenanceError(Reason.RunIncomplete, f"a score of sample {name[:100]} was edited by hand; evaluate again")
        slices[name] = slices_of(optional(sample, "metadata", dict, where=where, reason=_MALFORMED) or {})
    if len(slices) != cases:
        raise ProvenanceError(Reason.RunIncomplete, f"the log holds {len(slices)} of {cases} samples")
    return slices


def _reduced(reductions: Sequence[JsonValue], slices: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, list[Score]]]:
    """Metric, and one score for each sample."""
    for index, reduction in enumerate(objects(reductions, where="reductions", reason=_MALFORMED, limit=_SCORER_LIMIT)):
        where = f"reductions[{index}]"
        scorer = text(reduction, "scorer", where=where, reason=_MALFORMED)
        reducer = optional(reduction, "reducer", str, where=where, reason=_MALFORMED)
        listed = member(reduction, "samples", list, where=where, reason=_MALFORMED)
        found: dict[str, list[Score]] = {}
        for place, sample in enumerate(objects(listed, where=f"{where}.samples", reason=_MALFORMED, limit=_SAMPLE_LIMIT)):
            name = _id(sample, "sample_id", f"{where}.samples[{place}]")
            if name not in slices:
                raise ProvenanceError(_MALFORMED, f"{where} scores {name[:100]}, which is no sample of the log")
            for part, value in _values(sample, f"{where}.samples[{place}]"):
                found.setdefault(_metric(scorer, part, reducer), []).append(Score(case=name, value=value, slices=slices[name]))
        yield from found.items()


def _values(sample: JsonObject, where: str) -> Iterator[tuple[str, float]]:
    """The value of a sample, or its values by name."""
    value = sample.get("value")
    if isinstance(value, dict):
        yield from ((part, float(member(value, part, float, where=f"{where}.value", reason=_MALFORMED))) for part in value)
    else:
        yield "", float(member(sample, "value", float, where=where, reason=_MALFORMED))


def _metric(scorer: str, part: str, reducer: str | None) -> str:
    named = f"{scorer}/{part}" if part else scorer
    metric = named if reducer in {None, "mean"} else f"{named}:{reducer}"
    if not metric.isprintable():
        raise ProvenanceError(_MALFORMED, f"the name of a score of {scorer[:100]!r} cannot be shown")
    return metric


def _id(sample: JsonObject, key: str, where: str) -> str:
    """The id of a sample, a text or a number; the number 1 and the text "1" are two samples."""
    value = sample.get(key)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else f'"{text(sample, key, where=where, reason=_MALFORMED)}"'


def _compare(results: JsonObject, ours: Mapping[str, float]) -> None:
    """Refuse a log whose own means are others: it is not what we take it for."""
    listed = member(results, "scores", list, where="results", reason=_MALFORMED)
    for index, score in enumerate(objects(listed, where="results.scores", reason=_MALFORMED, limit=_SCORER_LIMIT)):
        where = f"results.scores[{index}]"
        name, scorer = (text(score, key, where=where, reason=_MALFORMED) for key in ("name", "scorer"))
        reducer = optional(score, "reducer", str, where=where, reason=_MALFORMED)
        value = ours.get(_metric(scorer, "" if name == scorer else name, reducer))
        metrics = member(score, "metrics", dict, where=where, reason=_MALFORMED)
        for metric in _MEANS:
            stated = optional(metrics, metric, dict, where=f"{where}.metrics", reason=_MALFORMED)
            if stated is None:
                continue
            theirs = member(stated, "value", float, where=f"{where}.metrics.{metric}", reason=_MALFORMED)
            if value is None or not isclose(value, theirs, abs_tol=_TOLERANCE):
                raise ProvenanceError(_MALFORMED, f"{where}: {metric} of {name[:100]!r} is stated as {theirs}; the samples come to {value}")
