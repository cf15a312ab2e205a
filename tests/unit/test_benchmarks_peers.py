"""The rules of others, as their documentation states them, and the simulation that they are compared in."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.canary.cells import Arrival, Cell, Repeats, Slices, table
from benchmarks.canary.peers import ArgoRollouts, ConfidenceSequence, Flagger, Kayenta, Question, RepeatedTTest, Verdict
from benchmarks.canary.populations import Flips, Graded, Kind, Sampled, TwoAtoms
from benchmarks.canary.rates import lower_bound, upper_bound
from benchmarks.canary.releases import Release, draw

QUESTION = Question(margin=0.02, alpha=0.05, planned=1000)


def release(candidate: list[float], baseline: list[float] | None = None, *, slices: list[int] | None = None, usual: float = 0.9) -> Release:
    """Answers in the order given; a baseline that is always right unless told otherwise."""
    return Release(
        baseline=np.array(baseline or [1.0] * len(candidate)),
        candidate=np.array(candidate),
        rank=None,
        unit=None,
        slices=None if slices is None else np.array(slices),
        usual=usual,
    )


def intervals(*means: float, pairs: int = 100) -> list[float]:
    """Right and wrong answers: so many intervals, each with that share of right ones."""
    return [1.0 if place < round(mean * pairs) else 0.0 for mean in means for place in range(pairs)]


def test_argo_aborts_at_the_first_failed_measurement_unless_more_are_allowed() -> None:
    run = release(intervals(0.9, 0.84, *[0.9] * 8))
    assert ArgoRollouts()(run, QUESTION) == (Verdict.ROLL_BACK, 200)
    assert ArgoRollouts(failure_limit=1)(run, QUESTION) == (Verdict.PROMOTE, 1000)


def test_argo_counts_failed_measurements_that_do_not_follow_each_other() -> None:
    run = release(intervals(0.8, 0.9, 0.8, 0.9, 0.8, 0.9, 0.8, 0.9, 0.9, 0.9))
    assert ArgoRollouts(failure_limit=3)(run, QUESTION) == (Verdict.ROLL_BACK, 700)
    assert ArgoRollouts(failure_limit=4)(run, QUESTION) == (Verdict.PROMOTE, 1000)


def test_argo_pauses_between_the_conditions_and_fails_below_both() -> None:
    rule = ArgoRollouts(inconclusive_within=0.1)
    assert rule(release(intervals(*[0.8] * 10)), QUESTION) == (Verdict.INCONCLUSIVE, 100)
    assert rule(release(intervals(*[0.7] * 10)), QUESTION) == (Verdict.ROLL_BACK, 100)


def test_argo_aborts_after_five_intervals_without_any_answer() -> None:
    silent = [math.nan] * 500
    assert ArgoRollouts()(release(intervals(0.9) + silent + intervals(*[0.9] * 4)), QUESTION) == (Verdict.ROLL_BACK, 600)
    assert ArgoRollouts()(release(silent[:400] + intervals(*[0.9] * 6)), QUESTION) == (Verdict.PROMOTE, 1000)


def test_argo_does_not_promote_before_all_measurements_are_made() -> None:
    assert ArgoRollouts()(release(intervals(*[0.9] * 9)), QUESTION)[0] is Verdict.INCONCLUSIVE


def test_flagger_promotes_after_the_documented_minimum_time_and_a_failed_check_delays_it() -> None:
    rule = Flagger(step_weight=10)
    assert rule(release(intervals(*[0.9] * 10)), QUESTION) == (Verdict.PROMOTE, 500)
    assert rule(release(intervals(0.8, *[0.9] * 9)), QUESTION) == (Verdict.PROMOTE, 600)


def test_flagger_rolls_back_at_the_failed_check_that_reaches_the_threshold() -> None:
    assert Flagger()(release(intervals(*[0.8, 0.9] * 5)), QUESTION) == (Verdict.ROLL_BACK, 900)
    assert Flagger(threshold=6)(release(intervals(*[0.8, 0.9] * 5)), QUESTION)[0] is Verdict.INCONCLUSIVE


def test_kayenta_needs_the_whole_interval_beyond_a_quarter_of_the_shift() -> None:
    rng = np.random.default_rng(1)
    baseline = (rng.random(1000) < 0.9).astype(float)
    worse = (rng.random(1000) < 0.6).astype(float)
    assert Kayenta()(release(worse.tolist(), baseline.tolist()), QUESTION)[0] is Verdict.ROLL_BACK
    slightly = (rng.random(1000) < 0.88).astype(float)
    assert Kayenta()(release(slightly.tolist(), baseline.tolist()), QUESTION) == (Verdict.PROMOTE, 1000)


def test_kayenta_tolerates_a_quarter_of_the_shift() -> None:
    rng = np.random.default_rng(0)
    control, experiment = rng.normal(0.9, 0.04, 20), rng.normal(0.86, 0.04, 20)
    assert Kayenta(tolerance=0)._low(control, experiment)
    assert not Kayenta()._low(control, experiment)


def test_kayenta_passes_identical_data_and_a_better_candidate() -> None:
    baseline = intervals(*[0.5, 0.6] * 10, pairs=50)
    assert Kayenta()(release(baseline, baseline), QUESTION)[0] is Verdict.PROMOTE
    assert Kayenta()(release(intervals(*[0.9] * 20, pairs=50), baseline), QUESTION)[0] is Verdict.PROMOTE


def test_kayenta_does_not_pass_a_stage_that_is_not_over() -> None:
    baseline = intervals(*[0.5, 0.6] * 5, pairs=50)
    assert Kayenta()(release(baseline, baseline), QUESTION)[0] is Verdict.INCONCLUSIVE


def test_repeated_t_tests_roll_back_healthy_releases_far_more_often_than_they_say() -> None:
    cell = Cell(group="", name="", kind=Flips(churn=0.08), effect=0, margin=0, planned=3000)
    rng = np.random.default_rng(7)
    question = Question(margin=0, alpha=0.05, planned=3000)
    runs = [draw(cell, rng) for _ in range(200)]
    assert sum(RepeatedTTest()(run, question)[0] is Verdict.ROLL_BACK for run in runs) / 200 > 0.15
    once = [RepeatedTTest(once=True)(run, question) for run in runs]
    assert sum(verdict is Verdict.ROLL_BACK for verdict, _ in once) / 200 < 0.1
    assert {rows for _, rows in once} == {3000}


def test_a_single_bad_slice_is_seen_by_the_tests_that_look_at_slices() -> None:
    slices = [place % 10 for place in range(1000)]
    rng = np.random.default_rng(3)
    run = release([float(rng.random() < (0.2 if part == 3 else 0.95)) for part in slices], slices=slices)
    for rule in (RepeatedTTest(), ConfidenceSequence()):
        assert rule(run, Question(margin=0.12, alpha=0.05, planned=1000))[0] is Verdict.ROLL_BACK
        assert rule(run, Question(margin=0.9, alpha=0.05, planned=1000))[0] is Verdict.PROMOTE


def test_the_confidence_sequence_is_wider_than_one_look_and_narrows() -> None:
    rng = np.random.default_rng(2)
    run = release((rng.random(3000) < 0.9).astype(float).tolist(), (rng.random(3000) < 0.9).astype(float).tolist())
    difference = run.differences
    lower, upper = ConfidenceSequence()._limits(difference, 0.05)
    assert lower[28] == -math.inf
    half, sd = (upper - lower) / 2, float(difference.std())
    assert half[2999] > 1.645 * sd / math.sqrt(3000)
    assert half[2999] < 3 * sd / math.sqrt(3000)
    assert half[2999] < half[999]


@pytest.mark.parametrize("rule", [ArgoRollouts(), Flagger(), Kayenta(), RepeatedTTest(), ConfidenceSequence()])
@pytest.mark.parametrize("rows", [0, 7, 60])
def test_no_rule_decides_about_data_too_short_for_it_or_falls_over(rule: ArgoRollouts, rows: int) -> None:
    assert rule(release([1.0] * rows), QUESTION)[0] is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("kind", "effect"),
    [
        (Flips(churn=0.09), -0.02),
        (Flips(churn=0.03), 0.01),
        (Sampled(), -0.1),
        (Graded(), -0.05),
        (Graded(step=0.1), -0.02),
        (Graded(step=1 / 7, agreement=4), -0.02),
        (TwoAtoms(common=0.01, rare=-1.0), -0.02),
        (TwoAtoms(common=-0.04, rare=1.0), -0.02),
    ],
)
def test_populations_stand_exactly_where_they_say(kind: Kind, effect: float) -> None:
    population = kind.population(effect)
    assert float((population.candidate - population.baseline).mean()) == pytest.approx(effect, abs=5e-6)
    for scores in (population.baseline, population.candidate):
        assert scores.min() >= 0
        assert scores.max() <= 1


def test_two_atoms_cannot_have_a_mean_outside_of_them() -> None:
    with pytest.raises(ValueError, match="no mix of"):
        TwoAtoms(common=0.1, rare=0.2).population(0)


def test_the_truth_of_a_cell_counts_missing_answers_and_slices() -> None:
    healthy = Cell(group="", name="", kind=Flips(churn=0.09), effect=0)
    assert (healthy.roll_back_is_wrong, healthy.promote_is_wrong) == (True, False)
    edge = Cell(group="", name="", kind=Flips(churn=0.09), effect=-0.02)
    assert (edge.roll_back_is_wrong, edge.promote_is_wrong) == (True, True)
    silent = Cell(group="", name="", kind=Flips(churn=0.09), effect=0, missing=0.05)
    assert silent.means == pytest.approx((-0.05,))
    assert (silent.roll_back_is_wrong, silent.promote_is_wrong) == (False, True)
    sliced = Cell(group="", name="", kind=Flips(churn=0.09), effect=0, slices=Slices(count=20, sick=1, by=-0.2))
    assert sliced.means[:2] == pytest.approx((-0.01, -0.2))
    assert (sliced.roll_back_is_wrong, sliced.promote_is_wrong) == (False, False)


@pytest.mark.parametrize("arrival", list(Arrival))
def test_the_rank_gives_the_fixed_order_back_whatever_arrives_when(arrival: Arrival) -> None:
    cell = Cell(group="", name="", kind=Sampled(), effect=-0.02, planned=200, repeats=Repeats(each=3), arrival=arrival)
    run = draw(cell, np.random.default_rng(4))
    assert run.unit is not None
    assert run.baseline.size == 600
    units = run.unit if run.rank is None else run.unit[np.argsort(run.rank)]
    if arrival is Arrival.ROUNDS:
        assert units.tolist() == list(range(200)) * 3
    elif arrival is Arrival.SCATTERED:
        assert sorted(units.tolist()) == sorted(list(range(200)) * 3)
    else:
        assert units.tolist() == [unit for unit in range(200) for _ in range(3)]


def test_bad_answers_that_arrive_late_are_at_the_end_and_may_be_missing() -> None:
    late = Cell(group="", name="", kind=Flips(churn=0.2), effect=0, planned=1000, arrival=Arrival.SLOW_ARE_BAD)
    difference = draw(late, np.random.default_rng(5)).differences
    assert difference[:800].min() == 0
    assert difference[-50:].max() == -1
    cut = Cell(group="", name="", kind=Flips(churn=0.2), effect=0, planned=1000, arrival=Arrival.SLOW_ARE_BAD, arrived=0.8)
    run = draw(cut, np.random.default_rng(5))
    assert run.baseline.size == 800
    assert run.rank is not None
    assert run.rank.max() > 800


def test_slices_have_the_sizes_that_were_asked_for() -> None:
    even = draw(Cell(group="", name="", kind=Flips(churn=0.09), effect=0, planned=2000, slices=Slices(count=20)), np.random.default_rng(6))
    assert even.slices is not None
    assert np.bincount(even.slices).tolist() == [100] * 20
    uneven = draw(Cell(group="", name="", kind=Flips(churn=0.09), effect=0, planned=64, slices=Slices(count=4, uneven=True)), np.random.default_rng(6))
    assert uneven.slices is not None
    assert np.bincount(uneven.slices).tolist() == [32, 16, 8, 8]


def test_a_sick_slice_is_as_sick_as_it_says() -> None:
    cell = Cell(group="", name="", kind=Flips(churn=0.09), effect=0, planned=40_000, slices=Slices(count=2, sick=1, by=-0.2))
    run = draw(cell, np.random.default_rng(8))
    assert run.slices is not None
    assert float(run.differences[run.slices == 0].mean()) == pytest.approx(-0.2, abs=0.01)
    assert float(run.differences[run.slices == 1].mean()) == pytest.approx(0, abs=0.01)


def test_the_same_seed_draws_the_same_release() -> None:
    cell = next(cell for cell in table() if cell.repeats and cell.repeats.spread)
    first, again = (draw(cell, np.random.default_rng(9)) for _ in range(2))
    assert np.array_equal(first.differences, again.differences)


def test_bounds_of_a_rate_are_those_of_clopper_and_pearson() -> None:
    # Published: 1 of 10 has the 95 % interval 0.0025 to 0.4450; 0 of n ends at 1 - 0.025^(1/n).
    assert lower_bound(1, 10, confidence=0.975) == pytest.approx(0.0025286, abs=1e-6)
    assert upper_bound(1, 10, confidence=0.975) == pytest.approx(0.4450161, abs=1e-6)
    assert upper_bound(0, 100, confidence=0.95) == pytest.approx(1 - 0.05**0.01)
    assert lower_bound(0, 100, confidence=0.95) == 0
    assert upper_bound(7, 7, confidence=0.95) == 1


@pytest.mark.parametrize(("hits", "runs"), [(1, 0), (-1, 5), (6, 5)])
def test_a_rate_of_impossible_counts_is_refused(hits: int, runs: int) -> None:
    with pytest.raises(ValueError, match="is no share"):
        lower_bound(hits, runs, confidence=0.95)
