"""Scorers of a text with one right answer: the same text, a pattern, a number."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache

from sluice.scoring.answer import Answer
from sluice.scoring.case import Case, Json
from sluice.scoring.scorers.pattern import PatternError, searcher
from sluice.scoring.scorers.score import NOT_FOR_THIS_CASE, WRONG, Score, Scorer, yes_or_no
from sluice.scoring.scorers.settings import Parameters, Settings, expect_error, expected, number_of
from sluice.scoring.scorers.tensors import only_value

_PUNCTUATION = re.compile(r"[^\w\s]")
# English notation: a comma between groups of three, a point before decimals. Possessive, so that no attempt is made twice; a sign after a digit is a dash.
_NUMBER = re.compile(r"(?<![\w.,])[-+−]?(?:[0-9]{1,3}(?:,[0-9]{3})++(?![0-9])|[0-9]++)(?:\.[0-9]++)?(?:[eE][-+]?[0-9]{1,3}+)?")
_ROOM = 1000
"""Characters by which an answer may be longer than what it is compared with, before spaces are looked at."""


class Take(StrEnum):
    """Which number of an answer counts."""

    LAST = "Last"
    """As in a calculation that ends in its result."""
    FIRST = "First"
    ONLY = "Only"
    """The answer must be a number and nothing else."""


def exact_match(settings: Settings) -> Scorer:
    """Whether the answer is `expect.text` (a string, or a list of strings any of which is right). Runs of white space count as one space.

    Parameters: `ignoreCase`, `ignorePunctuation` (both false). Raises SettingsError.
    """
    parameters = Parameters(settings)
    ignore_case = parameters.flag("ignoreCase", default=False)
    ignore_punctuation = parameters.flag("ignorePunctuation", default=False)
    parameters.done()

    def normal(text: str) -> str:
        text = unicodedata.normalize("NFC", text)
        text = text.casefold() if ignore_case else text
        text = _PUNCTUATION.sub(" ", text) if ignore_punctuation else text
        return " ".join(text.split())

    def score(case: Case, answer: Answer) -> Score:
        texts = _texts(case)
        if not texts:
            return NOT_FOR_THIS_CASE
        # Normalising is quadratic on runs of combining marks, and the text is the model's: one that is far longer than any right one is not looked at.
        if len(answer.text) > 4 * max(map(len, texts)) + _ROOM:
            return WRONG
        return yes_or_no(normal(answer.text) in map(normal, texts))

    return score


def regex(settings: Settings) -> Scorer:
    """Whether a pattern (RE2 syntax) occurs in the answer: parameter `pattern`, or `expect.pattern` of the case, which goes before it.

    With parameter `absent` true (default false), whether it does not occur. Raises SettingsError for a pattern that RE2 refuses.
    """
    parameters = Parameters(settings)
    absent = parameters.flag("absent", default=False)
    pattern = parameters.json("pattern")
    common: Callable[[str], bool] | None = None
    if pattern is not None:
        if not isinstance(pattern, str):
            raise parameters.wrong("pattern", pattern, "write a string")
        try:
            common = searcher(pattern)
        except PatternError as error:
            raise parameters.wrong("pattern", pattern, f"the expression {error}") from None
    parameters.done()

    def score(case: Case, answer: Answer) -> Score:
        own = expected(case, "pattern", str, "write a regular expression")
        try:
            occurs = common if own is None else _searcher(own)
        except PatternError as error:
            raise expect_error(case, "pattern", own, f"the expression {error}") from None
        return NOT_FOR_THIS_CASE if occurs is None else yes_or_no(occurs(answer.text) is not absent)

    return score


def numeric(settings: Settings) -> Scorer:
    """Whether the number in the answer is within max(`absolute`, `relative` × |expected|) of `expect.number`.

    Numbers are read in English notation (`-1,234.5e3`). An answer without text is read from its tensors: the one element of the one output.
    Parameters: `absolute`, `relative` (0), `take` (Last | First | Only; Last). Raises SettingsError.
    """
    parameters = Parameters(settings)
    absolute = parameters.number("absolute", default=0.0)
    relative = parameters.number("relative", default=0.0, maximum=1.0)
    take = Take(parameters.choice("take", Take, default=Take.LAST))
    parameters.done()

    def score(case: Case, answer: Answer) -> Score:
        value = case.expect.get("number")
        if value is None:
            return NOT_FOR_THIS_CASE
        if (wanted := number_of(value)) is None:
            raise expect_error(case, "number", value, "write a finite number")
        found = number_in(answer.text, take) if answer.text else number_of(only_value(answer))
        return yes_or_no(found is not None and abs(found - wanted) <= max(absolute, relative * abs(wanted)))

    return score


def number_in(text: str, take: Take) -> float | None:
    """The number of `text` that counts, None when there is none."""
    if take is Take.ONLY:
        match = _NUMBER.fullmatch(text.strip())
        return _value(match[0]) if match else None
    found: str | None = None
    for match in _NUMBER.finditer(text):
        found = match[0]
        if take is Take.FIRST:
            break
    return _value(found) if found is not None else None


def _value(written: str) -> float | None:
    return number_of(written.replace(",", "").replace("−", "-"))


def _texts(case: Case) -> tuple[str, ...]:
    value: Json = expected(case, "text", (str, list, tuple), "write a string, or a list of strings any of which is right")
    if value is None:
        return ()
    texts = (value,) if isinstance(value, str) else tuple(value)
    if not texts or not all(isinstance(text, str) for text in texts):
        raise expect_error(case, "text", value, "write a string, or a list of strings any of which is right")
    return texts


@lru_cache(maxsize=4096)
def _searcher(pattern: str) -> Callable[[str], bool]:
    return searcher(pattern)
