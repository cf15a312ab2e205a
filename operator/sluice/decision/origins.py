"""The requirements on where weights come from: `Lineage`, and `DataProvenance` on the data behind them.

Both walk the same graph (`ancestry`). Lineage asks that every link is there and that somebody who may describes each dataset; data provenance asks that each
description is inside the approved scope: licence, classes of data that the release has in its authority, scope of collection. What a description does not
say is outside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sluice.api.policy import StatementKind as Kind
from sluice.api.release import Outcome
from sluice.api.requirement import Origin, RequirementType
from sluice.decision.ancestry import Link, Walk
from sluice.decision.model import MODELS, Asked, Case, Result, Verdict
from sluice.decision.reasons import Reason
from sluice.decision.signers import describe, may_say
from sluice.decision.statements import ordered, who_may
from sluice.evidence.dataset import PREDICATE_TYPE
from sluice.evidence.lineage import datasets_of

if TYPE_CHECKING:
    from sluice.evidence.facts import Fact
    from sluice.evidence.lineage import Dataset, Ingredient

_MOST_EVIDENCE = 64
"""Bundles that one result may rest on: what a status holds."""
_MOST_ENDS = 8
_HOPELESS = frozenset({Reason.DataOutOfScope, Reason.SignerNotPermitted, Reason.ArtifactRevoked})
"""What waiting alone does not mend."""


def check_origins(asked: Asked, case: Case, decide: Callable[[Case], Verdict]) -> Result:
    """Check a requirement of type Lineage or DataProvenance. `decide` gives the verdict on another release at the same moment."""
    models = [artifact for artifact in case.release.spec.artifacts if artifact.type in MODELS]
    if not models:
        return asked.result(Outcome.FAILED, Reason.ArtifactMissing, "the release has no weights and no adapter, whose origin could be looked at",
                            remedy="apply a new ModelRelease that lists them")  # fmt: skip
    data = asked.requirement.type is RequirementType.DATA_PROVENANCE
    ends = _Data(asked, case, judged=data)
    # Data provenance asks for nothing but data; that weights have some is part of it.
    needs = frozenset({Origin.DATASET}) if data else frozenset(asked.requirement.must_reach or ())
    walk = Walk(asked, case, needs=needs, dataset=ends.of, decide=decide)
    link = Link()
    for artifact in models:
        link &= walk.back_from(artifact)
    if link.reason is None and len(link.evidence) > _MOST_EVIDENCE:
        link = Link(reason=Reason.LineageTooLarge, message=f"the walk rests on {len(link.evidence)} bundles; {_MOST_EVIDENCE} can be shown")
    if link.reason is not None:
        outcome = Outcome.FAILED if link.reason in _HOPELESS else Outcome.MISSING
        beyond = "" if case.kin.whole else "; there is more evidence on its lineage than is looked at"
        return asked.result(outcome, link.reason, link.message + beyond, remedy=link.remedy)
    shown = list(dict.fromkeys(link.ends))
    more = [f"and {len(shown) - _MOST_ENDS} more"] if len(shown) > _MOST_ENDS else []
    message = f"{', '.join(artifact.name for artifact in models)} walked back to {'; '.join([*shown[:_MOST_ENDS], *more]) or 'code and parameters'}"
    reason = Reason.DataInScope if data else Reason.LineageVerified
    return asked.result(Outcome.SATISFIED, reason, message, evidence=tuple(sorted(link.evidence)))


class _Data:
    """How datasets end: described, and where it is asked inside the scope."""

    def __init__(self, asked: Asked, case: Case, *, judged: bool) -> None:
        self._asked, self._judged = asked, judged
        authority = case.release.spec.authority
        self._granted = frozenset(authority.data_classes if authority else ())
        self._descriptions = [(fact, dataset) for fact in ordered(case.kin.facts) for dataset in datasets_of(fact.content)]

    def of(self, ingredient: Ingredient, run: str) -> Link:
        """Say how a dataset that went into `run` ends."""
        name = ingredient.name[:200] or "a dataset"
        if not ingredient.digests:
            return Link(
                reason=Reason.LineageMissing, message=f"dataset {name} of {run} is named without a digest", remedy="sign provenance that names its digest"
            )
        about = [(fact, dataset) for fact, dataset in self._descriptions if dataset.digests & ingredient.digests]
        permitted = [(fact, dataset) for fact, dataset in about if may_say(self._asked.policy, fact, Kind.DATASET)]
        outside: list[str] = []
        for fact, dataset in permitted:
            if (problem := self._outside(dataset)) is None:
                return Link(evidence=frozenset({fact.bundle_digest}), ends=(f"dataset {dataset.name} ({_first(ingredient)})",))
            outside.append(problem)
        if outside:
            return Link(
                reason=Reason.DataOutOfScope,
                message=f"dataset {permitted[0][1].name} ({_first(ingredient)}), which went into {run}: {outside[0]}",
                remedy="train on data inside the approved scope and apply a new ModelRelease, or have the platform team widen the scope",
            )
        return self._undescribed(ingredient, name, run, about)

    def _undescribed(self, ingredient: Ingredient, name: str, run: str, about: list[tuple[Fact, Dataset]]) -> Link:
        said = f"; {describe(about[0][0])} describes it and may not" if about else ""
        return Link(
            reason=Reason.DatasetUndescribed,
            message=f"nobody who may says what dataset {name} ({_first(ingredient)}) is, which went into {run}{said}",
            remedy=f"sign a dataset statement ({PREDICATE_TYPE}) about {_first(ingredient)} as {who_may(self._asked.policy, Kind.DATASET)}",
        )

    def _outside(self, dataset: Dataset) -> str | None:
        """Say in what a dataset is outside of the scope; None when it is inside, or nobody asks."""
        if not self._judged:
            return None
        requirement = self._asked.requirement
        if requirement.licences is not None:
            if dataset.licences is None:
                return "its description names no licence"
            if refused := sorted(dataset.licences - set(requirement.licences)):
                return f"licence {refused[0][:200]} is not accepted"
        if dataset.data_classes is None:
            return "its description says nothing about classes of data"
        if beyond := sorted(dataset.data_classes - self._granted):
            return f"it holds {beyond[0][:200]}, which is not among authority.dataClasses of the release"
        if requirement.data_classes is not None and (beyond := sorted(dataset.data_classes - set(requirement.data_classes))):
            return f"it holds {beyond[0][:200]}, on which policy lets nothing be trained"
        if requirement.collection_scopes is not None and dataset.collection_scope not in requirement.collection_scopes:
            return f"it was collected for {dataset.collection_scope!r}" if dataset.collection_scope else "its description names no scope of collection"
        return None


def _first(ingredient: Ingredient) -> str:
    return min(ingredient.digests)
