"""`CanaryRun`: one comparison of a candidate with its baseline, and the numbers that a policy asks it to keep.

The spec pins everything that the result depends on, by digest where it can change, so that a run means the same for ever. Only the controller writes one:
the API server refuses everybody else (`sluice.gate`). A run has no owner: what was rolled back stays rolled back when the release is deleted and applied again.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from sluice.api.base import Conditions, Decimal, Duration, Label, Line, Model, Name, NameRef, Sha256, Time, Uri, immutable, rule, validations
from sluice.api.exposure import ExposureStatus, OnShareTooSmall, Stages
from sluice.api.recording import Recording

Margin = Annotated[str, StringConstraints(pattern=r"^(0(\.[0-9]{1,9})?|1(\.0{1,9})?)$", max_length=11)]
"""A difference of scores in [0, 1], in quotes."""

ErrorRate = Annotated[str, StringConstraints(pattern=r"^0\.([1-4][0-9]{0,5}|0{1,5}[1-9][0-9]{0,5})$", max_length=14)]
"""A probability above 0 and below one half, in quotes."""

Metric = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", min_length=1, max_length=63)]
"""A metric: the name of a scorer of the suite."""

Margins = Annotated[dict[str, Margin], Field(min_length=1, max_length=32)]

DEFAULT_ERROR_RATE = "0.05"

Planned = Annotated[int, Field(ge=20, le=1_000_000)]
Minimum = Annotated[int, Field(ge=1, le=1_000_000)]

AT_MOST_PLANNED = rule("!has(self.minimum) || !has(self.planned) || self.minimum <= self.planned", "minimum is at most planned", field=".minimum")


class OnInconclusive(StrEnum):
    """What becomes of a candidate when the comparison ends without a decision."""

    HOLD = "Hold"
    ROLL_BACK = "RollBack"


class BaselinePods(StrEnum):
    """Which Pods of the baseline are asked."""

    OWN = "Own"
    SERVING = "Serving"


class CanaryDecision(StrEnum):
    """Result of a comparison."""

    PENDING = "Pending"
    PROMOTE = "Promote"
    ROLL_BACK = "RollBack"
    INCONCLUSIVE = "Inconclusive"


class CanaryPhase(StrEnum):
    """How far a comparison is."""

    PENDING = "Pending"
    STARTING = "Starting"
    SCORING = "Scoring"
    EXPOSING = "Exposing"
    DECIDED = "Decided"


class Towards(StrEnum):
    """Where the evidence on a metric points."""

    PROMOTE = "Promote"
    ROLL_BACK = "RollBack"


class Workload(Model):
    """The owner whose Pod template the candidate is made of."""

    api_version: Line
    """Its apiVersion (`apps/v1`)."""
    kind: Line
    """Its kind (`Deployment`)."""
    name: Name
    """Its name."""


class CanarySpec(Model):
    """Inputs of one comparison, pinned."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            AT_MOST_PLANNED,
            *immutable(
                [
                    "release",
                    "releaseDigest",
                    "baseline",
                    "baselineDigest",
                    "suite",
                    "suiteDigest",
                    "recording",
                    "policy",
                    "requirement",
                    "workload",
                    "seed",
                    "shards",
                    "planned",
                    "minimum",
                    "margin",
                    "margins",
                    "falseRollbackRate",
                    "falsePromotionRate",
                    "minDuration",
                    "maxDuration",
                    "baselinePods",
                    "exposure",
                    "onShareTooSmall",
                ],
                "a run is repeated by another CanaryRun",
            ),
        )
    )

    release: NameRef
    """The candidate."""
    release_digest: Sha256
    """Release digest of the candidate."""
    baseline: NameRef
    """What it is compared with."""
    baseline_digest: Sha256
    """Release digest of the baseline."""
    suite: NameRef
    """What both are asked."""
    suite_digest: Sha256
    """Digest of the suite: its cases, scorers and protocol."""
    recording: Recording | None = None
    """What is counted instead of asking, where the suite says that pairs are recorded."""
    policy: Name
    """The ReleasePolicy that asks."""
    requirement: Label
    """The requirement in it."""
    workload: Workload
    """The owner whose Pod template the candidate is made of."""
    seed: Annotated[int, Field(ge=0, le=2**53)]
    """Fixes the random order of cases before anything is asked."""
    shards: Annotated[int, Field(ge=1, le=64)]
    """How many scorer Pods share the cases."""
    planned: Planned
    """How many cases are asked at most."""
    minimum: Minimum | None = None
    """How many cases are asked at least before it is promoted. Absent: as many as the evidence needs."""
    margin: Margin
    """How much worse than the baseline the candidate may be, on every metric that `margins` does not name."""
    margins: Margins | None = None
    """The same for some metrics."""
    false_rollback_rate: ErrorRate
    """Probability to roll back a candidate that is within the margin, at most."""
    false_promotion_rate: ErrorRate
    """Probability to promote a candidate that is outside of it, at most."""
    min_duration: Duration | None = None
    """How long cases have been asked at least before it is promoted; a rollback does not wait. Absent: as long as the evidence needs."""
    max_duration: Duration
    """The run is inconclusive when it has not decided by then."""
    baseline_pods: BaselinePods
    """Which Pods of the baseline are asked."""
    exposure: Stages | None = None
    """Which share of the users the candidate meets after the comparison, and for how long, before it is promoted. Absent: none."""
    on_share_too_small: OnShareTooSmall | None = None
    """What follows when a single Pod of it would already be more than a stage allows. Absent: Hold."""


class MetricEvidence(Model):
    """Evidence for either side, as e-values or their equivalent: at 1 / error rate it decides."""

    promote: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9})?(e[+-]?[0-9]{1,4})?$", max_length=24)]
    """For a candidate within the margin."""
    roll_back: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9})?(e[+-]?[0-9]{1,4})?$", max_length=24)]
    """For a candidate that is worse."""


class MetricStatus(Model):
    """One metric in one slice, as it stands."""

    name: Metric
    """The metric."""
    slice: Line
    """`all`, or dimension and value: `region=DACH`."""
    pairs: Annotated[int, Field(ge=0, le=1_000_000)]
    """Cases that both answered and that count here."""
    estimate: Decimal
    """Mean of candidate − baseline; negative is worse."""
    interval: Annotated[list[Decimal], Field(min_length=2, max_length=2)]
    """Lower and upper bound of the mean, valid at any moment."""
    evidence: MetricEvidence
    """Evidence for either side."""
    towards: Towards | None = None
    """Where it points; absent when nowhere."""
    pairs_to_decide: Annotated[int, Field(ge=0, le=1_000_000_000)] | None = None
    """How many more would probably decide; absent when no number would."""


class GateStatus(Model):
    """One hard gate: a single hit rolls back."""

    name: Metric
    """The scorer."""
    hits: Annotated[int, Field(ge=0, le=1_000_000)]
    """Answers of the candidate that hit it."""


class Side(StrEnum):
    """Who is asked."""

    CANDIDATE = "candidate"
    BASELINE = "baseline"


class MissingAnswersStatus(Model):
    """Questions that one side did not answer."""

    side: Side
    """Who."""
    asked: Annotated[int, Field(ge=0)]
    """Questions, repeats among them."""
    missing: Annotated[int, Field(ge=0)]
    """How many have no answer, or one that is broken, too large or too late."""
    first: Annotated[str, StringConstraints(max_length=500)]
    """Why the first of these has none, also in words of the model server. They decide nothing."""


class SamplesStatus(Model):
    """Where every answer is kept."""

    digest: Sha256
    """SHA-256 of the object."""
    uri: Uri
    """Where it is."""


class StatisticsStatus(Model):
    """Where the plan is, and what the scorers had counted when it was decided."""

    config_map: Name
    """The ConfigMap."""
    digest: Sha256
    """SHA-256 of what is packed in it."""


class CanaryStatus(Model):
    """What the comparison came to. A decision is final."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The generation that this status speaks of."""
    phase: CanaryPhase | None = None
    """How far it is."""
    decision: CanaryDecision | None = None
    """Result of the comparison."""
    reason: Annotated[str, StringConstraints(max_length=64)] | None = None
    """Stable code; see docs/reasons.md."""
    message: Annotated[str, StringConstraints(max_length=4096)] | None = None
    """What decided, or what it waits for."""
    units: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """Cases that the decision, or the numbers below, rest on."""
    planned: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """Cases that are asked at most: as many as planned, or as the suite has."""
    metrics: Annotated[
        list[MetricStatus], Field(max_length=256, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name", "slice"]})
    ] = []
    """Every metric in every slice, the most telling first."""
    gates: Annotated[list[GateStatus], Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]})] = []
    """Hard gates."""
    missing_answers: Annotated[
        list[MissingAnswersStatus], Field(max_length=2, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["side"]})
    ] = []
    """Sides that did not answer everything, and why."""
    started_at: Time | None = None
    """When the first case was asked."""
    decided_at: Time | None = None
    """When it was decided."""
    record: Annotated[str, StringConstraints(max_length=16_384)] | None = None
    """The decision and what it is about as an in-toto statement, signed by the controller: a Sigstore bundle (JSON). A Promote counts with it only."""
    samples: SamplesStatus | None = None
    """Where every answer is kept."""
    statistics: StatisticsStatus | None = None
    """Where everything is that the decision rests on; absent where it is too large to be kept."""
    exposure: ExposureStatus | None = None
    """How far the live share is."""
    conditions: Conditions = []
    """State of the run."""
