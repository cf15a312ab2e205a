"""The status of a `ModelRelease`: a verdict in the words of the API.

kstatus: `Ready` is always there; `Reconciling` only while Sluice waits for something that can still come, `Stalled` only while it needs a person to repair
or to replace something. The other conditions are there when a policy asks for what they are about.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from sluice.api.base import Condition, NameRef
from sluice.api.canary import CanaryDecision
from sluice.api.monitor import Cause
from sluice.api.release import ApprovalStatus, CanaryRef, FiredTrigger, Phase, ReleaseStatus, RequirementStatus, Risk
from sluice.api.requirement import RequirementType
from sluice.cluster.client import Object
from sluice.controller.conditions import MESSAGE_LIMIT, Moment, cut, wire
from sluice.decision.finding import Finding
from sluice.decision.model import Allowance, Release, Result, Verdict
from sluice.decision.reasons import Reason

HEALTHY: Final = "Healthy"
"""The condition that says what monitors found."""
_LINE: Final = 1024
_DETAIL: Final = 512
_USER: Final = 1024
_SIGNATURES: Final = frozenset({RequirementType.MODEL_SIGNATURE, RequirementType.PROVENANCE})
_OF_ANOTHER_KIND: Final = frozenset(
    {
        RequirementType.APPROVAL, RequirementType.CANARY, RequirementType.ROLLBACK_DRILL, RequirementType.ROLLBACK_PLAN, RequirementType.RESIDUAL_RISK,
        RequirementType.CONDITION, RequirementType.RUNTIME_CONTROLS,
    }
)  # fmt: skip
_EVIDENCE: Final = frozenset(RequirementType) - _OF_ANOTHER_KIND
_ABOUT: Final = (
    ("Verified", _SIGNATURES, Reason.SignatureVerified, "everything that must be signed is signed by somebody who may"),
    ("EvidenceComplete", _EVIDENCE, Reason.EvidenceComplete, "all evidence that the policies ask for is there"),
    ("Approved", frozenset({RequirementType.APPROVAL}), Reason.Approved, "enough people signed off this release on this evidence"),
    ("CanaryPassed", frozenset({RequirementType.CANARY}), Reason.CanaryPassed, "it is not worse than its baseline, or has none to be compared with"),
    ("Drilled", frozenset({RequirementType.ROLLBACK_DRILL}), Reason.DrillPassed, "the way back to its baseline was tried, or it has none"),
)
"""Conditions about a part of the requirements: type, which requirements, reason and message when all of them are met."""


def status_of(release: Release, verdict: Verdict, moment: Moment, *, discovered: Condition | None = None) -> Object:
    """Give the status for a verdict, and what came of looking for evidence. The same on the same previous status gives the same bytes, whatever the time."""
    return wire(
        ReleaseStatus(
            observed_generation=moment.generation,
            phase=verdict.phase,
            release_digest=verdict.release_digest,
            evidence_digest=verdict.evidence_digest,
            risk=_risk(verdict),
            missing=cut(missing(verdict), _LINE) or None,
            requirements=[_requirement(result) for result in verdict.results[:256]],
            approvals=[_approval(finding) for finding in verdict.approvals if finding.counts and not finding.waiver][:64],
            canary=_canary(verdict),
            conditions=[*_conditions(release, verdict, moment), *([discovered] if discovered else [])],
        )
    )


def unreadable_status(problem: str, moment: Moment) -> Object:
    """Give the status of a release whose spec cannot be read; `problem` names field and value."""
    message = f"{problem}; a release never changes: delete it, and apply one that is right"
    conditions = [moment.condition(type_, type_ == "Stalled", Reason.ReleaseInvalid, message) for type_ in ("Ready", "Stalled")]
    line = f"a readable spec: {problem}"
    return wire(ReleaseStatus(observed_generation=moment.generation, phase=Phase.PENDING, missing=cut(line, _LINE), conditions=conditions))


def missing(verdict: Verdict) -> str:
    """Say in one line what stands between the release and serving: `weights-signed, approvals: security`."""
    rejections = [f"rejected as {finding.role} by {finding.username}" for finding in verdict.approvals if finding.rejects and finding.counts]
    waits = [f"{result.requirement}: {', '.join(result.lacks)}" if result.lacks else result.requirement for result in verdict.open]
    return "; ".join([*rejections, ", ".join(dict.fromkeys(waits))] if waits else rejections)


def headline(release: Release, verdict: Verdict) -> tuple[Reason, str]:
    """Say why the release stands where it stands, and what to do, in the words of what is open first."""
    title = f"{release.spec.model}/{release.spec.version}"
    if verdict.allows is Allowance.SERVE:
        return Reason.Entitled, f"{title} may serve in namespace {release.namespace}"
    rejection = next((finding for finding in verdict.approvals if finding.rejects and finding.counts), None)
    if rejection is not None:
        return Reason.Rejected, f"{rejection.message}; apply a new ModelRelease that answers the objection"
    return _first(verdict.open)


def _first(unmet: Sequence[Result]) -> tuple[Reason, str]:
    first = unmet[0]
    return first.reason, f"{first.requirement}: {first.message}" + (f" → {first.remedy}" if first.remedy else "")


def _conditions(release: Release, verdict: Verdict, moment: Moment) -> Iterator[Condition]:
    reason, message = headline(release, verdict)
    ready = verdict.allows is Allowance.SERVE
    yield moment.condition("Ready", ready, reason, message)
    if not ready:
        yield moment.condition("Stalled" if verdict.hopeless else "Reconciling", True, reason, message)  # noqa: FBT003 - the condition's status
    for type_, about, met_reason, met_message in _ABOUT:
        results = [result for result in verdict.results if result.type in about]
        if not results:
            continue
        unmet = [result for result in verdict.open if result.type in about]
        why, words = _first(unmet) if unmet else (met_reason, met_message)
        yield moment.condition(type_, not unmet, why, words)
    if verdict.watched:
        yield moment.condition(HEALTHY, *health(verdict))


def health(verdict: Verdict) -> tuple[bool, Reason, str]:
    """Say whether the monitors of a release found nothing, why, and what they found."""
    if not verdict.alarms:
        return True, Reason.WithinEnvelope, "no monitor found drift, and none is silent"
    first = verdict.alarms[0]
    reason = Reason.DriftFound if first.finding.cause is Cause.DRIFT else Reason.MonitorSilent
    told = "; ".join(f"{alarm.message} → {alarm.finding.ask} (mrm/{alarm.watched.name})" for alarm in verdict.alarms)
    return False, reason, told


_DECISIONS: Final = {
    Reason.CanaryRolledBack: CanaryDecision.ROLL_BACK,
    Reason.CanaryInconclusive: CanaryDecision.INCONCLUSIVE,
    Reason.CanaryRunning: CanaryDecision.PENDING,
    Reason.CanaryPassed: CanaryDecision.PROMOTE,
}
"""What a run came to, by what its requirement came to; of several runs the first in this order is shown."""


def _canary(verdict: Verdict) -> CanaryRef | None:
    order = list(_DECISIONS)
    runs = sorted((result for result in verdict.results if result.run and result.reason in _DECISIONS), key=lambda result: order.index(result.reason))
    return CanaryRef(run=NameRef(name=runs[0].run or ""), decision=_DECISIONS[runs[0].reason]) if runs else None


def _risk(verdict: Verdict) -> Risk | None:
    fired = [FiredTrigger(policy=one.policy, name=one.trigger, change=one.change, detail=cut(one.detail, _DETAIL)) for one in verdict.fired[:64]]
    return Risk(tier=verdict.tier, owner=verdict.risk_owner, triggers=fired) if verdict.tier or fired else None


def _requirement(result: Result) -> RequirementStatus:
    return RequirementStatus(
        policy=result.policy,
        name=result.requirement,
        outcome=result.outcome,
        reason=result.reason,
        message=cut(result.message, MESSAGE_LIMIT),
        remedy=cut(result.remedy, _LINE) if result.remedy else None,
        evidence=list(result.evidence[:64]),
    )


def _approval(finding: Finding) -> ApprovalStatus:
    decision = "Reject" if finding.rejects else "Revoke" if finding.revokes else "Approve"
    return ApprovalStatus(name=finding.name, role=finding.role, username=cut(finding.username, _USER), decision=decision)
