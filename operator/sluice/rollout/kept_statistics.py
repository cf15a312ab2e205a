"""The ConfigMap in which a decided run keeps what its scorers had counted. It is owned by the run and goes with it, not with the scorers."""

from __future__ import annotations

import base64
from typing import Final

from sluice.cluster.client import ApiClient, Object
from sluice.cluster.resource import CONFIG_MAPS
from sluice.rollout.canary_pods import owned_by
from sluice.rollout.owned import delete, ensure
from sluice.scoring.kept import Kept

STATISTICS_KEY: Final = "statistics.json.gz"


def statistics_map(run: Object, kept: Kept) -> Object:
    """Make the ConfigMap; it cannot be changed, only replaced, and then the digest in the status of the run tells."""
    metadata = {"namespace": run["metadata"]["namespace"], "name": statistics_name(run), "ownerReferences": [owned_by(run)]}
    body = {"immutable": True, "binaryData": {STATISTICS_KEY: base64.b64encode(kept.packed).decode()}}
    return {"apiVersion": CONFIG_MAPS.api_version, "kind": CONFIG_MAPS.kind, "metadata": metadata, **body}


def statistics_name(run: Object) -> str:
    """Name it."""
    return f"{run['metadata']['name']}-statistics"


async def keep(client: ApiClient, run: Object, kept: Kept) -> None:
    """Keep exactly this. Raises `ApiError`, and `Ending` when somebody else has the name."""
    wanted = statistics_map(run, kept)
    there = await ensure(client, CONFIG_MAPS, run, wanted)
    if there.get("binaryData") != wanted["binaryData"]:
        # Left by a process that was killed before it could say what it decided on.
        await delete(client, CONFIG_MAPS, there)
        await ensure(client, CONFIG_MAPS, run, wanted)
