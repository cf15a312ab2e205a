"""Pods find the list that they check their weights against; it is made once there is one, and nothing of others is touched."""

from __future__ import annotations

from typing import Any

from sluice.cluster.resource import CONFIG_MAPS, RELEASES
from sluice.controller.weights_lists import keep_lists
from sluice.decision.model import Release
from sluice.decision.weights import BUNDLE_KEY, stored_weights
from tests.unit.api_memory import MemoryClient
from tests.unit.decision import case
from tests.unit.decision.test_weights import CLAIM, release_of, world_of

Object = dict[str, Any]


async def kept(client: MemoryClient, world: case.World, release: Release) -> dict[str, Object]:
    stored = case.item(RELEASES.kind, release.name, {})
    await keep_lists(client, stored, release, world)
    return {path.rpartition("/")[2]: obj for path, obj in client.objects.items() if "/configmaps/" in path}


async def test_the_signed_list_of_a_release_is_there_once_under_the_name_that_its_pods_mount() -> None:
    client, world = MemoryClient(), world_of(CLAIM)
    release = release_of(world)
    (weights,) = stored_weights(release)
    await kept(client, world, release)
    made = await kept(client, world, release)
    assert list(made) == [weights.manifest]
    config_map = made[weights.manifest]
    assert config_map["data"] == {BUNDLE_KEY: case.bundles()["signature"].decode()}
    assert config_map["immutable"] is True
    assert [owner["name"] for owner in config_map["metadata"]["ownerReferences"]] == [case.NAME]
    assert [verb for verb, _ in client.writes] == ["create"]


async def test_without_a_signed_list_or_without_such_weights_nothing_is_made() -> None:
    client, unsigned = MemoryClient(), world_of.__wrapped__(CLAIM)
    unsigned.remove("ReleaseEvidence", case.Key(case.NAMESPACE, "signature"))
    assert await kept(client, unsigned, release_of(unsigned)) == {}
    world = case.approved_world()
    assert await kept(client, world, release_of(world)) == {}


async def test_what_has_the_name_already_is_left_alone() -> None:
    client, world = MemoryClient(), world_of(CLAIM)
    (weights,) = stored_weights(release_of(world))
    theirs = {"metadata": {"namespace": case.NAMESPACE, "name": weights.manifest}, "data": {BUNDLE_KEY: "{}"}}
    client.put(CONFIG_MAPS, theirs)
    assert (await kept(client, world, release_of(world)))[weights.manifest] == theirs
    assert client.writes == []
