"""Evaluation statements: the raw files they name are read, what they claim is not.

The statement says whose evaluation it is (its subjects) and names raw harness outputs by digest. All of them must be attached and nothing else
may be: a producer who could name five runs and attach one would choose the run. `passed`, `result` and thresholds in the statement are the
producer's opinion and are not looked at.

Predicates: https://in-toto.io/attestation/test-result/v0.1 (raw files in `configuration`), https://in-toto.io/attestation/eval-result/v0.1 (a proposal, in-toto
attestation pull request 575; raw files in `evidence`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sluice.evidence import lm_eval
from sluice.evidence.measurement import Measurement
from sluice.provenance.digests import sha256_of
from sluice.provenance.errors import ProvenanceError, Reason, closed
from sluice.provenance.statement import Statement, digests_of, sha256_in
from sluice.provenance.strict_json import JsonObject, member, objects, optional, parse_object

TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
EVAL_RESULT = "https://in-toto.io/attestation/eval-result/v0.1"
RAW_FILE_LIMIT = 16
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
        named = _raw_files_named(statement)
        contents = {sha256_of(content): (name, content) for name, content in attachments.items()}
        # 1. What is attached is what was signed, all of it and nothing else.
        for digest, name in named.items():
            if digest not in contents:
                if name in attachments:
                    raise ProvenanceError(Reason.AttachmentMismatch, f"attachment {name!r} is {sha256_of(attachments[name])}; the statement names {digest}")
                raise ProvenanceError(Reason.AttachmentMissing, f"the statement names raw file {name[:200]!r} ({digest}), which is not attached")
        for digest, (name, _) in contents.items():
            if digest not in named:
                raise ProvenanceError(Reason.AttachmentMismatch, f"attachment {name[:200]!r} ({digest}) is not named by the statement")
        # 2. The numbers come from the raw files.
        measurements = [measurement for name, content in contents.values() for measurement in _read_raw(name, content)]
        seen = set()
        for each in measurements:
            key = (each.suite, each.metric, each.filter)
            if key in seen:
                raise ProvenanceError(
                    Reason.MeasurementAmbiguous, f"two raw files measure {each.metric!r} ({each.filter}) of {each.suite!r}; sign one run per statement"
                )
            seen.add(key)
        return Evaluation(measurements=tuple(measurements), raw_digests=frozenset(named))


def _raw_files_named(statement: Statement) -> dict[str, str]:
    """Digest to name of the raw files that the statement names."""
    key = _RAW_FILES_MEMBER.get(statement.predicate_type)
    if key is None:
        raise ProvenanceError(Reason.PredicateMalformed, f"the statement is of type {statement.predicate_type!r}, which is no evaluation")
    where = f"predicate.{key}"
    entries = objects(
        member(statement.predicate, key, list, where="predicate", reason=Reason.PredicateMalformed),
        where=where,
        reason=Reason.PredicateMalformed,
        limit=RAW_FILE_LIMIT,
    )
    if not entries:
        raise ProvenanceError(Reason.PredicateMalformed, f"{where} names no raw file: there is nothing to read numbers from")
    named = {}
    for index, entry in enumerate(entries):
        digest = sha256_in(digests_of(entry, where=f"{where}[{index}]", reason=Reason.PredicateMalformed))
        if digest is None:
            raise ProvenanceError(Reason.PredicateMalformed, f"{where}[{index}] has no sha256 digest")
        named[digest] = optional(entry, "name", str, where=f"{where}[{index}]", reason=Reason.PredicateMalformed) or "(no name)"
    return named


def _read_raw(name: str, content: bytes) -> tuple[Measurement, ...]:
    document = parse_object(content, what=f"raw file {name[:200]!r}", limit=RAW_BYTES_LIMIT, reason=Reason.RawResultMalformed)
    for recognises, read in _HARNESSES:
        if recognises(document):
            return read(document)
    raise ProvenanceError(Reason.HarnessUnknown, f"raw file {name[:200]!r} is of no harness that we read (lm-eval results_*.json)")
