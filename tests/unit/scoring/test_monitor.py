"""Monitors: what goes in, what is found, and what it asks for."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from sluice.scoring.drift.distribution import DistributionDetector
from sluice.scoring.drift.histogram import freeze_names, freeze_numbers
from sluice.scoring.drift.mean import MeanDetector, MeanReference
from sluice.scoring.drift.refused import DriftRefused
from sluice.scoring.drift.settings import Promise
from sluice.scoring.drift.silence import Expectation
from sluice.scoring.drift.stored import dump, load
from sluice.scoring.monitor import (
    READING_LIMIT,
    Answer,
    Ask,
    Cause,
    Counts,
    Finding,
    Monitor,
    MonitorState,
    ProbeSuite,
    Query,
    Scale,
    Values,
    due,
    judge,
    start,
    strongest,
    take,
)

T0 = datetime(2026, 11, 21, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
REFUSALS = Monitor(
    name="refusals",
    source=ProbeSuite(suite_digest="sha256:5", metric="refusals"),
    detector=MeanDetector(reference=MeanReference.of_counts(1000, 10_000), promise=Promise(), name="refusal rate"),
    expected=Expectation(period=MINUTE, periods=3),
    on_drift=Ask.ROLL_BACK,
)
LATENCY = replace(
    REFUSALS,
    name="latency",
    detector=DistributionDetector(reference=freeze_numbers(np.random.default_rng(1).gamma(4, 100, 10_000)), promise=Promise()),
    on_drift=Ask.WITHDRAW,
    missing=float("inf"),
)
TOOLS = replace(REFUSALS, name="tools", detector=DistributionDetector(reference=freeze_names({"read": 9000, "send": 1000}), promise=Promise()))


def at(minutes: float) -> datetime:
    return T0 + minutes * MINUTE


def fed(monitor: Monitor, *batches: tuple[float | None, ...] | tuple[str, ...]) -> MonitorState:
    state = start(monitor, now=T0)
    for minute, values in enumerate(batches, start=1):
        state = take(monitor, state, Values(at=at(minute), values=values), now=at(minute))
    return state


def test_refusals_that_double_ask_for_what_the_monitor_says_in_words_that_say_what_happened() -> None:
    state = fed(REFUSALS, (0.0,) * 9 + (1.0,), (0.0, 1.0) * 100)
    (finding,) = judge(REFUSALS, state, now=at(2))
    assert (finding.monitor, finding.cause, finding.ask) == ("refusals", Cause.DRIFT, Ask.ROLL_BACK)
    assert finding.message.startswith("refusal rate: rise to 0.5")
    assert "0.0899 to 0.111 is no drift" in finding.message
    assert "in 10,000 observations or more" in finding.message


def test_nothing_is_found_where_nothing_has_changed() -> None:
    assert judge(REFUSALS, fed(REFUSALS, (0.0,) * 9 + (1.0,)), now=at(2)) == ()


def test_an_alarm_survives_the_process_and_is_gone_only_with_a_new_start() -> None:
    state = load(MonitorState, dump(fed(REFUSALS, (1.0,) * 20)))
    assert [finding.cause for finding in judge(REFUSALS, state, now=at(1))] == [Cause.DRIFT]
    assert judge(REFUSALS, start(REFUSALS, now=at(1)), now=at(1)) == ()


@pytest.mark.parametrize("minute", [1, 0.5])
def test_a_reading_that_is_not_newer_is_not_taken_in_again(minute: float) -> None:
    state = fed(REFUSALS, (0.0, 1.0))
    assert take(REFUSALS, state, Values(at=at(minute), values=(1.0,) * 50), now=at(2)) == state


@pytest.mark.parametrize("reading", [Values(at=at(1), values=()), Counts(at=at(1), counts=(0, 0))])
def test_an_empty_reading_is_no_sign_of_life(reading: Values | Counts) -> None:
    assert take(REFUSALS, start(REFUSALS, now=T0), reading, now=at(1)).last is None


def test_a_silent_monitor_is_found_with_what_it_asks_for() -> None:
    state = fed(LATENCY, (400.0,))
    (finding,) = judge(LATENCY, state, now=at(5))
    assert (finding.cause, finding.ask) == (Cause.SILENCE, Ask.ALERT)
    assert finding.message == "nothing heard since 2026-11-21T09:01:00+00:00, 0:04:00 ago; the next reading was due by 2026-11-21T09:04:00+00:00"


def test_a_source_that_repeats_itself_falls_silent() -> None:
    state = fed(REFUSALS, (0.0,))
    for minute in range(2, 6):
        state = take(REFUSALS, state, Values(at=at(1), values=(0.0,)), now=at(minute))
    assert [finding.cause for finding in judge(REFUSALS, state, now=at(5))] == [Cause.SILENCE]


def test_a_stored_state_whose_clock_was_ahead_is_silence_that_says_so() -> None:
    ahead = replace(start(REFUSALS, now=T0), last=at(60))
    (finding,) = judge(REFUSALS, ahead, now=at(1))
    assert "0:59:00 in the future" in finding.message


@pytest.mark.parametrize("when", [at(10), at(1).replace(tzinfo=None)])
def test_a_reading_from_the_future_or_without_an_offset_is_refused(when: datetime) -> None:
    with pytest.raises(DriftRefused, match="mend the clock"):
        take(REFUSALS, start(REFUSALS, now=T0), Values(at=when, values=(0.0,)), now=at(1))


def test_counts_of_a_mean_are_without_and_with_the_event() -> None:
    counted = take(REFUSALS, start(REFUSALS, now=T0), Counts(at=at(1), counts=(18, 2)), now=at(1))
    assert counted.drift == REFUSALS.detector.tally(REFUSALS.detector.start(), events=2, n=20) if isinstance(REFUSALS.detector, MeanDetector) else False
    with pytest.raises(DriftRefused, match="two counts"):
        take(REFUSALS, start(REFUSALS, now=T0), Counts(at=at(1), counts=(1, 2, 3)), now=at(1))


def test_counts_of_a_distribution_are_of_the_bins_of_its_reference() -> None:
    counted = take(TOOLS, start(TOOLS, now=T0), Counts(at=at(1), counts=(0, 5, 50)), now=at(1))
    assert counted.drift.alarm is not None
    assert counted.drift.alarm.feature == "share of other names"
    with pytest.raises(DriftRefused, match="3 counts"):
        take(TOOLS, start(TOOLS, now=T0), Counts(at=at(1), counts=(1, 2)), now=at(1))


def test_names_go_to_a_mix_and_numbers_to_everything_else() -> None:
    assert fed(TOOLS, ("read",) * 9 + ("send",)).drift.seen == 10
    for monitor, values, why in ((TOOLS, (1.0,), "takes names"), (LATENCY, ("read",), "takes numbers"), (REFUSALS, ("yes",), "takes numbers")):
        with pytest.raises(DriftRefused, match=why):
            fed(monitor, values)


def test_a_missing_value_counts_as_the_worst() -> None:
    timeouts = fed(LATENCY, (400.0, None) * 40)
    assert timeouts.drift == fed(LATENCY, (400.0, float("inf")) * 40).drift
    assert timeouts.drift.alarm is not None


def test_a_missing_value_is_refused_where_nothing_is_said_about_it() -> None:
    with pytest.raises(DriftRefused, match="1 of 2 observations have no value; say in `missing`"):
        fed(REFUSALS, (0.0, None))


def test_a_scale_makes_a_mean_of_any_range_and_its_ends_hold() -> None:
    stars = replace(REFUSALS, scale=Scale(low=1, high=5))
    assert fed(stars, (1.0, 3.0, 5.0, 9.0, -9.0)).drift == fed(REFUSALS, (0.0, 0.5, 1.0, 1.0, 0.0)).drift


@pytest.mark.parametrize(("low", "high"), [(1, 1), (2, 1), (float("nan"), 1), (0, float("inf"))])
def test_a_range_that_is_none_is_refused(low: float, high: float) -> None:
    with pytest.raises(DriftRefused, match="no range"):
        Scale(low=low, high=high)


def test_a_reading_of_any_length_is_refused() -> None:
    with pytest.raises(DriftRefused, match="at most 100,000"):
        fed(REFUSALS, (0.0,) * (READING_LIMIT + 1))


def test_a_state_of_another_detector_is_refused() -> None:
    with pytest.raises(DriftRefused, match="start anew"):
        take(TOOLS, fed(REFUSALS, (0.0,)), Values(at=at(2), values=("read",)), now=at(2))


def test_a_source_is_asked_at_the_start_and_then_once_a_period() -> None:
    probes = replace(REFUSALS, source=ProbeSuite(suite_digest="sha256:" + "0" * 64, metric="refusal"))
    assert due(probes, start(probes, now=T0)) == T0
    assert due(probes, fed(probes, (0.0,))) == at(2)


def test_hard_cases_in_a_row_are_no_drift_of_a_suite_but_would_be_of_a_stream() -> None:
    suite = (0.0,) * 90 + (1.0,) * 10
    assert judge(REFUSALS, fed(REFUSALS, *[suite] * 100), now=at(100)) == ()
    assert isinstance(REFUSALS.detector, MeanDetector)
    assert REFUSALS.detector.observe(REFUSALS.detector.start(), suite).alarm is not None


def test_a_suite_that_gets_worse_is_found() -> None:
    assert judge(REFUSALS, fed(REFUSALS, *[(0.0,) * 80 + (1.0,) * 20] * 3), now=at(3)) != ()


def test_a_mix_that_is_probed_is_one_batch_too() -> None:
    assert judge(TOOLS, fed(TOOLS, *[("read",) * 90 + ("send",) * 10] * 100), now=at(100)) == ()
    assert judge(TOOLS, fed(TOOLS, *[("read",) * 50 + ("send",) * 50] * 2), now=at(2)) != ()


def test_the_strongest_ask_wins() -> None:
    asked = [Finding(monitor="m", cause=Cause.DRIFT, ask=ask, message="") for ask in (Ask.WITHDRAW, Ask.ROLL_BACK, Ask.ALERT)]
    assert strongest(asked) is Ask.ROLL_BACK
    assert strongest(asked[::2]) is Ask.WITHDRAW
    assert strongest([]) is None


def test_silence_does_not_roll_back() -> None:
    with pytest.raises(DriftRefused, match="no evidence"):
        replace(REFUSALS, on_silence=Ask.ROLL_BACK)
    withdrawing = replace(REFUSALS, on_silence=Ask.WITHDRAW)
    assert strongest(judge(withdrawing, start(withdrawing, now=T0), now=at(4))) is Ask.WITHDRAW


@pytest.mark.parametrize(
    ("monitor", "change", "why"),
    [
        (LATENCY, {"scale": Scale(low=0, high=1)}, "scale is for a mean"),
        (REFUSALS, {"source": Query(promql="x", answer=Answer.BUCKETS)}, "buckets are counts of a distribution"),
        (REFUSALS, {"source": Query(promql="x", answer=Answer.COUNTS, label="outcome")}, "counts need the label"),
        (REFUSALS, {"source": Query(promql="x", answer=Answer.COUNTS, event="refused")}, "counts need the label"),
        (TOOLS, {"source": Query(promql="x", answer=Answer.COUNTS, label="tool", event="send")}, "counts need the label"),
    ],
)
def test_parts_that_do_not_fit_each_other_are_refused(monitor: Monitor, change: dict[str, object], why: str) -> None:
    with pytest.raises(DriftRefused, match=why):
        replace(monitor, **change)  # type: ignore[arg-type]  # any field
