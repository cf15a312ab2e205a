"""What is a release held against: which run of which model. Nobody chooses.

Of the baseline it is the first run that meets what policy asks by itself. What was quantized, pruned or distilled is held against what it was made from, too,
as signed provenance names it: it is meant to be the same model, only smaller. A first release has nothing before it; its successors are held against it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sluice.api.policy import StatementKind as Kind
from sluice.api.release import Outcome
from sluice.decision.canary import first_release, not_there, of_another_model
from sluice.decision.measured import Numbers, about, in_words, suite_of
from sluice.decision.parents import OPTIMISED, parents_of
from sluice.decision.reasons import Reason
from sluice.decision.statements import who_may
from sluice.provenance.slsa import PREDICATE_TYPE

if TYPE_CHECKING:
    from sluice.api.measure import Measure
    from sluice.api.release import Artifact
    from sluice.decision.model import Asked, Case, Result, Verdict
    from sluice.evidence.facts import Fact

_SHOWN: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What a release is held against: one run of its baseline, or of the model that it was made from."""

    name: str
    fact: Fact


def references_for(
    asked: Asked, measures: Sequence[Measure], artifact: Artifact, case: Case, *, decide: Callable[[Case], Verdict], meets: Callable[[Numbers], bool],
) -> list[Reference] | Result:  # fmt: skip
    """Find the runs that `measures`, which one run has to meet, are held against; a result says why there is none, satisfied where none is needed.

    `decide` gives the verdict on another release at the same moment; `meets` tells whether a run has what policy asks for by itself.
    """

    def first_of(name: str, digest: str, facts: Iterable[Fact]) -> Reference | None:
        runs = about(asked, digest, facts)
        whole = [run for run in runs if all(_has(run, measure) for measure in measures)]
        return Reference(name=name, fact=next((run for run in whole if meets(run)), whole[0]).fact) if whole else None

    baseline = _of_the_baseline(asked, measures, artifact, case, decide=decide, first_of=first_of)
    if case.release.spec.change.type not in OPTIMISED or (not isinstance(baseline, Reference) and baseline.outcome is not Outcome.SATISFIED):
        return [baseline] if isinstance(baseline, Reference) else baseline
    parents = _of_the_parents(asked, measures, artifact, case, first_of)
    if not isinstance(parents, list):
        return parents
    both = [*([baseline] if isinstance(baseline, Reference) else []), *parents]
    return list({each.fact.bundle_digest: each for each in reversed(both)}.values())


_Finder = Callable[[str, str, Iterable["Fact"]], Reference | None]


def _of_the_baseline(
    asked: Asked, measures: Sequence[Measure], artifact: Artifact, case: Case, *, decide: Callable[[Case], Verdict], first_of: _Finder
) -> Reference | Result:  # fmt: skip
    named = case.release.spec.change.baseline
    if named is None:
        return first_release(asked, case, decide)
    if other := of_another_model(asked, case):
        return other
    baseline = case.lineage.baseline
    if baseline is None:
        return not_there(asked, named.name)
    if waits := case.lineage.unverified:
        return _unverified(asked, waits, f"the baseline {named.name}")
    alike = [each for each in baseline.spec.artifacts if each.type is artifact.type]
    counterpart = next((each for each in alike if each.name == artifact.name), alike[0] if len(alike) == 1 else None)
    found = first_of(named.name, counterpart.digest, case.lineage.facts) if counterpart else None
    return found or _unmeasured(asked, measures, f"the baseline {named.name}", f"{artifact.name} of {named.name}")


def _of_the_parents(asked: Asked, measures: Sequence[Measure], artifact: Artifact, case: Case, first_of: _Finder) -> list[Reference] | Result:
    """What was optimised is held against what it was made from, as signed provenance says: it shall be the same model, only smaller."""
    change = case.release.spec.change.type
    if waits := case.kin.unverified:
        return _unverified(asked, waits, "what it was made from")
    parents = parents_of(asked.policy, artifact, case)
    if not parents:
        return asked.result(
            Outcome.MISSING, Reason.ParentUnknown, f"{artifact.name} {artifact.digest} came about by {change}, and no provenance names its base model",
            remedy=f"sign provenance ({PREDICATE_TYPE}) of {artifact.digest} as {who_may(asked.policy, Kind.PROVENANCE)}, "
            "with the annotation sluice.dev/role: BaseModel on the dependency that it was made from",
        )  # fmt: skip
    names = {digest: kin.release.name for kin in case.kin.releases for digest in kin.release.model_names}
    found = [first_of(f"{names.get(digest, digest)}, which it was made from", digest, case.kin.facts) for digest in sorted(parents)]
    measured = [each for each in found if each is not None]
    return measured or _unmeasured(asked, measures, f"{', '.join(sorted(parents))}, which it was made from,", "it")


def _unverified(asked: Asked, waits: Sequence[str], what: str) -> Result:
    """Which run is the first is not known before all are."""
    return asked.result(
        Outcome.MISSING, Reason.EvidenceUnverified, f"ReleaseEvidence {', '.join(waits[:_SHOWN])} about {what} is being verified",
        remedy="nothing to do; it takes seconds",
    )  # fmt: skip


def _unmeasured(asked: Asked, measures: Sequence[Measure], what: str, to_evaluate: str) -> Result:
    wanted = ", ".join(in_words(measure) + (f" by {' and '.join(measure.slices)}" if measure.slices else "") for measure in measures)
    return asked.result(
        Outcome.MISSING, Reason.BaselineNotMeasured, f"no evaluation of {what} has {wanted}: there is nothing to compare with",
        remedy=f"evaluate {to_evaluate} on {suite_of(measures[0])} and apply the signed result as ReleaseEvidence",
    )  # fmt: skip


def _has(run: Numbers, measure: Measure) -> bool:
    return run.lacks(measure) is None and all(run.values_of(measure, field) for field in measure.slices or ())
