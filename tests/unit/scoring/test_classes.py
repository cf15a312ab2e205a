"""Precision, recall and F1 come from counts that add up, of both sides on the same answers."""

from __future__ import annotations

import pytest

from sluice.api.scorers import Scorer
from sluice.scoring.answer import Answer, NoAnswer
from sluice.scoring.case import Case, Prompt
from sluice.scoring.classes import ClassFigures, figures_of, macro_f1, quantities
from sluice.scoring.compare import Repeat, Reply, compare
from sluice.scoring.interpret import metrics_of
from sluice.scoring.tally import add
from tests.unit.scoring.sides import TIMEOUT, said

SCORERS = [
    Scorer.model_validate({"name": "close", "type": "Numeric"}),
    Scorer.model_validate({"name": "class", "type": "Classification", "labels": ["cat", "dog"]}),
]


def figures(*answers: tuple[str, Answer | NoAnswer, Answer | NoAnswer], side: str = "candidate") -> tuple[ClassFigures, ...]:
    """Of cases with this label, this answer of the candidate and this one of the baseline."""
    units = [
        compare(
            Case(id="c", input=Prompt(text="?"), expect={"label": label}),
            [Repeat(candidate=Reply(answer=candidate), baseline=Reply(answer=baseline), again=Reply(answer=said("dog")))],
            metrics_of(SCORERS),
        )
        for label, candidate, baseline in answers
    ]
    return figures_of(SCORERS, add(unit.sums[side] for unit in units))["class"]


def test_figures_of_both_sides_are_those_of_the_textbook() -> None:
    right = said("cat")
    answers = [("cat", said("cat"), right)] * 6 + [("cat", said("dog"), right)] * 2 + [("dog", said("dog"), right)] + [("dog", said("neither"), right)]
    cat, dog = figures(*answers)
    assert (cat.precision, cat.recall, cat.f1) == pytest.approx((1, 3 / 4, 6 / 7))
    assert (dog.precision, dog.recall, dog.f1) == pytest.approx((1 / 3, 1 / 2, 2 / 5))
    assert macro_f1((cat, dog)) == pytest.approx((6 / 7 + 0.4) / 2)
    cat, dog = figures(*answers, side="baseline")
    assert (cat.precision, cat.recall, dog.recall, dog.precision) == (0.8, 1.0, 0.0, None)


def test_a_candidate_that_does_not_answer_names_no_class_and_what_is_no_pair_does_not_count() -> None:
    cat, dog = figures(("cat", TIMEOUT, said("cat")), ("cat", said("cat"), TIMEOUT))
    assert (cat.expected, cat.given, cat.both) == (1, 0, 0)
    assert (dog.expected, macro_f1((cat, dog))) == (0, 0.0)


def test_without_cases_there_are_no_figures() -> None:
    cat, _ = figures(("bird", said("cat"), said("cat")))
    assert (cat.precision, cat.recall, cat.f1, macro_f1((cat,))) == (None, None, None, None)


def test_counts_of_classes_are_told_apart_from_what_was_used() -> None:
    assert quantities({"Asked": 3, "class.1.0.both": 2}) == {"Asked": 3}
