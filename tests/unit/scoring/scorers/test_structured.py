"""JSON: the schema, the values, and what stands around it."""

import json

import pytest

from sluice.scoring.case import Json
from sluice.scoring.scorers.build import scorer_of
from sluice.scoring.scorers.json_answer import contains, json_key
from sluice.scoring.scorers.schema import KEYWORD_LIMIT, SchemaError, valid_against
from sluice.scoring.scorers.settings import ExpectError, ScorerType, Settings, SettingsError
from tests.unit.scoring.scorers.said import case, said

PERSON = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "pattern": "^[A-Z]"}, "age": {"minimum": 0}}}


def valid(text: str, *, expect: Json = None, **parameters: Json) -> float | None:
    expectation = {} if expect is None else {"schema": expect}
    return scorer_of(Settings(type=ScorerType.JSON_SCHEMA, parameters=parameters))(case(**expectation), said(text)).value


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ('{"name": "Ada"}', True),
        ('{"name": "ada"}', False),
        ('{"name": "Ada", "age": -1}', False),
        ("{}", False),
        ("", False),
        ("Ada", False),
        ('{"name": "Ada", "name": "Bob"}', False),
        ('{"name": NaN}', False),
        ('Here it is:\n```json\n{"name": "Ada"}\n```\nBye.', True),
        ('```\n{"name": "Ada"}\n```', True),
        ('```json\n{"name": "Ada"}\n```\n```json\n{"name": "Bob"}\n```', False),
        ('Here it is: {"name": "Ada"}', False),
    ],
)
def test_an_answer_is_valid_or_it_is_wrong(text: str, right: bool) -> None:
    assert valid(text, schema=PERSON) == float(right)
    assert valid(text, schema=json.dumps(PERSON)) == float(right)


def test_what_stands_around_the_json_matters_where_the_suite_says_so() -> None:
    assert valid('```json\n{"name": "Ada"}\n```', schema=PERSON, bare=True) == 0.0
    assert valid('{"name": "Ada"}', schema=PERSON, bare=True) == 1.0


def test_the_schema_of_a_case_goes_before_that_of_the_suite_and_one_is_needed() -> None:
    assert valid("3", schema=PERSON, expect={"type": "integer"}) == 1.0
    assert valid("3") is None


def test_a_bad_schema_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(SettingsError, match=r"JsonSchema\.schema is .*: the schema is no JSON Schema: \$\.type"):
        valid("3", schema={"type": "nonsense"})
    with pytest.raises(SettingsError, match="is not the JSON we accept"):
        valid("3", schema="{")
    with pytest.raises(ExpectError, match=r"case 'c-1': expect\.schema is 3: the schema is no object"):
        valid("3", expect=3)


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"$ref": "https://example.com/schema"}, "not in this document"),
        ({"$ref": "#/$defs/none"}, "not in this document"),
        ({"$id": "https://example.com/"}, r"has '\$id'"),
        ({"items": {"$dynamicRef": "#x"}}, r"has '\$dynamicRef' at /items"),
        ({"properties": {"a": {"pattern": "(?=x)"}}}, "pattern at /properties/a that is refused by RE2"),
        ({"patternProperties": {"^a": {}}}, "propertyNames"),
        ({"$schema": "http://json-schema.org/draft-04/schema#"}, "write it for 2020-12 or draft-07"),
        ({"enum": ["x" * 70_000]}, "at most 65,536 are read"),
        ({"minimum": float("nan")}, "is no JSON"),
        (None, "no object"),
    ],
)
def test_a_schema_that_reaches_out_or_backtracks_is_refused(schema: Json, why: str) -> None:
    with pytest.raises(SchemaError, match=why):
        valid_against(schema)


def test_references_inside_the_document_are_followed_in_both_dialects() -> None:
    for schema in (
        {"$defs": {"a~/b": {"type": "integer"}}, "items": {"$ref": "#/$defs/a~0~1b"}},
        {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"n": {"type": "integer"}}, "items": [{"$ref": "#/definitions/n"}]},
    ):
        assert valid_against(schema)([1])
        assert not valid_against(schema)(["1"])


def test_patterns_of_a_schema_are_those_of_re2() -> None:
    """Python's engine knows no Unicode classes, and takes 2ⁿ steps for `(a*)*b`: this test hangs if it comes back."""
    assert valid_against({"pattern": r"^\pL+$"})("é")
    assert not valid_against({"items": {"pattern": "^(a*)*b$"}})(["a" * 5000])


def test_a_schema_that_branches_without_end_is_cut_off() -> None:
    doubling = {"$defs": {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)} | {"a40": {}}, "$ref": "#/$defs/a0"}
    assert not valid_against(doubling)(1)
    assert not valid_against({"anyOf": [{"$ref": "#"}, {"$ref": "#"}]})(1)


def test_large_answers_within_the_bound_are_checked() -> None:
    check = valid_against({"items": {"type": "integer"}})
    assert check([1] * (KEYWORD_LIMIT // 2))
    assert not check([1] * (KEYWORD_LIMIT + 1))


def test_unique_items_are_compared_as_json_compares_them() -> None:
    check = valid_against({"uniqueItems": True})
    assert check([1, True, "1", [1], {"a": 1, "b": 2}])
    assert not check([1, 1.0])
    assert not check([{"a": 1, "b": 2}, {"b": 2.0, "a": 1}])
    assert check([{"n": n} for n in range(10_000)])


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ('{"a": 1, "b": "x"}', 1.0),
        ('{"a": 1.0, "b": "x", "more": 0}', 1.0),
        ('{"a": 1, "b": "y"}', 0.5),
        ('{"a": true, "b": "y"}', 0.0),
        ('{"a": 1}', 0.5),
        ("[1]", 0.0),
        ("no", 0.0),
    ],
)
def test_the_share_of_right_members_counts(text: str, score: float) -> None:
    assert scorer_of(Settings(type=ScorerType.STRUCTURED_OUTPUT))(case(fields={"a": 1, "b": "x"}), said(text)).value == score


def test_equal_is_what_json_calls_equal() -> None:
    assert json_key({"a": [1.0, None], "b": 0}) == json_key({"b": 0.0, "a": [1, None]})
    assert json_key([True]) != json_key([1])
    assert json_key({"\ud800": float("nan")}) == json_key({"\ud800": float("nan")}) != json_key({"\ud800": None})
    assert json_key("1") != json_key(1)
    assert contains({"a": {"b": 1, "c": 2}}, {"a": {"b": 1.0}})
    assert not contains({"a": {"c": 2}}, {"a": {"b": 1}})
    assert not contains([1, 2], [1])
