"""Expressions of strangers: RE2's, bounded, in linear time."""

import pytest

from sluice.scoring.scorers.pattern import ELEMENT_LIMIT, PATTERN_LIMIT, SEARCHED_LIMIT, PatternError, elements, searcher


@pytest.mark.parametrize(
    ("pattern", "text", "occurs"),
    [
        ("yes", "oh yes", True),
        ("^yes$", "oh yes", False),
        ("(?i)YES", "yes", True),
        (r'say "\\"', 'say "\\"', True),
        (r"\x{1F600}", "😀", True),
        (r"\pL+", "éa", True),
        ("é", "café", True),
        (".", "", False),
        (".", "\ud800", True),
        ("a", "x\0a", True),
    ],
)
def test_patterns_mean_what_re2_says(pattern: str, text: str, occurs: bool) -> None:
    assert searcher(pattern)(text) is occurs


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("", "1 to 1024"),
        ("a" * (PATTERN_LIMIT + 1), "1025 characters"),
        ("(", r"missing \)"),
        (r"(a)\1", "invalid escape"),
        ("a(?=b)", "no look-around"),
        ("a\nb", "not printable"),
        (r"\Qa\E", "backslash before each"),
        ("a{1001}", "invalid repetition"),
        ("(ab){200}", "400 elements"),
        (r"(.{0,90}x|.{0,90}y|.{0,90}z)$", "elements with its repetitions written out"),
    ],
)
def test_what_backtracks_or_grows_is_refused_with_the_reason(pattern: str, why: str) -> None:
    with pytest.raises(PatternError, match=why):
        searcher(pattern)


@pytest.mark.parametrize("pattern", ["(a*)*b", "(a|a)*b", "(a+)+$", ".*.*.*=.*", "^(([a-z])+.)+[A-Z]([a-z])+$"])
def test_what_hangs_a_backtracking_engine_is_searched_to_the_end(pattern: str) -> None:
    """Python's `re` needs 2ⁿ steps for these. This test hangs, and does not fail, if such an engine comes back."""
    assert searcher(pattern)("a" * (SEARCHED_LIMIT - 1) + "!") is False


def test_a_text_is_searched_up_to_its_bound() -> None:
    assert searcher("x")("a" * (SEARCHED_LIMIT - 1) + "x")
    assert not searcher("x")("a" * SEARCHED_LIMIT + "x")


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ("abc", 3),
        ("a{3}", 3),
        ("a{2,5}", 5),
        ("a{3,}", 3),
        ("(ab){3}", 6),
        ("((ab){2}c){3}", 15),
        ("[a{100}]{2}", 2),
        ("[]a]{4}", 4),
        (r"[^\]]{4}", 4),
        (r"\{9", 2),
        (r"\p{Greek}{3}", 3),
        ("x{a}", 4),
    ],
)
def test_elements_are_counted_with_repetitions_written_out(pattern: str, count: int) -> None:
    assert elements(pattern) == count


def test_useful_patterns_are_within_the_bounds() -> None:
    for pattern in (r"^\d{4}-\d{2}-\d{2}$", r"(?i)\b(yes|no|maybe)\b", r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){4}", r"#### (-?[\d,]+)"):
        assert elements(pattern) <= ELEMENT_LIMIT
        searcher(pattern)
