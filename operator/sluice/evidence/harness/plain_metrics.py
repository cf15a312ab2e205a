"""`metrics.json` of a tool that nobody else knows: `https://sluice.dev/metrics/v1`, described in docs/evaluations.md and docs/metrics.schema.json.

For evaluations whose samples cannot be shown. Where they can, scored samples are worth more: numbers are computed from them, and of every slice.
"""

from __future__ import annotations

from sluice.evidence.harness.scores import MEASUREMENT_LIMIT, Run
from sluice.evidence.harness.strict import refuse_others, run_of
from sluice.evidence.measurement import Measurement
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.statement import text
from sluice.provenance.strict_json import JsonObject, member, objects, optional

FORMAT = "https://sluice.dev/metrics/v1"
_MEMBERS = frozenset({"format", "suite", "suiteDigest", "tool", "cases", "metrics"})
_METRIC_MEMBERS = frozenset({"name", "value", "samples", "stderr", "slice"})
_MALFORMED = Reason.RawResultMalformed


def recognises(document: JsonObject) -> bool:
    """Whether `document` is of this format."""
    return document.get("format") == FORMAT


def read(document: JsonObject) -> tuple[Measurement, ...]:
    """All metrics of a whole run. Raises ProvenanceError: RunIncomplete with what is missing, RawResultMalformed."""
    refuse_others(document, _MEMBERS, where="metrics file")
    run = run_of(document, where="metrics file")
    cases = member(document, "cases", dict, where="metrics file", reason=_MALFORMED)
    refuse_others(cases, {"planned", "evaluated"}, where="cases")
    planned, evaluated = (member(cases, key, int, where="cases", reason=_MALFORMED) for key in ("planned", "evaluated"))
    if planned != evaluated or planned < 1:
        raise ProvenanceError(Reason.RunIncomplete, f"suite {run.suite!r} evaluated {evaluated} of {planned} cases; run all of them")
    listed = member(document, "metrics", list, where="metrics file", reason=_MALFORMED)
    entries = objects(listed, where="metrics", reason=_MALFORMED, limit=MEASUREMENT_LIMIT)
    if not entries:
        raise ProvenanceError(Reason.RunIncomplete, "the metrics file holds no metric")
    measurements = tuple(_read(entry, run, evaluated, where=f"metrics[{index}]") for index, entry in enumerate(entries))
    if len({(each.metric, each.slice) for each in measurements}) != len(measurements):
        raise ProvenanceError(Reason.MeasurementAmbiguous, f"the metrics file has a metric of {run.suite!r} twice for one slice")
    return measurements


def _read(entry: JsonObject, run: Run, evaluated: int, *, where: str) -> Measurement:
    refuse_others(entry, _METRIC_MEMBERS, where=where)
    samples = member(entry, "samples", int, where=where, reason=_MALFORMED)
    part = _slice(entry, where)
    # What is said of the whole suite rests on all of it; only a slice may rest on less.
    if not 1 <= samples <= evaluated or (not part and samples != evaluated):
        raise ProvenanceError(Reason.RunIncomplete, f"{where} rests on {samples} of {evaluated} cases")
    stderr = optional(entry, "stderr", float, where=where, reason=_MALFORMED)
    if stderr is not None and stderr < 0:
        raise ProvenanceError(_MALFORMED, f"{where}.stderr is negative")
    return Measurement(
        suite=run.suite,
        metric=text(entry, "name", where=where, reason=_MALFORMED),
        filter="",
        slice=part,
        value=float(member(entry, "value", float, where=where, reason=_MALFORMED)),
        stderr=None if stderr is None else float(stderr),
        samples=samples,
        suite_digest=run.suite_digest,
        harness=run.harness,
        harness_version=run.harness_version,
    )


def _slice(entry: JsonObject, where: str) -> str:
    if "slice" not in entry:
        return ""
    part = text(entry, "slice", where=where, reason=_MALFORMED)
    if not all(part.partition("=")):
        raise ProvenanceError(_MALFORMED, f"{where}.slice is {part[:100]!r}; a slice is written field=value")
    return part
