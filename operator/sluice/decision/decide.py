"""From facts to a verdict.

Pure on purpose: the command line, the webhook, the controller and a background audit all call `decide`, so that they cannot disagree.
Time is an argument; nothing here reads a clock, a file or the network. Denying is the default by construction, see `Verdict.allows`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Concatenate, ParamSpec

from sluice.api.digests import evidence_digest
from sluice.api.release import Outcome
from sluice.api.requirement import RequirementType
from sluice.decision.canary import check_canary, rolled_back, rolled_back_by
from sluice.decision.drills import check_drill
from sluice.decision.model import Asked, Case, InvalidPolicy, Result, Verdict
from sluice.decision.monitors import alarms_of, is_watched, stops
from sluice.decision.origins import check_origins
from sluice.decision.people import Signoff, approval_finding, duty_of, holds_role, staffed, usable, waiver_finding, waives
from sluice.decision.reasons import Reason
from sluice.decision.requirements import check_evidence
from sluice.decision.revocations import is_better, on_revoked, own_revocations, sift, signer_revoked
from sluice.decision.tiers import tier_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from sluice.decision.model import Approval, Finding, Waiver
    from sluice.decision.revocations import Sifted

P = ParamSpec("P")
_ORIGINS = frozenset({RequirementType.LINEAGE, RequirementType.DATA_PROVENANCE})
"""Requirements on where weights come from."""
_OF_ANOTHER_KIND = frozenset({RequirementType.APPROVAL, RequirementType.CANARY, RequirementType.ROLLBACK_DRILL})
"""Requirements that are not part of what people sign off."""
_NOTES = 8
"""Of so many sign-offs a message says why they do not count; each says it in its own status."""


def decide(case: Case, *, now: datetime) -> Verdict:
    """Decide what a release may do at `now` (timezone-aware).

    Raises nothing: whatever goes wrong inside a check becomes a `Failed` result of that requirement.
    """
    # 1. No policy is a reason to hold, not to allow.
    if not case.policies:
        return _without_policy(case)
    # 2. Requirements of all matching policies add up; none can relax another. A policy that cannot be used stays in the way.
    tiers = {policy.name: tier_of(policy, case.release) for policy in usable(case)}
    asked = [
        Asked(policy, requirement)
        for policy in sorted(usable(case), key=lambda policy: policy.name)
        for requirement in policy.spec.requirements
        if requirement.tiers is None or tiers[policy.name] is None or tiers[policy.name] in requirement.tiers
    ]
    # 3. Evidence first: people sign off the evidence that was used. What a revoked signer says counts for nothing, here and below.
    whole, sifted = case, sift(case)
    case = sifted.case
    evidence = [(ask, _of_evidence(ask, sifted, whole, now=now)) for ask in asked if ask.requirement.type not in _OF_ANOTHER_KIND]
    seen = evidence_digest(digest for _, result in evidence if result.outcome is Outcome.SATISFIED for digest in result.evidence)
    # 4. Whose decisions count on this release and this evidence.
    approvals = [(a, approval_finding(a, case, seen, now=now)) for a in sorted(case.approvals, key=lambda a: a.name)]
    waivers = [(w, waiver_finding(w, case, now=now)) for w in sorted(case.waivers, key=lambda w: w.name)]
    signoffs = [(ask, _guarded(ask, _approved, case, approvals)) for ask in asked if ask.requirement.type is RequirementType.APPROVAL]
    # 5. Scored beside its baseline. Other releases are looked at with the same eyes; their cases end before this can go on and on.
    canaries = [
        (ask, _guarded(ask, check_canary, case, lambda other: decide(other, now=now))) for ask in asked if ask.requirement.type is RequirementType.CANARY
    ]
    drills = [
        (ask, _guarded(ask, check_drill, case, lambda other: decide(other, now=now), now=now))
        for ask in asked
        if ask.requirement.type is RequirementType.ROLLBACK_DRILL
    ]
    # 6. A waiver covers what is not satisfied, and is shown as such.
    results = [_unusable(policy) for policy in case.policies if isinstance(policy, InvalidPolicy)]
    results += [_waived(ask, result, waivers) for ask, result in (*evidence, *signoffs, *canaries, *drills)]
    # 7. What was rolled back stays so, also when no policy asks for a canary any more, or somebody waived it: a person may take the risk of what is not
    # known, not of what was found.
    # So does what was found after release, and what was revoked.
    results = [*_with_findings(case, _with_roll_back(case, results)), *own_revocations(case)]
    return Verdict(
        release_digest=case.release.digest,
        evidence_digest=seen,
        tier=",".join(sorted({tier for tier in tiers.values() if tier})) or None,
        results=tuple(results),
        approvals=tuple(_explained(a, finding, case) for a, finding in approvals),
        waivers=tuple(finding for _, finding in waivers),
        watched=is_watched(case),
        alarms=alarms_of(case),
        on_revoked=on_revoked(case),
    )


def _of_evidence(ask: Asked, sifted: Sifted, whole: Case, *, now: datetime) -> Result:
    """Check a requirement about evidence. When it is not met, say whether revocations are why, or whether evidence about the release is not verified yet."""

    def checked(case: Case) -> Result:
        if ask.requirement.type in _ORIGINS:
            return _guarded(ask, check_origins, case, lambda other: decide(other, now=now))
        return _guarded(ask, check_evidence, case, now=now)

    result = checked(sifted.case)
    if result.outcome is Outcome.SATISFIED or result.reason is Reason.CheckFailed:
        return result
    if sifted.revoked:
        before = checked(whole)
        # It need not have been met: evidence that had merely expired would have left the release where it runs, and this must not.
        if is_better(before, result):
            return signer_revoked(ask, sifted.revoked, before)
    if whole.unverified:
        waits, more = whole.unverified[:_NOTES], len(whole.unverified) - _NOTES
        names = ", ".join(waits) + (f" and {more} more" if more > 0 else "")
        return ask.result(Outcome.MISSING, Reason.EvidenceUnverified, f"ReleaseEvidence {names} is being verified", remedy="nothing to do; it takes seconds")
    return result


def _with_roll_back(case: Case, results: list[Result]) -> list[Result]:
    run = rolled_back_by(case)
    if run is None or any(result.reason is Reason.CanaryRolledBack for result in results):
        return results
    reason, message, remedy = rolled_back(run)
    own = Result(policy=run.spec.policy, requirement=run.spec.requirement, outcome=Outcome.FAILED, reason=reason, message=message, remedy=remedy,
                 type=RequirementType.CANARY, run=run.name)  # fmt: skip
    return [*(result for result in results if (result.policy, result.requirement) != (own.policy, own.requirement)), own]


def _with_findings(case: Case, results: list[Result]) -> list[Result]:
    """Add what the monitors of a release ask for. Where a requirement has the name of a monitor, what was found is shown in its place."""
    own = tuple(stops(case))
    taken = {(result.policy, result.requirement) for result in own}
    return [*(result for result in results if (result.policy, result.requirement) not in taken), *own]


def _approved(ask: Asked, case: Case, approvals: Sequence[tuple[Approval, Finding]]) -> Result:
    counts, duties = ask.requirement.counts or {}, ask.requirement.distinct_from or []
    signoffs, barred = [], []
    for approval, finding in approvals:
        person = approval.spec.approver
        if not finding.counts or finding.rejects or person is None or not holds_role(person, approval.spec.role, ask.policy):
            continue
        if duty := duty_of(person, duties, case.facts, usable(case)):
            barred.append(f"{person.username} may not approve: {duty}")
        else:
            signoffs.append(Signoff(username=person.username, role=approval.spec.role))
    got = staffed(signoffs, counts)
    short = [role for role in counts if got[role] < counts[role]]
    names = ", ".join(f"{s.role} ({s.username})" for s in signoffs) or "nobody"
    if not short:
        ends = min((finding.changes_at for _, finding in approvals if finding.changes_at), default=None)
        return ask.result(Outcome.SATISFIED, Reason.Approved, f"approved by {names}", changes_at=ends)
    lapsed = any(finding.reason is Reason.Expired and finding.role in short for _, finding in approvals)
    notes = [*barred, *(f"{finding.name} does not count: {finding.message}" for _, finding in approvals if not finding.counts)]
    if (more := len(notes) - _NOTES) > 0:
        # Anybody may write sign-offs that do not count; messages are kept, sent and stored for each Pod that waits.
        notes = [*notes[:_NOTES], f"and {more} more that do not count"]
    total = f"{sum(got.values())} of {sum(counts.values())}"
    waiting = ask.result(
        Outcome.EXPIRED if lapsed else Outcome.MISSING,
        Reason.ApprovalMissing,
        "; ".join([f"{total}; {', '.join(short)} {'is' if len(short) == 1 else 'are'} missing; approved so far: {names}", *notes]),
        remedy=f"kubectl sluice approve mr/{case.release.name} -n {case.release.namespace} --role {short[0]}",
    )
    return replace(waiting, lacks=tuple(short))


def _explained(approval: Approval, finding: Finding, case: Case) -> Finding:
    """Say on the approval itself when separation of duties keeps it from counting anywhere it was meant to count."""
    person = approval.spec.approver
    if not finding.counts or finding.rejects or person is None:
        return finding
    duties = [
        duty
        for policy in usable(case)
        for requirement in policy.spec.requirements
        if approval.spec.role in (requirement.counts or {})
        for duty in requirement.distinct_from or ()
    ]
    if barred := duty_of(person, duties, case.facts, usable(case)):
        return replace(finding, counts=False, reason=Reason.SeparationOfDuties, message=f"{person.username} {barred}", changes_at=None)
    return finding


def _waived(ask: Asked, result: Result, waivers: Sequence[tuple[Waiver, Finding]]) -> Result:
    if result.outcome is Outcome.SATISFIED:
        return result
    for waiver, finding in waivers:
        if waives(waiver, finding, ask):
            spec = waiver.spec
            controls = f"; instead: {spec.compensating_controls}" if spec.compensating_controls else ""
            by = f"waived until {spec.expires} by {finding.username} ({waiver.name}, {spec.ticket})"
            message = f"{by}: {spec.reason}; {spec.risk_owner} carries the risk{controls}"
            return ask.result(Outcome.WAIVED, Reason.Waived, message, changes_at=finding.changes_at)
    return result


def _guarded(ask: Asked, check: Callable[Concatenate[Asked, P], Result], *args: P.args, **kwargs: P.kwargs) -> Result:
    try:
        return check(ask, *args, **kwargs)
    except Exception as error:  # noqa: BLE001 - invariant 1: an error in a check is never a yes
        message = f"the check failed: {type(error).__name__}: {error}"
        return ask.result(Outcome.FAILED, Reason.CheckFailed, message, remedy="report this as a bug of Sluice")


def _unusable(policy: InvalidPolicy) -> Result:
    return Result(policy=policy.name, requirement="policy", outcome=Outcome.MISSING, reason=Reason.PolicyInvalid, message=policy.message,
                  remedy=f"the platform team repairs it: kubectl describe mrp/{policy.name}")  # fmt: skip


def _without_policy(case: Case) -> Verdict:
    nothing = Result(
        policy="none", requirement="policy", outcome=Outcome.MISSING, reason=Reason.NoPolicyMatches,
        message=f"no ReleasePolicy selects namespace {case.release.namespace}",
        remedy="the platform team applies a ReleasePolicy whose selector matches the labels of the namespace",
    )  # fmt: skip
    results = [*_with_findings(case, _with_roll_back(case, [nothing])), *own_revocations(case)]
    return Verdict(
        release_digest=case.release.digest, evidence_digest=evidence_digest(()), tier=None, results=tuple(results),
        watched=is_watched(case), alarms=alarms_of(case),
    )  # fmt: skip
