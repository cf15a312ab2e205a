"""The requirements of types ChangeTicket, ImpactAssessment and VendorAssurance: what people outside of the pipeline vouch for, signed and still true.

A field of the release names it (`change.ticket`, `change.impact.assessment`, `vendor`), and a statement of somebody who may says what became of it. Neither
suffices alone: a field is the word of those who want the release, and a statement about a ticket that the release does not name is about another change.

Of several statements the earliest one that is good is used. A later rejection takes nothing back: who changes their mind rejects the release, or has it
revoked, and both stand.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from sluice.api.durations import parse_duration
from sluice.api.policy import StatementKind as Kind
from sluice.api.release import Outcome
from sluice.api.requirement import RequirementType
from sluice.decision.reasons import Reason
from sluice.decision.signers import describe, kind_of, permitted_signer
from sluice.decision.statements import SEVERITY, ordered, statement, who_may
from sluice.evidence.assurance import ChangeTicket, ImpactAssessment, VendorAssurance

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sluice.api.release import ReleaseSpec, Vendor
    from sluice.decision.instant import Instant
    from sluice.decision.model import Asked, Case, Release, Result
    from sluice.evidence.facts import Fact

_SKEW: Final = timedelta(minutes=10)
"""How much later than ours the clock of whoever decided may be."""
_KINDS: Final[Mapping[RequirementType, Kind]] = {
    RequirementType.CHANGE_TICKET: Kind.CHANGE_TICKET,
    RequirementType.IMPACT_ASSESSMENT: Kind.IMPACT_ASSESSMENT,
    RequirementType.VENDOR_ASSURANCE: Kind.VENDOR_ASSURANCE,
}


class _Named(NamedTuple):
    """What the release names."""

    digest: str
    """The subject of statements about it."""
    words: str


class _Said(NamedTuple):
    """What a statement comes to for this release."""

    words: str
    begins: datetime
    ends: datetime | None
    objection: tuple[Reason, str] | None = None


def check_assurance(asked: Asked, case: Case, at: Instant) -> Result:
    """Check a requirement of type ChangeTicket, ImpactAssessment or VendorAssurance."""
    kind = _KINDS[asked.requirement.type]
    # 1. What the release itself names: it cannot be added later.
    named = _named(kind, case.release)
    if isinstance(named, str):
        return asked.result(
            Outcome.FAILED, Reason.AssuranceNotNamed, f"the release names none: it has no {named}", remedy=f"apply a new ModelRelease with {named}"
        )
    # 2. Signed by somebody who may.
    found = statement(asked, named.digest, named.words, kind, case=case)
    if found.outcome is not Outcome.SATISFIED:
        return found
    about = ordered(fact for fact in case.facts if kind_of(fact) is kind and named.digest in fact.subjects and permitted_signer(asked.policy, fact))
    # 3. About just this, positive, and now.
    nearest: Result | None = None
    for fact in about:
        result = _of_one(asked, fact, case.release, at)
        if result.outcome is Outcome.SATISFIED:
            return result
        if nearest is None or SEVERITY.index(result.outcome) < SEVERITY.index(nearest.outcome):
            nearest = result
    return nearest or found


def _named(kind: Kind, release: Release) -> _Named | str:
    """Give what the release names, or the field that it lacks."""
    change, vendor = release.spec.change, release.spec.vendor
    match kind:
        case Kind.CHANGE_TICKET:
            return _Named(release.digest, f"ticket {change.ticket}, for release") if change.ticket else "spec.change.ticket"
        case Kind.IMPACT_ASSESSMENT:
            assessed = change.impact.assessment if change.impact else None
            return _Named(release.digest, f"assessment {assessed.digest}, for release") if assessed else "spec.change.impact.assessment"
        case _:
            if vendor is None:
                return "spec.vendor"
            return _Named(vendor.assurance.digest, f"{_model(vendor)}, in document") if vendor.assurance else "spec.vendor.assurance"


def _of_one(asked: Asked, fact: Fact, release: Release, at: Instant) -> Result:
    said = _said(asked, fact, release.spec)
    if said.objection is not None:
        reason, words = said.objection
        who = who_may(asked.policy, _kind(asked))
        negative = f"apply a new ModelRelease with what was found wanting changed; or, when it is decided anew, have {who} sign that"
        remedy = negative if reason is Reason.AssuranceNegative else f"have {who} sign for this one"
        return asked.result(Outcome.FAILED, reason, f"{words}; signed by {describe(fact)}", remedy=remedy)
    if not at.has_come(said.begins, early=_SKEW):
        return asked.result(Outcome.MISSING, Reason.AssuranceNotYet, f"{said.words} begins at {said.begins.isoformat()}", remedy="nothing to do but to wait")
    if said.ends is not None and at.has_come(said.ends):
        return asked.result(
            Outcome.EXPIRED, Reason.EvidenceExpired, f"{said.words} ended at {said.ends.isoformat()}",
            remedy=f"have {who_may(asked.policy, _kind(asked))} decide and sign again",
        )  # fmt: skip
    return asked.result(Outcome.SATISFIED, Reason.AssuranceVerified, f"{said.words}; signed by {describe(fact)}", evidence=(fact.bundle_digest,))


def _said(asked: Asked, fact: Fact, spec: ReleaseSpec) -> _Said:
    max_age = parse_duration(asked.requirement.max_age) if asked.requirement.max_age else None
    content = fact.content
    match content:
        case ChangeTicket():
            ends = content.at + max_age if max_age is not None else None
            return _Said(f"ticket {content.ticket} was approved by {content.by}", content.at, ends, _on_ticket(content, spec))
        case ImpactAssessment():
            ends = content.at + max_age if max_age is not None else None
            return _Said(f"assessment {content.document} by {content.by} found the impact acceptable", content.at, ends, _on_assessment(content, spec))
        case VendorAssurance():
            words = f"assurance of {content.model} by {content.vendor}" + (f", version {content.version}" if content.version else "")
            return _Said(words, content.valid_from, content.valid_until, _on_vendor(content, spec.vendor))
        case _:
            raise ValueError(f"a statement of kind {kind_of(fact)} is no assurance")


def _on_ticket(content: ChangeTicket, spec: ReleaseSpec) -> tuple[Reason, str] | None:
    if content.ticket != spec.change.ticket:
        return Reason.AssuranceDiffers, f"the statement is about ticket {content.ticket}; the release names {spec.change.ticket}"
    return None if content.approved else (Reason.AssuranceNegative, f"ticket {content.ticket} was rejected by {content.by}")


def _on_assessment(content: ImpactAssessment, spec: ReleaseSpec) -> tuple[Reason, str] | None:
    assessed = spec.change.impact.assessment if spec.change.impact else None
    if assessed is None or content.document != assessed.digest:
        return Reason.AssuranceDiffers, f"the statement is about document {content.document}; the release names {assessed.digest if assessed else 'none'}"
    return None if content.acceptable else (Reason.AssuranceNegative, f"assessment {content.document} by {content.by} found the impact not acceptable")


def _on_vendor(content: VendorAssurance, vendor: Vendor | None) -> tuple[Reason, str] | None:
    said = (content.vendor, content.model, content.version)
    if vendor is not None and said in {(vendor.name, vendor.model, vendor.version), (vendor.name, vendor.model, None)}:
        return None
    version = f", version {content.version}" if content.version else ""
    return (
        Reason.AssuranceDiffers,
        f"the statement is about {content.model} by {content.vendor}{version}; the release names {_model(vendor) if vendor else 'none'}",
    )


def _model(vendor: Vendor) -> str:
    return f"{vendor.model} by {vendor.name}" + (f", version {vendor.version}" if vendor.version else "")


def _kind(asked: Asked) -> Kind:
    return _KINDS[asked.requirement.type]
