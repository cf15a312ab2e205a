"""A run that counts recorded pairs: what it pins, what its scorer is given, and what ends it. No Pod of a model is made."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.api.canary import CanaryDecision, CanarySpec
from sluice.cluster.resource import CONFIG_MAPS, DEPLOYMENTS, JOBS, NETWORK_POLICIES, PODS
from sluice.controller.canary_demand import demand
from sluice.controller.canary_inputs import cases_of, resolve
from sluice.controller.canary_start import asked_for, start_runs
from sluice.decision.world import World
from sluice.rollout.comparison import Endpoints, Waiting
from sluice.rollout.endings import Ending
from sluice.rollout.scoring_job import CasesImage
from sluice.scoring.cases import StatedCases
from sluice.scoring.plan import read_plan
from tests.unit.api_memory import MemoryClient
from tests.unit.controller.canary_made import RUN, Object, held, made, runs_in, verdict_of
from tests.unit.controller.test_canary_runs import AT, Feed, reconciler, stored
from tests.unit.decision import case as c
from tests.unit.decision import recorded as r

NOWHERE = Endpoints(candidate="recorded:candidate", baseline="recorded:baseline")


def keep(client: MemoryClient, text: str = r.PAIRS) -> None:
    """The recording is where the statement says."""
    client.put(CONFIG_MAPS, {"metadata": {"namespace": c.NAMESPACE, "name": "churn-pairs"}, "data": {"pairs.jsonl": text}})


async def recorded(text: str = r.PAIRS, **changes: Any) -> tuple[MemoryClient, World, Object]:  # noqa: ANN401 - fields of the statement
    """A run that was just made for a recording."""
    world = r.recorded_world()
    world.put("ReleaseEvidence", r.evidence("pairs", r.said(world, text, **changes)))
    client, world = await made(world)
    (run,) = runs_in(client)
    return client, world, run


async def test_a_run_pins_the_recording_and_who_vouches_for_it_and_one_scorer_counts() -> None:
    _, world, run = await recorded()
    spec = CanarySpec.model_validate(run["spec"])
    (due,) = verdict_of(world).due
    assert (spec.recording, spec.shards) == (due.recording, 1)
    assert asked_for(run, verdict_of(world).due)


async def test_the_order_of_a_recording_cannot_be_known_before_it_is_signed() -> None:
    seeds = set()
    for text in (r.PAIRS, r.pairs(wrong=9)):
        _, _, run = await recorded(text)
        seeds.add(run["spec"]["seed"])
    assert len(seeds) == 2


async def test_no_run_is_made_before_somebody_has_signed_a_recording() -> None:
    client, world = MemoryClient(), r.recorded_world()
    client.put(DEPLOYMENTS, held())
    await start_runs(client, c.KEY, verdict_of(world))
    assert runs_in(client) == []


async def test_the_same_recording_signed_again_is_the_same_run() -> None:
    client, world, _ = await recorded()
    world.put("ReleaseEvidence", r.evidence("again", r.said(world, kept=r.IMAGE)))
    await start_runs(client, c.KEY, verdict_of(world))
    assert len(runs_in(client)) == 1


# What is counted.


async def test_pairs_in_a_config_map_are_those_of_the_digest_or_none() -> None:
    client, world, run = await recorded()
    spec = CanarySpec.model_validate(run["spec"])
    for text in (None, r.PAIRS + " "):
        if text:
            keep(client, text)
        waits = await resolve(run, spec, world, client)
        assert isinstance(waits, Waiting)
        assert (waits.reason, "whoever signed the recording names sha256:" in waits.message) == ("CasesNotFound", text is not None)
    keep(client)
    inputs = await resolve(run, spec, world, client)
    assert not isinstance(inputs, Waiting)
    assert (inputs.comparison.recorded, inputs.comparison.cases, inputs.comparison.shards) == (True, r.PAIRS, 1)
    plan = read_plan(inputs.comparison.plan(NOWHERE).text.encode())
    assert (plan.recorded, plan.cases_digest, plan.cases_count, plan.planned, plan.shards) == (True, r.digest_of(r.PAIRS), 120, 120, 1)


async def test_pairs_in_an_image_are_planned_by_what_was_signed_and_fetched_by_no_process_of_ours() -> None:
    client, world, run = await recorded(kept=r.IMAGE, questions=250)
    inputs = await resolve(run, CanarySpec.model_validate(run["spec"]), world, client)
    assert not isinstance(inputs, Waiting)
    stated = StatedCases(digest=r.digest_of(r.PAIRS), count=250)
    assert inputs.comparison.cases == CasesImage(reference=r.IMAGE.reference, path="cases.jsonl", stated=stated)
    assert inputs.terms.planned == 250


@pytest.mark.parametrize(
    ("text", "changes", "told"),
    [
        (r.PAIRS, {"questions": 119}, "says that it has 119 questions, and this suite finds 120: sign it again"),
        (r.PAIRS + '{"input": {"fields": {"text": "121"}}, "baseline": null, "cand', {}, "line 121: "),
    ],
    ids=["another number", "a broken line"],
)
async def test_a_recording_that_is_not_what_was_signed_ends_the_run_before_anything_is_made(text: str, changes: dict[str, Any], told: str) -> None:
    client, world, run = await recorded(text, **changes)
    keep(client, text)
    with pytest.raises(Ending) as raised:
        await resolve(run, CanarySpec.model_validate(run["spec"]), world, client)
    assert (raised.value.decision, raised.value.reason) == (CanaryDecision.INCONCLUSIVE, "CasesInvalid")
    assert told in str(raised.value)


async def test_a_suite_of_pairs_has_nothing_that_a_probe_could_ask() -> None:
    world = r.recorded_world()
    suite = world.canaries.suites[c.Key(c.NAMESPACE, "churn-core")]
    with pytest.raises(Ending, match="names no cases that could be asked"):
        await cases_of(suite.spec, c.NAMESPACE, MemoryClient())  # type: ignore[union-attr]


# One look after the other.


def scorer_of(client: MemoryClient) -> Object:
    job: Object = client.objects[JOBS.path(c.NAMESPACE, f"{RUN}-scorer")]
    return job


async def test_a_recording_is_counted_by_one_scorer_that_reaches_nobody_and_no_pod_of_a_model_is_made() -> None:
    client, world, _ = await recorded()
    keep(client)
    looks = reconciler(client, Feed(world))
    assert await looks.settle(AT) == 1.0
    assert (stored(client)["status"]["phase"], stored(client)["status"]["message"]) == ("Starting", "the scorer starts")
    made_of = {path.split("/")[-2] for _, path in client.writes if RUN in path and "canaryruns" not in path}
    assert made_of == {"networkpolicies", "configmaps", "jobs", "events"}
    assert client.objects[CONFIG_MAPS.path(c.NAMESPACE, f"{RUN}-plan")]["data"]["cases.jsonl"] == r.PAIRS
    policy = client.objects[NETWORK_POLICIES.path(c.NAMESPACE, f"{RUN}-scorer")]["spec"]
    assert (policy["policyTypes"], policy["egress"]) == (["Ingress", "Egress"], [])
    assert scorer_of(client)["spec"]["completions"] == 1
    writes = len(client.writes)
    await looks.settle(AT)
    assert not [path for _, path in client.writes[writes:] if "canaryruns" not in path], "what is there is not made again"
    assert not [path for path in client.objects if path.startswith(PODS.path(c.NAMESPACE, RUN))]


async def test_a_recording_of_which_the_job_was_deleted_is_not_counted_again() -> None:
    client, world, run = await recorded()
    keep(client)
    run["status"] = {"startedAt": "2026-11-20T12:00:00Z"}
    assert await reconciler(client, Feed(world)).settle(AT) == 0.0
    assert (stored(client)["status"]["decision"], stored(client)["status"]["reason"]) == ("Inconclusive", "ScoringFailed")


async def test_what_nobody_vouches_for_any_more_decides_nothing() -> None:
    client, world, run = await recorded()
    spec = CanarySpec.model_validate(run["spec"])
    assert demand(run, spec, verdict_of(world)) is None
    world.put("ReleasePolicy", r.policy(may=False))
    waits = demand(run, spec, verdict_of(world))
    assert isinstance(waits, Waiting), "it has not begun: somebody may be permitted yet"
    assert (waits.reason, "canary: policy customer-facing lets nobody but" in waits.message) == ("SignerNotPermitted", True)
    keep(client)
    run["status"] = {"startedAt": "2026-11-20T12:00:00Z"}
    assert await reconciler(client, Feed(world)).settle(AT) == 0.0
    assert (stored(client)["status"]["decision"], stored(client)["status"]["reason"]) == ("Inconclusive", "NotPermitted")


async def test_a_run_waits_while_what_vouches_for_it_is_verified_again(monkeypatch: pytest.MonkeyPatch) -> None:
    _, world, run = await recorded()
    run["status"] = {"startedAt": "2026-11-20T12:00:00Z"}
    spec = CanarySpec.model_validate(run["spec"])
    world.remove("ReleaseEvidence", c.Key(c.NAMESPACE, "pairs"))
    monkeypatch.setattr(world._known, "_defers", True)
    world.put("ReleaseEvidence", r.evidence("pairs", r.said(world), when=c.NOW))
    waits = demand(run, spec, verdict_of(world))
    assert isinstance(waits, Waiting)
    assert waits.reason == "EvidenceUnverified"


async def test_another_recording_in_its_place_ends_a_run() -> None:
    _, world, run = await recorded()
    world.remove("ReleaseEvidence", c.Key(c.NAMESPACE, "pairs"))
    world.put("ReleaseEvidence", r.evidence("pairs", r.said(world, r.pairs(wrong=9))))
    with pytest.raises(Ending) as raised:
        demand(run, CanarySpec.model_validate(run["spec"]), verdict_of(world))
    assert raised.value.reason == "NotAskedFor"
