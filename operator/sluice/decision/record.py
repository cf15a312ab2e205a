"""What a record says of a verdict (`sluice.evidence.verdict_record`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sluice.decision.model import Allowance, Policy
from sluice.evidence.verdict_record import RecordedDecision, RecordedResult, VerdictRecord
from sluice.provenance.digests import sha256_of
from sluice.provenance.strict_json import canonical

if TYPE_CHECKING:
    from sluice.decision.finding import Finding
    from sluice.decision.model import InvalidPolicy, Release, Verdict


def record_of(release: Release, verdict: Verdict, policies: Mapping[str, Policy | InvalidPolicy], *, cluster: str) -> VerdictRecord | None:
    """Say what lets a release serve; None when nothing does. `policies` are all that are known, by name."""
    if verdict.allows is not Allowance.SERVE:
        return None
    used = {result.policy: policies.get(result.policy) for result in verdict.results}
    decisions = [(_kind(each), each) for each in verdict.approvals] + [("ReleaseWaiver", each) for each in verdict.waivers]
    return VerdictRecord(
        cluster=cluster,
        namespace=release.namespace,
        name=release.name,
        release_digest=verdict.release_digest,
        evidence_digest=verdict.evidence_digest,
        tier=verdict.tier or "",
        risk_owner=verdict.risk_owner or "",
        policies={name: digest_of_policy(policy) for name, policy in used.items() if isinstance(policy, Policy)},
        results=tuple(
            RecordedResult(
                policy=each.policy, requirement=each.requirement, type=str(each.type or ""), outcome=str(each.outcome), reason=str(each.reason),
                evidence=each.evidence, control_mappings=each.control_mappings,
            )
            for each in verdict.results
        ),
        decisions=tuple(
            RecordedDecision(kind=kind, name=each.name, role=each.role, username=each.username) for kind, each in decisions if each.counts
        ),
    )  # fmt: skip


def _kind(finding: Finding) -> str:
    """What a decision is: an approval, of the release or of a waiver, or one that takes an approval back. Of what is signed, the name is a digest."""
    return "Revocation" if finding.revokes else "WaiverApproval" if finding.waiver else "ReleaseApproval"


def digest_of_policy(policy: Policy) -> str:
    """Digest of what a policy asks for, as `sha256:<hex>`: over the canonical JSON (RFC 8785) of its spec with what is absent left out."""
    return sha256_of(canonical(policy.spec.model_dump(mode="json", by_alias=True, exclude_none=True)))
