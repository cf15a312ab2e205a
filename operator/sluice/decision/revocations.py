"""What was revoked, by whom, and what that does to a verdict.

A revoked signature is taken out before anything is checked: what it says counts for nothing. A requirement that would be met with it then says who revoked what
and why, instead of "there is no evidence". Where other evidence meets the requirement, nothing is lost but the sign-offs on the evidence that went: the
evidence digest names what the verdict rests on, so people look again. A waiver covers a signer that was revoked, as it covers evidence that is not there;
it does not cover a release or an artifact that was revoked: that was found, and is no risk to be taken.

Looked up by digest, fingerprint and identity, so that a verdict does not get slower with the length of the lists.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter, ValidationError

from sluice.api.base import parse_time
from sluice.api.release import Outcome
from sluice.api.revocation import OnRevoked, Revoked, RevokedList, RevokedType
from sluice.decision.model import Result, carrier
from sluice.decision.people import usable
from sluice.decision.reasons import Reason
from sluice.decision.signers import permitted_signer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from sluice.decision.model import Asked, Case
    from sluice.evidence.facts import Fact
    from sluice.provenance.bundle import Signer

_TOLD: Final = 8
"""Revocations that one message names, at most."""
_ITSELF: Final = "revocations"
"""The name of the result about the release itself; no policy has to ask for it."""
_FROM_BEST: Final = (Outcome.SATISFIED, Outcome.EXPIRED, Outcome.MISSING, Outcome.FAILED)
_LIST: Final = TypeAdapter(RevokedList)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """One thing that is believed no more."""

    by: str
    """The object that says so: `TrustRoot ci`."""
    entry: Revoked

    @property
    def words(self) -> str:
        """Who revoked what, when and why."""
        entry = self.entry
        when = f" on {entry.revoked_at}" if entry.revoked_at else ""
        since = f", for what was signed since {entry.since}" if entry.since else ""
        return f"{self.by} revoked {_what(entry)}{when}{since}: {entry.reason}"

    def concerns(self, signed_at: datetime | None) -> bool:
        """Whether the time of a signature, as far as it is known, is one that this is about."""
        return self.entry.since is None or signed_at is None or signed_at >= parse_time(self.entry.since)


def _what(entry: Revoked) -> str:
    match entry.type:
        case RevokedType.KEY:
            return f"key {entry.key or entry.fingerprint}"
        case RevokedType.CERTIFICATE:
            return f"certificate {entry.fingerprint}" if entry.fingerprint else f"certificate {entry.serial} of {entry.issued_by}"
        case RevokedType.IDENTITY:
            return f"identity {entry.identity} (issuer {entry.issuer})"
        case RevokedType.RELEASE:
            return f"release {entry.digest}"
        case RevokedType.ARTIFACT:
            return f"artifact {entry.digest}"


Index = dict[tuple[str, ...], list[Revocation]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocations:
    """The list of one object, and why it cannot be read."""

    by: str
    entries: tuple[Revocation, ...] = ()
    problem: str = ""
    _index: Index = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, by: str, entries: Iterable[Revoked], *, trust_root: str | None = None) -> Revocations:
        """Take the list of an object; `trust_root` is the one whose keys it may call by name."""
        found, index = tuple(Revocation(by=by, entry=entry) for entry in entries), defaultdict(list)
        for revocation in found:
            index[_place(revocation.entry, trust_root)].append(revocation)
        return cls(by=by, entries=found, _index=dict(index))

    @classmethod
    def read(cls, by: str, item: Mapping[str, Any], *, trust_root: str | None = None) -> Revocations:
        """Take the list of a raw object, also where the rest of it cannot be read: what was revoked stays revoked."""
        try:
            return cls.of(by, _LIST.validate_python((item.get("spec") or {}).get("revoked") or []), trust_root=trust_root)
        except (ValidationError, AttributeError, TypeError) as error:
            return cls(by=by, problem=str(error).splitlines()[0])

    def of_fact(self, fact: Fact) -> Revocation | None:
        """Why the signature under `fact` counts no more; None when it counts."""
        return self.of_signer(fact.signer, fact.signed_at)

    def of_signer(self, signer: Signer, signed_at: datetime | None) -> Revocation | None:
        """Why what somebody signed then counts no more; None when it counts."""
        places: list[tuple[str, ...]] = [("fingerprint", signer.key_fingerprint), *(("fingerprint", one) for one in signer.chain_fingerprints)]
        if signer.key is not None:
            places.append(("key", signer.trust_root, signer.key))
        if signer.identity is not None and signer.issuer is not None:
            places.append(("identity", signer.identity, signer.issuer))
        if signer.serial is not None:
            places += [("serial", signer.serial, above) for above in signer.chain_fingerprints[1:2]]
        return next((revocation for place in places for revocation in self._index.get(place, ()) if revocation.concerns(signed_at)), None)

    def of_release(self, digest: str) -> Revocation | None:
        """Why the release of this release digest may not serve."""
        return next(iter(self._index.get(("release", digest), ())), None)

    def of_artifact(self, digest: str) -> Revocation | None:
        """Why nothing that has this artifact, or was made from it, may serve."""
        return next(iter(self._index.get(("artifact", digest), ())), None)

    def names(self, fact: Fact) -> bool:
        """Whether something here may concern who made `fact`, what it speaks of, or what that was made from."""
        return self.of_fact(fact) is not None or any(self.of_artifact(digest) is not None for digest in (*fact.speaks_of, *fact.leads_to))

    def names_release(self, release_digest: str, artifacts: Iterable[str]) -> bool:
        """Whether a release, or an artifact of it, is named here."""
        return self.of_release(release_digest) is not None or any(self.of_artifact(digest) is not None for digest in artifacts)

    def changed_from(self, before: Revocations) -> Revocations:
        """Give what stands in one of two lists only: whom a change may concern."""
        ours, theirs = {_text(one) for one in self.entries}, {_text(one) for one in before.entries}
        same = ours & theirs
        index: Index = defaultdict(list)
        for place, revocations in [*self._index.items(), *before._index.items()]:
            index[place] += [one for one in revocations if _text(one) not in same]
        different = tuple(one for revocations in index.values() for one in revocations)
        return Revocations(by=self.by, entries=different, problem=self.problem or before.problem, _index=dict(index))


def _text(revocation: Revocation) -> str:
    return revocation.entry.model_dump_json()


def _place(entry: Revoked, trust_root: str | None) -> tuple[str, ...]:
    match entry.type:
        case RevokedType.KEY if entry.key is not None:
            return ("key", trust_root or "", entry.key)
        case RevokedType.CERTIFICATE if entry.serial is not None:
            return ("serial", entry.serial, entry.issued_by or "")
        case RevokedType.KEY | RevokedType.CERTIFICATE:
            return ("fingerprint", entry.fingerprint or "")
        case RevokedType.IDENTITY:
            return ("identity", entry.identity or "", entry.issuer or "")
        case RevokedType.RELEASE:
            return ("release", entry.digest or "")
        case RevokedType.ARTIFACT:
            return ("artifact", entry.digest or "")


NOTHING: Final = Revocations(by="nobody")
"""Nothing was revoked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sifted:
    """A case without the facts that count no more, and these facts."""

    case: Case
    revoked: tuple[tuple[Fact, Revocation], ...] = ()


def sift(case: Case) -> Sifted:
    """Take out the facts whose signer was revoked, by a TrustRoot or by a policy that selects the release."""
    lists = [one for one in _lists(case) if one.entries]
    every = (*case.facts, *case.kin.facts, *case.lineage.facts)
    found = {fact: why for fact in every if (why := next((why for one in lists if (why := one.of_fact(fact))), None)) is not None}
    if not found:
        return Sifted(case=case)

    def left(facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
        return tuple(fact for fact in facts if fact not in found)

    kin, lineage = replace(case.kin, facts=left(case.kin.facts)), replace(case.lineage, facts=left(case.lineage.facts))
    return Sifted(case=replace(case, facts=left(case.facts), kin=kin, lineage=lineage), revoked=tuple(found.items()))


def artifact_revoked(case: Case, digests: Iterable[str]) -> Revocation | None:
    """Say why nothing that was made from one of these artifacts may serve; None when it may."""
    lists = _lists(case)
    return next((why for digest in sorted(digests) for one in lists if (why := one.of_artifact(digest)) is not None), None)


def is_better(before: Result, result: Result) -> bool:
    """Whether a requirement came to more with the facts that count no more than without them."""
    return _FROM_BEST.index(before.outcome) < _FROM_BEST.index(result.outcome)


def signer_revoked(asked: Asked, revoked: Sequence[tuple[Fact, Revocation]], before: Result) -> Result:
    """Say of a requirement that it is not met because of revocations; `before` is what it came to with the facts that count no more."""
    used = [why for fact, why in revoked if fact.bundle_digest in before.evidence]
    words = dict.fromkeys(why.words for why in used or [why for fact, why in revoked if permitted_signer(asked.policy, fact)])
    return asked.result(
        Outcome.FAILED, Reason.SignerRevoked, f"what it rests on counts no more: {_told(words)}",
        remedy="have somebody who is trusted sign it again, and apply that as ReleaseEvidence; or apply a new ModelRelease",
    )  # fmt: skip


def own_revocations(case: Case) -> Iterator[Result]:
    """Say what was revoked of the release itself: one result for each object that did so. `case` has no facts that count no more."""
    lists = [one for one in _lists(case) if one.entries or one.problem]
    digests = _made_of(case) if lists else {}
    for one in lists:
        policy = one.by.rpartition(" ")[2] if one.by.startswith("ReleasePolicy ") else "none"
        if one.problem:
            yield Result(
                policy=policy, requirement=_ITSELF, outcome=Outcome.MISSING, reason=Reason.RevocationUnreadable,
                message=f"{one.by}: spec.revoked cannot be read, and might name this release: {one.problem}",
                remedy="the platform team repairs it",
            )  # fmt: skip
        elif (why := one.of_release(case.release.digest)) is not None:
            yield _stopped(policy, Reason.ReleaseRevoked, why.words, remedy="apply a new ModelRelease")
        elif found := {f"{name}: {why.words}": None for digest, name in digests.items() if (why := one.of_artifact(digest))}:
            yield _stopped(policy, Reason.ArtifactRevoked, _told(found), remedy="apply a new ModelRelease without it")


def on_revoked(case: Case) -> OnRevoked:
    """What becomes of the release while it runs: the strongest that a policy asks for."""
    return max((policy.spec.on_revoked for policy in usable(case)), key=list(OnRevoked).index, default=OnRevoked.WITHDRAW)


def _lists(case: Case) -> list[Revocations]:
    """Every list that may name something of this release, in an order that does not depend on when they came."""
    return sorted((*(root.revocations for root in case.trust_roots.values()), *(policy.revocations for policy in case.policies)), key=lambda one: one.by)


def _made_of(case: Case) -> dict[str, str]:
    """The digests of what a release consists of, and of what it was made from as far as a permitted signer says so; each with words for it."""
    own = {digest: artifact.name for artifact in case.release.spec.artifacts for digest in (artifact.digest, carrier(artifact)) if digest}
    about = [fact for fact in case.facts if fact.speaks_of & own.keys() and any(permitted_signer(policy, fact) for policy in usable(case))]
    return {digest: "what it was made from" for fact in about for digest in fact.leads_to} | own


def _stopped(policy: str, reason: Reason, message: str, *, remedy: str) -> Result:
    return Result(policy=policy, requirement=_ITSELF, outcome=Outcome.FAILED, reason=reason, message=message, remedy=remedy)


def _told(words: Iterable[str]) -> str:
    every = list(words)
    more = [f"and {len(every) - _TOLD} more"] if len(every) > _TOLD else []
    return "; ".join([*every[:_TOLD], *more])
