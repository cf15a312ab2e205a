"""One object that releases depend on: its status, from what the world makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sluice.cluster.client import ApiClient, Object
from sluice.cluster.feed import WorldFeed
from sluice.cluster.resource import APPROVALS, EVIDENCE, POLICIES, SCORING_SUITES, TRUST_ROOTS, WAIVERS, Resource
from sluice.controller.conditions import Moment
from sluice.controller.object_status import STATUSES
from sluice.controller.observe import Metrics
from sluice.controller.work import Item
from sluice.controller.writing import write_status

ACCEPTED: Final = "Accepted"
"""Condition of policies, trust roots and suites."""
RESOURCES: Final[dict[str, Resource]] = {resource.kind: resource for resource in (EVIDENCE, APPROVALS, WAIVERS, POLICIES, TRUST_ROOTS, SCORING_SUITES)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectReconciler:
    """Writes the status of evidence, decisions of people, policies, trust roots and suites."""

    client: ApiClient
    feed: WorldFeed
    metrics: Metrics

    async def settle(self, item: Item) -> None:
        """Look at one object. Raises `ApiError`."""
        stored = self.feed.store(item.kind).get(item.key)
        if stored is None:
            self.metrics.accepted(item.kind, item.key, accepted=True)
            return

        def status_at(moment: Moment) -> Object | None:
            status = STATUSES[item.kind](self.feed.world, item.key, moment)
            self.metrics.accepted(item.kind, item.key, accepted=status is None or not _refused(status))
            return status

        await write_status(self.client, RESOURCES[item.kind], stored, status_at)


def _refused(status: Object) -> bool:
    """Tell whether somebody has to repair the object. Evidence and decisions of people that do not count are a matter of their releases."""
    return any(condition["type"] == ACCEPTED and condition["status"] != "True" for condition in status.get("conditions") or ())
