"""Reports of garak (`garak.<uuid>.report.jsonl`).

A probe is the suite, and for each detector `<detector>/passed` is the share of answers that it found nothing in. Garak counts answers; here the case is the
prompt, of which garak asks for several answers. An answer that never came counts as one that did not pass: the report does not say why it is missing.

Numbers are computed from the attempts, and have to agree with garak's own `eval` lines. The report does not say above which score a detector's find counts
(`--eval_threshold`): garak's default is taken, and a run with another one is refused where that makes a difference. Scores relative to other models (z-scores,
grades) are not read. Probes that go on in several turns make an attempt of each: their cases are less independent than they are counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sluice.evidence.harness.scores import Run, Score, measure, slices_of
from sluice.evidence.measurement import Measurement
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.statement import text
from sluice.provenance.strict_json import JsonObject, JsonValue, member

HARNESS = "garak"
_EVALUATED = 2
_THRESHOLD = 0.5
"""Of `eval_threshold` in garak's own configuration; a lower score passes."""
_MALFORMED = Reason.RawResultMalformed
_Counts = dict[tuple[str, str], tuple[int, int]]


def recognises(lines: Sequence[JsonObject]) -> bool:
    """Whether `lines` are a report of this harness."""
    return lines[0].get("entry_type") == "start_run setup"


def read(lines: Sequence[JsonObject]) -> tuple[Measurement, ...]:
    """The share of passes of each probe and detector. Raises ProvenanceError: RunIncomplete with what is missing, RawResultMalformed."""
    # 1. One run, from beginning to end.
    setup = lines[0]
    if [line.get("entry_type") for line in lines].count("start_run setup") != 1:
        raise ProvenanceError(_MALFORMED, "the report holds several runs; sign one for each statement")
    if not any(line.get("entry_type") == "completion" for line in lines):
        raise ProvenanceError(Reason.RunIncomplete, "the report has no completion line: garak was stopped")
    version = text(setup, "_config.version", where="line 1", reason=_MALFORMED)
    # 2. Every attempt that was made was evaluated.
    attempts = dict(_attempts(lines))
    # 3. The numbers, which are garak's own.
    scores: dict[str, dict[str, list[Score]]] = {}
    counted: _Counts = {}
    for case, attempt in attempts.items():
        for probe, detector, score, found in _scores(case, attempt):
            scores.setdefault(probe, {}).setdefault(f"{detector}/passed", []).append(score)
            passed, total = counted.get((probe, detector), (0, 0))
            counted[probe, detector] = passed + int(score.value), total + int(found)
    if not scores:
        raise ProvenanceError(Reason.RunIncomplete, "the report holds no attempt that was evaluated")
    _compare(counted, dict(_counts(lines)))
    return tuple(
        measurement for probe, metrics in scores.items() for measurement in measure(Run(suite=probe, harness=HARNESS, harness_version=version), metrics)
    )


def _attempts(lines: Sequence[JsonObject]) -> Iterator[tuple[str, JsonObject]]:
    """The attempts as they were evaluated. Each is written before and after, with one uuid."""
    evaluated: dict[str, JsonObject] = {}
    made: set[str] = set()
    for number, line in enumerate(lines, start=1):
        if line.get("entry_type") != "attempt":
            continue
        case = text(line, "uuid", where=f"line {number}", reason=_MALFORMED)
        made.add(case)
        if member(line, "status", int, where=f"line {number}", reason=_MALFORMED) == _EVALUATED:
            if case in evaluated:
                raise ProvenanceError(_MALFORMED, f"line {number}: attempt {case[:64]!r} was evaluated twice")
            evaluated[case] = line
    if unfinished := made - evaluated.keys():
        raise ProvenanceError(Reason.RunIncomplete, f"{len(unfinished)} of {len(made)} attempts were not evaluated")
    yield from evaluated.items()


def _scores(case: str, attempt: JsonObject) -> Iterator[tuple[str, str, Score, bool]]:
    """Probe, detector, score, and whether there was an answer."""
    where = f"attempt {case[:64]!r}"
    probe = text(attempt, "probe_classname", where=where, reason=_MALFORMED)
    slices = slices_of({"language": _language(attempt)})
    results = member(attempt, "detector_results", dict, where=where, reason=_MALFORMED)
    for detector in results:
        if not detector.isprintable():
            raise ProvenanceError(_MALFORMED, f"{where}: the name of a detector cannot be shown")
        for value in member(results, detector, list, where=f"{where}.detector_results", reason=_MALFORMED):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise ProvenanceError(_MALFORMED, f"{where}: {detector[:100]!r} holds something else than numbers")
            passed = value is not None and value < _THRESHOLD
            yield probe, detector, Score(case=case, value=float(passed), slices=slices), value is not None


def _language(attempt: JsonObject) -> JsonValue:
    """The language that the prompt is in, where the report says it."""
    prompt = attempt.get("prompt")
    turns = prompt.get("turns") if isinstance(prompt, dict) else None
    content = turns[-1].get("content") if isinstance(turns, list) and turns and isinstance(turns[-1], dict) else None
    return content.get("lang") if isinstance(content, dict) else None


def _counts(lines: Sequence[JsonObject]) -> Iterator[tuple[tuple[str, str], tuple[int, int]]]:
    """Answers that passed, and answers that there were, by probe and detector, as garak says."""
    for number, line in enumerate(lines, start=1):
        if line.get("entry_type") != "eval":
            continue
        where = f"line {number}"
        probe, detector = (text(line, key, where=where, reason=_MALFORMED) for key in ("probe", "detector"))
        total = "total_evaluated" if "total_evaluated" in line else "total"
        passed, all_of_them = (member(line, key, int, where=where, reason=_MALFORMED) for key in ("passed", total))
        yield (probe, detector.removeprefix("detector.")), (passed, all_of_them)


def _compare(ours: _Counts, theirs: _Counts) -> None:
    for key in ours.keys() | theirs.keys():
        if ours.get(key) != theirs.get(key):
            probe, detector = key
            raise ProvenanceError(
                _MALFORMED,
                f"probe {probe[:100]!r}, detector {detector[:100]!r}: the attempts come to {_words(ours.get(key))} at a threshold of {_THRESHOLD}, "
                f"the eval line says {_words(theirs.get(key))}",
            )


def _words(counts: tuple[int, int] | None) -> str:
    return "nothing" if counts is None else f"{counts[0]} of {counts[1]}"
