"""Agreement with the baseline, for cases that nobody has written an answer for."""

from __future__ import annotations

import pytest

from sluice.scoring.answer import Answer
from sluice.scoring.scorers.build import pair_scorer_of
from sluice.scoring.scorers.score import PairScorer
from sluice.scoring.scorers.settings import PairScorerType, Settings
from tests.unit.scoring.scorers.said import called, case, said

TEXT = pair_scorer_of(Settings(type=PairScorerType.TEXT_AGREEMENT))
TOOLS = pair_scorer_of(Settings(type=PairScorerType.TOOL_AGREEMENT))
LABELS = pair_scorer_of(Settings(type=PairScorerType.LABEL_AGREEMENT, parameters={"labels": ["ham", "spam"]}))


@pytest.mark.parametrize(
    ("agreement", "candidate", "baseline", "value"),
    [
        (TEXT, said("Yes, within 30 days."), said("within 30 DAYS: yes"), 1.0),
        (TEXT, said("yes yes"), said("yes"), 2 / 3),
        (TEXT, said("yes"), said("no"), 0.0),
        (TEXT, said(""), said("no"), 0.0),
        (TEXT, said(""), said(" … "), 1.0),
        (TOOLS, said(calls=(called("look"), called("sell"))), said(calls=(called("sell", a=1), called("look"))), 1.0),
        (TOOLS, said(calls=(called("look"), called("look"))), said(calls=(called("look"),)), 2 / 3),
        (TOOLS, said("I could look"), said(calls=(called("look"),)), 0.0),
        (TOOLS, said("no tools"), said(), 1.0),
        (LABELS, said("It is spam."), said("Spam"), 1.0),
        (LABELS, said("ham"), said("spam"), 0.0),
        (LABELS, said(y=(0.1, 0.9)), said(y=(0.4, 0.6)), 1.0),
        (LABELS, said("who knows"), said("nobody"), 1.0),
        (LABELS, said("who knows"), said("ham"), 0.0),
    ],
)
def test_agreement_is_the_share_that_both_have(agreement: PairScorer, candidate: Answer, baseline: Answer, value: float) -> None:
    assert agreement(case(), candidate, baseline).value == pytest.approx(value)
    assert agreement(case(), baseline, candidate).value == pytest.approx(value)


@pytest.mark.parametrize("agreement", [TEXT, TOOLS, LABELS])
@pytest.mark.parametrize("answer", [said(), said("Yes, spam ham."), said(calls=(called("look"),)), said(y=(0.5,)), said(y=())])
def test_an_answer_beside_itself_is_worth_1(agreement: PairScorer, answer: Answer) -> None:
    assert agreement(case(), answer, answer).value == 1.0


def test_only_the_beginning_of_a_long_answer_is_read() -> None:
    assert TEXT(case(), said("a " * (32 * 1024) + "b"), said("a " * (32 * 1024) + "c")).value == 1.0
