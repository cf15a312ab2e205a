"""Statuses are written when they say something new, and never otherwise: a watch, a GitOps tool and an audit log see each write.

What we remember of an object may be older than our own last write, so before a write the object itself is asked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from sluice.cluster.client import ApiClient, Object
from sluice.cluster.errors import NotFound
from sluice.cluster.resource import Resource
from sluice.controller.conditions import Moment, differs

log: Final = logging.getLogger(__name__)


async def write_status(client: ApiClient, resource: Resource, stored: Object, status_at: Callable[[Moment], Object | None]) -> Object | None:
    """Bring the status of an object to what `status_at` says; return the status as it was before if it was written, else None.

    `stored` is the object as our watch gave it. Raises `ApiError` for what may work later.
    """
    desired = status_at(_moment(stored))
    if desired is None or not differs(desired, stored.get("status")):
        return None
    metadata = stored["metadata"]
    path = resource.path(metadata.get("namespace"), metadata["name"])
    try:
        live = await client.get(path)
        # A successor, or a newer spec than was judged: our watch brings it, and it is looked at then.
        if any(live["metadata"].get(field) != metadata.get(field) for field in ("uid", "generation")):
            return None
        desired = status_at(_moment(live))
        if desired is None or not differs(desired, live.get("status")):
            return None
        identity = {field: live["metadata"][field] for field in ("namespace", "name", "uid", "resourceVersion") if field in live["metadata"]}
        content = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": identity, "status": desired}
        await client.apply(path, content, subresource="status")
    except NotFound:
        return None
    log.info("%s %s/%s: status written: %s", resource.kind, metadata.get("namespace", ""), metadata["name"], _summary(desired))
    return live.get("status") or {}


def _moment(obj: Object) -> Moment:
    return Moment(previous=obj.get("status") or {}, generation=int(obj["metadata"].get("generation") or 0), now=datetime.now(UTC))


def _summary(status: Object) -> str:
    """One line for the log: types, statuses and reason codes, nothing that anybody wrote."""
    conditions = [f"{item['type']}={item['status']} ({item['reason']})" for item in status.get("conditions", ())]
    return ", ".join([*([status["phase"]] if "phase" in status else []), *conditions])
