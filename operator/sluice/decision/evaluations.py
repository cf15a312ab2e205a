"""The requirement of type Evaluation: numbers that verified evaluations must reach.

Any one run that satisfies is enough, but all measures of one suite have to be met by one run: or somebody could take the best number of each. Where a
measure asks for a family, one run meets the whole requirement: which suites a family comes to says the run, and two could each show the better half of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from math import ceil
from statistics import NormalDist
from typing import TYPE_CHECKING

from sluice.api.durations import parse_duration
from sluice.api.policy import StatementKind as Kind
from sluice.api.release import Outcome
from sluice.decision.envelope import hold_against
from sluice.decision.intervals import wilson
from sluice.decision.measured import Numbers, about, in_words, is_proportion, named, suite_of
from sluice.decision.model import Result
from sluice.decision.reasons import Reason
from sluice.decision.references import Reference, references_for
from sluice.decision.statements import SEVERITY, statement

if TYPE_CHECKING:
    from sluice.api.measure import Measure
    from sluice.api.release import Artifact
    from sluice.decision.instant import Instant
    from sluice.decision.model import Asked, Case, Verdict
    from sluice.evidence.facts import Fact
    from sluice.evidence.measurement import Measurement


def check_evaluation(asked: Asked, artifact: Artifact, case: Case, at: Instant, *, decide: Callable[[Case], Verdict]) -> list[Result]:
    """Hold what permitted signers measured of an artifact against each measure. `decide` gives the verdict on another release at the same moment."""
    found = statement(asked, artifact.digest, artifact.name, Kind.EVALUATION, case=case)
    if found.outcome is not Outcome.SATISFIED:
        return [found]
    runs = about(asked, artifact.digest, case.facts)
    results = []
    for measures in _by_one_run(asked.requirement.measures or ()):
        alone = [measure for measure in measures if measure.not_worse_than_baseline_by is None]
        beside = [measure for measure in measures if measure.not_worse_than_baseline_by is not None]
        meets = partial(_meets, asked, alone, at)
        references = references_for(asked, beside, artifact, case, decide=decide, meets=meets) if beside else []
        # A run that has not all of it says nothing about a release: it must not stand before one that does.
        whole = [run for run in runs if not _lacking(asked, measures, run, runs)]
        if whole:
            results += _best([*_alone(asked, alone, run, at), *_beside(asked, beside, run, references, at)] for run in whole)
        else:
            results += _best(_lacking(asked, measures, run, runs) for run in runs)
    return results


def _by_one_run(measures: Iterable[Measure]) -> Iterable[list[Measure]]:
    """Group measures by what one run has to meet."""
    listed = list(measures)
    if any(measure.family for measure in listed):
        return [listed]
    suites: dict[str | None, list[Measure]] = {}
    for measure in listed:
        suites.setdefault(measure.suite, []).append(measure)
    return suites.values()


def _best(of_each: Iterable[list[Result]]) -> list[Result]:
    """Of the runs, the first whose worst results are the mildest. None is milder than one that has all, so nobody looks further."""
    best: list[Result] = []
    for results in of_each:
        if not best or _from_worst(results) < _from_worst(best):
            best = results
        if not any(_from_worst(best)):
            break
    return best


def _from_worst(results: Iterable[Result]) -> list[int]:
    return sorted(map(_severity, results), reverse=True)


def _meets(asked: Asked, measures: Sequence[Measure], at: Instant, run: Numbers) -> bool:
    """Whether a run reached what policy asks for by itself, whatever its age."""
    fresh = [measure.model_copy(update={"max_age": None}) for measure in measures]
    return not any(run.lacks(measure) for measure in fresh) and all(result.outcome is Outcome.SATISFIED for result in _alone(asked, fresh, run, at))


def _lacking(asked: Asked, measures: Sequence[Measure], run: Numbers, runs: Sequence[Numbers]) -> list[Result]:
    """Say what a run does not measure; empty when it has all of it."""
    results = []
    for measure in measures:
        what = run.lacks(measure)
        if what is None:
            continue
        elsewhere = any(other.lacks(measure) is None for other in runs)
        whole = f"asked of {measure.suite}" if not any(each.family for each in measures) else "asked by this requirement"
        results.append(asked.result(
            Outcome.MISSING, Reason.MeasureMissing,
            f"no evaluation has {what}" + (f" and all else that is {whole}: one run has to have both" if elsewhere else f"; it has {run.has}"),
            remedy=f"evaluate it on {suite_of(measure)} and apply the signed result as ReleaseEvidence",
        ))  # fmt: skip
    return results


def _alone(asked: Asked, measures: Sequence[Measure], run: Numbers, at: Instant) -> list[Result]:
    """Hold one run against each measure; the worst of its numbers, of a family or where answers were taken out of the model's text in several ways."""
    return [_of_all([_held(asked, measure, run, each, at) for each in run.of(measure)]) for measure in measures]


def _of_all(results: Sequence[Result]) -> Result:
    worst = max(results, key=_severity)
    alike = sum(result.outcome is worst.outcome for result in results) - 1
    return replace(worst, message=f"{worst.message}; {alike} more likewise") if alike else worst


def _beside(asked: Asked, measures: Sequence[Measure], run: Numbers, references: Sequence[Reference] | Result, at: Instant) -> list[Result]:
    """Hold one run against each that it is to be compared with; the worst result of each measure."""
    if isinstance(references, Result):
        # A first release is what its successors are held against.
        compared = [[replace(references, evidence=(run.fact.bundle_digest,)) for _ in measures]]
    else:
        compared = [hold_against(asked, measures, run, reference) for reference in references]
    return [_enough(asked, measure, run, _joined(results), at) for measure, results in zip(measures, zip(*compared, strict=True), strict=False)]


def _joined(results: Sequence[Result]) -> Result:
    worst = max(results, key=_severity)
    same = [result for result in results if result.outcome is worst.outcome]
    evidence = sorted({digest for result in results for digest in result.evidence})
    return replace(worst, message="; ".join(dict.fromkeys(result.message for result in same)), evidence=tuple(evidence))


def _enough(asked: Asked, measure: Measure, run: Numbers, result: Result, at: Instant) -> Result:
    fewest = min(each.samples for each in run.of(measure))
    return _too_few(asked, measure, fewest) if fewest < (measure.samples_at_least or 0) else _reached(asked, measure, run.fact, result, at)


def _too_few(asked: Asked, measure: Measure, samples: int) -> Result:
    return asked.result(
        Outcome.MISSING, Reason.TooFewSamples, f"{in_words(measure)} rests on {samples:,} samples: policy asks for {measure.samples_at_least:,}",
        remedy=f"evaluate on more samples of {suite_of(measure)} and apply the signed result as ReleaseEvidence",
    )  # fmt: skip


def _held(asked: Asked, measure: Measure, run: Numbers, measurement: Measurement, at: Instant) -> Result:
    what, n, fact = named(measure, measurement), measurement.samples, run.fact
    if not is_proportion(measurement):
        return asked.result(Outcome.FAILED, Reason.MetricOutOfRange, f"{what} is {measurement.value} over {n} samples, or scores are not in [0, 1]",
                            remedy=f"have {suite_of(measure)} scored by shares between 0 and 1, and apply the signed result as ReleaseEvidence")  # fmt: skip
    if n < (measure.samples_at_least or 0):
        return _too_few(asked, measure, n)
    if measure.family is not None and measure.at_most is not None:
        raise ValueError("atMost goes with suite: of a family 1 is best")
    confidence = float(measure.confidence)
    lower, upper = wilson(measurement.value, n, confidence)
    least, most = measure.at_least, measure.at_most
    if least is not None and run.lower_is_better(measure, measurement):
        # What a family asks for is the other half of what this tool counts.
        most = str(1 - Decimal(least))
        least = None
    if least is not None:
        threshold, bound, asks = float(least), lower, f"≥ {least}"
        met, room = lower >= threshold, measurement.value - threshold
    else:
        threshold, bound, asks = float(most or 0), upper, f"≤ {most}"
        met, room = upper <= threshold, threshold - measurement.value
    numbers = f"{what} is {measurement.value:.4f} over {n} samples, bound {bound:.4f} at {measure.confidence}"
    if not met and room <= 0:
        return asked.result(Outcome.FAILED, Reason.ThresholdMissed, f"{numbers}: policy asks {asks}",
                      remedy="improve the model and apply a new ModelRelease", evidence=(fact.bundle_digest,))  # fmt: skip
    if not met:
        # The bound of Wilson, solved for the number of samples.
        enough = ceil(NormalDist().inv_cdf(confidence) ** 2 * threshold * (1 - threshold) / room**2)
        return asked.result(
            Outcome.MISSING, Reason.EvaluationInconclusive, f"{numbers}: policy asks {asks}; {enough:,} samples would do, were it still so",
            remedy=f"evaluate on more samples of {suite_of(measure)} and apply the signed result as ReleaseEvidence", evidence=(fact.bundle_digest,),
        )  # fmt: skip
    passed = asked.result(Outcome.SATISFIED, Reason.EvaluationPassed, f"{numbers} {asks}", evidence=(fact.bundle_digest,))
    return _reached(asked, measure, fact, passed, at)


def _reached(asked: Asked, measure: Measure, fact: Fact, result: Result, at: Instant) -> Result:
    """Let a result stand while the evaluation is not too old."""
    if result.outcome is not Outcome.SATISFIED or measure.max_age is None:
        return result
    what = in_words(measure)
    if fact.signed_at is None:
        return asked.result(Outcome.FAILED, Reason.AgeUnknown, f"{what} must not be older than {measure.max_age}, and the signature has no trusted time",
                            remedy="have it signed again with a time that somebody vouches for: sluice sign statement --keyless (docs/verify.md)")  # fmt: skip
    ends = fact.signed_at + parse_duration(measure.max_age)
    if at.has_come(ends):
        return asked.result(Outcome.EXPIRED, Reason.EvidenceExpired, f"{what} is older than {measure.max_age} since {ends.isoformat()}",
                      remedy=f"evaluate again on {suite_of(measure)} and apply the signed result as ReleaseEvidence")  # fmt: skip
    return result


def _severity(result: Result) -> int:
    return SEVERITY.index(result.outcome)
