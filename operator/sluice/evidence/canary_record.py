"""What a canary run decided, signed by the controller: `https://sluice.dev/canary-decision/v1`.

It holds the whole spec of the run, which pins release, baseline and suite by digest and the terms by value, and the run by its UID: nothing of it can be
carried to another run, and a run that is deleted and made again starts without it. The status alone is guarded by the API server; this holds also against
whoever can write past it (into etcd, or with admission policies switched off).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sluice.api.canary import CanaryDecision, CanarySpec
from sluice.provenance.bundle import verify_bundle
from sluice.provenance.errors import ProvenanceError, Reason, closed
from sluice.provenance.signing import SigningKey
from sluice.provenance.statement import parse_statement, text
from sluice.provenance.strict_json import member
from sluice.provenance.trust import TrustAnchors

PREDICATE_TYPE = "https://sluice.dev/canary-decision/v1"
_MALFORMED = Reason.PredicateMalformed


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryRecord:
    """One decision of one run."""

    namespace: str
    name: str
    uid: str
    spec: CanarySpec
    decision: CanaryDecision


def sign_record(key: SigningKey, run: Mapping[str, Any], *, decision: CanaryDecision, reason: str, decided_at: str) -> str:
    """Sign what `run` (as the API server gives it) came to; gives the bundle as JSON text."""
    metadata, spec = run["metadata"], run["spec"]
    predicate = {
        "run": {field: metadata[field] for field in ("namespace", "name", "uid")},
        "spec": spec,
        "decision": str(decision),
        "reason": reason,
        "decidedAt": decided_at,
    }
    return key.sign(predicate_type=PREDICATE_TYPE, subjects={"release": spec["releaseDigest"]}, predicate=predicate).decode()


def read_record(raw: bytes, keys: TrustAnchors) -> CanaryRecord:
    """Verify and read a record. Raises ProvenanceError and nothing else."""
    with closed(_MALFORMED, "the record of the decision does not parse"):
        statement = parse_statement(verify_bundle(raw, keys).payload)
        if statement.predicate_type != PREDICATE_TYPE:
            raise ProvenanceError(_MALFORMED, f"the statement is of type {statement.predicate_type!r}, not {PREDICATE_TYPE!r}")
        run = member(statement.predicate, "run", dict, where="predicate", reason=_MALFORMED)
        return CanaryRecord(
            namespace=text(run, "namespace", where="predicate.run", reason=_MALFORMED),
            name=text(run, "name", where="predicate.run", reason=_MALFORMED),
            uid=text(run, "uid", where="predicate.run", reason=_MALFORMED),
            spec=CanarySpec.model_validate(member(statement.predicate, "spec", dict, where="predicate", reason=_MALFORMED)),
            decision=CanaryDecision(text(statement.predicate, "decision", where="predicate", reason=_MALFORMED)),
        )
