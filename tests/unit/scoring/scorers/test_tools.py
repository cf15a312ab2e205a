"""Tools: chosen, with the right arguments, and never the forbidden ones."""

import pytest

from sluice.scoring.answer import ToolCall
from sluice.scoring.scorers.build import gate_of, scorer_of
from sluice.scoring.scorers.settings import ExpectError, GateType, ScorerType, Settings
from tests.unit.scoring.scorers.said import called, case, chat, expecting, said

WEATHER = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer", "maximum": 7}}, "required": ["city"]}


@pytest.mark.parametrize(
    ("made", "wanted", "in_order", "in_any_order"),
    [
        (["search"], ["search"], 1.0, 1.0),
        (["search", "book"], ["book", "search"], 0.0, 1.0),
        (["search", "search"], ["search"], 0.0, 0.0),
        ([], [], 1.0, 1.0),
        (["search"], [], 0.0, 0.0),
        ([], ["search"], 0.0, 0.0),
    ],
)
def test_the_names_of_the_tools_called_are_those_expected(made: list[str], wanted: list[str], in_order: float, in_any_order: float) -> None:
    answer = said(calls=tuple(called(name) for name in made))
    assert scorer_of(Settings(type=ScorerType.TOOL_CHOICE))(case(tools=wanted), answer).value == in_order
    assert scorer_of(Settings(type=ScorerType.TOOL_CHOICE, parameters={"ignoreOrder": True}))(case(tools=wanted), answer).value == in_any_order


def test_a_case_without_expected_tools_is_for_neither_scorer() -> None:
    for kind in (ScorerType.TOOL_CHOICE, ScorerType.TOOL_ARGUMENTS):
        assert scorer_of(Settings(type=kind))(case(), said(calls=(called("search"),))).value is None


@pytest.mark.parametrize(
    ("calls", "score"),
    [
        ((called("weather", city="Bern", days=3),), 1.0),
        ((called("weather", city="Bern", days=3, units="C"),), 1.0),
        ((called("weather", city="Basel", days=3),), 0.0),
        ((called("weather", city="Bern"),), 0.0),
        ((called("other", city="Bern", days=3),), 0.0),
        ((ToolCall(name="weather", arguments=None, raw='{"city": "Bern"'),), 0.0),
        ((called("other"), called("weather", city="Bern", days=3)), 1.0),
        ((), 0.0),
    ],
)
def test_arguments_hold_what_is_expected(calls: tuple[ToolCall, ...], score: float) -> None:
    expecting = case(toolCalls=[{"name": "weather", "arguments": {"city": "Bern", "days": 3}}])
    assert scorer_of(Settings(type=ScorerType.TOOL_ARGUMENTS))(expecting, said(calls=calls)).value == score


def test_arguments_are_valid_against_the_schema_of_the_tool() -> None:
    score = scorer_of(Settings(type=ScorerType.TOOL_ARGUMENTS))
    expecting = case(asked=chat(("weather", WEATHER)), toolCalls=[{"name": "weather", "arguments": {"city": "Bern"}}])
    assert score(expecting, said(calls=(called("weather", city="Bern", days=7),))).value == 1.0
    assert score(expecting, said(calls=(called("weather", city="Bern", days=8),))).value == 0.0


def test_each_expected_call_counts_once_in_the_order_of_its_tool() -> None:
    score = scorer_of(Settings(type=ScorerType.TOOL_ARGUMENTS))
    expecting = case(toolCalls=[{"name": "weather", "arguments": {"city": "Bern"}}, {"name": "weather", "arguments": {"city": "Basel"}}])
    assert score(expecting, said(calls=(called("weather", city="Bern"), called("weather", city="Basel")))).value == 1.0
    assert score(expecting, said(calls=(called("weather", city="Bern"),))).value == 0.5
    assert score(expecting, said(calls=(called("weather", city="Basel"), called("weather", city="Bern")))).value == 0.0


@pytest.mark.parametrize("expect", [{"toolCalls": [{"arguments": {}}]}, {"toolCalls": "weather"}, {"toolCalls": [{"name": "w", "arguments": []}]}])
def test_a_case_whose_calls_cannot_be_read_is_refused(expect: dict[str, object]) -> None:
    with pytest.raises(ExpectError, match=r"case 'c-1': expect\.toolCalls is .* write a list of calls"):
        scorer_of(Settings(type=ScorerType.TOOL_ARGUMENTS))(expecting(expect), said())


def test_a_tool_with_a_schema_that_cannot_be_used_is_refused() -> None:
    expecting = case(asked=chat(("weather", {"$ref": "https://example.com"})), toolCalls=[{"name": "weather"}])
    with pytest.raises(ExpectError, match="the schema of tool 'weather' has a reference"):
        scorer_of(Settings(type=ScorerType.TOOL_ARGUMENTS))(expecting, said())


@pytest.mark.parametrize(
    ("name", "hit"),
    [("delete_user", True), ("Delete_User ", True), ("admin.reset", True), ("ADMIN.x", True), ("read_user", False), ("deleted_user", False), ("", False)],
)
def test_a_forbidden_tool_is_a_hit_in_any_spelling(name: str, hit: bool) -> None:
    gate = gate_of(Settings(type=GateType.FORBIDDEN_TOOLS, parameters={"tools": ["delete_user", "admin.*"]}))
    assert bool(gate(case(), said(calls=(called("search"), called(name))))) is hit


def test_a_hit_says_which_call_it_was() -> None:
    gate = gate_of(Settings(type=GateType.FORBIDDEN_TOOLS))
    (hit,) = gate(case(forbiddenTools=["pay"]), said(calls=(called("search"), called("pay"))))
    assert (hit.where, hit.what) == ("tool call 2", "forbidden tool 'pay'")
    assert gate(case(), said(calls=(called("pay"),))) == ()
