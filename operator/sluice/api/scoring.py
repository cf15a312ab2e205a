"""`ScoringSuite` and `CanaryRun`: what a candidate is scored on, and one comparison.

The kinds are registered so that names, schema and access rules exist from the first version; only what identifies a run is in them.
Scoring adds its fields when it reads them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from sluice.api.base import Conditions, Label, Model, NameRef, Sha256, immutable, validations


class ProtocolType(StrEnum):
    """How cases are sent."""

    OPEN_INFERENCE = "OpenInference"


class Protocol(Model):
    """How cases are sent."""

    type: ProtocolType
    """OpenInference: Open Inference Protocol v2 over REST."""
    model: Label
    """Model name in the protocol."""


class SuiteSpec(Model):
    """What a candidate is scored on."""

    model_config = ConfigDict(json_schema_extra=validations(*immutable(["protocol", "casesDigest"], "a changed suite is another suite")))

    protocol: Protocol
    """How cases are sent."""
    cases_digest: Sha256
    """SHA-256 of the cases."""


class SuiteStatus(Model):
    """State of the suite."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The generation that this status speaks of."""
    conditions: Conditions = []
    """State of the suite."""


class CanarySpec(Model):
    """Inputs of one comparison, pinned."""

    model_config = ConfigDict(
        json_schema_extra=validations(*immutable(["release", "baseline", "suiteDigest", "seed"], "a run is repeated by another CanaryRun"))
    )

    release: NameRef
    """The candidate."""
    baseline: NameRef
    """What it is compared with."""
    suite_digest: Sha256
    """The suite, by digest."""
    seed: Annotated[int, Field(ge=0, le=2**53)]
    """Seed of the order of cases."""


class CanaryDecision(StrEnum):
    """Result of a comparison."""

    PENDING = "Pending"
    PROMOTE = "Promote"
    ROLL_BACK = "RollBack"
    INCONCLUSIVE = "Inconclusive"


class CanaryStatus(Model):
    """What the comparison came to."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The generation that this status speaks of."""
    decision: CanaryDecision | None = None
    """Result of the comparison."""
    conditions: Conditions = []
    """State of the run."""
