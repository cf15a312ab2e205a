"""A complete release with real signatures, for tests of the decision.

Signed once per process by the private Sigstore, so that what the core decides on are facts that verification really established.
"""

from __future__ import annotations

import base64
import hashlib
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from e2e.sigstore import PrivateSigstore, evaluation_statement, lm_eval_results, model_signature_statement, slsa_statement
from sluice.api.approval import WaiverSpec
from sluice.api.canary import CanaryDecision
from sluice.api.digests import waiver_digest
from sluice.decision.records import Key
from sluice.decision.world import World
from sluice.evidence.canary_record import sign_record
from sluice.evidence.claims import read_claims
from sluice.provenance.signing import SigningKey
from sluice.provenance.trust import TrustAnchors

__all__ = ["Key", "World", "evaluation_statement", "lm_eval_results", "model_signature_statement", "slsa_statement"]

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NAMESPACE = "payments"
NAME = "churn-2-1-0"
KEY = Key(namespace=NAMESPACE, name=NAME)
BASELINE = "churn-2-0-0"
BASELINE_KEY = Key(namespace=NAMESPACE, name=BASELINE)
ISSUER = "https://token.ci.example.com"
TRAINER = "https://git.example.com/payments/churn/.ci/train.yml@refs/heads/main"
EVALUATOR = "https://git.example.com/payments/churn/.ci/eval.yml@refs/heads/main"
BUILDER = "https://ci.example.com/runners/trusted"
WEIGHTS_FILES = {"model.safetensors": b"weights" * 100, "config.json": b"{}"}


def digest_of(text: str) -> str:
    """A well-formed digest that stands for something."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


SERVER = digest_of("server image")
CARRIER = digest_of("model image")


@cache
def sigstore() -> PrivateSigstore:
    """The private Sigstore of the tests."""
    return PrivateSigstore.create(now=NOW)


def sign(statement: Any, *, identity: str = TRAINER, issuer: str = ISSUER, when: datetime | None = None) -> bytes:  # noqa: ANN401 - a statement is JSON
    """Sign a statement, an hour before NOW."""
    return sigstore().sign_statement(statement, identity=identity, issuer=issuer, when=when or NOW - timedelta(hours=1))


@cache
def bundles() -> dict[str, bytes]:
    """The signed evidence of the release, by name."""
    return {
        "signature": sign(model_signature_statement(WEIGHTS_FILES)),
        "packaging": sign(slsa_statement({"churn": CARRIER}, BUILDER, [("weights", weights_digest())])),
        "server": sign(slsa_statement({"server": SERVER}, BUILDER, [("git+https://git.example.com/server", digest_of("source"))])),
        "evaluation": sign(evaluation_statement(weights_digest(), "results.json", raw_results()), identity=EVALUATOR),
    }


@cache
def raw_results() -> bytes:
    """Raw lm-eval output: 95 % over 1,000 samples."""
    return lm_eval_results("churn-core", "acc", 0.95, 1000)


@cache
def weights_digest() -> str:
    """Name-binding digest of the weights."""
    (digest,) = read_claims(sign(model_signature_statement(WEIGHTS_FILES))).subjects
    return digest


def item(kind: str, name: str, spec: dict[str, Any], *, namespace: str = NAMESPACE, labels: dict[str, str] | None = None) -> dict[str, Any]:
    """An object as the API server would give it."""
    metadata = {"name": name, "generation": 1, "uid": f"uid-{kind}-{namespace}-{name}"} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": "sluice.dev/v1alpha1", "kind": kind, "metadata": metadata | ({"labels": labels} if labels else {}), "spec": deepcopy(spec)}


def release_spec() -> dict[str, Any]:
    """The spec of the release."""
    return {
        "model": "churn",
        "version": "2.1.0",
        "owner": {"group": "payments-ml", "contact": "payments-ml@example.com"},
        "change": {"type": "Quantize", "baseline": {"name": "churn-2-0-0"}},
        "artifacts": [
            {"name": "weights", "type": "Weights", "uri": f"oci://registry.example.com/churn@{CARRIER}", "digest": weights_digest()},
            {"name": "server", "type": "Image", "uri": f"registry.example.com/server@{SERVER}", "digest": SERVER},
        ],
        "authority": {"serviceAccount": "churn", "tools": [{"name": "crm.read", "effect": "Read"}]},
        "stages": ["production"],
    }


def policy_spec() -> dict[str, Any]:
    """The spec of a policy with one requirement of each type."""
    return {
        "selector": {"namespaces": {"matchLabels": {"sluice.dev/stage": "production"}}},
        "signers": [
            {"name": "trainer-ci", "trustRoot": "ci", "issuer": ISSUER, "identity": TRAINER, "may": ["ModelSignature", "Provenance"],
             "operatedBy": {"users": ["tina@example.com"], "groups": ["train-admins"]}},
            {"name": "eval-ci", "trustRoot": "ci", "issuer": ISSUER, "identity": EVALUATOR, "may": ["Evaluation"]},
        ],
        "roles": [
            {"name": "owner", "subjects": [{"kind": "Group", "name": "payments-ml-leads"}]},
            {"name": "security", "subjects": [{"kind": "Group", "name": "appsec"}, {"kind": "User", "name": "sam@example.com"}]},
        ],
        "tiers": [{"name": "high", "when": "release.authority.tools.exists(t, t.effect != 'Read')"}, {"name": "standard", "when": "true"}],
        "requirements": [
            {"name": "weights-signed", "type": "ModelSignature", "artifactTypes": ["Weights"], "waivableBy": ["security"]},
            {"name": "built-here", "type": "Provenance", "artifactTypes": ["Image"], "builders": [BUILDER]},
            {"name": "quality", "type": "Evaluation", "artifactTypes": ["Weights"],
             "measures": [{"suite": "churn-core", "metric": "acc", "atLeast": "0.90", "maxAge": "30d"}]},
            {"name": "approvals", "type": "Approval", "counts": {"owner": 1, "security": 1}, "distinctFrom": ["Trainer", "Evaluator"]},
        ],
    }  # fmt: skip


def evidence(name: str, bundle: bytes, attachments: dict[str, bytes] | None = None) -> dict[str, Any]:
    """A ReleaseEvidence."""
    spec: dict[str, Any] = {"bundle": {"inline": base64.b64encode(bundle).decode()}}
    if attachments:
        spec["attachments"] = [{"name": n, "inline": base64.b64encode(content).decode()} for n, content in attachments.items()]
    return item("ReleaseEvidence", name, spec)


def approval(
    name: str, world: World, *, role: str, username: str, groups: list[str], key: Key = KEY, **more: Any  # noqa: ANN401 - fields of the spec
) -> dict[str, Any]:  # fmt: skip
    """A ReleaseApproval of what `world` shows now."""
    verdict = world.verdict(key, now=NOW)
    assert verdict is not None
    spec = {
        "release": {"name": key.name},
        "releaseDigest": verdict.release_digest,
        "evidenceDigest": verdict.evidence_digest,
        "role": role,
        "decision": "Approve",
        "approver": {"username": username, "groups": groups},
    }
    return item("ReleaseApproval", name, spec | more)


def waive(world: World, waiver: dict[str, Any], *, by: str = "sven@example.com", role: str = "security") -> None:
    """Apply a waiver and the approval of it by somebody else."""
    world.put("ReleaseWaiver", waiver)
    world.put("ReleaseApproval", waiver_approval(f"of-{waiver['metadata']['name']}", waiver, role=role, username=by))


def waiver_approval(
    name: str, waiver: dict[str, Any], *, role: str, username: str, groups: tuple[str, ...] = ("appsec",), **more: Any  # noqa: ANN401 - fields of the spec
) -> dict[str, Any]:  # fmt: skip
    """A ReleaseApproval of a waiver as it stands."""
    spec = WaiverSpec.model_validate(waiver["spec"])
    named = {"name": waiver["metadata"]["name"], "digest": waiver_digest(name=waiver["metadata"]["name"], spec=spec)}
    given = {"release": {"name": spec.release.name}, "releaseDigest": spec.release_digest, "role": role, "decision": "Approve", "waiver": named}
    return item("ReleaseApproval", name, given | {"approver": {"username": username, "groups": list(groups)}} | more)


def namespace(name: str = NAMESPACE, **labels: str) -> dict[str, Any]:
    """A governed namespace of stage production."""
    return {"kind": "Namespace", "metadata": {"name": name, "labels": {"sluice.dev/govern": "true", "sluice.dev/stage": "production"} | labels}}


def trust_root() -> dict[str, Any]:
    """The TrustRoot of the private Sigstore."""
    return item("TrustRoot", "ci", {"sigstore": {"trustedRoot": sigstore().trusted_root_json}}, namespace="")


def verified_world() -> World:
    """Everything but the approvals; a world of its own each time."""
    first = _first_world()
    return deepcopy(first, _immutable(first, {}))


def _immutable(container: object, found: dict[int, Any]) -> dict[int, Any]:
    """What copies of a world share, for `deepcopy`: the frozen records in it."""
    for value in vars(container).values():
        for member in value.values() if isinstance(value, dict) else [value]:
            parameters = getattr(member, "__dataclass_params__", None)
            if parameters is not None and parameters.frozen:
                found[id(member)] = member
            elif hasattr(member, "__dict__") and not callable(member):
                _immutable(member, found)
    return found


@cache
def _first_world() -> World:
    """Verified once: four signatures take thirty milliseconds, a copy less than one."""
    world = World()
    world.trust_controller(controller_keys())
    world.put("Namespace", namespace())
    world.put("TrustRoot", trust_root())
    world.put("ReleasePolicy", item("ReleasePolicy", "customer-facing", policy_spec(), namespace=""))
    world.put("ModelRelease", item("ModelRelease", NAME, release_spec()))
    for name, bundle in bundles().items():
        world.put("ReleaseEvidence", evidence(name, bundle, {"results.json": raw_results()} if name == "evaluation" else None))
    return world


def approved_world() -> World:
    """A world in which the release may serve."""
    world = verified_world()
    world.put("ReleaseApproval", approval("by-owner", world, role="owner", username="olga@example.com", groups=["payments-ml-leads"]))
    world.put("ReleaseApproval", approval("by-security", world, role="security", username="sam@example.com", groups=[]))
    return world


def approve(world: World, key: Key) -> None:
    """Let the people of the policy sign off a release."""
    world.put("ReleaseApproval", approval(f"{key.name}-by-owner", world, role="owner", username="olga@example.com", groups=["payments-ml-leads"], key=key))
    world.put("ReleaseApproval", approval(f"{key.name}-by-security", world, role="security", username="sam@example.com", groups=[], key=key))


CASE = '{"id": "c-1", "input": {"tensors": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]}, "expect": {"text": "yes"}}\n'


def suite_spec(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of the spec
    """The spec of the suite."""
    return {
        "protocol": {"type": "OpenInference", "port": 8080, "model": "churn"},
        "cases": {"inline": CASE},
        "scorers": [{"name": "accuracy", "type": "ExactMatch"}],
    } | changes


def canary_requirement(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of the requirement
    """A requirement of type Canary."""
    requirement = {"name": "canary", "type": "Canary", "suite": {"name": "churn-core"}, "margin": "0.02", "planned": 3000, "maxDuration": "1h"} | changes
    return {field: value for field, value in requirement.items() if value is not None}


def canary_policy(*requirements: dict[str, Any]) -> dict[str, Any]:
    """The policy, asking for a canary, too."""
    spec = policy_spec()
    spec["requirements"] += requirements or [canary_requirement()]
    return item("ReleasePolicy", "customer-facing", spec, namespace="")


def first_release_spec(version: str = "2.0.0") -> dict[str, Any]:
    """The spec of a release of the same artifacts that names no baseline."""
    return release_spec() | {"version": version, "change": {"type": "Train"}}


def run(name: str, world: World | None = None, *, decision: str = "Pending", key: Key = KEY, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of the spec
    """A CanaryRun of what `world` (the canary world: none given) asks for now, or of that with `changes`."""
    verdict = (world or canary_world()).verdict(key, now=NOW)
    assert verdict is not None
    (due,) = verdict.due
    spec = {
        "release": {"name": due.release}, "releaseDigest": due.release_digest, "baseline": {"name": due.baseline}, "baselineDigest": due.baseline_digest,
        "suite": {"name": due.suite}, "suiteDigest": due.suite_digest, "policy": due.policy, "requirement": due.requirement,
        "workload": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "churn"}, "seed": 1, "shards": 1, "planned": due.terms.planned,
        "margin": str(due.terms.margin), "falseRollbackRate": "0.05", "falsePromotionRate": "0.05", "maxDuration": "1h", "baselinePods": "Own",
    }  # fmt: skip
    return signed(item("CanaryRun", name, spec | changes) | {"status": {"decision": decision, "reason": f"Because{decision}"}})


def signed(run: dict[str, Any]) -> dict[str, Any]:
    """The run with what the controller signs about its decision."""
    status = run["status"]
    if status["decision"] not in {"Promote", "RollBack", "Inconclusive"}:
        return run
    record = sign_record(controller_key(), run, decision=CanaryDecision(status["decision"]), reason=status["reason"], decided_at="2026-11-20T12:00:00Z")
    return run | {"status": status | {"record": record}}


@cache
def controller_key() -> SigningKey:
    """The controller's key."""
    return SigningKey.generate()


@cache
def controller_keys() -> TrustAnchors:
    """What World is told of it."""
    return TrustAnchors.keys("controller", {"controller": controller_key().public_pem})


def canary_world() -> World:
    """A world in which the release has everything but a canary: its baseline serves, its suite is there."""
    world = verified_world()
    world.put("ReleasePolicy", canary_policy())
    world.put("ScoringSuite", item("ScoringSuite", "churn-core", suite_spec()))
    world.put("ModelRelease", item("ModelRelease", BASELINE, first_release_spec()))
    approve(world, BASELINE_KEY)
    approve(world, KEY)
    return world


def promoted_world() -> World:
    """A world in which the release was scored and may serve."""
    world = canary_world()
    world.put("CanaryRun", run("churn-2-1-0-1", world, decision="Promote"))
    return world
