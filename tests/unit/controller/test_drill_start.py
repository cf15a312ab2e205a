"""Drills that nobody has to remember are made when they are due: once, and not again and again while they fail."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sluice.cluster.resource import DEPLOYMENTS, DRILLS
from sluice.controller.drill_start import start_drills
from sluice.controller.observe import Metrics
from sluice.rollout.drill_objects import name_problem
from tests.unit.api_memory import MemoryClient
from tests.unit.decision import case as c
from tests.unit.decision.test_drills import drilled_world, policy, verdict_of, with_drill
from tests.unit.rollout.drill_bench import template

Object = dict[str, Any]


class Cluster:
    """One release that a Deployment names, and the drills that are made for it."""

    def __init__(self, world: c.World, *, named: bool = True) -> None:
        self.world, self.client, self.metrics = world, MemoryClient(), Metrics(leads=lambda: True)
        if named:
            self.client.put(DEPLOYMENTS, {"metadata": {"namespace": c.NAMESPACE, "name": "churn", "uid": "d1"}, "spec": {"template": template(c.NAME)}})

    async def start(self, *, after: timedelta = timedelta()) -> float | None:
        now = c.NOW + after
        again = await start_drills(self.client, c.KEY, verdict_of(self.world, now=now), self.world, self.metrics.drills, now=now)
        for drill in self.made():
            self.world.put("ReleaseDrill", drill)
        return again

    def made(self) -> list[Object]:
        return [obj for path, obj in self.client.objects.items() if "/releasedrills/" in path]

    def end(self, phase: str, *, after: timedelta = timedelta()) -> None:
        for drill in self.made():
            drill.setdefault("status", {"phase": phase, "finishedAt": (c.NOW + after).strftime("%Y-%m-%dT%H:%M:%SZ")})
            self.world.put("ReleaseDrill", drill)

    @property
    def overdue(self) -> bool:
        return b'sluice_rollback_drills_overdue{release_namespace="payments"} 1.0' in self.metrics.render()


async def test_a_drill_that_is_due_is_made_once() -> None:
    cluster = Cluster(drilled_world(every="7d"))
    for _ in range(3):
        await cluster.start()
    (drill,) = cluster.made()
    assert drill["spec"] == {"release": {"name": c.NAME}}
    assert name_problem(drill["metadata"]["name"]) == ""
    assert cluster.overdue


async def test_a_drill_that_nobody_has_seen_yet_is_not_made_a_second_time() -> None:
    cluster = Cluster(drilled_world(every="7d"))
    await cluster.start()
    cluster.world.remove("ReleaseDrill", c.Key.of(cluster.made()[0]))
    await cluster.start()
    assert len(cluster.made()) == 1


async def test_people_start_drills_where_policy_says_no_every_and_are_told_that_one_is_overdue() -> None:
    cluster = Cluster(drilled_world())
    await cluster.start()
    assert cluster.made() == []
    assert cluster.overdue


async def test_a_release_that_no_workload_names_is_nobodys_way() -> None:
    cluster = Cluster(drilled_world(every="7d"), named=False)
    await cluster.start()
    assert cluster.made() == []
    assert not cluster.overdue


async def test_a_release_that_waits_for_something_else_is_not_drilled() -> None:
    world = drilled_world(every="7d")
    world.remove("ReleaseApproval", c.Key(namespace=c.NAMESPACE, name=f"{c.NAME}-by-security"))
    cluster = Cluster(world)
    await cluster.start()
    assert cluster.made() == []
    assert not cluster.overdue


async def test_the_next_one_comes_when_it_is_time_and_has_another_name() -> None:
    cluster = Cluster(drilled_world(every="7d"))
    await cluster.start()
    cluster.end("Passed")
    with_drill(cluster.world)
    await cluster.start()
    assert len(cluster.made()) == 1
    assert not cluster.overdue
    await cluster.start(after=timedelta(days=7))
    assert len({drill["metadata"]["name"] for drill in cluster.made()}) == 2


async def test_one_that_failed_is_repeated_later_and_later() -> None:
    cluster = Cluster(drilled_world(every="7d"))
    await cluster.start()
    at = timedelta()
    for number, hours in enumerate((1, 2, 4, 8, 16, 24, 24), start=1):
        assert len(cluster.made()) == number
        cluster.end("Failed", after=at)
        assert await cluster.start(after=at + timedelta(hours=hours, seconds=-10)) == pytest.approx(10.1)
        assert len(cluster.made()) == number
        at += timedelta(hours=hours, seconds=1)
        await cluster.start(after=at)


async def test_while_a_drill_of_a_person_is_under_way_none_is_made() -> None:
    cluster = Cluster(drilled_world(every="7d"))
    mine = {"metadata": {"namespace": c.NAMESPACE, "name": "mine", "uid": "u"}, "spec": {"release": {"name": c.NAME}}, "status": {"phase": "Restoring"}}
    cluster.client.put(DRILLS, mine)
    cluster.world.put("ReleaseDrill", mine)
    await cluster.start()
    assert [drill["metadata"]["name"] for drill in cluster.made()] == ["mine"]


async def test_a_policy_that_wants_them_in_a_scratch_namespace_gets_them_there() -> None:
    cluster = Cluster(drilled_world(every="7d", place="ScratchNamespace"))
    await cluster.start()
    (drill,) = cluster.made()
    assert drill["spec"] == {"release": {"name": c.NAME}, "place": "ScratchNamespace"}
    cluster.end("Passed")
    with_drill(cluster.world)
    await cluster.start()
    assert cluster.overdue, "one that was done elsewhere is none"
    with_drill(cluster.world, scratch_namespace="payments-drills")
    await cluster.start()
    assert not cluster.overdue


async def test_where_both_are_wanted_one_that_fails_does_not_keep_the_other_waiting() -> None:
    world = drilled_world(every="7d", place="ScratchNamespace")
    second = policy(name="way-back-here", every="7d", place="OwnNamespace")
    second["metadata"]["name"] = "second"
    world.put("ReleasePolicy", second)
    cluster = Cluster(world)
    await cluster.start()
    cluster.end("Failed")
    await cluster.start()
    assert [drill["spec"].get("place") for drill in cluster.made()] == [None, "ScratchNamespace"]
    cluster.end("Failed")
    assert await cluster.start(after=timedelta(minutes=1)) == pytest.approx(59 * 60 + 0.1)
    assert len(cluster.made()) == 2
