"""The requirement of type Canary: scored beside its baseline, on the suite that policy names, and not found worse.

A run counts for exactly the release, baseline and suite that it pinned, and for terms that are no looser than what policy asks now. A roll-back counts
for ever, for whatever it was asked: there is no second try at the same release. A suite that counts recorded pairs needs a signed recording (`recordings`); a
promotion on one holds while somebody who may vouches for it.

Who is compared with whom: the baseline that the release names, when that one is entitled to serve itself. A release that names none is the first of its
model; it stays the first when others that descend from it serve. One that names none although another is entitled left it out to skip the comparison.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sluice.api.canary import CanaryDecision, OnInconclusive
from sluice.api.release import Outcome
from sluice.decision.model import Allowance
from sluice.decision.reasons import Reason
from sluice.decision.recordings import choose, no_recording, pinned_as, pinned_by, pinned_digest, vouched_for
from sluice.decision.runs import InvalidRun, Run, Suite, Terms
from sluice.decision.signers import describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sluice.api.recording import Recording
    from sluice.decision.instant import Instant
    from sluice.decision.model import Asked, Case, Release, Result, Verdict
    from sluice.decision.recordings import Vouched

_SHOWN = 19
"""Characters of a digest in a message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A run that a policy asks for and that is not there: all that it has to pin."""

    policy: str
    requirement: str
    release: str
    release_digest: str
    baseline: str
    baseline_digest: str
    suite: str
    suite_digest: str
    terms: Terms
    recording: Recording | None = None
    """What is counted, where the suite asks nobody."""


def rolled_back_by(case: Case) -> Run | None:
    """Return the run that rolled this very release back, if one did."""
    return next((run for run in _about(case) if run.decision is CanaryDecision.ROLL_BACK), None)


def rolled_back(run: Run, namespace: str) -> tuple[Reason, str, str]:
    """Give reason, message and remedy of a release that a run of its namespace rolled back."""
    why = f" ({run.reason})" if run.reason else ""
    message = f"CanaryRun {run.name} rolled it back{why}: it was scored beside {run.spec.baseline.name} on suite {run.spec.suite.name}"
    return Reason.CanaryRolledBack, message, f"look at kubectl describe mcr/{run.name} -n {namespace}, and apply a new ModelRelease"


def check_canary(asked: Asked, case: Case, decide: Callable[[Case], Verdict], at: Instant) -> Result:
    """Check a requirement of type Canary. `decide` gives the verdict on another release at the same moment.

    Raises ValueError: the requirement lacks what the API server demands of it.
    """
    # 1. A roll-back is for ever, and a run that cannot be read might be one.
    if (run := rolled_back_by(case)) is not None:
        reason, message, remedy = rolled_back(run, case.release.namespace)
        return replace(asked.result(Outcome.FAILED, reason, message, remedy=remedy), run=run.name)
    if (unreadable := next((run for run in case.runs if isinstance(run, InvalidRun)), None)) is not None:
        look = f"kubectl describe mcr/{unreadable.name} -n {case.release.namespace}"
        return asked.result(
            Outcome.MISSING, Reason.CanaryRunInvalid, f"CanaryRun {unreadable.name} cannot be read: {unreadable.problem}",
            remedy=f"the platform team looks at it, and deletes it when it is none of a roll-back: {look}",
        )  # fmt: skip
    # 2. The first release of a model has nothing to be compared with.
    named = case.release.spec.change.baseline
    if named is None:
        return first_release(asked, case, decide)
    if other := of_another_model(asked, case):
        return other
    baseline = case.lineage.baseline
    # 3. What it has to be scored on.
    suite = _suite(asked, case)
    terms = Terms.of_requirement(asked.requirement)
    wanted = (asked.requirement.suite.digest if asked.requirement.suite else None) or (suite.digest if isinstance(suite, Suite) else "")
    runs = [run for run in _about(case) if _matches(run, asked, wanted, named.name, baseline)]
    vouched = vouched_for(asked, case, wanted, baseline, at)
    # 4. A promotion holds while what it pinned is what policy asks: the baseline may have ended its own service since.
    counting = [run for run in runs if run.spec.recording is None or pinned_by(run, vouched)]
    if (run := _decided(counting, CanaryDecision.PROMOTE, lambda kept: kept.no_looser_than(terms))) is not None:
        return _passed(asked, run, pinned_by(run, vouched))
    if (run := _decided(runs, CanaryDecision.INCONCLUSIVE, lambda kept: kept == terms)) is not None:
        return replace(_inconclusive(asked, run, case.release.namespace), run=run.name)
    if not isinstance(suite, Suite):
        return suite
    # 5. Never beside, nor back to, what is not entitled itself.
    if baseline is None or case.lineage.standing is None:
        return not_there(asked, named.name)
    standing = decide(case.lineage.standing)
    if standing.allows is not Allowance.SERVE:
        return not_entitled(asked, baseline.name, standing, namespace=baseline.namespace)
    return _to_score(asked, case, suite, baseline, choose(runs, vouched), runs)


def _to_score(asked: Asked, case: Case, suite: Suite, baseline: Release, chosen: Vouched | None, runs: Sequence[Run]) -> Result:  # noqa: PLR0917 - private
    """Say what has to be scored, or which run does it. `runs` are those about this candidate, baseline and suite."""
    if suite.counts_pairs and chosen is None:
        return no_recording(asked, case, suite, baseline)
    recording = pinned_as(*chosen) if suite.counts_pairs and chosen else None
    terms = Terms.of_requirement(asked.requirement)
    due = Due(
        policy=asked.policy.name, requirement=asked.requirement.name, release=case.release.name, release_digest=case.release.digest,
        baseline=baseline.name, baseline_digest=baseline.digest, suite=suite.name, suite_digest=suite.digest, terms=terms, recording=recording,
    )  # fmt: skip
    under_way = [run for run in runs if pinned_digest(run) == (recording.digest if recording else None)]
    if (run := _decided(under_way, CanaryDecision.PENDING, lambda kept: kept == terms)) is not None:
        if run.unproven:
            return replace(_unproven(asked, run), run=run.name)
        message = f"CanaryRun {run.name} compares it with {baseline.name} on suite {suite.name}"
        look = f"kubectl get mcr/{run.name} -n {case.release.namespace}"
        waiting = asked.result(Outcome.MISSING, Reason.CanaryRunning, message, remedy=f"nothing to do; {look} shows how far it is")
        return replace(waiting, run=run.name, due=due)
    message = f"it has not been scored beside {baseline.name} on suite {suite.name} {suite.digest[:_SHOWN]}…"
    remedy = "apply the workload that names the release: the run starts by itself"
    return replace(asked.result(Outcome.MISSING, Reason.CanaryNotRun, message, remedy=remedy), due=due)


def _about(case: Case) -> Iterable[Run]:
    """Give the runs of this very release, the first by name first; one of a former release of the same name is about something else."""
    return (run for run in case.runs if isinstance(run, Run) and run.spec.release_digest == case.release.digest)


def _matches(run: Run, asked: Asked, suite_digest: str, named: str, baseline: Release | None) -> bool:
    reference = asked.requirement.suite
    return (
        reference is not None
        and (run.spec.suite.name, run.spec.suite_digest) == (reference.name, suite_digest)
        and run.spec.baseline.name == named
        # A baseline that is gone cannot have become another one.
        and (baseline is None or run.spec.baseline_digest == baseline.digest)
    )


def _decided(runs: Iterable[Run], decision: CanaryDecision, keeps: Callable[[Terms], bool]) -> Run | None:
    return next((run for run in runs if run.decision is decision and keeps(Terms.of_run(run.spec))), None)


def _passed(asked: Asked, run: Run, vouched: Vouched | None) -> Result:
    message = f"CanaryRun {run.name}: not worse than {run.spec.baseline.name} on suite {run.spec.suite.name} {run.spec.suite_digest[:_SHOWN]}…"
    if vouched is None:
        return replace(asked.result(Outcome.SATISFIED, Reason.CanaryPassed, message), run=run.name)
    fact, said = vouched
    message = f"{message}, by recording {said.digest[:_SHOWN]}… signed by {describe(fact)}"
    return replace(asked.result(Outcome.SATISFIED, Reason.CanaryPassed, message, evidence=(fact.bundle_digest,)), run=run.name)


def _inconclusive(asked: Asked, run: Run, namespace: str) -> Result:
    why = f" ({run.reason})" if run.reason else ""
    message = f"CanaryRun {run.name} ended without a decision{why}"
    if asked.requirement.on_inconclusive is OnInconclusive.ROLL_BACK:
        return asked.result(Outcome.FAILED, Reason.CanaryInconclusive, f"{message}, and policy rolls back then", remedy="apply a new ModelRelease")
    waivers = " or ".join(asked.requirement.waivable_by or ())
    may = f"somebody in role {waivers} waives {asked.requirement.name}, or " if waivers else ""
    remedy = f"look at kubectl describe mcr/{run.name} -n {namespace}; {may}apply a new ModelRelease"
    return asked.result(Outcome.MISSING, Reason.CanaryInconclusive, message, remedy=remedy)


def _unproven(asked: Asked, run: Run) -> Result:
    return asked.result(
        Outcome.MISSING, Reason.CanaryUnproven, f"CanaryRun {run.name} says Promote, and that counts for nothing: {run.unproven}",
        remedy=f"the platform team finds out who wrote it, or publishes the key that signed it, or deletes the run, and it is scored anew: mcr/{run.name}",
    )  # fmt: skip


def _suite(asked: Asked, case: Case) -> Suite | Result:
    reference = asked.requirement.suite
    if reference is None:
        raise ValueError("type Canary needs suite, margin, planned and maxDuration")
    found = case.suites.get(reference.name)
    where = f"namespace {case.release.namespace}"
    if found is None:
        return asked.result(
            Outcome.MISSING, Reason.SuiteNotFound, f"there is no ScoringSuite {reference.name} in {where}",
            remedy=f"apply the ScoringSuite {reference.name}" + (f" with digest {reference.digest}" if reference.digest else ""),
        )  # fmt: skip
    if not isinstance(found, Suite):
        return _bad_suite(asked, reference.name, f"it cannot be read: {found}")
    if reference.digest not in {None, found.digest}:
        return asked.result(
            Outcome.MISSING, Reason.SuiteNotPermitted,
            f"ScoringSuite {found.name} in {where} has digest {found.digest}; policy {asked.policy.name} pins {reference.digest}",
            remedy="replace it by the suite that policy pins, or ask the platform team to pin this one",
        )  # fmt: skip
    if found.problem:
        return _bad_suite(asked, found.name, found.problem)
    if unknown := sorted({*(asked.requirement.margins or ())} - found.metrics):
        return _bad_suite(asked, found.name, f"policy {asked.policy.name} gives a margin for {', '.join(unknown)}, and no scorer that compares is called so")
    if found.counts_pairs and asked.requirement.exposure:
        return _bad_suite(
            asked, found.name, f"it counts recorded pairs, for which no Pod is made, and policy {asked.policy.name} exposes one to users (exposure)"
        )
    return found


def _bad_suite(asked: Asked, name: str, problem: str) -> Result:
    return asked.result(Outcome.MISSING, Reason.SuiteInvalid, f"ScoringSuite {name}: {problem}", remedy=f"delete it, and apply one that is right: mss/{name}")


def of_another_model(asked: Asked, case: Case) -> Result | None:
    """Say that the baseline is a release of another model; None when it is not, or is not there."""
    baseline, model = case.lineage.baseline, case.release.spec.model
    if baseline is None or baseline.spec.model == model:
        return None
    return asked.result(
        Outcome.FAILED, Reason.BaselineOfAnotherModel, f"its baseline {baseline.name} is of model {baseline.spec.model}, not {model}",
        remedy="apply a new ModelRelease whose spec.change.baseline is a release of the same model",
    )  # fmt: skip


def not_entitled(asked: Asked, name: str, verdict: Verdict, *, namespace: str) -> Result:
    """Say that the baseline may not serve itself, and why."""
    why = f" ({verdict.open[0].requirement}: {verdict.open[0].reason})" if verdict.open else ""
    return asked.result(
        Outcome.MISSING, Reason.BaselineNotEntitled, f"its baseline {name} is not entitled to serve{why}: nothing is compared with it, nor rolled back to it",
        remedy=f"complete the baseline (kubectl describe mr/{name} -n {namespace}), or apply a new ModelRelease with another one",
    )  # fmt: skip


def not_there(asked: Asked, name: str) -> Result:
    """Say that there is no such baseline."""
    return asked.result(
        Outcome.MISSING, Reason.BaselineNotEntitled, f"its baseline {name} is not there",
        remedy=f"apply the ModelRelease {name}, or a new ModelRelease with another baseline",
    )  # fmt: skip


def first_release(asked: Asked, case: Case, decide: Callable[[Case], Verdict]) -> Result:
    """Check that a release that names no baseline is the first of its model, and did not just leave it out."""
    model = case.release.spec.model
    for rival in case.lineage.rivals:
        if decide(rival).allows is Allowance.SERVE:
            return asked.result(
                Outcome.FAILED, Reason.BaselineMissing, f"it names no baseline to be compared with, and {rival.release.name} of model {model} may serve",
                remedy=f"apply a new ModelRelease with spec.change.baseline.name: {rival.release.name}",
            )  # fmt: skip
    if case.lineage.unseen:
        return asked.result(
            Outcome.MISSING, Reason.BaselineMissing,
            f"it names no baseline, and there are more than {len(case.lineage.rivals)} other releases of model {model}: too many to look at each",
            remedy="delete the releases that nobody needs, or apply a new ModelRelease with a baseline",
        )  # fmt: skip
    return asked.result(
        Outcome.SATISFIED, Reason.FirstRelease, f"it is the first release of model {model}: there is nothing to compare it with, or to go back to"
    )
