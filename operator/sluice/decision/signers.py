"""Whose signature counts for what: exact identity, issuer and claims, or exactly one key, through exactly one trust root, for the builders it speaks for."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from sluice.api.policy import StatementKind
from sluice.evidence import assurance, dataset, documents, drill, evaluation, shadow_pairs, signed_decision, vsa
from sluice.evidence.assurance import ChangeTicket, ImpactAssessment, VendorAssurance
from sluice.evidence.drill import RollbackDrill
from sluice.evidence.evaluation import Evaluation
from sluice.evidence.lineage import BillOfMaterials, DatasetDescription
from sluice.evidence.shadow_pairs import ShadowPairs
from sluice.evidence.signed_decision import SignedDecision
from sluice.evidence.vsa import VerificationSummary
from sluice.provenance import model_signature, slsa
from sluice.provenance.model_signature import ModelManifest
from sluice.provenance.slsa import BuildProvenance

if TYPE_CHECKING:
    from sluice.api.policy import Signer
    from sluice.decision.model import Policy
    from sluice.evidence.facts import Content, Fact


_KINDS: Mapping[str, StatementKind] = MappingProxyType(
    dict.fromkeys(evaluation.PREDICATE_TYPES, StatementKind.EVALUATION)
    | dict.fromkeys(slsa.PREDICATE_TYPES, StatementKind.PROVENANCE)
    | dict.fromkeys(documents.BILL_TYPES, StatementKind.BILL_OF_MATERIALS)
    | dict.fromkeys({dataset.PREDICATE_TYPE, *documents.DATASET_TYPES}, StatementKind.DATASET)
    | {
        model_signature.PREDICATE_TYPE: StatementKind.MODEL_SIGNATURE,
        drill.PREDICATE_TYPE: StatementKind.ROLLBACK_DRILL,
        shadow_pairs.PREDICATE_TYPE: StatementKind.SHADOW_PAIRS,
        vsa.PREDICATE_TYPE: StatementKind.VERIFICATION_SUMMARY,
        assurance.CHANGE_TICKET: StatementKind.CHANGE_TICKET,
        assurance.IMPACT_ASSESSMENT: StatementKind.IMPACT_ASSESSMENT,
        assurance.VENDOR_ASSURANCE: StatementKind.VENDOR_ASSURANCE,
        signed_decision.PREDICATE_TYPE: StatementKind.APPROVAL,
    }
)


_KINDS_OF_CONTENT: Mapping[type[Content], StatementKind] = MappingProxyType(
    {
        ModelManifest: StatementKind.MODEL_SIGNATURE,
        BuildProvenance: StatementKind.PROVENANCE,
        Evaluation: StatementKind.EVALUATION,
        RollbackDrill: StatementKind.ROLLBACK_DRILL,
        ShadowPairs: StatementKind.SHADOW_PAIRS,
        DatasetDescription: StatementKind.DATASET,
        BillOfMaterials: StatementKind.BILL_OF_MATERIALS,
        VerificationSummary: StatementKind.VERIFICATION_SUMMARY,
        ChangeTicket: StatementKind.CHANGE_TICKET,
        ImpactAssessment: StatementKind.IMPACT_ASSESSMENT,
        VendorAssurance: StatementKind.VENDOR_ASSURANCE,
        SignedDecision: StatementKind.APPROVAL,
    }
)


_TO_SIGN: Mapping[StatementKind, str] = MappingProxyType(
    {
        StatementKind.EVALUATION: evaluation.TEST_RESULT,
        StatementKind.PROVENANCE: slsa.PREDICATE_TYPE,
        StatementKind.VERIFICATION_SUMMARY: vsa.PREDICATE_TYPE,
        StatementKind.CHANGE_TICKET: assurance.CHANGE_TICKET,
        StatementKind.IMPACT_ASSESSMENT: assurance.IMPACT_ASSESSMENT,
        StatementKind.VENDOR_ASSURANCE: assurance.VENDOR_ASSURANCE,
    }
)
"""Where a kind has several predicate types, the one for who has none yet."""


def how_to_sign(kind: StatementKind) -> str:
    """Say with which commands a statement of a kind becomes evidence, for remedies."""
    of_a_type = f" --predicate-type {_TO_SIGN[kind]}" if kind in _TO_SIGN else ""
    return f"sluice sign {'model' if kind is StatementKind.MODEL_SIGNATURE else f'statement{of_a_type}'}, then sluice evidence create"


def kind_of(fact: Fact) -> StatementKind | None:
    """Return what kind of statement `fact` is; None for one that satisfies no requirement."""
    return _KINDS_OF_CONTENT.get(type(fact.content))


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


def signers_behind(policy: Policy, fact: Fact) -> list[Signer]:
    """Give every signer of `policy` who made `fact`, whatever it may say."""
    return [signer for signer in policy.spec.signers if _is(signer, fact)]


def _is(signer: Signer, fact: Fact) -> bool:
    if signer.trust_root != fact.signer.trust_root:
        return False
    if signer.key is not None:
        return signer.key == fact.signer.key
    if signer.identity is None or signer.issuer is None or (signer.identity, signer.issuer) != (fact.signer.identity, fact.signer.issuer):
        return False
    return all(fact.signer.claims.get(name) == value for name, value in (signer.claims or {}).items())


def _speaks_for(signer: Signer, fact: Fact) -> bool:
    """Tell whether policy pairs the signer with the builder that it speaks for."""
    return signer.builders is None or not isinstance(fact.content, BuildProvenance) or fact.content.builder_id in signer.builders


def describe(fact: Fact) -> str:
    """Say who signed."""
    signer = fact.signer
    who = f"key {signer.key}" if signer.key else f"{signer.identity} (issuer {signer.issuer})"
    builder = f" for builder {fact.content.builder_id}" if isinstance(fact.content, BuildProvenance) else ""
    return f"{who}{builder}, verified by TrustRoot {signer.trust_root}"
