"""Which runs are made, once each, and what they pin."""

from __future__ import annotations

from contextlib import suppress

from sluice.api.canary import CanarySpec
from sluice.cluster.resource import DEPLOYMENTS
from sluice.controller.canary_start import asked_for, start_runs
from tests.unit.api_memory import MemoryClient
from tests.unit.controller.canary_made import RUN, held, made, runs_in, verdict_of
from tests.unit.decision import case as c
from tests.unit.rollout.canary_bench import Killed


async def test_a_run_is_made_once_a_deployment_is_held_for_the_release() -> None:
    client, world = MemoryClient(), c.canary_world()
    client.put(DEPLOYMENTS, held("another"))
    await start_runs(client, c.KEY, verdict_of(world))
    assert runs_in(client) == []
    client.put(DEPLOYMENTS, held())
    await start_runs(client, c.KEY, verdict_of(world))
    (run,) = runs_in(client)
    spec = CanarySpec.model_validate(run["spec"])
    assert (run["metadata"]["name"], spec.workload.name, spec.release.name, spec.baseline.name) == (RUN, "churn", c.NAME, c.BASELINE)
    assert "ownerReferences" not in run["metadata"], "a release that is deleted and applied again stays rolled back"
    world.put("CanaryRun", run)
    assert [result.run for result in verdict_of(world).open] == [RUN]


async def test_a_run_is_never_made_a_second_time_though_nobody_has_seen_the_first_one_yet() -> None:
    client, world = MemoryClient(), c.canary_world()
    client.put(DEPLOYMENTS, held())

    def die() -> None:
        raise Killed

    client.after_write = die
    with suppress(Killed):
        await start_runs(client, c.KEY, verdict_of(world))
    client.after_write = lambda: None
    for _ in range(3):
        await start_runs(client, c.KEY, verdict_of(world))
    assert len(runs_in(client)) == 1


async def test_other_terms_are_another_run_with_another_seed() -> None:
    client, world = await made()
    world.put("ReleasePolicy", c.canary_policy(c.canary_requirement(margin="0.01")))
    await start_runs(client, c.KEY, verdict_of(world))
    names = [run["metadata"]["name"] for run in runs_in(client)]
    assert names == [RUN, f"{c.NAME}-2"]
    assert len({run["spec"]["seed"] for run in runs_in(client)}) == 2
    old, new = runs_in(client)
    assert not asked_for(old, verdict_of(world).due)
    assert asked_for(new, verdict_of(world).due)


async def test_a_run_pins_the_stages_that_policy_asks_for_as_they_are_written() -> None:
    world = c.canary_world()
    asked = {"exposure": [{"share": "0.050", "for": "90m"}], "onShareTooSmall": "Skip"}
    world.put("ReleasePolicy", c.canary_policy(c.canary_requirement(**asked)))
    client, world = await made(world)
    (run,) = runs_in(client)
    assert {name: run["spec"][name] for name in asked} == asked
    assert asked_for(run, verdict_of(world).due)


async def test_nothing_is_made_for_a_release_that_may_not_be_scored() -> None:
    client = MemoryClient()
    client.put(DEPLOYMENTS, held())
    for world in (c.verified_world(), c.promoted_world()):
        await start_runs(client, c.KEY, verdict_of(world))
    assert runs_in(client) == []
