"""Whose signature counts for what: exact identity, issuer and claims, or exactly one key, through exactly one trust root, for the builders it speaks for."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from sluice.api.policy import StatementKind
from sluice.evidence import dataset, documents, drill, evaluation, vsa
from sluice.evidence.drill import RollbackDrill
from sluice.evidence.evaluation import Evaluation
from sluice.evidence.lineage import BillOfMaterials, DatasetDescription
from sluice.evidence.vsa import VerificationSummary
from sluice.provenance import model_signature, slsa
from sluice.provenance.model_signature import ModelManifest
from sluice.provenance.slsa import BuildProvenance

if TYPE_CHECKING:
    from sluice.api.policy import Signer
    from sluice.decision.model import Policy
    from sluice.evidence.facts import Fact


_KINDS: Mapping[str, StatementKind] = MappingProxyType(
    dict.fromkeys(evaluation.PREDICATE_TYPES, StatementKind.EVALUATION)
    | dict.fromkeys(slsa.PREDICATE_TYPES, StatementKind.PROVENANCE)
    | dict.fromkeys(documents.BILL_TYPES, StatementKind.BILL_OF_MATERIALS)
    | dict.fromkeys({dataset.PREDICATE_TYPE, *documents.DATASET_TYPES}, StatementKind.DATASET)
    | {
        model_signature.PREDICATE_TYPE: StatementKind.MODEL_SIGNATURE,
        drill.PREDICATE_TYPE: StatementKind.ROLLBACK_DRILL,
        vsa.PREDICATE_TYPE: StatementKind.VERIFICATION_SUMMARY,
    }
)


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
        case DatasetDescription():
            return StatementKind.DATASET
        case BillOfMaterials():
            return StatementKind.BILL_OF_MATERIALS
        case VerificationSummary():
            return StatementKind.VERIFICATION_SUMMARY
        case _:
            return None


def kind_of_predicate(predicate_type: str) -> StatementKind | None:
    """Return what kind of statement a predicate type stands for; None for one that satisfies no requirement."""
    return _KINDS.get(predicate_type)


def permitted_signer(policy: Policy, fact: Fact) -> Signer | None:
    """Return the signer of `policy` who made `fact` and may make statements of its kind; None when there is none."""
    kind = kind_of(fact)
    return may_say(policy, fact, kind) if kind else None


def may_say(policy: Policy, fact: Fact, kind: StatementKind) -> Signer | None:
    """Return the signer of `policy` who made `fact` and whose word counts for `kind`; None when there is none.

    A bill of materials is of one kind, and may describe datasets; who may sign the one need not be believed on the other.
    """
    return next((signer for signer in policy.spec.signers if _is(signer, fact) and kind in signer.may and _speaks_for(signer, fact)), None)


def _is(signer: Signer, fact: Fact) -> bool:
    if signer.trust_root != fact.signer.trust_root:
        return False
    if signer.key is not None:
        return signer.key == fact.signer.key
    named = signer.identity is not None and signer.issuer is not None
    claimed = all(fact.signer.claims.get(name) == value for name, value in (signer.claims or {}).items())
    return named and claimed and (signer.identity, signer.issuer) == (fact.signer.identity, fact.signer.issuer)


def _speaks_for(signer: Signer, fact: Fact) -> bool:
    """Tell whether policy pairs the signer with the builder that it speaks for."""
    return signer.builders is None or not isinstance(fact.content, BuildProvenance) or fact.content.builder_id in signer.builders


def describe(fact: Fact) -> str:
    """Say who signed."""
    signer = fact.signer
    who = f"key {signer.key}" if signer.key else f"{signer.identity} (issuer {signer.issuer})"
    builder = f" for builder {fact.content.builder_id}" if isinstance(fact.content, BuildProvenance) else ""
    return f"{who}{builder}, verified by TrustRoot {signer.trust_root}"
