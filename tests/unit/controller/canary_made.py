"""A run that was just made, in memory, and a world that has seen it."""

from __future__ import annotations

from typing import Any

from sluice.cluster.resource import DEPLOYMENTS
from sluice.controller.canary_start import start_runs
from sluice.decision.model import Verdict
from sluice.decision.world import World
from tests.unit.api_memory import MemoryClient
from tests.unit.decision import case as c

Object = dict[str, Any]
RUN = f"{c.NAME}-1"


def verdict_of(world: World) -> Verdict:
    verdict = world.verdict(c.KEY, now=c.NOW)
    assert verdict is not None
    return verdict


def held(release: str = c.NAME, name: str = "churn") -> Object:
    return {"metadata": {"namespace": c.NAMESPACE, "name": name, "uid": "d1", "annotations": {"sluice.dev/held": release}}, "spec": {"template": {}}}


def runs_in(client: MemoryClient) -> list[Object]:
    return [obj for path, obj in client.objects.items() if "/canaryruns/" in path]


async def made(world: World | None = None) -> tuple[MemoryClient, World]:
    """A run that was just made, and a world that has seen it."""
    client, world = MemoryClient(), world or c.canary_world()
    client.put(DEPLOYMENTS, held())
    await start_runs(client, c.KEY, verdict_of(world))
    (run,) = runs_in(client)
    world.put("CanaryRun", run)
    return client, world
