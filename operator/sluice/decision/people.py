"""Whether what people decided counts.

Roles are granted by `ReleasePolicy` on the identity that the API server stamped, never by RBAC: a wildcard role is no approver.
Separation of duties compares identities: who approves must not stand behind a signature that the release relies on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sluice.api.approval import ApprovalDecision
from sluice.api.base import parse_time
from sluice.api.policy import StatementKind as Kind
from sluice.api.policy import SubjectKind
from sluice.api.requirement import SeparatedFrom
from sluice.decision.model import Finding, Policy
from sluice.decision.reasons import Reason
from sluice.decision.signers import kind_of, permitted_signer

if TYPE_CHECKING:
    from datetime import datetime

    from sluice.api.base import Identity
    from sluice.api.policy import Signer
    from sluice.decision.model import Approval, Asked, Case, Waiver
    from sluice.evidence.facts import Fact

_DUTIES = {SeparatedFrom.TRAINER: {Kind.MODEL_SIGNATURE, Kind.PROVENANCE}, SeparatedFrom.EVALUATOR: {Kind.EVALUATION}}


def holds_role(person: Identity, role: str, policy: Policy) -> bool:
    """Tell whether `policy` grants `role` to `person`."""
    names = {SubjectKind.USER: {person.username}, SubjectKind.GROUP: set(person.groups)}
    return any(subject.name in names[subject.kind] for granted in policy.spec.roles if granted.name == role for subject in granted.subjects)


def duty_of(person: Identity, duties: Iterable[SeparatedFrom], facts: Sequence[Fact], policies: Sequence[Policy]) -> str | None:
    """Say which signature `person` stands behind, among those that belong to `duties`; None when none.

    Where there is no signature of a kind – it was waived, or its evidence deleted – whoever could have made it stands behind it.
    """
    kinds = {kind for duty in duties for kind in _DUTIES[duty]}
    for fact in facts:
        kind = kind_of(fact)
        if kind not in kinds:
            continue
        identity = fact.signer.identity
        if identity is not None and _same_person(person.username, identity):
            return f"signed {kind} {fact.bundle_digest[:19]}… as {identity}"
        for policy in policies:
            signer = permitted_signer(policy, fact)
            if signer is not None and _operates(person, signer):
                return f"operates the signer {signer.name}, who signed {kind} {fact.bundle_digest[:19]}…"
    for kind in sorted(kinds - {kind_of(fact) for fact in facts}):
        for signer in (signer for policy in policies for signer in policy.spec.signers if kind in signer.may):
            if _operates(person, signer) or (signer.identity is not None and _same_person(person.username, signer.identity)):
                return f"could have made the missing {kind} statement, as {signer.name}"
    return None


def _operates(person: Identity, signer: Signer) -> bool:
    operators = signer.operated_by
    return operators is not None and (person.username in operators.users or bool(set(person.groups) & set(operators.groups)))


def _same_person(username: str, identity: str) -> bool:
    """Compare an API user with a certificate's identity; API servers put a prefix (`oidc:`) or the issuer (`…#`) before the name."""
    user, signer = username.casefold(), identity.casefold()
    return user == signer or user.endswith((f":{signer}", f"#{signer}"))


def approval_finding(approval: Approval, case: Case, evidence_digest: str, *, now: datetime) -> Finding:
    """Tell whether `approval` counts. A rejection counts whatever the evidence, until it is deleted or ends."""
    spec = approval.spec
    rejects = spec.decision is ApprovalDecision.REJECT
    ends = parse_time(spec.expires) if spec.expires else None
    refused = _refusal(spec.approver, [spec.role], spec.release_digest, ends, case=case, now=now)
    if refused is None and not rejects and spec.evidence_digest != evidence_digest:
        refused = (
            Reason.EvidenceChanged,
            f"it was given on evidence {spec.evidence_digest}; the evidence is now {evidence_digest}: look at the release and decide again",
        )
    return Finding(
        name=approval.name,
        counts=refused is None,
        reason=refused[0] if refused else Reason.Counted,
        message=refused[1] if refused else f"{spec.decision} by {spec.approver.username if spec.approver else ''} as {spec.role}",
        role=spec.role,
        username=spec.approver.username if spec.approver else "",
        rejects=rejects,
        changes_at=ends if refused is None else None,
    )


def waiver_finding(waiver: Waiver, case: Case, *, now: datetime) -> Finding:
    """Tell whether `waiver` counts for at least one requirement. A trainer waives nothing of what they trained."""
    spec, policies = waiver.spec, usable(case)
    ends = parse_time(spec.expires)
    roles = [
        role
        for policy in policies
        for requirement in policy.spec.requirements
        if requirement.name in spec.requirements
        for role in requirement.waivable_by or ()
    ]
    refused = _refusal(spec.approver, roles, spec.release_digest, ends, case=case, now=now)
    if refused is None and spec.approver and (duty := duty_of(spec.approver, list(_DUTIES), case.facts, policies)):
        refused = (Reason.SeparationOfDuties, f"{spec.approver.username} {duty}")
    if refused and refused[0] is Reason.RoleNotGranted:
        refused = (
            Reason.NothingToWaive,
            f"no policy lets {spec.approver.username if spec.approver else 'nobody'} waive {', '.join(spec.requirements)}",
        )
    return Finding(
        name=waiver.name,
        counts=refused is None,
        reason=refused[0] if refused else Reason.Counted,
        message=refused[1] if refused else f"{', '.join(spec.requirements)} until {spec.expires}; {spec.risk_owner} carries the risk",
        username=spec.approver.username if spec.approver else "",
        changes_at=ends if refused is None else None,
    )


def waives(waiver: Waiver, finding: Finding, ask: Asked) -> bool:
    """Tell whether a waiver that counts covers one requirement of one policy."""
    person = waiver.spec.approver
    covered = finding.counts and ask.requirement.name in waiver.spec.requirements
    return covered and person is not None and any(holds_role(person, role, ask.policy) for role in ask.requirement.waivable_by or ())


def _refusal(
    person: Identity | None,
    roles: Sequence[str],
    digest: str,
    ends: datetime | None,
    *,
    case: Case,
    now: datetime,
) -> tuple[Reason, str] | None:
    if person is None:
        return Reason.NotStamped, "it carries no approver; the API server stamps it when the admission policies of Sluice are installed"
    if digest != case.release.digest:
        return Reason.ReleaseChanged, f"it names release digest {digest}; the release has {case.release.digest}"
    if ends is not None and ends <= now:
        return Reason.Expired, f"it ended at {ends.isoformat()}"
    if not any(holds_role(person, role, policy) for policy in usable(case) for role in roles):
        return Reason.RoleNotGranted, f"no policy gives {person.username} the role {' or '.join(sorted(set(roles))) or '(none)'}"
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
