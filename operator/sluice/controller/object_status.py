"""The statuses of everything a release depends on: evidence, what people decided, policies, trust roots.

Whatever somebody wrote, its own object says what is wrong with it and what to do; nothing else suffers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from sluice.api import kinds
from sluice.api.approval import DecisionStatus
from sluice.api.base import Condition
from sluice.api.digests import waiver_digest
from sluice.api.evidence import EvidenceStatus, SignerStatus, SubjectStatus
from sluice.api.policy import PolicyStatus
from sluice.api.scoring import SuiteStatus
from sluice.api.trust import TrustRootStatus
from sluice.cluster.client import Object
from sluice.controller.conditions import Moment, cut, wire
from sluice.decision.finding import Finding
from sluice.decision.model import Approval, InvalidPolicy, Release, Waiver
from sluice.decision.problems import policy_problems
from sluice.decision.reasons import Reason
from sluice.decision.records import Key
from sluice.decision.runs import Suite
from sluice.decision.signers import describe
from sluice.decision.world import World
from sluice.evidence.facts import Fact
from sluice.evidence.signed_decision import SignedDecision

_LINE: Final = 253
_URI: Final = 2048


def evidence_status(world: World, key: Key, moment: Moment) -> Object | None:
    """Say what the bundle proves, or why it proves nothing."""
    evidence = world.evidence.get(key)
    if evidence is None or evidence.elsewhere or evidence.unverified:
        # What is named by reference has its status from who fetches it; what is being verified is looked at again in a moment.
        return None
    refusal = evidence.refusal
    if refusal is not None:
        message = f"{refusal.message}; evidence never changes: delete it, and apply another" if evidence.problem else refusal.message
        return wire(EvidenceStatus(observed_generation=moment.generation, conditions=[moment.condition("Verified", False, refusal.reason, message)]))  # noqa: FBT003
    fact = evidence.facts[0]
    signer = SignerStatus(
        identity=None if fact.signer.identity is None else cut(fact.signer.identity, _URI),
        issuer=None if fact.signer.issuer is None else cut(fact.signer.issuer, _URI),
        key=None if fact.signer.key is None else cut(fact.signer.key, _LINE),
        trust_root=fact.signer.trust_root,
    )
    verified = moment.condition("Verified", True, Reason.SignatureVerified, f"signed by {describe(fact)}")  # noqa: FBT003 - the condition's status
    return wire(
        EvidenceStatus(
            observed_generation=moment.generation,
            bundle_digest=fact.bundle_digest,
            predicate_type=cut(fact.predicate_type, _URI),
            subjects=[SubjectStatus(digest=digest) for digest in sorted(fact.subjects)[:64]],
            signer=signer,
            conditions=[verified, *_counted_signed(world, key, fact, moment)],
        )
    )


def _counted_signed(world: World, key: Key, fact: Fact, moment: Moment) -> list[Condition]:
    """Say of a decision that is signed what is said of one that is stamped: whether it counts now, and if not why."""
    said = fact.content
    if not isinstance(said, SignedDecision):
        return []
    release = world.decided_on(key.namespace, fact, said.release)
    if not isinstance(release, Release):
        return [moment.condition("Counted", *_no_release(release, said.release, key.namespace, field="subject"))]
    # The whole verdict: it is kept, and all who signed are in it.
    verdict = world.verdict(Key(namespace=key.namespace, name=release.name), now=moment.now)
    finding = next((each for each in verdict.approvals if each.name == fact.bundle_digest), None) if verdict else None
    return [moment.condition("Counted", *_told(finding, key.namespace))]


def decision_status(kind: str) -> Callable[[World, Key, Moment], Object | None]:
    """Say whether what a person decided counts now, and if not why; `kind` is `ReleaseApproval` or `ReleaseWaiver`."""

    def status(world: World, key: Key, moment: Moment) -> Object | None:
        known: Mapping[Key, Approval | Waiver | str] = world.approvals if kind == kinds.RELEASE_APPROVAL.name else world.waivers
        item = known.get(key)
        if item is None:
            return None
        counts, reason, message = _counted(world, key, item, now=moment.now)
        digest = waiver_digest(name=key.name, spec=item.spec) if isinstance(item, Waiver) else None
        return wire(DecisionStatus(observed_generation=moment.generation, digest=digest, conditions=[moment.condition("Counted", counts, reason, message)]))

    return status


def _counted(world: World, key: Key, item: Approval | Waiver | str, *, now: datetime) -> tuple[bool, Reason, str]:
    if isinstance(item, str):
        return False, Reason.ObjectInvalid, f"{item}; delete it, and decide again"
    name = item.spec.release.name
    release = world.releases.get(Key(namespace=key.namespace, name=name))
    if not isinstance(release, Release):
        return _no_release(release, name, key.namespace, field="spec.release.name")
    # Whether a decision counts depends on no other: with a thousand of them, a thousand whole verdicts would keep the controller busy for minutes.
    return _told(world.finding(item, release, now=now), key.namespace)


def _no_release(found: str | None, name: str, namespace: str, *, field: str) -> tuple[bool, Reason, str]:
    if found is None:
        return False, Reason.ReleaseNotFound, f"{field}: there is no ModelRelease {name} in namespace {namespace}"
    return False, Reason.ReleaseInvalid, f"ModelRelease {name} cannot be read: {found}"


def _told(finding: Finding | None, namespace: str) -> tuple[bool, Reason, str]:
    if finding is None:
        return False, Reason.NoPolicyMatches, f"no ReleasePolicy that can be used selects namespace {namespace}, so nobody holds a role in it"
    return finding.counts, finding.reason, finding.said


def policy_status(world: World, key: Key, moment: Moment) -> Object | None:
    """Say whether everything that the policy names leads somewhere."""
    policy = world.policies.get(key.name)
    if policy is None:
        return None
    if isinstance(policy, InvalidPolicy):
        condition = moment.condition("Accepted", False, Reason.PolicyInvalid, f"{policy.message}; releases that it selects wait until it is repaired")  # noqa: FBT003
    elif problems := policy_problems(policy.spec, world.trust_roots):
        message = "; ".join(f"{problem.message} → {problem.remedy}" for problem in problems)
        condition = moment.condition("Accepted", False, problems[0].reason, message)  # noqa: FBT003 - the condition's status
    else:
        condition = moment.condition("Accepted", True, Reason.Accepted, "every expression, role, tier and trust root in it can be used")  # noqa: FBT003
    return wire(PolicyStatus(observed_generation=moment.generation, conditions=[condition]))


def trust_root_status(world: World, key: Key, moment: Moment) -> Object | None:
    """Say whether the trust material parses."""
    root = world.trust_roots.get(key.name)
    if root is None:
        return None
    reason = Reason.Accepted if root.anchors else Reason.TrustRootInvalid
    message = "the trust material parses" if root.anchors else f"{root.problem}; nothing is verified against it until it is repaired"
    condition = moment.condition("Accepted", root.anchors is not None, reason, message)
    return wire(TrustRootStatus(observed_generation=moment.generation, digest=root.digest or None, conditions=[condition]))


def suite_status(world: World, key: Key, moment: Moment) -> Object | None:
    """Say whether releases can be scored on the suite, and the digest that a policy may pin."""
    suite = world.canaries.suites.get(key)
    if suite is None:
        return None
    if not isinstance(suite, Suite):
        message = f"{suite}; a suite never changes: delete it, and apply one that is right"
        return wire(SuiteStatus(observed_generation=moment.generation, conditions=[moment.condition("Accepted", False, Reason.SuiteInvalid, message)]))  # noqa: FBT003
    reason = Reason.SuiteInvalid if suite.problem else Reason.Accepted
    message = f"{suite.problem}; a suite never changes: delete it, and apply one that is right" if suite.problem else "releases can be scored on it"
    condition = moment.condition("Accepted", not suite.problem, reason, message)
    return wire(SuiteStatus(observed_generation=moment.generation, digest=suite.digest, conditions=[condition]))


STATUSES: Final[dict[str, Callable[[World, Key, Moment], Object | None]]] = {
    kinds.RELEASE_EVIDENCE.name: evidence_status,
    kinds.RELEASE_APPROVAL.name: decision_status(kinds.RELEASE_APPROVAL.name),
    kinds.RELEASE_WAIVER.name: decision_status(kinds.RELEASE_WAIVER.name),
    kinds.RELEASE_POLICY.name: policy_status,
    kinds.TRUST_ROOT.name: trust_root_status,
    kinds.SCORING_SUITE.name: suite_status,
}
"""How the status of each kind but the release itself comes about; None for an object that is gone."""
