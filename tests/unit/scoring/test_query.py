"""What is asked about one release: names are filled in so that they stay names."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sluice.scoring.drift.refused import DriftRefused
from sluice.scoring.query import filled


def of(promql: str, *, namespace: str = "payments", release: str = "churn-2", period: timedelta = timedelta(minutes=1)) -> str:
    return filled(promql, namespace=namespace, release=release, period=period)


def test_names_and_the_period_are_filled_in() -> None:
    asked = of('sum by (refused) (increase(answers_total{namespace="$namespace",release="$release"}[$period]))')
    assert asked == 'sum by (refused) (increase(answers_total{namespace="payments",release="churn-2"}[60000ms]))'


@pytest.mark.parametrize(
    ("promql", "asked"),
    [
        ('x{r="$release"}', r'x{r="a\"} or up{b=\"\\c"}'),
        ("x{r='$release'}", r"""x{r='a"} or up{b="\\c'}"""),
        ("x{r=`$release`}", 'x{r=`a"} or up{b="\\c`}'),
        ('x{r=~"$release-.*"}', r'x{r=~"a\\\"\\}\\ or\\ up\\{b\\=\\\"\\\\c-.*"}'),
    ],
)
def test_a_name_never_leaves_its_literal(promql: str, asked: str) -> None:
    assert of(promql, release='a"} or up{b="\\c') == asked


def test_a_name_with_a_single_quote_never_leaves_a_literal_of_single_quotes() -> None:
    assert of("x{r='$release'}", release="a'b") == r"x{r='a\'b'}"


@pytest.mark.parametrize("operator", ["=~", "!~", "=~ "])
def test_a_dot_in_a_name_is_a_dot_in_a_regular_expression(operator: str) -> None:
    assert of(f'x{{r{operator}"$release"}}', release="churn-2.1") == f'x{{r{operator}"churn-2\\\\.1"}}'
    assert of(f"x{{r{operator}`$release`}}", release="churn-2.1") == f"x{{r{operator}`churn-2\\.1`}}"


def test_a_name_that_looks_like_a_place_is_not_filled_in_again() -> None:
    assert of('x{n="$namespace",r="$release"}', namespace="$release") == 'x{n="$release",r="churn-2"}'


def test_other_dollars_stay() -> None:
    assert of('label_replace(up{r="$release"}, "a", "$1", "b", "(.*)$")') == 'label_replace(up{r="churn-2"}, "a", "$1", "b", "(.*)$")'


def test_a_quote_in_a_comment_is_no_literal() -> None:
    assert of("""up # don't\n+ x{r="$release"}""") == 'up \n+ x{r="churn-2"}'


@pytest.mark.parametrize(
    ("promql", "problem"),
    [
        ("up{r=$release}", "outside of quotes"),
        ("$namespace", "outside of quotes"),
        ('label_replace(up, "a", "$period", "", "")', "between quotes"),
        ('up{r="$release}', "does not end"),
        ("up{r=`$release}", "does not end"),
    ],
)
def test_a_query_in_which_a_name_could_be_more_than_a_name_is_refused(promql: str, problem: str) -> None:
    with pytest.raises(DriftRefused, match=problem):
        of(promql)


def test_a_name_that_cannot_be_written_between_backticks_is_refused() -> None:
    with pytest.raises(DriftRefused, match="backticks"):
        of("up{r=`$release`}", release="a`b")


def test_a_period_is_a_millisecond_at_least() -> None:
    assert of("rate(x[$period])", period=timedelta(0)) == "rate(x[1ms])"
