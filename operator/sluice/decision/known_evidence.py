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
        self._deciding_on: dict[tuple[str, str], set[Key]] = defaultdict(set)
        self._wanted: dict[str, Check] = {}
        self._waiting: dict[str, set[Key]] = defaultdict(set)

    @property
    def wanted(self) -> Mapping[str, Check]:
        """What has to be verified, by `fact_key`, what was asked for first first. It has no bytes of its own: all of it is evidence that exists."""
        return self._wanted

    def about(self, namespace: str, digests: Iterable[str]) -> list[Evidence]:
        """Give the evidence of a namespace that may concern one of these digests, the first by name first."""
        return [self.items[at] for at in sorted({at for digest in digests for at in self._on.get((namespace, digest), ())})]

    def deciding_on(self, namespace: str, release: str) -> list[Evidence]:
        """Give the signed decisions of a namespace about releases of this name, whatever their digest, the first by name first."""
        return [self.items[at] for at in sorted(self._deciding_on.get((namespace, release), ()))]

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
        for index, names in ((self._on, before.speaks_of), (self._deciding_on, before.decides_on)) if before else ():
            for name in names:
                index[key.namespace, name].discard(key)
                if not index[key.namespace, name]:
                    del index[key.namespace, name]
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
        for index, names in ((self._on, after.speaks_of), (self._deciding_on, after.decides_on)):
            for name in names:
                index[key.namespace, name].add(key)
        for check in after.unverified:
            self._waiting[check.key].add(key)
            self._wanted.setdefault(check.key, check)
