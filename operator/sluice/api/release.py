"""`ModelRelease`: one immutable version of one model, and what Sluice concludes about it.

Everything in `spec` is identity: it goes into the release digest (`sluice.api.digests`), which approvals and waivers name.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from sluice.api.base import (
    LIST_MAP_BY_NAME,
    LIST_SET,
    ArtifactDigest,
    Conditions,
    Duration,
    Label,
    Line,
    Model,
    Name,
    NameRef,
    Sha256,
    Text,
    Uri,
    immutable,
    rule,
    validations,
)
from sluice.api.canary import CanaryDecision
from sluice.api.permission import Permission
from sluice.api.trigger import SecurityChange


class ChangeType(StrEnum):
    """How the model came to differ from its baseline."""

    TRAIN = "Train"
    RETRAIN = "Retrain"
    FINE_TUNE = "FineTune"
    DISTILL = "Distill"
    PRUNE = "Prune"
    QUANTIZE = "Quantize"
    MERGE = "Merge"
    PROMPT = "Prompt"
    CONFIGURATION = "Configuration"
    VENDOR = "Vendor"


class ArtifactType(StrEnum):
    """What an artifact is. `Weights` and `Adapter` make a Pod that carries them a model server."""

    WEIGHTS = "Weights"
    ADAPTER = "Adapter"
    TOKENIZER = "Tokenizer"
    CODE = "Code"
    IMAGE = "Image"
    DATASET = "Dataset"
    PROMPT = "Prompt"
    CONFIGURATION = "Configuration"


class Owner(Model):
    """Who answers for the release."""

    group: Line
    """Group that owns the model."""
    contact: Line
    """Where to reach the group."""


class Assessment(Model):
    """A document, named by digest."""

    digest: Sha256
    """Digest of the document."""


class Impact(Model):
    """What the change means for those it touches."""

    assessment: Assessment | None = None
    """The impact assessment, by digest."""
    summary: Text
    """The assessment in a sentence."""


class Change(Model):
    """What changed, against what, and under which ticket."""

    type: ChangeType
    """How the model came to differ from its baseline."""
    baseline: NameRef | None = None
    """The release that this one replaces, is compared with and rolls back to; absent only for a first release."""
    ticket: Uri | None = None
    """Change ticket."""
    impact: Impact | None = None
    """Impact of the change."""


class Artifact(Model):
    """One thing the release consists of, bound by digest."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            rule(
                "self.type != 'Image' || (has(self.uri) && self.uri.endsWith('@' + self.digest))",
                "an Image needs a uri that ends in @ and its digest (registry/repository@sha256:…): tags can move",
            ),
            rule(
                "!(self.type in ['Weights', 'Adapter']) || self.digest.startsWith('sha256:')",
                "weights and adapters are bound by a sha256: digest (of the OCI manifest, or the name-binding digest of their files)",
            ),
        )
    )

    name: Label
    """Name inside the release."""
    type: ArtifactType
    """What it is."""
    uri: Uri | None = None
    """Where it is: `registry/repository@sha256:…`, `oci://…@sha256:…`, `s3://…`, `git+https://…@…`."""
    digest: ArtifactDigest
    """The digest that binds it: an OCI manifest digest, the name-binding digest of a set of files, or a Git commit."""


class Training(Model):
    """The run that produced the weights."""

    run: Uri
    """Identifier of the run in the tracking system."""
    parameters_digest: Sha256 | None = None
    """Digest of the parameters of the run."""


class ToolEffect(StrEnum):
    """The widest effect that a tool can have."""

    READ = "Read"
    WRITE = "Write"
    ADMIN = "Admin"


class Tool(Model):
    """A tool the model may call."""

    name: Line
    """Name of the tool."""
    effect: ToolEffect
    """The widest effect it can have."""


class SecretAuthority(Model):
    """A secret the model may use."""

    name: Line
    """Name of the Secret."""
    max_lifetime: Duration | None = None
    """Longest lifetime of the credential in it."""


Address = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F:.]+(/[0-9]{1,3})?$", max_length=49)]
"""An address or a range of them: `10.1.2.0/24`, `2001:db8::/64`."""


class Egress(Model):
    """A destination the model may reach."""

    host: Line
    """Host name, or an address."""
    port: Annotated[int, Field(ge=1, le=65535)]
    """TCP port."""
    addresses: Annotated[list[Address], Field(min_length=1, max_length=32, json_schema_extra=LIST_SET)] | None = None
    """Addresses of the host, as CIDRs: what NetworkPolicies may allow for it, since they know no names."""
    namespace: Label | None = None
    """Namespace whose Pods answer for the host: what NetworkPolicies may allow for it, inside the cluster."""


class SafetyFilter(Model):
    """A filter around the model."""

    name: Line
    """Name of the filter."""
    digest: Sha256
    """Digest of the filter."""


class Vendor(Model):
    """The third party that runs the model, when its weights are not ours."""

    name: Line
    """Name of the vendor."""
    model: Line
    """What the vendor calls the model."""
    version: Line | None = None
    """Which version of it; absent when the vendor does not tell."""
    assurance: Assessment | None = None
    """The document that says that it may be used, by digest."""


class Authority(Model):
    """What the model may touch."""

    service_account: Line | None = None
    """Service account of its Pods; a Pod with another one is denied."""
    tools: Annotated[list[Tool], Field(max_length=64, json_schema_extra=LIST_MAP_BY_NAME)] = []
    """Tools it may call."""
    data_classes: Annotated[list[Line], Field(max_length=64, json_schema_extra=LIST_SET)] = []
    """Classes of data it sees."""
    secrets: Annotated[list[SecretAuthority], Field(max_length=32, json_schema_extra=LIST_MAP_BY_NAME)] = []
    """Secrets it may use."""
    egress: Annotated[list[Egress], Field(max_length=64)] = []
    """Destinations it may reach."""
    # Absent, not empty, where nothing is said: a default would change the digests of releases that were signed off before the field was there.
    permissions: Annotated[list[Permission], Field(min_length=1, max_length=64)] | None = None
    """What its service account may do at the Kubernetes API. Absent: nothing but what every account may."""
    token_lifetime: Duration | None = None
    """Longest lifetime of a token of its service account in a Pod. Absent: its Pods mount none."""
    context_window: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """Longest context, in tokens."""
    safety_filters: Annotated[list[SafetyFilter], Field(max_length=32, json_schema_extra=LIST_MAP_BY_NAME)] = []
    """Filters around it."""


class ResidualRisk(Model):
    """The risk that remains, and who carries it."""

    owner: Line
    """Who carries it."""
    statement: Text
    """What may happen."""


class Rollback(Model):
    """When and how to go back to the baseline."""

    criteria: Text
    """What makes the owner roll back."""
    drill_max_age: Duration | None = None
    """Longest time since the last drill, where a policy asks for one and allows more."""


_IDENTITY = "a release never changes; new weights, data, behaviour or authority is a new ModelRelease"


class ReleaseSpec(Model):
    """Identity of a release. Immutable as a whole."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            *immutable(
                ["model", "version", "owner", "change", "artifacts", "training", "vendor", "authority", "residualRisk", "stages", "rollback"],
                _IDENTITY,
            )
        )
    )

    model: Label
    """Name of the model, the same in all its releases."""
    version: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z]([0-9A-Za-z.+_-]*[0-9A-Za-z])?$", max_length=64)]
    """Version of the model."""
    owner: Owner
    """Who answers for the release."""
    change: Change
    """What changed, against what, and under which ticket."""
    artifacts: Annotated[list[Artifact], Field(min_length=1, max_length=64, json_schema_extra=LIST_MAP_BY_NAME)]
    """What the release consists of."""
    training: Training | None = None
    """The run that produced the weights."""
    vendor: Vendor | None = None
    """The third party that runs the model, when its weights are not ours."""
    authority: Authority | None = None
    """What the model may touch."""
    residual_risk: ResidualRisk | None = None
    """The risk that remains, and who carries it."""
    stages: Annotated[list[Label], Field(min_length=1, max_length=16, json_schema_extra=LIST_SET)]
    """Stages the release is meant for, matched with the namespace label `sluice.dev/stage`."""
    rollback: Rollback | None = None
    """When and how to go back to the baseline."""


class Phase(StrEnum):
    """Where a release stands. Off the path: Rejected, Withdrawn, RolledBack, Revoked."""

    PENDING = "Pending"
    VERIFYING = "Verifying"
    AWAITING_EVIDENCE = "AwaitingEvidence"
    AWAITING_APPROVAL = "AwaitingApproval"
    CANARY = "Canary"
    SERVING = "Serving"
    REJECTED = "Rejected"
    WITHDRAWN = "Withdrawn"
    ROLLED_BACK = "RolledBack"
    REVOKED = "Revoked"


class Outcome(StrEnum):
    """What one requirement came to."""

    SATISFIED = "Satisfied"
    MISSING = "Missing"
    FAILED = "Failed"
    EXPIRED = "Expired"
    WAIVED = "Waived"


class FiredTrigger(Model):
    """A trigger of a policy that fires, and why."""

    policy: Name
    """The ReleasePolicy that has it."""
    name: Label
    """The trigger in it."""
    change: SecurityChange | None = None
    """Which security change; absent where an expression of the policy (`when`) says so."""
    detail: Annotated[str, StringConstraints(max_length=512)]
    """What differs, in words."""


class Risk(Model):
    """How much is at stake, computed from facts."""

    tier: Line | None = None
    """The tier of the release; with several policies that see it differently, all of them, separated by commas. Absent: it cannot be told."""
    triggers: Annotated[list[FiredTrigger], Field(max_length=64)] = []
    """What fires: the security changes since the baseline that policies name. Empty for a release on the light path."""
    owner: Line | None = None
    """Who carries the risk that remains: `residualRisk.owner` of the release."""


class RequirementStatus(Model):
    """What one requirement of one policy came to."""

    policy: Name
    """The ReleasePolicy that asks."""
    name: Label
    """The requirement in it."""
    outcome: Outcome
    """What it came to."""
    reason: Annotated[str, StringConstraints(max_length=64)]
    """Stable code; see docs/reasons.md."""
    message: Annotated[str, StringConstraints(max_length=4096)]
    """What was looked at."""
    remedy: Annotated[str, StringConstraints(max_length=1024)] | None = None
    """Who does what next."""
    evidence: Annotated[list[Sha256], Field(max_length=64)] = []
    """Digests of the bundles that were used."""


class ApprovalStatus(Model):
    """A sign-off that counts, a rejection, or the revocation of a sign-off."""

    name: Line
    """The ReleaseApproval, or the digest of the bundle that somebody signed."""
    role: Label
    """In which role."""
    username: Annotated[str, StringConstraints(max_length=1024)]
    """Who signed off."""
    decision: Annotated[str, StringConstraints(max_length=16)]
    """Approve, Reject, or Revoke."""


class CanaryRef(Model):
    """The comparison that matters now."""

    run: NameRef
    """The CanaryRun."""
    decision: CanaryDecision
    """What it came to."""


class ReleaseStatus(Model):
    """Written by the controller only; the API server refuses anybody else."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The generation that this status speaks of."""
    phase: Phase | None = None
    """Where the release stands."""
    release_digest: Sha256 | None = None
    """Digest over the identity fields; approvals name it."""
    evidence_digest: Sha256 | None = None
    """Digest over the verified evidence that the verdict used; approvals name it."""
    risk: Risk | None = None
    """How much is at stake."""
    missing: Annotated[str, StringConstraints(max_length=1024)] | None = None
    """What stands between the release and serving, in a line; empty when nothing does."""
    requirements: Annotated[
        list[RequirementStatus],
        Field(max_length=256, json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["policy", "name"]}),
    ] = []
    """One result for each requirement of each policy that matches."""
    approvals: Annotated[list[ApprovalStatus], Field(max_length=64, json_schema_extra=LIST_MAP_BY_NAME)] = []
    """Sign-offs that count, rejections and revocations."""
    canary: CanaryRef | None = None
    """The latest comparison with its baseline; the one that rolled it back, when one did."""
    conditions: Conditions = []
    """Ready, Verified, EvidenceComplete, Approved, CanaryPassed, Drilled, Healthy, Discovered; Reconciling or Stalled only while true (kstatus)."""
