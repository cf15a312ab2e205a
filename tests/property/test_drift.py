"""Drift detectors: nothing depends on how a stream is cut, stored, counted or added, and no bet gains on a baseline that has not changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from sluice.scoring.drift.bets import Feature, place
from sluice.scoring.drift.detector import State
from sluice.scoring.drift.distribution import DistributionDetector
from sluice.scoring.drift.envelope import Envelope, envelope
from sluice.scoring.drift.histogram import empty, freeze_numbers
from sluice.scoring.drift.mean import MeanDetector, MeanReference
from sluice.scoring.drift.settings import Promise
from sluice.scoring.drift.silence import Expectation
from sluice.scoring.drift.stored import dump, load
from sluice.scoring.monitor import Ask, Monitor, MonitorState, ProbeSuite, Values, start, take

MEAN = MeanDetector(reference=MeanReference.of_counts(300, 1000), promise=Promise(run_length=1e5))
LATENCY = DistributionDetector(reference=freeze_numbers(np.random.default_rng(7).gamma(3, 100, 3000)), promise=Promise(run_length=1e5))
T0 = datetime(2026, 11, 21, 9, tzinfo=UTC)
SCORES = Monitor(
    name="scores",
    source=ProbeSuite(suite_digest="sha256:5", metric="scores"),
    detector=MEAN,
    expected=Expectation(period=timedelta(minutes=1)),
    on_drift=Ask.ALERT,
)
shares = st.floats(0, 1)


def pieces(n: int, cuts: set[int]) -> list[slice]:
    places = [0, *sorted(cut for cut in cuts if 0 < cut < n), n]
    return [slice(a, b) for a, b in pairwise(places)]


@given(st.lists(shares, min_size=1, max_size=1300), st.sets(st.integers(1, 1299), max_size=4))
def test_a_stream_of_scores_may_be_cut_and_stored_anywhere(values: list[float], cuts: set[int]) -> None:
    state = MEAN.start()
    for piece in pieces(len(values), cuts):
        state = load(State, dump(MEAN.observe(state, values[piece])))
    assert state == MEAN.observe(MEAN.start(), values)


# The cuts are what matters, and each example bets on 1,200 latencies twice.
@settings(max_examples=50)
@given(st.integers(0, 2**32), st.floats(0.5, 2), st.sets(st.integers(1, 1199), max_size=4))
def test_a_stream_of_latencies_may_be_cut_and_stored_anywhere(seed: int, factor: float, cuts: set[int]) -> None:
    values = np.random.default_rng(seed).gamma(3, 100 * factor, 1200)
    state = LATENCY.start()
    for piece in pieces(len(values), cuts):
        state = load(State, dump(LATENCY.observe(state, values[piece])))
    assert state == LATENCY.observe(LATENCY.start(), values)


@given(st.lists(st.floats(0, 2000), max_size=200), st.randoms(use_true_random=False))
def test_counts_do_not_know_the_order_or_the_replica(values: list[float], random: object) -> None:
    nothing = empty(LATENCY.reference.bins)
    shuffled = values.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    half = len(values) // 2
    together = nothing.with_values(shuffled[:half]) + nothing.with_values(shuffled[half:])
    assert LATENCY.tally(LATENCY.start(), together) == LATENCY.tally(LATENCY.start(), nothing.with_values(values))


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 20), st.lists(shares, max_size=20)), max_size=30))
def test_reading_a_source_more_often_changes_nothing(readings: list[tuple[int, list[float]]]) -> None:
    """Readings in any order, some of them late or twice: only those that are newer than all before count, once."""
    state = start(SCORES, now=T0)
    expected = MEAN.start()
    last = None
    for minute, values in readings:
        if values and (last is None or minute > last):
            expected, last = MEAN.observe_together(expected, values), minute
        for _ in range(2):
            reading = Values(at=T0 + timedelta(minutes=minute), values=tuple(values))
            state = load(MonitorState, dump(take(SCORES, state, reading, now=T0 + timedelta(minutes=20))))
    assert state.drift == expected


@example(0.0, 5e-324, 0.25, 1e5, 0.5)
@example(1 - 2**-53, 1.0, 0.25, 1e5, 0.5)
@given(shares, shares, st.floats(1e-3, 0.5), st.floats(100, 1e9), shares)
def test_no_bet_gains_on_a_mean_within_the_envelope_and_none_loses_everything(low: float, high: float, spread: float, run_length: float, part: float) -> None:
    """A payment is linear in the observation, so its expectation is the payment of the mean."""
    assume(low < high and (high < 0.99 or low > 0.01))
    bets = place([Feature(name="x", envelope=Envelope(low=low, high=high, spread=spread))], run_length=run_length)
    assert (bets.payments(np.array([low + part * (high - low)])) <= 1 + 1e-9).all()
    payments = bets.payments(np.array([[0.0], [1.0]]))
    assert (payments > 0).all()
    assert np.isfinite(payments).all()
    assert np.isclose(bets.weight.sum(), 1)


@given(st.integers(2, 10**6), shares, st.floats(0, 0.5), st.floats(1e-6, 0.5))
def test_an_envelope_holds_the_mean_of_its_reference(n: int, mean: float, tolerance: float, error: float) -> None:
    bounds = envelope(mean=mean, variance=mean * (1 - mean), n=n, tolerance=tolerance, error=error)
    assert 0 <= bounds.low <= mean <= bounds.high <= 1
    assert bounds.low <= max(0, mean - tolerance)
    assert bounds.high >= min(1, mean + tolerance)
    assert bounds.spread > 0
