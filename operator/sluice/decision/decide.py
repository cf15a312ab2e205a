"""From facts to a verdict.

Pure on purpose: the command line, the webhook, the controller and a background audit all call `decide`, so that they cannot disagree.
Time is an argument; nothing here reads a clock, a file or the network. Denying is the default by construction, see `Verdict.allows`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Concatenate, ParamSpec

from sluice.api.digests import evidence_digest
from sluice.api.release import Outcome
from sluice.api.requirement import RequirementType
from sluice.decision.approvals import check_approvals
from sluice.decision.assurances import check_assurance
from sluice.decision.authority import check_authority
from sluice.decision.canary import check_canary, rolled_back, rolled_back_by
from sluice.decision.conditions import check_condition
from sluice.decision.controls import check_runtime_controls
from sluice.decision.drills import check_drill
from sluice.decision.governance import check_residual_risk, check_rollback_plan
from sluice.decision.impartiality import check_impartially
from sluice.decision.instant import Instant
from sluice.decision.model import Asked, Case, InvalidPolicy, Result, Verdict
from sluice.decision.monitors import alarms_of, is_watched, stops
from sluice.decision.origins import check_origins
from sluice.decision.people import Room, approval_finding, usable
from sluice.decision.reasons import Reason
from sluice.decision.requirements import check_evidence
from sluice.decision.revocations import is_better, on_revoked, own_revocations, sift, signer_revoked
from sluice.decision.risk import weigh
from sluice.decision.verifiable import told
from sluice.decision.waivers import waived, waiver_finding

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sluice.decision.finding import Finding
    from sluice.decision.people import Decision
    from sluice.decision.revocations import Sifted

P = ParamSpec("P")
_ORIGINS = frozenset({RequirementType.LINEAGE, RequirementType.DATA_PROVENANCE})
"""Requirements on where weights come from."""
_ASSURANCES = frozenset({RequirementType.CHANGE_TICKET, RequirementType.IMPACT_ASSESSMENT, RequirementType.VENDOR_ASSURANCE})
"""Requirements that people outside of the pipeline vouch for something."""
_OF_ANOTHER_KIND = frozenset(
    {
        RequirementType.APPROVAL, RequirementType.CANARY, RequirementType.ROLLBACK_DRILL, RequirementType.ROLLBACK_PLAN, RequirementType.RESIDUAL_RISK,
        RequirementType.CONDITION, RequirementType.RUNTIME_CONTROLS, RequirementType.AUTHORITY,
    }
)  # fmt: skip
"""Requirements that are not part of what people sign off."""
_NOTES = 8
"""Of so many sign-offs a message says why they do not count; each says it in its own status."""


def decide(case: Case, *, now: datetime) -> Verdict:
    """Decide what a release may do at `now` (timezone-aware).

    Raises nothing: whatever goes wrong inside a check becomes a `Failed` result of that requirement.
    """
    return _decide(case, Instant(now))


def _decide(case: Case, at: Instant, *, evidence_at: Instant | None = None) -> Verdict:
    """Decide at one time, with evidence of the age that it has at another (None: the same)."""
    # 1. No policy is a reason to hold, not to allow.
    if not case.policies:
        return _without_policy(case)
    # 2. Requirements of all matching policies add up; none can relax another. A policy that cannot be used stays in the way.
    # What a revoked signer says counts for nothing, here and below.
    whole, sifted, of_others = case, sift(case), partial(_decide, at=at)
    ageless = partial(_decide, at=at, evidence_at=Instant(None))
    case = sifted.case
    weighed = weigh(case, of_others, ageless=ageless)
    asked = [Asked(each.policy, requirement) for each in weighed for requirement in each.policy.spec.requirements if each.asks(requirement)]
    known = {each.policy.name: each.variables for each in weighed}
    conditions = [(ask, _guarded(ask, check_condition, known[ask.policy.name])) for ask in asked if ask.requirement.type is RequirementType.CONDITION]
    # 3. Evidence first: people sign off the evidence that was used.
    evidence = [(ask, _of_evidence(ask, sifted, whole, evidence_at or at)) for ask in asked if ask.requirement.type not in _OF_ANOTHER_KIND]
    seen = evidence_digest(digest for _, result in evidence if result.outcome is Outcome.SATISFIED for digest in result.evidence)
    # 4. Whose decisions count on this release and this evidence.
    room = Room.of(case, whole, at, seen)
    approvals = [(decision, approval_finding(decision, room)) for decision in room.decisions]
    waivers = [(w, waiver_finding(w, room)) for w in sorted(case.waivers, key=lambda w: w.name)]
    signoffs = [(ask, _guarded(ask, check_approvals, room, approvals)) for ask in asked if ask.requirement.type is RequirementType.APPROVAL]
    # 5. Scored beside its baseline. Other releases are looked at with the same eyes; their cases end before this can go on and on.
    canaries = [(ask, _of_canary(ask, sifted, whole, of_others, at)) for ask in asked if ask.requirement.type is RequirementType.CANARY]
    drills = [(ask, _guarded(ask, check_drill, case, of_others, at)) for ask in asked if ask.requirement.type is RequirementType.ROLLBACK_DRILL]
    plans = [(ask, _guarded(ask, check_rollback_plan, case, of_others)) for ask in asked if ask.requirement.type is RequirementType.ROLLBACK_PLAN]
    risks = [(ask, _guarded(ask, check_residual_risk, case)) for ask in asked if ask.requirement.type is RequirementType.RESIDUAL_RISK]
    controls = [(ask, _guarded(ask, check_runtime_controls, case)) for ask in asked if ask.requirement.type is RequirementType.RUNTIME_CONTROLS]
    authority = [(ask, _guarded(ask, check_authority, case)) for ask in asked if ask.requirement.type is RequirementType.AUTHORITY]
    # 6. A waiver covers what is not satisfied, and is shown as such.
    results = [_unusable(policy) for policy in case.policies if isinstance(policy, InvalidPolicy)]
    results += _undecided(case)
    every = (*evidence, *plans, *risks, *controls, *authority, *conditions, *signoffs, *canaries, *drills)
    results += [waived(ask, result, waivers, room) for ask, result in every]
    # 7. What was rolled back stays so, also when no policy asks for a canary any more, or somebody waived it: a person may take the risk of what is not
    # known, not of what was found.
    # So does what was found after release, and what was revoked.
    results = [*_with_findings(case, _with_roll_back(case, results)), *own_revocations(case)]
    return Verdict(
        release_digest=case.release.digest,
        evidence_digest=seen,
        risks=tuple(each.risk for each in weighed),
        results=tuple(results),
        risk_owner=_risk_owner(case),
        approvals=tuple(_explained(decision, finding, room) for decision, finding in approvals),
        waivers=tuple(finding for _, finding in waivers),
        watched=is_watched(case),
        alarms=alarms_of(case),
        on_revoked=on_revoked(case),
        changes_at=at.changes_at,
    )


def _of_evidence(ask: Asked, sifted: Sifted, whole: Case, at: Instant) -> Result:
    """Check a requirement about evidence. When it is not met, say whether revocations are why, or whether evidence about the release is not verified yet."""
    of_others = partial(_decide, at=at)

    def checked(case: Case) -> Result:
        if ask.requirement.type is RequirementType.EVALUATION:
            return _guarded(ask, check_impartially, case, of_others, partial(check_evidence, ask, at=at, decide=of_others))
        if ask.requirement.type in _ASSURANCES:
            return _guarded(ask, check_assurance, case, at)
        if ask.requirement.type in _ORIGINS:
            return _guarded(ask, check_origins, case, of_others)
        return _guarded(ask, check_evidence, case, at, of_others)

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
    return told(ask, result, whole)


def _of_canary(ask: Asked, sifted: Sifted, whole: Case, of_others: Callable[[Case], Verdict], at: Instant) -> Result:
    """Check a canary. Where it rests on a recording that a revoked signer vouched for, say that."""
    result = _guarded(ask, check_canary, sifted.case, of_others, at)
    if result.outcome is Outcome.MISSING and sifted.revoked:
        before = _guarded(ask, check_canary, whole, of_others, at)
        if is_better(before, result):
            return signer_revoked(ask, sifted.revoked, before)
    return told(ask, result, whole)


def _with_roll_back(case: Case, results: list[Result]) -> list[Result]:
    run = rolled_back_by(case)
    if run is None or any(result.reason is Reason.CanaryRolledBack for result in results):
        return results
    reason, message, remedy = rolled_back(run, case.release.namespace)
    own = Result(policy=run.spec.policy, requirement=run.spec.requirement, outcome=Outcome.FAILED, reason=reason, message=message, remedy=remedy,
                 type=RequirementType.CANARY, run=run.name)  # fmt: skip
    return [*(result for result in results if (result.policy, result.requirement) != (own.policy, own.requirement)), own]


def _with_findings(case: Case, results: list[Result]) -> list[Result]:
    """Add what the monitors of a release ask for. Where a requirement has the name of a monitor, what was found is shown in its place."""
    own = tuple(stops(case))
    taken = {(result.policy, result.requirement) for result in own}
    return [*(result for result in results if (result.policy, result.requirement) not in taken), *own]


def _explained(decision: Decision, finding: Finding, room: Room) -> Finding:
    """Say on the approval itself when separation of duties keeps it from counting anywhere it was meant to count."""
    if not finding.counts or not decision.gives or decision.waiver is not None:
        return finding
    duties = [
        duty
        for policy in usable(room.case)
        for requirement in policy.spec.requirements
        if decision.role in (requirement.counts or {})
        for duty in requirement.distinct_from or ()
    ]
    if barred := room.duty(decision, duties):
        return replace(finding, counts=False, reason=Reason.SeparationOfDuties, message=f"{finding.username} {barred}")
    return finding


def _undecided(case: Case) -> list[Result]:
    """Wait for what people signed and nobody has verified yet: it may be against the release, which nothing else would say."""
    if not case.undecided:
        return []
    names, more = ", ".join(case.undecided[:_NOTES]), len(case.undecided) - _NOTES
    message = f"ReleaseEvidence {names}{f' and {more} more' if more > 0 else ''} with decisions of people is being verified"
    return [Result(policy="none", requirement="decisions", outcome=Outcome.MISSING, reason=Reason.EvidenceUnverified, message=message,
                   remedy="nothing to do; it takes seconds")]  # fmt: skip


def _guarded(ask: Asked, check: Callable[Concatenate[Asked, P], Result], *args: P.args, **kwargs: P.kwargs) -> Result:
    try:
        return check(ask, *args, **kwargs)
    except Exception as error:  # noqa: BLE001 - invariant 1: an error in a check is never a yes
        message = f"the check failed: {type(error).__name__}: {error}"
        return ask.result(Outcome.FAILED, Reason.CheckFailed, message, remedy="report this as a bug of Sluice")


def _unusable(policy: InvalidPolicy) -> Result:
    return Result(policy=policy.name, requirement="policy", outcome=Outcome.MISSING, reason=Reason.PolicyInvalid, message=policy.message,
                  remedy=f"the platform team repairs it: kubectl describe mrp/{policy.name}")  # fmt: skip


def _risk_owner(case: Case) -> str | None:
    return case.release.spec.residual_risk.owner if case.release.spec.residual_risk else None


def _without_policy(case: Case) -> Verdict:
    nothing = Result(
        policy="none", requirement="policy", outcome=Outcome.MISSING, reason=Reason.NoPolicyMatches,
        message=f"no ReleasePolicy selects namespace {case.release.namespace}",
        remedy="the platform team applies a ReleasePolicy whose selector matches the labels of the namespace",
    )  # fmt: skip
    results = [*_with_findings(case, _with_roll_back(case, [nothing])), *own_revocations(case)]
    return Verdict(
        release_digest=case.release.digest, evidence_digest=evidence_digest(()), results=tuple(results), risk_owner=_risk_owner(case),
        watched=is_watched(case), alarms=alarms_of(case),
    )  # fmt: skip
