"""One requirement of a `ReleasePolicy`: what it asks for, and which fields go with which type.

The API server refuses a field that its type does not read, so that nobody believes in a check that is not made.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from sluice.api.base import LIST_MAP_BY_NAME, LIST_SET, Decimal, Duration, Label, Line, Model, Sha256, Uri, exactly_one, rule, validations
from sluice.api.canary import AT_MOST_PLANNED, BaselinePods, ErrorRate, Margin, Margins, Minimum, OnInconclusive, Planned
from sluice.api.exposure import OnShareTooSmall, Stages
from sluice.api.release import ArtifactType
from sluice.api.scoring import SuiteRef


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


class Measure(Model):
    """A number that an evaluation must reach."""

    model_config = ConfigDict(json_schema_extra=validations(exactly_one("atLeast", "atMost")))

    suite: Line
    """Suite, as the harness names it (an lm-eval task)."""
    metric: Line
    """Metric, as the harness names it (`acc`)."""
    at_least: Decimal | None = None
    """The lower confidence bound is at least this. The metric lies in [0, 1]."""
    at_most: Decimal | None = None
    """The upper confidence bound is at most this. The metric lies in [0, 1]."""
    confidence: Annotated[str, StringConstraints(pattern=r"^0\.[5-9][0-9]{0,5}$", max_length=8)] = "0.95"
    """One-sided confidence of the bound."""
    max_age: Duration | None = None
    """Longest time since the evaluation was signed."""


class SeparatedFrom(StrEnum):
    """Whom an approver must not be."""

    TRAINER = "Trainer"
    EVALUATOR = "Evaluator"


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


_ORIGIN_MAY = {
    "mustReach": "'Lineage'",
    "roots": "'Lineage', 'DataProvenance'",
    "builders": "'Provenance', 'Lineage', 'DataProvenance'",
    "externalParameters": "'Provenance', 'Lineage', 'DataProvenance'",
    "licences": "'DataProvenance'",
    "dataClasses": "'DataProvenance'",
    "collectionScopes": "'DataProvenance'",
    "verifiers": "'VerificationSummary'",
    "levels": "'VerificationSummary'",
}
"""Fields about where things come from, with the types of requirement that have them."""
_FOR_THE_RELEASE = "'Approval', 'Canary', 'RollbackDrill', 'Lineage', 'DataProvenance'"
_CANARY_NEEDS = ("suite", "margin", "planned", "maxDuration")
_CANARY_MAY = ("margins", "falseRollbackRate", "falsePromotionRate", "minimum", "onInconclusive", "baselinePods", "exposure", "onShareTooSmall")


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
            rule("self.type == 'Approval' || !has(self.distinctFrom)", "distinctFrom goes with type Approval", field=".distinctFrom"),
            rule("self.type == 'ModelSignature' || !has(self.acceptUncovered)", "acceptUncovered goes with type ModelSignature", field=".acceptUncovered"),
            *(
                rule(f"self.type in [{types}] || !has(self.{field})", f"{field} go with type {types.replace(chr(39), '')}", field=f".{field}")
                for field, types in _ORIGIN_MAY.items()
            ),
            rule("self.type != 'Lineage' || has(self.mustReach)", "type Lineage needs mustReach: what has to be known of weights", field=".mustReach"),
            rule("self.type != 'VerificationSummary' || has(self.verifiers)", "type VerificationSummary needs verifiers", field=".verifiers"),
            rule(
                f"self.type in [{_FOR_THE_RELEASE}] || has(self.artifactTypes)",
                "say for which artifactTypes the evidence is required",
                field=".artifactTypes",
            ),
            rule(
                f"!(self.type in [{_FOR_THE_RELEASE}]) || !has(self.artifactTypes)",
                "approvals, canaries, lineage, data provenance and drills are for the release, not for artifacts",
                field=".artifactTypes",
            ),
            rule("(self.type == 'RollbackDrill') == has(self.maxAge)", "maxAge goes with type RollbackDrill, and it needs it", field=".maxAge"),
            rule("self.type == 'RollbackDrill' || !has(self.every)", "every goes with type RollbackDrill", field=".every"),
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
    """Lineage, DataProvenance: base models from elsewhere where the walk may end."""
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
    """Approval: whom an approver must not be."""
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
    """RollbackDrill: longest time since the way back to the baseline was last tried. A release that says less in `rollback.drillMaxAge` keeps to that."""
    every: Duration | None = None
    """RollbackDrill: the controller drills by itself when the last drill is older than this; less than `maxAge`. Absent: people start drills."""
    tiers: Annotated[list[Label], Field(min_length=1, max_length=8, json_schema_extra=LIST_SET)] | None = None
    """Only for releases of these tiers. Absent: for all."""
    waivable_by: Annotated[list[Label], Field(min_length=1, max_length=8, json_schema_extra=LIST_SET)] | None = None
    """Roles that may waive it. Absent: nobody may."""
