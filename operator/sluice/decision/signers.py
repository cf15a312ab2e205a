"""Whose signature counts for what: exact identity and issuer, or exactly one key, through exactly one trust root."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sluice.api.policy import StatementKind
from sluice.evidence import drill, evaluation
from sluice.evidence.drill import RollbackDrill
from sluice.evidence.evaluation import Evaluation
from sluice.provenance import model_signature, slsa
from sluice.provenance.model_signature import ModelManifest
from sluice.provenance.slsa import BuildProvenance

if TYPE_CHECKING:
    from sluice.api.policy import Signer
    from sluice.decision.model import Policy
    from sluice.evidence.facts import Fact


def kind_of(fact: Fact) -> StatementKind | None:
    """Return what kind of statement `fact` is; None for one that satisfies no requirement."""
    match fact.content:
        case ModelManifest():
            return StatementKind.MODEL_SIGNATURE
        case BuildProvenance():
            return StatementKind.PROVENANCE
        case Evaluation():
            return StatementKind.EVALUATION
        case RollbackDrill():
            return StatementKind.ROLLBACK_DRILL
        case _:
            return None


def kind_of_predicate(predicate_type: str) -> StatementKind | None:
    """Return what kind of statement a predicate type stands for; None for one that satisfies no requirement."""
    if predicate_type in evaluation.PREDICATE_TYPES:
        return StatementKind.EVALUATION
    return {
        model_signature.PREDICATE_TYPE: StatementKind.MODEL_SIGNATURE,
        slsa.PREDICATE_TYPE: StatementKind.PROVENANCE,
        drill.PREDICATE_TYPE: StatementKind.ROLLBACK_DRILL,
    }.get(predicate_type)


def permitted_signer(policy: Policy, fact: Fact) -> Signer | None:
    """Return the signer of `policy` who made `fact` and may make statements of its kind; None when there is none."""
    return next((signer for signer in policy.spec.signers if _is(signer, fact) and kind_of(fact) in signer.may), None)


def _is(signer: Signer, fact: Fact) -> bool:
    if signer.trust_root != fact.signer.trust_root:
        return False
    if signer.key is not None:
        return signer.key == fact.signer.key
    named = signer.identity is not None and signer.issuer is not None
    return named and (signer.identity, signer.issuer) == (fact.signer.identity, fact.signer.issuer)


def describe(fact: Fact) -> str:
    """Say who signed."""
    signer = fact.signer
    who = f"key {signer.key}" if signer.key else f"{signer.identity} (issuer {signer.issuer})"
    return f"{who}, verified by TrustRoot {signer.trust_root}"
