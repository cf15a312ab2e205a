"""A policy that names trust which is not there: the likeliest first mistake, told as what it is, and not as evidence by somebody else."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.api.release import Outcome, Phase
from sluice.decision.reasons import Reason
from tests.signing import edited, flipped
from tests.unit.decision import case as c
from tests.unit.decision import signed as s
from tests.unit.decision.test_decide import result_of, verdict_of

CI = c.Key(namespace="", name="ci")
THERE = "there is no TrustRoot 'ci'"


def naming(*changes: dict[str, Any]) -> dict[str, Any]:
    """The policy, with changed signers."""
    spec = c.policy_spec()
    spec["signers"] = [signer | change for signer, change in zip(spec["signers"], changes, strict=True)]
    return c.item("ReleasePolicy", "customer-facing", spec, namespace="")


@pytest.mark.parametrize("others", [(), ("people",)])
def test_a_trust_root_that_is_not_there_is_told_as_such_with_those_that_are(others: tuple[str, ...]) -> None:
    known = c.verified_world()
    for _ in others:
        known.put("TrustRoot", s.trust_root())
    known.remove("TrustRoot", CI)
    for name in ("weights-signed", "built-here", "quality"):
        result = result_of(verdict_of(known), name)
        assert (result.outcome, result.reason) == (Outcome.MISSING, Reason.TrustRootNotFound)
        assert THERE in result.message
        assert "policy customer-facing" in result.message
        to_do = "the platform team: kubectl apply the TrustRoot ci (for sluice check: add its file to the folder)"
        assert result.remedy == to_do + (", or name one that exists (people)" if others else "")


def test_evidence_that_is_there_and_evidence_that_is_not_are_both_told_beside_it() -> None:
    known = c.verified_world()
    known.remove("TrustRoot", CI)
    assert "ReleaseEvidence signature was refused (TrustRootMissing)" in result_of(verdict_of(known), "weights-signed").message
    known.remove("ReleaseEvidence", c.Key(c.NAMESPACE, "signature"))
    result = result_of(verdict_of(known), "weights-signed")
    assert result.reason is Reason.EvidenceMissing, "it would be missing with any trust root"
    assert result.message.startswith(f"policy customer-facing: spec.signers[trainer-ci].trustRoot: {THERE}; no ModelSignature statement speaks of")
    assert "kubectl apply the TrustRoot ci (for sluice check: add its file to the folder); then apply a ReleaseEvidence" in (result.remedy or "")


def test_a_slip_in_the_name_of_a_trust_root_is_told_though_another_one_verifies_the_evidence() -> None:
    known = c.verified_world()
    known.put("ReleasePolicy", naming({"trustRoot": "cii"}, {}))
    result = result_of(verdict_of(known), "weights-signed")
    assert result.reason is Reason.TrustRootNotFound
    assert "there is no TrustRoot 'cii'" in result.message
    assert "or name one that exists (ci)" in (result.remedy or "")
    assert result_of(verdict_of(known), "quality").outcome is Outcome.SATISFIED


def test_what_waits_for_a_trust_root_is_held_and_not_denied() -> None:
    known = c.verified_world()
    known.remove("TrustRoot", CI)
    verdict = verdict_of(known)
    assert (verdict.hopeless, verdict.phase) == (False, Phase.AWAITING_EVIDENCE)


def test_a_signer_that_could_be_verified_is_still_the_remedy_where_another_could_not() -> None:
    known = c.verified_world()
    spec = c.policy_spec()
    spec["signers"].append({"name": "old-ci", "trustRoot": "old", "key": "ci", "may": ["ModelSignature"]})
    known.put("ReleasePolicy", c.item("ReleasePolicy", "customer-facing", spec, namespace=""))
    assert result_of(verdict_of(known), "weights-signed").outcome is Outcome.SATISFIED
    known.remove("ReleaseEvidence", c.Key(c.NAMESPACE, "signature"))
    result = result_of(verdict_of(known), "weights-signed")
    assert result.reason is Reason.EvidenceMissing
    assert "there is no TrustRoot 'old'" in result.message
    assert "signed by trainer-ci or old-ci" in (result.remedy or "")
    assert "apply the TrustRoot old" in (result.remedy or "")


def test_evidence_that_is_refused_stays_refused_where_somebody_else_could_be_verified() -> None:
    known = c.verified_world()
    spec = c.policy_spec()
    spec["signers"].append({"name": "old-ci", "trustRoot": "old", "key": "ci", "may": ["ModelSignature"]})
    known.put("ReleasePolicy", c.item("ReleasePolicy", "customer-facing", spec, namespace=""))
    broken = edited(c.bundles()["signature"], lambda d: d["dsseEnvelope"]["signatures"][0].update(sig=flipped(d["dsseEnvelope"]["signatures"][0]["sig"], 8)))
    known.put("ReleaseEvidence", c.evidence("signature", broken))
    result = result_of(verdict_of(known), "weights-signed")
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.EvidenceRefused)
    assert "there is no TrustRoot 'old'" in result.message
    assert "kubectl describe mre/signature -n payments; or the platform team: kubectl apply the TrustRoot old" in (result.remedy or "")


@pytest.mark.parametrize(
    ("root", "reason", "says"),
    [
        ({"sigstore": {"trustedRoot": "{"}}, Reason.TrustRootInvalid, "TrustRoot 'ci' cannot be used: "),
        (s.trust_root()["spec"], Reason.SignerUnverifiable, "has keys only, and keys have no identity"),
    ],
    ids=["unparsable", "keys"],
)
def test_a_trust_root_that_cannot_verify_the_signer_is_told_as_such(root: dict[str, Any], reason: Reason, says: str) -> None:
    known = c.verified_world()
    known.put("TrustRoot", c.item("TrustRoot", "ci", root, namespace=""))
    result = result_of(verdict_of(known), "quality")
    assert (result.outcome, result.reason) == (Outcome.MISSING, reason)
    assert says in result.message


def test_who_signs_approvals_by_a_trust_root_that_is_not_there_is_told_where_their_role_is_missing() -> None:
    known = s.world()
    known.remove("TrustRoot", c.Key(namespace="", name="people"))
    result = result_of(verdict_of(known), "approvals")
    assert result.reason is Reason.ApprovalMissing
    assert "spec.signers[olga-signs].trustRoot: there is no TrustRoot 'people'" in result.message
    assert "apply the TrustRoot people" in (result.remedy or "")
    known.put("ReleaseApproval", c.approval("by-owner", known, role="owner", username="olga@example.com", groups=["payments-ml-leads"]))
    assert "TrustRoot" not in result_of(verdict_of(known), "approvals").message, "the role is filled"


def test_a_signed_approval_that_cannot_be_verified_is_told_where_it_is_missing() -> None:
    known = s.world()
    s.put(known, "by-olga", s.by_olga(known))
    known.remove("TrustRoot", c.Key(namespace="", name="people"))
    assert "ReleaseEvidence by-olga was refused" in result_of(verdict_of(known), "approvals").message
