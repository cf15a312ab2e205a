"""A value stays in its place, whatever it holds; a pointer leads where RFC 6901 says."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.scoring.case import Json
from sluice.scoring.protocols.template import BodyTemplate, Pointer, QueryTemplate, TemplateError

VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


@pytest.mark.parametrize("value", [None, True, 1, 0.5, "text", ["a"], {"a": [1]}, '"}, {"b": "', "{{other}}", "{{$seed}}"])
def test_a_string_that_is_one_place_becomes_the_value_itself(value: Json) -> None:
    assert BodyTemplate.parse('{"a": ["{{x}}"]}').fill({"x": value, "other": "no"}) == {"a": [value]}


@pytest.mark.parametrize(
    ("value", "text"), [("b", "a b c"), (1, "a 1 c"), (None, "a null c"), (True, "a true c"), ([1, "ü"], 'a [1,"ü"] c'), ("{{x}}", "a {{x}} c")]
)
def test_a_place_inside_of_a_string_becomes_text(value: Json, text: str) -> None:
    assert BodyTemplate.parse('"a {{x}} c"').fill({"x": value}) == text


@given(VALUES, VALUES)
def test_no_value_changes_what_is_around_it(one: Json, other: Json) -> None:
    template = BodyTemplate.parse('{"fixed": 1, "a": "{{one}}", "b": [{"c": "{{other}}"}], "d": "<{{one}}>"}')
    filled = template.fill({"one": one, "other": other})
    assert json.loads(json.dumps(filled)) == {"fixed": 1, "a": one, "b": [{"c": other}], "d": filled["d"]}
    assert filled["d"][0] + filled["d"][-1] == "<>"


def test_a_template_is_filled_any_number_of_times() -> None:
    template = BodyTemplate.parse('{"a": "{{x}}"}')
    assert [template.fill({"x": 1}), template.fill({"x": 2})] == [{"a": 1}, {"a": 2}]
    assert template.names == {"x"}


def test_a_value_that_the_case_does_not_have_is_missed_by_name() -> None:
    with pytest.raises(TemplateError, match="body asks for 'x'"):
        BodyTemplate.parse('"{{x}}"').fill({})
    with pytest.raises(TemplateError, match="query asks for 'x'"):
        QueryTemplate.parse("a={{x}}").fill({})


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "{{x}}", '{"a": NaN}', '"{{}}"', '"{{x"', '"{{x y}}"', '"{{1x}}"', '"{{x|upper}}"', '"{{ x }}"', '"{{x.__class__()}}"'),
        *('"{{$env}}"', '"{{$seed"', '{"{{x}}": 1}', "[" * 34 + "]" * 34, "[" * 100_000, '"' + "x" * 65_536 + '"'),
    ],
    ids=lambda text: text[:16],
)
def test_a_body_that_is_no_template_is_refused(text: str) -> None:
    with pytest.raises(TemplateError, match=r"^body "):
        BodyTemplate.parse(text)


@given(st.text())
def test_a_value_in_a_query_is_one_value(value: str) -> None:
    query = QueryTemplate.parse("a={{x}}&b=1").fill({"x": value})
    assert query.count("&") == 1
    assert query.count("=") == 2
    assert "#" not in query
    assert query.isascii()


@pytest.mark.parametrize("text", ["a=b c", "a=ä", "a=#", "a={{", "a={{$x}}", 'a="', "a=" + "b" * 2048])
def test_a_query_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(TemplateError, match=r"^query "):
        QueryTemplate.parse(text)


# RFC 6901, section 5.
DOCUMENT = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, 'k"l': 6, " ": 7, "m~n": 8}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        *(("", DOCUMENT), ("/foo", ["bar", "baz"]), ("/foo/0", "bar"), ("/", 0), ("/a~1b", 1), ("/c%d", 2), ("/e^f", 3), ("/g|h", 4)),
        *(("/i\\j", 5), ('/k"l', 6), ("/ ", 7), ("/m~0n", 8)),
    ],
)
def test_the_examples_of_the_standard_hold(pointer: str, value: Json) -> None:
    assert Pointer.parse(pointer).of(DOCUMENT) == value


def test_an_escaped_tilde_is_not_unescaped_twice() -> None:
    assert Pointer.parse("/~01").of({"~1": "yes", "/": "no"}) == "yes"


@pytest.mark.parametrize("pointer", ["/bar", "/foo/2", "/foo/-1", "/foo/-", "/foo/00", "/foo/x", "/foo/0/0", "/foo/9999999999", "/foo/²"])
def test_a_pointer_that_leads_nowhere_says_at_which_step(pointer: str) -> None:
    with pytest.raises(TemplateError, match="answer: nothing is at step"):
        Pointer.parse(pointer).of(DOCUMENT)


@pytest.mark.parametrize("pointer", ["foo", "/a~", "/a~2", "#/foo", "/" + "a" * 512])
def test_what_is_no_pointer_is_refused(pointer: str) -> None:
    with pytest.raises(TemplateError, match="write a JSON pointer"):
        Pointer.parse(pointer)
