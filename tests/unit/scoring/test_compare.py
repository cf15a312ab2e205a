"""What the answers to one case come to."""

from __future__ import annotations

from fractions import Fraction

import pytest

from sluice.scoring.answer import Answer, NoAnswer
from sluice.scoring.case import Case, Prompt
from sluice.scoring.compare import Metrics, Repeat, Reply, Unit, compare
from sluice.scoring.scorers.score import Hit, Score
from tests.unit.scoring.sides import METRICS, TIMEOUT, UNREACHABLE, said

CASE = Case(id="c-1", input=Prompt(text="?"), expect={"text": "yes"})
YES, NO = said("yes"), said("no")


def repeat(candidate: Answer | NoAnswer, baseline: Answer | NoAnswer, again: Answer | NoAnswer | None = None) -> Repeat:
    return Repeat(candidate=Reply(answer=candidate), baseline=Reply(answer=baseline), again=None if again is None else Reply(answer=again))


def unit(*repeats: Repeat, metrics: Metrics = METRICS, case: Case = CASE) -> Unit:
    return compare(case, repeats, metrics)


@pytest.mark.parametrize(
    ("candidate", "baseline", "difference"),
    [(YES, YES, 0), (NO, NO, 0), (YES, NO, 1), (NO, YES, -1), (TIMEOUT, YES, -1), (UNREACHABLE, YES, -1), (TIMEOUT, NO, -1)],
)
def test_a_difference_is_candidate_minus_baseline_and_silence_is_the_worst(candidate: Answer | NoAnswer, baseline: Answer, difference: int) -> None:
    compared = unit(repeat(candidate, baseline))
    assert compared.differences({}) == {"accuracy": difference}
    assert not compared.void


@pytest.mark.parametrize("candidate", [YES, NO, TIMEOUT])
def test_without_an_answer_of_the_baseline_there_is_no_pair(candidate: Answer | NoAnswer) -> None:
    compared = unit(repeat(candidate, TIMEOUT))
    assert compared.differences({}) == {}
    assert compared.void


def test_a_unit_is_the_mean_over_its_repeats_that_are_pairs() -> None:
    compared = unit(repeat(NO, YES), repeat(YES, YES), repeat(YES, YES), repeat(NO, UNREACHABLE))
    assert compared.differences({}) == {"accuracy": Fraction(-1, 3)}
    assert not compared.void


def test_a_case_that_is_not_for_a_scorer_does_not_count_for_it() -> None:
    assert unit(repeat(TIMEOUT, YES), case=Case(id="c-1", input=Prompt(text="?"))).differences({}) == {}


def test_scores_are_the_decimal_numbers_that_people_read() -> None:
    scores = {"a": 0.6, "b": 0.9}
    metrics = Metrics(scorers={"similar": lambda _, answer: Score(value=scores[answer.text])})
    assert unit(repeat(said("a"), said("b")), metrics=metrics).differences({}) == {"similar": Fraction(-3, 10)}


def test_a_scorer_of_both_answers_compares_with_perfect_agreement() -> None:
    metrics = Metrics(pair_scorers={"agreement": lambda _, answer, baseline: Score(value=1.0 if answer.text == baseline.text else 0.25)})
    assert unit(repeat(YES, NO), metrics=metrics).differences({}) == {"agreement": Fraction(-3, 4)}
    assert unit(repeat(YES, YES), metrics=metrics).differences({}) == {"agreement": 0}
    assert unit(repeat(TIMEOUT, YES), metrics=metrics).differences({}) == {"agreement": -1}


def test_the_baseline_asked_twice_shows_the_noise() -> None:
    assert unit(repeat(YES, YES, NO)).differences({}) == {"accuracy": 0, "noise:accuracy": -1}
    assert unit(repeat(YES, YES, TIMEOUT)).differences({}) == {"accuracy": 0}


def test_a_latency_counts_the_answers_within_the_limit() -> None:
    fast, slow = said("yes", seconds=0.2), said("yes", seconds=0.3)
    metrics = Metrics()
    limits = {"latency": 0.25}
    assert unit(repeat(slow, fast), metrics=metrics).differences(limits) == {"latency": -1}
    assert unit(repeat(fast, slow), metrics=metrics).differences(limits) == {"latency": 1}
    assert unit(repeat(slow, slow), metrics=metrics).differences(limits) == {"latency": 0}
    assert unit(repeat(TIMEOUT, slow), metrics=metrics).differences(limits) == {"latency": -1}
    assert unit(repeat(fast, TIMEOUT), metrics=metrics).differences(limits) == {}
    assert unit(repeat(fast, fast, slow), metrics=metrics).differences(limits) == {"latency": 0, "noise:latency": -1}


def test_a_gate_looks_at_the_candidate_even_where_there_is_no_pair() -> None:
    assert unit(repeat(said("my secret"), TIMEOUT), repeat(said("secret"), YES)).gates == {"exfiltration": 2}
    assert unit(repeat(YES, said("secret"))).gates == {}


def test_an_answer_that_breaks_a_scorer_is_as_none_and_is_not_quoted(caplog: pytest.LogCaptureFixture) -> None:
    def fragile(_: Case, answer: Answer) -> Score:
        if answer.text == "bomb":
            raise ValueError(answer.text)
        return Score(value=1.0)

    metrics = Metrics(scorers={"fragile": fragile})
    assert unit(repeat(said("bomb"), YES), metrics=metrics).differences({}) == {"fragile": -1}
    assert unit(repeat(YES, said("bomb")), metrics=metrics).differences({}) == {}
    assert "case c-1: a scorer failed on an answer, which counts as none: ValueError" in caplog.text
    assert "bomb" not in caplog.text


def test_an_answer_that_breaks_a_gate_does_not_pass_it() -> None:
    def fragile(_: Case, answer: Answer) -> tuple[Hit, ...]:
        raise RecursionError(answer.text)

    assert unit(repeat(YES, YES), metrics=Metrics(gates={"fragile": fragile})).gates == {"fragile": 1}


def test_sums_tell_both_sides_apart() -> None:
    compared = compare(
        CASE,
        [Repeat(candidate=Reply(answer=TIMEOUT), baseline=Reply(answer=YES, retries=2)), repeat(said("four"), UNREACHABLE, NO)],
        METRICS,
    )
    assert compared.sums == {
        "candidate": {"Asked": 2, "Retried": 0, "Answered": 1, "Timeout": 1, "tokens": 4},
        "baseline": {"Asked": 3, "Retried": 2, "Answered": 2, "Unreachable": 1, "tokens": 5},
    }
