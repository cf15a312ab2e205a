"""One requirement of a `ReleasePolicy`: what it asks for, and which fields go with which type.

The API server refuses a field that its type does not read, so that nobody believes in a check that is not made.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from sluice.api.base import LIST_MAP_BY_NAME, LIST_SET, Duration, Label, Line, Model, Sha256, Uri, rule, validations
from sluice.api.canary import AT_MOST_PLANNED, BaselinePods, ErrorRate, Margin, Margins, Minimum, OnInconclusive, Planned
from sluice.api.controls import Control
from sluice.api.drill import Place
from sluice.api.exposure import OnShareTooSmall, Stages
from sluice.api.frameworks import ControlId
from sluice.api.measure import Measure
from sluice.api.permission import GrantKind
from sluice.api.release import ArtifactType
from sluice.api.scoring import SuiteRef
from sluice.api.trigger import Expression


class RequirementType(StrEnum):
    """What a requirement asks for."""

    MODEL_SIGNATURE = "ModelSignature"
    PROVENANCE = "Provenance"
    EVALUATION = "Evaluation"
    APPROVAL = "Approval"
    CANARY = "Canary"
    ROLLBACK_DRILL = "RollbackDrill"
    LINEAGE = "Lineage"
    DATA_PROVENANCE = "DataProvenance"
    VERIFICATION_SUMMARY = "VerificationSummary"
    ROLLBACK_PLAN = "RollbackPlan"
    RESIDUAL_RISK = "ResidualRisk"
    CHANGE_TICKET = "ChangeTicket"
    IMPACT_ASSESSMENT = "ImpactAssessment"
    VENDOR_ASSURANCE = "VendorAssurance"
    RUNTIME_CONTROLS = "RuntimeControls"
    CONDITION = "Condition"
    AUTHORITY = "Authority"


class SeparatedFrom(StrEnum):
    """Whom an approver must not be."""

    TRAINER = "Trainer"
    EVALUATOR = "Evaluator"


class Contamination(StrEnum):
    """What becomes of a release whose model was trained on its test set."""

    REFUSE = "Refuse"


UncoveredPath = Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=r"^[^\x00-\x1f\x7f*?\[\\]+$")]
"""A path below the model's folder; no glob: what is accepted without a signature is written down."""


class Origin(StrEnum):
    """What weights are made of."""

    DATASET = "Dataset"
    CODE = "Code"
    BASE_MODEL = "BaseModel"
    PARAMETERS = "Parameters"


class Root(Model):
    """A model from elsewhere whose own lineage is not asked for."""

    name: Label
    """Name, for people."""
    digest: Sha256
    """Digest under which provenance names it."""


_MAY = {
    "mustReach": "'Lineage'",
    "roots": "'Lineage', 'DataProvenance', 'Evaluation'",
    "suiteDigests": "'Evaluation'",
    "contamination": "'Evaluation'",
    "distinctFrom": "'Approval', 'Evaluation'",
    "builders": "'Provenance', 'Lineage', 'DataProvenance'",
    "externalParameters": "'Provenance', 'Lineage', 'DataProvenance'",
    "licences": "'DataProvenance'",
    "dataClasses": "'DataProvenance'",
    "collectionScopes": "'DataProvenance'",
    "verifiers": "'VerificationSummary'",
    "levels": "'VerificationSummary'",
    "drillMaxAge": "'RollbackPlan'",
    "ownerRoles": "'ResidualRisk'",
    "controls": "'RuntimeControls'",
    "grants": "'Authority'",
    "maxAge": "'RollbackDrill', 'ChangeTicket', 'ImpactAssessment'",
}
"""Fields with the types of requirement that have them."""
_FOR_THE_RELEASE = (
    "'Approval', 'Canary', 'RollbackDrill', 'Lineage', 'DataProvenance', 'RollbackPlan', 'ResidualRisk', 'ChangeTicket', 'ImpactAssessment', "
    "'VendorAssurance', 'Condition', 'RuntimeControls', 'Authority'"
)
_CANARY_NEEDS = ("suite", "margin", "planned", "maxDuration")
_CANARY_MAY = (
    "margins", "falseRollbackRate", "falsePromotionRate", "minimum", "minDuration", "onInconclusive", "baselinePods", "exposure", "onShareTooSmall",
)  # fmt: skip


class Requirement(Model):
    """One thing the policy asks for."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            *(
                rule(f"(self.type == 'Canary') == has(self.{field})", f"{field} goes with type Canary, and it needs it", field=f".{field}")
                for field in _CANARY_NEEDS
            ),
            *(rule(f"self.type == 'Canary' || !has(self.{field})", f"{field} goes with type Canary", field=f".{field}") for field in _CANARY_MAY),
            AT_MOST_PLANNED,
            rule("!has(self.onShareTooSmall) || has(self.exposure)", "onShareTooSmall goes with exposure", field=".onShareTooSmall"),
            rule(
                "(self.type == 'Evaluation') == has(self.measures)",
                "measures go with type Evaluation, and it needs them",
                field=".measures",
            ),
            rule("(self.type == 'Approval') == has(self.counts)", "counts go with type Approval, and it needs them", field=".counts"),
            rule(
                "self.type != 'Evaluation' || !has(self.distinctFrom) || self.distinctFrom == ['Trainer']",
                "who evaluates can be asked to be distinct from the Trainer",
                field=".distinctFrom",
            ),
            rule(
                "self.type != 'Evaluation' || !has(self.roots) || has(self.contamination)",
                "with type Evaluation roots go with contamination: nothing is walked back otherwise",
                field=".roots",
            ),
            rule("!has(self.contamination) || has(self.suiteDigests)", "contamination goes with suiteDigests: what the test set is", field=".contamination"),
            rule("self.type == 'ModelSignature' || !has(self.acceptUncovered)", "acceptUncovered goes with type ModelSignature", field=".acceptUncovered"),
            *(
                rule(f"self.type in [{types}] || !has(self.{field})", f"{field} go with type {types.replace(chr(39), '')}", field=f".{field}")
                for field, types in _MAY.items()
            ),
            rule("self.type != 'Lineage' || has(self.mustReach)", "type Lineage needs mustReach: what has to be known of weights", field=".mustReach"),
            rule("self.type != 'VerificationSummary' || has(self.verifiers)", "type VerificationSummary needs verifiers", field=".verifiers"),
            rule("self.type != 'RuntimeControls' || has(self.controls)", "type RuntimeControls needs controls", field=".controls"),
            rule("self.type != 'ResidualRisk' || has(self.ownerRoles)", "type ResidualRisk needs ownerRoles: who may carry a risk", field=".ownerRoles"),
            rule(
                f"self.type in [{_FOR_THE_RELEASE}] || has(self.artifactTypes)",
                "say for which artifactTypes the evidence is required",
                field=".artifactTypes",
            ),
            rule(
                f"!(self.type in [{_FOR_THE_RELEASE}]) || !has(self.artifactTypes)",
                "approvals, canaries, lineage, data, plans, risks, controls, assurances, conditions, authority and drills are "
                "for the release, not for artifacts",
                field=".artifactTypes",
            ),
            rule("self.type != 'RollbackDrill' || has(self.maxAge)", "type RollbackDrill needs maxAge", field=".maxAge"),
            rule("(self.type == 'Condition') == has(self.expression)", "expression goes with type Condition, and it needs it", field=".expression"),
            rule("(self.type == 'Condition') == has(self.message)", "message goes with type Condition, and it needs it", field=".message"),
            rule("has(self.waivableBy) || !has(self.waiverCounts)", "waiverCounts go with waivableBy: who may waive it", field=".waiverCounts"),
            rule("self.type == 'RollbackDrill' || !has(self.every)", "every goes with type RollbackDrill", field=".every"),
            rule("self.type == 'RollbackDrill' || !has(self.place)", "place goes with type RollbackDrill", field=".place"),
        )
    )

    name: Label
    """Name of the requirement; waivers use it."""
    type: RequirementType
    """What it asks for."""
    artifact_types: Annotated[list[ArtifactType], Field(min_length=1, max_length=8, json_schema_extra=LIST_SET)] | None = None
    """Every artifact of these types needs the evidence, and the release has at least one of them."""
    builders: Annotated[list[Uri], Field(min_length=1, max_length=32, json_schema_extra=LIST_SET)] | None = None
    """Provenance, Lineage, DataProvenance: accepted `builder.id`, exact. Absent: any builder that a permitted signer attests."""
    external_parameters: Annotated[dict[str, Annotated[str, StringConstraints(max_length=2048)]], Field(max_length=64)] | None = None
    """Provenance, Lineage, DataProvenance: what whoever started the build may have chosen, by JSON pointer (`/workflow/ref: refs/heads/main`), exact; another
    value, and a parameter that is not listed, is refused. Absent: they are not looked at."""
    must_reach: Annotated[list[Origin], Field(min_length=1, max_length=4, json_schema_extra=LIST_SET)] | None = None
    """Lineage: what has to be known of weights and of each model that they were made from. Quantized, pruned and merged weights have no data of their own."""
    roots: Annotated[list[Root], Field(min_length=1, max_length=64, json_schema_extra=LIST_MAP_BY_NAME)] | None = None
    """Lineage, DataProvenance, Evaluation with `contamination`: base models from elsewhere where the walk may end."""
    licences: Annotated[list[Line], Field(min_length=1, max_length=64, json_schema_extra=LIST_SET)] | None = None
    """DataProvenance: accepted licences of data, as statements write them (SPDX identifiers). Absent: any."""
    data_classes: Annotated[list[Line], Field(min_length=1, max_length=64, json_schema_extra=LIST_SET)] | None = None
    """DataProvenance: classes of data that models may be trained on, of those that the release has in `authority.dataClasses`. Absent: all of these."""
    collection_scopes: Annotated[list[Line], Field(min_length=1, max_length=64, json_schema_extra=LIST_SET)] | None = None
    """DataProvenance: accepted scopes of collection, exact. Absent: any."""
    verifiers: Annotated[list[Uri], Field(min_length=1, max_length=16, json_schema_extra=LIST_SET)] | None = None
    """VerificationSummary: accepted `verifier.id`, exact."""
    levels: Annotated[list[Line], Field(min_length=1, max_length=16, json_schema_extra=LIST_SET)] | None = None
    """VerificationSummary: levels that the summary has to list, all of them (`SLSA_BUILD_LEVEL_3`). Absent: that it passed is enough."""
    accept_uncovered: Annotated[list[UncoveredPath], Field(min_length=1, max_length=64, json_schema_extra=LIST_SET)] | None = None
    """ModelSignature: paths that the signer may have left out (`ignore_paths`), exact. Absent: none; nobody vouches for what lies there."""
    measures: Annotated[list[Measure], Field(min_length=1, max_length=32)] | None = None
    """Evaluation: the numbers to reach, all of them."""
    counts: Annotated[dict[str, Annotated[int, Field(ge=1, le=8)]], Field(min_length=1, max_length=8)] | None = None
    """Approval: how many people in which role. One person counts once."""
    distinct_from: Annotated[list[SeparatedFrom], Field(min_length=1, max_length=2, json_schema_extra=LIST_SET)] | None = None
    """Approval: whom an approver must not be. Evaluation: Trainer, who evaluates stands behind no signature of the weights."""
    suite_digests: Annotated[dict[str, Sha256], Field(min_length=1, max_length=32)] | None = None
    """Evaluation: the digest of the test set of each of these suites, as the harness records it. What was measured on other cases does not count."""
    contamination: Contamination | None = None
    """Evaluation: Refuse, a test set of `suiteDigests` that went into the weights fails, and what went into them has to be known. Absent: nobody looks."""
    suite: SuiteRef | None = None
    """Canary: what candidate and baseline are asked."""
    margin: Margin | None = None
    """Canary: how much worse than its baseline a release may be, as a difference of scores, on every metric that `margins` does not name."""
    margins: Margins | None = None
    """Canary: the same for some metrics, by the name of the scorer."""
    false_rollback_rate: ErrorRate | None = None
    """Canary: probability to roll back a release that is within the margin, at most. Absent: 0.05."""
    false_promotion_rate: ErrorRate | None = None
    """Canary: probability to promote a release that is outside of it, at most. Absent: 0.05."""
    planned: Planned | None = None
    """Canary: how many cases are asked at most."""
    minimum: Minimum | None = None
    """Canary: how many cases are asked at least before a release is promoted. Absent: as many as the evidence needs."""
    min_duration: Duration | None = None
    """Canary: how long cases are asked at least before a release is promoted, below `maxDuration`; a rollback does not wait. Absent: as the evidence needs."""
    max_duration: Duration | None = None
    """Canary: a run that has not decided by then is inconclusive."""
    on_inconclusive: OnInconclusive | None = None
    """Canary: what becomes of the release when a run ends without a decision. Absent: Hold, and people decide."""
    baseline_pods: BaselinePods | None = None
    """Canary: Own starts a Pod of the baseline to be asked; Serving asks one that serves users. Absent: Own."""
    exposure: Stages | None = None
    """Canary: after the comparison the candidate serves these shares of the users, one after the other, and is promoted when nothing alarmed. Absent: none."""
    on_share_too_small: OnShareTooSmall | None = None
    """Canary: what follows when one Pod is a larger share than a stage allows: Hold waits for more Pods, Skip takes the next stage. Absent: Hold."""
    max_age: Duration | None = None
    """RollbackDrill: longest time since the way back to the baseline was last tried. A release that says less in `rollback.drillMaxAge` keeps to that.
    ChangeTicket, ImpactAssessment: longest time since the decision. Absent: any."""
    every: Duration | None = None
    """RollbackDrill: the controller drills by itself when the last drill is older than this; less than `maxAge`. Absent: people start drills."""
    place: Place | None = None
    """RollbackDrill: only drills that were done there count, and the controller's own are. Absent: any drill counts, and the controller's own are done in the
    namespace of the release."""
    drill_max_age: Duration | None = None
    """RollbackPlan: the release promises in `rollback.drillMaxAge` that its way back is tried at least this often. Absent: it need not promise that."""
    controls: Annotated[list[Control], Field(min_length=1, max_length=8)] | None = None
    """RuntimeControls: what every Pod of the release runs beside the model, all of it."""
    grants: Annotated[list[GrantKind], Field(min_length=1, max_length=4, json_schema_extra=LIST_SET)] | None = None
    """Authority: what of that which the cluster grants is held against `spec.authority` of the release. Absent: Permissions, Secrets, Tokens and Egress."""
    owner_roles: Annotated[list[Label], Field(min_length=1, max_length=8, json_schema_extra=LIST_SET)] | None = None
    """ResidualRisk: roles of the policy; `residualRisk.owner` of the release is a user or a group in one of them."""
    expression: Expression | None = None
    """Condition: CEL over the variables of docs/risk.md that has to be true."""
    message: Line | None = None
    """Condition: what is wrong when it is not, for people: `the owner is no team of payments`."""
    tiers: Annotated[list[Label], Field(min_length=1, max_length=8, json_schema_extra=LIST_SET)] | None = None
    """Only for releases of these tiers, and those that fire a trigger which adds it. Absent: for all; where a trigger adds it, for those that fire one."""
    waivable_by: Annotated[list[Label], Field(min_length=1, max_length=8, json_schema_extra=LIST_SET)] | None = None
    """Roles that may waive it. Absent: nobody may."""
    waiver_counts: Annotated[dict[str, Annotated[int, Field(ge=1, le=8)]], Field(min_length=1, max_length=8)] | None = None
    """How many people in which role approve a waiver of it, beside who asks for it. Absent: one, in a role of `waivableBy`."""
    control_mappings: Annotated[list[ControlId], Field(min_length=1, max_length=16, json_schema_extra=LIST_SET)] | None = None
    """Controls that it helps to meet: `NIST-CSF-2.0:PR.DS-01`, `NIST-AI-RMF:MAP-4.1`, `OWASP-Agentic:ASI02`, `CSA-MAESTRO:L3`. They change no verdict,
    and stand in its record. Absent: none."""
