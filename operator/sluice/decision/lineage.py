"""How the releases of a namespace hang together: who names whom as its baseline, who belongs to the same model, and who was there first.

Several releases of one model may name no baseline; only one of them can be the first. Who that is cannot be told from verdicts alone – two that are both
complete would each stand in the way of the other – so the one that serves already goes before the one that does not, and among these the older one. Whether
one serves is read from its status, which only the controller writes; it can do no more than put a release behind another, and keep one in service whose
baseline ended its own (`governance`).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sluice.api.release import Phase
from sluice.decision.records import Key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sluice.decision.model import Release

_LONGEST_CHAIN = 256
"""Releases that a chain of baselines is followed through."""


class Rank(NamedTuple):
    """Place among the releases of a model: smaller was there before."""

    not_serving: bool
    created: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    model: str
    baseline: str | None
    rank: Rank


class Lineages:
    """The releases that can be read, by how they hang together."""

    def __init__(self) -> None:
        """Start with none."""
        self._members: dict[Key, _Member] = {}
        self._of_model: dict[tuple[str, str], set[Key]] = defaultdict(set)
        self._naming: dict[Key, set[Key]] = defaultdict(set)

    def put(self, key: Key, release: Release, item: Mapping[str, Any]) -> None:
        """Take in a release, new or changed."""
        self.remove(key)
        baseline = release.spec.change.baseline
        self._members[key] = _Member(model=release.spec.model, baseline=baseline.name if baseline else None, rank=_rank(release, item))
        self._of_model[key.namespace, release.spec.model].add(key)
        if baseline:
            self._naming[Key(namespace=key.namespace, name=baseline.name)].add(key)

    def remove(self, key: Key) -> None:
        """Forget a release."""
        member = self._members.pop(key, None)
        if member is None:
            return
        self._of_model[key.namespace, member.model].discard(key)
        if member.baseline:
            self._naming[Key(namespace=key.namespace, name=member.baseline)].discard(key)

    def rivals(self, key: Key) -> list[Key]:
        """Give the releases of the same model that were there before this one and do not descend from it, the first of them first."""
        member = self._members.get(key)
        if member is None:
            return []
        others = (other for other in self._of_model[key.namespace, member.model] if self._members[other].rank < member.rank)
        return sorted((other for other in others if not self._descends(other, key)), key=lambda other: self._members[other].rank)

    def serves(self, key: Key) -> bool:
        """Tell whether a release serves already, as its status says."""
        member = self._members.get(key)
        return member is not None and not member.rank.not_serving

    def touched_by(self, keys: Iterable[Key]) -> set[Key]:
        """Give the releases whose verdict may depend on one of these: those that name it as their baseline, and those of its model that name none."""
        touched: set[Key] = set()
        waiting = list(keys)
        while waiting:
            key = waiting.pop()
            found = set(self._naming.get(key, ()))
            if (member := self._members.get(key)) is not None:
                found |= {other for other in self._of_model[key.namespace, member.model] if self._members[other].baseline is None}
            waiting += found - touched
            touched |= found
        return touched

    def _descends(self, key: Key, ancestor: Key) -> bool:
        at: Key | None = key
        for _ in range(_LONGEST_CHAIN):
            member = self._members.get(at) if at else None
            if member is None or member.baseline is None:
                return False
            at = Key(namespace=key.namespace, name=member.baseline)
            if at == ancestor:
                return True
        return False


def _rank(release: Release, item: Mapping[str, Any]) -> Rank:
    status = item.get("status") or {}
    serving = status.get("phase") == Phase.SERVING and status.get("releaseDigest") == release.digest
    # Files have no time of creation: they come after what a cluster has, and so meet every rival.
    return Rank(not_serving=not serving, created=(item.get("metadata") or {}).get("creationTimestamp") or "~", name=release.name)
