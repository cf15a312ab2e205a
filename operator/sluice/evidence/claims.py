"""What a bundle that could not be verified says it is about.

Claims explain ("the evidence for your weights was refused because …"); they never satisfy anything. Kept apart from `establish` so that nobody mistakes one
for the other.
"""

from __future__ import annotations

from sluice.provenance.envelope import read_bundle
from sluice.provenance.errors import ProvenanceError
from sluice.provenance.model_signature import PREDICATE_TYPE, parse_model_manifest
from sluice.provenance.statement import parse_statement


def claimed_subjects(raw_bundle: bytes) -> frozenset[str]:
    """Digests that the unverified bundle claims to speak of; empty when it cannot be read. Raises nothing."""
    try:
        statement = parse_statement(read_bundle(raw_bundle).payload)
        if statement.predicate_type == PREDICATE_TYPE:
            return frozenset({parse_model_manifest(statement).digest})
        return frozenset(subject.sha256 for subject in statement.subjects)
    except ProvenanceError:
        return frozenset()
