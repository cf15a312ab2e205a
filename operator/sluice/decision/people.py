"""Whether what people decided counts: approvals, rejections and revocations, stamped by the API server or signed.

What takes away needs less than what gives. A rejection counts whatever the evidence. A revocation counts for ever, and names one act of approving: the UID of
an object, or the digest of a bundle; so applying a bundle again brings nothing back, and whoever approves anew does that themselves. What somebody signed who
is believed no more gives nothing and still takes away: no revocation of a signer lets in what was stopped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final

from sluice.api.approval import ApprovalDecision
from sluice.api.base import parse_time
from sluice.api.digests import waiver_digest
from sluice.api.policy import StatementKind as Kind
from sluice.api.policy import SubjectKind
from sluice.api.requirement import SeparatedFrom
from sluice.decision.finding import Finding
from sluice.decision.instant import Instant
from sluice.decision.model import Approval, Case, Policy
from sluice.decision.persons import DUTIES, Person, Persons, Signature, duty_of, holds_role, same_person, shown
from sluice.decision.reasons import Reason
from sluice.decision.signers import signers_behind
from sluice.evidence.facts import Fact
from sluice.evidence.signed_decision import SignedDecision

Why = tuple[Reason, str]
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"
_SKEW: Final = timedelta(minutes=5)
"""Clocks of those who sign may be ahead by so much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One decision of one person, by whichever root of identity."""

    name: str
    """Of the ReleaseApproval; of what is signed, the digest of the bundle."""
    act: str
    """What a revocation of it names: the UID of the object, or the digest of the bundle. Empty for an object in a file."""
    person: Person | None
    release_digest: str
    evidence_digest: str | None
    role: str
    decision: ApprovalDecision
    waiver: tuple[str, str] | None
    """Name and digest of the waiver that it is about; None: the release."""
    revokes: str | None
    at: str = ""
    """When, for people; empty where nobody says so."""
    begins: datetime | None = None
    ends: datetime | None = None
    comment: str | None = None
    believed: bool = True
    """Whether its signer is believed still."""

    @property
    def gives(self) -> bool:
        """Whether it is an approval: the others take away."""
        return self.decision is ApprovalDecision.APPROVE

    @classmethod
    def stamped(cls, approval: Approval) -> Decision:
        """Read one that the API server stamped."""
        spec = approval.spec
        return cls(
            name=approval.name, act=approval.uid, person=spec.approver, release_digest=spec.release_digest, evidence_digest=spec.evidence_digest,
            role=spec.role, decision=spec.decision, waiver=(spec.waiver.name, spec.waiver.digest) if spec.waiver else None, revokes=spec.revokes,
            at=approval.created, ends=parse_time(spec.expires) if spec.expires else None, comment=spec.comment,
        )  # fmt: skip

    @classmethod
    def signed(cls, facts: tuple[Fact, ...], said: SignedDecision, *, release_digest: str, believed: bool) -> Decision:
        """Read one that is signed. `facts` are those of its one bundle."""
        bundle = facts[0].bundle_digest
        return cls(
            name=bundle, act=bundle, person=Signature(facts=facts), release_digest=release_digest, evidence_digest=said.evidence_digest,
            role=said.role, decision=said.decision, waiver=said.waiver, revokes=said.revokes,
            at=said.decided_at.strftime(_TIME), begins=said.decided_at, ends=said.expires, comment=said.comment, believed=believed,
        )  # fmt: skip


def decisions_on(case: Case, whole: Case) -> list[Decision]:
    """Give everything that was decided about a release, the first by name first. `whole` still has the facts of signers who are believed no more."""
    found = [Decision.stamped(approval) for approval in case.approvals]
    release = case.release
    about = [
        fact
        for fact in whole.facts
        # What was signed of the release before it changed gives and takes nothing, and is shown: its signer does not know.
        if isinstance(fact.content, SignedDecision) and (release.digest in fact.subjects or fact.content.release == release.name)
    ]
    for _, every in groupby(sorted(about, key=_of_bundle), key=lambda fact: fact.bundle_digest):
        facts = tuple(every)
        said, left = facts[0].content, tuple(fact for fact in facts if fact in case.facts)
        if isinstance(said, SignedDecision):
            gives = said.decision is ApprovalDecision.APPROVE
            (digest,) = facts[0].subjects
            found.append(Decision.signed(left if gives and left else facts, said, release_digest=digest, believed=bool(left)))
    return sorted(found, key=lambda decision: (decision.name, decision.act))


def _of_bundle(fact: Fact) -> tuple[str, str, str]:
    return fact.bundle_digest, fact.trust_root, fact.trust_root_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What all decisions on one release are judged by, and in view of each other."""

    case: Case
    at: Instant
    evidence_digest: str
    decisions: Sequence[Decision]
    persons: Persons
    given: Mapping[str, Sequence[Decision]] = field(default_factory=dict)
    """Approvals, by the act that a revocation names."""
    taken_back: Mapping[str, Decision] = field(default_factory=dict)
    """By the act that it names: a revocation that counts."""
    on_waivers: Mapping[str, Sequence[Decision]] = field(default_factory=dict)
    """By name of the waiver: what counts of the decisions on it."""

    @classmethod
    def of(cls, case: Case, whole: Case, at: Instant, evidence_digest: str) -> Room:
        """Gather the decisions on a release, and see what was taken back. `evidence_digest` is of what the verdict rests on."""
        decisions, given, on_waivers = decisions_on(case, whole), defaultdict(list), defaultdict(list)
        for each in decisions:
            if each.gives and each.act:
                given[each.act].append(each)
        room = cls(case=case, at=at, evidence_digest=evidence_digest, decisions=decisions, persons=Persons(usable(case)), given=given)
        taken = {each.revokes: each for each in reversed(decisions) if each.revokes is not None and _why_not_taken_back(each, room) is None}
        room = replace(room, taken_back=taken)
        for each in decisions:
            if each.waiver is not None and _why_not(each, room) is None:
                on_waivers[each.waiver[0]].append(each)
        return replace(room, on_waivers=on_waivers)

    def who(self, decision: Decision) -> str | None:
        """The name by which its person is counted."""
        return None if decision.person is None else self.persons.who(decision.person)

    def shown(self, decision: Decision) -> str:
        """The person, for people."""
        return "" if decision.person is None else shown(decision.person, usable(self.case))

    def grants(self, decision: Decision) -> bool:
        """Whether a policy grants its person the role that it was given in."""
        return decision.person is not None and any(holds_role(decision.person, decision.role, policy) for policy in usable(self.case))

    def duty(self, decision: Decision, duties: Iterable[SeparatedFrom]) -> str | None:
        """Which signature its person stands behind, as `duty_of`."""
        return None if decision.person is None else duty_of(decision.person, duties, self.case.facts, usable(self.case))


def approval_finding(decision: Decision, room: Room) -> Finding:
    """Tell whether a decision counts."""
    about = f" of waiver {decision.waiver[0]}" if decision.waiver else f" of {decision.revokes}" if decision.revokes else ""
    said = f"{decision.decision}{about} by {room.shown(decision)} as {decision.role}"
    why = _why_not(decision, room)
    return Finding(
        name=decision.name,
        counts=why is None,
        reason=why[0] if why else Reason.Counted,
        message=why[1] if why else said + (f": {decision.comment}" if decision.comment else ""),
        remedy=_to_be_granted(decision, room) if why and why[0] is Reason.RoleNotGranted else "",
        at=decision.at,
        gives=decision.gives,
        role=decision.role,
        username=room.shown(decision),
        rejects=decision.decision is ApprovalDecision.REJECT and decision.waiver is None,
        revokes=decision.revokes is not None,
        waiver=decision.waiver[0] if decision.waiver else "",
    )


def _why_not(decision: Decision, room: Room) -> Why | None:
    if decision.revokes is not None:
        return _why_not_taken_back(decision, room)
    if why := _misplaced(decision, room):
        return why
    if decision.ends is not None and room.at.has_come(decision.ends):
        return Reason.Expired, f"it ended at {decision.ends.isoformat()}"
    if not room.grants(decision):
        return Reason.RoleNotGranted, f"no policy gives {room.shown(decision)} the role {decision.role}"
    if decision.waiver is not None and (why := _not_of_waiver(decision, room)):
        return why
    return _not_given(decision, room) if decision.gives else None


def _misplaced(decision: Decision, room: Room) -> Why | None:
    """Say why a decision is nobody's, or about something else."""
    if decision.person is None:
        return Reason.NotStamped, "it carries no approver; the API server stamps it when the admission policies of Sluice are installed"
    if decision.release_digest != room.case.release.digest:
        return (
            Reason.ReleaseChanged,
            f"the release has changed since: it names release digest {decision.release_digest}; the release has {room.case.release.digest}",
        )
    return None


def _to_be_granted(decision: Decision, room: Room) -> str:
    """Say how policy grants a role to what somebody signs, where it grants it to them as a user; empty where it does not."""
    if not isinstance(decision.person, Signature):
        return ""
    for policy in usable(room.case):
        for role in (role for role in policy.spec.roles if role.name == decision.role):
            users = {subject.name for subject in role.subjects if subject.kind is SubjectKind.USER}
            for signer in {signer.name: signer for fact in decision.person.facts for signer in signers_behind(policy, fact)}.values():
                known = sorted(
                    user for user in users if user in (signer.operated_by.users if signer.operated_by else ()) or same_person(user, signer.identity or "")
                )
                if not known:
                    continue
                may = "" if Kind.APPROVAL in signer.may else f", and Approval to spec.signers[{signer.name}].may"
                subject = f"{{kind: Signer, name: {signer.name}}}"
                return f"add {subject} to spec.roles[{role.name}].subjects{may} of policy {policy.name}, which names {known[0]} as a User only"
    return ""


def _not_given(decision: Decision, room: Room) -> Why | None:
    """Say why an approval gives nothing, whoever gave it."""
    if not decision.believed:
        return Reason.SignerRevoked, f"{room.shown(decision)} signed it, who is believed no more: have somebody else approve"
    if room.who(decision) is None:
        return Reason.NotOnePerson, f"{room.shown(decision)} signed it, and policy says of no one user that it is them: spec.signers[].operatedBy"
    if decision.begins is not None and not room.at.has_come(decision.begins, early=_SKEW):
        return Reason.ApprovalNotYet, f"it says that it was given at {decision.begins.isoformat()}"
    if (taken := room.taken_back.get(decision.act)) is not None:
        return Reason.ApprovalRevoked, f"{room.shown(taken)} took it back ({taken.name})" + (f": {taken.comment}" if taken.comment else "")
    if decision.waiver is None and decision.evidence_digest != room.evidence_digest:
        then, now = decision.evidence_digest, room.evidence_digest
        return Reason.EvidenceChanged, f"the evidence has changed since: it was given on evidence {then}; it is now {now}: look at the release and decide again"
    return None


def _why_not_taken_back(decision: Decision, room: Room) -> Why | None:
    """Say why a revocation takes nothing back. It may be by who gave the approval, or by who holds its role: they could reject all of the release."""
    if why := _misplaced(decision, room):
        return why
    given = room.given.get(decision.revokes or "", ())
    if not given:
        return Reason.NothingToRevoke, f"there is no approval {decision.revokes} of this release"
    own = any(room.who(each) is not None and room.who(each) == room.who(decision) for each in given)
    shared = any(each.role == decision.role for each in given)
    if not own and not (shared and room.grants(decision)):
        return Reason.RoleNotGranted, f"{room.shown(decision)} neither gave it nor holds the role that it was given in, {given[0].role}"
    return None


def _not_of_waiver(decision: Decision, room: Room) -> Why | None:
    name, digest = decision.waiver or ("", "")
    waiver = next((each for each in room.case.waivers if each.name == name), None)
    if waiver is None:
        return Reason.WaiverChanged, f"there is no ReleaseWaiver {name} of this release"
    if waiver_digest(name=name, spec=waiver.spec) != digest:
        return Reason.WaiverChanged, f"it names digest {digest}; waiver {name} has {waiver_digest(name=name, spec=waiver.spec)}: look at it and decide again"
    if decision.gives and waiver.spec.approver is not None and room.persons.who(waiver.spec.approver) == room.who(decision):
        return Reason.SeparationOfDuties, f"{room.shown(decision)} asks for the waiver, and cannot approve it"
    if decision.gives and (duty := room.duty(decision, DUTIES)):
        return Reason.SeparationOfDuties, f"{room.shown(decision)} {duty}"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signoff:
    """One approval that counts, with who gave it."""

    username: str
    role: str


def staffed(signoffs: Sequence[Signoff], counts: Mapping[str, int]) -> dict[str, int]:
    """Give each role as many different people as it needs, one role for each person; return how many each role got.

    A maximum bipartite matching (augmenting paths): whoever can fill two roles fills the one that is harder to fill, so order never matters.
    """
    seats = [(role, seat) for role in sorted(counts) for seat in range(counts[role])]
    able = {seat: sorted({s.username for s in signoffs if s.role == seat[0]}) for seat in seats}
    sitting: dict[str, tuple[str, int]] = {}

    def seat_someone(seat: tuple[str, int], tried: set[str]) -> bool:
        for person in able[seat]:
            if person in tried:
                continue
            tried.add(person)
            if person not in sitting or seat_someone(sitting[person], tried):
                sitting[person] = seat
                return True
        return False

    for seat in seats:
        seat_someone(seat, set())
    taken = list(sitting.values())
    return {role: sum(1 for seat in taken if seat[0] == role) for role in counts}


def usable(case: Case) -> tuple[Policy, ...]:
    """Return the policies of the case that can be used."""
    return tuple(policy for policy in case.policies if isinstance(policy, Policy))
