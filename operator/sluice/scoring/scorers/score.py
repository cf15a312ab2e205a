"""What scorers, gates and sums give.

The engine compares numbers of a candidate with those of a baseline on the same case; a scorer therefore says nothing about one model, only about one answer.
A gate is for what no comparison excuses: one hit is enough to roll back, whatever the baseline does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from sluice.scoring.answer import Answer
from sluice.scoring.case import Case


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How good an answer is: in [0, 1], larger is better; None when the case is not for this scorer (it expects nothing, or belongs to another set).

    Whether it is None depends on the case alone, never on the answer: a model must not be able to choose which of its answers count.
    """

    value: float | None

    def __post_init__(self) -> None:
        """Raises ValueError for a number outside of [0, 1] and for NaN: the engine's promise rests on the bounds."""
        if self.value is not None and not (math.isfinite(self.value) and 0.0 <= self.value <= 1.0):
            raise ValueError(f"a score is in [0, 1], not {self.value}")


NOT_FOR_THIS_CASE = Score(value=None)
RIGHT = Score(value=1.0)
WRONG = Score(value=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One reason to roll back. It says where and what, and never repeats a secret."""

    where: str
    """Part of the answer: `text`, `turn 2`, `tool call 1 arguments`, …"""
    what: str
    """What was found there, in words; at most 200 characters."""


Scorer = Callable[[Case, Answer], Score]
"""Of one answer. Raises ExpectError when the case expects something that the scorer cannot read."""
PairScorer = Callable[[Case, Answer, Answer], Score]
"""Of the candidate's answer (first) beside the baseline's (second), for what has no meaning alone. An answer beside itself is worth 1."""
Gate = Callable[[Case, Answer], tuple[Hit, ...]]
"""Empty: nothing found. Raises ExpectError like a scorer."""
Sum = Callable[[Answer], int | None]
"""A quantity to add up over answers, in whole units so that shards add to the same bits in any order; None when the server did not tell."""


def yes_or_no(right: bool) -> Score:  # noqa: FBT001 - the only argument is the answer itself
    """1 for right, 0 for wrong."""
    return RIGHT if right else WRONG
