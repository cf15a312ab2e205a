"""Agreement: how near a candidate's answer is to the baseline's, for cases for which nobody has written what is right.

It says that something changed, not that it got worse: a candidate that is better disagrees, too. For replayed traffic it is a tripwire, with a margin as
wide as the change that one expects, and the noise (the baseline beside itself) tells how much of it means nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from sluice.scoring.answer import Answer
from sluice.scoring.case import Case
from sluice.scoring.scorers.classification import classifier
from sluice.scoring.scorers.score import PairScorer, Score, yes_or_no
from sluice.scoring.scorers.settings import Parameters, Settings

_LOOKED_AT = 64 * 1024
"""Characters of an answer."""
_WORD = re.compile(r"\w+")


def text_agreement(settings: Settings) -> PairScorer:
    """Words that both answers have, in whatever order and case, as F1: 2·common / (one + other); 1 where neither has any.

    No parameters. Raises SettingsError.
    """
    Parameters(settings).done()

    def score(_case: Case, candidate: Answer, baseline: Answer) -> Score:
        return Score(value=_overlap(_words(candidate), _words(baseline)))

    return score


def tool_agreement(settings: Settings) -> PairScorer:
    """Tools that both call, each as often as it is called, as F1; 1 where neither calls any. Arguments are not looked at.

    No parameters. Raises SettingsError.
    """
    Parameters(settings).done()

    def score(_case: Case, candidate: Answer, baseline: Answer) -> Score:
        return Score(value=_overlap((call.name for call in candidate.tool_calls), (call.name for call in baseline.tool_calls)))

    return score


def label_agreement(settings: Settings) -> PairScorer:
    """Whether both answers name the same class, or neither names one. Parameters: see `classification.classifier`. Raises SettingsError."""
    predicted = classifier(settings)

    def score(_case: Case, candidate: Answer, baseline: Answer) -> Score:
        return yes_or_no(predicted(candidate) == predicted(baseline))

    return score


def _words(answer: Answer) -> list[str]:
    return _WORD.findall(answer.text[:_LOOKED_AT].casefold())


def _overlap(one: Iterable[str], other: Iterable[str]) -> float:
    first, second = Counter(one), Counter(other)
    together = first.total() + second.total()
    return 2 * (first & second).total() / together if together else 1.0
