"""One comparison as it is shown: what was compared, the decision, and each metric in each slice.

Names of slices and messages come from whoever wrote the cases or answered them. What does not print, the directions of bidirectional text among it, is
replaced here, once, so that neither a terminal nor a page is led by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import ValidationError

from sluice.api.canary import CanaryDecision, CanaryPhase, CanarySpec, CanaryStatus, MetricStatus
from sluice.api.exposure import ExposureStatus
from sluice.api.recording import Recording
from sluice.scoring.judgement import Standing
from sluice.scoring.tally import ALL, MissingAnswers

TEXT_LIMIT: Final = 4096
_ROUNDED: Final = 0.995
"""Evidence in a status has three digits: 19.96 is written 20."""


class Unreadable(ValueError):
    """What was given is no CanaryRun, or not one that we know; the message says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One thing that went in, and its digest; without a digest, an address is all that is known of it."""

    name: str
    digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What was compared, and by which rules. Rates in (0, 0.5): those that policy declares, all metrics together."""

    run: str
    candidate: Compared
    baseline: Compared
    suite: Compared
    policy: str | None
    seed: int
    shards: int
    false_rollback_rate: float
    false_promotion_rate: float
    min_duration: str | None = None
    """How long a promotion waits at least; None: it does not."""
    recording: Compared | None = None
    """The recording that was counted, and where it is kept; None: both were asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric in one slice. Differences are candidate − baseline in [−1, 1], negative is worse; `margin` is how much worse is allowed, as a positive number.

    Evidence decides when it reaches `promote_at` or `roll_back_at`; in a slice, only that for a rollback does. `more`: cases that would probably decide.
    """

    name: str
    slice: str
    pairs: int
    margin: float
    estimate: float
    low: float
    high: float
    promote: float
    promote_at: float
    roll_back: float
    roll_back_at: float
    towards: CanaryDecision | None
    more: int | None

    @property
    def is_pool(self) -> bool:
        """Whether this is about all cases."""
        return self.slice == ALL

    @property
    def is_worse(self) -> bool:
        """Whether the evidence is enough to roll back."""
        return self.roll_back >= _ROUNDED * self.roll_back_at

    @property
    def is_within(self) -> bool:
        """Whether the evidence is enough to promote."""
        return self.promote >= _ROUNDED * self.promote_at

    @property
    def title(self) -> str:
        """`accuracy`, or `accuracy on region=DACH`."""
        return self.name if self.is_pool else f"{self.name} on {self.slice}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A run, as far as it is."""

    inputs: Inputs
    phase: CanaryPhase
    decision: CanaryDecision
    reason: str
    message: str
    units: int
    planned: int
    metrics: tuple[Metric, ...]
    gates: Mapping[str, int]
    started_at: datetime | None = None
    decided_at: datetime | None = None
    samples: tuple[Compared, ...] = ()
    """URI and digest of the objects that hold every answer."""
    missing: tuple[MissingAnswers, ...] = ()
    live_share: str = ""
    """Which stages of a live share follow, and how far they are, in words; empty: policy asks for none."""

    @property
    def is_decided(self) -> bool:
        """Whether there is a decision; it is final then."""
        return self.decision is not CanaryDecision.PENDING

    @property
    def grouped(self) -> tuple[Metric, ...]:
        """All metrics, the most telling first, each followed by its slices."""
        order = list(dict.fromkeys(metric.name for metric in self.metrics))
        return tuple(sorted(self.metrics, key=lambda metric: (order.index(metric.name), not metric.is_pool)))

    @property
    def worst(self) -> Metric | None:
        """What rolled back: the metric and slice that the message names, or the one with the most evidence. None when no metric did."""
        worse = [metric for metric in self.metrics if metric.is_worse]
        named = [metric for metric in worse if self.message.startswith(f"{metric.name}{'' if metric.is_pool else f' in {metric.slice}'} is worse")]
        return next(iter(named), None) or max(worse, key=lambda metric: metric.roll_back / metric.roll_back_at, default=None)


def clean(text: object, limit: int = TEXT_LIMIT) -> str:
    """Text that prints as what it is, at most `limit` characters."""
    return "".join(character if character.isprintable() else "�" for character in str(text)[:limit])


def read_run(run: object) -> Comparison:
    """Read a CanaryRun, as the API server or a file gives it. Raises Unreadable."""
    if not isinstance(run, dict) or run.get("kind") != "CanaryRun":
        raise Unreadable("this is no CanaryRun: `kubectl get mcr NAME -n NAMESPACE -o yaml` writes one")
    metadata = run.get("metadata") or {}
    try:
        spec = CanarySpec.model_validate(run.get("spec"))
        status = CanaryStatus.model_validate(run.get("status") or {})
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)[0]
        raise Unreadable(f"{'.'.join(map(str, wrong['loc'])) or 'spec'}: {wrong['msg']}; is this command as new as the controller?") from None
    inputs = Inputs(
        run=clean(f"{metadata.get('namespace', '')}/{metadata.get('name', '')}", 512),
        candidate=Compared(name=spec.release.name, digest=spec.release_digest),
        baseline=Compared(name=spec.baseline.name, digest=spec.baseline_digest),
        suite=Compared(name=spec.suite.name, digest=spec.suite_digest),
        policy=f"{spec.policy} (requirement {spec.requirement})",
        seed=spec.seed,
        shards=spec.shards,
        false_rollback_rate=float(spec.false_rollback_rate),
        false_promotion_rate=float(spec.false_promotion_rate),
        min_duration=spec.min_duration,
        recording=_recording(spec.recording),
    )
    margins = {metric.name: float((spec.margins or {}).get(metric.name, spec.margin)) for metric in status.metrics}
    return Comparison(
        inputs=inputs,
        phase=status.phase or CanaryPhase.PENDING,
        decision=status.decision or CanaryDecision.PENDING,
        reason=clean(status.reason or "NotStarted", 64),
        message=clean(status.message or "the controller has not looked at it yet"),
        units=status.units or 0,
        planned=spec.planned if status.planned is None else status.planned,
        metrics=tuple(_from_status(metric, margins, inputs) for metric in status.metrics),
        gates={gate.name: gate.hits for gate in status.gates},
        started_at=_moment(status.started_at),
        decided_at=_moment(status.decided_at),
        samples=(Compared(name=clean(status.samples.uri), digest=status.samples.digest),) if status.samples else (),
        missing=tuple(MissingAnswers(side=str(side.side), asked=side.asked, missing=side.missing, first=clean(side.first)) for side in status.missing_answers),
        live_share=_live_share(spec, status.exposure),
    )


def _recording(recording: Recording | None) -> Compared | None:
    if recording is None:
        return None
    place = recording.oci.reference if recording.oci else f"ConfigMap {recording.config_map.name}/{recording.config_map.key}" if recording.config_map else ""
    return Compared(name=clean(place), digest=recording.digest)


def _live_share(spec: CanarySpec, told: ExposureStatus | None) -> str:
    stages = [f"at most {100 * float(stage.share):.4g} % of the users for {stage.for_}" for stage in spec.exposure or ()]
    if not stages:
        return ""
    if told is None:
        how_far = "it has not begun"
    elif told.stage >= len(stages):
        how_far = "all stages are over"
    elif told.since is None:
        how_far = f"stage {told.stage + 1} waits"
    else:
        how_far = f"stage {told.stage + 1} since {told.since}, at {100 * float(told.share):.4g} %"
    return f"{', then '.join(stages)}; {how_far}"


def from_standings(standings: Sequence[Standing], margins: Mapping[str, float], inputs: Inputs) -> tuple[Metric, ...]:
    """What the statistics themselves say of each metric; `margins` are those of all metrics."""
    promote_at, roll_back_at = _decides(inputs, len(margins))
    return tuple(
        Metric(
            name=standing.metric,
            slice=clean(standing.slice, 253),
            pairs=standing.units,
            margin=margins[standing.metric],
            estimate=standing.estimate,
            low=standing.low,
            high=standing.high,
            promote=standing.promote,
            promote_at=promote_at,
            roll_back=standing.roll_back,
            roll_back_at=roll_back_at,
            towards=None if standing.towards is None else CanaryDecision(standing.towards),
            more=standing.more,
        )
        for standing in standings
    )


def _from_status(metric: MetricStatus, margins: Mapping[str, float], inputs: Inputs) -> Metric:
    promote_at, roll_back_at = _decides(inputs, len(margins))
    return Metric(
        name=metric.name,
        slice=clean(metric.slice, 253),
        pairs=metric.pairs,
        margin=margins[metric.name],
        estimate=float(metric.estimate),
        low=float(metric.interval[0]),
        high=float(metric.interval[1]),
        promote=float(metric.evidence.promote),
        promote_at=promote_at,
        roll_back=float(metric.evidence.roll_back),
        roll_back_at=roll_back_at,
        towards=None if metric.towards is None else CanaryDecision(metric.towards),
        more=metric.pairs_to_decide,
    )


def _decides(inputs: Inputs, metrics: int) -> tuple[float, float]:
    """The evidence that promotes, and the one that rolls back: metrics share the rate of false rollbacks, because any of them may roll back (`judgement`)."""
    return 1 / inputs.false_promotion_rate, metrics / inputs.false_rollback_rate


def _moment(text: Any) -> datetime | None:  # noqa: ANN401 - the API's own type of a time
    return None if text is None else datetime.fromisoformat(str(text)).astimezone(UTC)
