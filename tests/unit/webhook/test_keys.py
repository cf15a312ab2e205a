"""The webhook believes the keys that are published now, and none that were; silence changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sluice.api.release import Phase
from sluice.cluster.errors import Unavailable
from sluice.cluster.resource import CONFIG_MAPS
from sluice.provenance.signing import SigningKey
from sluice.webhook.keys import follow_keys
from tests.unit.api_memory import MemoryClient, Object
from tests.unit.decision import case as c

NS = "sluice-system"


class Memory(MemoryClient):
    """Counts reads; answers none while it is `silent`."""

    def __init__(self) -> None:
        super().__init__()
        self.reads, self.silent = 0, False

    async def get(self, path: str) -> Object:
        self.reads += 1
        if self.silent:
            raise Unavailable(0, "NoAnswer", "gone for a moment")
        return await super().get(path)

    def publish(self, *keys: SigningKey) -> None:
        data = {f"{number}.pem": key.public_pem for number, key in enumerate(keys)} | {"note": "hello"}
        self.put(CONFIG_MAPS, {"metadata": {"namespace": NS, "name": "sluice-controller-key"}, "data": data})

    async def read_twice(self) -> None:
        """Return once what is published now has been read, and told."""
        reads = self.reads
        async with asyncio.timeout(10):
            while self.reads < reads + 2:  # noqa: ASYNC110 - the task under test tells nobody
                await asyncio.sleep(0)


@asynccontextmanager
async def followed(client: Memory, world: c.World) -> AsyncIterator[None]:
    following = asyncio.create_task(follow_keys(client, NS, world, every_seconds=0))
    try:
        await client.read_twice()
        yield
    finally:
        following.cancel()


def phase(world: c.World) -> Phase:
    verdict = world.verdict(c.KEY, now=c.NOW)
    assert verdict is not None
    return verdict.phase


async def test_a_key_that_is_published_counts_and_one_that_is_taken_back_does_not_any_more() -> None:
    world, client = c.promoted_world(), Memory()
    world.trust_controller(None)
    async with followed(client, world):
        assert phase(world) is Phase.CANARY
        client.publish(SigningKey.generate(), c.controller_key())
        await client.read_twice()
        assert phase(world) is Phase.SERVING
        client.publish(SigningKey.generate())
        await client.read_twice()
        assert phase(world) is Phase.CANARY


async def test_while_the_api_server_does_not_answer_what_was_published_before_counts() -> None:
    world, client = c.promoted_world(), Memory()
    world.trust_controller(None)
    client.publish(c.controller_key())
    async with followed(client, world):
        assert phase(world) is Phase.SERVING
        client.silent = True
        await client.read_twice()
        assert phase(world) is Phase.SERVING
