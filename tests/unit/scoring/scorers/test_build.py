"""From settings to scorers: every type builds, and what nobody reads is refused."""

import math
from typing import Any

import pytest

from sluice.scoring.scorers.build import gate_of, pair_scorer_of, scorer_of, sum_of
from sluice.scoring.scorers.score import Score
from sluice.scoring.scorers.settings import GateType, PairScorerType, ScorerType, Settings, SettingsError, SumType
from tests.unit.scoring.scorers.said import case, said

NEEDED: dict[str, dict[str, Any]] = {
    ScorerType.REFUSAL: {"wanted": "Refuse"},
    ScorerType.LATENCY: {"limitSeconds": 1},
    SumType.COST: {"promptPrice": "1", "completionPrice": "1"},
}
BUILDERS = {ScorerType: scorer_of, PairScorerType: pair_scorer_of, GateType: gate_of, SumType: sum_of}
ALL = [kind for kinds in BUILDERS for kind in kinds]


def built(kind: Any, **parameters: Any) -> Any:  # noqa: ANN401 - any type of scorer
    return BUILDERS[type(kind)](Settings(type=kind, parameters=NEEDED.get(kind, {}) | parameters))


@pytest.mark.parametrize("kind", ALL)
def test_every_type_builds_and_refuses_a_parameter_that_it_does_not_have(kind: Any) -> None:  # noqa: ANN401 - any type of scorer
    built(kind)
    with pytest.raises(SettingsError, match=rf"{kind}\.typo is 7: {kind} has no such parameter"):
        built(kind, typo=7)


def test_no_type_is_built_as_something_else() -> None:
    for build in BUILDERS.values():
        for kind in ALL:
            if BUILDERS[type(kind)] is not build:
                with pytest.raises(SettingsError, match=f"type is {kind}: write one of"):
                    build(Settings(type=kind))  # type: ignore[arg-type]  # a StrEnum to mypy, one of ours to us


@pytest.mark.parametrize("kind", list(ScorerType))
def test_whether_a_case_is_for_a_scorer_depends_on_the_case_alone(kind: ScorerType) -> None:
    score = built(kind)
    for asked in (case(), case("unsafe"), case(text="x", number=1, label="a", tools=[], fields={"a": 1}, embedding=[1.0])):
        values = [score(asked, answer).value for answer in (said(), said("x"), said("I'm sorry, I can't help."), said(out=(1.0,)))]
        assert len({value is None for value in values}) == 1


@pytest.mark.parametrize(
    ("kind", "name", "value", "why"),
    [
        (ScorerType.EXACT_MATCH, "ignoreCase", "yes", "write true or false"),
        (ScorerType.REGEX, "pattern", 3, "write a string"),
        (ScorerType.NUMERIC, "absolute", -1, "write a number of at least 0"),
        (ScorerType.NUMERIC, "relative", "1.5", "write a number from 0 to 1"),
        (ScorerType.NUMERIC, "absolute", math.nan, "write a number"),
        (ScorerType.NUMERIC, "absolute", True, "write a number"),
        (ScorerType.NUMERIC, "take", "Best", "write one of Last, First, Only"),
        (ScorerType.CLASSIFICATION, "labels", "ham", "write a list of at most 256 strings"),
        (ScorerType.CLASSIFICATION, "labels", [""], "write a list"),
        (ScorerType.CLASSIFICATION, "output", "", "write a string of 1 to 4,096 characters"),
        (ScorerType.REFUSAL, "tag", "x" * 64, "write a string of 1 to 63 characters"),
        (ScorerType.LATENCY, "quantile", 1, "write a number from 0.01 to 0.999"),
        (GateType.FORBIDDEN_TOOLS, "tools", [1], "write a list"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_value_and_the_remedy(kind: Any, name: str, value: object, why: str) -> None:  # noqa: ANN401 - any type of scorer
    with pytest.raises(SettingsError, match=rf"^{kind}\.{name} is .*: {why}"):
        built(kind, **{name: value})


@pytest.mark.parametrize("value", [-0.01, 1.01, math.nan, math.inf])
def test_a_score_outside_of_its_bounds_cannot_be_made(value: float) -> None:
    with pytest.raises(ValueError, match=r"a score is in \[0, 1\]"):
        Score(value=value)
