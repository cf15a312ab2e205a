"""`ReleaseDrill`: the way back from a release to its baseline, tried on the cluster and measured.

People make one, or the controller does where a policy asks for a drill every so often. What it measures is no more than numbers in a status; what counts
is the evidence that the controller signs about them (`sluice.evidence.drill`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from sluice.api.base import Conditions, Label, Model, Name, NameRef, Sha256, Time, immutable, validations

Seconds = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,6}\.[0-9]{3}$", max_length=10)]
"""A time in seconds with milliseconds, in quotes."""


class DrillPhase(StrEnum):
    """How far a drill is."""

    PENDING = "Pending"
    STARTING = "Starting"
    SERVING = "Serving"
    RESTORING = "Restoring"
    WITHDRAWING = "Withdrawing"
    RETURNING = "Returning"
    PROVING = "Proving"
    PASSED = "Passed"
    FAILED = "Failed"


class Place(StrEnum):
    """Where a drill is done."""

    OWN_NAMESPACE = "OwnNamespace"
    SCRATCH_NAMESPACE = "ScratchNamespace"


class DrillSpec(Model):
    """What is tried."""

    model_config = ConfigDict(json_schema_extra=validations(*immutable(["release", "deployment", "place"], "a drill is repeated by another ReleaseDrill")))

    release: NameRef
    """The release that is gone back from."""
    deployment: NameRef | None = None
    """The Deployment whose templates are used. Absent: the first by name whose template names the release."""
    place: Place | None = None
    """Where it is done: OwnNamespace is that of the release, ScratchNamespace another one, which the platform team has labelled `sluice.dev/scratch-for` with
    the name of the former. Absent: OwnNamespace."""


class Measured(Model):
    """What was measured, as seen in the endpoints of the drill's own Service. Each is there once its step is over."""

    restore_seconds: Seconds | None = None
    """From the making of the baseline's Pod until it is in traffic."""
    out_seconds: Seconds | None = None
    """From the word that the release is to go out of traffic until it is."""
    back_seconds: Seconds | None = None
    """From the word that it may come back until it is in traffic again."""


class DrillEvidence(Model):
    """The ReleaseEvidence that the drill has led to."""

    name: Name
    """Name of the object."""
    bundle_digest: Sha256
    """SHA-256 of the bundle."""


class DrillStatus(Model):
    """What the drill came to. Written by the controller only."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The generation that this status speaks of."""
    phase: DrillPhase | None = None
    """How far it is."""
    reason: Annotated[str, StringConstraints(max_length=64)] | None = None
    """Stable code; see docs/reasons.md."""
    message: Annotated[str, StringConstraints(max_length=4096)] | None = None
    """What is waited for, or what it came to."""
    release_digest: Sha256 | None = None
    """Release digest of the release when the drill began."""
    baseline: NameRef | None = None
    """The baseline that it goes back to."""
    baseline_digest: Sha256 | None = None
    """Release digest of the baseline when the drill began."""
    deployment: NameRef | None = None
    """The Deployment whose templates are used."""
    scratch_namespace: Label | None = None
    """The scratch namespace that it is done in; absent where that is the namespace of the release."""
    started_at: Time | None = None
    """When its Pods were first asked for."""
    finished_at: Time | None = None
    """When it had passed or failed."""
    measured: Measured | None = None
    """What was measured."""
    evidence: DrillEvidence | None = None
    """What was signed about it."""
    conditions: Conditions = []
    """Complete: it has passed or failed, and nothing that it made is left."""
