"""Who measured, on which cases, and whether the model had seen them."""

from __future__ import annotations

import base64
import json
from functools import cache
from typing import Any

import pytest

from e2e.sigstore.statements import evaluation_statement, statement, subject
from sluice.api.release import Outcome
from sluice.decision.model import Result, Verdict
from sluice.decision.reasons import Reason
from sluice.provenance.signing import SigningKey
from tests.unit.decision import case as c
from tests.unit.decision import test_origins as origins
from tests.unit.evidence import made

Object = dict[str, Any]
TEST_SET, OTHER_SET, FILE = c.digest_of("test set"), c.digest_of("another test set"), c.digest_of("file of the test set")
PINNED: Object = {"suiteDigests": {"churn-core": TEST_SET}}
CLEAN: Object = PINNED | {"contamination": "Refuse"}
LINES: origins.Dependencies = origins.TRAINING


@cache
def raw(test_set: str) -> bytes:
    """What lm-eval wrote of one suite."""
    document = json.loads(c.raw_results())
    return json.dumps(document | {"task_hashes": {"churn-core": test_set.removeprefix("sha256:")} if test_set else {}}).encode()


@cache
def signed(identity: str, test_set: str) -> bytes:
    return c.sign(evaluation_statement(c.weights_digest(), "results.json", raw(test_set)), identity=identity)


@cache
def trained_on(*dependencies: tuple[str, str, str | None]) -> bytes:
    return c.sign(origins.training(c.weights_digest(), list(dependencies)))


def evaluated(identity: str = c.EVALUATOR, test_set: str = TEST_SET, name: str = "evaluation") -> Object:
    return c.evidence(name, signed(identity, test_set), {"results.json": raw(test_set)})


def world(*evidence: Object, fields: Object, signers: list[Object] | None = None, signature: bool = True, **spec: Any) -> c.World:  # noqa: ANN401 - JSON
    """A release with these evaluations, whose policy asks for one with these fields."""
    rules = c.policy_spec()
    quality = rules["requirements"][2] | {"measures": [{"suite": "churn-core", "metric": "acc", "atLeast": "0.90"}]} | fields
    data_office = {"name": "data-ci", "trustRoot": "ci", "issuer": c.ISSUER, "identity": origins.STEWARD, "may": ["Dataset"]}
    rules |= {"requirements": [quality], "signers": signers or [*rules["signers"], data_office]}
    known = c.World()
    known.put("Namespace", c.namespace())
    known.put("TrustRoot", c.trust_root())
    known.put("ReleasePolicy", c.item("ReleasePolicy", "customer-facing", rules, namespace=""))
    known.put("ModelRelease", c.item("ModelRelease", c.NAME, origins.release(**spec)))
    if signature:
        known.put("ReleaseEvidence", c.evidence("signature", c.bundles()["signature"]))
    for item in evidence:
        known.put("ReleaseEvidence", item)
    return known


def verdict_of(known: c.World) -> Verdict:
    verdict = known.verdict(c.KEY, now=c.NOW)
    assert verdict is not None
    return verdict


def result_of(known: c.World) -> Result:
    (result,) = verdict_of(known).results
    return result


def signers(**evaluator: Any) -> list[Object]:  # noqa: ANN401 - fields of a signer
    """Trainer and evaluator, both of them permitted both."""
    both = [dict(signer) for signer in c.policy_spec()["signers"]]
    both[0]["may"] = [*both[0]["may"], "Evaluation"]
    both[1] |= evaluator
    return both


INDEPENDENT: Object = {"distinctFrom": ["Trainer"]}


def test_an_evaluation_by_somebody_else_counts() -> None:
    assert result_of(world(evaluated(), fields=INDEPENDENT)).outcome is Outcome.SATISFIED


def test_who_signed_the_weights_does_not_evaluate_them_where_policy_says_so() -> None:
    known = world(evaluated(c.TRAINER), fields=INDEPENDENT, signers=signers())
    result = result_of(known)
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.EvaluatorNotIndependent)
    assert f"{c.TRAINER} signed ModelSignature" in result.message
    # Nor does it count beside another that does.
    known.put("ReleaseEvidence", evaluated(name="second"))
    assert result_of(known).outcome is Outcome.SATISFIED
    assert len(result_of(known).evidence) == 1
    assert result_of(world(evaluated(c.TRAINER), fields={}, signers=signers())).outcome is Outcome.SATISFIED


@pytest.mark.parametrize(
    "operators", [{"users": ["tina@example.com"]}, {"groups": ["train-admins"]}, {"users": ["sam@example.com", "tina@example.com"], "groups": ["others"]}]
)
def test_who_operates_the_trainer_does_not_operate_the_evaluator(operators: Object) -> None:
    result = result_of(world(evaluated(), fields=INDEPENDENT, signers=signers(operatedBy=operators)))
    assert result.reason is Reason.EvaluatorNotIndependent
    assert "operates the signer trainer-ci" in result.message


def test_other_people_may_operate_it() -> None:
    operators = {"users": ["sam@example.com"], "groups": ["evaluators"]}
    assert result_of(world(evaluated(), fields=INDEPENDENT, signers=signers(operatedBy=operators))).outcome is Outcome.SATISFIED


def test_while_nobody_signed_the_weights_whoever_could_have_does_not_evaluate_them() -> None:
    result = result_of(world(evaluated(c.TRAINER), fields=INDEPENDENT, signers=signers(), signature=False))
    assert result.reason is Reason.EvaluatorNotIndependent
    assert "could have made the missing ModelSignature statement" in result.message
    assert result_of(world(evaluated(), fields=INDEPENDENT, signature=False)).outcome is Outcome.SATISFIED


def keyed(*, fields: Object, may: list[str], signs_weights: bool) -> Result:
    """What an evaluation by a key comes to that may do this, and did or did not sign the weights."""
    key = SigningKey.generate()
    allowed = {"name": "one-key", "trustRoot": "keys", "key": "one", "may": may}
    known = world(fields=fields, signers=[*c.policy_spec()["signers"], allowed], signature=not signs_weights)
    known.put("TrustRoot", c.item("TrustRoot", "keys", {"keys": [{"name": "one", "pem": key.public_pem}]}, namespace=""))
    said = evaluation_statement(c.weights_digest(), "results.json", raw(TEST_SET))
    bundle = key.sign(predicate_type=said["predicateType"], subjects={"weights": c.weights_digest()}, predicate=said["predicate"])
    known.put("ReleaseEvidence", c.evidence("by-key", bundle, {"results.json": raw(TEST_SET)}))
    if signs_weights:
        built = key.sign(predicate_type="https://slsa.dev/provenance/v1", subjects={"weights": c.weights_digest()},
                         predicate=origins.training(c.weights_digest(), LINES)["predicate"])  # fmt: skip
        known.put("ReleaseEvidence", c.item("ReleaseEvidence", "built", {"bundle": {"inline": base64.b64encode(built).decode()}}))
    return result_of(known)


def test_one_key_does_not_train_and_evaluate() -> None:
    assert keyed(fields=INDEPENDENT, may=["Evaluation"], signs_weights=False).outcome is Outcome.SATISFIED
    both = keyed(fields=INDEPENDENT, may=["Evaluation", "Provenance"], signs_weights=True)
    assert (both.reason, "key one" in both.message) == (Reason.EvaluatorNotIndependent, True)
    assert keyed(fields={}, may=["Evaluation", "Provenance"], signs_weights=True).outcome is Outcome.SATISFIED
    could = keyed(fields=INDEPENDENT, may=["Evaluation", "Provenance"], signs_weights=False)
    assert (could.reason, "one-key could have made the missing Provenance statement" in could.message) == (Reason.EvaluatorNotIndependent, True)


def test_how_old_an_evaluation_is_that_nobody_dated_can_be_mended() -> None:
    result = keyed(fields={"measures": [{"suite": "churn-core", "metric": "acc", "atLeast": "0.5", "maxAge": "7d"}]}, may=["Evaluation"], signs_weights=False)
    assert result.reason is Reason.AgeUnknown
    assert "sluice sign statement --keyless" in (result.remedy or "")


# On which cases.


def test_numbers_on_the_pinned_test_set_count() -> None:
    assert result_of(world(evaluated(), fields=PINNED)).outcome is Outcome.SATISFIED


@pytest.mark.parametrize(("test_set", "words"), [(OTHER_SET, OTHER_SET), ("", "cases that nobody named by digest")])
def test_numbers_on_other_cases_do_not_count_and_both_are_named(test_set: str, words: str) -> None:
    known = world(evaluated(test_set=test_set), fields=PINNED)
    result = result_of(known)
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.TestSetNotPinned)
    assert result.message == f"churn-core was measured on {words}; policy pins {TEST_SET}"
    known.put("ReleaseEvidence", evaluated(name="second"))
    assert result_of(known).outcome is Outcome.SATISFIED


def test_a_pin_of_another_suite_asks_nothing_of_this_one() -> None:
    assert result_of(world(evaluated(), fields={"suiteDigests": {"other": OTHER_SET}})).outcome is Outcome.SATISFIED


def test_a_threshold_that_is_missed_on_the_right_cases_is_what_is_told() -> None:
    known = world(evaluated(test_set=OTHER_SET), evaluated(name="second"), fields=PINNED)
    spec = c.policy_spec()
    spec["requirements"] = [spec["requirements"][2] | PINNED | {"measures": [{"suite": "churn-core", "metric": "acc", "atLeast": "0.99"}]}]
    known.put("ReleasePolicy", c.item("ReleasePolicy", "customer-facing", spec, namespace=""))
    assert result_of(known).reason is Reason.ThresholdMissed


# Whether the model had seen them.


def test_a_test_set_that_is_no_training_data_is_believed_once_the_training_data_are_known() -> None:
    known = world(evaluated(), fields=CLEAN)
    result = result_of(known)
    assert (result.outcome, result.reason) == (Outcome.MISSING, Reason.LineageMissing)
    assert result.message.startswith("whether the model had seen its test set is not known: no statement says how weights")
    known.put("ReleaseEvidence", c.evidence("training", origins.signed("training")))
    result = result_of(known)
    assert result.outcome is Outcome.SATISFIED
    assert "the weights were made without the test set of churn-core" in result.message
    assert len(result.evidence) == 2


@pytest.mark.parametrize("role", ["Dataset", "Environment"])
def test_a_test_set_among_the_training_data_fails_by_whatever_name_it_went_in(role: str) -> None:
    contaminated = trained_on(*LINES, ("s3://data/more", TEST_SET, role))
    known = world(evaluated(), c.evidence("training", contaminated), fields=CLEAN)
    result = result_of(known)
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.TestSetTrainedOn)
    assert f"the test set of churn-core ({TEST_SET}) went into the weights, as s3://data/more ({TEST_SET})" in result.message
    # A statement that leaves it out does not make it better.
    known.put("ReleaseEvidence", c.evidence("clean", origins.signed("training")))
    assert result_of(known).reason is Reason.TestSetTrainedOn
    assert result_of(world(evaluated(), c.evidence("training", contaminated), fields=PINNED)).outcome is Outcome.SATISFIED


def test_a_test_set_behind_a_base_model_was_seen_as_well() -> None:
    quantized = trained_on(*LINES[1:], ("oci://registry.example.com/churn", origins.PARENT, "BaseModel"))
    parent = c.sign(origins.training(origins.PARENT, [*LINES, ("s3://data/more", TEST_SET, "Dataset")], run="mlflow:/runs/parent"))
    known = world(evaluated(), c.evidence("quantized", quantized), fields=CLEAN, change="Quantize")
    assert result_of(known).outcome is Outcome.MISSING
    known.put("ReleaseEvidence", c.evidence("parent", parent))
    assert result_of(known).reason is Reason.TestSetTrainedOn
    known.put("ReleaseEvidence", c.evidence("parent", origins.signed("parent")))
    assert result_of(known).outcome is Outcome.SATISFIED


def test_a_base_model_from_elsewhere_is_a_root_that_policy_names() -> None:
    quantized = trained_on(*LINES[1:], ("oci://registry.example.com/base", origins.ELSEWHERE, "BaseModel"))
    given = [evaluated(), c.evidence("quantized", quantized)]
    assert result_of(world(*given, fields=CLEAN, change="Quantize")).outcome is Outcome.MISSING
    rooted = CLEAN | {"roots": [{"name": "acme-base", "digest": origins.ELSEWHERE}]}
    assert result_of(world(*given, fields=rooted, change="Quantize")).outcome is Outcome.SATISFIED


def test_a_dataset_statement_ties_the_digest_of_a_harness_to_that_of_the_files() -> None:
    trained = c.evidence("training", trained_on(*LINES, ("s3://data/more", FILE, "Dataset")))
    known = world(evaluated(), trained, fields=CLEAN)
    assert result_of(known).outcome is Outcome.SATISFIED
    tie = statement(origins.DATASET_TYPE, [subject("files", FILE), subject("as lm-eval hashes it", TEST_SET)], made.dataset())
    known.put("ReleaseEvidence", c.evidence("stranger", c.sign(tie, identity="https://git.example.com/stranger")))
    assert result_of(known).outcome is Outcome.SATISFIED
    known.put("ReleaseEvidence", c.evidence("tie", c.sign(tie, identity=origins.STEWARD)))
    assert result_of(known).reason is Reason.TestSetTrainedOn


def test_what_a_stranger_says_went_into_the_weights_contaminates_nothing() -> None:
    told = c.sign(origins.training(c.weights_digest(), [*LINES, ("s3://data/more", TEST_SET, "Dataset")]), identity="https://git.example.com/stranger")
    known = world(evaluated(), c.evidence("training", origins.signed("training")), c.evidence("told", told), fields=CLEAN)
    assert result_of(known).outcome is Outcome.SATISFIED


def test_a_dataset_without_a_digest_may_be_the_test_set() -> None:
    vague = trained_on(("s3://data/churn-2026", "", "Dataset"), *LINES[1:])
    result = result_of(world(evaluated(), c.evidence("training", vague), fields=CLEAN))
    assert (result.outcome, result.reason) == (Outcome.MISSING, Reason.LineageMissing)
    assert "named without a digest" in result.message


def test_a_policy_that_no_api_server_takes_believes_no_evaluation() -> None:
    known = world(evaluated(), c.evidence("training", origins.signed("training")), fields={"contamination": "Refuse"})
    assert (result_of(known).outcome, result_of(known).reason) == (Outcome.FAILED, Reason.CheckFailed)


# The baseline, too: one that looks bad is easy to reach.


def beside(*about_baseline: Object, fields: Object) -> Result:
    """What a comparison comes to with the first release of the model, of whose own weights these evaluations are."""
    known = world(evaluated(), fields=fields, signers=signers())
    spec = known.policies["customer-facing"].spec.model_dump(mode="json", by_alias=True, exclude_none=True)  # type: ignore[union-attr]
    spec["requirements"][0]["measures"] = [{"suite": "churn-core", "metric": "acc", "notWorseThanBaselineBy": "0.05"}]
    known.put("ReleasePolicy", c.item("ReleasePolicy", "customer-facing", spec, namespace=""))
    first = c.first_release_spec() | {"artifacts": [{"name": "weights", "type": "Weights", "digest": origins.PARENT}]}
    known.put("ModelRelease", c.item("ModelRelease", c.BASELINE, first))
    retrained = {"change": {"type": "Retrain", "baseline": {"name": c.BASELINE}}}
    known.put("ModelRelease", c.item("ModelRelease", c.NAME, c.release_spec() | retrained))
    for item in about_baseline:
        known.put("ReleaseEvidence", item)
    return result_of(known)


def of_baseline(identity: str, test_set: str = TEST_SET) -> Object:
    said = evaluation_statement(origins.PARENT, "results.json", raw(test_set))
    return c.evidence(f"of-baseline-{len(identity)}", c.sign(said, identity=identity), {"results.json": raw(test_set)})


def test_a_baseline_that_its_trainer_evaluated_or_on_other_cases_is_not_measured() -> None:
    assert beside(of_baseline(c.EVALUATOR), fields=INDEPENDENT | PINNED).outcome is Outcome.SATISFIED
    assert beside(of_baseline(c.TRAINER), fields=INDEPENDENT).reason is Reason.EvaluatorNotIndependent
    assert beside(of_baseline(c.TRAINER), fields={}).outcome is Outcome.SATISFIED
    assert beside(of_baseline(c.EVALUATOR, OTHER_SET), fields=PINNED).outcome is not Outcome.SATISFIED


def test_so_is_the_model_that_it_was_made_from() -> None:
    def quantized(evaluator: str, fields: Object) -> Result:
        known = world(evaluated(), fields=fields, signers=signers(), change="Quantize")
        spec = known.policies["customer-facing"].spec.model_dump(mode="json", by_alias=True, exclude_none=True)  # type: ignore[union-attr]
        spec["requirements"][0]["measures"] = [{"suite": "churn-core", "metric": "acc", "notWorseThanBaselineBy": "0.05"}]
        known.put("ReleasePolicy", c.item("ReleasePolicy", "customer-facing", spec, namespace=""))
        known.put("ReleaseEvidence", c.evidence("quantized", trained_on(*LINES[1:], ("oci://registry.example.com/churn", origins.PARENT, "BaseModel"))))
        known.put("ReleaseEvidence", c.evidence("parent", origins.signed("parent")))
        known.put("ReleaseEvidence", of_baseline(evaluator))
        return result_of(known)

    assert quantized(c.EVALUATOR, INDEPENDENT).outcome is Outcome.SATISFIED
    assert quantized(c.TRAINER, INDEPENDENT).reason is Reason.EvaluatorNotIndependent
    assert quantized(c.TRAINER, {}).outcome is Outcome.SATISFIED
