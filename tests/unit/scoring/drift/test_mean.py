"""Drift of a mean: the promise, the arithmetic, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from sluice.scoring.drift.bets import Direction, Side
from sluice.scoring.drift.mean import MeanDetector, MeanReference
from sluice.scoring.drift.refused import DriftRefused
from sluice.scoring.drift.settings import Promise

KNOWN = 10**12  # a reference so large that its mean is as good as known
REFUSALS = MeanReference.of_counts(KNOWN // 10, KNOWN)


def detector(run_length: float = 10_000, reference: MeanReference = REFUSALS, side: Side = Side.BOTH, tolerance: float = 0.0) -> MeanDetector:
    return MeanDetector(reference=reference, promise=Promise(run_length=run_length, tolerance=tolerance), side=side, name="refusal rate")


def events(rate: float, n: int, seed: int = 3) -> np.ndarray:
    return (np.random.default_rng(seed).random(n) < rate).astype(float)


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.5])
def test_the_average_run_to_a_false_alarm_is_at_least_what_is_stated(rate: float) -> None:
    promised = 200
    watching = detector(promised, MeanReference.of_counts(int(rate * KNOWN), KNOWN))
    runs = [watching.observe(watching.start(), events(rate, 20 * promised, seed)) for seed in range(200)]
    lengths = np.array([run.alarm.at if run.alarm else 20 * promised for run in runs])
    assert lengths.mean() > promised - 2 * lengths.std() / 200**0.5
    assert lengths.mean() < 2 * promised  # nor is the detector deaf


def test_the_promise_is_in_observations_also_when_they_come_in_batches() -> None:
    promised, batch, many = 200, 20, 150
    watching = detector(promised, MeanReference.of_counts(KNOWN // 10, KNOWN))
    lengths = []
    for seed in range(many):
        state = watching.start()
        for count in np.random.default_rng(seed).binomial(batch, 0.1, 20 * promised // batch):
            state = watching.tally(state, events=int(count), n=batch)
            if state.alarm is not None:
                break
        lengths.append(state.seen)
    assert np.mean(lengths) > promised - 2 * np.std(lengths) / many**0.5
    assert np.mean(lengths) < 5 * promised  # a batch of a tenth of the run length overshoots


def test_a_refusal_rate_that_doubles_is_found_soon_and_dated() -> None:
    found = []
    for seed in range(41):
        watching = detector()
        state = watching.observe(watching.start(), events(0.1, 300, seed + 1))
        if state.alarm is None:
            state = watching.observe(state, events(0.2, 3000, seed + 100))
            assert state.alarm is not None
            found.append(state.alarm)
    assert len(found) >= 35
    assert np.median([alarm.at - 300 for alarm in found]) <= 140
    assert {alarm.direction for alarm in found} == {Direction.RISE}
    assert abs(np.median([alarm.since for alarm in found]) - 300) <= 40
    assert 0.17 <= np.median([alarm.observed for alarm in found]) <= 0.27


def test_evidence_is_what_the_formula_says() -> None:
    watching = detector(1e9)
    bets = watching.core.bets
    stream = events(0.3, 40)
    by_hand = [0.0] * bets.index.size
    for x in stream:
        for j, (stake, bound, rise) in enumerate(zip(bets.stake, bets.bound, bets.rise, strict=True)):
            payoff = (x - bound) / bound if rise else (bound - x) / (1 - bound)
            by_hand[j] = (by_hand[j] + 1) * (1 + stake * payoff)
    assert watching.observe(watching.start(), stream).capital == pytest.approx(by_hand, rel=1e-12)


def test_counts_put_the_money_of_all_observations_in_before_the_first_one() -> None:
    watching = detector(1e9)
    bets = watching.core.bets
    yes, no = bets.payments(np.array([[1.0], [0.0]]))
    first = watching.tally(watching.start(), events=4, n=20)
    then = watching.tally(first, events=1, n=10)
    assert first.capital == pytest.approx(20 * yes**4 * no**16)
    assert then.capital == pytest.approx((np.array(first.capital) + 10) * yes * no**9)
    assert then.seen == 30


def test_counts_of_one_observation_are_that_observation() -> None:
    watching = detector()
    one_by_one = counted = watching.start()
    for x in events(0.3, 30):
        one_by_one, counted = watching.observe(one_by_one, [x]), watching.tally(counted, events=int(x), n=1)
    assert counted.capital == pytest.approx(one_by_one.capital)
    assert (counted.lowest_at, counted.total_then) == (one_by_one.lowest_at, one_by_one.total_then)


def test_a_batch_of_a_million_is_found_at_once_and_stays_a_number() -> None:
    watching = detector()
    state = watching.tally(watching.start(), events=900_000, n=1_000_000)
    assert state.alarm is not None
    assert state.alarm.observed == 0.9
    assert np.isfinite(state.capital).all()


def test_scores_that_belong_together_have_no_order() -> None:
    watching = detector(1e9)
    scores = [0.1, 0.9, 0.5, 0.5]
    paid = watching.core.bets.payments(np.array(scores)[:, np.newaxis])
    together = watching.observe_together(watching.start(), scores)
    assert together.capital == pytest.approx(4 * paid.prod(axis=0))
    assert watching.observe_together(watching.start(), scores[::-1]).capital == pytest.approx(together.capital)


def test_counts_of_nothing_change_nothing() -> None:
    assert detector().tally(detector().start(), events=0, n=0) == detector().start()


def test_an_alarm_stays_until_somebody_starts_anew() -> None:
    watching = detector()
    alarmed = watching.observe(watching.start(), np.ones(50))
    assert alarmed.alarm is not None
    assert watching.observe(alarmed, np.zeros(1000)) == alarmed
    assert watching.tally(alarmed, events=0, n=1000) == alarmed


def test_what_follows_the_alarm_in_the_same_batch_changes_nothing() -> None:
    watching = detector()
    alarmed = watching.observe(watching.start(), np.ones(50))
    assert alarmed.alarm is not None
    assert watching.observe(watching.start(), np.ones(alarmed.alarm.at)) == alarmed


@pytest.mark.parametrize(("side", "stream"), [(Side.FALL, np.ones(3000)), (Side.RISE, np.zeros(3000))])
def test_a_one_sided_detector_is_blind_to_the_other_side(side: Side, stream: np.ndarray) -> None:
    watching = detector(reference=MeanReference.of_counts(500, 1000), side=side)
    assert watching.observe(watching.start(), stream).alarm is None
    assert watching.observe(watching.start(), 1 - stream).alarm is not None


def test_a_change_within_the_tolerance_is_no_drift() -> None:
    tolerant, strict = detector(tolerance=0.06), detector()
    stream = events(0.15, 20_000)
    assert tolerant.observe(tolerant.start(), stream).alarm is None
    assert strict.observe(strict.start(), stream).alarm is not None


def test_a_small_reference_is_not_taken_for_the_truth() -> None:
    """The same 13 % of 200, once with what it does not know, once as if it were known: the truth is 10 %, and nothing has changed."""
    stream = events(0.1, 5000)
    honest = detector(reference=MeanReference.of_counts(26, 200))
    credulous = detector(reference=MeanReference.of_counts(13 * KNOWN // 100, KNOWN))
    assert honest.observe(honest.start(), stream).alarm is None
    assert credulous.observe(credulous.start(), stream).alarm is not None


def test_a_reference_that_could_never_show_a_change_is_refused() -> None:
    with pytest.raises(DriftRefused, match="take a larger reference or a smaller tolerance"):
        detector(reference=MeanReference.of_counts(500, 1000), tolerance=0.5)


def test_a_state_of_other_settings_is_refused() -> None:
    for other in (detector(9999), detector(tolerance=0.01), detector(side=Side.RISE), detector(reference=MeanReference.of_counts(100, 1000))):
        with pytest.raises(DriftRefused, match="start anew"):
            other.observe(detector().start(), [0.0])
        with pytest.raises(DriftRefused, match="start anew"):
            other.tally(detector().start(), events=0, n=1)


def test_every_setting_is_in_the_digest() -> None:
    others = [
        detector(),
        detector(9999),
        detector(tolerance=0.01),
        detector(side=Side.RISE),
        detector(reference=MeanReference.of_counts(100, 1000)),
        MeanDetector(reference=REFUSALS, promise=Promise(), name="another name"),
        MeanDetector(reference=REFUSALS, promise=Promise(reference_error=0.02), name="refusal rate"),
    ]
    assert len({other.digest for other in others}) == len(others)


def test_a_stream_that_stays_at_the_mean_alarms_when_the_run_length_is_over_and_is_dated() -> None:
    """Nobody gains and nobody loses, so the evidence is the number of observations: the promise, to the letter."""
    watching = detector(200, MeanReference.of_counts(3 * KNOWN // 10, KNOWN))
    alarm = watching.observe(watching.start(), np.full(400, 0.3)).alarm
    assert alarm is not None
    assert 200 <= alarm.at <= 202
    assert alarm.since < alarm.at
    assert alarm.observed == pytest.approx(0.3)


def test_a_state_that_was_cut_short_is_refused() -> None:
    with pytest.raises(DriftRefused, match="start anew"):
        detector().observe(replace(detector().start(), capital=(0.0,)), [0.0])


@pytest.mark.parametrize("value", [1.1, -0.1, float("nan"), float("inf")])
def test_an_observation_outside_0_to_1_is_refused_by_its_place(value: float) -> None:
    with pytest.raises(DriftRefused, match=r"observation 2 is .* not a number in \[0, 1\]"):
        detector().observe(detector().start(), [0.0, 1.0, value])


@pytest.mark.parametrize(("yes", "n"), [(-1, 5), (6, 5)])
def test_impossible_counts_are_refused(yes: int, n: int) -> None:
    with pytest.raises(DriftRefused, match="impossible"):
        detector().tally(detector().start(), events=yes, n=n)
    with pytest.raises(DriftRefused, match="no reference"):
        MeanReference.of_counts(yes, n)


@pytest.mark.parametrize(
    ("n", "mean", "variance"), [(1, 0.5, 0.0), (10, 1.2, 0.1), (10, -0.1, 0.1), (10, 0.5, 0.9), (10, 0.5, float("nan")), (10, float("nan"), 0.1)]
)
def test_numbers_that_no_observations_have_are_no_reference(n: int, mean: float, variance: float) -> None:
    with pytest.raises(DriftRefused):
        MeanReference(n=n, mean=mean, variance=variance)


def test_more_observations_than_a_float_can_count_are_refused() -> None:
    with pytest.raises(DriftRefused, match="more than 9,007,199,254,740,992"):
        detector().tally(detector().start(), events=0, n=2**64)


def test_a_single_observation_is_no_reference() -> None:
    with pytest.raises(DriftRefused, match="says nothing"):
        MeanReference.of([0.5])


@pytest.mark.parametrize(
    "promise", [{"run_length": 99}, {"run_length": float("nan")}, {"tolerance": -0.1}, {"tolerance": 1.0}, {"reference_error": 0.0}, {"reference_error": 0.6}]
)
def test_a_promise_that_cannot_be_kept_is_refused(promise: dict[str, float]) -> None:
    with pytest.raises(DriftRefused, match="is not possible"):
        Promise(**promise)
