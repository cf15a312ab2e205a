"""The kinds: how each is named, who owns it and what `kubectl get` shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sluice.api import approval, canary, drill, evidence, monitor, policy, release, scoring, trust

if TYPE_CHECKING:
    from sluice.api.base import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of `kubectl get`; those with priority 1 only with `-o wide`."""

    name: str
    path: str
    type: str = "string"
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of resource."""

    name: str
    plural: str
    short: str
    namespaced: bool
    description: str
    spec: type[Model]
    status: type[Model]
    columns: tuple[Column, ...]


_AGE = Column(name="Age", path=".metadata.creationTimestamp", type="date")


def _condition(type_: str, part: str = "status") -> str:
    return f'.status.conditions[?(@.type=="{type_}")].{part}'


def _of_release(name: str, plural: str, short: str, *, description: str, spec: type[Model], columns: tuple[Column, ...]) -> Kind:
    return Kind(
        name=name, plural=plural, short=short, namespaced=True, description=description, spec=spec, status=approval.DecisionStatus,
        columns=(
            Column(name="Release", path=".spec.release.name"),
            *columns,
            Column(name="By", path=".spec.approver.username"),
            Column(name="Counts", path=_condition("Counted")),
            Column(name="Reason", path=_condition("Counted", "reason")),
            Column(name="Expires", path=".spec.expires", priority=1),
            _AGE,
        ),
    )  # fmt: skip


MODEL_RELEASE = Kind(
    name="ModelRelease", plural="modelreleases", short="mr", namespaced=True,
    description="One immutable version of one model: artifacts, change, authority, risk. It may serve once policy is satisfied.",
    spec=release.ReleaseSpec, status=release.ReleaseStatus,
    columns=(
        Column(name="Model", path=".spec.model"),
        Column(name="Version", path=".spec.version"),
        Column(name="Tier", path=".status.risk.tier"),
        Column(name="Phase", path=".status.phase"),
        Column(name="Missing", path=".status.missing"),
        Column(name="Change", path=".spec.change.type", priority=1),
        Column(name="Security-Changes", path=".status.risk.triggers[*].change", priority=1),
        Column(name="Baseline", path=".spec.change.baseline.name", priority=1),
        Column(name="Owner", path=".spec.owner.group", priority=1),
        Column(name="Release-Digest", path=".status.releaseDigest", priority=1),
        Column(name="Evidence-Digest", path=".status.evidenceDigest", priority=1),
        _AGE,
    ),
)  # fmt: skip
RELEASE_EVIDENCE = Kind(
    name="ReleaseEvidence", plural="releaseevidences", short="mre", namespaced=True,
    description="One signed in-toto statement about artifacts, with the raw files it names. Found by the digests it speaks of.",
    spec=evidence.EvidenceSpec, status=evidence.EvidenceStatus,
    columns=(
        Column(name="Verified", path=_condition("Verified")),
        Column(name="Reason", path=_condition("Verified", "reason")),
        Column(name="Predicate", path=".status.predicateType"),
        Column(name="Counts", path=_condition("Counted"), priority=1),
        Column(name="Identity", path=".status.signer.identity", priority=1),
        Column(name="Key", path=".status.signer.key", priority=1),
        Column(name="Trust-Root", path=".status.signer.trustRoot", priority=1),
        _AGE,
    ),
)  # fmt: skip
RELEASE_APPROVAL = _of_release(
    "ReleaseApproval", "releaseapprovals", "mra",
    description="One decision of one person about one release on exactly the evidence seen.",
    spec=approval.ApprovalSpec,
    columns=(Column(name="Role", path=".spec.role"), Column(name="Decision", path=".spec.decision")),
)  # fmt: skip
RELEASE_WAIVER = _of_release(
    "ReleaseWaiver", "releasewaivers", "mrw",
    description="Requirements of one release that somebody takes the risk for, until a date.",
    spec=approval.WaiverSpec,
    columns=(Column(name="Risk-Owner", path=".spec.riskOwner"),),
)  # fmt: skip
RELEASE_POLICY = Kind(
    name="ReleasePolicy", plural="releasepolicies", short="mrp", namespaced=False,
    description="Who may sign what, who may approve as what, and what a release needs. All policies that match add up.",
    spec=policy.PolicySpec, status=policy.PolicyStatus,
    columns=(Column(name="Accepted", path=_condition("Accepted")), Column(name="Reason", path=_condition("Accepted", "reason")), _AGE),
)  # fmt: skip
TRUST_ROOT = Kind(
    name="TrustRoot", plural="trustroots", short="mtr", namespaced=False,
    description="Whose signatures can be verified: a Sigstore instance, a private PKI, or plain public keys; and what is revoked.",
    spec=trust.TrustRootSpec, status=trust.TrustRootStatus,
    columns=(Column(name="Accepted", path=_condition("Accepted")), Column(name="Reason", path=_condition("Accepted", "reason")), _AGE),
)  # fmt: skip
SCORING_SUITE = Kind(
    name="ScoringSuite", plural="scoringsuites", short="mss", namespaced=True,
    description="What a candidate and its baseline are asked, how, and what counts as a good answer.",
    spec=scoring.SuiteSpec, status=scoring.SuiteStatus,
    columns=(
        Column(name="Protocol", path=".spec.protocol.type"),
        Column(name="Model", path=".spec.protocol.model"),
        Column(name="Accepted", path=_condition("Accepted")),
        Column(name="Reason", path=_condition("Accepted", "reason")),
        Column(name="Digest", path=".status.digest", priority=1),
        _AGE,
    ),
)  # fmt: skip
CANARY_RUN = Kind(
    name="CanaryRun", plural="canaryruns", short="mcr", namespaced=True,
    description="One comparison of a candidate with its baseline. Written by the controller.",
    spec=canary.CanarySpec, status=canary.CanaryStatus,
    columns=(
        Column(name="Release", path=".spec.release.name"),
        Column(name="Baseline", path=".spec.baseline.name"),
        Column(name="Phase", path=".status.phase"),
        Column(name="Decision", path=".status.decision"),
        Column(name="Units", path=".status.units", type="integer"),
        Column(name="Planned", path=".status.planned", type="integer"),
        Column(name="Reason", path=".status.reason", priority=1),
        Column(name="Suite", path=".spec.suite.name", priority=1),
        Column(name="Policy", path=".spec.policy", priority=1),
        _AGE,
    ),
)  # fmt: skip
RELEASE_MONITOR = Kind(
    name="ReleaseMonitor", plural="releasemonitors", short="mrm", namespaced=True,
    description="One thing that is watched after a release, and what was found. Written by the controller.",
    spec=monitor.MonitorSpec, status=monitor.MonitorStatus,
    columns=(
        Column(name="Release", path=".spec.release.name"),
        Column(name="Monitor", path=".spec.monitor.name"),
        Column(name="Phase", path=".status.phase"),
        Column(name="Found", path=".status.findings[*].cause"),
        Column(name="Asks", path=".status.findings[*].ask"),
        Column(name="Observations", path=".status.observations", type="integer"),
        Column(name="Last-Reading", path=".status.lastReading", type="date"),
        Column(name="Policy", path=".spec.policy", priority=1),
        _AGE,
    ),
)  # fmt: skip
RELEASE_DRILL = Kind(
    name="ReleaseDrill", plural="releasedrills", short="mrd", namespaced=True,
    description="The way back from a release to its baseline, tried beside the users and measured. What it proves becomes evidence.",
    spec=drill.DrillSpec, status=drill.DrillStatus,
    columns=(
        Column(name="Release", path=".spec.release.name"),
        Column(name="Baseline", path=".status.baseline.name"),
        Column(name="Phase", path=".status.phase"),
        Column(name="Reason", path=".status.reason"),
        Column(name="Restored-After", path=".status.measured.restoreSeconds"),
        Column(name="Out-After", path=".status.measured.outSeconds", priority=1),
        Column(name="Back-After", path=".status.measured.backSeconds", priority=1),
        Column(name="Scratch", path=".status.scratchNamespace", priority=1),
        Column(name="Evidence", path=".status.evidence.name", priority=1),
        _AGE,
    ),
)  # fmt: skip

KINDS = (
    MODEL_RELEASE, RELEASE_EVIDENCE, RELEASE_APPROVAL, RELEASE_WAIVER, RELEASE_POLICY, TRUST_ROOT, SCORING_SUITE, CANARY_RUN, RELEASE_MONITOR, RELEASE_DRILL,
)  # fmt: skip
