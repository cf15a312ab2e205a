"""Scored samples as JSON Lines: `https://sluice.dev/scored-samples/v1`, described in docs/evaluations.md and docs/scored-samples.schema.json.

The first line says what was run, every other line is one answer with its scores. Numbers are computed from them. Several lines with one `id` are several
answers to one case. Every answer has every score: one that is left out would be left out for a reason.
"""

from __future__ import annotations

from collections.abc import Sequence

from sluice.evidence.harness.scores import Score, measure, slices_of
from sluice.evidence.harness.strict import refuse_others, run_of
from sluice.evidence.measurement import Measurement
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.statement import text
from sluice.provenance.strict_json import JsonObject, member, optional

FORMAT = "https://sluice.dev/scored-samples/v1"
_HEADER = frozenset({"format", "suite", "suiteDigest", "tool", "cases"})
_SAMPLE = frozenset({"id", "scores", "slices"})
_METRIC_LIMIT = 64
_MALFORMED = Reason.RawResultMalformed


def recognises(lines: Sequence[JsonObject]) -> bool:
    """Whether `lines` are of this format."""
    return lines[0].get("format") == FORMAT


def read(lines: Sequence[JsonObject]) -> tuple[Measurement, ...]:
    """All metrics, of all cases and of each slice. Raises ProvenanceError: RunIncomplete with what is missing, RawResultMalformed."""
    header, samples = lines[0], lines[1:]
    refuse_others(header, _HEADER, where="line 1")
    run = run_of(header, where="line 1")
    cases = member(header, "cases", int, where="line 1", reason=_MALFORMED)
    metrics: dict[str, list[Score]] = {}
    seen: set[str] = set()
    for number, sample in enumerate(samples, start=2):
        where = f"line {number}"
        refuse_others(sample, _SAMPLE, where=where)
        case = text(sample, "id", where=where, reason=_MALFORMED)
        scores = member(sample, "scores", dict, where=where, reason=_MALFORMED)
        if number == 2:  # noqa: PLR2004 - the first sample: its scores are what all have
            metrics = {metric: [] for metric in scores}
        if scores.keys() != metrics.keys():
            differing = sorted(scores.keys() ^ metrics.keys())
            raise ProvenanceError(Reason.RunIncomplete, f"{where}: not every answer has a score {differing[0][:100]!r}")
        declared = optional(sample, "slices", dict, where=where, reason=_MALFORMED) or {}
        slices = slices_of(declared)
        if any(not isinstance(value, str) or key not in slices for key, value in declared.items()):
            raise ProvenanceError(_MALFORMED, f"{where}.slices: fields without =, and values, are texts of 1 to 120 printable characters")
        for metric, value in scores.items():
            if value is None:
                raise ProvenanceError(Reason.RunIncomplete, f"{where}: {metric[:100]!r} of case {case[:100]!r} was not scored")
            metrics[metric].append(Score(case=case, value=float(member(scores, metric, float, where=where, reason=_MALFORMED)), slices=slices))
        seen.add(case)
    if not 1 <= len(metrics) <= _METRIC_LIMIT or not all(metric.isprintable() and metric for metric in metrics):
        raise ProvenanceError(_MALFORMED, f"the first sample has {len(metrics)} scores; 1 to {_METRIC_LIMIT} with printable names are read")
    if len(seen) != cases:
        raise ProvenanceError(Reason.RunIncomplete, f"suite {run.suite!r} has {cases} cases, {len(seen)} of which were answered")
    return measure(run, metrics)
