"""Decisions that are signed instead of stamped, for tests: a policy that lets people sign, and what they sign."""

from __future__ import annotations

from functools import cache
from typing import Any

from sluice.decision.model import Policy
from sluice.decision.world import World
from sluice.evidence.signed_decision import PREDICATE_TYPE
from sluice.provenance.signing import SigningKey
from tests.unit.decision import case as c
from tests.unit.decision.test_decide import verdict_of

PEOPLE = "https://accounts.example.com"
SAM_SIGNS: dict[str, Any] = {"name": "sam-signs", "trustRoot": "ci", "issuer": PEOPLE, "identity": "sam@example.com", "may": ["Approval"]}
OLGA_SIGNS: dict[str, Any] = {
    "name": "olga-signs", "trustRoot": "people", "key": "olga", "may": ["Approval"], "operatedBy": {"users": ["olga@example.com"]},
}  # fmt: skip
Object = dict[str, Any]


@cache
def olgas_key() -> SigningKey:
    """A plain key of one person."""
    return SigningKey.generate()


def policy(*signers: Object, **changes: Any) -> Object:  # noqa: ANN401 - fields of the policy
    """The policy of the release, with people who sign: olga for the owner, sam for security; whom pipelines belong to is said by user."""
    spec = c.policy_spec()
    spec["signers"][0]["operatedBy"] = {"users": ["tina@example.com"]}
    spec["signers"] += signers or [SAM_SIGNS, OLGA_SIGNS]
    spec["roles"][0]["subjects"].append({"kind": "Signer", "name": "olga-signs"})
    spec["roles"][1]["subjects"].append({"kind": "Signer", "name": "sam-signs"})
    return c.item("ReleasePolicy", "customer-facing", spec | changes, namespace="")


def world(*signers: Object, **changes: Any) -> World:  # noqa: ANN401 - fields of the policy
    """A release that waits for people only, who may sign."""
    known = c.verified_world()
    known.put("TrustRoot", trust_root())
    known.put("ReleasePolicy", policy(*signers, **changes))
    assert isinstance(known.policies["customer-facing"], Policy), known.policies["customer-facing"]
    return known


def trust_root(*revoked: Object) -> Object:
    """The TrustRoot of the keys of people."""
    spec: Object = {"keys": [{"name": "olga", "pem": olgas_key().public_pem}]}
    return c.item("TrustRoot", "people", spec | ({"revoked": list(revoked)} if revoked else {}), namespace="")


def statement(known: World, role: str, **changes: Any) -> Object:  # noqa: ANN401 - members of the predicate
    """An approval of what `known` shows now; a change to None leaves the member out."""
    verdict = verdict_of(known)
    said = {
        "role": role, "decision": "Approve", "evidenceDigest": verdict.evidence_digest, "decidedAt": "2026-11-20T11:00:00Z", "expires": "2026-12-20T00:00:00Z",
    } | changes  # fmt: skip
    return {
        "_type": "https://in-toto.io/Statement/v1", "predicateType": PREDICATE_TYPE,
        "subject": [{"name": c.NAME, "digest": {"sha256": verdict.release_digest.removeprefix("sha256:")}}],
        "predicate": {key: value for key, value in said.items() if value is not None},
    }  # fmt: skip


def by_sam(known: World, role: str = "security", **changes: Any) -> bytes:  # noqa: ANN401 - members of the predicate
    """Sam signs with a certificate, as whoever their identity provider says they are."""
    return c.sign(statement(known, role, **changes), identity="sam@example.com", issuer=PEOPLE)


def by_olga(known: World, role: str = "owner", **changes: Any) -> bytes:  # noqa: ANN401 - members of the predicate
    """Olga signs with a plain key."""
    said = statement(known, role, **changes)
    subjects = {each["name"]: f"sha256:{each['digest']['sha256']}" for each in said["subject"]}
    return olgas_key().sign(predicate_type=PREDICATE_TYPE, subjects=subjects, predicate=said["predicate"])


def put(known: World, name: str, bundle: bytes) -> str:
    """Apply a bundle, and give its digest: what a revocation of it names."""
    known.put("ReleaseEvidence", c.evidence(name, bundle))
    (fact, *_) = known.evidence[c.Key(c.NAMESPACE, name)].facts
    return fact.bundle_digest
