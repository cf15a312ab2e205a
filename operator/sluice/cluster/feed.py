"""Keeps a `World` equal to what the API server says: one reflector for each kind that decisions depend on.

Used by the webhook and the controller alike, so that both know the same. What has to be verified is verified in a thread (`verification`).
A change that the world cannot take in makes the feed *unsound* until a later change
of that object succeeds: knowing less than the cluster does could allow more (a policy that is not there asks for nothing).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from sluice.cluster.client import ApiClient
from sluice.cluster.reflector import Reflector, whole
from sluice.cluster.resource import (
    APPROVALS,
    CANARY_RUNS,
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    DRILLS,
    EVIDENCE,
    MONITORS,
    NAMESPACES,
    NETWORK_POLICIES,
    POLICIES,
    RELEASES,
    ROLE_BINDINGS,
    ROLES,
    SCORING_SUITES,
    TRUST_ROOTS,
    WAIVERS,
    Resource,
)  # fmt: skip
from sluice.cluster.store import Object, Store
from sluice.cluster.verification import Verification
from sluice.decision.objects import STATUS_READ, Learnt
from sluice.decision.records import Key
from sluice.decision.world import World

GRANTING: Final[dict[str, Resource]] = {resource.kind: resource for resource in (ROLES, CLUSTER_ROLES, ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS, NETWORK_POLICIES)}
"""What grants something, by kind. They are others', and there may be many: of each only that is kept which is read."""
RESOURCES: Final[dict[str, Resource]] = GRANTING | {
    resource.kind: resource
    for resource in (NAMESPACES, RELEASES, EVIDENCE, APPROVALS, WAIVERS, POLICIES, TRUST_ROOTS, SCORING_SUITES, CANARY_RUNS, MONITORS, DRILLS)
}
"""What is watched, by kind."""

_GRANTS: Final = ("rules", "roleRef", "subjects", "spec")
"""What is read of an object that grants something."""

log: Final = logging.getLogger(__name__)


class WorldFeed:
    """Run `run()` as a task; read `world`.

    `world` is one to fill, when somebody else knows it already. `on_touched` is called in the event loop with the releases that a
    change touches, `on_object` with the kind and key of the object itself.
    """

    def __init__(
        self,
        client: ApiClient,
        world: World | None = None,
        *,
        on_touched: Callable[[frozenset[Key]], None] | None = None,
        on_object: Callable[[str, Key], None] | None = None,
    ) -> None:
        self.world = World(defers=True) if world is None else world
        self._on_touched = on_touched
        self._on_object = on_object
        self._reflectors = {
            kind: Reflector(client, RESOURCES[kind], on_change=self._changed, project=_lean if kind in GRANTING else whole) for kind in self.world.kinds
        }
        self._unsound: dict[tuple[str, Key], str] = {}
        self._verification = Verification(self.world, self._learnt)
        self._first: set[str] | None = None
        self._caught_up = asyncio.Event()

    @property
    def synced(self) -> bool:
        """Whether everything has been listed at least once, taken in, and verified."""
        return all(reflector.synced for reflector in self._reflectors.values()) and not self._unsound and self._caught_up.is_set()

    def age_seconds(self) -> float:
        """Seconds since the API server last proved that the most neglected kind is up to date; infinite before everything was listed."""
        return max(reflector.age_seconds() for reflector in self._reflectors.values())

    def blind(self, *, max_age_seconds: float) -> str:
        """Why the world cannot be relied on now; empty when it can."""
        unlisted = [kind for kind, reflector in self._reflectors.items() if not reflector.synced]
        if unlisted:
            return f"it has not listed {', '.join(unlisted)} yet"
        if self._unsound:
            (kind, key), error = next(iter(self._unsound.items()))
            return f"it could not take in {kind} {key} ({error})"
        if not self._caught_up.is_set():
            return f"it still has to verify {len(self.world.wanted)} bundles"
        age = self.age_seconds()
        return f"it last heard from the API server {age:.0f} s ago" if age > max_age_seconds else ""

    def store(self, kind: str) -> Store:
        """The raw objects of one of `World.kinds`, status included."""
        return self._reflectors[kind].store

    async def wait_synced(self) -> None:
        """Return when every kind has been listed once, and what was there has been verified."""
        await self._caught_up.wait()

    async def run(self) -> None:
        """Keep the world up to date until cancelled."""
        async with asyncio.TaskGroup() as group:
            for kind, reflector in self._reflectors.items():
                group.create_task(reflector.run(), name=f"reflector {kind}")
            group.create_task(self._verification.run(), name="verification")
            group.create_task(self._catch_up(), name="first verification")

    async def _catch_up(self) -> None:
        """Wait until what was there in the beginning is verified. What comes later is waited for by nobody but its release."""
        await asyncio.gather(*(reflector.wait_synced() for reflector in self._reflectors.values()))
        touched = self.world.listed_all()
        self._first = set(self.world.wanted)
        self._look_at_first()
        if touched and self._on_touched is not None:
            self._on_touched(touched)

    def _look_at_first(self) -> None:
        if self._first is not None and not any(key in self.world.wanted for key in self._first):
            self._first = None
            self._caught_up.set()

    def _changed(self, kind: str, key: Key, old: Object | None, new: Object | None) -> None:
        if old is not None and new is not None and _essence(kind, old) == _essence(kind, new) and (kind, key) not in self._unsound:
            # Our own status writes come back as changes; verifying a bundle again for each would cost milliseconds and teach nothing.
            return
        try:
            touched = self.world.remove(kind, key) if new is None else self.world.put(kind, new)
        except Exception as error:
            log.exception("%s %s cannot be taken in: nothing is decided until it can, or is deleted", kind, key)
            self._unsound[kind, key] = type(error).__name__
            return
        self._unsound.pop((kind, key), None)
        self._verification.wake()
        self._look_at_first()
        if self._on_object is not None:
            self._on_object(kind, key)
        if touched and self._on_touched is not None:
            self._on_touched(touched)

    def _learnt(self, learnt: Learnt) -> None:
        self._look_at_first()
        if self._on_object is not None:
            for key in learnt.evidence:
                self._on_object(EVIDENCE.kind, key)
        if learnt.releases and self._on_touched is not None:
            self._on_touched(learnt.releases)


def _essence(kind: str, obj: Object) -> tuple[object, ...]:
    """What the world reads of an object."""
    status = obj.get("status") or {}
    if kind in GRANTING:
        return tuple(obj.get(field) for field in _GRANTS)
    return obj["metadata"].get("labels"), obj.get("spec"), *(status.get(field) for field in STATUS_READ.get(kind, ()))


def _lean(obj: Object) -> Object:
    """Keep what is read of an object that grants something."""
    metadata = {field: value for field, value in obj["metadata"].items() if field in {"namespace", "name", "uid", "resourceVersion"}}
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": metadata} | {field: obj[field] for field in _GRANTS if field in obj}
