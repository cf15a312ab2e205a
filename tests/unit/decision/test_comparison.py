"""Two bounds on the difference of two measurements: against published numbers, closed forms, and what they promise."""

from __future__ import annotations

from dataclasses import replace
from math import log
from random import Random

import pytest

from sluice.decision.comparison import compare, holm
from sluice.evidence.answers import answers_of
from sluice.evidence.measurement import Measurement


def measured(scores: list[float]) -> Measurement:
    return replace(mean(sum(scores) / len(scores), len(scores)), answers=answers_of({str(case): score for case, score in enumerate(scores)}))


def mean(value: float, samples: int) -> Measurement:
    return Measurement(
        suite="s", metric="acc", filter="", value=value, stderr=None, samples=samples, suite_digest=None, harness="h", harness_version="1"
    )  # fmt: skip


def test_means_are_compared_by_the_bounds_that_newcombe_published() -> None:
    """Newcombe (1998), Statistics in Medicine 17:873, table II: 56/70 against 48/80, method 10."""
    found = compare(mean(56 / 70, 70), mean(48 / 80, 80), margin=0.1, confidence=0.975)
    other = compare(mean(48 / 80, 80), mean(56 / 70, 70), margin=0.1, confidence=0.975)
    assert (round(found.lower, 4), round(-other.lower, 4)) == (0.0524, 0.3339)
    assert not found.paired


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.999])
def test_means_are_shown_to_be_within_a_margin_exactly_where_the_bound_is(confidence: float) -> None:
    ours, theirs = mean(0.90, 1000), mean(0.91, 1000)
    bound = -compare(ours, theirs, margin=0.1, confidence=confidence).lower
    assert compare(ours, theirs, margin=bound + 1e-4, confidence=confidence).is_within(confidence)
    assert not compare(ours, theirs, margin=bound - 1e-4, confidence=confidence).is_within(confidence)


@pytest.mark.parametrize("n", [10, 200, 5000])
def test_answers_that_are_all_the_same_prove_what_their_number_can(n: int) -> None:
    """Nothing changed in n cases: were a share m of them lost, that would be (1 − m)ⁿ likely."""
    found = compare(measured([1.0] * n), measured([1.0] * n), margin=0.02, confidence=0.95)
    assert found.p_within == pytest.approx(0.98**n)
    assert found.lower == pytest.approx(0.05 ** (1 / n) - 1, abs=5e-4)
    assert (found.gained, found.lost, found.churn, found.p_worse) == (0, 0, 0, 1.0)
    enough = found.cases_to_decide(0.02, confidence=0.95)
    assert enough == 149 == -(-log(0.05) // log(0.98))


def test_fewer_than_ten_pairs_show_nothing() -> None:
    found = compare(measured([1.0] * 9), measured([0.0] * 9), margin=0.02, confidence=0.95)
    assert not found.is_within(0.95)
    assert found.p_worse == 1


def test_a_metric_of_which_less_is_better_is_compared_the_other_way_round() -> None:
    draw = Random(3)
    ours, theirs = [float(draw.random() < 0.8) for _ in range(300)], [float(draw.random() < 0.9) for _ in range(300)]
    for strip in (measured, lambda scores: replace(measured(scores), answers=None)):
        straight = compare(strip(ours), strip(theirs), margin=0.02, confidence=0.95)
        turned = compare(strip([1 - s for s in ours]), strip([1 - s for s in theirs]), margin=0.02, confidence=0.95, lower_is_better=True)
        wrong = compare(strip([1 - s for s in ours]), strip([1 - s for s in theirs]), margin=0.02, confidence=0.95)
        assert (turned.lower, turned.p_worse, turned.gained) == pytest.approx((straight.lower, straight.p_worse, straight.gained), abs=1e-6)
        assert straight.p_worse < 0.05 < wrong.p_worse


def test_answers_to_other_cases_are_not_paired() -> None:
    ours = replace(mean(0.5, 2), answers=answers_of({"a": 1.0, "b": 0.0}))
    theirs = replace(mean(0.5, 2), answers=answers_of({"a": 1.0, "c": 0.0}))
    assert not compare(ours, theirs, margin=0.02, confidence=0.95).paired


@pytest.mark.parametrize("kind", ["right or wrong", "graded"])
def test_a_release_exactly_at_the_margin_passes_no_oftener_than_stated_and_is_refused_no_oftener(kind: str) -> None:
    draw, rounds, cases = Random(11), 100, 120
    passed = refused = 0
    for _ in range(rounds):
        # A tenth of what was right becomes wrong, three tenths the other way round; or everything is 0.06 less, give or take.
        theirs = [float(draw.random() < 0.9) if kind == "right or wrong" else draw.uniform(0.4, 0.8) for _ in range(cases)]
        if kind == "right or wrong":
            ours = [float(draw.random() >= 0.1) if score else float(draw.random() < 0.3) for score in theirs]
        else:
            ours = [score - 0.06 + draw.uniform(-0.2, 0.2) for score in theirs]
        found = compare(measured(ours), measured(theirs), margin=0.06, confidence=0.95)
        passed += found.is_within(0.95)
        refused += found.p_worse <= 0.05
    # Three standard deviations above five in a hundred.
    assert passed <= rounds * 0.05 + 7
    assert refused <= rounds * 0.05 + 7
    assert passed + refused >= 3


def test_a_release_that_is_as_good_passes_with_the_number_of_cases_that_was_named() -> None:
    draw = Random(5)

    def pair(cases: int) -> tuple[Measurement, Measurement]:
        theirs = [float(draw.random() < 0.9) for _ in range(cases)]
        return measured([score if draw.random() < 0.95 else 1 - score for score in theirs]), measured(theirs)

    few = compare(*pair(200), margin=0.05, confidence=0.95)
    assert not few.is_within(0.95)
    enough = few.cases_to_decide(0.05, confidence=0.95)
    assert enough is not None
    passed = sum(compare(*pair(enough), margin=0.05, confidence=0.95).is_within(0.95) for _ in range(6))
    assert passed >= 3


def test_holm_rejects_step_by_step() -> None:
    """Holm (1979), Scandinavian Journal of Statistics 6:65."""
    assert holm([0.01, 0.04, 0.03, 0.005], 0.05) == [True, False, False, True]
    assert holm([0.012, 0.013, 0.02, 0.04], 0.05) == [True, True, True, True]
    assert holm([0.02, 0.9, 0.9, 0.9], 0.05) == [False] * 4
    assert holm([], 0.05) == []
