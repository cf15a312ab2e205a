"""What a run compares follows from its spec and its suite; what is not there any more ends it, or is waited for."""

from __future__ import annotations

import pytest

from sluice.api.canary import CanaryDecision, CanarySpec
from sluice.cluster.resource import CONFIG_MAPS
from sluice.controller.canary_inputs import resolve
from sluice.rollout.comparison import Endpoints, Waiting
from sluice.rollout.endings import Ending
from sluice.rollout.remote_scorers import JudgePods
from sluice.rollout.scoring_job import CasesImage
from sluice.scoring.cases import StatedCases
from sluice.scoring.plan import read_plan
from tests.unit.controller.canary_made import Object, made, runs_in
from tests.unit.decision import case as c


async def test_what_a_run_compares_follows_from_its_spec_and_its_suite() -> None:
    client, world = await made()
    run = runs_in(client)[0]
    inputs = await resolve(run, CanarySpec.model_validate(run["spec"]), world, client)
    assert not isinstance(inputs, Waiting)
    assert (inputs.comparison.candidate, inputs.comparison.baseline, str(inputs.comparison.workload)) == (c.NAME, c.BASELINE, "Deployment churn")
    plans = [inputs.comparison.plan(Endpoints(candidate=f"http://10.0.0.{n}:80", baseline="http://10.0.0.9:80")) for n in (1, 1, 2)]
    assert plans[0].digest == plans[1].digest != plans[2].digest
    assert set(inputs.terms.margins) == {"accuracy"}


async def test_there_are_no_more_scorers_than_the_cases_of_the_suite_need() -> None:
    client, world = await made()
    run = runs_in(client)[0]
    assert run["spec"]["shards"] == 7, "planned are 3,000"
    inputs = await resolve(run, CanarySpec.model_validate(run["spec"]), world, client)
    assert not isinstance(inputs, Waiting)
    assert (inputs.terms.planned, inputs.comparison.shards) == (1, 1)


async def test_a_suite_that_became_another_one_ends_the_run() -> None:
    client, world = await made()
    run = runs_in(client)[0]
    world.put("ScoringSuite", c.item("ScoringSuite", "churn-core", c.suite_spec(repeats=2)))
    with pytest.raises(Ending) as raised:
        await resolve(run, CanarySpec.model_validate(run["spec"]), world, client)
    assert (raised.value.decision, raised.value.reason) == (CanaryDecision.INCONCLUSIVE, "SuiteChanged")


async def test_a_case_that_no_scorer_could_ask_ends_the_run_before_a_pod_is_made() -> None:
    world = c.canary_world()
    world.put("ScoringSuite", c.item("ScoringSuite", "churn-core", c.suite_spec(cases={"inline": '{"id": "c-1", "input": {"prompt": "?"}}'})))
    client, world = await made(world)
    run = runs_in(client)[0]
    with pytest.raises(Ending, match="case 'c-1': the Open Inference Protocol needs at least one tensor") as raised:
        await resolve(run, CanarySpec.model_validate(run["spec"]), world, client)
    assert (raised.value.decision, raised.value.reason) == (CanaryDecision.INCONCLUSIVE, "CasesInvalid")


async def test_cases_in_a_config_map_are_those_of_the_digest_or_none() -> None:
    text = c.CASE
    cases = {"configMap": {"name": "cases", "key": "all", "digest": "sha256:" + __import__("hashlib").sha256(text.encode()).hexdigest()}}
    world = c.canary_world()
    world.put("ScoringSuite", c.item("ScoringSuite", "churn-core", c.suite_spec(cases=cases)))
    client, world = await made(world)
    run = runs_in(client)[0]
    spec = CanarySpec.model_validate(run["spec"])
    for data in ({}, {"data": {"all": text + " "}}, {"data": {"all": 7}}):
        client.put(CONFIG_MAPS, {"metadata": {"namespace": c.NAMESPACE, "name": "cases"}, **data})
        waits = await resolve(run, spec, world, client)
        assert isinstance(waits, Waiting)
        assert waits.reason == "CasesNotFound"
    client.put(CONFIG_MAPS, {"metadata": {"namespace": c.NAMESPACE, "name": "cases"}, "data": {"all": text}})
    assert not isinstance(await resolve(run, spec, world, client), Waiting)


async def test_cases_in_an_image_are_planned_by_what_the_suite_says_and_fetched_by_no_process_of_ours() -> None:
    cases = {"oci": {"reference": "registry.example.com/cases@sha256:" + "2" * 64, "digest": "sha256:" + "3" * 64, "count": 250}}
    world = c.canary_world()
    world.put("ScoringSuite", c.item("ScoringSuite", "churn-core", c.suite_spec(cases=cases)))
    client, world = await made(world)
    run = runs_in(client)[0]
    inputs = await resolve(run, CanarySpec.model_validate(run["spec"]), world, client)
    assert not isinstance(inputs, Waiting)
    plan = read_plan(inputs.comparison.plan(Endpoints(candidate="http://10.0.0.1:80", baseline="http://10.0.0.9:80")).text.encode())
    assert (plan.cases_digest, plan.cases_count, plan.planned, inputs.terms.planned) == ("sha256:" + "3" * 64, 250, 250, 250)
    stated = StatedCases(digest=plan.cases_digest, count=250)
    assert inputs.comparison.cases == CasesImage(reference="registry.example.com/cases@sha256:" + "2" * 64, path="cases.jsonl", stated=stated)


def judged_by(digest: str) -> Object:
    judge = {"release": c.BASELINE, "releaseDigest": digest, "port": 9000, "model": "judge", "rubric": "Prefer the kinder one."}
    own = {"image": "registry.example.com/own@sha256:" + "4" * 64}
    scorers = [{"name": "own", "type": "Container", "container": own}, {"name": "helpful", "type": "LLMJudge", "judge": judge}]
    return c.item("ScoringSuite", "churn-core", c.suite_spec(scorers=scorers))


async def test_a_release_that_serves_may_judge_and_containers_are_asked_beside_the_scorer() -> None:
    world = c.canary_world()
    digest = world.releases[c.BASELINE_KEY].digest  # type: ignore[union-attr]
    world.put("ScoringSuite", judged_by(digest))
    client, world = await made(world)
    run = runs_in(client)[0]
    inputs = await resolve(run, CanarySpec.model_validate(run["spec"]), world, client)
    assert not isinstance(inputs, Waiting)
    assert inputs.comparison.judges == (JudgePods(metric="helpful", release=c.BASELINE, port=9000, token=None),)
    at = Endpoints(candidate="http://10.0.0.1:80", baseline="http://10.0.0.9:80", judges=(("helpful", ("http://10.0.0.3:9000",)),))
    plan = read_plan(inputs.comparison.plan(at).text.encode())
    (own,) = inputs.comparison.containers
    assert plan.scorer_endpoints == {"own": [f"http://127.0.0.1:{own.port}"], "helpful": ["http://10.0.0.3:9000"]}
    assert {"lost:own", "lost:helpful", "swapped:helpful", "known:helpful"} <= set(plan.expected(0).metrics)


async def test_a_judge_that_is_another_one_is_waited_for_and_ends_a_run_that_was_under_way() -> None:
    world = c.canary_world()
    world.put("ScoringSuite", judged_by("sha256:" + "0" * 64))
    client, world = await made(world)
    run = runs_in(client)[0]
    spec = CanarySpec.model_validate(run["spec"])
    waits = await resolve(run, spec, world, client)
    assert isinstance(waits, Waiting)
    assert waits.reason == "JudgeNotServing"
    with pytest.raises(Ending, match="has release digest"):
        await resolve(run | {"status": {"startedAt": "2026-11-20T12:00:00Z"}}, spec, world, client)
