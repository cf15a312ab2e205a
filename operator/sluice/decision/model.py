"""What goes into a verdict and what comes out.

`Verdict.allows` is computed from the results, and there is no other way to make it `Serve`. An empty list of results allows nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from sluice.api.digests import release_digest
from sluice.api.release import ArtifactType, Outcome, Phase
from sluice.api.requirement import RequirementType
from sluice.api.revocation import OnRevoked
from sluice.decision.granted import Granted
from sluice.decision.reasons import Reason

if TYPE_CHECKING:
    from datetime import datetime

    from sluice.api.approval import ApprovalSpec, WaiverSpec
    from sluice.api.controls import Control
    from sluice.api.permission import GrantKind
    from sluice.api.policy import PolicySpec
    from sluice.api.release import Artifact, ReleaseSpec
    from sluice.api.requirement import Requirement
    from sluice.decision.canary import Due
    from sluice.decision.drills import DrillDue
    from sluice.decision.expressions import Expression
    from sluice.decision.finding import Finding
    from sluice.decision.monitors import Alarm, InvalidMonitor, Watched
    from sluice.decision.records import TrustRoot
    from sluice.decision.revocations import Revocations
    from sluice.decision.runs import InvalidRun, Run, Suite
    from sluice.decision.triggers import Fired, PolicyRisk
    from sluice.evidence.claims import Claims
    from sluice.evidence.facts import Fact
    from sluice.evidence.families import Families

_SHA256_HEX = 64
MODELS = frozenset({ArtifactType.WEIGHTS, ArtifactType.ADAPTER})
"""Artifacts that are the model itself."""


@dataclass(frozen=True)
class Release:
    """A release as the API server stores it."""

    namespace: str
    name: str
    spec: ReleaseSpec

    @cached_property
    def digest(self) -> str:
        """Digest over the identity; approvals name it."""
        return release_digest(namespace=self.namespace, name=self.name, spec=self.spec)

    @cached_property
    def digests(self) -> frozenset[str]:
        """Every digest that evidence about this release, or a Pod of it, may name."""
        return frozenset(digest for artifact in self.spec.artifacts for digest in (artifact.digest, carrier(artifact)) if digest)

    @cached_property
    def spoken_of(self) -> frozenset[str]:
        """Every digest under which evidence may speak of this release: those of its artifacts, its own, and that of what vouches for its vendor."""
        vendor = self.spec.vendor
        return self.digests | {self.digest} | ({vendor.assurance.digest} if vendor and vendor.assurance else frozenset())

    @cached_property
    def image_digests(self) -> frozenset[str]:
        """Digests of the OCI manifests that a Pod of this release may name: its images, and what carries its model.

        Nothing else runs, whatever its uri pins: evidence is asked for by type, and a Dataset that is an image would be asked for none.
        """
        runs = (artifact for artifact in self.spec.artifacts if artifact.type is ArtifactType.IMAGE or artifact.type in MODELS)
        return frozenset(digest for artifact in runs if (digest := carrier(artifact)))

    @cached_property
    def model_digests(self) -> frozenset[str]:
        """Digests of the OCI manifests that carry the model itself: whoever runs one of them serves this model."""
        models = (artifact for artifact in self.spec.artifacts if artifact.type in MODELS)
        return frozenset(digest for artifact in models if (digest := carrier(artifact)))

    @cached_property
    def model_names(self) -> frozenset[str]:
        """Digests under which statements may name the models of this release: of the weights, and of what carries them."""
        models = (artifact for artifact in self.spec.artifacts if artifact.type in MODELS)
        return frozenset(digest for artifact in models for digest in (artifact.digest, carrier(artifact)) if digest)


def carrier(artifact: Artifact) -> str | None:
    """Return the digest of the OCI manifest that the artifact's uri pins, if it pins one."""
    _, at, digest = (artifact.uri or "").rpartition("@")
    pinned = at and digest.startswith("sha256:") and len(digest) == len("sha256:") + _SHA256_HEX
    return digest if pinned and not (artifact.uri or "").startswith(("git+", "http:", "https:", "s3:", "gs:")) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy that can be used: its expressions are compiled."""

    name: str
    spec: PolicySpec
    tiers: tuple[Expression, ...]
    """The conditions of the tiers, in their order."""
    whens: Mapping[str, Expression]
    """Of triggers that have one."""
    conditions: Mapping[str, Expression]
    """Of the requirements of type Condition."""
    compares: bool
    """Whether anything in it depends on what differs from the baseline."""
    reads: frozenset[str]
    """The variables that its expressions name."""
    revocations: Revocations
    families: Families
    """Which numbers belong to which family, with what the policy adds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidPolicy:
    """A policy that selects the release and cannot be used. It is not ignored: it stands for a requirement that nobody can meet."""

    name: str
    message: str
    revocations: Revocations
    """What it revokes counts all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """One `ReleaseApproval`."""

    name: str
    spec: ApprovalSpec
    uid: str = ""
    """What a revocation of it names; empty for one in a file."""
    created: str = ""
    """When, as the API server says it; empty for one in a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """One `ReleaseWaiver`."""

    name: str
    spec: WaiverSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A bundle that could not be verified. Its claims are used to explain, never to satisfy."""

    source: str
    claims: Claims
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """The other releases that a release is held against. Cases in here have no `standing` and no `rivals` of rivals: nothing is looked at without end."""

    baseline: Release | None = None
    """The release that it names as its baseline, when it can be read."""
    facts: tuple[Fact, ...] = ()
    """What verified evidence says of the artifacts of this baseline; empty where no policy looks at it."""
    unverified: tuple[str, ...] = ()
    """Names of `ReleaseEvidence` about these that was not held against every trust root yet."""
    ancestors: tuple[Case, ...] = ()
    """Its baseline, that one's and so on, of the same model, each with its own baseline and no ancestors; empty where no policy asks what differs."""
    standing: Case | None = None
    """The same, with what a verdict on it depends on; None where nobody asks for one."""
    rivals: tuple[Case, ...] = ()
    """Of a release that names no baseline: others of its model that may have been there before it."""
    unseen: int = 0
    """How many more of these there are than are looked at."""
    serving: bool = False
    """Whether the release itself serves already, as its status says; only the controller writes one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kin:
    """What the models of a release were made from, and from what those were made: what verified evidence of the namespace says of it."""

    facts: tuple[Fact, ...] = ()
    releases: tuple[Case, ...] = ()
    """Other releases whose model is among these; none of their cases has kin of its own."""
    whole: bool = True
    """Whether all of it is here; what is beyond the bounds is left out."""
    unverified: tuple[str, ...] = ()
    """Names of `ReleaseEvidence` about these that was not held against every trust root yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything about one release that a verdict depends on, except the time."""

    release: Release
    policies: tuple[Policy | InvalidPolicy, ...]
    facts: tuple[Fact, ...]
    refusals: tuple[Refusal, ...] = ()
    approvals: tuple[Approval, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    runs: tuple[Run | InvalidRun, ...] = ()
    suites: Mapping[str, Suite | str] = field(default_factory=dict)
    """The suites of the namespace that policies name; a text says why one cannot be read."""
    lineage: Lineage = field(default_factory=Lineage)
    kin: Kin = field(default_factory=Kin)
    """Empty where no policy asks for lineage."""
    monitors: tuple[Watched | InvalidMonitor, ...] = ()
    trust_roots: Mapping[str, TrustRoot] = field(default_factory=dict)
    """All that there are, by name: what they revoke, and whether signers of the policies can be verified. Policies bring revocations of their own."""
    unverified: tuple[str, ...] = ()
    """Names of `ReleaseEvidence` about the release that was not held against every trust root yet."""
    granted: Granted = field(default_factory=Granted)  # Nothing is known of that where no policy asks.
    undecided: tuple[str, ...] = ()
    """Of these, the ones that say they are decisions of people: any of them might reject the release, or take an approval back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one requirement came to, in words for the person who can change it."""

    policy: str
    requirement: str
    outcome: Outcome
    reason: Reason
    message: str
    remedy: str | None = None
    evidence: tuple[str, ...] = ()
    type: RequirementType | None = None
    """What kind of requirement it is; None when no requirement was asked."""
    control_mappings: tuple[str, ...] = ()
    """Controls that the requirement helps to meet, as its policy says."""
    lacks: tuple[str, ...] = ()
    """What exactly is short, in a word each: the roles nobody signed off in."""
    run: str | None = None
    """The CanaryRun that it rests on."""
    due: Due | None = None
    """What a CanaryRun has to pin, while one is asked for."""
    controls: tuple[Control, ...] = ()
    """What every Pod of the release has to run, where this is satisfied."""
    grants: frozenset[GrantKind] = frozenset()
    """What every Pod of the release is held to, where this is satisfied."""
    drill: DrillDue | None = None
    """The drill that the controller is to make by itself, now."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One requirement of one policy."""

    policy: Policy
    requirement: Requirement

    def result(self, outcome: Outcome, reason: Reason, message: str, *, remedy: str | None = None, evidence: tuple[str, ...] = ()) -> Result:
        """Say what the requirement came to."""
        return Result(
            policy=self.policy.name, requirement=self.requirement.name, outcome=outcome, reason=reason, message=message, remedy=remedy, evidence=evidence,
            type=self.requirement.type, control_mappings=tuple(self.requirement.control_mappings or ()),
        )  # fmt: skip


class Allowance(StrEnum):
    """What a verdict allows."""

    NOTHING = "Nothing"
    CANARY = "Canary"
    """Be tried out of traffic: scored beside its baseline, and drilled."""
    SERVE = "Serve"


_TO_BE_TRIED = frozenset({Reason.CanaryNotRun, Reason.CanaryRunning, Reason.DrillMissing, Reason.DrillExpired})
"""What a release may be let in for, out of traffic, when all else is there."""
_TO_BE_RECORDED = frozenset({Reason.PairsMissing, Reason.PairsOfAnother})
"""What a canary that counts recordings lacks: evidence, and nothing to try."""
_TRIALS = frozenset({RequirementType.CANARY, RequirementType.ROLLBACK_DRILL})
_FOR_EVER = frozenset({Reason.CanaryRolledBack, Reason.DriftRolledBack})
_ROLLED_BACK = _FOR_EVER | {Reason.CanaryInconclusive}
_REVOKED = frozenset({Reason.SignerRevoked, Reason.ReleaseRevoked, Reason.ArtifactRevoked})


def _urgency(unmet: Result) -> tuple[bool, ...]:
    return unmet.reason not in _REVOKED, unmet.reason not in _FOR_EVER, unmet.outcome is not Outcome.FAILED, unmet.reason is not Reason.Withdrawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All results for one release at one moment."""

    release_digest: str
    evidence_digest: str
    results: tuple[Result, ...]
    risks: tuple[PolicyRisk, ...] = ()
    """One for each policy that can be used, by name."""
    risk_owner: str | None = None
    """Who carries the risk that remains, as the release says."""
    approvals: tuple[Finding, ...] = ()
    waivers: tuple[Finding, ...] = ()
    watched: bool = False
    """Whether the release has a monitor."""
    alarms: tuple[Alarm, ...] = ()
    """What its monitors found, what asks for the most first."""
    on_revoked: OnRevoked = OnRevoked.WITHDRAW
    """What becomes of it while it runs, should it be revoked."""
    changes_at: datetime | None = None
    """When time alone may change the verdict next, and not before; None when it does not."""

    @property
    def tier(self) -> str | None:
        """The tiers that policies see, separated by commas; None when none can be told."""
        return ",".join(sorted({risk.tier for risk in self.risks if risk.tier})) or None

    @property
    def fired(self) -> tuple[Fired, ...]:
        """Every trigger that fires, with its reasons."""
        return tuple(fired for risk in self.risks for fired in risk.fired)

    @property
    def allows(self) -> Allowance:
        """The only place that can say `Serve`, or `Canary`."""
        if not self.results or self.rejected:
            return Allowance.NOTHING
        if not self.open:
            return Allowance.SERVE
        trying = all(result.outcome in {Outcome.MISSING, Outcome.EXPIRED} and result.reason in _TO_BE_TRIED for result in self.open)
        return Allowance.CANARY if trying else Allowance.NOTHING

    @property
    def due(self) -> tuple[Due, ...]:
        """What has to be scored now: one for each requirement; empty unless it may be."""
        return tuple(result.due for result in self.open if result.due is not None) if self.allows is Allowance.CANARY else ()

    @property
    def rolled_back(self) -> bool:
        """Whether a comparison with its baseline took it out, or what it did after release."""
        return any(result.outcome is Outcome.FAILED and result.reason in _ROLLED_BACK for result in self.results)

    @property
    def withdrawn(self) -> bool:
        """Whether a monitor took it out of service until somebody has looked."""
        return any(result.reason is Reason.Withdrawn for result in self.results)

    @property
    def revoked(self) -> bool:
        """Whether the release was revoked, or something that it rests on."""
        return any(result.reason in _REVOKED for result in self.results)

    @property
    def unverified(self) -> bool:
        """Whether it waits for evidence that is being verified: seconds, and no reason to change anything yet."""
        return any(result.reason is Reason.EvidenceUnverified for result in self.results)

    @property
    def rejected(self) -> bool:
        """Whether somebody with the right to do so rejected the release."""
        return any(finding.rejects and finding.counts for finding in self.approvals)

    @property
    def hopeless(self) -> bool:
        """Whether waiting alone cannot make it right: such Pods are denied, others are held."""
        return self.rejected or any(result.outcome is Outcome.FAILED for result in self.results)

    @property
    def open(self) -> tuple[Result, ...]:
        """What stands between the release and serving: a revocation first, a roll-back next, then what failed, then a withdrawal."""
        unmet = [result for result in self.results if result.outcome not in {Outcome.SATISFIED, Outcome.WAIVED}]
        return tuple(sorted(unmet, key=_urgency))

    @property
    def phase(self) -> Phase:
        """Where the release stands."""
        if self.allows is Allowance.SERVE:
            return Phase.SERVING
        if self.revoked:
            return Phase.REVOKED
        if self.rolled_back:
            return Phase.ROLLED_BACK
        if self.hopeless:
            return Phase.REJECTED
        if self.withdrawn:
            return Phase.WITHDRAWN
        types = {result.type for result in self.open if result.reason not in _TO_BE_RECORDED}
        if types <= _TRIALS and RequirementType.CANARY in types:
            return Phase.CANARY
        reasons = {result.reason for result in self.open}
        if not reasons or reasons & {Reason.NoPolicyMatches, Reason.PolicyInvalid, Reason.ReleaseInvalid, Reason.MonitorInvalid, Reason.RevocationUnreadable}:
            return Phase.PENDING
        if self.unverified:
            return Phase.VERIFYING
        # What is tried once people signed off is nothing that they wait for.
        return Phase.AWAITING_APPROVAL if reasons - _TO_BE_TRIED == {Reason.ApprovalMissing} else Phase.AWAITING_EVIDENCE
