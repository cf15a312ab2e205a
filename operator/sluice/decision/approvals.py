"""A requirement of type Approval: enough people in each role, and why those who decided and do not count do not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sluice.api.policy import StatementKind
from sluice.api.release import Outcome
from sluice.decision.people import Decision, Room, Signoff, staffed
from sluice.decision.persons import holds_role
from sluice.decision.reasons import Reason
from sluice.decision.signers import kind_of_predicate
from sluice.decision.verifiable import told_of_approvers

if TYPE_CHECKING:
    from sluice.decision.finding import Finding
    from sluice.decision.model import Asked, Case, Result

_NOTES: Final = 8
"""Of so many sign-offs a message says why they do not count; each says it in its own status."""
_NOBODYS: Final = frozenset({Reason.RoleNotGranted, Reason.NotStamped})


def check_approvals(ask: Asked, room: Room, approvals: Sequence[tuple[Decision, Finding]]) -> Result:
    """Check that enough people approve the release. Only decisions that could count for this requirement are spoken of."""
    counts, duties, case = ask.requirement.counts or {}, ask.requirement.distinct_from or [], room.case
    about = [(decision, finding) for decision, finding in approvals if decision.gives and decision.waiver is None and _could_count(ask, decision.role)]
    signoffs, barred, named = [], [], []
    for decision, finding in about:
        person = decision.person
        if not finding.counts or person is None or not holds_role(person, decision.role, ask.policy):
            continue
        if duty := room.duty(decision, duties):
            barred.append(f"{finding.username} may not approve: {duty}")
        else:
            signoffs.append(Signoff(username=room.who(decision) or "", role=decision.role))
            named.append(f"{decision.role} ({finding.username})")
    got = staffed(signoffs, counts)
    short = [role for role in counts if got[role] < counts[role]]
    names = ", ".join(named) or "nobody"
    if not short:
        return ask.result(Outcome.SATISFIED, Reason.Approved, f"approved by {names}")
    findings = [finding for _, finding in about]
    lapsed = any(finding.reason is Reason.Expired and finding.role in short for finding in findings)
    # Anybody may write sign-offs that do not count. Those of people who hold the role come first: they may not know.
    dead = sorted((finding for finding in findings if not finding.counts), key=lambda finding: finding.reason in _NOBODYS)
    notes = [*barred, *map(_why_not, dead), *_refused(case)]
    if (more := len(notes) - _NOTES) > 0:
        # Messages are kept, sent and stored for each Pod that waits.
        notes = [*notes[:_NOTES], f"and {more} more that do not count"]
    total = f"{sum(got.values())} of {sum(counts.values())}"
    to_do = [f"kubectl sluice approve mr/{case.release.name} -n {case.release.namespace} --role {short[0]}", *dict.fromkeys(each.remedy for each in dead)]
    waiting = ask.result(
        Outcome.EXPIRED if lapsed else Outcome.MISSING,
        Reason.ApprovalMissing,
        "; ".join([f"{total}; {', '.join(short)} {'is' if len(short) == 1 else 'are'} missing; approved so far: {names}", *notes]),
        remedy="; or ".join([each for each in to_do if each][:_NOTES]),
    )
    return told_of_approvers(ask, replace(waiting, lacks=tuple(short)), case)


def _could_count(ask: Asked, role: str) -> bool:
    """Whether a decision in a role may be meant for the requirement: in one of its roles, or in one that the policy does not know, by a slip."""
    return role in (ask.requirement.counts or {}) or role not in {known.name for known in ask.policy.spec.roles}


def _why_not(finding: Finding) -> str:
    by = f" by {finding.username}" if finding.username else ""
    when = f" ({finding.at})" if finding.at else ""
    return f"{finding.name}{by} as {finding.role}{when} does not count: {finding.message}"


def _refused(case: Case) -> Iterator[str]:
    """Name what somebody signed on the release and nobody can verify."""
    for refusal in sorted(case.refusals, key=lambda refusal: refusal.source):
        if kind_of_predicate(refusal.claims.predicate_type) is StatementKind.APPROVAL and case.release.digest in refusal.claims.subjects:
            yield f"ReleaseEvidence {refusal.source} was refused ({refusal.reason}): {refusal.message}"
