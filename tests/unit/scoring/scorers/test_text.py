"""Exact match, patterns, numbers."""

from collections.abc import Mapping

import pytest

from sluice.scoring.scorers.build import scorer_of
from sluice.scoring.scorers.settings import ExpectError, ScorerType, Settings, SettingsError
from tests.unit.scoring.scorers.said import expecting, said


def value(kind: ScorerType, said_text: str, /, *, parameters: Mapping[str, object] | None = None, **expect: object) -> float | None:
    return scorer_of(Settings(type=kind, parameters=parameters or {}))(expecting(expect), said(said_text)).value


@pytest.mark.parametrize(
    ("text", "wanted", "right"),
    [
        ("yes", "yes", True),
        ("  yes\n", "yes", True),
        ("a  b\nc", "a b c", True),
        ("Yes", "yes", False),
        ("yes.", "yes", False),
        ("", "yes", False),
        ("no", ["yes", "no"], True),
        ("cafe\u0301", "café", True),
        ("yes " * 10_000, "yes", False),
    ],
)
def test_an_exact_match_is_the_same_text_up_to_white_space(text: str, wanted: object, right: bool) -> None:
    assert value(ScorerType.EXACT_MATCH, text, text=wanted) == float(right)


def test_case_and_punctuation_matter_unless_the_suite_says_otherwise() -> None:
    assert value(ScorerType.EXACT_MATCH, "Yes!", text="yes", parameters={"ignoreCase": True, "ignorePunctuation": True}) == 1.0
    assert value(ScorerType.EXACT_MATCH, "Yes!", text="yes", parameters={"ignoreCase": True}) == 0.0
    assert value(ScorerType.EXACT_MATCH, "Yes!", text="yes", parameters={"ignorePunctuation": True}) == 0.0


@pytest.mark.parametrize("kind", [ScorerType.EXACT_MATCH, ScorerType.REGEX, ScorerType.NUMERIC])
def test_a_case_that_expects_nothing_is_not_for_the_scorer(kind: ScorerType) -> None:
    assert value(kind, "anything") is None


@pytest.mark.parametrize(
    ("kind", "expect"),
    [
        (ScorerType.EXACT_MATCH, {"text": 3}),
        (ScorerType.EXACT_MATCH, {"text": []}),
        (ScorerType.EXACT_MATCH, {"text": ["a", 1]}),
        (ScorerType.REGEX, {"pattern": 3}),
        (ScorerType.REGEX, {"pattern": "(?=x)"}),
        (ScorerType.NUMERIC, {"number": "many"}),
        (ScorerType.NUMERIC, {"number": True}),
    ],
)
def test_what_a_case_expects_is_read_before_the_answer(kind: ScorerType, expect: Mapping[str, object]) -> None:
    """So that an empty answer finds the mistake, and the message says where it is."""
    with pytest.raises(ExpectError, match=rf"case 'c-1': expect\.{next(iter(expect))} is .*write|refused"):
        scorer_of(Settings(type=kind))(expecting(expect), said())


def test_a_pattern_is_found_anywhere_or_must_not_be() -> None:
    assert value(ScorerType.REGEX, "it is 42 now", parameters={"pattern": r"\b4\d\b"}) == 1.0
    assert value(ScorerType.REGEX, "it is 52 now", parameters={"pattern": r"\b4\d\b"}) == 0.0
    assert value(ScorerType.REGEX, "it is 42 now", parameters={"pattern": r"\b4\d\b", "absent": True}) == 0.0
    assert value(ScorerType.REGEX, "it is 52 now", parameters={"pattern": r"\b4\d\b", "absent": True}) == 1.0


def test_the_pattern_of_a_case_goes_before_that_of_the_suite() -> None:
    assert value(ScorerType.REGEX, "b", parameters={"pattern": "a"}, pattern="b") == 1.0


def test_a_pattern_that_cannot_be_used_is_refused_when_the_scorer_is_built() -> None:
    with pytest.raises(SettingsError, match=r"Regex\.pattern is '\(': the expression is refused by RE2: missing \)"):
        scorer_of(Settings(type=ScorerType.REGEX, parameters={"pattern": "("}))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("The answer is 42.", 42),
        ("3 + 4 = 7", 7),
        ("about 1,234.5 euros", 1234.5),
        ("-17", -17),
        ("−17", -17),
        ("between 3-5", 5),
        ("6.02e23 molecules", 6.02e23),
        ("x2 is 9", 9),
        ("0", "0"),
    ],
)
def test_the_last_number_of_a_text_counts(text: str, number: object) -> None:
    assert value(ScorerType.NUMERIC, text, number=number) == 1.0
    assert value(ScorerType.NUMERIC, text + " or rather 99999", number=number) == 0.0


@pytest.mark.parametrize("text", ["", "none", "NaN", "inf", "forty-two"])
def test_a_text_without_a_number_is_wrong(text: str) -> None:
    assert value(ScorerType.NUMERIC, text, number=42) == 0.0


def test_which_number_counts_is_a_choice() -> None:
    assert value(ScorerType.NUMERIC, "3 of 4", number=3, parameters={"take": "First"}) == 1.0
    assert value(ScorerType.NUMERIC, " 3 ", number=3, parameters={"take": "Only"}) == 1.0
    assert value(ScorerType.NUMERIC, "it is 3", number=3, parameters={"take": "Only"}) == 0.0


def test_the_larger_tolerance_counts_and_its_edge_is_inside() -> None:
    assert value(ScorerType.NUMERIC, "10.5", number=10, parameters={"absolute": "0.5"}) == 1.0
    assert value(ScorerType.NUMERIC, "10.51", number=10, parameters={"absolute": "0.5"}) == 0.0
    assert value(ScorerType.NUMERIC, "110", number=100, parameters={"absolute": 1, "relative": 0.1}) == 1.0
    assert value(ScorerType.NUMERIC, "111", number=100, parameters={"absolute": 1, "relative": 0.1}) == 0.0


def test_a_number_in_a_tensor_counts_where_there_is_no_text() -> None:
    score = scorer_of(Settings(type=ScorerType.NUMERIC, parameters={"absolute": 0.1}))
    assert score(expecting({"number": 2}), said(price=(2.05,))).value == 1.0
    assert score(expecting({"number": 2}), said(price=(2.2,))).value == 0.0
    assert score(expecting({"number": 2}), said(price=(2.0, 2.0))).value == 0.0
    assert score(expecting({"number": 2}), said(price=(2.0,), other=(2.0,))).value == 0.0
