"""`ReleaseMonitor`: one thing that is watched after a release, and what a policy says about it.

What is watched stands in `ReleasePolicy.spec.monitors`. The controller makes one `ReleaseMonitor` for each release and monitor: its spec pins the release
digest, the monitor as the policy had it and the frozen reference; its status keeps the state of the detector and what was found. Only the controller writes
one, which the API server sees to (`sluice.gate`). It has no owner: a finding outlives the process that made it, and the release that it is about.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from sluice.api.base import (
    LIST_SET,
    Conditions,
    Decimal,
    Duration,
    Label,
    Line,
    Model,
    Name,
    NameRef,
    Sha256,
    Time,
    exactly_one,
    immutable,
    rule,
    validations,
)
from sluice.api.canary import Metric
from sluice.api.scoring import SuiteRef

REFERENCE_LIMIT = 32_768
"""Characters of a frozen reference: 64 names of 253 characters, or 257 bins, fit in."""
STATE_LIMIT = 262_144
"""Characters of a detector's state; that of a mean takes about a thousand."""


class Answer(StrEnum):
    """What the numbers in the answer to a query are."""

    VALUES = "Values"
    COUNTS = "Counts"
    BUCKETS = "Buckets"


class PrometheusQuery(Model):
    """An instant query, asked once a period of the Prometheus that the installation names."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            rule("(self.answer == 'Counts') == has(self.label)", "label goes with answer Counts, which needs it", field=".label"),
            rule("!has(self.event) || self.answer == 'Counts'", "event goes with answer Counts", field=".event"),
            rule(
                "self.answer == 'Values' || self.query.contains('$period')",
                "counts are those of one period: write increase(…[$period]), so that nothing is counted twice",
                field=".query",
            ),
        )
    )

    query: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    """PromQL. `$namespace`, `$release` and `$period` are filled in; the first two go between quotes."""
    answer: Answer
    """Values: each number is one observation. Counts: how many observations had which value of `label`. Buckets: a classic histogram, by `le`."""
    label: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$", max_length=63)] | None = None
    """Counts: the label whose values are counted."""
    event: Line | None = None
    """Counts of a mean: the value of the label that is the event; every other value is not."""


class LiveAnswers(Model):
    """A sample of the answers that users got, which the Pods of the release keep, as JSON Lines (docs/monitors.md)."""

    port: Annotated[int, Field(ge=1, le=65535)]
    """Port of the Pods where they say what they keep."""
    path: Annotated[str, StringConstraints(pattern=r"^/[-._~a-zA-Z0-9/]*$", max_length=512)]
    """Path, without a query."""


class Probe(Model):
    """Once a period, the cases of a suite are asked of the release, or answers that users got are fetched; each gives one value of the metric."""

    suite: SuiteRef
    """What is asked."""
    metric: Metric
    """The scorer whose values are watched."""
    live: LiveAnswers | None = None
    """Instead of asking the cases: the answers that users got since the last time, scored as the suite says. Absent: the cases are asked."""


class Detects(StrEnum):
    """What must not change."""

    MEAN = "Mean"
    DISTRIBUTION = "Distribution"


class Changes(StrEnum):
    """Which changes of a mean are looked for."""

    BOTH = "Both"
    RISE = "Rise"
    FALL = "Fall"


class OfBaseline(Model):
    """A reference that is frozen when the monitor begins: what the baseline showed; of a release that names none, what it showed itself."""

    window: Duration
    """How far back it is looked."""
    at_least: Annotated[int, Field(ge=2, le=1_000_000_000)] = 1000
    """Observations that it needs; with fewer the monitor keeps learning."""


class Count(Model):
    """How many observations had a value."""

    value: Line
    """Value of the label."""
    seen: Annotated[int, Field(ge=0, le=1_000_000_000_000)]
    """Observations."""


class Reference(Model):
    """What is normal."""

    model_config = ConfigDict(json_schema_extra=validations(exactly_one("mean", "counts", "baseline")))

    mean: Decimal | None = None
    """A mean that people set. It is taken as it is; what was measured belongs to `counts` or `baseline`, which say how sure it is."""
    counts: (
        Annotated[
            list[Count],
            Field(min_length=1, max_length=64, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["value"]}),
        ]
        | None
    ) = None
    """How many observations had which value of the label, measured elsewhere."""
    baseline: OfBaseline | None = None
    """What the baseline showed."""


class Scale(Model):
    """The range of a number whose mean is watched; what is beyond counts as at the end."""

    low: Decimal
    """The least."""
    high: Decimal
    """The greatest."""


class OnDrift(StrEnum):
    """What follows from drift, from the least to the most."""

    ALERT = "Alert"
    WITHDRAW = "Withdraw"
    ROLL_BACK = "RollBack"


class OnSilence(StrEnum):
    """What follows when nothing is heard. Never a roll-back: silence is no evidence against the release."""

    ALERT = "Alert"
    WITHDRAW = "Withdraw"


class Monitor(Model):
    """One thing that is watched after a release, and what follows when it changes."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            exactly_one("prometheus", "probe"),
            rule(
                "!has(self.prometheus) || self.prometheus.answer != 'Buckets' || self.detects == 'Distribution'",
                "buckets are counts of a distribution; a mean takes Values, or Counts with an event",
                field=".detects",
            ),
            rule(
                "!has(self.prometheus) || self.prometheus.answer != 'Counts' || (self.detects == 'Mean') == has(self.prometheus.event)",
                "counts need an event for a mean, and only there: the value of the label that is the event",
                field=".prometheus.event",
            ),
            rule("!has(self.reference.mean) || self.detects == 'Mean'", "reference.mean goes with detects Mean", field=".reference.mean"),
            rule(
                "!has(self.reference.counts) || (has(self.prometheus) && self.prometheus.answer == 'Counts')",
                "reference.counts goes with a query whose answer is Counts",
                field=".reference.counts",
            ),
            rule(
                "self.detects == 'Mean' || self.changes == 'Both'", "changes goes with detects Mean; a distribution is watched on both sides", field=".changes"
            ),
            rule("self.detects == 'Mean' || !has(self.scale)", "scale goes with detects Mean; a distribution is compared in its own unit", field=".scale"),
            rule(
                "!has(self.scale) || has(self.probe) || self.prometheus.answer == 'Values'",
                "scale goes with numbers: a probe, or a query whose answer is Values",
                field=".scale",
            ),
            rule("!has(self.missing) || has(self.probe)", "missing goes with a probe; a query without a value is no observation", field=".missing"),
        )
    )

    name: Label
    """Name of the monitor."""
    prometheus: PrometheusQuery | None = None
    """What users meet, as Prometheus has it."""
    probe: Probe | None = None
    """What a suite finds, asked on a schedule."""
    period: Duration
    """How often it is asked."""
    detects: Detects
    """Mean: the mean of a number in [0, 1], or in `scale`. Distribution: the values themselves, numbers or names."""
    reference: Reference
    """What is normal."""
    changes: Changes = Changes.BOTH
    """Mean: whether a rise, a fall or both are drift."""
    tolerance: Annotated[str, StringConstraints(pattern=r"^0(\.[0-9]{1,9})?$", max_length=11)] = "0"
    """A change of the mean (a part of the range of `scale`), or of a share of all values, that is no drift; on top of what the reference does not know."""
    scale: Scale | None = None
    """Mean: the range of numbers that are not in [0, 1]."""
    missing: Annotated[str, StringConstraints(pattern=r"^-?(Infinity|[0-9]{1,9}(\.[0-9]{1,9})?)$", max_length=20)] | None = None
    """Probe: what a case without an answer counts as, the worst, in the unit of the metric: 0 for an accuracy, Infinity for a latency."""
    false_alarm_every: Annotated[int, Field(ge=100, le=1_000_000_000)]
    """Observations to a false alarm, on average, at least. A release that is watched by ten monitors has one ten times as often."""
    on_drift: OnDrift
    """Alert: people look. Withdraw: it serves no more until the platform team deletes the ReleaseMonitor. RollBack: for good, and its baseline stands in."""
    silent_after: Duration | None = None
    """When nothing was heard for so long, it is silent: a period at least. Absent: after three periods."""
    on_silence: OnSilence = OnSilence.ALERT
    """Alert or Withdraw."""


class PolicyMonitor(Monitor):
    """A monitor, and the releases that it is for."""

    tiers: Annotated[list[Label], Field(min_length=1, max_length=8, json_schema_extra=LIST_SET)] | None = None
    """Only for releases of these tiers. Absent: for all."""


class FrozenReference(Model):
    """What is normal, as it was when the monitor began: canonical JSON of `sluice.scoring.drift`, so that it is the same bit for bit."""

    model_config = ConfigDict(json_schema_extra=validations(exactly_one("mean", "distribution")))

    mean: Annotated[str, StringConstraints(min_length=2, max_length=1024)] | None = None
    """Number of observations, mean and variance."""
    distribution: Annotated[str, StringConstraints(min_length=2, max_length=REFERENCE_LIMIT)] | None = None
    """Bins, and how many observations were in each."""


class MonitorSpec(Model):
    """What is watched, pinned."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            *immutable(["release", "releaseDigest", "policy", "monitor"], "what is watched otherwise is another ReleaseMonitor"),
            rule(
                "!has(oldSelf.reference) || (has(self.reference) && self.reference == oldSelf.reference)",
                "reference is frozen: it is set once",
                field=".reference",
            ),
        )
    )

    release: NameRef
    """The release."""
    release_digest: Sha256
    """Its digest: what is found counts for this one only."""
    policy: Name
    """The ReleasePolicy that asks."""
    monitor: Monitor
    """The monitor, as the policy had it."""
    reference: FrozenReference | None = None
    """What is normal. Absent while the monitor learns; set once."""


class MonitorPhase(StrEnum):
    """What a monitor does."""

    LEARNING = "Learning"
    WATCHING = "Watching"
    ALARMED = "Alarmed"


class Cause(StrEnum):
    """Why a monitor asks for something."""

    DRIFT = "Drift"
    SILENCE = "Silence"


class MonitorFinding(Model):
    """What was found, and what it asks for."""

    model_config = ConfigDict(
        json_schema_extra=validations(rule("self.cause != 'Silence' || self.ask != 'RollBack'", "silence does not roll back", field=".ask"))
    )

    cause: Cause
    """Drift or Silence."""
    ask: OnDrift
    """Alert, Withdraw or RollBack."""
    at: Time
    """When it was found."""
    message: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    """What moved from where to where, or since when nothing was heard."""


class MonitorStatus(Model):
    """What the monitor knows. A finding stays: only an alert about silence goes by itself, when something is heard again."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            rule(
                "!has(oldSelf.findings) || oldSelf.findings.all(f, (f.cause == 'Silence' && f.ask == 'Alert')"
                " || (has(self.findings) && self.findings.exists(g, g == f)))",
                "a finding stays; the platform team deletes the ReleaseMonitor when it is dealt with",
                field=".findings",
            )
        )
    )

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The generation that this status speaks of."""
    phase: MonitorPhase | None = None
    """Learning, Watching or Alarmed."""
    observations: Annotated[int, Field(ge=0, le=2**53)] | None = None
    """How many observations were taken in."""
    last_reading: Time | None = None
    """When the newest of them was made."""
    state: Annotated[str, StringConstraints(max_length=STATE_LIMIT)] | None = None
    """State of the detector: canonical JSON of `sluice.scoring.monitor`."""
    findings: Annotated[
        list[MonitorFinding], Field(max_length=2, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["cause"]})
    ] = []
    """What was found."""
    conditions: Conditions = []
    """Heard: the source answers, with readings that can be used."""
