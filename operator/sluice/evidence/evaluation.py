"""Evaluation statements: the raw files they name are read, what they claim is not.

The statement says whose evaluation it is (its subjects) and names raw harness outputs by digest, all of which are attached. `passed`,
`result` and thresholds in the statement are the producer's opinion and are not looked at.

Predicates: https://in-toto.io/attestation/test-result/v0.1 (raw files in `configuration`), https://in-toto.io/attestation/eval-result/v0.1 (a proposal, in-toto
attestation pull request 575; raw files in `evidence`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType

from sluice.evidence.attachments import attached
from sluice.evidence.harness.raw import read_raw
from sluice.evidence.harness.scores import MOST_ANSWERS
from sluice.evidence.measurement import Measurement
from sluice.provenance.digests import sha256_of
from sluice.provenance.errors import ProvenanceError, Reason, closed
from sluice.provenance.statement import Statement

TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
EVAL_RESULT = "https://in-toto.io/attestation/eval-result/v0.1"

_RAW_FILES_MEMBER: Mapping[str, str] = MappingProxyType({TEST_RESULT: "configuration", EVAL_RESULT: "evidence"})
PREDICATE_TYPES = frozenset(_RAW_FILES_MEMBER)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What was measured, and the digests of the raw files it was read from."""

    measurements: tuple[Measurement, ...]
    raw_digests: frozenset[str]

    @cached_property
    def by_slice(self) -> Mapping[tuple[str, str], Sequence[Measurement]]:
        """The measurements of a suite and a slice; every verdict looks for some."""
        found = defaultdict(list)
        for each in self.measurements:
            found[each.suite, each.slice].append(each)
        return found


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
        measurements = [measurement for name, content in files for measurement in read_raw(name, content)]
        seen = set()
        for each in measurements:
            measured = (each.suite, each.metric, each.filter, each.slice)
            if measured in seen:
                raise ProvenanceError(
                    Reason.MeasurementAmbiguous, f"two raw files measure {each.metric!r} ({each.filter}) of {each.suite!r}; sign one run per statement"
                )
            seen.add(measured)
        return Evaluation(measurements=tuple(_bounded(measurements)), raw_digests=frozenset(sha256_of(content) for _, content in files))


def _bounded(measurements: Sequence[Measurement]) -> Iterator[Measurement]:
    """Forget the answers of single cases beyond the bound: many files, or many suites of one, may each have as many as one file may."""
    kept = 0
    for each in measurements:
        kept += each.samples if each.answers else 0
        yield each if kept <= MOST_ANSWERS else replace(each, answers=None)
