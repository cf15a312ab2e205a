"""Everything that decisions depend on, in memory, as the API server last told it.

Raw objects in, verdicts out. The webhook, the controller and the command line each keep one and fill it from a watch or from files.
Facts of cryptography are kept (a bundle against a trust root does not change); verdicts never are: each is computed from what is here now. A world that defers
names the bundles that it wants verified, and until that is done they are neither for nor against a release: it is held.
`put` and `remove` return the releases that the change touches, so that only those are looked at again.

Not thread-safe: one event loop, or one thread, owns it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from sluice.api import kinds
from sluice.api.approval import ApprovalSpec, WaiverSpec
from sluice.api.evidence import EvidenceSpec
from sluice.api.release import ReleaseSpec
from sluice.decision.canaries import Canaries, asks_for_canary, suites_named_by
from sluice.decision.decide import decide
from sluice.decision.drills import Drill
from sluice.decision.gate import Namespace, Subject
from sluice.decision.kinship import MOST_RELEASES, asks_for_origins, gather
from sluice.decision.known_evidence import KnownEvidence
from sluice.decision.model import MODELS, Approval, Case, Finding, InvalidPolicy, Kin, Lineage, Policy, Release, Verdict, Waiver, carrier
from sluice.decision.monitors import Monitors
from sluice.decision.people import usable
from sluice.decision.policies import read_policy, selector_of
from sluice.decision.reading import Unreadable, read
from sluice.decision.records import Evidence, Key, TrustRoot
from sluice.decision.requirements import carries_signed
from sluice.decision.revocations import NOTHING, sift
from sluice.provenance.model_signature import ModelManifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from sluice.evidence.fact_cache import Check, Outcome
    from sluice.provenance.trust import TrustAnchors


NAMESPACE = "Namespace"
STATUS_READ: Final[Mapping[str, tuple[str, ...]]] = {
    kinds.MODEL_RELEASE.name: ("phase", "releaseDigest"),
    kinds.CANARY_RUN.name: ("decision", "reason", "record"),
    kinds.RELEASE_DRILL.name: ("phase", "releaseDigest", "baseline", "baselineDigest", "finishedAt"),
    kinds.RELEASE_MONITOR.name: ("findings",),
}
"""What is read of a status, and of which kinds. Nobody but the controller writes one: the API server sees to it."""
MOST_RIVALS = 16
"""A release that names no baseline is held against so many others: each costs a verdict, and tenants write them. With more it waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """Whom it touches that bundles were verified."""

    releases: frozenset[Key]
    evidence: frozenset[Key]
    """The `ReleaseEvidence` of these bundles."""


class World:
    """What is known, and what follows from it."""

    def __init__(self, *, defers: bool = False, verifier: str = "") -> None:
        """Start with nothing, which allows nothing. `verifier` is the image that checks weights where they are loaded, by digest.

        `defers`: bundles that are not known yet wait in `wanted` until somebody has verified them, beside the event loop. Without it `put` verifies.
        """
        self.verifier = verifier
        self._known = KnownEvidence(defers=defers)
        self.namespaces: dict[str, Namespace] = {}
        self.releases: dict[Key, Release | Unreadable] = {}
        self.approvals: dict[Key, Approval | Unreadable] = {}
        self.waivers: dict[Key, Waiver | Unreadable] = {}
        self.policies: dict[str, Policy | InvalidPolicy] = {}
        self.trust_roots: dict[str, TrustRoot] = {}
        self.canaries = Canaries()
        self.drills: dict[Key, Drill] = {}
        self.monitors = Monitors()
        self._selectors: dict[str, Mapping[str, str]] = {}
        self._by_digest: dict[str, set[Key]] = defaultdict(set)
        self._decisions_on: dict[Key, set[tuple[str, Key]]] = defaultdict(set)
        self._put: dict[str, Callable[[Key, Mapping[str, Any] | None], set[Key]]] = {
            NAMESPACE: self._namespace,
            kinds.MODEL_RELEASE.name: self._release,
            kinds.RELEASE_EVIDENCE.name: self._evidence,
            kinds.RELEASE_APPROVAL.name: self._approval,
            kinds.RELEASE_WAIVER.name: self._waiver,
            kinds.RELEASE_POLICY.name: self._policy,
            kinds.TRUST_ROOT.name: self._trust_root,
            kinds.SCORING_SUITE.name: self._suite,
            kinds.CANARY_RUN.name: self.canaries.put_run,
            kinds.RELEASE_DRILL.name: self._drill,
            kinds.RELEASE_MONITOR.name: self.monitors.put,
        }

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that must be watched."""
        return tuple(self._put)

    def put(self, kind: str, item: Mapping[str, Any]) -> frozenset[Key]:
        """Take in an object, new or changed; return the releases it touches. Raises nothing: what cannot be read is remembered as such."""
        return self._change(kind, Key.of(item), item)

    def remove(self, kind: str, key: Key) -> frozenset[Key]:
        """Forget an object; return the releases it touches."""
        return self._change(kind, key, None)

    def _change(self, kind: str, key: Key, item: Mapping[str, Any] | None) -> frozenset[Key]:
        # 1. The kind itself; who hung together with a release before it changed is touched as well.
        before = self._depending_on({key}) | self.canaries.lineages.touched_by([key]) if kind == kinds.MODEL_RELEASE.name else set()
        touched = before | self._put[kind](key, item)
        # 2. And whoever depends on these.
        return self._with_dependents(touched)

    def _depending_on(self, keys: set[Key]) -> set[Key]:
        """Give the releases whose verdict may depend on that of one of these: where a policy asks for a canary, or where weights come from."""
        policies = {namespace: self._policies_for(namespace) for namespace in {at.namespace for at in keys}}
        found = self.canaries.lineages.touched_by(at for at in keys if asks_for_canary(policies[at.namespace]))
        for at in keys:
            release = self.releases.get(at)
            if isinstance(release, Release) and asks_for_origins(policies[at.namespace]):
                found |= self._naming(at.namespace, release.model_names)
        return found

    def trust_controller(self, keys: TrustAnchors | None) -> frozenset[Key]:
        """Believe what these keys of the controller have signed, and no others; return the releases it touches. Without keys nothing is promoted."""
        return frozenset(self.canaries.lineages.touched_by(self.canaries.trust(keys)))

    @property
    def wanted(self) -> Mapping[str, Check]:
        """What has to be verified, by `fact_key`, what was asked for first first."""
        return self._known.wanted

    @property
    def evidence(self) -> Mapping[Key, Evidence]:
        """All evidence there is."""
        return self._known.items

    def established(self, outcomes: Iterable[tuple[Check, Outcome]]) -> Learnt:
        """Take in what verification came to; return whom that touches."""
        waiting, touched = self._known.learn(outcomes), set[Key]()
        for at in waiting:
            before = self.evidence[at]
            after = before.against(self.trust_roots.values(), self._known.outcome)
            self._known.keep(at, after)
            touched |= self._naming(at.namespace, before.speaks_of | after.speaks_of)
        return Learnt(releases=self._with_dependents(touched), evidence=frozenset(waiting))

    def _with_dependents(self, touched: set[Key]) -> frozenset[Key]:
        """Add the releases that depend on these, and on those in turn."""
        while more := self._depending_on(touched) - touched:
            touched |= more
        return frozenset(touched)

    def verdict(self, key: Key, *, now: datetime) -> Verdict | None:
        """Decide about one release; None when there is none that can be read."""
        release = self.releases.get(key)
        return decide(self.case(release), now=now) if isinstance(release, Release) else None

    def finding(self, item: Approval | Waiver, release: Release, *, now: datetime) -> Finding | None:
        """Tell whether one decision of a person counts for `release`; None when no policy selects it. The others are not looked at."""
        case = self._evidence_case(release)
        if isinstance(item, Approval):
            findings = decide(replace(case, approvals=(item,)), now=now).approvals
        else:
            findings = decide(replace(case, waivers=(item,)), now=now).waivers
        return findings[0] if findings else None

    def subject(self, namespace: str, name: str, *, now: datetime) -> Subject | None:
        """Give a release that a Pod names, with its verdict, to the gate; None when there is none of this name."""
        release = self.releases.get(Key(namespace=namespace, name=name))
        if release is None:
            return None
        if isinstance(release, Unreadable):
            return Subject(name=name, release=None, verdict=None, problem=str(release), verifier=self.verifier)
        return Subject(name=name, release=release, verdict=decide(self.case(release), now=now), verifier=self.verifier)

    def serves(self, digests: Iterable[str], namespace: str) -> dict[str, str]:
        """Of these image digests, give those that carry a model known in `namespace`, with the name of one release of it.

        A release says what is a model in its own namespace. Elsewhere it must be signed: or whoever writes a release somewhere could name the image of
        a proxy, or of another team, and have every Pod with it refused.
        """
        found: dict[str, str] = {}
        for digest in digests:
            for key in sorted(self._by_digest.get(digest, ()), key=lambda key: (key.namespace != namespace, key)):
                release = self.releases[key]
                if isinstance(release, Release) and digest in release.model_digests and (key.namespace == namespace or self._signed(release, digest)):
                    found[digest] = key.name
                    break
        return found

    def _signed(self, release: Release, digest: str) -> bool:
        case = sift(self._evidence_case(release)).case
        models = [artifact for artifact in release.spec.artifacts if artifact.type in MODELS and carrier(artifact) == digest]
        return any(carries_signed(policy, model, case.facts) for policy in usable(case) for model in models)

    def signed_list(self, namespace: str, digest: str) -> bytes | None:
        """A bundle whose signed list of files has this name-binding digest, whoever signed it; None while there is none."""
        for item in self._known.about(namespace, [digest]):
            if any(isinstance(fact.content, ModelManifest) and fact.content.digest == digest for fact in item.facts):
                return item.bundle
        return None

    def case(self, release: Release) -> Case:
        """Gather all that a verdict about `release` depends on."""
        case = self._own_case(release)
        if not asks_for_canary(case.policies):
            return case
        baseline = case.lineage.baseline
        lineage = replace(case.lineage, standing=self._rivalled(self._own_case(baseline)) if baseline else None)
        return self._rivalled(replace(case, lineage=lineage))

    def _rivalled(self, case: Case, *, kin: bool = True) -> Case:
        """Add the releases that may have been there before one that names no baseline."""
        if case.release.spec.change.baseline is not None:
            return case
        rivals = self.canaries.lineages.rivals(Key(namespace=case.release.namespace, name=case.release.name))
        known = (self.releases[at] for at in rivals[:MOST_RIVALS])
        cases = tuple(self._own_case(rival, kin=kin) for rival in known if isinstance(rival, Release))
        return replace(case, lineage=replace(case.lineage, rivals=cases, unseen=max(0, len(rivals) - MOST_RIVALS)))

    def _own_case(self, release: Release, *, kin: bool = True) -> Case:
        """Gather the same without what a verdict on other releases depends on."""
        decided = self._decisions_on.get(Key(namespace=release.namespace, name=release.name), set())
        case = self._evidence_case(release, kin=kin)
        return replace(
            case,
            approvals=tuple(a for kind, at in decided if kind == "approval" and isinstance(a := self.approvals[at], Approval)),
            waivers=tuple(w for kind, at in decided if kind == "waiver" and isinstance(w := self.waivers[at], Waiver)),
            runs=self.canaries.runs_of(Key(namespace=release.namespace, name=release.name)),
            monitors=self.monitors.of(Key(namespace=release.namespace, name=release.name)),
            suites=self.canaries.suites_for(release.namespace, case.policies),
            lineage=Lineage(baseline=self._baseline(release)),
        )

    def _baseline(self, release: Release) -> Release | None:
        named = release.spec.change.baseline
        found = self.releases.get(Key(namespace=release.namespace, name=named.name)) if named else None
        return found if isinstance(found, Release) else None

    def _policies_for(self, namespace: str) -> tuple[Policy | InvalidPolicy, ...]:
        return tuple(self.policies[name] for name in sorted(self._selectors) if self._selects(name, namespace))

    def _evidence_case(self, release: Release, *, kin: bool = True) -> Case:
        """Gather the same without what people decided."""
        about = self._known.about(release.namespace, release.digests)
        policies = self._policies_for(release.namespace)
        ancestors = self._kin(release) if kin and asks_for_origins(policies) else Kin()
        return Case(
            release=release,
            policies=policies,
            kin=ancestors,
            facts=tuple(fact for item in about for fact in item.facts),
            refusals=tuple(item.refusal for item in about if item.refusal),
            revocations=tuple(root.revocations for root in self.trust_roots.values()),
            unverified=tuple(dict.fromkeys([*(item.key.name for item in about if item.unverified), *ancestors.unverified])),
        )

    def _kin(self, release: Release) -> Kin:
        """Gather what the models of a release were made from, as far as evidence says so, and the releases among that."""
        namespace, own = release.namespace, Key(namespace=release.namespace, name=release.name)
        gathered = gather(release.model_names, lambda digest: self._known.about(namespace, [digest]))
        keys = dict.fromkeys(key for digest in gathered.digests for key in sorted(self._by_digest.get(digest, ())) if key.namespace == namespace and key != own)
        releases = [other for key in keys if isinstance(other := self.releases[key], Release) and other.model_names & set(gathered.digests)]
        cases = tuple(self._rivalled(self._own_case(other, kin=False), kin=False) for other in releases[:MOST_RELEASES])
        whole = gathered.whole and len(releases) <= MOST_RELEASES
        return Kin(facts=gathered.facts, releases=cases, whole=whole, unverified=gathered.unverified)

    def decisions_on(self, key: Key) -> frozenset[tuple[str, Key]]:
        """Approvals and waivers that name this release, each with its kind. The release need not exist."""
        kinds_of = {"approval": kinds.RELEASE_APPROVAL.name, "waiver": kinds.RELEASE_WAIVER.name}
        return frozenset((kinds_of[kind], at) for kind, at in self._decisions_on.get(key, ()))

    # One method for each kind: what it changes, and whom it touches.

    def _namespace(self, key: Key, item: Mapping[str, Any] | None) -> set[Key]:
        before = self.namespaces.pop(key.name, None)
        if item is not None:
            self.namespaces[key.name] = Namespace(name=key.name, labels=dict((item.get("metadata") or {}).get("labels") or {}))
        return set() if before == self.namespaces.get(key.name) else {at for at in self.releases if at.namespace == key.name}

    def _release(self, key: Key, item: Mapping[str, Any] | None) -> set[Key]:
        before = self.releases.pop(key, None)
        if isinstance(before, Release):
            for digest in before.digests:
                self._by_digest[digest].discard(key)
        self.canaries.lineages.remove(key)
        if item is not None:
            spec = read(ReleaseSpec, item)
            self.releases[key] = spec if isinstance(spec, Unreadable) else Release(namespace=key.namespace, name=key.name, spec=spec)
            after = self.releases[key]
            if isinstance(after, Release):
                for digest in after.digests:
                    self._by_digest[digest].add(key)
                self.canaries.lineages.put(key, after, item)
        return {key}

    def _evidence(self, key: Key, item: Mapping[str, Any] | None) -> set[Key]:
        before = self.evidence.get(key)
        touched = self._naming(key.namespace, before.speaks_of) if before else set()
        after = None if item is None else Evidence.of(key, read(EvidenceSpec, item), self.trust_roots.values(), self._known.outcome)
        self._known.keep(key, after)
        return touched | (self._naming(key.namespace, after.speaks_of) if after else set())

    def _approval(self, key: Key, item: Mapping[str, Any] | None) -> set[Key]:
        spec = None if item is None else read(ApprovalSpec, item)
        after = Approval(name=key.name, spec=spec) if isinstance(spec, ApprovalSpec) else spec
        return self._decided("approval", self.approvals, key, after)

    def _waiver(self, key: Key, item: Mapping[str, Any] | None) -> set[Key]:
        spec = None if item is None else read(WaiverSpec, item)
        after = Waiver(name=key.name, spec=spec) if isinstance(spec, WaiverSpec) else spec
        return self._decided("waiver", self.waivers, key, after)

    def _decided(self, kind: str, store: dict[Key, Any], key: Key, after: Approval | Waiver | Unreadable | None) -> set[Key]:
        touched = set()
        for item, change in ((store.pop(key, None), "discard"), (after, "add")):
            if isinstance(item, Approval | Waiver):
                on = Key(namespace=key.namespace, name=item.spec.release.name)
                getattr(self._decisions_on[on], change)((kind, key))
                touched.add(on)
        if after is not None:
            store[key] = after
        return touched

    def _policy(self, key: Key, item: Mapping[str, Any] | None) -> set[Key]:
        touched = {at for at in self.releases if key.name in self._selectors and self._selects(key.name, at.namespace)}
        self.policies.pop(key.name, None)
        self._selectors.pop(key.name, None)
        if item is not None:
            self.policies[key.name] = read_policy(key.name, item)
            self._selectors[key.name] = selector_of(item)
            touched |= {at for at in self.releases if self._selects(key.name, at.namespace)}
        return touched

    def _trust_root(self, key: Key, item: Mapping[str, Any] | None) -> set[Key]:
        before = self.trust_roots.pop(key.name, None)
        if item is not None:
            self.trust_roots[key.name] = TrustRoot.of(key.name, item)
        after = self.trust_roots.get(key.name)
        # What was revoked is read with each verdict: nothing is verified again because of it.
        touched = self._concerned(before, after)
        if before and after and before.digest == after.digest:
            return touched
        for at, item_ in list(self.evidence.items()):
            renewed = item_.against(self.trust_roots.values(), self._known.outcome)
            if renewed.facts != item_.facts or renewed.refusal != item_.refusal or bool(renewed.unverified) != bool(item_.unverified):
                touched |= self._naming(at.namespace, renewed.speaks_of | item_.speaks_of)
            self._known.keep(at, renewed)
        return touched

    def _concerned(self, before: TrustRoot | None, after: TrustRoot | None) -> set[Key]:
        """Give the releases that what two states of a trust root revoke differently may concern."""
        lists = [root.revocations for root in (before, after) if root is not None]
        changed = lists[-1].changed_from(lists[0] if len(lists) > 1 else NOTHING) if lists else NOTHING
        if changed.problem:
            return set(self.releases)
        if not changed.entries:
            return set()
        facts = [(at, fact) for at, item in self.evidence.items() for fact in item.facts]
        found = {key for at, fact in facts if changed.names(fact) for key in self._naming(at.namespace, fact.subjects)}
        return found | {at for at, release in self.releases.items() if isinstance(release, Release) and changed.names_release(release.digest, release.digests)}

    def _suite(self, key: Key, item: Mapping[str, Any] | None) -> set[Key]:
        self.canaries.put_suite(key, item)
        asked = key.name in suites_named_by(self._policies_for(key.namespace))
        return {at for at in self.releases if at.namespace == key.namespace} if asked else set()

    def _drill(self, key: Key, item: Mapping[str, Any] | None) -> set[Key]:
        """Take in a drill. No verdict depends on it: what it proves is evidence. Its release is looked at all the same, when the next drill may be due."""
        before = self.drills.pop(key, None)
        after = None if item is None else Drill.of(item)
        if after is not None:
            self.drills[key] = after
        return {Key(namespace=key.namespace, name=drill.release) for drill in (before, after) if drill is not None and drill.release}

    def _selects(self, policy: str, namespace: str) -> bool:
        known = self.namespaces.get(namespace)
        labels = known.labels if known else {}
        return all(labels.get(name) == value for name, value in self._selectors[policy].items())

    def _naming(self, namespace: str, digests: Iterable[str]) -> set[Key]:
        """Give the releases that a change about these digests may concern: those that name them, and where lineage is asked for those made from them."""
        concerned: Iterable[str] | None = digests
        if asks_for_origins(self._policies_for(namespace)):
            concerned = self._known.kinship.made_from(namespace, digests)
        if concerned is None:
            return {key for key in self.releases if key.namespace == namespace}
        return {key for digest in concerned for key in self._by_digest.get(digest, ()) if key.namespace == namespace}
