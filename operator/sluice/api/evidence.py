"""`ReleaseEvidence`: one signed bundle. Found by the digests its statement names, so that CI can add evidence without touching the release."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from sluice.api.base import LIST_MAP_BY_NAME, Conditions, Line, Model, NameRef, Sha256, Uri, exactly_one, immutable, validations

BUNDLE_BASE64_LIMIT = 524_288
ATTACHMENT_BASE64_LIMIT = 262_144
OCI_REFERENCE = r"^[A-Za-z0-9.-]+(:[0-9]{1,5})?/[a-z0-9]+([._/-]+[a-z0-9]+)*@sha256:[0-9a-f]{64}$"
"""A repository and the digest of a manifest in it; no scheme, and never a tag."""


class BundleSource(Model):
    """Where the bundle is."""

    model_config = ConfigDict(json_schema_extra=validations(exactly_one("inline", "oci")))

    inline: Annotated[str, StringConstraints(min_length=1, max_length=BUNDLE_BASE64_LIMIT)] | None = None
    """The Sigstore bundle (JSON), base64-encoded."""
    oci: Annotated[str, StringConstraints(pattern=OCI_REFERENCE, max_length=512)] | None = None
    """The OCI manifest that holds the bundle, by digest: `registry/repository@sha256:…`. The controller fetches it from registries that the installation
    lists, and keeps the bytes in another ReleaseEvidence, which this one owns."""


class Attachment(Model):
    """A raw file that the statement names by digest."""

    name: Line
    """File name."""
    inline: Annotated[str, StringConstraints(min_length=1, max_length=ATTACHMENT_BASE64_LIMIT)]
    """The file, base64-encoded. Numbers are read from it, never from the statement."""


class EvidenceSpec(Model):
    """One signed statement and the raw files it names."""

    model_config = ConfigDict(json_schema_extra=validations(*immutable(["bundle", "attachments"], "evidence never changes; create another ReleaseEvidence")))

    bundle: BundleSource
    """The signed statement."""
    attachments: Annotated[list[Attachment], Field(max_length=4, json_schema_extra=LIST_MAP_BY_NAME)] = []
    """Raw files that the statement names by digest. With a model signature: the manifest of a ModelPack artifact that carries just the signed files."""


class SubjectStatus(Model):
    """One thing the statement speaks of."""

    digest: Sha256
    """Its digest."""


class SignerStatus(Model):
    """Who signed."""

    identity: Uri | None = None
    """Subject alternative name of the certificate."""
    issuer: Uri | None = None
    """OIDC issuer that vouched for the identity."""
    key: Line | None = None
    """Name of the key in the trust root."""
    trust_root: Line
    """The TrustRoot that the signature was verified against."""


class EvidenceStatus(Model):
    """What the bundle proves."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The generation that this status speaks of."""
    bundle_digest: Sha256 | None = None
    """SHA-256 of the bundle."""
    predicate_type: Uri | None = None
    """Type of the statement."""
    subjects: Annotated[list[SubjectStatus], Field(max_length=64)] = []
    """What the statement speaks of."""
    signer: SignerStatus | None = None
    """Who signed."""
    stored_as: NameRef | None = None
    """The ReleaseEvidence that holds the bytes which `bundle.oci` names."""
    conditions: Conditions = []
    """Verified: the signature holds against a TrustRoot and the statement is well formed. Fetched: what `bundle.oci` names was found.
    Counted: of a decision that is signed, whether it counts for its release now, and if not why."""
