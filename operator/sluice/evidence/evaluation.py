"""Evaluation statements: the raw files they name are read, what they claim is not.

The statement says whose evaluation it is (its subjects) and names raw harness outputs by digest, all of which are attached. `passed`,
`result` and thresholds in the statement are the producer's opinion and are not looked at.

Predicates: https://in-toto.io/attestation/test-result/v0.1 (raw files in `configuration`), https://in-toto.io/attestation/eval-result/v0.1 (a proposal, in-toto
attestation pull request 575; raw files in `evidence`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sluice.evidence import lm_eval
from sluice.evidence.attachments import attached
from sluice.evidence.measurement import Measurement
from sluice.provenance.digests import sha256_of
from sluice.provenance.errors import ProvenanceError, Reason, closed
from sluice.provenance.statement import Statement
from sluice.provenance.strict_json import JsonObject, parse_object

TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
EVAL_RESULT = "https://in-toto.io/attestation/eval-result/v0.1"
RAW_BYTES_LIMIT = 4_194_304

_RAW_FILES_MEMBER: Mapping[str, str] = MappingProxyType({TEST_RESULT: "configuration", EVAL_RESULT: "evidence"})
PREDICATE_TYPES = frozenset(_RAW_FILES_MEMBER)

# One file per harness: whether a document is its own, and how to read it.
_HARNESSES: tuple[tuple[Callable[[JsonObject], bool], Callable[[JsonObject], tuple[Measurement, ...]]], ...] = ((lm_eval.recognises, lm_eval.read),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What was measured, and the digests of the raw files it was read from."""

    measurements: tuple[Measurement, ...]
    raw_digests: frozenset[str]


def read_evaluation(statement: Statement, attachments: Mapping[str, bytes]) -> Evaluation:
    """Read the measurements out of `attachments` (file name to bytes).

    Raises ProvenanceError: PredicateMalformed, AttachmentMissing, AttachmentMismatch, HarnessUnknown, RawResultMalformed, RunIncomplete, MeasurementAmbiguous.
    """
    with closed(Reason.RawResultMalformed, "the evaluation does not parse"):
        # 1. What is attached is what was signed, all of it and nothing else.
        key = _RAW_FILES_MEMBER.get(statement.predicate_type)
        if key is None:
            raise ProvenanceError(Reason.PredicateMalformed, f"the statement is of type {statement.predicate_type!r}, which is no evaluation")
        files = attached(statement, key, attachments)
        # 2. The numbers come from the raw files.
        measurements = [measurement for name, content in files for measurement in _read_raw(name, content)]
        seen = set()
        for each in measurements:
            measured = (each.suite, each.metric, each.filter)
            if measured in seen:
                raise ProvenanceError(
                    Reason.MeasurementAmbiguous, f"two raw files measure {each.metric!r} ({each.filter}) of {each.suite!r}; sign one run per statement"
                )
            seen.add(measured)
        return Evaluation(measurements=tuple(measurements), raw_digests=frozenset(sha256_of(content) for _, content in files))


def _read_raw(name: str, content: bytes) -> tuple[Measurement, ...]:
    document = parse_object(content, what=f"raw file {name[:200]!r}", limit=RAW_BYTES_LIMIT, reason=Reason.RawResultMalformed)
    for recognises, read in _HARNESSES:
        if recognises(document):
            return read(document)
    raise ProvenanceError(Reason.HarnessUnknown, f"raw file {name[:200]!r} is of no harness that we read (lm-eval results_*.json)")
