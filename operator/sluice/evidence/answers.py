"""What a model scored on each case, kept small: so that two models are compared case by case.

Cases are known by the first eight bytes of the SHA-256 of their name, in increasing order. Bytes, because facts are kept for thousands of releases.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field

_CASE_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Scores by case. Two are equal when their digests are."""

    digest: str
    """SHA-256 over both."""
    cases: bytes = field(compare=False, repr=False)
    """Eight bytes for each case, increasing as big-endian numbers; shape (n,)."""
    scores: bytes = field(compare=False, repr=False)
    """A float64 in the machine's order for each, in the same order; shape (n,)."""
    proportions: bool = field(compare=False)
    """Whether every score lies in [0, 1]."""


def answers_of(scores: Mapping[str, float]) -> Answers | None:
    """Keep scores by the name of the case; None where two names could not be told apart."""
    by_case = {hashlib.sha256(case.encode()).digest()[:_CASE_BYTES]: score for case, score in scores.items()}
    if len(by_case) < len(scores):
        return None
    ordered = sorted(by_case)
    cases, kept = b"".join(ordered), array("d", (by_case[case] for case in ordered)).tobytes()
    return Answers(digest=hashlib.sha256(cases + kept).hexdigest(), cases=cases, scores=kept, proportions=all(0 <= score <= 1 for score in scores.values()))
