"""The public keys of the controller, read from its ConfigMap again and again: a promotion counts here with a signature by one of them, and with no other.

Not a mounted file: the kubelet takes a minute or more to bring a change, and until then a release that was just promoted would be refused here. One small
read every few seconds, of one object by name, is the whole cost; no answer waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from sluice.api.names import CONTROLLER_KEY
from sluice.cluster.client import ApiClient
from sluice.cluster.errors import ApiError, NotFound
from sluice.cluster.resource import CONFIG_MAPS
from sluice.decision.world import World
from sluice.provenance.published import read_published

EVERY_SECONDS: Final = 2.0

log: Final = logging.getLogger(__name__)


async def follow_keys(client: ApiClient, namespace: str, world: World, *, every_seconds: float = EVERY_SECONDS) -> None:
    """Tell `world` which keys it may believe, until cancelled. While the API server does not answer, those that it had."""
    known: dict[str, str] = {}
    troubled = ""
    while True:
        try:
            entries = await _published(client, namespace)
        except ApiError as error:
            if str(error) != troubled:
                log.warning("the public keys of the controller cannot be read, so those known before are believed: %s", error)
            troubled = str(error)
        else:
            troubled = ""
            if entries != known:
                keys = read_published(entries)
                world.trust_controller(keys)
                known = entries
                log.info("public keys of the controller: %s", ", ".join(keys.named_keys) if keys else "none that can be used")
        await asyncio.sleep(every_seconds)


async def _published(client: ApiClient, namespace: str) -> dict[str, str]:
    try:
        stored = await client.get(CONFIG_MAPS.path(namespace, CONTROLLER_KEY))
    except NotFound:
        # The controller makes it when it first leads.
        return {}
    return {name: text for name, text in (stored.get("data") or {}).items() if isinstance(text, str)}
