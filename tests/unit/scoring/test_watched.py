"""What a policy says about a monitor is what is watched, and what can never work is refused in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sluice.api.monitor import FrozenReference, Monitor
from sluice.scoring.drift.bets import Side
from sluice.scoring.drift.distribution import DistributionDetector
from sluice.scoring.drift.histogram import freeze_names
from sluice.scoring.drift.mean import MeanDetector, MeanReference
from sluice.scoring.drift.refused import DriftRefused
from sluice.scoring.monitor import Answer, Ask, Cause, Counts, ProbeSuite, Query, Scale, Values, judge, start, take
from sluice.scoring.watched import expectation_of, explicit_reference, freeze, monitor_of, problem_of

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
REFUSALS: dict[str, Any] = {
    "name": "refusals", "prometheus": {"query": "x[$period]", "answer": "Counts", "label": "refused", "event": "true"}, "period": "1m", "detects": "Mean",
    "reference": {"mean": "0.1"}, "tolerance": "0.02", "falseAlarmEvery": 10_000, "onDrift": "RollBack",
}  # fmt: skip
TOOLS = REFUSALS | {
    "detects": "Distribution", "prometheus": {"query": "x[$period]", "answer": "Counts", "label": "tool"},
    "reference": {"counts": [{"value": "search", "seen": 9000}, {"value": "pay", "seen": 1000}]},
}  # fmt: skip
PROBE = {name: value for name, value in REFUSALS.items() if name != "prometheus"} | {"probe": {"suite": {"name": "core"}, "metric": "accuracy"}}


def definition(base: dict[str, Any] = REFUSALS, **changes: Any) -> Monitor:  # noqa: ANN401 - any field
    return Monitor.model_validate(base | changes)


def reference_of(given: Monitor) -> FrozenReference:
    frozen = explicit_reference(given)
    assert frozen is not None
    return frozen


def detector_of(given: Monitor) -> MeanDetector | DistributionDetector:
    return monitor_of(given, reference_of(given)).detector


def test_a_query_is_watched_as_the_policy_says() -> None:
    monitor = monitor_of(definition(), reference_of(definition()))
    assert monitor.name == "refusals"
    assert monitor.source == Query(promql="x[$period]", answer=Answer.COUNTS, label="refused", event="true")
    assert (monitor.on_drift, monitor.on_silence) == (Ask.ROLL_BACK, Ask.ALERT)
    assert (monitor.scale, monitor.missing) == (None, None)


def test_a_probe_asks_the_suite_that_was_pinned() -> None:
    given = definition(PROBE, missing="-Infinity", scale={"low": "0", "high": "10"}, onSilence="Withdraw")
    monitor = monitor_of(given, reference_of(given), suite_digest="sha256:1")
    assert monitor.source == ProbeSuite(suite_digest="sha256:1", metric="accuracy")
    assert (monitor.missing, monitor.scale, monitor.on_silence) == (float("-inf"), Scale(low=0, high=10), Ask.WITHDRAW)


def test_a_mean_that_people_set_is_taken_as_it_is() -> None:
    detector = detector_of(definition())
    (feature,) = detector.core.bets.features
    assert (round(feature.envelope.low, 6), round(feature.envelope.high, 6)) == (0.08, 0.12), "the tolerance, and nothing more"


def test_a_mean_that_was_measured_is_as_sure_as_its_counts_are_many() -> None:
    widths = []
    for times in (1, 100):
        counts = [{"value": "true", "seen": 100 * times}, {"value": "false", "seen": 900 * times}]
        (feature,) = detector_of(definition(reference={"counts": counts}, tolerance="0")).core.bets.features
        assert feature.envelope.low < 0.1
        widths.append(feature.envelope.high - feature.envelope.low)
    assert widths[1] < widths[0] / 3


def test_the_mean_of_a_scale_is_in_its_unit() -> None:
    given = definition(PROBE, reference={"mean": "2"}, scale={"low": "-2", "high": "6"})
    detector = detector_of(given)
    assert isinstance(detector, MeanDetector)
    assert detector.reference.mean == 0.5


def test_names_that_were_counted_are_the_bins() -> None:
    detector = detector_of(definition(TOOLS))
    assert isinstance(detector, DistributionDetector)
    assert detector.reference == freeze_names({"search": 9000, "pay": 1000})


@pytest.mark.parametrize(
    "changes",
    [
        {"changes": "Rise"}, {"changes": "Fall"}, {"tolerance": "0.03"}, {"falseAlarmEvery": 20_000}, {"reference": {"mean": "0.2"}}, {"name": "other"},
    ],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_another_promise_is_another_detector(changes: dict[str, Any]) -> None:
    assert detector_of(definition(**changes)).digest != detector_of(definition()).digest


def test_only_the_changes_that_are_looked_for_are_found() -> None:
    for changes, finds in ((Side.BOTH, True), (Side.FALL, True), (Side.RISE, False)):
        given = definition(changes=changes)
        monitor = monitor_of(given, reference_of(given))
        state = take(monitor, start(monitor, now=NOW), Counts(at=NOW, counts=(1000, 0)), now=NOW)
        assert bool(judge(monitor, state, now=NOW)) is finds


def test_what_is_expected_is_the_period_and_three_of_them_when_nobody_says() -> None:
    assert expectation_of(definition()).periods == 3
    expected = expectation_of(definition(silentAfter="1m30s"))
    assert (expected.period, expected.periods) == (timedelta(minutes=1), 1.5)
    monitor = monitor_of(definition(silentAfter="10m"), reference_of(definition()))
    state = start(monitor, now=NOW)
    assert judge(monitor, state, now=NOW + timedelta(minutes=9)) == ()
    assert [finding.cause for finding in judge(monitor, state, now=NOW + timedelta(minutes=11))] == [Cause.SILENCE]


def test_a_reference_comes_back_bit_for_bit() -> None:
    for reference in (MeanReference.of([0.1, 0.2, 0.7] * 333), freeze_names({"a": 1000, "b": 2000})):
        given = definition() if isinstance(reference, MeanReference) else definition(TOOLS)
        assert monitor_of(given, freeze(reference)).detector.reference == reference


def test_a_reference_that_no_object_may_hold_is_refused() -> None:
    huge = freeze_names({f"{n:x<253}": 1 for n in range(64)})
    assert len(freeze(huge).distribution or "") < 32_768
    with pytest.raises(DriftRefused, match="take shorter names"):
        freeze(freeze_names({f"{n}".ljust(253, "\x01"): 1 for n in range(64)}))


UNUSABLE: dict[str, tuple[Monitor, str]] = {
    "silence-before-it-is-due": (definition(silentAfter="30s"), "0.5 periods mean nothing"),
    "never-silent": (definition(silentAfter="1d"), "1440.0 periods mean nothing"),
    "no-period": (definition(period="0s"), "the period is above 0"),
    "no-range": (definition(PROBE, scale={"low": "1", "high": "1"}), "no range"),
    "mean-of-two": (definition(reference={"mean": "2"}), "not of values in"),
    "mean-outside-of-its-scale": (definition(PROBE, reference={"mean": "11"}, scale={"low": "0", "high": "10"}), "not of values in"),
    "nothing-counted": (definition(reference={"counts": [{"value": "true", "seen": 1}]}), "n is at least 2"),
    "nothing-to-see": (definition(tolerance="0.999"), "no change of refusals"),
    "nothing-to-fall-to": (definition(reference={"mean": "0"}, changes="Fall"), "no change of refusals"),
    "no-time": (definition(reference={"baseline": {"window": "0s"}}), "nothing is seen in no time"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_monitor_that_can_never_work_is_refused_in_words(name: str) -> None:
    given, says = UNUSABLE[name]
    assert says in problem_of(given)


@pytest.mark.parametrize("given", [definition(), definition(TOOLS), definition(PROBE), definition(reference={"baseline": {"window": "1d"}})])
def test_a_monitor_that_can_work_has_no_problem(given: Monitor) -> None:
    assert problem_of(given) == ""


def test_a_reference_of_another_detector_is_refused() -> None:
    with pytest.raises(DriftRefused, match="detects a Distribution"):
        monitor_of(definition(TOOLS), reference_of(definition()))
    with pytest.raises(DriftRefused, match="detects a Mean"):
        monitor_of(definition(), reference_of(definition(TOOLS)))
    with pytest.raises(DriftRefused, match="stored MeanReference"):
        monitor_of(definition(), FrozenReference(mean="{}"))


def test_values_beyond_the_scale_count_as_at_its_end() -> None:
    given = definition(PROBE, reference={"mean": "5"}, scale={"low": "0", "high": "10"})
    monitor = monitor_of(given, reference_of(given))
    state = take(monitor, start(monitor, now=NOW), Values(at=NOW, values=(1000.0,) * 200), now=NOW)
    assert [finding.ask for finding in judge(monitor, state, now=NOW)] == [Ask.ROLL_BACK]
