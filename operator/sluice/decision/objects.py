"""All objects that decisions depend on, as the API server last told of them, and whom a change of one touches.

Raw objects in. Facts of cryptography are kept (a bundle against a trust root does not change); what follows from all of it is computed elsewhere (`World`).
Who defers names the bundles that it wants verified, and until that is done they are neither for nor against a release.
`put` and `remove` return the releases that the change touches, so that only those are looked at again.

Not thread-safe: one event loop, or one thread, owns it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sluice.api import kinds
from sluice.api.approval import ApprovalSpec, WaiverSpec
from sluice.api.evidence import EvidenceSpec
from sluice.api.names import RECORD_LABEL
from sluice.api.release import ReleaseSpec
from sluice.decision.access import API_VERSIONS, Access
from sluice.decision.authority import asks_for_authority
from sluice.decision.canaries import Canaries, depends_on_others, suites_named_by
from sluice.decision.drills import Drill
from sluice.decision.gate import Namespace
from sluice.decision.granted import Account
from sluice.decision.kinship import asks_for_origins
from sluice.decision.known_evidence import KnownEvidence
from sluice.decision.model import Approval, InvalidPolicy, Policy, Release, Waiver
from sluice.decision.monitors import Monitors
from sluice.decision.policies import read_policy, selector_of
from sluice.decision.problems import signer_problem
from sluice.decision.rbac import Whom, names_of
from sluice.decision.reading import Unreadable, read
from sluice.decision.records import Evidence, Key, TrustRoot
from sluice.decision.revocations import NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sluice.evidence.fact_cache import Check, Outcome
    from sluice.evidence.facts import Fact
    from sluice.provenance.trust import TrustAnchors


NAMESPACE = "Namespace"
STATUS_READ: Final[Mapping[str, tuple[str, ...]]] = {
    kinds.MODEL_RELEASE.name: ("phase", "releaseDigest"),
    kinds.CANARY_RUN.name: ("decision", "reason", "record"),
    kinds.RELEASE_DRILL.name: ("phase", "releaseDigest", "baseline", "baselineDigest", "scratchNamespace", "finishedAt"),
    kinds.RELEASE_MONITOR.name: ("findings",),
}
"""What is read of a status, and of which kinds. Nobody but the controller writes one: the API server sees to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """Whom it touches that bundles were verified."""

    releases: frozenset[Key]
    evidence: frozenset[Key]
    """The `ReleaseEvidence` of these bundles."""


class Objects:
    """What is known."""

    def __init__(self, *, defers: bool = False) -> None:
        """Start with nothing.

        `defers`: bundles that are not known yet wait in `wanted` until somebody has verified them, beside the event loop. Without it `put` verifies.
        """
        self.changes = 0
        """How often anything was taken in. While it stays the same, so does all that follows."""
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
        self.access = Access()
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
            **{kind: partial(self._granting, kind) for kind in API_VERSIONS},
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
        self.changes += 1
        # 1. The kind itself; who hung together with a release before it changed is touched as well.
        before = self._depending_on({key}) | self.canaries.lineages.touched_by([key]) if kind == kinds.MODEL_RELEASE.name else set()
        touched = before | self._put[kind](key, item)
        # 2. And whoever depends on these.
        return self._with_dependents(touched)

    def _depending_on(self, keys: set[Key]) -> set[Key]:
        """Give the releases whose verdict may depend on that of one of these: where a policy compares with baselines, or asks where weights come from."""
        policies = {namespace: self._policies_for(namespace) for namespace in {at.namespace for at in keys}}
        found = self.canaries.lineages.touched_by(at for at in keys if depends_on_others(policies[at.namespace]))
        for at in keys:
            release = self.releases.get(at)
            if isinstance(release, Release) and asks_for_origins(policies[at.namespace]):
                found |= self._naming(at.namespace, release.model_names)
        return found

    def trust_controller(self, keys: TrustAnchors | None) -> frozenset[Key]:
        """Believe what these keys of the controller have signed, and no others; return the releases it touches. Without keys nothing is promoted."""
        self.changes += 1
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
        self.changes += 1
        waiting, touched = self._known.learn(outcomes), set[Key]()
        for at in waiting:
            before = self.evidence[at]
            after = before.against(self.trust_roots.values(), self._known.outcome)
            self._known.keep(at, after)
            touched |= self._concerned_by(before) | self._concerned_by(after)
        return Learnt(releases=self._with_dependents(touched), evidence=frozenset(waiting))

    def _with_dependents(self, touched: set[Key]) -> frozenset[Key]:
        """Add the releases that depend on these, and on those in turn."""
        while more := self._depending_on(touched) - touched:
            touched |= more
        return frozenset(touched)

    def decisions_on(self, key: Key) -> frozenset[tuple[str, Key]]:
        """Approvals and waivers that name this release, and evidence that is a decision on it, each with its kind. The release need not exist."""
        kinds_of = {"approval": kinds.RELEASE_APPROVAL.name, "waiver": kinds.RELEASE_WAIVER.name}
        release = self.releases.get(key)
        digests = [release.digest] if isinstance(release, Release) else []
        signed = [*self._known.deciding_on(key.namespace, key.name), *(item for item in self._known.about(key.namespace, digests) if item.decides_on)]
        stamped = {(kinds_of[kind], at) for kind, at in self._decisions_on.get(key, ())}
        return frozenset(stamped | {(kinds.RELEASE_EVIDENCE.name, item.key) for item in signed})

    def decided_on(self, namespace: str, fact: Fact, named: str) -> Release | Unreadable | None:
        """Give the release that a signed decision is about: that of its digest, or else what bears the name that it gives, for it has changed since."""
        found = (self.releases[at] for digest in fact.subjects for at in sorted(self._by_digest.get(digest, ())) if at.namespace == namespace)
        own = next((release for release in found if isinstance(release, Release) and release.digest in fact.subjects), None)
        return own or self.releases.get(Key(namespace=namespace, name=named))

    # One method for each kind: what it changes, and whom it touches.

    def _namespace(self, key: Key, item: Mapping[str, Any] | None) -> set[Key]:
        before = self.namespaces.pop(key.name, None)
        if item is not None:
            self.namespaces[key.name] = Namespace(name=key.name, labels=dict((item.get("metadata") or {}).get("labels") or {}))
        return set() if before == self.namespaces.get(key.name) else {at for at in self.releases if at.namespace == key.name}

    def _release(self, key: Key, item: Mapping[str, Any] | None) -> set[Key]:
        before = self.releases.pop(key, None)
        if isinstance(before, Release):
            for digest in before.spoken_of:
                self._by_digest[digest].discard(key)
        self.canaries.lineages.remove(key)
        if item is not None:
            spec = read(ReleaseSpec, item)
            self.releases[key] = spec if isinstance(spec, Unreadable) else Release(namespace=key.namespace, name=key.name, spec=spec)
            after = self.releases[key]
            if isinstance(after, Release):
                for digest in after.spoken_of:
                    self._by_digest[digest].add(key)
                self.canaries.lineages.put(key, after, item)
        return {key}

    def _evidence(self, key: Key, item: Mapping[str, Any] | None) -> set[Key]:
        before = self.evidence.get(key)
        touched = self._concerned_by(before) if before else set()
        # What was decided is no evidence for what is to be: a record waits for auditors, and is neither for nor against anything.
        recorded = item is not None and RECORD_LABEL in ((item.get("metadata") or {}).get("labels") or {})
        after = None if item is None or recorded else Evidence.of(key, read(EvidenceSpec, item), self.trust_roots.values(), self._known.outcome)
        self._known.keep(key, after)
        return touched | (self._concerned_by(after) if after else set())

    def _approval(self, key: Key, item: Mapping[str, Any] | None) -> set[Key]:
        spec = None if item is None else read(ApprovalSpec, item)
        metadata = item["metadata"] if item is not None else {}
        uid, created = str(metadata.get("uid") or ""), str(metadata.get("creationTimestamp") or "")
        after = Approval(name=key.name, spec=spec, uid=uid, created=created) if isinstance(spec, ApprovalSpec) else spec
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
        roots = dict(self.trust_roots)
        before = self.trust_roots.pop(key.name, None)
        if item is not None:
            self.trust_roots[key.name] = TrustRoot.of(key.name, item)
        after = self.trust_roots.get(key.name)
        # What was revoked is read with each verdict: nothing is verified again because of it.
        touched = self._concerned(before, after)
        if before and after and (before.digest, before.problem) == (after.digest, after.problem):
            return touched
        touched |= self._misled(roots)
        for at, item_ in list(self.evidence.items()):
            renewed = item_.against(self.trust_roots.values(), self._known.outcome)
            if renewed.facts != item_.facts or renewed.refusal != item_.refusal or bool(renewed.unverified) != bool(item_.unverified):
                touched |= self._concerned_by(renewed) | self._concerned_by(item_)
            self._known.keep(at, renewed)
        return touched

    def _misled(self, before: Mapping[str, TrustRoot]) -> set[Key]:
        """Give the releases of policies whose signers can, or cannot, be verified otherwise than when there were the trust roots `before`."""
        changed = {
            name
            for name, policy in self.policies.items()
            if isinstance(policy, Policy) and any(signer_problem(signer, before) != signer_problem(signer, self.trust_roots) for signer in policy.spec.signers)
        }
        chosen = {namespace for namespace in {at.namespace for at in self.releases} if any(self._selects(name, namespace) for name in changed)}
        return {at for at in self.releases if at.namespace in chosen}

    def _concerned(self, before: TrustRoot | None, after: TrustRoot | None) -> set[Key]:
        """Give the releases that what two states of a trust root revoke differently may concern."""
        lists = [root.revocations for root in (before, after) if root is not None]
        changed = lists[-1].changed_from(lists[0] if len(lists) > 1 else NOTHING) if lists else NOTHING
        if changed.problem:
            return set(self.releases)
        if not changed.entries:
            return set()
        facts = [(at, fact) for at, item in self.evidence.items() for fact in item.facts]
        found = {key for at, fact in facts if changed.names(fact) for key in self._naming(at.namespace, fact.speaks_of)}
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

    def listed_all(self) -> frozenset[Key]:
        """Take it that everything which grants something is here; return the releases that this touches. Who has files only never says so."""
        self.changes += 1
        self.access.whole = True
        return self._with_dependents({at for at in self.releases if asks_for_authority(self._policies_for(at.namespace))})

    def _granting(self, kind: str, key: Key, item: Mapping[str, Any] | None) -> set[Key]:
        """Take in what grants something. A binding may be in another namespace than the account that it is for."""
        whom = self.access.put(kind, key, item)
        touched = {at for at, release in self.releases.items() if not whom.isdisjoint(_names_of(at, release))} if whom else set()
        asking = {namespace for namespace in {at.namespace for at in touched} if asks_for_authority(self._policies_for(namespace))}
        return {at for at in touched if at.namespace in asking}

    def _selects(self, policy: str, namespace: str) -> bool:
        known = self.namespaces.get(namespace)
        labels = known.labels if known else {}
        return all(labels.get(name) == value for name, value in self._selectors[policy].items())

    def _concerned_by(self, evidence: Evidence) -> set[Key]:
        """Give the releases that evidence may concern: by a digest, or as what somebody decided on while it was another one."""
        namespace = evidence.key.namespace
        named = {Key(namespace=namespace, name=name) for name in evidence.decides_on}
        return self._naming(namespace, evidence.speaks_of) | (named & self.releases.keys())

    def _naming(self, namespace: str, digests: Iterable[str]) -> set[Key]:
        """Give the releases that a change about these digests may concern: those that name them, and where lineage is asked for those made from them."""
        concerned: Iterable[str] | None = digests
        if asks_for_origins(self._policies_for(namespace)):
            concerned = self._known.kinship.made_from(namespace, digests)
        if concerned is None:
            return {key for key in self.releases if key.namespace == namespace}
        return {key for digest in concerned for key in self._by_digest.get(digest, ()) if key.namespace == namespace}

    def _policies_for(self, namespace: str) -> tuple[Policy | InvalidPolicy, ...]:
        return tuple(self.policies[name] for name in sorted(self._selectors) if self._selects(name, namespace))


def _names_of(key: Key, release: Release | Unreadable) -> tuple[Whom, ...]:
    """Everything by which a binding may mean the account of a release."""
    authority = release.spec.authority if isinstance(release, Release) else None
    return names_of(Account(key.namespace, (authority.service_account if authority else None) or ""))
