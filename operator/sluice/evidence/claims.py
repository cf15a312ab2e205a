"""What a bundle that could not be verified says it is about.

Claims explain ("the evidence for your weights was refused because …"); they never satisfy anything. Kept apart from `establish` so that nobody mistakes one
for the other.
"""

from __future__ import annotations

from dataclasses import dataclass

from sluice.evidence import shadow_pairs
from sluice.provenance.envelope import read_bundle
from sluice.provenance.errors import ProvenanceError
from sluice.provenance.model_signature import PREDICATE_TYPE, parse_model_manifest
from sluice.provenance.statement import parse_statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What an unverified bundle says it is: empty when it cannot be read."""

    predicate_type: str = ""
    subjects: frozenset[str] = frozenset()


def read_claims(raw_bundle: bytes) -> Claims:
    """Read what the unverified bundle claims to speak of. Raises nothing."""
    try:
        statement = parse_statement(read_bundle(raw_bundle).payload)
        if statement.predicate_type == PREDICATE_TYPE:
            subjects = frozenset({parse_model_manifest(statement).digest})
        elif statement.predicate_type == shadow_pairs.PREDICATE_TYPE:
            subjects = frozenset({shadow_pairs.parse_pairs(statement).candidate.digest})
        else:
            subjects = frozenset(subject.sha256 for subject in statement.subjects)
        return Claims(predicate_type=statement.predicate_type, subjects=subjects)
    except ProvenanceError:
        return Claims()
