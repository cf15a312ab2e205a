"""Held against another model: may a release be said to be worse than what it is compared with by no more than policy allows.

Each value of a field that the *other's* run has is compared, so that a slice that looks bad cannot be left out of the release's. Both runs are part of the
evidence that people sign off.

Two errors, both kept: a release passes only when each comparison shows it to be within the margin, so it passes wrongly with at most 1 − confidence
(Berger 1982, intersection-union); it is refused only for what Holm's procedure rejects over all comparisons of two runs, so it is refused wrongly with
at most that. In between nothing is known yet: it is held, and told how many cases would decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sluice.api.release import Outcome
from sluice.decision.comparison import FEWEST, Difference, compare, holm
from sluice.decision.measured import Numbers, in_words, is_proportion, named, suite_of
from sluice.decision.reasons import Reason

if TYPE_CHECKING:
    from sluice.api.measure import Measure
    from sluice.decision.model import Asked, Result
    from sluice.decision.references import Reference
    from sluice.evidence.measurement import Measurement

_SHOWN: Final = 4
"""Comparisons that a message tells one by one, the worst first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Comparison:
    measure: Measure
    ours: Measurement
    theirs: Measurement
    difference: Difference

    @property
    def where(self) -> str:
        where = self.ours.slice or "all cases"
        return where if self.measure.family is None else f"{self.ours.metric} of {self.ours.suite}, {where},"

    @property
    def margin(self) -> float:
        return float(self.measure.not_worse_than_baseline_by or 0)

    @property
    def numbers(self) -> str:
        d = self.difference
        how = f"{d.cases:,} pairs, {d.gained:,} better and {d.lost:,} worse" if d.paired else f"{d.cases:,} cases, not paired"
        return f"{self.where} {self.ours.value:.4f} against {self.theirs.value:.4f}, a difference of at least {d.lower:+.4f} ({how})"

    @property
    def to_decide(self) -> str:
        if self.difference.cases < FEWEST:
            return f"fewer than {FEWEST} cases show nothing"
        n = self.difference.cases_to_decide(self.margin, confidence=float(self.measure.confidence))
        return f"about {n:,} cases would decide" if n else "more cases would show it to be worse"


def hold_against(asked: Asked, measures: Sequence[Measure], ours: Numbers, reference: Reference) -> list[Result]:
    """Hold one run of the candidate against one of the baseline: a result for each of `measures`, all of which name `notWorseThanBaselineBy`."""
    theirs = Numbers.of_fact(reference.fact, asked)
    compared = [_compared(asked, measure, ours, theirs) for measure in measures]
    flat = [each for found in compared if isinstance(found, list) for each in found]
    # 1. Over all of them: some of many would look worse by chance.
    alphas = [1 - float(each.measure.confidence) for each in flat]
    worse = holm([each.difference.p_worse for each in flat], min(alphas, default=0.0))
    rejected = {id(each) for each, is_worse in zip(flat, worse, strict=True) if is_worse}
    # 2. Measure by measure.
    evidence = (ours.fact.bundle_digest, reference.fact.bundle_digest)
    return [
        _told(asked, measure, found, rejected=rejected, baseline=reference.name, of_all=len(flat), evidence=evidence) if isinstance(found, list) else found
        for measure, found in zip(measures, compared, strict=True)
    ]


def _compared(asked: Asked, measure: Measure, ours: Numbers, theirs: Numbers) -> list[_Comparison] | Result:
    found = []
    for baseline in _asked_of(measure, theirs):
        what = named(measure, baseline)
        if measure.family is None and baseline.slice and not measure.slice:
            what += f" where {baseline.slice}"
        candidate = ours.same(baseline)
        if candidate is None:
            return asked.result(
                Outcome.MISSING, Reason.MeasureMissing, f"the baseline's evaluation has {what}, and this one has not",
                remedy=f"evaluate it on all cases of {baseline.suite} and apply the signed result as ReleaseEvidence",
            )  # fmt: skip
        for each in (candidate, baseline):
            if not is_proportion(each):
                return asked.result(Outcome.FAILED, Reason.MetricOutOfRange, f"{what} is {each.value} over {each.samples} samples, or scores are not in [0, 1]")
        if (differs := _other_cases(candidate, baseline)) is not None:
            return asked.result(
                Outcome.MISSING, Reason.TestSetDiffers, f"{what}: {differs}",
                remedy="evaluate the release and its baseline on the same cases, and apply both signed results as ReleaseEvidence",
            )  # fmt: skip
        difference = compare(
            candidate, baseline, margin=float(measure.not_worse_than_baseline_by or 0), confidence=float(measure.confidence),
            lower_is_better=theirs.lower_is_better(measure, baseline),
        )  # fmt: skip
        found.append(_Comparison(measure=measure, ours=candidate, theirs=baseline, difference=difference))
    return found


def _asked_of(measure: Measure, theirs: Numbers) -> Iterator[Measurement]:
    yield from theirs.of(measure)
    for field in measure.slices or ():
        yield from theirs.values_of(measure, field)


def _other_cases(ours: Measurement, theirs: Measurement) -> str | None:
    """Say how two runs are about other cases; None when nothing shows that they are."""
    if ours.suite_digest != theirs.suite_digest:
        return f"its cases have digest {ours.suite_digest or '(none)'}, the baseline's {theirs.suite_digest or '(none)'}"
    if ours.samples != theirs.samples:
        return f"it was measured on {ours.samples:,} cases, the baseline on {theirs.samples:,}"
    if ours.answers is not None and theirs.answers is not None and ours.answers.cases != theirs.answers.cases:
        return "the cases of the two have other names"
    return None


def _told(
    asked: Asked, measure: Measure, found: Sequence[_Comparison], *, rejected: set[int], baseline: str, of_all: int, evidence: tuple[str, ...],
) -> Result:  # fmt: skip
    head = f"{in_words(measure)} beside {baseline}"
    allowed = f"policy allows {measure.not_worse_than_baseline_by} at {measure.confidence}"
    worse = [each for each in found if id(each) in rejected]
    to_show = f", in each of {len(found)} comparisons" if len(found) > 1 else ""
    if worse:
        return asked.result(
            Outcome.FAILED, Reason.WorseThanBaseline,
            f"{head} is worse: {_listed(worse, lambda each: each.numbers)}; {allowed}, over {of_all} comparisons (Holm)",
            remedy="improve the model and apply a new ModelRelease", evidence=evidence,
        )  # fmt: skip
    unknown = [each for each in found if not each.difference.is_within(float(measure.confidence))]
    if unknown:
        told = _listed(unknown, lambda each: f"{each.numbers}: {each.to_decide}")
        return asked.result(
            Outcome.MISSING, Reason.EvaluationInconclusive, f"{head} is neither shown to be worse nor not to be: {told}; {allowed}{to_show}",
            remedy=f"evaluate both on more cases of {suite_of(measure)}, or allow small slices more with a measure of their own", evidence=evidence,
        )  # fmt: skip
    slices = f", and so each alone in {len(found) - 1} {'slices' if measure.family is None else 'more'}" if len(found) > 1 else ""
    first = found[0]
    churn = f", {first.difference.churn:.1%} changed" if first.difference.paired else ""
    message = f"{head} is not worse: {first.numbers}{churn}{slices}; {allowed}"
    return asked.result(Outcome.SATISFIED, Reason.NotWorseThanBaseline, message, evidence=evidence)


def _listed(found: Sequence[_Comparison], words: Callable[[_Comparison], str]) -> str:
    worst = sorted(found, key=lambda each: (each.difference.p_worse, -each.difference.p_within, each.where))
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return "; ".join(words(each) for each in worst[:_SHOWN]) + more
