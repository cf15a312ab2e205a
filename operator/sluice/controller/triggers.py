"""From a change in the world to what must be looked at again: the releases it touches, the object itself, and objects whose status speaks of it.

Nothing is queued before `start()`: a follower only watches, and looks at everything once when it begins to lead.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sluice.api import kinds
from sluice.cluster.queue import WorkQueue
from sluice.controller.object_status import STATUSES
from sluice.controller.work import SWEEP, Item
from sluice.decision.records import Key
from sluice.decision.runs import Run
from sluice.decision.world import World

_RELEASE: Final = kinds.MODEL_RELEASE.name
_EVIDENCE: Final = kinds.RELEASE_EVIDENCE.name
_POLICY: Final = kinds.RELEASE_POLICY.name
_TRUST_ROOT: Final = kinds.TRUST_ROOT.name
_RUN: Final = kinds.CANARY_RUN.name
_MONITOR: Final = kinds.RELEASE_MONITOR.name
_DRILL: Final = kinds.RELEASE_DRILL.name


class Triggers:
    """Fills the queue. All methods belong to the loop of the world."""

    def __init__(self, world: World, queue: WorkQueue[Item]) -> None:
        self._world = world
        self._queue = queue
        self._started = False

    def start(self) -> None:
        """Queue everything there is, and from now on what changes."""
        self._started = True
        self.everything()

    def touched(self, releases: Iterable[Key]) -> None:
        """Note releases whose verdict may be another one now; whether sign-offs of them count may be, too."""
        if self._started:
            for key in releases:
                self._queue.add(Item(_RELEASE, key))
                self._queue.add_all(Item(kind, at) for kind, at in self._world.decisions_on(key))
                # Users meet a share of it: that it may not any more waits for no look.
                shown = (run.name for run in self._world.canaries.runs_of(key) if isinstance(run, Run) and run.exposing)
                self._queue.add_all(Item(_RUN, Key(namespace=key.namespace, name=name)) for name in shown)

    def changed(self, kind: str, key: Key) -> None:
        """Note that an object came, changed or went."""
        if not self._started:
            return
        if kind in STATUSES or kind in {_RUN, _MONITOR, _DRILL}:
            self._queue.add(Item(kind, key))
        if kind == _TRUST_ROOT:
            # Each bundle may verify now, or no longer; each policy may name this trust root. Their statuses are written only where they differ.
            self._queue.add_all(Item(_EVIDENCE, at) for at in self._world.evidence)
            self._queue.add_all(Item(_POLICY, Key(namespace="", name=name)) for name in self._world.policies)

    def everything(self) -> None:
        """Queue everything there is."""
        world = self._world
        known: dict[str, Iterable[Key]] = {
            _RELEASE: world.releases,
            _EVIDENCE: world.evidence,
            kinds.RELEASE_APPROVAL.name: world.approvals,
            kinds.RELEASE_WAIVER.name: world.waivers,
            _POLICY: (Key(namespace="", name=name) for name in world.policies),
            _TRUST_ROOT: (Key(namespace="", name=name) for name in world.trust_roots),
            kinds.SCORING_SUITE.name: world.canaries.suites,
            _RUN: world.canaries.runs,
            _MONITOR: world.monitors.keys,
            _DRILL: world.drills,
        }
        for kind, keys in known.items():
            self._queue.add_all(Item(kind, key) for key in keys)
        self._queue.add(SWEEP)
