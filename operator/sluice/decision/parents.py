"""What a model was made from, in the words of permitted signers: one step, not the walk (`ancestry`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sluice.api.release import ChangeType
from sluice.decision.signers import permitted_signer
from sluice.evidence.lineage import Role, makings_of

if TYPE_CHECKING:
    from sluice.api.release import Artifact
    from sluice.decision.model import Case, Policy

OPTIMISED: Final = frozenset({ChangeType.QUANTIZE, ChangeType.PRUNE, ChangeType.DISTILL})
"""Changes after which a model is meant to be the same, and smaller."""


def parents_of(policy: Policy, artifact: Artifact, case: Case) -> frozenset[str]:
    """Give the digests of the models that went into an artifact: those that are called so, and those that are known as models of releases."""
    known = frozenset(digest for kin in case.kin.releases for digest in kin.release.model_names)
    makings = (making for fact in case.facts if permitted_signer(policy, fact) for making in makings_of(fact.content, fact.subjects))
    parts = (part for making in makings if artifact.digest in making.products for part in making.ingredients)
    return frozenset(digest for part in parts if part.role is Role.BASE_MODEL or part.digests & known for digest in part.digests) - {artifact.digest}
