"""What makes the numbers of an evaluation worth believing: who measured them, on which cases, and whether the model had seen those.

A requirement of type Evaluation may ask for each of the three. What does not come up to it is taken out before anything is measured: no number of it satisfies:

- `distinctFrom: [Trainer]`: evaluations whose signer stands behind a signature of the weights, or is operated by people who do, as for approvals (`people`).
- `suiteDigests`: numbers that were measured on other cases than those that policy pins.
- `contamination: Refuse`: the pinned cases are nothing that the weights were made of, at any remove, as permitted signers say. It needs a lineage that reaches
  datasets: where it is not known what a model was trained on, it is not known either that it had not seen the test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sluice.api.base import Identity
from sluice.api.policy import StatementKind as Kind
from sluice.api.release import Outcome
from sluice.api.requirement import Origin, SeparatedFrom
from sluice.decision.ancestry import Link, Walk
from sluice.decision.model import MODELS
from sluice.decision.people import usable
from sluice.decision.persons import duty_of
from sluice.decision.reasons import Reason
from sluice.decision.revocations import is_better
from sluice.decision.signers import describe, kind_of, may_say, permitted_signer
from sluice.decision.statements import ordered
from sluice.evidence.evaluation import Evaluation
from sluice.evidence.lineage import datasets_of, makings_of

if TYPE_CHECKING:
    from sluice.decision.model import Asked, Case, Policy, Result, Verdict
    from sluice.evidence.facts import Fact
    from sluice.evidence.lineage import Ingredient

_TRAINING: Final = (Kind.MODEL_SIGNATURE, Kind.PROVENANCE)
_SOMEBODY: Final = "somebody"
"""A member of a group, whoever that is."""


def check_impartially(asked: Asked, case: Case, decide: Callable[[Case], Verdict], measured: Callable[[Case], Result]) -> Result:
    """Check a requirement of type Evaluation. `measured` says what the evaluations of a case come to, `decide` gives the verdict on another release.

    Raises ValueError: the requirement lacks what the API server demands of it.
    """
    requirement = asked.requirement
    if requirement.contamination is not None and not requirement.suite_digests:
        raise ValueError("contamination needs suiteDigests")
    if not (requirement.distinct_from or requirement.suite_digests):
        return measured(case)
    # What the release is held against – its baseline, what it was made from – has to be fair like itself: one that looks bad is easy to reach.
    baseline, policies = case.lineage.baseline, usable(case)
    own, of_baseline, of_kin = (
        _Told(asked, facts, release.model_names if release is not None else frozenset(), policies)
        for facts, release in ((case.facts, case.release), (case.lineage.facts, baseline), (case.kin.facts, None))
    )
    result = measured(replace(case, facts=own.fair, lineage=replace(case.lineage, facts=of_baseline.fair), kin=replace(case.kin, facts=of_kin.fair)))
    if result.outcome is not Outcome.SATISFIED:
        partial, elsewhere = own.partial | of_baseline.partial | of_kin.partial, own.elsewhere | of_baseline.elsewhere | of_kin.elsewhere
        return _explained(asked, result, measured(case) if partial or elsewhere else result, partial=partial, elsewhere=elsewhere)
    return _uncontaminated(asked, case, result, decide) if requirement.contamination is not None else result


def _explained(asked: Asked, result: Result, before: Result, *, partial: Mapping[str, str], elsewhere: Mapping[str, str]) -> Result:
    """Say so when what was taken out is why a requirement is not met; `before` is what it came to with that."""
    if not is_better(before, result):
        return result
    # What it would have rested on is named; an evaluation of something else is no reason.
    used = [{digest: why for digest, why in found.items() if digest in before.evidence} for found in (partial, elsewhere)]
    if any(used):
        partial, elsewhere = used
    if partial:
        return asked.result(
            Outcome.FAILED, Reason.EvaluatorNotIndependent, f"who trained it evaluated it: {min(partial.values())}",
            remedy="have it evaluated by somebody who does not stand behind the signatures of the weights",
        )  # fmt: skip
    return asked.result(Outcome.FAILED, Reason.TestSetNotPinned, min(elsewhere.values()), remedy="evaluate on the cases that policy pins")


class _Told:
    """What facts come to once those are left out that a requirement does not believe. `names`: digests that all stand for one model."""

    def __init__(self, asked: Asked, facts: Sequence[Fact], names: frozenset[str], policies: Sequence[Policy]) -> None:
        pins = asked.requirement.suite_digests or {}
        evaluations = [fact for fact in ordered(facts) if kind_of(fact) is Kind.EVALUATION]
        distinct = SeparatedFrom.TRAINER in (asked.requirement.distinct_from or ())
        self.partial = {fact.bundle_digest: why for fact in evaluations if distinct and (why := _trained(fact, _beside(fact, facts, names), policies))}
        """Evaluations by those who trained, by bundle digest, with why."""
        self.elsewhere = {fact.bundle_digest: why for fact in evaluations if (why := _on_other_cases(fact, pins))}
        """Evaluations on other cases than policy pins, by bundle digest, with which."""
        self.fair = tuple(kept for fact in facts if fact.bundle_digest not in self.partial and (kept := _on_pinned(fact, pins)))


# Who measured.


def _beside(evaluation: Fact, facts: Sequence[Fact], names: frozenset[str]) -> list[Fact]:
    """Give what is said about the model that was evaluated."""
    model = evaluation.subjects | (names if evaluation.subjects & names else frozenset())
    return [fact for fact in facts if fact.subjects & model]


def _trained(evaluation: Fact, about: Sequence[Fact], policies: Sequence[Policy]) -> str | None:
    """Say how whoever signed an evaluation stands behind the weights, by what facts say `about` these; None when they do not."""
    signer = evaluation.signer
    # 1. The same key. A certificate's is used once; then the identity counts.
    for fact in ordered(about):
        if kind_of(fact) in _TRAINING and fact.signer.key_fingerprint == signer.key_fingerprint:
            return f"{describe(evaluation)} signed {kind_of(fact)} {fact.bundle_digest}"
    signed = {kind_of(fact) for fact in about}
    for allowed in (each for policy in policies for each in policy.spec.signers if signer.key is not None):
        could = [kind for kind in _TRAINING if kind not in signed and kind in allowed.may]
        if could and (allowed.trust_root, allowed.key) == (signer.trust_root, signer.key):
            return f"{allowed.name} could have made the missing {could[0]} statement"
    # 2. The same identity, and the people behind it.
    people = [Identity(username=signer.identity)] if signer.identity else []
    for operators in (by.operated_by for policy in policies if (by := permitted_signer(policy, evaluation)) and by.operated_by):
        people += [Identity(username=user) for user in operators.users]
        people += [Identity(username=_SOMEBODY, groups=[group]) for group in operators.groups]
    for person in people:
        if duty := duty_of(person, [SeparatedFrom.TRAINER], about, policies):
            return f"{person.groups[0] if person.groups else person.username} {duty}"
    return None


# On which cases.


def _on_other_cases(fact: Fact, pins: Mapping[str, str]) -> str | None:
    """Say which cases a suite was measured on that policy pins otherwise; None when there is no such suite."""
    measured = fact.content.measurements if isinstance(fact.content, Evaluation) else ()
    for each in measured:
        if pins.get(each.suite, each.suite_digest) != each.suite_digest:
            return f"{each.suite} was measured on {each.suite_digest or 'cases that nobody named by digest'}; policy pins {pins[each.suite]}"
    return None


def _on_pinned(fact: Fact, pins: Mapping[str, str]) -> Fact | None:
    """Leave out what was measured on other cases; None when nothing is left."""
    if not pins or not isinstance(fact.content, Evaluation):
        return fact
    kept = tuple(each for each in fact.content.measurements if pins.get(each.suite, each.suite_digest) == each.suite_digest)
    return replace(fact, content=replace(fact.content, measurements=kept)) if kept else None


# Whether the model had seen them.


def _uncontaminated(asked: Asked, case: Case, result: Result, decide: Callable[[Case], Verdict]) -> Result:
    pins = {digest: suite for suite, digest in sorted((asked.requirement.suite_digests or {}).items())}
    models = [artifact for artifact in case.release.spec.artifacts if artifact.type in MODELS]
    # 1. Nothing that went into the weights is a test set, by whatever part it went in, and whichever statement says so.
    aliases = _Aliases(asked, case)
    for ingredient, fact in _ingredients(asked, case):
        if seen := sorted(pins.keys() & aliases.of(ingredient)):
            name = f"{ingredient.name[:200]} ({min(ingredient.digests)})" if ingredient.name else min(ingredient.digests)
            return asked.result(
                Outcome.FAILED, Reason.TestSetTrainedOn,
                f"the test set of {pins[seen[0]]} ({seen[0]}) went into the weights, as {name}: so says {describe(fact)}",
                remedy="evaluate on cases that the model was not trained on, or apply a new ModelRelease that was trained without them",
                evidence=(fact.bundle_digest,),
            )  # fmt: skip
    # 2. And it is known what did.
    walk = Walk(asked, case, needs=frozenset({Origin.DATASET}), dataset=_with_digest, decide=decide)
    link = Link()
    for artifact in models:
        link &= walk.back_from(artifact)
    if link.reason is not None:
        return asked.result(Outcome.MISSING, link.reason, f"whether the model had seen its test set is not known: {link.message}", remedy=link.remedy)
    names = ", ".join(sorted(pins.values()))
    return replace(
        result, message=f"{result.message}; the weights were made without the test set of {names}", evidence=tuple(sorted({*result.evidence, *link.evidence}))
    )


def _ingredients(asked: Asked, case: Case) -> Iterator[tuple[Ingredient, Fact]]:
    """Give all that went into the models of a release, and into what they were made of, along what permitted signers say; bounded like the kin itself."""
    makings = [(fact, making) for fact in ordered(case.kin.facts) if permitted_signer(asked.policy, fact) for making in makings_of(fact.content, fact.subjects)]
    reached, waiting = set(case.release.model_names), list(makings)
    while found := [item for item in waiting if item[1].products & reached]:
        waiting = [item for item in waiting if not item[1].products & reached]
        for fact, making in found:
            for ingredient in making.ingredients:
                reached |= ingredient.digests
                yield ingredient, fact


class _Aliases:
    """Other digests of a dataset: of the whole, of its parts, as somebody who may describes it."""

    def __init__(self, asked: Asked, case: Case) -> None:
        described = [fact for fact in case.kin.facts if may_say(asked.policy, fact, Kind.DATASET)]
        self._datasets = [dataset.digests for fact in described for dataset in datasets_of(fact.content)]

    def of(self, ingredient: Ingredient) -> frozenset[str]:
        return ingredient.digests.union(*(digests for digests in self._datasets if digests & ingredient.digests))


def _with_digest(ingredient: Ingredient, run: str) -> Link:
    if ingredient.digests:
        return Link()
    name = ingredient.name[:200] or "a dataset"
    return Link(reason=Reason.LineageMissing, message=f"dataset {name} of {run} is named without a digest", remedy="sign provenance that names its digest")
