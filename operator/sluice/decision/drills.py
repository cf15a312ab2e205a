"""The requirement of type RollbackDrill: the way back to the baseline was tried, and not too long ago.

A drill is evidence like any other, and is found like any other; but people do not sign it off. It is repeated every few weeks, and approvals that
died of it each time would be given without a look. It comes after them: what nobody approved is not started for a drill either.

The time of a drill is the controller's word, signed with its own key: no log vouches for it. A drill that claims to come from the future proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sluice.api.drill import Place
from sluice.api.durations import parse_duration
from sluice.api.policy import StatementKind
from sluice.api.release import Outcome
from sluice.decision.canary import first_release, not_entitled, not_there, of_another_model
from sluice.decision.model import Allowance
from sluice.decision.reasons import Reason
from sluice.decision.signers import describe, kind_of, kind_of_predicate, permitted_signer
from sluice.evidence.drill import RollbackDrill

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from sluice.decision.instant import Instant
    from sluice.decision.model import Asked, Case, Result, Verdict
    from sluice.evidence.facts import Fact

_SKEW: Final = timedelta(minutes=10)
"""How much later than ours the clock of the controller may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillDue:
    """A drill that a policy asks the controller for, now."""

    policy: str
    requirement: str
    release_digest: str
    baseline_digest: str
    last: datetime | None
    """When the last one that counts was over; None when there is none."""
    place: Place = Place.OWN_NAMESPACE
    """Where it is to be done."""


def check_drill(asked: Asked, case: Case, decide: Callable[[Case], Verdict], at: Instant) -> Result:
    """Check a requirement of type RollbackDrill. `decide` gives the verdict on another release at the same moment.

    Raises ValueError: the requirement lacks what the API server demands of it.
    """
    if asked.requirement.max_age is None:
        raise ValueError("type RollbackDrill needs maxAge")
    # 1. The first release of a model has nothing to go back to.
    named = case.release.spec.change.baseline
    if named is None:
        return first_release(asked, case, decide)
    if other := of_another_model(asked, case):
        return other
    baseline = case.lineage.baseline
    # 2. Drills of this very release, back to what it names now; of several the last one. A baseline that is gone cannot have become another one.
    about = [
        (fact, fact.content) for fact in case.facts if isinstance(fact.content, RollbackDrill)
        and fact.content.release_digest == case.release.digest and fact.content.baseline == named.name
        and (baseline is None or fact.content.baseline_digest == baseline.digest) and at.has_come(fact.content.finished_at, early=_SKEW)
    ]  # fmt: skip
    place = asked.requirement.place
    counting = [(fact, drill) for fact, drill in about if _was_there(drill, place) and permitted_signer(asked.policy, fact)]
    fact, last = max(counting, key=lambda item: (item[1].finished_at, item[0].bundle_digest), default=(None, None))
    max_age = _max_age(asked, case)
    ends = last.finished_at + max_age if last else None
    # 3. When the controller is to drill by itself.
    every = asked.requirement.every
    next_at = last.finished_at + parse_duration(every) if last and every else None
    wanted = every is not None and (next_at is None or at.has_come(next_at))
    if fact is not None and last is not None and ends is not None and not at.has_come(ends):
        took = f"the baseline {last.baseline} was in traffic after {last.restore_ms / 1000:.1f} s, the release out of it after {last.out_ms / 1000:.1f} s"
        where = f" in scratch namespace {last.scratch_namespace}" if last.scratch_namespace else ""
        message = f"ReleaseDrill {last.name}{where} of {last.finished_at:%Y-%m-%d %H:%M} UTC: {took}; signed by {describe(fact)}"
        result = asked.result(Outcome.SATISFIED, Reason.DrillPassed, message, evidence=(fact.bundle_digest,))
        # The way back is tried again only while there is one.
        standing = decide(case.lineage.standing) if wanted and case.lineage.standing is not None else None
        return replace(result, drill=_due(asked, case, last)) if standing is not None and standing.allows is Allowance.SERVE else result
    # 4. A drill needs somebody to go back to.
    if baseline is None or case.lineage.standing is None:
        return not_there(asked, named.name)
    standing = decide(case.lineage.standing)
    if standing.allows is not Allowance.SERVE:
        return not_entitled(asked, named.name, standing, namespace=baseline.namespace)
    due = _due(asked, case, last) if wanted else None
    remedy = "nothing to do: the controller drills by itself once a Deployment names the release" if due else _command(case, place)
    if last is not None and ends is not None:
        message = f"the way back to {named.name} was last tried on {last.finished_at:%Y-%m-%d %H:%M} UTC, which is too long ago since {ends:%Y-%m-%d %H:%M}"
        result = asked.result(Outcome.EXPIRED, Reason.DrillExpired, message, remedy=remedy)
    else:
        message = "; ".join([f"the way back to {named.name} has not been tried", *_notes(asked, case, about)])
        result = asked.result(Outcome.MISSING, Reason.DrillMissing, message, remedy=remedy)
    return replace(result, drill=due)


def _max_age(asked: Asked, case: Case) -> timedelta:
    """What policy allows, or less where the release itself promises less."""
    promised = case.release.spec.rollback.drill_max_age if case.release.spec.rollback else None
    return min(parse_duration(text) for text in (asked.requirement.max_age, promised) if text is not None)


def _due(asked: Asked, case: Case, last: RollbackDrill | None) -> DrillDue | None:
    baseline = case.lineage.baseline
    if baseline is None:
        return None
    return DrillDue(
        policy=asked.policy.name, requirement=asked.requirement.name, release_digest=case.release.digest, baseline_digest=baseline.digest,
        last=last.finished_at if last else None, place=asked.requirement.place or Place.OWN_NAMESPACE,
    )  # fmt: skip


def _command(case: Case, place: Place | None) -> str:
    return f"kubectl sluice drill mr/{case.release.name} -n {case.release.namespace}" + (" --scratch" if place is Place.SCRATCH_NAMESPACE else "")


def _was_there(drill: RollbackDrill, place: Place | None) -> bool:
    return place is None or drill.place is place


def _notes(asked: Asked, case: Case, about: list[tuple[Fact, RollbackDrill]]) -> list[str]:
    """Why what looks like a drill of this release does not count. Never a reason to deny: after a new key, old drills are just this."""
    place = asked.requirement.place
    misplaced = [
        f"ReleaseDrill {drill.name} does not count: it was done in place {drill.place}, not {place}" for _, drill in about if not _was_there(drill, place)
    ]
    unknown = [
        f"a drill signed by {describe(fact)} does not count: policy {asked.policy.name} lets it sign no RollbackDrill"
        for fact, drill in about if _was_there(drill, place)
    ]  # fmt: skip
    digests = case.release.digests
    refused = [
        f"ReleaseEvidence {refusal.source} was refused ({refusal.reason})"
        for refusal in sorted(case.refusals, key=lambda refusal: refusal.source)
        if kind_of_predicate(refusal.claims.predicate_type) is StatementKind.ROLLBACK_DRILL and digests & refusal.claims.subjects
    ]
    others = [
        f"a drill back to {fact.content.baseline} does not count"
        for fact in case.facts
        if kind_of(fact) is StatementKind.ROLLBACK_DRILL and isinstance(fact.content, RollbackDrill)
        and fact.content.release_digest == case.release.digest and (fact, fact.content) not in about
    ]  # fmt: skip
    return [*misplaced[:1], *unknown[:1], *refused[:1], *others[:1]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """A `ReleaseDrill`, with what the controller has pinned in its status: what its Pods may be, and where."""

    namespace: str
    name: str
    release: str
    release_digest: str = ""
    baseline: str = ""
    baseline_digest: str = ""
    scratch_namespace: str = ""
    phase: str = ""
    finished_at: str = ""

    @property
    def over(self) -> bool:
        """Whether it has passed or failed."""
        return self.phase in {"Passed", "Failed"}

    @property
    def place(self) -> str:
        """The namespace that it is done in."""
        return self.scratch_namespace or self.namespace

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Drill:
        """Read it. What cannot be read is about no release, and permits nothing."""
        status, spec = _members(item.get("status")), _members(item.get("spec"))
        return cls(
            namespace=item["metadata"]["namespace"],
            name=item["metadata"]["name"],
            release=str(_members(spec.get("release")).get("name") or ""),
            release_digest=str(status.get("releaseDigest") or ""),
            baseline=str(_members(status.get("baseline")).get("name") or ""),
            baseline_digest=str(status.get("baselineDigest") or ""),
            scratch_namespace=str(status.get("scratchNamespace") or ""),
            phase=str(status.get("phase") or ""),
            finished_at=str(status.get("finishedAt") or ""),
        )


def _members(value: object) -> Mapping[str, Any]:
    """The members of an object; none where there is something else."""
    return value if isinstance(value, dict) else {}
