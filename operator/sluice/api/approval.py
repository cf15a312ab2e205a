"""`ReleaseApproval` and `ReleaseWaiver`: what people decide.

Who decided is stamped by the API server from the authenticated request (`sluice.gate`); a client that writes another name is refused. Decisions that are
signed and kept in Git are evidence (`sluice.evidence.signed_decision`): there the signature says who.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from sluice.api.base import LIST_SET, Conditions, Identity, Label, Line, Model, Name, NameRef, Sha256, Text, Time, Uri, immutable, rule, validations

_FIXED = "what a person decided is not edited; delete it and decide again"


class ApprovalDecision(StrEnum):
    """What the person decided."""

    APPROVE = "Approve"
    REJECT = "Reject"
    REVOKE = "Revoke"


class WaiverRef(Model):
    """A waiver, as it was seen."""

    name: Name
    """The ReleaseWaiver, in the same namespace."""
    digest: Sha256
    """`status.digest` of the waiver."""


class ApprovalSpec(Model):
    """One decision of one person about one release on the evidence seen, about a waiver, or about an approval that is taken back."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            *immutable(["release", "releaseDigest", "evidenceDigest", "role", "decision", "waiver", "revokes", "comment", "expires", "approver"], _FIXED),
            rule("(self.decision == 'Revoke') == has(self.revokes)", "revokes goes with decision Revoke, and it needs it", field=".revokes"),
            rule(
                "has(self.evidenceDigest) == (self.decision != 'Revoke' && !has(self.waiver))",
                "evidenceDigest goes with approvals and rejections of a release, and they need it; waivers and revocations are on no evidence",
                field=".evidenceDigest",
            ),
            rule("self.decision != 'Revoke' || !has(self.waiver)", "a revocation names an approval, not a waiver; reject the waiver", field=".waiver"),
            rule("self.decision != 'Revoke' || !has(self.expires)", "a revocation has no end", field=".expires"),
        )
    )

    release: NameRef
    """The ModelRelease, in the same namespace."""
    release_digest: Sha256
    """`status.releaseDigest` of the release as the person saw it."""
    evidence_digest: Sha256 | None = None
    """`status.evidenceDigest` of the release as the person saw it. Absent for a waiver and for a revocation."""
    role: Label
    """The role in which the person decides; ReleasePolicy lists who holds it."""
    decision: ApprovalDecision
    """Approve or Reject the release, or the `waiver`. Revoke: take back the approval that `revokes` names."""
    waiver: WaiverRef | None = None
    """The waiver that is approved or rejected. Absent: the release."""
    revokes: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9:._-]+$", min_length=1, max_length=128)] | None = None
    """Revoke: `metadata.uid` of the ReleaseApproval, or the digest of the signed bundle (`sha256:…`). By who gave it, or who holds the role it was given in."""
    comment: Text | None = None
    """Why."""
    expires: Time | None = None
    """When the decision ends."""
    approver: Identity | None = None
    """Who decided: stamped by the API server. Leave it out."""


class DecisionStatus(Model):
    """Whether the decision counts."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The generation that this status speaks of."""
    conditions: Conditions = []
    """Counted: whether the decision counts for the release now, and if not why."""
    digest: Sha256 | None = None
    """Of a waiver: what approvals of it name."""


class WaiverSpec(Model):
    """Requirements of one release that somebody takes the risk for, until a date."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            *immutable(
                [
                    "release",
                    "releaseDigest",
                    "requirements",
                    "reason",
                    "riskOwner",
                    "ticket",
                    "compensatingControls",
                    "expires",
                    "approver",
                ],
                _FIXED,
            )
        )
    )

    release: NameRef
    """The ModelRelease, in the same namespace."""
    release_digest: Sha256
    """`status.releaseDigest` of the release as the person saw it."""
    requirements: Annotated[list[Label], Field(min_length=1, max_length=16, json_schema_extra=LIST_SET)]
    """Names of the requirements."""
    reason: Text
    """Why they cannot be met."""
    risk_owner: Line
    """Who carries the risk."""
    ticket: Uri
    """Where it is tracked."""
    compensating_controls: Text | None = None
    """What is done instead."""
    expires: Time
    """When the waiver ends. There is no waiver without an end."""
    approver: Identity | None = None
    """Who waived: stamped by the API server. Leave it out."""
