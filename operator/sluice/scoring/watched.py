"""From what a policy says about a monitor to the monitor itself, and references as resources keep them.

The API server has checked the form of a definition. What it cannot check is arithmetic: whether a range is one, whether silence is longer than a period,
whether the detector could ever see a change. A definition that cannot be used is refused in words (DriftRefused); its policy says so, and nothing is watched.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from sluice.api import monitor as api
from sluice.api.durations import parse_duration
from sluice.scoring.drift.bets import Side
from sluice.scoring.drift.distribution import DistributionDetector
from sluice.scoring.drift.histogram import COUNT_LIMIT, Histogram, freeze_names
from sluice.scoring.drift.mean import MeanDetector, MeanReference
from sluice.scoring.drift.refused import DriftRefused
from sluice.scoring.drift.settings import Promise
from sluice.scoring.drift.silence import Expectation
from sluice.scoring.drift.stored import dump, load
from sluice.scoring.monitor import Answer, Ask, Detector, Monitor, ProbeSuite, Query, Scale, Source

PERIODS: Final = 3.0
"""Silent after so many periods, where the policy does not say."""


def monitor_of(definition: api.Monitor, frozen: api.FrozenReference, *, suite_digest: str = "") -> Monitor:
    """Make the monitor. `suite_digest` is that of the suite that a probe asks. Raises DriftRefused: it cannot be used, or could never see a change."""
    return Monitor(
        name=definition.name,
        source=_source(definition, suite_digest),
        detector=_detector(definition, frozen),
        expected=expectation_of(definition),
        on_drift=Ask(definition.on_drift),
        on_silence=Ask(definition.on_silence),
        scale=scale_of(definition),
        missing=None if definition.missing is None else float(definition.missing),
    )


def expectation_of(definition: api.Monitor) -> Expectation:
    """How often something is to be heard. Raises DriftRefused for a period of nothing, and for silence that is shorter than a period or never comes."""
    expected = Expectation(period=parse_duration(definition.period))
    if definition.silent_after is None:
        return replace(expected, periods=PERIODS)
    return replace(expected, periods=parse_duration(definition.silent_after) / expected.period)


def scale_of(definition: api.Monitor) -> Scale | None:
    """The range of the number that is watched. Raises DriftRefused for one that is none."""
    return None if definition.scale is None else Scale(low=float(definition.scale.low), high=float(definition.scale.high))


def explicit_reference(definition: api.Monitor) -> api.FrozenReference | None:
    """The reference that the policy gives; None when it is what the baseline shows. Raises DriftRefused for one that says nothing."""
    given = definition.reference
    if given.mean is not None:
        mean, scale = float(given.mean), scale_of(definition)
        if scale is not None:
            mean = (mean - scale.low) / (scale.high - scale.low)
        # So many observations that nothing is left to be unsure about; of numbers with this mean, yes and no vary the most.
        return freeze(MeanReference(n=COUNT_LIMIT, mean=mean, variance=max(0.0, mean * (1 - mean))))
    if given.counts is None:
        return None
    counts = {count.value: count.seen for count in given.counts}
    if definition.detects is api.Detects.DISTRIBUTION:
        return freeze(freeze_names(counts))
    event = definition.prometheus.event if definition.prometheus else None
    return freeze(MeanReference.of_counts(counts.get(event or "", 0), sum(counts.values())))


def freeze(reference: MeanReference | Histogram) -> api.FrozenReference:
    """A reference as `ReleaseMonitor.spec.reference` keeps it. Raises DriftRefused: it is larger than an object may hold."""
    text = dump(reference).decode()
    if len(text) > api.REFERENCE_LIMIT:
        raise DriftRefused(f"a reference of {len(text):,} characters; at most {api.REFERENCE_LIMIT:,} are kept: take shorter names, or fewer")
    return api.FrozenReference(mean=text) if isinstance(reference, MeanReference) else api.FrozenReference(distribution=text)


def problem_of(definition: api.Monitor) -> str:
    """Why a monitor can never work as it is defined; empty when it can, as far as that is known before its reference is."""
    try:
        expectation_of(definition)
        scale_of(definition)
        _promise(definition)
        frozen = explicit_reference(definition)
        if frozen is not None:
            _detector(definition, frozen)
        if definition.reference.baseline is not None and not parse_duration(definition.reference.baseline.window):
            return "reference.baseline.window is 0: nothing is seen in no time"
    except DriftRefused as refused:
        return str(refused)
    return ""


def _source(definition: api.Monitor, suite_digest: str) -> Source:
    query = definition.prometheus
    if query is not None:
        return Query(promql=query.query, answer=Answer(query.answer), label=query.label or "", event=query.event or "")
    if definition.probe is None:
        raise DriftRefused("set exactly one of prometheus, probe")
    return ProbeSuite(suite_digest=suite_digest, metric=definition.probe.metric)


def _detector(definition: api.Monitor, frozen: api.FrozenReference) -> Detector:
    if definition.detects is api.Detects.DISTRIBUTION:
        if frozen.distribution is None:
            raise DriftRefused("the frozen reference is of a mean, and the monitor detects a Distribution")
        return DistributionDetector(reference=load(Histogram, frozen.distribution.encode()), promise=_promise(definition))
    if frozen.mean is None:
        raise DriftRefused("the frozen reference is of a distribution, and the monitor detects a Mean")
    return MeanDetector(reference=load(MeanReference, frozen.mean.encode()), promise=_promise(definition), side=Side(definition.changes), name=definition.name)


def _promise(definition: api.Monitor) -> Promise:
    return Promise(run_length=float(definition.false_alarm_every), tolerance=float(definition.tolerance))
