"""All evidence that `World` knows: found by the digests that it may concern, and by what it was made from; and what of it has to be verified.

A verdict looks at its own evidence only, however much there is. Who defers reads `wanted`, verifies elsewhere, and hands in what it came to.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sluice.decision.kinship import Kinship
from sluice.evidence.fact_cache import FactCache

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sluice.decision.records import Evidence, Key
    from sluice.evidence.fact_cache import Check, Outcome


class KnownEvidence:
    """Evidence by key. `defers`: what is not known is not verified here, but `wanted`."""

    def __init__(self, *, defers: bool) -> None:
        """Start with nothing."""
        self.items: dict[Key, Evidence] = {}
        self.kinship = Kinship()
        self._defers, self._facts = defers, FactCache()
        self._on: dict[tuple[str, str], set[Key]] = defaultdict(set)
        self._wanted: dict[str, Check] = {}
        self._waiting: dict[str, set[Key]] = defaultdict(set)

    @property
    def wanted(self) -> Mapping[str, Check]:
        """What has to be verified, by `fact_key`, what was asked for first first. It has no bytes of its own: all of it is evidence that exists."""
        return self._wanted

    def about(self, namespace: str, digests: Iterable[str]) -> list[Evidence]:
        """Give the evidence of a namespace that may concern one of these digests, the first by name first."""
        return [self.items[at] for at in sorted({at for digest in digests for at in self._on.get((namespace, digest), ())})]

    def outcome(self, check: Check) -> Outcome | None:
        """What a check came to; None when that is not known, and is for somebody else to find out."""
        outcome = self._facts.get(check.key)
        if outcome is None and not self._defers:
            outcome = check.verify()
            self._facts.put(check, outcome)
        return outcome

    def learn(self, outcomes: Iterable[tuple[Check, Outcome]]) -> set[Key]:
        """Remember what checks came to, and give the evidence that waits for it. What nobody waits for any more is kept for the next time."""
        waiting: set[Key] = set()
        for check, outcome in outcomes:
            self._facts.put(check, outcome)
            waiting |= self._waiting.get(check.key, set())
        return waiting

    def keep(self, key: Key, after: Evidence | None) -> None:
        """Store evidence in the place of what was there; None: it is gone."""
        before = self.items.pop(key, None)
        self.kinship.remove(key)
        for digest in before.speaks_of if before else ():
            self._on[key.namespace, digest].discard(key)
            if not self._on[key.namespace, digest]:
                del self._on[key.namespace, digest]
        still = {check.key for check in after.unverified} if after else set()
        for check in before.unverified if before else ():
            self._waiting[check.key].discard(key)
            if not self._waiting[check.key]:
                del self._waiting[check.key]
                # What still waits keeps its place.
                if check.key not in still:
                    del self._wanted[check.key]
        if after is None:
            return
        self.items[key] = after
        self.kinship.put(after)
        for digest in after.speaks_of:
            self._on[key.namespace, digest].add(key)
        for check in after.unverified:
            self._waiting[check.key].add(key)
            self._wanted.setdefault(check.key, check)
