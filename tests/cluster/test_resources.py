"""The API server itself refuses what the schemas forbid, in words, and takes what they allow."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.cluster import Cluster, StepFailed
from sluice.api.described import descriptions
from sluice.api.kinds import KINDS, Kind
from sluice.api.policy import StatementKind
from tests.cluster.installation import ROOT, remove
from tests.cluster.namespace import Namespace
from tests.unit.api.scorers import SCORERS

Object = dict[str, Any]
DIGEST = "sha256:" + "a" * 64
KINDS_BY_NAME = {kind.name: kind for kind in KINDS}
EXAMPLES = {kind.name: yaml.safe_load((ROOT / "examples" / f"{kind.name}.yaml").read_text()) for kind in KINDS}
pytestmark = pytest.mark.usefixtures("ungated")

GONE = object()
"""In the place of a value: the field is left out."""


def changed(kind: str, *changes: tuple[str, Any]) -> Object:
    """The example of a kind with values at paths (`spec.artifacts.0.uri`) put in or, with GONE, left out."""
    obj: Object = deepcopy(EXAMPLES[kind])
    for path, value in changes:
        node: Any = obj
        *parents, last = path.split(".")
        for part in parents:
            node = node[int(part)] if isinstance(node, list) else node.setdefault(part, {})
        key: Any = int(last) if isinstance(node, list) else last
        if value is GONE:
            del node[key]
        else:
            node[key] = value
    return obj


@pytest.fixture(scope="module")
def nowhere(cluster: Cluster) -> Iterator[Namespace]:
    """A namespace for objects that are never stored, where nothing but the schemas says what they may hold."""
    remove(cluster)
    with Namespace(cluster) as namespace:
        yield namespace


def dry_run(ns: Namespace, obj: Object) -> None:
    ns.create(obj, dry_run=True)


@pytest.mark.parametrize("path", sorted([*(ROOT / "examples").glob("*.yaml"), *(ROOT / "examples/profiles").glob("*.yaml")]), ids=lambda path: path.name)
def test_the_api_server_takes_every_example(nowhere: Namespace, path: Path) -> None:
    for obj in yaml.safe_load_all(path.read_text()):
        # The workload's namespace is another one here.
        obj["metadata"].pop("namespace", None)
        dry_run(nowhere, obj)


SIGNER = "spec.signers.0"
CANARY = "spec.requirements.6"
CANARY_FIELDS: Object = {
    "suite": {"name": "s"}, "margin": "0.1", "margins": {"m": "0.1"}, "falseRollbackRate": "0.1", "falsePromotionRate": "0.1", "planned": 100, "minimum": 20,
    "minDuration": "10m", "maxDuration": "1h", "onInconclusive": "Hold", "baselinePods": "Own",
}  # fmt: skip
ORIGIN = "spec.requirements.7"
ORIGIN_FIELDS: Object = {
    "mustReach": ["Dataset"], "roots": [{"name": "base", "digest": DIGEST}], "externalParameters": {"/x": "y"}, "licences": ["MIT"],
    "dataClasses": ["Public"], "collectionScopes": ["contracts"], "verifiers": ["https://v"], "levels": ["SLSA_BUILD_LEVEL_3"],
}  # fmt: skip
ORIGIN_TYPES = {
    "Provenance": ["externalParameters"], "Lineage": ["mustReach", "roots", "externalParameters"],
    "DataProvenance": ["roots", "externalParameters", "licences", "dataClasses", "collectionScopes"], "VerificationSummary": ["verifiers", "levels"],
}  # fmt: skip
"""Which of these fields go with which types of requirement."""
ORIGIN_NEEDS: Object = {
    "Provenance": {"artifactTypes": ["Image"]}, "Lineage": {"mustReach": ["Code"]},
    "VerificationSummary": {"artifactTypes": ["Image"], "verifiers": ["https://v"]},
}  # fmt: skip
DRILL: Object = {"name": "way-back", "type": "RollbackDrill", "maxAge": "30d", "every": "7d"}
AUTHORITIES = "spec.certificateAuthorities"
REVOKED, WHY, SINCE = "spec.revoked", {"reason": "it was stolen"}, "2026-11-01T00:00:00Z"
MONITOR, MONITORED = "spec.monitors.0", "spec.monitors.1"
QUERY: Object = {"query": "latency_seconds", "answer": "Values"}
SCALE: Object = {"low": "0", "high": "10"}
PROBE: Object = {
    "name": "accuracy", "probe": {"suite": {"name": "s"}, "metric": "accuracy"}, "period": "6h", "detects": "Mean", "reference": {"mean": "0.9"},
    "falseAlarmEvery": 100, "onDrift": "Alert",
}  # fmt: skip
PROTOCOL = "spec.protocol"
PAIRS: Object = {"recorded": "Pairs"}
CHAT: Object = {"type": "OpenAIChat", "port": 8000, "model": "m", "sampling": {"maxTokens": 64}}
IMAGE = "spec.artifacts.1"
REFUSED: list[tuple[str, str, list[tuple[str, Any]], str]] = [
    # ModelRelease
    ("image-without-uri", "ModelRelease", [(f"{IMAGE}.uri", GONE)], "an Image needs a uri that ends in @ and its digest"),
    ("image-by-tag", "ModelRelease", [(f"{IMAGE}.uri", "registry.example.com/mlserver:1.7")], "tags can move"),
    ("image-by-another-digest", "ModelRelease", [(f"{IMAGE}.uri", f"registry.example.com/mlserver@{DIGEST}")], "ends in @ and its digest"),
    ("weights-by-commit", "ModelRelease", [("spec.artifacts.0.digest", "gitCommit:" + "a" * 40)], "weights and adapters are bound by a sha256: digest"),
    ("short-digest", "ModelRelease", [("spec.artifacts.0.digest", "sha256:abc")], "spec.artifacts[0].digest in body should match"),
    ("upper-case-digest", "ModelRelease", [("spec.artifacts.0.digest", "sha256:" + "A" * 64)], "spec.artifacts[0].digest in body should match"),
    ("md5-digest", "ModelRelease", [("spec.artifacts.0.digest", "md5:" + "a" * 32)], "spec.artifacts[0].digest in body should match"),
    ("no-artifacts", "ModelRelease", [("spec.artifacts", [])], "spec.artifacts in body should have at least 1 items"),
    ("artifacts-twice", "ModelRelease", [("spec.artifacts.1.name", "weights")], "Duplicate value"),
    ("too-many-artifacts", "ModelRelease",
     [("spec.artifacts", [{"name": f"d{n}", "type": "Dataset", "digest": DIGEST} for n in range(65)])], "must have at most 64 items"),
    ("unknown-type", "ModelRelease", [("spec.artifacts.0.type", "Blob")], 'Unsupported value: "Blob"'),
    ("unknown-change", "ModelRelease", [("spec.change.type", "Tweak")], 'Unsupported value: "Tweak"'),
    ("no-stages", "ModelRelease", [("spec.stages", [])], "spec.stages in body should have at least 1 items"),
    ("stages-twice", "ModelRelease", [("spec.stages", ["a", "a"])], "Duplicate value"),
    ("version-with-space", "ModelRelease", [("spec.version", "2.1 beta")], "spec.version in body should match"),
    ("port-too-high", "ModelRelease", [("spec.authority.egress.0.port", 70000)], "should be less than or equal to 65535"),
    ("no-context", "ModelRelease", [("spec.authority.contextWindow", 0)], "should be greater than or equal to 1"),
    ("long-text", "ModelRelease", [("spec.residualRisk.statement", "x" * 1025)], "may not be more than 1024 bytes"),
    ("unknown-field", "ModelRelease", [("spec.trustMe", True)], 'unknown field "spec.trustMe"'),
    ("no-spec", "ModelRelease", [("spec", GONE)], "spec: Required value"),
    # ReleaseEvidence
    ("bundle-of-600-kB", "ReleaseEvidence", [("spec.bundle.inline", "A" * 600_000)], "may not be more than 524288 bytes"),
    ("bundle-of-5-MB", "ReleaseEvidence", [("spec.bundle.inline", "A" * 5_000_000)], "limit is 3145728"),
    ("bundle-empty", "ReleaseEvidence", [("spec.bundle.inline", "")], "should be at least 1 chars long"),
    ("bundle-missing", "ReleaseEvidence", [("spec.bundle", {})], "set exactly one of inline, oci"),
    ("bundle-twice", "ReleaseEvidence", [("spec.bundle.oci", f"registry.example.com/churn@{DIGEST}")], "set exactly one of inline, oci"),
    ("bundle-by-tag", "ReleaseEvidence", [("spec.bundle", {"oci": "registry.example.com/churn:latest"})], "spec.bundle.oci in body should match"),
    ("bundle-at-an-address", "ReleaseEvidence", [("spec.bundle", {"oci": f"https://169.254.169.254/churn@{DIGEST}"})], "spec.bundle.oci in body should match"),
    ("attachment-too-large", "ReleaseEvidence", [("spec.attachments.0.inline", "A" * 262_145)], "may not be more than 262144 bytes"),
    ("too-many-attachments", "ReleaseEvidence", [("spec.attachments", [{"name": f"f{n}", "inline": "AA=="} for n in range(5)])], "must have at most 4 items"),
    ("attachments-twice", "ReleaseEvidence", [("spec.attachments", [{"name": "f", "inline": "AA=="}] * 2)], "Duplicate value"),
    # ReleaseApproval, ReleaseWaiver
    ("approval-maybe", "ReleaseApproval", [("spec.decision", "Maybe")], 'Unsupported value: "Maybe"'),
    ("approval-of-a-tag", "ReleaseApproval", [("spec.releaseDigest", "latest")], "spec.releaseDigest in body should match"),
    ("approval-on-no-evidence", "ReleaseApproval", [("spec.evidenceDigest", GONE)], "evidenceDigest goes with approvals and rejections of a release"),
    ("approval-of-both", "ReleaseApproval", [("spec.waiver", {"name": "w", "digest": DIGEST})], "evidenceDigest goes with approvals and rejections"),
    ("approval-that-revokes", "ReleaseApproval", [("spec.revokes", "uid")], "revokes goes with decision Revoke"),
    ("revocation-of-nothing", "ReleaseApproval", [("spec.decision", "Revoke"), ("spec.evidenceDigest", GONE)], "revokes goes with decision Revoke"),
    ("revocation-that-ends", "ReleaseApproval", [("spec.decision", "Revoke"), ("spec.revokes", "uid")], "a revocation has no end"),
    ("approval-in-no-role", "ReleaseApproval", [("spec.role", GONE)], "spec.role: Required value"),
    ("approval-until-tomorrow", "ReleaseApproval", [("spec.expires", "tomorrow")], "must be of type date-time"),
    ("waiver-without-end", "ReleaseWaiver", [("spec.expires", GONE)], "spec.expires: Required value"),
    ("waiver-without-ticket", "ReleaseWaiver", [("spec.ticket", GONE)], "spec.ticket: Required value"),
    ("waiver-of-nothing", "ReleaseWaiver", [("spec.requirements", [])], "should have at least 1 items"),
    ("waiver-of-everything", "ReleaseWaiver", [("spec.requirements", [f"r{n}" for n in range(17)])], "must have at most 16 items"),
    # TrustRoot
    ("trust-in-both", "TrustRoot", [("spec.sigstore", {"trustedRoot": "{}"})], "set exactly one of sigstore, keys"),
    ("trust-in-nothing", "TrustRoot", [("spec", {})], "set exactly one of sigstore, keys"),
    ("too-many-keys", "TrustRoot", [("spec.keys", [{"name": f"k{n}", "pem": "x"} for n in range(17)])], "must have at most 16 items"),
    ("authorities-and-keys", "TrustRoot", [(AUTHORITIES, {"pem": "x", "undated": "Accept"})], "set exactly one of sigstore, keys, certificateAuthorities"),
    ("authorities-that-nothing-dates", "TrustRoot", [("spec", {"certificateAuthorities": {"pem": "x"}})], "give timestampPem, or set undated to Accept"),
    ("timestamps-of-nobody", "TrustRoot",
     [("spec", {"certificateAuthorities": {"pem": "x", "undated": "Accept", "timestamps": 1}})], "timestamps needs timestampPem"),
    ("authorities-without-certificates", "TrustRoot", [("spec", {"certificateAuthorities": {"undated": "Accept"}})], "pem: Required value"),
    ("nine-timestamps", "TrustRoot", [("spec", {"certificateAuthorities": {"pem": "x", "timestampPem": "x", "timestamps": 9}})], "less than or equal to 8"),
    ("huge-trust-root", "TrustRoot", [("spec", {"sigstore": {"trustedRoot": "x" * 262_145}})], "may not be more than 262144 bytes"),
    # ReleasePolicy
    ("signer-by-both", "ReleasePolicy", [(f"{SIGNER}.key", "k")], "set exactly one of identity, key"),
    ("signer-by-nothing", "ReleasePolicy", [(f"{SIGNER}.identity", GONE), (f"{SIGNER}.issuer", GONE)], "set exactly one of identity, key"),
    ("identity-without-issuer", "ReleasePolicy", [(f"{SIGNER}.issuer", GONE)], "identity and issuer go together"),
    ("issuer-without-identity", "ReleasePolicy", [("spec.signers.1.issuer", "https://i")], "identity and issuer go together"),
    ("wildcard-identity", "ReleasePolicy", [(f"{SIGNER}.identity", "https://git.example.com/*")], "identity is compared exactly; wildcards are not supported"),
    ("signer-for-nothing", "ReleasePolicy", [(f"{SIGNER}.may", [])], "should have at least 1 items"),
    ("evaluation-of-nothing", "ReleasePolicy", [("spec.requirements.2.measures", GONE)], "measures go with type Evaluation, and it needs them"),
    ("measures-elsewhere", "ReleasePolicy",
     [("spec.requirements.0.measures", [{"suite": "s", "metric": "m", "atLeast": "0.9"}])], "measures go with type Evaluation"),
    ("measure-both-ways", "ReleasePolicy", [("spec.requirements.2.measures.0.atMost", "1")], "set exactly one of atLeast, atMost"),
    ("measure-no-way", "ReleasePolicy", [("spec.requirements.2.measures.0.atLeast", GONE)], "set exactly one of atLeast, atMost"),
    ("comparison-and-threshold", "ReleasePolicy", [("spec.requirements.2.measures.0.notWorseThanBaselineBy", "0.02")], "set exactly one of atLeast, atMost"),
    ("comparison-by-more-than-all", "ReleasePolicy", [("spec.requirements.2.measures.0.notWorseThanBaselineBy", "1.5")], "BaselineBy in body should match"),
    ("better-than-nothing", "ReleasePolicy", [("spec.requirements.2.measures.0.better", "Lower")], "better goes with notWorseThanBaselineBy"),
    ("slices-of-a-threshold", "ReleasePolicy", [("spec.requirements.2.measures.0.slices", ["region"])], "slices goes with notWorseThanBaselineBy"),
    ("slice-and-slices", "ReleasePolicy",
     [("spec.requirements.2.measures.0",
       {"suite": "s", "metric": "m", "notWorseThanBaselineBy": "0.02", "slice": "region=UK", "slices": ["region"]})], "set one of them"),
    ("measure-as-number", "ReleasePolicy", [("spec.requirements.2.measures.0.atLeast", 0.9)], "must be of type string"),
    ("certainty", "ReleasePolicy", [("spec.requirements.2.measures.0.confidence", "1.0")], "confidence in body should match"),
    ("age-in-words", "ReleasePolicy", [("spec.requirements.2.measures.0.maxAge", "30 days")], "maxAge in body should match"),
    ("approval-by-nobody", "ReleasePolicy", [("spec.requirements.3.counts", GONE)], "counts go with type Approval, and it needs them"),
    ("approval-by-none", "ReleasePolicy", [("spec.requirements.3.counts", {"owner": 0})], "should be greater than or equal to 1"),
    ("counts-elsewhere", "ReleasePolicy", [("spec.requirements.0.counts", {"owner": 1})], "counts go with type Approval"),
    ("distinct-elsewhere", "ReleasePolicy", [("spec.requirements.0.distinctFrom", ["Trainer"])], "distinctFrom go with type Approval, Evaluation"),
    ("builders-elsewhere", "ReleasePolicy", [("spec.requirements.0.builders", ["https://b"])], "builders go with type Provenance, Lineage, DataProvenance"),
    ("claims-of-a-key", "ReleasePolicy", [("spec.signers.1.claims", {"buildTrigger": "push"})], "claims go with identity"),
    ("builders-of-an-evaluator", "ReleasePolicy", [("spec.signers.1.builders", ["https://b"])], "builders go with may: [Provenance]"),
    ("lineage-to-nothing", "ReleasePolicy", [(f"{ORIGIN}.mustReach", GONE)], "type Lineage needs mustReach"),
    ("lineage-to-the-moon", "ReleasePolicy", [(f"{ORIGIN}.mustReach", ["Moon"])], 'Unsupported value: "Moon"'),
    ("lineage-of-artifacts", "ReleasePolicy", [(f"{ORIGIN}.artifactTypes", ["Weights"])], "drills are for the release, not for artifacts"),
    ("root-by-tag", "ReleasePolicy", [(f"{ORIGIN}.roots", [{"name": "base", "digest": "latest"}])], "digest in body should match"),
    ("summary-by-nobody", "ReleasePolicy",
     [("spec.requirements.1", {"name": "vsa", "type": "VerificationSummary", "artifactTypes": ["Image"]})], "type VerificationSummary needs verifiers"),
    *((f"{field}-elsewhere", "ReleasePolicy", [(f"spec.requirements.3.{field}", value)], f"{field} go with type")
      for field, value in ORIGIN_FIELDS.items()),
    ("evidence-for-nothing", "ReleasePolicy", [("spec.requirements.0.artifactTypes", GONE)], "say for which artifactTypes the evidence is required"),
    ("approval-of-artifacts", "ReleasePolicy",
     [("spec.requirements.3.artifactTypes", ["Weights"])], "drills are for the release, not for artifacts"),
    ("policy-for-everything", "ReleasePolicy", [("spec.selector.namespaces.matchLabels", {})], "should have at least 1 properties"),
    ("no-requirements", "ReleasePolicy", [("spec.requirements", [])], "should have at least 1 items"),
    ("requirements-twice", "ReleasePolicy", [("spec.requirements.1.name", "weights-signed")], "Duplicate value"),
    *((f"control-{n}", "ReleasePolicy", [("spec.requirements.0.controlMappings", [control])], "in body should match")
      for n, control in enumerate(("PR.DS-01", "ISO-42001:A.6", "NIST-CSF-2.0:", "NIST-AI-RMF:MAP 4.1", "NIST-CSF-2x0:PR.DS-01"))),
    ("control-twice", "ReleasePolicy", [("spec.requirements.0.controlMappings", ["CSA-MAESTRO:L1", "CSA-MAESTRO:L1"])], "Duplicate value"),
    ("controls-of-nothing", "ReleasePolicy", [("spec.requirements.0.controlMappings", [])], "should have at least 1 items"),
    ("too-many-signers", "ReleasePolicy",
     [("spec.signers", [{"name": f"s{n}", "trustRoot": "ci", "key": "k", "may": ["Evaluation"]} for n in range(33)])], "must have at most 32 items"),
    *((f"canary-without-{field}", "ReleasePolicy", [(f"{CANARY}.{field}", GONE)], f"{field} goes with type Canary, and it needs it")
      for field in ("suite", "margin", "planned", "maxDuration")),
    *((f"{field}-elsewhere", "ReleasePolicy", [(f"spec.requirements.0.{field}", value)], f"{field} goes with type Canary")
      for field, value in CANARY_FIELDS.items()),
    ("canary-of-artifacts", "ReleasePolicy",
     [(f"{CANARY}.artifactTypes", ["Weights"])], "drills are for the release, not for artifacts"),
    ("minimum-above-planned", "ReleasePolicy", [(f"{CANARY}.minimum", 3001)], "minimum is at most planned"),
    ("canary-of-19", "ReleasePolicy", [(f"{CANARY}.planned", 19)], "should be greater than or equal to 20"),
    ("margin-above-one", "ReleasePolicy", [(f"{CANARY}.margin", "1.01")], "margin in body should match"),
    ("margin-below-zero", "ReleasePolicy", [(f"{CANARY}.margins", {"latency": "-0.1"})], "margins.latency in body should match"),
    ("rate-of-zero", "ReleasePolicy", [(f"{CANARY}.falseRollbackRate", "0.000")], "falseRollbackRate in body should match"),
    ("rate-of-one-half", "ReleasePolicy", [(f"{CANARY}.falsePromotionRate", "0.5")], "falsePromotionRate in body should match"),
    ("drill-of-any-age", "ReleasePolicy", [(CANARY, DRILL | {"maxAge": None})], "type RollbackDrill needs maxAge"),
    ("canary-every-week", "ReleasePolicy", [(f"{CANARY}.every", "7d")], "every goes with type RollbackDrill"),
    ("canary-in-scratch", "ReleasePolicy", [(f"{CANARY}.place", "ScratchNamespace")], "place goes with type RollbackDrill"),
    ("drill-anywhere", "ReleasePolicy", [(CANARY, DRILL | {"place": "Anywhere"})], "place: Unsupported value"),
    ("drill-of-weights", "ReleasePolicy", [(CANARY, DRILL | {"artifactTypes": ["Weights"]})], "drills are for the release, not for artifacts"),
    ("inconclusive-promotes", "ReleasePolicy", [(f"{CANARY}.onInconclusive", "Promote")], 'Unsupported value: "Promote"'),
    # ScoringSuite
    ("cases-nowhere", "ScoringSuite", [("spec.cases", {})], "set exactly one of inline, configMap, oci"),
    ("cases-in-two-places", "ScoringSuite", [("spec.cases.inline", "{}")], "set exactly one of inline, configMap, oci"),
    ("cases-of-300-kB", "ScoringSuite", [("spec.cases", {"inline": "x" * 262_145})], "may not be more than 262144 bytes"),
    ("cases-without-digest", "ScoringSuite", [("spec.cases.configMap.digest", GONE)], "digest: Required value"),
    ("cases-by-tag", "ScoringSuite", [("spec.cases", {"oci": {"reference": "registry.example.com/churn:v2"}})], "reference in body should match"),
    ("model-without-name", "ScoringSuite", [(f"{PROTOCOL}.model", GONE)], "every type but Http needs the name of the model"),
    ("http-without-request", "ScoringSuite", [(f"{PROTOCOL}.type", "Http"), (f"{PROTOCOL}.model", GONE)], "http goes with type Http, and it needs it"),
    ("http-elsewhere", "ScoringSuite", [(f"{PROTOCOL}.http", {"path": "/"})], "http goes with type Http"),
    ("chat-without-sampling", "ScoringSuite", [(f"{PROTOCOL}.type", "OpenAIChat")], "and they need it"),
    ("sampling-elsewhere", "ScoringSuite", [(f"{PROTOCOL}.sampling", {"maxTokens": 5})], "sampling goes with types OpenAIChat and OpenAICompletions"),
    ("stream-of-tensors", "ScoringSuite", [(f"{PROTOCOL}.answers", "Streamed")], "only OpenAIChat and OpenAICompletions stream"),
    ("version-of-chat", "ScoringSuite",
     [(PROTOCOL, CHAT | {"version": "2"})], "version goes with types OpenInference and OpenInferenceGrpc"),
    ("path-of-grpc", "ScoringSuite", [(f"{PROTOCOL}.type", "OpenInferenceGrpc"), (f"{PROTOCOL}.path", "/v2")], "path says where the API begins"),
    ("pattern-of-another-scorer", "ScoringSuite", [("spec.scorers.0.pattern", "x")], "pattern goes with type Regex"),
    ("refusal-of-nothing", "ScoringSuite", [("spec.scorers", [{"name": "a", "type": "Refusal"}])], "wanted goes with type Refusal, and it needs it"),
    ("cost-without-price", "ScoringSuite",
     [("spec.scorers", [{"name": "a", "type": "Cost", "promptPrice": "1"}])], "completionPrice goes with type Cost, and it needs it"),
    ("scorers-twice", "ScoringSuite", [("spec.scorers", [{"name": "a", "type": "Regex"}] * 2)], "Duplicate value"),
    ("no-scorers", "ScoringSuite", [("spec.scorers", [])], "should have at least 1 items"),
    ("pairs-that-are-repeated", "ScoringSuite", [("spec.cases", PAIRS), ("spec.repeats", 2)], "what the recording says: leave repeats out"),
    ("pairs-with-a-token", "ScoringSuite",
     [("spec.cases", PAIRS), (f"{PROTOCOL}.auth", {"secretRef": {"name": "token", "key": "token"}})], "leave auth out"),
    ("pairs-and-cases", "ScoringSuite", [("spec.cases.recorded", "Pairs")], "set exactly one of inline, configMap, oci, recorded"),
    ("33-repeats", "ScoringSuite", [("spec.repeats", 33)], "should be less than or equal to 32"),
    # CanaryRun
    ("negative-seed", "CanaryRun", [("spec.seed", -1)], "should be greater than or equal to 0"),
    ("run-of-a-tag", "CanaryRun", [("spec.suiteDigest", "v2")], "spec.suiteDigest in body should match"),
    ("recording-nowhere", "CanaryRun", [("spec.recording", {"digest": DIGEST, "count": 1, "evidence": DIGEST})], "set exactly one of configMap, oci"),
    ("run-with-too-high-a-minimum", "CanaryRun", [("spec.minimum", 3001)], "minimum is at most planned"),
    # Revocations
    ("revoked-for-no-reason", "TrustRoot", [(REVOKED, [{"type": "Release", "digest": DIGEST}])], "spec.revoked[0].reason: Required value"),
    ("a-key-by-two-names", "TrustRoot", [(REVOKED, [WHY | {"type": "Key", "key": "k", "fingerprint": DIGEST}])], "set exactly one of key, fingerprint"),
    ("a-key-by-no-name", "TrustRoot", [(REVOKED, [WHY | {"type": "Key"}])], "set exactly one of key, fingerprint"),
    ("a-key-for-an-identity", "TrustRoot", [(REVOKED, [WHY | {"type": "Identity", "identity": "i", "issuer": "j", "key": "k"}])], "key goes with type Key"),
    ("a-fingerprint-of-a-release", "TrustRoot", [(REVOKED, [WHY | {"type": "Release", "digest": DIGEST, "fingerprint": DIGEST}])], "fingerprint goes with"),
    ("a-serial-of-a-key", "TrustRoot", [(REVOKED, [WHY | {"type": "Key", "key": "k", "serial": "1", "issuedBy": DIGEST}])], "serial goes with type"),
    ("a-serial-of-no-ca", "TrustRoot", [(REVOKED, [WHY | {"type": "Certificate", "serial": "1"}])], "every CA counts for itself"),
    ("a-serial-in-capitals", "TrustRoot", [(REVOKED, [WHY | {"type": "Certificate", "serial": "0A", "issuedBy": DIGEST}])], "serial in body should match"),
    ("a-certificate-by-no-name", "TrustRoot", [(REVOKED, [WHY | {"type": "Certificate"}])], "set exactly one of fingerprint, serial"),
    ("an-identity-of-no-issuer", "TrustRoot", [(REVOKED, [WHY | {"type": "Identity", "identity": "i"}])], "issuer goes with type Identity, which needs it"),
    ("an-issuer-of-no-identity", "TrustRoot", [(REVOKED, [WHY | {"type": "Identity", "issuer": "i"}])], "identity goes with type Identity, which needs it"),
    ("a-release-of-no-digest", "TrustRoot", [(REVOKED, [WHY | {"type": "Release"}])], "digest goes with types Release and Artifact"),
    ("a-release-by-commit", "TrustRoot", [(REVOKED, [WHY | {"type": "Release", "digest": "gitCommit:" + "a" * 40}])], "a release digest begins with sha256:"),
    ("a-release-since", "TrustRoot", [(REVOKED, [WHY | {"type": "Release", "digest": DIGEST, "since": SINCE}])], "a digest is revoked or not"),
    ("everything-revoked", "TrustRoot", [(REVOKED, [WHY | {"type": "All"}])], 'Unsupported value: "All"'),
    ("257-revocations", "TrustRoot", [(REVOKED, [WHY | {"type": "Artifact", "digest": DIGEST}] * 257)], "must have at most 256 items"),
    ("a-key-by-name-in-a-policy", "ReleasePolicy", [(REVOKED, [WHY | {"type": "Key", "key": "k"}])], "revoke by fingerprint here"),
    ("deleted-on-revocation", "ReleasePolicy", [("spec.onRevoked", "Delete")], 'Unsupported value: "Delete"'),
    # Monitors
    ("monitor-of-two-sources", "ReleasePolicy", [(f"{MONITOR}.probe", PROBE["probe"])], "set exactly one of prometheus, probe"),
    ("monitor-of-nothing", "ReleasePolicy", [(f"{MONITOR}.prometheus", GONE)], "set exactly one of prometheus, probe"),
    ("monitors-twice", "ReleasePolicy", [(f"{MONITORED}.name", "refusals")], "Duplicate value"),
    ("17-monitors", "ReleasePolicy", [("spec.monitors", [PROBE | {"name": f"m{n}"} for n in range(17)])], "must have at most 16 items"),
    ("counts-of-no-label", "ReleasePolicy", [(f"{MONITOR}.prometheus.label", GONE)], "label goes with answer Counts, which needs it"),
    ("label-of-values", "ReleasePolicy",
     [(f"{MONITOR}.prometheus", QUERY | {"label": "l"})], "label goes with answer Counts, which needs it"),
    ("event-of-values", "ReleasePolicy", [(f"{MONITOR}.prometheus", QUERY | {"event": "e"})], "event goes with answer Counts"),
    ("counts-since-ever", "ReleasePolicy",
     [(f"{MONITOR}.prometheus.query", "answers_total")], "counts are those of one period: write increase(…[$period])"),
    ("mean-of-buckets", "ReleasePolicy",
     [(f"{MONITOR}.prometheus", QUERY | {"query": "x[$period]", "answer": "Buckets"})], "buckets are counts of a distribution"),
    ("mean-of-no-event", "ReleasePolicy", [(f"{MONITOR}.prometheus.event", GONE)], "counts need an event for a mean, and only there"),
    ("event-of-a-mix", "ReleasePolicy",
     [(f"{MONITOR}.detects", "Distribution"), (f"{MONITOR}.changes", GONE)], "counts need an event for a mean, and only there"),
    ("mean-of-a-distribution", "ReleasePolicy",
     [(MONITORED, PROBE | {"detects": "Distribution"})], "reference.mean goes with detects Mean"),
    ("counts-of-a-probe", "ReleasePolicy",
     [(f"{MONITORED}.reference", {"counts": [{"value": "a", "seen": 1}]})], "reference.counts goes with a query whose answer is Counts"),
    ("two-references", "ReleasePolicy", [(f"{MONITOR}.reference.mean", "0.1")], "set exactly one of mean, counts, baseline"),
    ("no-reference", "ReleasePolicy", [(f"{MONITOR}.reference", {})], "set exactly one of mean, counts, baseline"),
    ("baseline-of-one", "ReleasePolicy", [(f"{MONITOR}.reference.baseline.atLeast", 1)], "should be greater than or equal to 2"),
    ("rise-of-a-distribution", "ReleasePolicy",
     [(MONITORED, PROBE | {"detects": "Distribution", "reference": {"baseline": {"window": "1h"}}, "changes": "Rise"})], "changes goes with detects Mean"),
    ("scale-of-a-distribution", "ReleasePolicy",
     [(MONITORED, PROBE | {"detects": "Distribution", "reference": {"baseline": {"window": "1h"}}, "scale": SCALE})], "scale goes with detects Mean"),
    ("scale-of-counts", "ReleasePolicy", [(f"{MONITOR}.scale", SCALE)], "scale goes with numbers"),
    ("missing-of-a-query", "ReleasePolicy", [(f"{MONITOR}.missing", "0")], "missing goes with a probe"),
    ("missing-in-words", "ReleasePolicy", [(f"{MONITORED}.missing", "NaN")], "missing in body should match"),
    ("tolerates-everything", "ReleasePolicy", [(f"{MONITOR}.tolerance", "1")], "tolerance in body should match"),
    ("cries-wolf", "ReleasePolicy", [(f"{MONITOR}.falseAlarmEvery", 99)], "should be greater than or equal to 100"),
    ("silence-rolls-back", "ReleasePolicy", [(f"{MONITOR}.onSilence", "RollBack")], 'Unsupported value: "RollBack"'),
    ("label-that-is-none", "ReleasePolicy", [(f"{MONITOR}.prometheus.label", 'a"b')], "label in body should match"),
    ("reference-of-both", "ReleaseMonitor", [("spec.reference.distribution", "{}")], "set exactly one of mean, distribution"),
    ("reference-of-40-kB", "ReleaseMonitor", [("spec.reference", {"distribution": "x" * 32_769})], "may not be more than 32768 bytes"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "changes", "says"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_the_api_server_says_what_is_wrong(nowhere: Namespace, kind: str, changes: list[tuple[str, Any]], says: str) -> None:
    with pytest.raises(StepFailed) as refused:
        dry_run(nowhere, changed(kind, *changes))
    assert says in str(refused.value)


CANARY_NEEDS = ("suite", "margin", "planned", "maxDuration")
ALLOWED: list[tuple[str, str, list[tuple[str, Any]]]] = [
    ("first-release", "ModelRelease", [("spec.change.baseline", GONE)]),
    ("only-what-is-needed", "ModelRelease", [(f"spec.{field}", GONE) for field in ("training", "authority", "residualRisk", "rollback")]),
    ("64-artifacts", "ModelRelease", [("spec.artifacts", [{"name": f"d{n}", "type": "Dataset", "digest": DIGEST} for n in range(64)])]),
    ("sha256-commit", "ModelRelease", [("spec.artifacts.2.digest", "gitCommit:" + "a" * 64)]),
    ("bundle-at-the-limit", "ReleaseEvidence", [("spec.bundle.inline", "A" * 524_288)]),
    ("four-attachments", "ReleaseEvidence", [("spec.attachments", [{"name": f"f{n}", "inline": "AA=="} for n in range(4)])]),
    ("no-attachments", "ReleaseEvidence", [("spec.attachments", GONE)]),
    ("reject", "ReleaseApproval", [("spec.decision", "Reject"), ("spec.expires", GONE), ("spec.comment", GONE)]),
    ("every-kind-of-revocation", "TrustRoot", [(REVOKED, [
        WHY | {"type": "Key", "key": "k", "since": SINCE, "revokedAt": SINCE}, WHY | {"type": "Key", "fingerprint": DIGEST},
        WHY | {"type": "Certificate", "fingerprint": DIGEST}, WHY | {"type": "Certificate", "serial": "a1", "issuedBy": DIGEST},
        WHY | {"type": "Identity", "identity": "i", "issuer": "j", "since": SINCE}, WHY | {"type": "Release", "digest": DIGEST},
        WHY | {"type": "Artifact", "digest": "gitCommit:" + "a" * 40}, *([WHY | {"type": "Artifact", "digest": DIGEST}] * 249)])]),
    ("revoked-by-a-policy", "ReleasePolicy", [(REVOKED, [WHY | {"type": "Key", "fingerprint": DIGEST}]), ("spec.onRevoked", "ScaleToZero")]),
    ("trust-in-sigstore", "TrustRoot", [("spec", {"sigstore": {"trustedRoot": "{}"}})]),
    ("authorities-with-timestamps", "TrustRoot", [("spec", {"certificateAuthorities": {"pem": "x", "timestampPem": "x", "timestamps": 8}})]),
    ("authorities-without-timestamps", "TrustRoot", [("spec", {"certificateAuthorities": {"pem": "x", "undated": "Accept", "timestamps": 0}})]),
    ("at-most", "ReleasePolicy", [("spec.requirements.2.measures.0", {"suite": "s", "metric": "m", "atMost": "0.05"})]),
    ("any-builder", "ReleasePolicy", [("spec.requirements.1.builders", GONE)]),
    ("mapped-to-controls", "ReleasePolicy", [("spec.requirements.0.controlMappings", ["NIST-CSF-2.0:PR.DS-01", "OWASP-Agentic:ASI02", "CSA-MAESTRO:L3"])]),
    ("only-what-a-canary-needs", "ReleasePolicy", [(CANARY, {"name": "canary", "type": "Canary"} | {f: CANARY_FIELDS[f] for f in CANARY_NEEDS})]),
    ("all-of-a-canary", "ReleasePolicy", [(CANARY, {"name": "canary", "type": "Canary", "waivableBy": ["security"], "tiers": ["high"]} | CANARY_FIELDS)]),
    ("margins-at-their-limits", "ReleasePolicy",
     [(f"{CANARY}.margin", "0"), (f"{CANARY}.margins", {"a": "1.0"}), (f"{CANARY}.falsePromotionRate", "0.499999")]),
    ("no-monitors", "ReleasePolicy", [("spec.monitors", GONE)]),
    ("only-what-a-monitor-needs", "ReleasePolicy", [("spec.monitors", [PROBE])]),
    ("16-monitors", "ReleasePolicy", [("spec.monitors", [PROBE | {"name": f"m{n}"} for n in range(16)])]),
    ("a-mean-of-numbers", "ReleasePolicy",
     [(MONITOR, PROBE | {"name": "latency", "scale": SCALE, "missing": "Infinity", "tolerance": "0.999", "onSilence": "Withdraw", "tiers": ["high"]})]),
    ("a-mix-of-tools", "ReleasePolicy",
     [(MONITOR, {k: v for k, v in PROBE.items() if k != "probe"} | {
         "name": "tools", "prometheus": {"query": "increase(x[$period])", "answer": "Counts", "label": "tool"}, "detects": "Distribution",
         "reference": {"counts": [{"value": "search", "seen": 900}, {"value": "pay", "seen": 100}]}})]),
    ("a-histogram", "ReleasePolicy",
     [(MONITOR, {k: v for k, v in PROBE.items() if k != "probe"} | {
         "name": "latency", "prometheus": {"query": "sum by (le) (increase(x[$period]))", "answer": "Buckets"}, "detects": "Distribution",
         "reference": {"baseline": {"window": "1d"}}})]),
    ("a-drill-every-week", "ReleasePolicy", [(CANARY, DRILL), (f"{SIGNER}.may", ["Provenance", "RollbackDrill"])]),
    ("a-drill-in-scratch", "ReleasePolicy", [(CANARY, DRILL | {"place": "ScratchNamespace"})]),
    ("every-kind-of-statement", "ReleasePolicy",
     [(f"{SIGNER}.may", [kind.value for kind in StatementKind]), (f"{SIGNER}.operatedBy", {"users": ["olga@example.com"]})]),
    ("only-what-lineage-needs", "ReleasePolicy", [(ORIGIN, {"name": "lineage", "type": "Lineage", "mustReach": ["Code"]})]),
    ("data-of-any-kind", "ReleasePolicy", [(ORIGIN, {"name": "data", "type": "DataProvenance"})]),
    *((f"{kind}-with-{field}", "ReleasePolicy", [(ORIGIN, {"name": "origin", "type": kind} | ORIGIN_NEEDS.get(kind, {}) | {field: ORIGIN_FIELDS[field]})])
      for kind, fields in ORIGIN_TYPES.items() for field in fields),
    ("a-monitor-that-learns", "ReleaseMonitor", [("spec.reference", GONE)]),
    ("a-monitor-of-a-distribution", "ReleaseMonitor", [("spec.reference", {"distribution": "x" * 32_768})]),
    ("inline-cases", "ScoringSuite", [("spec.cases", {"inline": "x" * 262_144})]),
    ("recorded-pairs", "ScoringSuite", [("spec.cases", PAIRS), ("spec.repeats", GONE)]),
    ("a-run-of-a-recording", "CanaryRun",
     [("spec.recording", {"digest": DIGEST, "count": 1, "evidence": DIGEST, "oci": {"reference": f"registry.example.com/pairs@{DIGEST}"}})]),
    ("cases-in-a-registry", "ScoringSuite",
     [("spec.cases", {"oci": {"reference": f"registry.example.com/suites/churn@{DIGEST}", "digest": DIGEST, "count": 3}})]),
    ("a-chat-that-streams", "ScoringSuite",
     [(PROTOCOL, CHAT | {"answers": "Streamed", "path": "/openai/v1", "auth": {"secretRef": {"name": "token", "key": "token"}}})]),
    ("plain-http", "ScoringSuite", [(PROTOCOL, {"type": "Http", "port": 80, "http": {"path": "/score?x=1", "body": "{}", "answer": "/text", "ready": "/ok"}})]),
    ("a-version-over-grpc", "ScoringSuite", [(f"{PROTOCOL}.type", "OpenInferenceGrpc"), (f"{PROTOCOL}.version", "2")]),
    ("every-parameter", "ScoringSuite", [("spec.scorers", SCORERS)]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "changes"), [case[1:] for case in ALLOWED], ids=[case[0] for case in ALLOWED])
def test_the_api_server_takes_what_is_right(nowhere: Namespace, kind: str, changes: list[tuple[str, Any]]) -> None:
    dry_run(nowhere, changed(kind, *changes))


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_explain_shows_what_a_kind_and_its_fields_are_for(cluster: Cluster, kind: Kind) -> None:
    assert kind.description in " ".join(cluster.kubectl("explain", kind.plural).stdout.split())
    shown = " ".join(cluster.kubectl("explain", f"{kind.plural}.spec").stdout.split())
    assert {name for name, text in descriptions(kind.spec).items() if " ".join(text.split()) in shown} == kind.spec.model_fields.keys()


def test_all_kinds_are_listed_by_category_and_short_name(cluster: Cluster) -> None:
    listed = cluster.kubectl("api-resources", "--categories=sluice", "--no-headers").stdout.splitlines()
    assert {tuple(line.split()[:2]) for line in listed} == {(kind.plural, kind.short) for kind in KINDS}
