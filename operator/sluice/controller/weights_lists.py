"""The signed lists that Pods check their weights against, as ConfigMaps beside them: a Pod waits for its list, and asks nobody.

A list need not be guarded: the init container that reads it knows the digest that it must have, which is the release's. One that was tampered with lets no
Pod start.
"""

from __future__ import annotations

import logging
from typing import Final

from sluice.cluster.client import ApiClient, Object
from sluice.cluster.errors import Conflict, NotFound
from sluice.cluster.resource import CONFIG_MAPS, RELEASES
from sluice.decision.model import Release
from sluice.decision.weights import BUNDLE_KEY, stored_weights
from sluice.decision.world import World

log: Final = logging.getLogger(__name__)


async def keep_lists(client: ApiClient, stored: Object, release: Release, world: World) -> None:
    """Make the lists of a release that are not there yet, of those that are signed. Raises `ApiError`."""
    for weights in stored_weights(release):
        bundle = world.signed_list(release.namespace, weights.digest)
        if bundle is None:
            continue
        try:
            there = await client.get(CONFIG_MAPS.path(release.namespace, weights.manifest))
        except NotFound:
            there = None
        if there is not None:
            continue
        try:
            await client.create(CONFIG_MAPS, list_map(stored, weights.manifest, bundle), release.namespace)
        except Conflict:
            continue
        log.info("release %s/%s: made ConfigMap %s, the signed list of %s", release.namespace, release.name, weights.manifest, weights.name)


def list_map(release: Object, name: str, bundle: bytes) -> Object:
    """The ConfigMap, which goes with its release."""
    metadata = release["metadata"]
    owner = {"apiVersion": RELEASES.api_version, "kind": RELEASES.kind, "name": metadata["name"], "uid": metadata["uid"]}
    return {
        "apiVersion": CONFIG_MAPS.api_version, "kind": CONFIG_MAPS.kind, "immutable": True, "data": {BUNDLE_KEY: bundle.decode()},
        "metadata": {"namespace": metadata["namespace"], "name": name, "ownerReferences": [owner]},
    }  # fmt: skip
