"""`establish`: one evidence bundle and its raw files become one `Fact`.

A fact is cryptography and arithmetic only: it stays true whatever policies, approvals or revocations say later, and may therefore be cached under `fact_key`.
Whether its signer may say such a thing, and whether the numbers suffice, is for the decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sluice.evidence import assurance, dataset, documents, drill, evaluation, shadow_pairs, signed_decision, vsa
from sluice.evidence.assurance import Assurance, parse_assurance
from sluice.evidence.dataset import parse_dataset
from sluice.evidence.documents import read_payload, read_references
from sluice.evidence.drill import RollbackDrill, parse_drill
from sluice.evidence.evaluation import Evaluation, read_evaluation
from sluice.evidence.lineage import BillOfMaterials, DatasetDescription, datasets_of, makings_of
from sluice.evidence.model_pack import carriers
from sluice.evidence.shadow_pairs import ShadowPairs, parse_pairs
from sluice.evidence.signed_decision import SignedDecision, parse_decision
from sluice.evidence.vsa import VerificationSummary, parse_summary
from sluice.provenance import model_signature, slsa
from sluice.provenance.bundle import Signer, verify_bundle
from sluice.provenance.digests import sha256_of
from sluice.provenance.errors import ProvenanceError, Reason, closed
from sluice.provenance.model_signature import ModelManifest, parse_model_manifest
from sluice.provenance.slsa import BuildProvenance, parse_provenance
from sluice.provenance.statement import Statement, parse_statement
from sluice.provenance.strict_json import JsonObject, canonical
from sluice.provenance.trust import TrustAnchors

ATTACHMENT_LIMIT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherStatement:
    """A signed statement of a type that nothing here interprets: it satisfies no requirement for another type."""

    predicate: JsonObject = field(hash=False, repr=False)


Content = (
    ModelManifest
    | BuildProvenance
    | Evaluation
    | RollbackDrill
    | ShadowPairs
    | VerificationSummary
    | DatasetDescription
    | BillOfMaterials
    | Assurance
    | SignedDecision
    | OtherStatement
)
_WITH_FILES = evaluation.PREDICATE_TYPES | {documents.REFERENCE, model_signature.PREDICATE_TYPE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What one evidence bundle proves."""

    bundle_digest: str
    trust_root: str
    trust_root_digest: str
    signer: Signer
    signed_at: datetime | None
    """When, by a log or a timestamp authority; None for a plain key, which satisfies no requirement on age."""
    predicate_type: str
    subjects: frozenset[str]
    """`sha256:` digests that the statement binds to. For a model signature the name-binding digest, never the OMS root."""
    content: Content
    carriers: frozenset[str] = frozenset()
    """OCI manifests, by digest, that carry exactly the files of a model signature."""

    @property
    def speaks_of(self) -> frozenset[str]:
        """Every digest that it says something about: its subjects, what documents inside of it describe, and the release that was recorded."""
        products = (making.products for making in makings_of(self.content, self.subjects))
        recorded = {self.content.candidate.digest} if isinstance(self.content, ShadowPairs) else set[str]()
        return self.subjects.union(*products, *(described.digests for described in datasets_of(self.content)), recorded)

    @property
    def leads_to(self) -> frozenset[str]:
        """Digests of what its products were made of: evidence about these belongs to their lineage."""
        makings = makings_of(self.content, self.subjects)
        return frozenset(digest for making in makings for ingredient in making.ingredients for digest in ingredient.digests)


def establish(raw_bundle: bytes, attachments: Mapping[str, bytes], anchors: TrustAnchors) -> Fact:
    """Verify `raw_bundle` against `anchors` and read what it says, numbers out of `attachments` (file name to bytes).

    Raises ProvenanceError and nothing else.
    """
    with closed(Reason.BundleMalformed, "the evidence does not parse"):
        if len(attachments) > ATTACHMENT_LIMIT:
            raise ProvenanceError(Reason.AttachmentMismatch, f"{len(attachments)} files are attached; at most {ATTACHMENT_LIMIT} are read")
        envelope = verify_bundle(raw_bundle, anchors)
        statement = parse_statement(envelope.payload)
        if attachments and statement.predicate_type not in _WITH_FILES:
            raise ProvenanceError(Reason.AttachmentMismatch, f"files are attached that a statement of type {statement.predicate_type!r} does not name")
        content = _content(statement, attachments)
        return Fact(
            bundle_digest=envelope.bundle_digest,
            trust_root=anchors.name,
            trust_root_digest=anchors.digest,
            signer=envelope.signer,
            signed_at=envelope.signed_at,
            predicate_type=statement.predicate_type,
            subjects=frozenset({content.digest}) if isinstance(content, ModelManifest) else frozenset(subject.sha256 for subject in statement.subjects),
            content=content,
            carriers=carriers(content, attachments) if isinstance(content, ModelManifest) else frozenset(),
        )


def content_digest(raw_bundle: bytes, attachments: Mapping[str, bytes]) -> str:
    """What a bundle and its files are, whatever they are verified against."""
    files = sorted([name, sha256_of(content)] for name, content in attachments.items())
    return sha256_of(canonical([sha256_of(raw_bundle), files]))


def fact_key(content: str, anchors: TrustAnchors) -> str:
    """The key under which the outcome of `establish` may be cached: a fact or an error, both are for ever. `content` is a `content_digest`."""
    return f"{content}/{anchors.digest}"


def check_content(statement: Statement) -> None:
    """Read what a statement says, its raw files apart, as whoever signs it may. Raises ProvenanceError: what it says could not be read."""
    with closed(Reason.PredicateMalformed, "the predicate does not parse"):
        try:
            _content(statement, {})
        except ProvenanceError as error:
            if error.reason is not Reason.AttachmentMissing:
                raise


def _content(statement: Statement, attachments: Mapping[str, bytes]) -> Content:
    match statement.predicate_type:
        case model_signature.PREDICATE_TYPE:
            return parse_model_manifest(statement)
        case slsa.PREDICATE_TYPE | slsa.PREDICATE_TYPE_V02:
            return parse_provenance(statement)
        case evaluation.TEST_RESULT | evaluation.EVAL_RESULT:
            return read_evaluation(statement, attachments)
        case drill.PREDICATE_TYPE:
            return parse_drill(statement)
        case shadow_pairs.PREDICATE_TYPE:
            return parse_pairs(statement)
        case vsa.PREDICATE_TYPE:
            return parse_summary(statement)
        case dataset.PREDICATE_TYPE:
            return parse_dataset(statement)
        case signed_decision.PREDICATE_TYPE:
            return parse_decision(statement)
        case documents.REFERENCE if attachments:
            return read_references(statement, attachments)
        case vouched if vouched in assurance.PREDICATE_TYPES:
            return parse_assurance(statement)
        case described if described in documents.BILL_TYPES | documents.DATASET_TYPES:
            return read_payload(statement)
        case _:
            return OtherStatement(predicate=statement.predicate)
