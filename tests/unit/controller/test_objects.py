"""What cannot be used is counted by kind, until it is repaired or gone."""

from __future__ import annotations

from typing import Any, cast

from sluice.api import kinds
from sluice.cluster.feed import WorldFeed
from sluice.cluster.resource import POLICIES
from sluice.controller.objects import ObjectReconciler
from sluice.controller.observe import Metrics
from sluice.controller.work import Item
from sluice.decision.world import World
from tests.unit.api_memory import MemoryClient
from tests.unit.decision import case as c

POLICY = kinds.RELEASE_POLICY.name
REFUSED = f'sluice_objects_not_accepted{{kind="{POLICY}"}} 1.0'


class Feed:
    """What the reconciler asks of a feed."""

    def __init__(self, world: World, objects: dict[c.Key, dict[str, Any]]) -> None:
        self.world = world
        self.objects = objects

    def store(self, kind: str) -> dict[c.Key, dict[str, Any]]:
        assert kind == POLICY
        return self.objects


async def test_a_policy_that_cannot_be_used_is_counted_until_it_is_repaired_or_gone() -> None:
    world, client, metrics = c.canary_world(), MemoryClient(), Metrics(leads=lambda: True)
    feed = Feed(world, {})
    reconciler = ObjectReconciler(client=client, feed=cast("WorldFeed", feed), metrics=metrics)
    policy = c.canary_policy()
    good = {**policy, "metadata": {**policy["metadata"], "resourceVersion": "1"}}
    bad = {**good, "spec": {**good["spec"], "requirements": "none"}}
    item = Item(POLICY, c.Key("", good["metadata"]["name"]))

    async def settle(policy: dict[str, Any]) -> str:
        world.put(POLICY, policy)
        client.put(POLICIES, policy)
        feed.objects[item.key] = policy
        await reconciler.settle(item)
        return metrics.render().decode()

    assert REFUSED in await settle(bad)
    assert REFUSED in await settle(bad)
    assert REFUSED not in await settle(good)
    assert REFUSED in await settle(bad)
    feed.objects.clear()
    await reconciler.settle(item)
    assert REFUSED not in metrics.render().decode()
