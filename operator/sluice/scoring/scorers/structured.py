"""Scorers of answers in JSON: valid against a schema, and with the right values."""

from __future__ import annotations

from collections.abc import Callable

from sluice.api.strict_json import JsonRefused, JsonValue, parse
from sluice.scoring.answer import Answer
from sluice.scoring.case import Case, Json
from sluice.scoring.scorers.json_answer import NotJson, json_in, json_key
from sluice.scoring.scorers.schema import SCHEMA_LIMIT, SchemaError, valid_against
from sluice.scoring.scorers.score import NOT_FOR_THIS_CASE, WRONG, Score, Scorer, yes_or_no
from sluice.scoring.scorers.settings import Parameters, Settings, expect_error, expected


def json_schema(settings: Settings) -> Scorer:
    """Whether the answer is JSON that is valid against parameter `schema`, or `expect.schema` of the case, which goes before it.

    A schema is an object, or the JSON text of one. Parameter `bare` (false): the answer must be JSON and nothing else; otherwise one fenced block between
    sentences is cut out. Raises SettingsError.
    """
    parameters = Parameters(settings)
    schema = parameters.json("schema")
    bare = parameters.flag("bare", default=False)
    common: Callable[[JsonValue], bool] | None = None
    if schema is not None:
        try:
            common = valid_against(_read(schema))
        except SchemaError as error:
            raise parameters.wrong("schema", schema, f"the schema {error}") from None
    parameters.done()

    def score(case: Case, answer: Answer) -> Score:
        own: Json = case.expect.get("schema")
        try:
            valid = common if own is None else valid_against(_read(own))
        except SchemaError as error:
            raise expect_error(case, "schema", own, f"the schema {error}") from None
        if valid is None:
            return NOT_FOR_THIS_CASE
        try:
            return yes_or_no(valid(json_in(answer.text, bare=bare)))
        except NotJson:
            return WRONG

    return score


def _read(schema: Json) -> Json:
    if not isinstance(schema, str):
        return schema
    try:
        return parse(schema.encode("utf-8", "replace"), limit=SCHEMA_LIMIT)
    except JsonRefused as refused:
        raise SchemaError(str(refused)) from None


def structured_output(settings: Settings) -> Scorer:
    """The share of the members of `expect.fields` that the JSON object in the answer has with equal values; 0 for an answer that is no JSON object.

    Parameter `bare` as in `json_schema`. Raises SettingsError.
    """
    parameters = Parameters(settings)
    bare = parameters.flag("bare", default=False)
    parameters.done()

    def score(case: Case, answer: Answer) -> Score:
        fields = expected(case, "fields", dict, "write an object: member names and their right values")
        if not fields:
            return NOT_FOR_THIS_CASE
        try:
            value = json_in(answer.text, bare=bare)
        except NotJson:
            return WRONG
        if not isinstance(value, dict):
            return WRONG
        right = sum(name in value and json_key(value[name]) == json_key(wanted) for name, wanted in fields.items())
        return Score(value=right / len(fields))

    return score
