"""Everything that decisions depend on, in memory, and what follows from it.

The webhook, the controller and the command line each keep one and fill it from a watch or from files (`Objects`). Verdicts are kept until anything changes, or
until time may change them: a burst of Pods of one release costs one (`Verdicts`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sluice.decision.authority import asks_for_authority
from sluice.decision.canaries import looks_at_others
from sluice.decision.decide import decide
from sluice.decision.finding import Finding
from sluice.decision.gate import Subject
from sluice.decision.granted import Account, Granted
from sluice.decision.kinship import MOST_RELEASES, asks_for_origins, gather
from sluice.decision.model import MODELS, Approval, Case, InvalidPolicy, Kin, Lineage, Policy, Release, Verdict, Waiver, carrier
from sluice.decision.objects import Objects
from sluice.decision.people import usable
from sluice.decision.reading import Unreadable
from sluice.decision.records import Key
from sluice.decision.requirements import carries_signed
from sluice.decision.revocations import sift
from sluice.decision.verdicts import Verdicts
from sluice.evidence import signed_decision
from sluice.provenance.model_signature import ModelManifest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


MOST_RIVALS = 16
"""A release that names no baseline is held against so many others: each costs a verdict, and tenants write them. With more it waits."""


MOST_ANCESTORS = 16
"""So many releases back one is looked for that was accepted with all that a change asks for. Each costs a verdict, once for each change of anything."""


class World(Objects):
    """What is known, and what follows from it."""

    def __init__(self, *, defers: bool = False, verifier: str = "") -> None:
        """Start with nothing, which allows nothing. `verifier` is the image that checks weights where they are loaded, by digest; `defers` as in `Objects`."""
        super().__init__(defers=defers)
        self.verifier = verifier
        self._verdicts = Verdicts()

    def verdict(self, key: Key, *, now: datetime) -> Verdict | None:
        """Decide about one release; None when there is none that can be read."""
        release = self.releases.get(key)
        if not isinstance(release, Release):
            return None
        return self._verdicts.of(key, lambda: decide(self.case(release), now=now), changes=self.changes, now=now)

    def finding(self, item: Approval | Waiver, release: Release, *, now: datetime) -> Finding | None:
        """Tell whether one decision of a person counts for `release`; None when no policy selects it. Others are looked at where they are about it only."""
        case = self._evidence_case(release)
        # Which evidence people have seen depends on which requirements apply, and that on what differs from the baseline.
        case = replace(case, lineage=self._lineage(release, case.policies))
        approvals, waivers = self._in_view_of(item, release)
        verdict = decide(replace(case, approvals=approvals, waivers=waivers), now=now)
        findings = verdict.approvals if isinstance(item, Approval) else verdict.waivers
        return next((finding for finding in findings if finding.name == item.name), None)

    def _in_view_of(self, item: Approval | Waiver, release: Release) -> tuple[tuple[Approval, ...], tuple[Waiver, ...]]:
        """Give a decision with the others that make it count or not: what takes it back, or what it takes back; its waiver, or what was decided on it."""
        approvals, waivers = self._decided_on(release)
        if isinstance(item, Waiver):
            about = [each for each in approvals if each.spec.waiver is not None and each.spec.waiver.name == item.name]
        else:
            about = [item, *(each for each in approvals if each.uid and each.uid == item.spec.revokes)]
        acts = {each.uid for each in about if each.uid}
        about += [each for each in approvals if each.spec.revokes in acts and each not in about]
        named = item.spec.waiver.name if isinstance(item, Approval) and item.spec.waiver else None
        return tuple(about), (item,) if isinstance(item, Waiver) else tuple(each for each in waivers if each.name == named)

    def _decided_on(self, release: Release) -> tuple[tuple[Approval, ...], tuple[Waiver, ...]]:
        """What people decided on a release in the cluster; signed decisions are evidence."""
        decided = self._decisions_on.get(Key(namespace=release.namespace, name=release.name), set())
        return (
            tuple(a for kind, at in decided if kind == "approval" and isinstance(a := self.approvals[at], Approval)),
            tuple(w for kind, at in decided if kind == "waiver" and isinstance(w := self.waivers[at], Waiver)),
        )

    def subject(self, namespace: str, name: str, *, now: datetime, where: str | None = None) -> Subject | None:
        """Give a release that a Pod names, with its verdict, to the gate; None when there is none of this name.

        `where` is the namespace of the Pod, when that is another one.
        """
        key = Key(namespace=namespace, name=name)
        release = self.releases.get(key)
        if release is None:
            return None
        if isinstance(release, Unreadable):
            return Subject(name=name, release=None, verdict=None, problem=str(release), verifier=self.verifier)
        verdict = self.verdict(key, now=now)
        held = verdict is not None and any(result.grants for result in verdict.results)
        granted = self._granted(release, where or namespace) if held else Granted()
        return Subject(name=name, release=release, verdict=verdict, verifier=self.verifier, granted=granted)

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
        if not looks_at_others(case.policies):
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

    def _own_case(self, release: Release, *, kin: bool = True, ancestors: bool = True) -> Case:
        """Gather the same without what a verdict on other releases depends on."""
        key = Key(namespace=release.namespace, name=release.name)
        approvals, waivers = self._decided_on(release)
        case = self._evidence_case(release, kin=kin)
        return replace(
            case,
            approvals=approvals,
            waivers=waivers,
            runs=self.canaries.runs_of(key),
            monitors=self.monitors.of(key),
            suites=self.canaries.suites_for(release.namespace, case.policies),
            lineage=self._lineage(release, case.policies, ancestors=ancestors, kin=kin),
        )

    def _lineage(self, release: Release, policies: Iterable[Policy | InvalidPolicy], *, ancestors: bool = True, kin: bool = True) -> Lineage:
        """The baseline that a release names, and what evidence says of it where policy asks for a comparison."""
        baseline = self._baseline(release)
        serving = self.canaries.lineages.serves(Key(namespace=release.namespace, name=release.name))
        before = self._ancestors(release, policies, kin=kin) if ancestors else ()
        if baseline is None or not looks_at_others(policies):
            return Lineage(baseline=baseline, serving=serving, ancestors=before)
        about = self._known.about(release.namespace, baseline.digests)
        return Lineage(
            baseline=baseline,
            serving=serving,
            facts=tuple(fact for item in about for fact in item.facts),
            unverified=tuple(item.key.name for item in about if item.unverified),
            ancestors=before,
        )

    def _ancestors(self, release: Release, policies: Iterable[Policy | InvalidPolicy], *, kin: bool) -> tuple[Case, ...]:
        """The baseline, that one's baseline and so on, where a policy asks what differs."""
        found: dict[str, Case] = {}
        at = self._baseline(release) if any(policy.compares for policy in policies if isinstance(policy, Policy)) else None
        while at is not None and at.spec.model == release.spec.model and at.name not in {release.name, *found} and len(found) < MOST_ANCESTORS:
            found[at.name] = self._own_case(at, kin=kin, ancestors=False)
            at = self._baseline(at)
        return tuple(found.values())

    def _baseline(self, release: Release) -> Release | None:
        named = release.spec.change.baseline
        found = self.releases.get(Key(namespace=release.namespace, name=named.name)) if named else None
        return found if isinstance(found, Release) else None

    def _evidence_case(self, release: Release, *, kin: bool = True) -> Case:
        """Gather the same without what people decided."""
        about = self._known.about(release.namespace, release.spoken_of)
        dead = [item for item in self._known.deciding_on(release.namespace, release.name) if item not in about]
        policies = self._policies_for(release.namespace)
        ancestors = self._kin(release) if kin and asks_for_origins(policies) else Kin()
        return Case(
            release=release,
            policies=policies,
            kin=ancestors,
            facts=tuple(fact for item in (*about, *dead) for fact in item.facts),
            refusals=tuple(item.refusal for item in about if item.refusal),
            trust_roots=dict(self.trust_roots),
            granted=self._granted(release, release.namespace) if asks_for_authority(policies) else Granted(),
            unverified=tuple(dict.fromkeys([*(item.key.name for item in about if item.unverified), *ancestors.unverified])),
            undecided=tuple(item.key.name for item in about if item.unverified and item.claims.predicate_type == signed_decision.PREDICATE_TYPE),
        )

    def _granted(self, release: Release, namespace: str) -> Granted:
        """What the cluster grants the release, or a Pod of it in another namespace."""
        account = release.spec.authority.service_account if release.spec.authority else None
        return self.access.of(None if account is None else Account(namespace, account), namespace)

    def _kin(self, release: Release) -> Kin:
        """Gather what the models of a release were made from, as far as evidence says so, and the releases among that."""
        namespace, own = release.namespace, Key(namespace=release.namespace, name=release.name)
        gathered = gather(release.model_names, lambda digest: self._known.about(namespace, [digest]))
        keys = dict.fromkeys(key for digest in gathered.digests for key in sorted(self._by_digest.get(digest, ())) if key.namespace == namespace and key != own)
        releases = [other for key in keys if isinstance(other := self.releases[key], Release) and other.model_names & set(gathered.digests)]
        cases = tuple(self._rivalled(self._own_case(other, kin=False), kin=False) for other in releases[:MOST_RELEASES])
        whole = gathered.whole and len(releases) <= MOST_RELEASES
        return Kin(facts=gathered.facts, releases=cases, whole=whole, unverified=gathered.unverified)
