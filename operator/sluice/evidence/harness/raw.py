"""Whose raw file is this? What it holds is looked at, never its name: that is the producer's to choose."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sluice.evidence.harness import garak, inspect_log, lm_eval, plain_metrics, promptfoo, scored_samples
from sluice.evidence.harness.archive import Archive
from sluice.evidence.harness.compression import unpacked
from sluice.evidence.measurement import Measurement
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.strict_json import JsonObject, parse_object

BYTES_LIMIT = 4_194_304
_LINE_LIMIT = 100_000
_ZIP = b"PK\x03\x04"
_Measurements = tuple[Measurement, ...]

_DOCUMENTS: tuple[tuple[Callable[[JsonObject], bool], Callable[[JsonObject], _Measurements]], ...] = (
    (lm_eval.recognises, lm_eval.read),
    (inspect_log.recognises, inspect_log.read),
    (promptfoo.recognises, promptfoo.read),
    (plain_metrics.recognises, plain_metrics.read),
)
_LINES: tuple[tuple[Callable[[Sequence[JsonObject]], bool], Callable[[Sequence[JsonObject]], _Measurements]], ...] = (
    (garak.recognises, garak.read),
    (scored_samples.recognises, scored_samples.read),
)
_KNOWN = "lm-eval results_*.json, logs of Inspect (.eval, .json), promptfoo results, garak report.jsonl, and the formats of docs/evaluations.md"


def read_raw(name: str, content: bytes) -> _Measurements:
    """Read what a raw file measures; `name` is for messages.

    Raises ProvenanceError: HarnessUnknown, RawResultMalformed, RunIncomplete, MeasurementAmbiguous.
    """
    what = f"raw file {name[:200]!r}"
    if len(content) > BYTES_LIMIT:
        raise ProvenanceError(Reason.RawResultMalformed, f"{what} is {len(content):,} bytes; at most {BYTES_LIMIT:,} are read")
    if content.startswith(_ZIP):
        return inspect_log.read_archive(Archive(content))
    # Reports hold every prompt and answer; compressed they fit into an object.
    content = unpacked(content, limit=BYTES_LIMIT, what=what)
    lines = _lines(content, what)
    if lines:
        for recognises_lines, read_lines in _LINES:
            if recognises_lines(lines):
                return read_lines(lines)
    else:
        document = parse_object(content, what=what, limit=BYTES_LIMIT, reason=Reason.RawResultMalformed)
        for recognises, read in _DOCUMENTS:
            if recognises(document):
                return read(document)
    raise ProvenanceError(Reason.HarnessUnknown, f"{what} is of no harness that we read ({_KNOWN})")


def _lines(content: bytes, what: str) -> list[JsonObject]:
    """The objects of JSON Lines; none when it is one document: there the first line is no object by itself, or the only one."""
    first, _, rest = content.partition(b"\n")
    if not rest.strip() or not _is_object(first):
        return []
    lines = [line for line in content.split(b"\n") if line.strip()]
    if len(lines) > _LINE_LIMIT:
        raise ProvenanceError(Reason.RawResultMalformed, f"{what} has {len(lines):,} lines; at most {_LINE_LIMIT:,} are read")
    return [
        parse_object(line, what=f"{what}, line {number}", limit=BYTES_LIMIT, reason=Reason.RawResultMalformed) for number, line in enumerate(lines, start=1)
    ]


def _is_object(line: bytes) -> bool:
    try:
        parse_object(line, what="it", limit=BYTES_LIMIT, reason=Reason.RawResultMalformed)
    except ProvenanceError:
        return False
    return True
