"""What a verdict depends on: every requirement in both directions, on facts that real signatures established."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from e2e.sigstore import evaluation_statement, lm_eval_results, model_signature_statement, sign_with_key, slsa_statement
from sluice.api.release import Outcome, Phase
from sluice.decision.decide import decide
from sluice.decision.model import Allowance, Case, Release
from sluice.decision.reasons import Reason
from tests.unit.decision import case as c

if TYPE_CHECKING:
    from sluice.decision.model import Result, Verdict
    from sluice.decision.world import World


def verdict_of(world: World, **later: Any) -> Verdict:  # noqa: ANN401 - arguments of timedelta
    verdict = world.verdict(c.KEY, now=c.NOW + timedelta(**later))
    assert verdict is not None
    return verdict


def result_of(verdict: Verdict, requirement: str) -> Result:
    return next(result for result in verdict.results if result.requirement == requirement)


def with_policy(world: World, spec: dict[str, Any]) -> World:
    world.put("ReleasePolicy", c.item("ReleasePolicy", "customer-facing", spec, namespace=""))
    return world


def test_a_release_with_all_evidence_and_approvals_serves() -> None:
    verdict = verdict_of(c.approved_world())
    assert verdict.allows is Allowance.SERVE
    assert verdict.phase is Phase.SERVING
    assert {result.outcome for result in verdict.results} == {Outcome.SATISFIED}


def test_without_a_policy_nothing_serves() -> None:
    world = c.approved_world()
    world.remove("ReleasePolicy", c.Key(namespace="", name="customer-facing"))
    verdict = verdict_of(world)
    assert verdict.allows is Allowance.NOTHING
    assert verdict.open[0].reason is Reason.NoPolicyMatches


def test_an_empty_list_of_results_allows_nothing() -> None:
    release = c.verified_world().releases[c.KEY]
    assert isinstance(release, Release)
    assert decide(Case(release=release, policies=(), facts=()), now=c.NOW).allows is Allowance.NOTHING


def test_a_policy_that_cannot_be_used_stays_in_the_way() -> None:
    world = c.approved_world()
    world.put("ReleasePolicy", c.item("ReleasePolicy", "broken", c.policy_spec() | {"tiers": [{"name": "x", "when": "release."}]}, namespace=""))
    verdict = verdict_of(world)
    assert verdict.allows is Allowance.NOTHING
    assert verdict.open[0].reason is Reason.PolicyInvalid
    assert "spec.tiers[x].when" in verdict.open[0].message


@pytest.mark.parametrize(
    ("gone", "requirement"), [("signature", "weights-signed"), ("packaging", "weights-signed"), ("server", "built-here"), ("evaluation", "quality")]
)
def test_without_one_piece_of_evidence_its_requirement_is_missing_and_nothing_serves(gone: str, requirement: str) -> None:
    world = c.approved_world()
    world.remove("ReleaseEvidence", c.Key(namespace=c.NAMESPACE, name=gone))
    verdict = verdict_of(world)
    result = result_of(verdict, requirement)
    assert verdict.allows is Allowance.NOTHING
    assert verdict.phase is Phase.AWAITING_EVIDENCE
    assert result.outcome is Outcome.MISSING
    assert result.remedy


def test_a_manifest_that_nobody_ties_to_the_signed_weights_does_not_carry_them() -> None:
    world = c.approved_world()
    world.remove("ReleaseEvidence", c.Key(namespace=c.NAMESPACE, name="packaging"))
    unrelated = c.sign(slsa_statement({"churn": c.CARRIER}, c.BUILDER, [("other", c.digest_of("other weights"))]))
    world.put("ReleaseEvidence", c.evidence("unrelated", unrelated))
    assert result_of(verdict_of(world), "weights-signed").reason is Reason.CarrierUnbound


def test_a_valid_signature_by_somebody_else_fails_and_says_who_signed() -> None:
    world = c.approved_world()
    world.remove("ReleaseEvidence", c.Key(namespace=c.NAMESPACE, name="signature"))
    world.put("ReleaseEvidence", c.evidence("mallory", c.sign(model_signature_statement(c.WEIGHTS_FILES), identity="mallory@example.com")))
    result = result_of(verdict_of(world), "weights-signed")
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.SignerNotPermitted)
    assert "mallory@example.com" in result.message


def test_the_right_identity_from_another_issuer_is_somebody_else() -> None:
    world = c.approved_world()
    world.remove("ReleaseEvidence", c.Key(namespace=c.NAMESPACE, name="signature"))
    world.put("ReleaseEvidence", c.evidence("other", c.sign(model_signature_statement(c.WEIGHTS_FILES), issuer="https://login.example.net")))
    assert result_of(verdict_of(world), "weights-signed").reason is Reason.SignerNotPermitted


def test_a_signer_counts_only_for_what_it_may_sign() -> None:
    spec = c.policy_spec()
    spec["signers"][0]["may"] = ["Provenance"]
    assert result_of(verdict_of(with_policy(c.approved_world(), spec)), "weights-signed").reason is Reason.SignerNotPermitted


def without_covering(*paths: str) -> c.World:
    """The approved world, with a signature of the same weights whose signer left `paths` out."""
    statement = model_signature_statement(c.WEIGHTS_FILES)
    statement["predicate"]["serialization"]["ignore_paths"] = list(paths)
    world = c.approved_world()
    world.remove("ReleaseEvidence", c.Key(namespace=c.NAMESPACE, name="signature"))
    world.put("ReleaseEvidence", c.evidence("left-out", c.sign(statement)))
    return world


def test_paths_that_the_signer_left_out_fail_and_are_named() -> None:
    result = result_of(verdict_of(without_covering(".git", "hooks/run.py", "model.sig")), "weights-signed")
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.UncoveredFiles)
    assert ".git, hooks/run.py out of the signature" in result.message


@pytest.mark.parametrize(
    ("accepted", "outcome"),
    [
        ([".git", "hooks/run.py"], Outcome.SATISFIED),
        ([".git", "hooks/run.py", "never-there"], Outcome.SATISFIED),
        ([".git"], Outcome.FAILED),
        ([".git", "hooks"], Outcome.FAILED),
    ],
)
def test_a_policy_accepts_exactly_the_paths_that_it_names(accepted: list[str], outcome: Outcome) -> None:
    spec = c.policy_spec()
    spec["requirements"][0]["acceptUncovered"] = accepted
    assert result_of(verdict_of(with_policy(without_covering(".git", "hooks/run.py"), spec)), "weights-signed").outcome is outcome


def test_a_builder_that_policy_does_not_accept_fails() -> None:
    spec = c.policy_spec()
    spec["requirements"][1]["builders"] = ["https://ci.example.com/runners/other"]
    result = result_of(verdict_of(with_policy(c.approved_world(), spec)), "built-here")
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.BuilderNotPermitted)
    assert c.BUILDER in result.message


def test_a_tampered_bundle_fails_the_requirement_it_claims_to_meet() -> None:
    world = c.approved_world()
    world.remove("ReleaseEvidence", c.Key(namespace=c.NAMESPACE, name="signature"))
    tampered = bytearray(c.bundles()["signature"])
    at = tampered.index(b'"sig":') + 20
    tampered[at] = ord("A") if tampered[at] != ord("A") else ord("B")
    world.put("ReleaseEvidence", c.evidence("tampered", bytes(tampered)))
    result = result_of(verdict_of(world), "weights-signed")
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.EvidenceRefused)
    assert "tampered" in result.message
    assert (result.remedy or "").startswith("have trainer-ci sign one that is not refused: kubectl describe mre/tampered")
    assert result_of(verdict_of(world), "quality").outcome is Outcome.SATISFIED


def test_a_refused_bundle_explains_only_the_kind_of_requirement_it_claims_to_meet() -> None:
    world = c.verified_world()
    world.remove("ReleaseEvidence", c.Key(namespace=c.NAMESPACE, name="evaluation"))
    world.put("ReleaseEvidence", c.evidence("unattached", c.bundles()["evaluation"]))
    verdict = verdict_of(world)
    assert result_of(verdict, "quality").reason is Reason.EvidenceRefused
    assert result_of(verdict, "weights-signed").outcome is Outcome.SATISFIED


@pytest.mark.parametrize(
    ("value", "samples", "outcome"), [(0.95, 1000, Outcome.SATISFIED), (0.95, 20, Outcome.MISSING), (0.90, 1000, Outcome.FAILED), (0.80, 1000, Outcome.FAILED)]
)
def test_the_threshold_is_compared_with_the_confidence_bound_of_the_raw_number(value: float, samples: int, outcome: Outcome) -> None:
    world = c.verified_world()
    raw = lm_eval_results("churn-core", "acc", value, samples)
    world.remove("ReleaseEvidence", c.Key(namespace=c.NAMESPACE, name="evaluation"))
    bundle = c.sign(evaluation_statement(c.weights_digest(), "r.json", raw), identity=c.EVALUATOR)
    world.put("ReleaseEvidence", c.evidence("other", bundle, {"r.json": raw}))
    assert result_of(verdict_of(world), "quality").outcome is outcome


def test_at_most_compares_the_upper_bound() -> None:
    spec = c.policy_spec()
    spec["requirements"][2]["measures"] = [{"suite": "churn-core", "metric": "acc", "atMost": "0.955"}]
    unknown = result_of(verdict_of(with_policy(c.verified_world(), spec)), "quality")
    spec["requirements"][2]["measures"][0]["atMost"] = "0.97"
    satisfied = result_of(verdict_of(with_policy(c.verified_world(), spec)), "quality")
    spec["requirements"][2]["measures"][0]["atMost"] = "0.94"
    failed = result_of(verdict_of(with_policy(c.verified_world(), spec)), "quality")
    assert (unknown.outcome, satisfied.outcome, failed.outcome) == (Outcome.MISSING, Outcome.SATISFIED, Outcome.FAILED)


def test_more_confidence_asks_more_of_the_same_number() -> None:
    spec = c.policy_spec()
    spec["requirements"][2]["measures"][0] |= {"atLeast": "0.937", "confidence": "0.95"}
    assert result_of(verdict_of(with_policy(c.verified_world(), spec)), "quality").outcome is Outcome.SATISFIED
    spec["requirements"][2]["measures"][0]["confidence"] = "0.999"
    unknown = result_of(verdict_of(with_policy(c.verified_world(), spec)), "quality")
    assert (unknown.outcome, unknown.reason) == (Outcome.MISSING, Reason.EvaluationInconclusive)
    enough = int(unknown.message.partition("asks ≥ 0.937; ")[2].partition(" samples")[0].replace(",", ""))
    raw = lm_eval_results("churn-core", "acc", 0.95, enough)
    bundle = c.sign(evaluation_statement(c.weights_digest(), "r.json", raw), identity=c.EVALUATOR)
    world = with_policy(c.verified_world(), spec)
    world.put("ReleaseEvidence", c.evidence("other", bundle, {"r.json": raw}))
    assert result_of(verdict_of(world), "quality").outcome is Outcome.SATISFIED


def test_evidence_older_than_policy_accepts_expires_at_that_second() -> None:
    world = c.approved_world()
    ends = verdict_of(world).changes_at
    assert ends is not None
    assert world.verdict(c.KEY, now=ends - timedelta(seconds=1)).allows is Allowance.SERVE  # type: ignore[union-attr]
    after = world.verdict(c.KEY, now=ends)
    assert after is not None
    assert result_of(after, "quality").outcome is Outcome.EXPIRED
    assert after.allows is Allowance.NOTHING


def test_a_required_type_of_artifact_that_the_release_lacks_fails() -> None:
    spec = c.policy_spec()
    spec["requirements"][0]["artifactTypes"] = ["Weights", "Tokenizer"]
    assert result_of(verdict_of(with_policy(c.approved_world(), spec)), "weights-signed").reason is Reason.ArtifactMissing


def test_requirements_of_another_tier_do_not_apply_and_of_an_unknown_tier_do() -> None:
    spec = c.policy_spec()
    spec["requirements"].append({"name": "red-team", "type": "Evaluation", "artifactTypes": ["Weights"], "tiers": ["high"],
                                 "measures": [{"suite": "attacks", "metric": "acc", "atLeast": "0.9"}]})  # fmt: skip
    standard = verdict_of(with_policy(c.approved_world(), spec))
    assert (standard.tier, standard.allows) == ("standard", Allowance.SERVE)
    spec["tiers"][0]["when"] = "release.authority.tools.exists(t, t.effect == 'Read')"
    high = verdict_of(with_policy(c.approved_world(), spec))
    assert (high.tier, high.allows) == ("high", Allowance.NOTHING)
    spec["tiers"][0]["when"] = "release.training.run == ''"
    unknown = verdict_of(with_policy(c.approved_world(), spec))
    assert (unknown.tier, unknown.allows) == (None, Allowance.NOTHING)


def test_policies_add_up() -> None:
    world = c.approved_world()
    more = c.policy_spec() | {"requirements": [{"name": "legal", "type": "Approval", "counts": {"legal": 1}}]}
    world.put("ReleasePolicy", c.item("ReleasePolicy", "another", more, namespace=""))
    assert verdict_of(world).allows is Allowance.NOTHING
    assert result_of(verdict_of(world), "approvals").outcome is Outcome.SATISFIED
    assert result_of(verdict_of(world), "legal").outcome is Outcome.MISSING


def test_a_check_that_breaks_is_a_failure_not_a_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    world = c.approved_world()
    monkeypatch.setattr("sluice.decision.evaluations.wilson", lambda *_: 1 / 0)
    result = result_of(verdict_of(world), "quality")
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.CheckFailed)


def with_plain_key(world: World, key_name: str) -> World:
    """Trust a plain public key for the weights, instead of the pipeline's certificates."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    world.put("TrustRoot", c.item("TrustRoot", "keys", {"keys": [{"name": "release-key", "pem": pem}]}, namespace=""))
    spec = c.policy_spec()
    spec["signers"].append({"name": "by-key", "trustRoot": "keys", "key": key_name, "may": ["ModelSignature"]})
    world.remove("ReleaseEvidence", c.Key(namespace=c.NAMESPACE, name="signature"))
    world.put("ReleaseEvidence", c.evidence("by-key", sign_with_key(model_signature_statement(c.WEIGHTS_FILES), key, "release-key")))
    return with_policy(world, spec)


def test_a_signature_by_a_plain_key_counts_for_the_signer_that_names_this_key_and_no_other() -> None:
    assert result_of(verdict_of(with_plain_key(c.verified_world(), "release-key")), "weights-signed").outcome is Outcome.SATISFIED
    other = result_of(verdict_of(with_plain_key(c.verified_world(), "another-key")), "weights-signed")
    assert (other.outcome, other.reason) == (Outcome.FAILED, Reason.SignerNotPermitted)
    assert "by-key (key another-key of TrustRoot keys) sign ModelSignature; this is signed by key release-key, verified by TrustRoot keys" in other.message
