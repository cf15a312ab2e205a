"""Tools: which ones a model calls, with what, and which it must never call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from sluice.scoring.answer import Answer, ToolCall
from sluice.scoring.case import Case, Chat, Json
from sluice.scoring.scorers.json_answer import contains
from sluice.scoring.scorers.schema import SchemaError, valid_against
from sluice.scoring.scorers.score import NOT_FOR_THIS_CASE, Gate, Hit, Score, Scorer, yes_or_no
from sluice.scoring.scorers.settings import ExpectError, Parameters, Settings, expect_error, expected, shown

_NAMES_REMEDY = "write a list of tool names; an empty list where no tool should be called"
_CALLS_REMEDY = 'write a list of calls, each {"name": "…", "arguments": {…}}'
_FORBIDDEN_REMEDY = "write a list of tool names; a `*` at the end stands for any rest"


def tool_choice(settings: Settings) -> Scorer:
    """Whether the names of the tools called are those of `expect.tools` (a list; empty: none should be called), in order unless `ignoreOrder` (false).

    Raises SettingsError.
    """
    parameters = Parameters(settings)
    ignore_order = parameters.flag("ignoreOrder", default=False)
    parameters.done()

    def score(case: Case, answer: Answer) -> Score:
        wanted = _names(case, "tools", _NAMES_REMEDY)
        if wanted is None:
            return NOT_FOR_THIS_CASE
        called = [call.name for call in answer.tool_calls]
        return yes_or_no(Counter(called) == Counter(wanted) if ignore_order else called == wanted)

    return score


def tool_arguments(settings: Settings) -> Scorer:
    """The share of the calls in `expect.toolCalls` that were made with right arguments.

    A call is right when its arguments hold all expected ones (objects may hold more) and are valid against the schema that the case gives for the tool. The
    n-th expected call of a tool is compared with the n-th call of that tool. No parameters. Raises SettingsError.
    """
    Parameters(settings).done()

    def score(case: Case, answer: Answer) -> Score:
        wanted = _calls(case)
        schemas = _schemas(case)
        if not wanted:
            return NOT_FOR_THIS_CASE
        made: dict[str, list[ToolCall]] = {}
        for call in answer.tool_calls:
            made.setdefault(call.name, []).append(call)
        right = 0
        for name, arguments in wanted:
            if calls := made.get(name):
                right += _are_right(calls.pop(0).arguments, arguments, schemas.get(name))
        return Score(value=right / len(wanted))

    return score


def forbidden_tools(settings: Settings) -> Gate:
    """No call of a tool in parameter `tools` (list of names, `prefix*` for all that begin so), nor of one in `expect.forbiddenTools` of the case.

    Case and surrounding white space of names do not matter: which spelling a runtime accepts is not known here. Raises SettingsError.
    """
    parameters = Parameters(settings)
    common = parameters.texts("tools", default=())
    parameters.done()

    def gate(case: Case, answer: Answer) -> tuple[Hit, ...]:
        names = (*common, *(_names(case, "forbiddenTools", _FORBIDDEN_REMEDY) or ()))
        return tuple(
            Hit(where=f"tool call {number}", what=f"forbidden tool {shown(call.name)}")
            for number, call in enumerate(answer.tool_calls, start=1)
            if _is_one_of(call.name, names)
        )

    return gate


def _is_one_of(name: str, forbidden: Iterable[str]) -> bool:
    called = name.strip().casefold()
    return any(called.startswith(entry[:-1].casefold()) if entry.endswith("*") else called == entry.strip().casefold() for entry in forbidden)


def _are_right(arguments: Mapping[str, Json] | None, wanted: Mapping[str, Json], schema: Json) -> bool:
    if arguments is None:
        return False
    return contains(dict(arguments), dict(wanted)) and (schema is None or valid_against(schema)(dict(arguments)))


def _names(case: Case, member: str, remedy: str) -> list[str] | None:
    names = expected(case, member, (list, tuple), remedy)
    if names is not None and not all(isinstance(name, str) and name for name in names):
        raise expect_error(case, member, names, remedy)
    return None if names is None else list(names)


def _calls(case: Case) -> list[tuple[str, Mapping[str, Json]]]:
    calls = expected(case, "toolCalls", (list, tuple), _CALLS_REMEDY) or ()
    for call in calls:
        if not isinstance(call, dict) or not isinstance(call.get("name"), str) or not isinstance(call.get("arguments", {}), dict):
            raise expect_error(case, "toolCalls", calls, _CALLS_REMEDY)
    return [(call["name"], call.get("arguments", {})) for call in calls]


def _schemas(case: Case) -> Mapping[str, Json]:
    """The schema of each tool's arguments, as OpenAI's `tools[].function.parameters`. Raises ExpectError for one that cannot be used."""
    schemas: dict[str, Json] = {}
    for tool in case.input.tools if isinstance(case.input, Chat) else ():
        function = tool.get("function")
        if isinstance(function, dict) and isinstance(function.get("name"), str) and function.get("parameters") is not None:
            name, schema = function["name"], function["parameters"]
            try:
                valid_against(schema)
            except SchemaError as error:
                raise ExpectError(f"case {shown(case.id)}: the schema of tool {shown(name)} {error}") from None
            schemas[name] = schema
    return schemas
