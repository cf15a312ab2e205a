"""A decision of a person that is signed instead of stamped: an approval, a rejection or a revocation, kept in Git.

Described in docs/approvals.md and docs/approval.schema.json.

It is evidence like any other, so that whoever applies it – a GitOps controller – is nobody: the signature says who decided. Its one subject is the release
digest, which binds namespace, name and every field: it cannot be carried to another release. A signature with a plain key has no time that anybody vouches for,
so an approval says itself when it ends.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sluice.api.approval import ApprovalDecision
from sluice.evidence.reading import MALFORMED, moment
from sluice.provenance.digests import is_hex_digest
from sluice.provenance.errors import ProvenanceError, closed
from sluice.provenance.statement import Statement, text
from sluice.provenance.strict_json import JsonObject, optional

PREDICATE_TYPE: Final = "https://sluice.dev/approval/v1"
_MEMBERS: Final = frozenset({"role", "decision", "evidenceDigest", "waiver", "revokes", "decidedAt", "expires", "comment"})
_ROLE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_OF_WAIVER: Final = frozenset({"name", "digest"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedDecision:
    """What somebody decided, in their own words."""

    release: str
    """The name that whoever signed has for the release. It binds nothing, the digest does: by it they are told that the digest is another one now."""
    role: str
    decision: ApprovalDecision
    evidence_digest: str | None
    """Of the release as they saw it; None for a waiver and a revocation."""
    waiver: tuple[str, str] | None
    """Name and digest of the waiver that this is about; None: the release itself."""
    revokes: str | None
    """UID of the ReleaseApproval, or digest of the bundle, that is taken back."""
    decided_at: datetime
    expires: datetime | None
    comment: str | None


def parse_decision(statement: Statement) -> SignedDecision:
    """Read a decision. Raises ProvenanceError (PredicateMalformed)."""
    with closed(MALFORMED, "the decision does not parse"):
        predicate = statement.predicate
        if len(statement.subjects) != 1 or statement.unmatched:
            raise ProvenanceError(MALFORMED, f"the decision is about {len(statement.subjects) + statement.unmatched} subjects; it is about one release")
        if unknown := sorted(predicate.keys() - _MEMBERS):
            # A condition in a member that we do not know (`unless`) would be read by people and by nobody else.
            raise ProvenanceError(MALFORMED, f"the predicate has a member {unknown[0][:80]!r}; this one has {', '.join(sorted(_MEMBERS))}")
        found = SignedDecision(
            release=statement.subjects[0].name,
            role=_role(predicate),
            decision=_decision(predicate),
            evidence_digest=_digest(predicate, "evidenceDigest", where="predicate") if "evidenceDigest" in predicate else None,
            waiver=_waiver(predicate),
            revokes=_said(predicate, "revokes") if "revokes" in predicate else None,
            decided_at=moment(predicate, "decidedAt", where="predicate"),
            expires=moment(predicate, "expires", where="predicate") if "expires" in predicate else None,
            comment=_said(predicate, "comment") if "comment" in predicate else None,
        )
        if problem := _contradiction(found):
            raise ProvenanceError(MALFORMED, problem)
        return found


def _contradiction(said: SignedDecision) -> str | None:
    """What of a decision goes with what: as the API server has it for those that are stamped."""
    revokes = said.decision is ApprovalDecision.REVOKE
    if revokes != (said.revokes is not None):
        return "predicate.revokes goes with the decision Revoke, and it needs it"
    if (said.evidence_digest is not None) == (revokes or said.waiver is not None):
        return "predicate.evidenceDigest goes with approvals and rejections of a release, and they need it; waivers and revocations are on no evidence"
    if revokes and (said.waiver or said.expires):
        return "a revocation is of an approval and for ever: it has no waiver and no expires"
    if said.decision is ApprovalDecision.APPROVE and said.expires is None:
        return "predicate.expires is missing: an approval that is signed ends, since nobody else says how old it is"
    if said.expires is not None and said.expires <= said.decided_at:
        return "predicate.expires is not after predicate.decidedAt"
    return None


def _role(predicate: JsonObject) -> str:
    said = _said(predicate, "role")
    if not _ROLE.fullmatch(said):
        raise ProvenanceError(MALFORMED, f"predicate.role is {said[:80]!r}; a role has lower-case letters, digits and dashes, 63 at most")
    return said


def _decision(predicate: JsonObject) -> ApprovalDecision:
    said = _said(predicate, "decision")
    try:
        return ApprovalDecision(said)
    except ValueError:
        raise ProvenanceError(MALFORMED, f"predicate.decision is {said[:40]!r}; it is {', '.join(ApprovalDecision)}") from None


def _waiver(predicate: JsonObject) -> tuple[str, str] | None:
    named = optional(predicate, "waiver", dict, where="predicate", reason=MALFORMED)
    if named is None:
        return None
    if unknown := sorted(named.keys() - _OF_WAIVER):
        raise ProvenanceError(MALFORMED, f"predicate.waiver has a member {unknown[0][:80]!r}; it has name and digest")
    return text(named, "name", where="predicate.waiver", reason=MALFORMED), _digest(named, "digest", where="predicate.waiver")


def _digest(parent: JsonObject, key: str, *, where: str) -> str:
    said = text(parent, key, where=where, reason=MALFORMED)
    algorithm, _, value = said.partition(":")
    if algorithm != "sha256" or not is_hex_digest("sha256", value):
        raise ProvenanceError(MALFORMED, f"{where}.{key} is {said[:80]!r}; it is sha256: and 64 lower-case hexadecimal digits")
    return said


def _said(predicate: JsonObject, key: str) -> str:
    return text(predicate, key, where="predicate", reason=MALFORMED)
