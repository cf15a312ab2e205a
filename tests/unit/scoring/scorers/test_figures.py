"""Vectors, latencies, tokens and cost."""

import random
from dataclasses import replace

import pytest

from sluice.scoring.answer import Answer
from sluice.scoring.scorers.build import pair_scorer_of, scorer_of, sum_of
from sluice.scoring.scorers.embedding import cosine
from sluice.scoring.scorers.latency import latency_settings, quantile_limit, samples_needed
from sluice.scoring.scorers.settings import ExpectError, PairScorerType, ScorerType, Settings, SettingsError, SumType
from tests.unit.scoring.scorers.said import case, said


def embedded(*values: float) -> Answer:
    return replace(said(), embedding=values)


@pytest.mark.parametrize(
    ("one", "other", "value"),
    [
        ((1, 0), (1, 0), 1.0),
        ((1, 0), (3, 0), 1.0),
        ((1, 0), (0, 1), 0.0),
        ((1, 0), (-1, 0), 0.0),
        ((3, 4), (4, 3), 0.96),
        ((1e200, 1e200), (1e-200, 1e-200), 1.0),
        ((0.1,) * 7, (0.1,) * 7, 1.0),
        ((), (), 0.0),
        ((1, 0), (1, 0, 0), 0.0),
        ((0, 0), (1, 0), 0.0),
        ((float("nan"), 0), (1, 0), 0.0),
        ((float("inf"), 0), (1, 0), 0.0),
    ],
)
def test_nearness_is_the_cosine_and_zero_where_there_is_no_angle(one: tuple[float, ...], other: tuple[float, ...], value: float) -> None:
    assert cosine(one, other) == pytest.approx(value, abs=1e-12)


def test_an_embedding_is_compared_with_the_expected_one() -> None:
    score = scorer_of(Settings(type=ScorerType.EMBEDDING_SIMILARITY))
    assert score(case(embedding=[3, 4]), embedded(4, 3)).value == pytest.approx(0.96)
    assert score(case(embedding=[3, 4]), said(vector=(4, 3))).value == pytest.approx(0.96)
    assert score(case(embedding=[3, 4]), said()).value == 0.0
    assert score(case(), embedded(4, 3)).value is None
    for strange in ([], [1, "2"], [True], "1", [1, float("inf")]):
        with pytest.raises(ExpectError, match=r"expect\.embedding is"):
            score(case(embedding=strange), said())


def test_an_embedding_is_compared_with_the_baselines() -> None:
    score = pair_scorer_of(Settings(type=PairScorerType.EMBEDDING_AGREEMENT))
    assert score(case(), embedded(3, 4), embedded(4, 3)).value == pytest.approx(0.96)
    assert score(case(), embedded(0.1, 0.2, 0.3), embedded(0.1, 0.2, 0.3)).value == 1.0
    assert score(case(), said(), embedded(4, 3)).value == 0.0


def test_an_answer_within_the_limit_is_worth_one() -> None:
    score = scorer_of(Settings(type=ScorerType.LATENCY, parameters={"limitSeconds": "0.5"}))
    assert score(case(), said()).value == 1.0
    assert score(case(), replace(said(), latency_seconds=0.51)).value == 0.0


def test_a_limit_that_is_not_given_comes_from_the_baseline() -> None:
    settings = Settings(type=ScorerType.LATENCY, parameters={"quantile": 0.9})
    read = latency_settings(settings)
    assert (read.limit_seconds, read.quantile, read.tolerance, read.confidence) == (None, 0.9, 0.1, 0.95)
    with pytest.raises(SettingsError, match=r"Latency\.limitSeconds is missing"):
        scorer_of(settings)


@pytest.mark.parametrize(("quantile", "confidence", "needed"), [(0.95, 0.95, 59), (0.5, 0.95, 5), (0.99, 0.95, 299), (0.9, 0.5, 7)])
def test_a_bound_takes_as_many_samples_as_the_theory_says(quantile: float, confidence: float, needed: int) -> None:
    assert samples_needed(quantile=quantile, confidence=confidence) == needed
    assert quantile_limit([1.0] * needed, quantile=quantile, tolerance=0.0, confidence=confidence) == 1.0
    assert quantile_limit([1.0] * (needed - 1), quantile=quantile, tolerance=0.0, confidence=confidence) is None


def test_the_bound_is_an_order_statistic_and_the_tolerance_is_on_top() -> None:
    seconds = [float(rank) for rank in range(1, 101)]
    random.Random(4).shuffle(seconds)
    # P(Binomial(100, 0.95) < 99) = 0.963 and P(... < 98) = 0.882: the 99th smallest is the first to reach 95 %.
    assert quantile_limit(seconds, quantile=0.95, tolerance=0.0, confidence=0.95) == 99.0
    assert quantile_limit(seconds, quantile=0.95, tolerance=0.1, confidence=0.95) == pytest.approx(108.9)
    assert quantile_limit([], quantile=0.95, tolerance=0.0, confidence=0.95) is None


def test_the_bound_holds_as_often_as_it_says() -> None:
    """For a skewed distribution, 1,000 times: the true 90 % quantile of an exponential is 2.3026; at most 5 % of bounds are below it."""
    draw = random.Random(7)
    below = 0
    for _ in range(1000):
        limit = quantile_limit([draw.expovariate(1.0) for _ in range(80)], quantile=0.9, tolerance=0.0, confidence=0.95)
        assert limit is not None
        below += limit < 2.302585
    assert below <= 70  # 50 expected at most, and three standard deviations


def test_many_latencies_do_not_leave_the_range_of_floats() -> None:
    assert quantile_limit([1.0] * 50_000, quantile=0.95, tolerance=0.0, confidence=0.95) == 1.0


def test_tokens_and_cost_are_whole_units() -> None:
    counted = replace(said(), prompt_tokens=1200, completion_tokens=34)
    assert sum_of(Settings(type=SumType.TOKENS))(counted) == 1234
    price = sum_of(Settings(type=SumType.COST, parameters={"promptPrice": "0.0025", "completionPrice": "0.000001"}))
    assert price(counted) == 1200 * 2500 + 34  # 0.0025 / 1,000 tokens is 2,500 billionths a token
    assert sum_of(Settings(type=SumType.TOKENS))(replace(counted, prompt_tokens=None)) == 34


def test_what_the_server_does_not_tell_is_no_sum() -> None:
    assert sum_of(Settings(type=SumType.TOKENS))(said()) is None
    price = sum_of(Settings(type=SumType.COST, parameters={"promptPrice": "1", "completionPrice": "1"}))
    assert price(replace(said(), prompt_tokens=1)) is None


@pytest.mark.parametrize("price", ["1e-3", "-1", "0.0000001", "", 0.0025, "0,5"])
def test_a_price_that_is_not_exact_is_refused(price: object) -> None:
    with pytest.raises(SettingsError, match=r"Cost\.promptPrice"):
        sum_of(Settings(type=SumType.COST, parameters={"promptPrice": price, "completionPrice": "1"}))
