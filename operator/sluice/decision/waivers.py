"""Whether a waiver counts. Somebody who may waive a requirement asks, others approve it, and nobody waives alone.

An approval names the digest of the waiver, which is over all of it and over who asks; so a waiver that is written anew has to be approved anew. New evidence
changes nothing: what is waived is not there. A rejection by anybody in a role of the policy ends a waiver, whoever approved it.
"""

from __future__ import annotations

from sluice.api.approval import ApprovalDecision
from sluice.api.base import parse_time
from sluice.decision.finding import Finding
from sluice.decision.model import Asked, Waiver
from sluice.decision.people import Room, Signoff, Why, staffed, usable
from sluice.decision.persons import DUTIES, duty_of, holds_role
from sluice.decision.reasons import Reason


def waiver_finding(waiver: Waiver, room: Room) -> Finding:
    """Tell whether `waiver` counts for at least one requirement. A trainer waives nothing of what they trained, and nobody waives alone."""
    spec = waiver.spec
    why = _why_not_waived(waiver, room)
    return Finding(
        name=waiver.name,
        counts=why is None,
        reason=why[0] if why else Reason.Counted,
        message=why[1] if why else f"{', '.join(spec.requirements)} until {spec.expires}; {spec.risk_owner} carries the risk",
        username=spec.approver.username if spec.approver else "",
    )


def _why_not_waived(waiver: Waiver, room: Room) -> Why | None:
    spec, policies = waiver.spec, usable(room.case)
    if spec.approver is None:
        return Reason.NotStamped, "it carries no approver; the API server stamps it when the admission policies of Sluice are installed"
    if spec.release_digest != room.case.release.digest:
        return Reason.ReleaseChanged, f"it names release digest {spec.release_digest}; the release has {room.case.release.digest}"
    ends = parse_time(spec.expires)
    if room.at.has_come(ends):
        return Reason.Expired, f"it ended at {ends.isoformat()}"
    named = [Asked(policy, requirement) for policy in policies for requirement in policy.spec.requirements if requirement.name in spec.requirements]
    own = [ask for ask in named if any(holds_role(spec.approver, role, ask.policy) for role in ask.requirement.waivable_by or ())]
    if not own:
        return Reason.NothingToWaive, f"no policy lets {spec.approver.username} waive {', '.join(spec.requirements)}"
    if duty := duty_of(spec.approver, list(DUTIES), room.case.facts, policies):
        return Reason.SeparationOfDuties, f"{spec.approver.username} {duty}"
    if no := next((each for each in room.on_waivers.get(waiver.name, ()) if each.decision is ApprovalDecision.REJECT), None):
        return Reason.WaiverRejected, f"{room.shown(no)} rejected it as {no.role}" + (f": {no.comment}" if no.comment else "")
    if not any(_is_approved(waiver, ask, room) for ask in own):
        roles = sorted({role for ask in own for role in ask.requirement.waiver_counts or ask.requirement.waivable_by or ()})
        remedy = f"kubectl sluice approve waiver/{waiver.name} -n {room.case.release.namespace} --role {roles[0]}"
        return Reason.WaiverNotApproved, f"nobody waives alone: it waits for somebody else in role {' or '.join(roles)} → {remedy}"
    return None


def waives(waiver: Waiver, finding: Finding, ask: Asked, room: Room) -> bool:
    """Tell whether a waiver that counts covers one requirement of one policy."""
    person, roles = waiver.spec.approver, ask.requirement.waivable_by or ()
    covered = finding.counts and ask.requirement.name in waiver.spec.requirements
    return covered and person is not None and any(holds_role(person, role, ask.policy) for role in roles) and _is_approved(waiver, ask, room)


def _is_approved(waiver: Waiver, ask: Asked, room: Room) -> bool:
    """Whether as many others approve the waiver as the requirement asks for; where it says nothing, one who may waive it as well."""
    signoffs = [
        Signoff(username=room.who(each) or "", role=each.role)
        for each in room.on_waivers.get(waiver.name, ())
        if each.gives and each.person is not None and holds_role(each.person, each.role, ask.policy)
    ]
    counts = ask.requirement.waiver_counts
    if counts is None:
        return any(signoff.role in (ask.requirement.waivable_by or ()) for signoff in signoffs)
    got = staffed(signoffs, counts)
    return all(got[role] >= counts[role] for role in counts)
