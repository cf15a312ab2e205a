"""A suite becomes clients and scorers, or is refused before anything is asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sluice.api.scorers import ScorerType
from sluice.api.scoring import SuiteSpec
from sluice.scoring.answer import Answer
from sluice.scoring.cases import Cases, StatedCases, read_cases
from sluice.scoring.interpret import SuiteRefused, metrics_of, protocol_of
from sluice.scoring.plan import Plan, plan_run
from sluice.scoring.protocols.settings import ProtocolType
from sluice.scoring.scorers.settings import GateType, PairScorerType, RemoteType, SumType
from sluice.scoring.scorers.settings import ScorerType as Single
from sluice.scoring.suite import prepare
from tests.unit.scoring.sides import said

CASE = {"id": "c-1", "input": {"prompt": "2 + 2?"}, "expect": {"text": "yes"}, "slices": {"region": "DACH"}}
CHAT: dict[str, Any] = {"type": "OpenAIChat", "port": 8080, "model": "churn", "sampling": {"maxTokens": 64}, "timeout": "1m30s"}


def suite(*, protocol: dict[str, Any] | None = None, scorers: list[dict[str, Any]] | None = None, **more: Any) -> SuiteSpec:  # noqa: ANN401 - members of the suite
    return SuiteSpec.model_validate(
        {
            "protocol": protocol or CHAT,
            "cases": {"inline": json.dumps(CASE)},
            "scorers": scorers or [{"name": "accuracy", "type": "ExactMatch"}],
            "slices": ["region"],
            **more,
        }
    )


def cases_of(*cases: dict[str, Any]) -> Cases:
    return read_cases("\n".join(map(json.dumps, cases or (CASE,))).encode())


def planned(spec: SuiteSpec, cases: Cases | StatedCases, **changes: Any) -> Plan:  # noqa: ANN401 - members of the plan
    plan = plan_run(spec, cases, run="a/b", candidate="http://a:1", baseline="http://b:1", seed=1, planned=500, minimum=100, shards=2, end_token="t" * 16)
    return plan.model_copy(update=changes)


def test_a_plan_never_has_more_units_than_there_are_cases() -> None:
    cases = cases_of(CASE, CASE | {"id": "c-2"})
    plan = planned(suite(), cases)
    assert (plan.planned, plan.minimum, plan.looks) == (2, 2, (2,))
    prepare(plan, cases)


def test_a_file_of_another_length_than_its_suite_says_is_refused() -> None:
    cases = cases_of(CASE, CASE | {"id": "c-2"})
    said = StatedCases(digest=cases.digest, count=2)
    prepare(planned(suite(), said), cases)
    with pytest.raises(SuiteRefused, match=r"there are 3 cases, and the file has 2: write cases\.oci\.count: 2"):
        prepare(planned(suite(), StatedCases(digest=cases.digest, count=3)), cases)


def test_a_suite_says_how_and_what_is_measured() -> None:
    spec = suite(
        scorers=[
            {"name": "accuracy", "type": "ExactMatch", "ignoreCase": True},
            {"name": "schema", "type": "JsonSchema", "schema": '{"type": "object"}'},
            {"name": "agreement", "type": "EmbeddingAgreement"},
            {"name": "latency", "type": "Latency", "limitSeconds": "0.5"},
            {"name": "leak", "type": "Exfiltration", "tokens": ["canary-5f0c1d2e3b4a59687f"]},
            {"name": "tokens", "type": "Tokens"},
        ]
    )
    prepared = prepare(planned(spec, cases_of()), cases_of())
    assert prepared.protocol.type is ProtocolType.OPENAI_CHAT
    assert prepared.limits.timeout_seconds == 90
    metrics, case = prepared.metrics, cases_of().all[0]
    assert metrics.scorers["accuracy"](case, said("YES")).value == 1
    assert metrics.scorers["schema"](case, said("{}")).value == 1
    assert metrics.scorers["schema"](case, said("[]")).value == 0
    assert [*metrics.pair_scorers] == ["agreement"]
    assert metrics.timings["latency"].limit_seconds == 0.5
    assert metrics.gates["leak"](case, said("it is canary-5f0c1d2e3b4a59687f"))
    assert metrics.sums["tokens"](Answer(latency_seconds=1, prompt_tokens=2, completion_tokens=3)) == 5


def test_every_type_that_a_suite_may_name_is_one_that_can_be_built() -> None:
    assert {*map(str, ScorerType)} == {str(kind) for kinds in (Single, PairScorerType, GateType, SumType, RemoteType) for kind in kinds}


def test_a_plain_request_keeps_its_query_and_its_pointer() -> None:
    http = {"path": "/v1/predict?seed={{$seed}}", "body": '{"text": "{{prompt}}"}', "answer": "/label", "ready": "/ready"}
    settings = protocol_of(suite(protocol={"type": "Http", "port": 80, "http": http}).protocol)
    assert settings.http is not None
    assert (settings.path, settings.http.query, settings.http.answer, settings.http.ready) == ("/v1/predict", "seed={{$seed}}", "/label", "/ready")


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        (suite(protocol=CHAT | {"version": "1"}), "protocol: version is '1'"),
        (suite(protocol={"type": "Http", "port": 80}), "protocol: http is for type Http"),
        (suite(scorers=[{"name": "accuracy", "type": "ExactMatch", "labels": ["a"]}]), "scorer accuracy: ExactMatch.labels"),
        (suite(scorers=[{"name": "pattern", "type": "Regex", "pattern": "(a)\\1"}]), "scorer pattern: Regex.pattern"),
        (suite(scorers=[{"name": "schema", "type": "JsonSchema", "schema": "{{"}]), "scorer schema: schema is not the JSON"),
        (suite(scorers=[{"name": "tokens", "type": "Tokens"}]), "no scorer compares"),
    ],
)
def test_a_suite_that_cannot_be_followed_is_refused_by_its_member(spec: SuiteSpec, complaint: str) -> None:
    with pytest.raises(SuiteRefused) as refused:
        prepare(planned(spec, cases_of()), cases_of())
    assert complaint in str(refused.value)


@pytest.mark.parametrize(
    ("case", "complaint"),
    [
        (CASE | {"input": {"text": "t"}}, "case 'c-1'"),
        (CASE | {"expect": {"text": 7}}, "case 'c-1': expect.text is 7"),
    ],
)
def test_a_case_that_cannot_be_asked_or_scored_is_refused_by_its_id(case: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SuiteRefused) as refused:
        prepare(planned(suite(), cases_of(case)), cases_of(case))
    assert complaint in str(refused.value)


def test_other_cases_more_units_than_cases_and_too_many_slices_are_refused() -> None:
    with pytest.raises(SuiteRefused, match="the plan is for sha256:"):
        prepare(planned(suite(), cases_of()), cases_of(CASE | {"id": "c-2"}))
    with pytest.raises(SuiteRefused, match="7 units are planned, and there are 1 cases"):
        prepare(planned(suite(), cases_of(), planned=7), cases_of())
    many = cases_of(*(CASE | {"id": f"c-{n}", "slices": {"region": f"r-{n}"}} for n in range(256)))
    with pytest.raises(SuiteRefused, match="256 slices; at most 255"):
        prepare(planned(suite(), many), many)


@pytest.mark.parametrize(("number", "shards", "enough"), [(59, 1, True), (58, 1, False), (119, 2, True), (117, 2, False)])
def test_every_shard_asks_often_enough_to_measure_a_latency_or_the_plan_is_refused(number: int, shards: int, enough: bool) -> None:
    spec, cases = suite(scorers=[{"name": "latency", "type": "Latency"}]), cases_of(*(CASE | {"id": f"c-{n}"} for n in range(number)))
    plan = planned(spec, cases, shards=shards)
    if enough:
        prepare(plan, cases)
    else:
        with pytest.raises(SuiteRefused, match="59 answers of the baseline"):
            prepare(plan, cases)


def test_a_rarer_latency_asks_the_baseline_more_often_and_repeats_count() -> None:
    assert planned(suite(), cases_of()).noise_units == 60
    assert planned(suite(scorers=[{"name": "latency", "type": "Latency"}]), cases_of()).noise_units == 74
    assert planned(suite(scorers=[{"name": "latency", "type": "Latency", "quantile": "0.99"}], repeats=4), cases_of()).noise_units == 94


def test_a_scorer_is_known_by_its_name_only() -> None:
    metrics = metrics_of(suite(scorers=[{"name": "a", "type": "ExactMatch"}, {"name": "b", "type": "ExactMatch", "ignoreCase": True}]).scorers)
    case = cases_of().all[0]
    assert [scorer(case, said("YES")).value for scorer in metrics.scorers.values()] == [0, 1]
