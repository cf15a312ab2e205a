"""The signed lists that Pods check their weights against, as ConfigMaps beside them: a Pod waits for its list, and asks nobody.

A list need not be guarded: the init container that reads it knows the digest that it must have, which is the release's. One that was tampered with lets no
Pod start.
"""

from __future__ import annotations

import logging
from typing import Final

from sluice.cluster.client import ApiClient, Object
from sluice.cluster.errors import Conflict, NotFound
from sluice.cluster.resource import CONFIG_MAPS
from sluice.decision.model import Release
from sluice.decision.weights import BUNDLE_KEY, stored_weights
from sluice.decision.world import World

log: Final = logging.getLogger(__name__)


async def keep_lists(client: ApiClient, owner: Object, release: Release, world: World) -> None:
    """Make the lists of a release that are not there yet, of those that are signed, where `owner` is, and to go with it. Raises `ApiError`."""
    namespace = owner["metadata"]["namespace"]
    for weights in stored_weights(release):
        bundle = world.signed_list(release.namespace, weights.digest)
        if bundle is None:
            continue
        try:
            there = await client.get(CONFIG_MAPS.path(namespace, weights.manifest))
        except NotFound:
            there = None
        if there is not None:
            continue
        try:
            await client.create(CONFIG_MAPS, list_map(owner, weights.manifest, bundle), namespace)
        except Conflict:
            continue
        log.info("release %s/%s: made ConfigMap %s/%s, the signed list of %s", release.namespace, release.name, namespace, weights.manifest, weights.name)


def list_map(owner: Object, name: str, bundle: bytes) -> Object:
    """The ConfigMap, which goes with its owner."""
    metadata = owner["metadata"]
    reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": metadata["name"], "uid": metadata["uid"]}
    return {
        "apiVersion": CONFIG_MAPS.api_version, "kind": CONFIG_MAPS.kind, "immutable": True, "data": {BUNDLE_KEY: bundle.decode()},
        "metadata": {"namespace": metadata["namespace"], "name": name, "ownerReferences": [reference]},
    }  # fmt: skip
