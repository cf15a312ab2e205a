"""Who decided, by either root of identity: the API user whom the API server stamped, or whoever signed a bundle.

Roles are granted by `ReleasePolicy`, never by RBAC: a wildcard role is no approver. Separation of duties compares identities: who decides must not stand
behind a signature that the release relies on. Across both roots, people are the same where policy says so (`operatedBy`) or where their names say so; who that
is follows from the policies alone, so that one decision more never changes who made another.

Limits: a signature tells nothing of groups. Whether its person is among the operators of a pipeline that are named by group cannot be known, and counts as so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sluice.api.base import Identity
from sluice.api.policy import People, Signer, SubjectKind
from sluice.api.policy import StatementKind as Kind
from sluice.api.requirement import SeparatedFrom
from sluice.decision.model import Policy
from sluice.decision.signers import kind_of, permitted_signer, signers_behind
from sluice.decision.statements import ordered
from sluice.evidence.facts import Fact

DUTIES = {SeparatedFrom.TRAINER: {Kind.MODEL_SIGNATURE, Kind.PROVENANCE}, SeparatedFrom.EVALUATOR: {Kind.EVALUATION, Kind.SHADOW_PAIRS}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Who signed a decision: one bundle, once for each TrustRoot that verifies it."""

    facts: tuple[Fact, ...]

    @property
    def identities(self) -> frozenset[str]:
        """The names in the certificates; empty for a plain key."""
        return frozenset(fact.signer.identity for fact in self.facts if fact.signer.identity is not None)


Person = Identity | Signature


def shown(person: Person, policies: Sequence[Policy]) -> str:
    """Name a person to people."""
    if isinstance(person, Identity):
        return person.username
    users = operators(person, policies).users
    first = ordered(person.facts)[0].signer
    by = first.identity or f"key {first.key} of TrustRoot {first.trust_root}"
    return f"{users[0]} ({by})" if len(users) == 1 and users[0] != by else by


def operators(person: Signature, policies: Sequence[Policy]) -> People:
    """Give all whom policies name behind a signature, whatever they let it say."""
    named = [signer.operated_by for policy in policies for fact in person.facts for signer in signers_behind(policy, fact) if signer.operated_by is not None]
    return People(users=sorted({user for each in named for user in each.users}), groups=sorted({group for each in named for group in each.groups}))


def holds_role(person: Person, role: str, policy: Policy) -> bool:
    """Tell whether `policy` grants `role` to `person`."""
    if isinstance(person, Identity):
        names = {SubjectKind.USER: {person.username}, SubjectKind.GROUP: set(person.groups)}
    else:
        names = {SubjectKind.SIGNER: {signer.name for fact in person.facts for signer in signers_behind(policy, fact) if Kind.APPROVAL in signer.may}}
    return any(subject.name in names.get(subject.kind, ()) for granted in policy.spec.roles if granted.name == role for subject in granted.subjects)


class Persons:
    """Which names are one person, as far as policies tell."""

    def __init__(self, policies: Sequence[Policy]) -> None:
        """Read who may sign decisions, and whom policies name behind these."""
        self._policies = policies
        approvers = [signer for policy in policies for signer in policy.spec.signers if Kind.APPROVAL in signer.may]
        self._behind: dict[str, set[str]] = {signer.identity.casefold(): set() for signer in approvers if signer.identity is not None}
        """By identity of those who may sign decisions: the users that they are."""
        for signer in (signer for policy in policies for signer in policy.spec.signers):
            if signer.identity is not None and signer.operated_by is not None and signer.identity.casefold() in self._behind:
                self._behind[signer.identity.casefold()] |= set(signer.operated_by.users)
        users = {user for every in self._behind.values() for user in every}
        for identity, behind in self._behind.items():
            behind |= {user for user in users if same_person(user, identity)}
        self._known = users | self._behind.keys()

    def who(self, person: Person) -> str | None:
        """Give the name by which a person is counted; None for a signature that is not one person's."""
        if isinstance(person, Identity):
            return self._counted(person.username)
        by = operators(person, self._policies)
        names = {*by.users} or {identity.casefold() for identity in person.identities}
        return None if by.groups or len(names) != 1 else self._counted(names.pop())

    def _counted(self, name: str) -> str:
        """Follow a name to all that policies tie to it, and take the first of these in the alphabet; a name that they do not know stands for itself."""
        found, ahead = set[str](), [name]
        while ahead:
            at = ahead.pop()
            if at in found:
                continue
            found.add(at)
            ahead += [identity for identity, users in self._behind.items() if at in users or same_person(at, identity)]
            ahead += self._behind.get(at.casefold(), ())
        return min(found & self._known, default=name)


def same_person(username: str, identity: str) -> bool:
    """Compare an API user with a certificate's identity; API servers put a prefix (`oidc:`) or the issuer (`…#`) before the name."""
    user, signer = username.casefold(), identity.casefold()
    return user == signer or user.endswith((f":{signer}", f"#{signer}"))


def duty_of(person: Person, duties: Iterable[SeparatedFrom], facts: Sequence[Fact], policies: Sequence[Policy]) -> str | None:
    """Say which signature `person` stands behind, among those that belong to `duties`; None when none.

    Where there is no signature of a kind – it was waived, or its evidence deleted – whoever could have made it stands behind it.
    """
    kinds = {kind for duty in duties for kind in DUTIES[duty]}
    ties = _Ties.of(person, policies)
    operating = [policy for policy in policies if any(ties.operates(signer) for signer in policy.spec.signers)]
    # The same one is named whatever came first: what is said is part of a verdict.
    for fact in ordered(facts):
        kind = kind_of(fact)
        if kind not in kinds:
            continue
        if ties.made(fact):
            return f"signed {kind} {fact.bundle_digest[:19]}… as {fact.signer.identity or fact.signer.key}"
        if not any(permitted_signer(policy, fact) for policy in policies):
            continue
        for signer in (signer for policy in operating for signer in signers_behind(policy, fact)):
            if how := ties.operates(signer):
                return f"{how} the signer {signer.name}, who signed {kind} {fact.bundle_digest[:19]}…"
    for kind in sorted(kinds - {kind_of(fact) for fact in facts}):
        for signer in (signer for policy in policies for signer in policy.spec.signers if kind in signer.may):
            if ties.operates(signer) or ties.is_signer(signer):
                return f"could have made the missing {kind} statement, as {signer.name}"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ties:
    """By what a person is known."""

    users: frozenset[str]
    groups: frozenset[str] | None
    """None: nobody knows."""
    identities: frozenset[str] = frozenset()
    keys: frozenset[tuple[str, str]] = frozenset()
    """Names of keys, each with its trust root."""
    fingerprints: frozenset[str] = frozenset()

    @classmethod
    def of(cls, person: Person, policies: Sequence[Policy]) -> _Ties:
        if isinstance(person, Identity):
            return cls(users=frozenset({person.username}), groups=frozenset(person.groups))
        signers = [fact.signer for fact in person.facts]
        return cls(
            users=frozenset(operators(person, policies).users),
            groups=None,
            identities=frozenset(identity.casefold() for identity in person.identities),
            keys=frozenset((signer.trust_root, signer.key) for signer in signers if signer.key is not None),
            fingerprints=frozenset(signer.key_fingerprint for signer in signers),
        )

    def made(self, fact: Fact) -> bool:
        """Whether a signature is theirs."""
        return fact.signer.key_fingerprint in self.fingerprints or self._has(fact.signer.identity)

    def is_signer(self, signer: Signer) -> bool:
        """Whether a signer of a policy is them."""
        return (signer.trust_root, signer.key) in self.keys or self._has(signer.identity)

    def operates(self, signer: Signer) -> str | None:
        """How they stand behind a signer of a policy; None when they do not."""
        by = signer.operated_by
        if by is None:
            return None
        if self.users & set(by.users) or (self.groups or frozenset()) & set(by.groups):
            return "operates"
        return f"may be in {', '.join(sorted(by.groups)[:8])}, which a signature does not tell, and operate" if self.groups is None and by.groups else None

    def _has(self, identity: str | None) -> bool:
        return identity is not None and (identity.casefold() in self.identities or any(same_person(user, identity) for user in self.users))
