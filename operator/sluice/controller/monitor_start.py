"""From what policies want watched to the `ReleaseMonitor` objects of a release that serves.

An object is made once; what it is called follows from what is watched, so two processes, or one that was killed, make the same. Its reference comes with it
where the policy gives one, and is set once where the baseline shows it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from sluice.api.monitor import FrozenReference
from sluice.cluster.client import ApiClient, Object
from sluice.cluster.errors import Conflict
from sluice.cluster.resource import MONITORS
from sluice.decision.monitors import Wanted
from sluice.decision.records import Key
from sluice.scoring.watched import explicit_reference, problem_of

log = logging.getLogger(__name__)


async def start_monitors(client: ApiClient, release: Key, wanted: Iterable[Wanted], *, existing: Iterable[str]) -> None:
    """Make the monitors of a release that are not there yet. Raises `ApiError`."""
    there = set(existing)
    for one in wanted:
        if one.name in there or problem_of(one.spec.monitor):
            # One that can never work is not made: its policy says so.
            continue
        try:
            await client.create(MONITORS, monitor_object(one, release.namespace), release.namespace)
        except Conflict:
            # It was made just now, by a request of which nobody heard: the watch brings it.
            continue
        log.info("monitor %s/%s: made for %s", release.namespace, one.name, release.name)


def monitor_object(wanted: Wanted, namespace: str) -> Object:
    """Make the object, with the reference that the policy gives, if it does. Raises DriftRefused for one that says nothing."""
    spec = wanted.spec.model_copy(update={"reference": explicit_reference(wanted.spec.monitor)})
    body = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {"apiVersion": MONITORS.api_version, "kind": MONITORS.kind, "metadata": {"namespace": namespace, "name": wanted.name}, "spec": body}


async def freeze_reference(client: ApiClient, monitor: Object, frozen: FrozenReference) -> Object:
    """Set the reference of exactly this object, which had none; gives the object. Raises `ApiError`: `DoesNotFit` when it is another one by now."""
    metadata = monitor["metadata"]
    value = frozen.model_dump(mode="json", by_alias=True, exclude_none=True)
    operations = [{"op": "test", "path": "/metadata/uid", "value": metadata["uid"]}, {"op": "add", "path": "/spec/reference", "value": value}]
    return await client.patch_json(MONITORS.path(metadata["namespace"], metadata["name"]), operations)
