"""RefusalLowered: whether a release refuses less often than its baseline, by the measures that a policy names for it.

Numbers of verified evaluations by signers of the policy, point against point: what is added here are requirements, and their tests decide with confidence.
A number that is missing, or is no rate, on either side is a difference: nobody knows that it was not lowered.

Artifacts that answers come from are compared by name. Of the baseline's runs the earliest counts, which a run that is added later does not move. Of the
candidate's any one may show that it still refuses. So a release that is its baseline's twin has lowered nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from sluice.api.policy import StatementKind as Kind
from sluice.api.release import ArtifactType
from sluice.api.trigger import RefusalMeasure, SecurityChange, Trigger
from sluice.decision.changes import Change
from sluice.decision.model import MODELS, Case, Policy
from sluice.decision.signers import kind_of, permitted_signer
from sluice.decision.statements import ordered
from sluice.evidence.evaluation import Evaluation

if TYPE_CHECKING:
    from sluice.api.release import Artifact
    from sluice.evidence.facts import Fact
    from sluice.evidence.measurement import Measurement

_ANSWERS: Final = MODELS | {ArtifactType.PROMPT}
"""What an answer comes from, and an evaluation speaks of."""


def lowered_refusals(trigger: Trigger, policy: Policy, case: Case, baseline: Case | None) -> Iterator[Change]:
    """Give a change for each measure of the trigger that is lower than the baseline's, or is not known. Neither case has facts that count no more."""
    for measure in trigger.refusal or ():
        what = _in_words(measure, policy)
        for why in _lowered(measure, policy, case, baseline):
            yield Change(kind=SecurityChange.REFUSAL_LOWERED, detail=f"{what}: {why}")


def _in_words(measure: RefusalMeasure, policy: Policy) -> str:
    """Name a measure, and what it is about: tools' names of suites and metrics say that to few."""
    field, _, _ = (measure.slice or "").partition("=")
    families = policy.families.called(measure.suite, measure.metric, by=field)
    family = f" ({', '.join(families)})" if families else ""
    return f"{measure.metric} of {measure.suite}{family}" + (f" where {measure.slice}" if measure.slice else "")


def _lowered(measure: RefusalMeasure, policy: Policy, case: Case, baseline: Case | None) -> Iterator[str]:
    answering = [artifact for artifact in case.release.spec.artifacts if artifact.type in _ANSWERS]
    if baseline is None or not answering:
        yield "there is no baseline to hold it against" if baseline is None else "the release has nothing that answers come from"
        return
    name, counterparts = baseline.release.name, {artifact.name: artifact for artifact in baseline.release.spec.artifacts if artifact.type in _ANSWERS}
    for artifact in answering:
        counterpart = counterparts.get(artifact.name)
        before = _runs(measure, policy, baseline, counterpart)[:1] if counterpart else []
        after = _runs(measure, policy, case, artifact)
        if not before:
            yield f"{artifact.name}: not known of {name}, which it is held against"
        elif not after:
            yield f"{artifact.name}: not known; {name} has {before[0]:.4f}"
        elif max(after) + Decimal(measure.tolerance) < before[0]:
            yield f"{artifact.name}: {before[0]:.4f} of {name} → {max(after):.4f}"


def _runs(measure: RefusalMeasure, policy: Policy, case: Case, artifact: Artifact) -> list[Decimal]:
    """Give the rate in each run about an artifact, the earliest first; the lowest where answers were taken out of the text in several ways."""
    about = ordered(fact for fact in case.facts if kind_of(fact) is Kind.EVALUATION and artifact.digest in fact.subjects)
    return [min(numbers) for fact in about if permitted_signer(policy, fact) and (numbers := _numbers(fact, measure))]


def _numbers(fact: Fact, measure: RefusalMeasure) -> list[Decimal]:
    """Give the numbers of one run; none when one of them is no rate."""
    content = fact.content
    asked = [one for one in content.measurements if _is_asked_for(one, measure)] if isinstance(content, Evaluation) else []
    return [Decimal(str(one.value)) for one in asked] if all(0 <= one.value <= 1 and one.samples > 0 for one in asked) else []


def _is_asked_for(measurement: Measurement, measure: RefusalMeasure) -> bool:
    named = measure.metric in {measurement.metric, f"{measurement.metric},{measurement.filter}"}
    return named and (measurement.suite, measurement.slice) == (measure.suite, measure.slice or "")
