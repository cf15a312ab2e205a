"""Whether a waiver counts. Somebody who may waive a requirement asks, others approve it, and nobody waives alone.

An approval names the digest of the waiver, which is over all of it and over who asks; so a waiver that is written anew has to be approved anew. New evidence
changes nothing: what is waived is not there. A rejection by anybody in a role of the policy ends a waiver, whoever approved it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sluice.api.approval import ApprovalDecision
from sluice.api.base import parse_time
from sluice.api.release import Outcome
from sluice.decision.finding import Finding
from sluice.decision.model import Asked, Waiver
from sluice.decision.people import Room, Signoff, Why, staffed, usable
from sluice.decision.persons import DUTIES, duty_of, holds_role
from sluice.decision.reasons import Reason

if TYPE_CHECKING:
    from sluice.decision.model import Result

_SHOWN: Final = 4
"""Of so many waivers that do not count a requirement tells; each says it in its own status."""


def waiver_finding(waiver: Waiver, room: Room) -> Finding:
    """Tell whether `waiver` counts for at least one requirement. A trainer waives nothing of what they trained, and nobody waives alone."""
    spec = waiver.spec
    why = _why_not_waived(waiver, room)
    waits = why is not None and why[0] is Reason.WaiverNotApproved
    return Finding(
        name=waiver.name,
        counts=why is None,
        reason=why[0] if why else Reason.Counted,
        message=why[1] if why else f"{', '.join(spec.requirements)} until {spec.expires}; {spec.risk_owner} carries the risk",
        remedy=_to_be_approved(waiver, room) if waits else "",
        username=spec.approver.username if spec.approver else "",
        waives=tuple(spec.requirements),
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
    own = _own(waiver, room)
    if not own:
        return Reason.NothingToWaive, f"no policy lets {spec.approver.username} waive {', '.join(spec.requirements)}"
    if duty := duty_of(spec.approver, list(DUTIES), room.case.facts, policies):
        return Reason.SeparationOfDuties, f"{spec.approver.username} {duty}"
    if no := next((each for each in room.on_waivers.get(waiver.name, ()) if each.decision is ApprovalDecision.REJECT), None):
        return Reason.WaiverRejected, f"{room.shown(no)} rejected it as {no.role}" + (f": {no.comment}" if no.comment else "")
    if all(_lacks(waiver, ask, room) for ask in own):
        return Reason.WaiverNotApproved, f"nobody waives alone: it waits for somebody else in role {' or '.join(_awaited(waiver, room))}"
    return None


def _own(waiver: Waiver, room: Room) -> list[Asked]:
    """Give what the waiver names and whoever asks may waive."""
    person, named = waiver.spec.approver, waiver.spec.requirements
    asked = [Asked(policy, requirement) for policy in usable(room.case) for requirement in policy.spec.requirements if requirement.name in named]
    return [ask for ask in asked if person is not None and any(holds_role(person, role, ask.policy) for role in ask.requirement.waivable_by or ())]


def _awaited(waiver: Waiver, room: Room) -> list[str]:
    return sorted({role for ask in _own(waiver, room) for role in _lacks(waiver, ask, room)})


def _to_be_approved(waiver: Waiver, room: Room) -> str:
    return f"kubectl sluice approve waiver/{waiver.name} -n {room.case.release.namespace} --role {_awaited(waiver, room)[0]}"


def waived(ask: Asked, result: Result, waivers: Sequence[tuple[Waiver, Finding]], room: Room) -> Result:
    """Show a requirement that is not met as waived, where a waiver covers it; where one is asked for and does not, say so."""
    if result.outcome is Outcome.SATISFIED:
        return result
    for waiver, finding in waivers:
        if waives(waiver, finding, ask, room):
            spec = waiver.spec
            controls = f"; instead: {spec.compensating_controls}" if spec.compensating_controls else ""
            by = f"waived until {spec.expires} by {finding.username} ({waiver.name}, {spec.ticket})"
            message = f"{by}: {spec.reason}; {spec.risk_owner} carries the risk{controls}"
            return ask.result(Outcome.WAIVED, Reason.Waived, message)
    return _asked_for(ask, result, waivers)


def _asked_for(ask: Asked, result: Result, waivers: Sequence[tuple[Waiver, Finding]]) -> Result:
    """Add the waivers that name a requirement and do not count: what can still become right first, for anybody may ask."""
    about = [finding for _, finding in waivers if not finding.counts and ask.requirement.name in finding.waives]
    shown = sorted(about, key=lambda finding: finding.reason is not Reason.WaiverNotApproved)[:_SHOWN]
    if not shown:
        return result
    notes = [f"waiver {each.name} by {each.username or 'nobody'} does not count ({each.reason}): {each.message}" for each in shown]
    more = [f"and {len(about) - _SHOWN} more waivers that do not count"] if len(about) > _SHOWN else []
    to_do = [each for each in (result.remedy, *dict.fromkeys(each.remedy for each in shown)) if each]
    return replace(result, message="; ".join([result.message, *notes, *more]), remedy="; or ".join(to_do) or None)


def waives(waiver: Waiver, finding: Finding, ask: Asked, room: Room) -> bool:
    """Tell whether a waiver that counts covers one requirement of one policy."""
    person, roles = waiver.spec.approver, ask.requirement.waivable_by or ()
    covered = finding.counts and ask.requirement.name in waiver.spec.requirements
    return covered and person is not None and any(holds_role(person, role, ask.policy) for role in roles) and not _lacks(waiver, ask, room)


def _lacks(waiver: Waiver, ask: Asked, room: Room) -> list[str]:
    """Give the roles in which fewer others approve the waiver than the requirement asks for; where it says nothing, it is one who may waive it as well."""
    signoffs = [
        Signoff(username=room.who(each) or "", role=each.role)
        for each in room.on_waivers.get(waiver.name, ())
        if each.gives and each.person is not None and holds_role(each.person, each.role, ask.policy)
    ]
    counts = ask.requirement.waiver_counts
    if counts is None:
        able = ask.requirement.waivable_by or []
        return [] if any(signoff.role in able for signoff in signoffs) else able
    got = staffed(signoffs, counts)
    return [role for role in counts if got[role] < counts[role]]
