"""What `World` remembers for canaries: suites, runs, and how releases hang together."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sluice.api.canary import CanaryDecision, CanaryPhase, CanarySpec
from sluice.api.requirement import RequirementType
from sluice.api.scoring import SuiteSpec
from sluice.decision.lineage import Lineages
from sluice.decision.model import InvalidPolicy, Policy
from sluice.decision.proof import Claim
from sluice.decision.reading import Unreadable, read
from sluice.decision.records import Key
from sluice.decision.runs import InvalidRun, Run, Suite

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sluice.provenance.trust import TrustAnchors


_ABOUT_BASELINES = frozenset({RequirementType.CANARY, RequirementType.ROLLBACK_DRILL, RequirementType.ROLLBACK_PLAN})


class Canaries:
    """Suites and runs by key. `lineages` knows the releases."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.suites: dict[Key, Suite | Unreadable] = {}
        self.runs: dict[Key, Run | InvalidRun] = {}
        self.lineages = Lineages()
        self.keys: TrustAnchors | None = None
        """The controller's public keys; None: none is known, and nothing is promoted."""
        self._claims: dict[Key, Claim] = {}
        self._release_of: dict[Key, Key] = {}
        self._runs_of: dict[Key, set[Key]] = defaultdict(set)

    def put_suite(self, key: Key, item: Mapping[str, Any] | None) -> None:
        """Take in a suite, or forget it."""
        self.suites.pop(key, None)
        if item is not None:
            spec = read(SuiteSpec, item)
            self.suites[key] = spec if isinstance(spec, Unreadable) else Suite(name=key.name, spec=spec)

    def put_run(self, key: Key, item: Mapping[str, Any] | None) -> set[Key]:
        """Take in a run, or forget it; return the releases that it is and was about."""
        self.runs.pop(key, None)
        self._claims.pop(key, None)
        touched = set()
        if (before := self._release_of.pop(key, None)) is not None:
            self._runs_of[before].discard(key)
            touched.add(before)
        if item is not None:
            after = Key(namespace=key.namespace, name=_release_named(item))
            self._release_of[key] = after
            self._runs_of[after].add(key)
            claim = self._claims[key] = Claim.of(_run(key.name, item), item)
            self.runs[key] = claim.believed(self.keys)
            touched.add(after)
        return touched

    def trust(self, keys: TrustAnchors | None) -> set[Key]:
        """Believe what these keys have signed, and no others; return the releases whose runs may count otherwise now."""
        self.keys = keys
        for key, claim in self._claims.items():
            self.runs[key] = claim.believed(keys)
        return set(self._release_of.values())

    def runs_of(self, release: Key) -> tuple[Run | InvalidRun, ...]:
        """Give the runs that name this release, the first by name first."""
        return tuple(self.runs[at] for at in sorted(self._runs_of.get(release, ())))

    def suites_for(self, namespace: str, policies: Iterable[Policy | InvalidPolicy]) -> dict[str, Suite | str]:
        """Give the suites of a namespace that these policies name."""
        return {name: suite for name in suites_named_by(policies) if (suite := self.suites.get(Key(namespace=namespace, name=name))) is not None}


def suites_named_by(policies: Iterable[Policy | InvalidPolicy]) -> set[str]:
    """Give the names of the suites that policies ask to be scored on."""
    usable = (policy for policy in policies if isinstance(policy, Policy))
    return {requirement.suite.name for policy in usable for requirement in policy.spec.requirements if requirement.suite is not None}


def looks_at_others(policies: Iterable[Policy | InvalidPolicy]) -> bool:
    """Tell whether one of these policies has a requirement that depends on other releases: a comparison with the baseline, or a way back to it."""
    usable = (policy for policy in policies if isinstance(policy, Policy))
    asked = [requirement for policy in usable for requirement in policy.spec.requirements]
    return any(each.type in _ABOUT_BASELINES or any(measure.not_worse_than_baseline_by for measure in each.measures or ()) for each in asked)


def depends_on_others(policies: Iterable[Policy | InvalidPolicy]) -> bool:
    """Tell whether one of these policies has anything that depends on other releases, be it only on what differs from them."""
    policies = tuple(policies)
    return looks_at_others(policies) or any(policy.compares for policy in policies if isinstance(policy, Policy))


def _release_named(run: Mapping[str, Any]) -> str:
    """Give the release that a run is about; empty when even that cannot be read."""
    try:
        return str(run["spec"]["release"]["name"])
    except (KeyError, TypeError):
        return ""


def _run(name: str, item: Mapping[str, Any]) -> Run | InvalidRun:
    spec = read(CanarySpec, item)
    if isinstance(spec, Unreadable):
        return InvalidRun(name=name, problem=spec)
    status = item.get("status") or {}
    try:
        decision = CanaryDecision(status.get("decision") or CanaryDecision.PENDING)
    except ValueError:
        return InvalidRun(name=name, problem=f"status.decision: {str(status['decision'])[:80]!r} is none that this version knows")
    exposing = decision is CanaryDecision.PENDING and status.get("phase") == CanaryPhase.EXPOSING
    return Run(name=name, spec=spec, decision=decision, reason=str(status.get("reason") or "")[:64], exposing=exposing)
