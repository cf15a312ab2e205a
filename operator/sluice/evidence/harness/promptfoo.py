"""Results of promptfoo (`promptfoo eval -o results.json`), red-team runs among them.

The suite is the `description` of the configuration: promptfoo has no other name that stays the same from run to run. Metrics are `pass` (the share of tests
that passed), `score`, and every metric that assertions name, as `metric/<name>`. The case is what a test asks (its `vars`); prompts and repeats are several
answers to it. Slices are `prompt=<label>` and what tests have in their `metadata`, plugin and strategy of a red-team run among it.

Filters (`--filter-first-n` and others) leave no trace in the file. That all tests were run is told from the configuration, into which promptfoo writes them
unless they are named in a list of files: such a run cannot be told from one that was cut short, and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from sluice.evidence.harness.scores import Run, Score, measure, slices_of
from sluice.evidence.measurement import Measurement
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.statement import text
from sluice.provenance.strict_json import JsonObject, canonical, member, objects, optional

HARNESS = "promptfoo"
_VERSION = 3
_RESULT_LIMIT = 100_000
_METRIC_LIMIT = 64
_ERROR = 2
"""`failureReason` of a test that could not be carried out; 1 is one whose assertions failed."""
_MALFORMED = Reason.RawResultMalformed


def recognises(document: JsonObject) -> bool:
    """Whether `document` is a results file of this harness."""
    return "evalId" in document and "results" in document and "config" in document


def read(document: JsonObject) -> tuple[Measurement, ...]:
    """All metrics of a whole run of one model. Raises ProvenanceError: RunIncomplete with what is missing, RawResultMalformed, MeasurementAmbiguous."""
    run, summary = _run(document), member(document, "results", dict, where="results file", reason=_MALFORMED)
    if (version := member(summary, "version", int, where="results", reason=_MALFORMED)) != _VERSION:
        raise ProvenanceError(_MALFORMED, f"results.version is {version}; {_VERSION} is read")
    listed = member(summary, "results", list, where="results", reason=_MALFORMED)
    results = objects(listed, where="results.results", reason=_MALFORMED, limit=_RESULT_LIMIT)
    labels = _prompts(summary)
    _check_whole(summary, results)
    _check_all(document, results, prompts=len(labels))
    metrics: dict[str, list[Score]] = {"pass": [], "score": []}
    for index, result in enumerate(results):
        where = f"results.results[{index}]"
        test = member(result, "testCase", dict, where=where, reason=_MALFORMED)
        case = canonical(optional(test, "vars", dict, where=f"{where}.testCase", reason=_MALFORMED) or {}).decode()
        metadata = optional(test, "metadata", dict, where=f"{where}.testCase", reason=_MALFORMED) or {}
        slices = slices_of(metadata | {"prompt": labels.get(member(result, "promptIdx", int, where=where, reason=_MALFORMED))})
        values = {
            "pass": float(member(result, "success", bool, where=where, reason=_MALFORMED)),
            "score": float(member(result, "score", float, where=where, reason=_MALFORMED)),
        }
        named = optional(result, "namedScores", dict, where=where, reason=_MALFORMED) or {}
        values |= {f"metric/{name}": float(member(named, name, float, where=f"{where}.namedScores", reason=_MALFORMED)) for name in named}
        for metric, value in values.items():
            metrics.setdefault(metric, []).append(Score(case=case, value=value, slices=slices))
    if len(metrics) > _METRIC_LIMIT or not all(metric.isprintable() for metric in metrics):
        raise ProvenanceError(_MALFORMED, f"the results have {len(metrics)} metrics; at most {_METRIC_LIMIT} with printable names are read")
    return measure(run, metrics)


def _run(document: JsonObject) -> Run:
    config = member(document, "config", dict, where="results file", reason=_MALFORMED)
    if not config.get("description"):
        raise ProvenanceError(_MALFORMED, "config.description is absent: it names the suite for policy; write one into the promptfoo configuration")
    metadata = optional(document, "metadata", dict, where="results file", reason=_MALFORMED) or {}
    version = text(metadata, "promptfooVersion", where="metadata", reason=_MALFORMED) if "promptfooVersion" in metadata else "unknown"
    return Run(suite=text(config, "description", where="config", reason=_MALFORMED), harness=HARNESS, harness_version=version)


def _check_whole(summary: JsonObject, results: list[JsonObject]) -> None:
    stats = member(summary, "stats", dict, where="results", reason=_MALFORMED)
    successes, failures, errors = (member(stats, key, int, where="results.stats", reason=_MALFORMED) for key in ("successes", "failures", "errors"))
    broken = sum(result.get("failureReason") == _ERROR for result in results)
    if errors or broken:
        raise ProvenanceError(Reason.RunIncomplete, f"{max(errors, broken)} tests could not be carried out; run them again with --retry-errors")
    if not results or len(results) != successes + failures:
        raise ProvenanceError(Reason.RunIncomplete, f"the file holds {len(results)} of {successes + failures} results")
    if sum(result.get("success") is True for result in results) != successes:
        raise ProvenanceError(_MALFORMED, f"results.stats counts {successes} tests that passed, the results do not")


def _check_all(document: JsonObject, results: list[JsonObject], *, prompts: int) -> None:
    """Refuse results of fewer tests than the configuration has."""
    config = member(document, "config", dict, where="results file", reason=_MALFORMED)
    if config.get("scenarios"):
        raise ProvenanceError(Reason.RunIncomplete, "whether all tests of config.scenarios were run cannot be told; write them as tests")
    tests = config.get("tests")
    if not isinstance(tests, list) or not all(isinstance(test, dict) for test in tests):
        raise ProvenanceError(
            Reason.RunIncomplete, "whether all tests were run cannot be told: config.tests names files; name one file, or write the tests out"
        )
    options = optional(document, "runtimeOptions", dict, where="results file", reason=_MALFORMED) or {}
    repeat = optional(options, "repeat", int, where="runtimeOptions", reason=_MALFORMED) or 1
    planned = sum(_variants(test, f"config.tests[{index}]") for index, test in enumerate(tests) if isinstance(test, dict)) * prompts * repeat
    if len(results) != planned:
        raise ProvenanceError(
            Reason.RunIncomplete, f"the configuration asks for {planned} answers ({prompts} prompts, repeated {repeat} times), the file holds {len(results)}"
        )


def _variants(test: JsonObject, where: str) -> int:
    """As many tests as a test stands for: one for each combination of what its lists hold."""
    values = (optional(test, "vars", dict, where=where, reason=_MALFORMED) or {}).values()
    return prod(len(value) for value in values if isinstance(value, list))


def _prompts(summary: JsonObject) -> Mapping[int, str]:
    """The label of each prompt, by its place. Raises ProvenanceError (MeasurementAmbiguous) where several models were asked."""
    listed = member(summary, "prompts", list, where="results", reason=_MALFORMED)
    prompts = objects(listed, where="results.prompts", reason=_MALFORMED, limit=_RESULT_LIMIT)
    providers = sorted({text(prompt, "provider", where=f"results.prompts[{index}]", reason=_MALFORMED) for index, prompt in enumerate(prompts)})
    if len(providers) != 1:
        raise ProvenanceError(
            Reason.MeasurementAmbiguous,
            f"the results are of {len(providers)} providers; a statement is about one model: evaluate it alone (--filter-providers)",
        )
    return {place: str(prompt.get("label") or "") for place, prompt in enumerate(prompts)}
