"""`ReleaseApproval` and `ReleaseWaiver`: what people decide.

Who decided is stamped by the API server from the authenticated request (`sluice.gate`); a client that writes another name is refused.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from sluice.api.base import LIST_SET, Conditions, Identity, Label, Line, Model, NameRef, Sha256, Text, Time, Uri, immutable, validations

_FIXED = "what a person decided is not edited; delete it and decide again"


class ApprovalDecision(StrEnum):
    """What the person decided."""

    APPROVE = "Approve"
    REJECT = "Reject"


class ApprovalSpec(Model):
    """One decision of one person about one release on the evidence seen."""

    model_config = ConfigDict(
        json_schema_extra=validations(*immutable(["release", "releaseDigest", "evidenceDigest", "role", "decision", "comment", "expires", "approver"], _FIXED))
    )

    release: NameRef
    """The ModelRelease, in the same namespace."""
    release_digest: Sha256
    """`status.releaseDigest` of the release as the person saw it."""
    evidence_digest: Sha256
    """`status.evidenceDigest` of the release as the person saw it."""
    role: Label
    """The role in which the person decides; ReleasePolicy lists who holds it."""
    decision: ApprovalDecision
    """Approve or Reject."""
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
