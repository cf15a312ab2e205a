"""Embeddings: how near an answer's vector is to the one expected, or to the baseline's for the same text.

Nearness is the cosine, cut at 0: vectors at more than a right angle are as wrong as can be, and a scale on which unrelated texts get one half
hides differences. A vector that is empty, zero, not finite or of another length is at no angle to anything: 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from sluice.scoring.answer import Answer
from sluice.scoring.case import Case
from sluice.scoring.scorers.score import NOT_FOR_THIS_CASE, PairScorer, Score, Scorer
from sluice.scoring.scorers.settings import Parameters, Settings, expect_error, expected, number_of
from sluice.scoring.scorers.tensors import output_of, vector


def embedding_similarity(settings: Settings) -> Scorer:
    """Cosine of the answer's embedding and `expect.embedding` (a list of numbers), at least 0. No parameters. Raises SettingsError."""
    Parameters(settings).done()

    def score(case: Case, answer: Answer) -> Score:
        wanted = _expected(case)
        return NOT_FOR_THIS_CASE if wanted is None else Score(value=cosine(embedding_of(answer), wanted))

    return score


def embedding_agreement(settings: Settings) -> PairScorer:
    """Cosine of the candidate's embedding and the baseline's, at least 0. No parameters. Raises SettingsError.

    For models whose vectors are compared with vectors stored earlier: a candidate may be as good by itself and still find nothing of what is stored.
    """
    Parameters(settings).done()

    def score(_case: Case, candidate: Answer, baseline: Answer) -> Score:
        return Score(value=cosine(embedding_of(candidate), embedding_of(baseline)))

    return score


def embedding_of(answer: Answer) -> tuple[float, ...]:
    """The embedding, or the numbers of the only tensor; empty when there is neither."""
    if answer.embedding:
        return answer.embedding
    tensor = output_of(answer, None)
    return () if tensor is None else vector(tensor) or ()


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """Cosine of the angle, cut to [0, 1]; 0 where there is no angle."""
    if len(one) != len(other) or not one or not all(map(math.isfinite, (*one, *other))):
        return 0.0
    # Scaled first: squares of large or small numbers would leave the range of floats.
    first, second = _unit(one), _unit(other)
    if first is None or second is None:
        return 0.0
    if first == second:
        return 1.0  # not a rounding error less: an answer beside itself is the baseline that differences are taken from
    return min(1.0, max(0.0, math.fsum(a * b for a, b in zip(first, second, strict=True))))


def _unit(vector: Sequence[float]) -> list[float] | None:
    largest = max(map(abs, vector))
    if largest == 0.0:
        return None
    scaled = [value / largest for value in vector]
    length = math.sqrt(math.fsum(value * value for value in scaled))
    return [value / length for value in scaled]


def _expected(case: Case) -> tuple[float, ...] | None:
    values = expected(case, "embedding", (list, tuple), "write a list of numbers")
    if values is None:
        return None
    numbers = tuple(number for value in values if not isinstance(value, str) and (number := number_of(value)) is not None)
    if not numbers or len(numbers) < len(values):
        raise expect_error(case, "embedding", values, "write a list of finite numbers, not empty")
    return numbers
