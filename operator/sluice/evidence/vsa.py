"""SLSA verification summaries (VSA): somebody else verified an artifact and says what it came to.

The one place where a verdict of others counts, and only where a policy names the verifier and the levels it asks for: what we can recompute we recompute.
The specification's comparison of `resourceUri` with an expected one is left out: we match by digest, and nothing is fetched from that address.

Specification: https://slsa.dev/spec/v1.0/verification_summary
"""

from __future__ import annotations

from dataclasses import dataclass

from sluice.evidence.reading import texts
from sluice.provenance.errors import ProvenanceError, Reason, closed
from sluice.provenance.statement import Statement, text
from sluice.provenance.strict_json import member

PREDICATE_TYPE = "https://slsa.dev/verification_summary/v1"
_LEVEL_LIMIT = 64
_MALFORMED = Reason.PredicateMalformed


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationSummary:
    """What a verifier came to."""

    verifier: str
    """`verifier.id`."""
    resource: str
    """`resourceUri`: what was verified, as the verifier was asked for it."""
    policy: str
    """`policy.uri`: by which policy; empty when the summary has none."""
    passed: bool
    levels: frozenset[str]
    """`verifiedLevels`, such as SLSA_BUILD_LEVEL_3."""


def parse_summary(statement: Statement) -> VerificationSummary:
    """Read a summary. Raises ProvenanceError (PredicateMalformed)."""
    with closed(_MALFORMED, "the verification summary does not parse"):
        if statement.predicate_type != PREDICATE_TYPE:
            raise ProvenanceError(_MALFORMED, f"the statement is of type {statement.predicate_type!r}, not {PREDICATE_TYPE!r}")
        predicate = statement.predicate
        result = text(predicate, "verificationResult", where="predicate", reason=_MALFORMED)
        if result not in {"PASSED", "FAILED"}:
            raise ProvenanceError(_MALFORMED, f"predicate.verificationResult is {result[:40]!r}; it is PASSED or FAILED")
        policy = member(predicate, "policy", dict, where="predicate", reason=_MALFORMED)
        return VerificationSummary(
            verifier=text(member(predicate, "verifier", dict, where="predicate", reason=_MALFORMED), "id", where="predicate.verifier", reason=_MALFORMED),
            resource=text(predicate, "resourceUri", where="predicate", reason=_MALFORMED),
            policy=text(policy, "uri", where="predicate.policy", reason=_MALFORMED) if policy.get("uri") else "",
            passed=result == "PASSED",
            levels=frozenset(texts(predicate, "verifiedLevels", where="predicate", limit=_LEVEL_LIMIT)),
        )
