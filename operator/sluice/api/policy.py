"""`ReleasePolicy`: who may sign what, who may approve as what, what a release needs, and what is watched after it.

All policies whose selector matches a release add up; none relaxes another. A namespace that no policy matches lets nothing serve.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from sluice.api.base import LIST_MAP_BY_NAME, LIST_SET, Conditions, Label, Line, Model, Name, Uri, exactly_one, rule, validations
from sluice.api.families import FamilyMember
from sluice.api.monitor import PolicyMonitor
from sluice.api.requirement import Requirement
from sluice.api.revocation import OnRevoked, RevokedList
from sluice.api.trigger import Expression, Trigger


class StatementKind(StrEnum):
    """What a signer may be trusted for."""

    MODEL_SIGNATURE = "ModelSignature"
    PROVENANCE = "Provenance"
    EVALUATION = "Evaluation"
    ROLLBACK_DRILL = "RollbackDrill"
    DATASET = "Dataset"
    BILL_OF_MATERIALS = "BillOfMaterials"
    VERIFICATION_SUMMARY = "VerificationSummary"
    CHANGE_TICKET = "ChangeTicket"
    IMPACT_ASSESSMENT = "ImpactAssessment"
    VENDOR_ASSURANCE = "VendorAssurance"
    SHADOW_PAIRS = "ShadowPairs"
    APPROVAL = "Approval"


class NamespaceSelector(Model):
    """Namespaces by label."""

    match_labels: Annotated[
        dict[str, Annotated[str, StringConstraints(max_length=63)]],
        Field(min_length=1, max_length=16),
    ]
    """All of these labels, with these values."""


class Selector(Model):
    """Which releases the policy is for."""

    namespaces: NamespaceSelector
    """Releases in namespaces with these labels."""


class People(Model):
    """API users."""

    users: Annotated[list[Line], Field(max_length=64, json_schema_extra=LIST_SET)] = []
    """User names, exact."""
    groups: Annotated[list[Line], Field(max_length=64, json_schema_extra=LIST_SET)] = []
    """Groups, exact."""


class Signer(Model):
    """Somebody whose signatures count, and for what."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            exactly_one("identity", "key"),
            rule(
                "has(self.identity) == has(self.issuer)",
                "identity and issuer go together: an identity means nothing without who vouched for it",
            ),
            rule(
                "!has(self.identity) || !self.identity.contains('*')",
                "identity is compared exactly; wildcards are not supported",
                field=".identity",
            ),
            rule("!has(self.claims) || has(self.identity)", "claims go with identity: a plain key has none", field=".claims"),
            rule("!has(self.builders) || 'Provenance' in self.may", "builders go with may: [Provenance]", field=".builders"),
            rule(
                "!('Approval' in self.may) || (has(self.operatedBy)"
                " ? has(self.operatedBy.users) && size(self.operatedBy.users) == 1 && (!has(self.operatedBy.groups) || size(self.operatedBy.groups) == 0)"
                " : has(self.identity))",
                "who signs approvals is one person: operatedBy names exactly one user and no group; a key needs it",
                field=".operatedBy",
            ),
        )
    )

    name: Label
    """Name of the signer."""
    trust_root: Name
    """The TrustRoot that verifies its signatures."""
    issuer: Uri | None = None
    """OIDC issuer in the certificate, exact."""
    identity: Uri | None = None
    """Subject alternative name in the certificate, exact."""
    key: Label | None = None
    """Name of the key in the TrustRoot."""
    claims: Annotated[dict[str, Annotated[str, StringConstraints(min_length=1, max_length=2048)]], Field(min_length=1, max_length=16)] | None = None
    """What the certificate says of the build beside the identity, exact: `sourceRepositoryIdentifier: "1234"`. A claim that it lacks does not match."""
    may: Annotated[list[StatementKind], Field(min_length=1, max_length=16, json_schema_extra=LIST_SET)]
    """What its signatures count for."""
    builders: Annotated[list[Uri], Field(min_length=1, max_length=32, json_schema_extra=LIST_SET)] | None = None
    """The builders (`builder.id`, exact) that it may speak for in Provenance. Absent: any that a requirement accepts."""
    operated_by: People | None = None
    """The API users behind a pipeline's identity or a key, for separation of duties. The identity itself is always compared. Of a signer who may sign
    approvals: the one user that it is, so that nobody counts twice."""


class SubjectKind(StrEnum):
    """User or group of the API server, or a signer of the policy."""

    USER = "User"
    GROUP = "Group"
    SIGNER = "Signer"


class RoleSubject(Model):
    """A user, a group, or somebody who signs."""

    kind: SubjectKind
    """User, Group or Signer."""
    name: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    """Exact name, as the API server authenticates it; that of a Signer is the one in `signers` of this policy, who may sign Approval."""


class Role(Model):
    """Who may decide as what. RBAC does not count: a wildcard role is no approver."""

    name: Label
    """Name of the role."""
    subjects: Annotated[list[RoleSubject], Field(min_length=1, max_length=64)]
    """Who holds it."""


class Tier(Model):
    """A level of risk."""

    name: Label
    """Name of the tier."""
    when: Expression
    """CEL over the variables of docs/risk.md, such as `release`, the spec of the ModelRelease; the first tier whose condition is true is the release's."""


class PolicySpec(Model):
    """What a release needs in the namespaces that the selector matches."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            rule("!has(self.revoked) || self.revoked.all(r, !has(r.key))", "keys have names in a TrustRoot; revoke by fingerprint here", field=".revoked")
        )
    )

    selector: Selector
    """Which releases the policy is for."""
    signers: Annotated[list[Signer], Field(max_length=32, json_schema_extra=LIST_MAP_BY_NAME)] = []
    """Whose signatures count, and for what."""
    roles: Annotated[list[Role], Field(max_length=16, json_schema_extra=LIST_MAP_BY_NAME)] = []
    """Who may decide as what."""
    tiers: Annotated[list[Tier], Field(min_length=1, max_length=8, json_schema_extra=LIST_MAP_BY_NAME)]
    """Levels of risk, the highest first. The last one should be `when: "true"`."""
    triggers: Annotated[list[Trigger], Field(max_length=16, json_schema_extra=LIST_MAP_BY_NAME)] = []
    """What has to differ from the baseline for more to be asked."""
    families: Annotated[list[FamilyMember], Field(min_length=1, max_length=128)] | None = None
    """Numbers of your own suites that belong to a family, beside those of docs/families.md; for the requirements and expressions of this policy."""
    requirements: Annotated[list[Requirement], Field(min_length=1, max_length=32, json_schema_extra=LIST_MAP_BY_NAME)]
    """What a release needs, all of it."""
    monitors: Annotated[list[PolicyMonitor], Field(max_length=16, json_schema_extra=LIST_MAP_BY_NAME)] = []
    """What is watched once a release serves, and what follows when it changes."""
    revoked: RevokedList = []
    """What is believed no more, for the releases that the policy selects. Keys are named by fingerprint here."""
    on_revoked: OnRevoked = OnRevoked.WITHDRAW
    """Alert: what runs stays, and people are told. Withdraw: its baseline stands in; where none can, it goes all the same.
    ScaleToZero: it goes at once, and nobody stands in. The strongest of all policies that match."""


class PolicyStatus(Model):
    """Whether the policy can be used."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The generation that this status speaks of."""
    conditions: Conditions = []
    """Accepted: every expression, role and trust root in it can be used."""
