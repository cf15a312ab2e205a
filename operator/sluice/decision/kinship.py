"""Which evidence and which releases belong to the lineage of a release, and whose lineage a change belongs to.

Evidence is found by the digests it speaks of, from the models of a release to what they were made from, and from there on. The other way, a statement about
a dataset concerns every release that was made with it, however far down. Both are bounded: namespaces are written by tenants. What is beyond the bounds is
left out of a lineage, and said to be; a change that may concern more releases than are followed concerns all of the namespace.

Nothing here looks at policy: who may say what is decided on the walk (`ancestry`).
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sluice.api.requirement import RequirementType
from sluice.decision.model import Policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sluice.decision.model import InvalidPolicy
    from sluice.decision.records import Evidence, Key
    from sluice.evidence.facts import Fact

MOST_EVIDENCE = 256
"""Bundles of one lineage."""
MOST_DIGESTS = 4096
"""Digests that are followed, up or down."""
MOST_RELEASES = 8
"""Other releases of one lineage, the nearest first: each may cost a verdict."""
_ASKING = frozenset({RequirementType.LINEAGE, RequirementType.DATA_PROVENANCE})


def asks_for_origins(policies: Iterable[Policy | InvalidPolicy]) -> bool:
    """Tell whether a policy asks where weights come from, or compares them with that. Where none does, nothing is gathered."""
    asked = [requirement for policy in policies if isinstance(policy, Policy) for requirement in policy.spec.requirements]
    return any(
        each.type in _ASKING or each.contamination is not None or any(measure.not_worse_than_baseline_by for measure in each.measures or ()) for each in asked
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What belongs to a lineage."""

    facts: tuple[Fact, ...]
    digests: tuple[str, ...]
    """All that was met, the nearest first."""
    whole: bool
    unverified: tuple[str, ...]
    """Names of `ReleaseEvidence` about it that was not held against every trust root yet."""


def gather(start: Iterable[str], speaking_of: Callable[[str], Iterable[Evidence]]) -> Gathered:
    """Gather upwards from `start`: the digests of the models of a release."""
    met = dict.fromkeys(sorted(start))
    found: dict[Key, Evidence] = {}
    unverified: dict[str, None] = {}
    waiting = deque(met)
    whole = True
    while waiting:
        for item in speaking_of(waiting.popleft()):
            if item.unverified and len(unverified) < MOST_EVIDENCE:
                unverified[item.key.name] = None
            if item.key in found or not item.facts:
                continue
            if len(found) == MOST_EVIDENCE:
                whole = False
                break
            found[item.key] = item
            for digest in sorted({digest for fact in item.facts for digest in fact.leads_to} - met.keys()):
                if len(met) == MOST_DIGESTS:
                    whole = False
                    break
                met[digest] = None
                waiting.append(digest)
    facts = tuple(fact for item in found.values() for fact in item.facts)
    return Gathered(facts=facts, digests=tuple(met), whole=whole, unverified=tuple(unverified))


class Kinship:
    """What was made from what, by digest, as far as verified evidence says so: the way down."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._products: dict[tuple[str, str], set[Key]] = defaultdict(set)
        self._of: dict[Key, tuple[frozenset[str], frozenset[str]]] = {}

    def put(self, item: Evidence) -> None:
        """Take in evidence, new or changed."""
        self.remove(item.key)
        leads = frozenset(digest for fact in item.facts for digest in fact.leads_to)
        if leads:
            self._of[item.key] = (leads, item.speaks_of)
            for digest in leads:
                self._products[item.key.namespace, digest].add(item.key)

    def remove(self, key: Key) -> None:
        """Forget evidence."""
        leads, _ = self._of.pop(key, (frozenset(), frozenset()))
        for digest in leads:
            self._products[key.namespace, digest].discard(key)
            if not self._products[key.namespace, digest]:
                del self._products[key.namespace, digest]

    def made_from(self, namespace: str, digests: Iterable[str]) -> frozenset[str] | None:
        """Give these digests and those of everything that was made from them; None when that is more than is followed."""
        met = set(digests)
        waiting = list(met)
        while waiting:
            for key in self._products.get((namespace, waiting.pop()), ()):
                _, products = self._of[key]
                waiting += products - met
                met |= products
                if len(met) > MOST_DIGESTS:
                    return None
        return frozenset(met)
