"""Where weights come from: walked back by real signatures to approved roots, and the first missing link named."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from e2e.sigstore.statements import slsa_statement, statement, subject
from sluice.api.release import Outcome
from sluice.decision.model import Allowance, Result, Verdict
from sluice.decision.reasons import Reason
from tests.unit.decision import case as c
from tests.unit.evidence import made

RUN = "mlflow:/runs/8a1f"
DATA, PARAMETERS, PARENT, ELSEWHERE = (c.digest_of(name) for name in ("data", "parameters", "parent", "base from elsewhere"))
CODE = "gitCommit:" + "a" * 40
STEWARD = "https://git.example.com/payments/data/.ci/describe.yml@refs/heads/main"
DATASET_TYPE = "https://sluice.dev/dataset/v1"
Dependencies = list[tuple[str, str, str | None]]
TRAINING: Dependencies = [
    ("s3://data/churn-2026", DATA, "Dataset"),
    ("git+https://git.example.com/payments/churn", CODE, None),
    ("mlflow:/runs/8a1f/params.json", PARAMETERS, "Parameters"),
    ("pkg:oci/trainer", c.digest_of("trainer image"), None),
]
Spec = dict[str, Any]


def training(subject_digest: str, dependencies: Dependencies, *, run: str = RUN, builder: str = c.BUILDER, parameters: Any = None) -> Spec:  # noqa: ANN401 - JSON
    """Provenance of a training run; a dependency is a URI, a digest and, when somebody said so, its part."""
    made_of = slsa_statement({"weights": subject_digest}, builder, [(uri, digest or "none:0") for uri, digest, _ in dependencies])
    definition = made_of["predicate"]["buildDefinition"]
    for entry, (_, digest, role) in zip(definition["resolvedDependencies"], dependencies, strict=True):
        entry.update({"annotations": {"sluice.dev/role": role}} if role else {})
        if not digest:
            del entry["digest"]
    definition["externalParameters"] = parameters or {}
    made_of["predicate"]["runDetails"]["metadata"]["invocationId"] = run
    return made_of


def described(about: str = DATA, **changes: Any) -> Spec:  # noqa: ANN401 - members of the predicate
    return statement(DATASET_TYPE, [subject("data", about)], made.dataset(**changes))


@cache
def signed(kind: str) -> bytes:
    """Statements that most tests share, signed once."""
    match kind:
        case "training":
            return c.sign(training(c.weights_digest(), TRAINING))
        case "parent":
            return c.sign(training(PARENT, TRAINING, run="mlflow:/runs/parent"))
        case "quantized":
            return c.sign(training(c.weights_digest(), [*TRAINING[1:], ("oci://registry.example.com/churn", PARENT, "BaseModel")]))
        case _:
            return c.sign(described(), identity=STEWARD)


def policy(*requirements: Spec, **changes: Any) -> Spec:  # noqa: ANN401 - fields of the spec
    spec = c.policy_spec() | changes
    spec["signers"][0]["may"] = ["ModelSignature", "Provenance", "BillOfMaterials"]
    spec["signers"].append({"name": "data-ci", "trustRoot": "ci", "issuer": c.ISSUER, "identity": STEWARD, "may": ["Dataset"]})
    return spec | {"requirements": list(requirements)}


LINEAGE: Spec = {"name": "lineage", "type": "Lineage", "mustReach": ["Dataset", "Code", "BaseModel", "Parameters"]}
DATA_SCOPE: Spec = {"name": "data", "type": "DataProvenance", "licences": ["CC-BY-4.0"], "collectionScopes": ["contracts"]}


def release(change: str = "Retrain", **changes: Any) -> Spec:  # noqa: ANN401 - fields of the spec
    spec = c.release_spec() | {
        "change": {"type": change},
        "training": {"run": RUN, "parametersDigest": PARAMETERS},
        "authority": {"dataClasses": ["CustomerRecords"]},
    }
    spec["artifacts"].append({"name": "code", "type": "Code", "digest": CODE})
    return spec | changes


def world(*evidence: bytes, spec: Spec | None = None, rules: Spec | None = None) -> c.World:
    """A release with these bundles, and the packaging of its weights, under the policy."""
    known = c.World()
    known.put("Namespace", c.namespace())
    known.put("TrustRoot", c.trust_root())
    known.put("ReleasePolicy", c.item("ReleasePolicy", "origins", rules or policy(LINEAGE), namespace=""))
    known.put("ModelRelease", c.item("ModelRelease", c.NAME, spec or release()))
    for index, bundle in enumerate(evidence):
        known.put("ReleaseEvidence", c.evidence(f"e{index}", bundle))
    return known


def verdict_of(known: c.World, key: c.Key = c.KEY) -> Verdict:
    verdict = known.verdict(key, now=c.NOW)
    assert verdict is not None
    return verdict


def result_of(known: c.World, key: c.Key = c.KEY) -> Result:
    (result,) = verdict_of(known, key).results
    return result


def lineage_of(*dependencies: tuple[str, str, str | None], spec: Spec | None = None, rules: Spec | None = None, **how: Any) -> Result:  # noqa: ANN401
    """What the lineage of weights comes to that were made out of these."""
    bundle = c.sign(training(c.weights_digest(), list(dependencies), **how))
    return result_of(world(bundle, signed("dataset"), spec=spec, rules=rules))


def test_weights_whose_run_names_described_data_code_and_parameters_are_reached() -> None:
    known = world(signed("training"), signed("dataset"))
    result = result_of(known)
    assert (result.outcome, result.reason) == (Outcome.SATISFIED, Reason.LineageVerified)
    assert len(result.evidence) == 2
    assert f"training run {RUN}" in result.message
    assert verdict_of(known).allows is Allowance.SERVE


def test_without_provenance_the_missing_link_says_who_could_sign_it() -> None:
    result = result_of(world(signed("dataset")))
    assert (result.outcome, result.reason) == (Outcome.MISSING, Reason.LineageMissing)
    assert f"no statement says how weights {c.weights_digest()} was made" in result.message
    assert "as trainer-ci" in (result.remedy or "")


@pytest.mark.parametrize(
    ("left_out", "words"),
    [("Dataset", "the dataset"), ("git+", "the code"), ("Parameters", "the parameters")],
)
def test_a_part_that_no_statement_names_is_the_missing_link(left_out: str, words: str) -> None:
    kept = [each for each in TRAINING if left_out not in {each[2], each[0][:4]}]
    result = lineage_of(*kept)
    assert (result.outcome, result.reason) == (Outcome.MISSING, Reason.LineageMissing)
    assert result.message.startswith(f"no statement names {words} of training run {RUN}")
    parts = {"the dataset": "Dataset", "the code": "Code", "the parameters": "Parameters"}
    assert f"with the annotation sluice.dev/role: {parts[words]}," in (result.remedy or "")


def test_parts_that_policy_does_not_ask_for_may_be_unknown() -> None:
    rules = policy(LINEAGE | {"mustReach": ["Code"]})
    assert lineage_of(TRAINING[1], rules=rules).outcome is Outcome.SATISFIED
    assert lineage_of(TRAINING[3], rules=rules).reason is Reason.LineageMissing


def test_a_dataset_that_is_named_by_its_address_only_leads_nowhere() -> None:
    result = lineage_of(("s3://data/churn-2026", "", "Dataset"), *TRAINING[1:])
    assert (result.outcome, result.reason) == (Outcome.MISSING, Reason.LineageMissing)
    assert "named without a digest" in result.message


def test_a_second_dataset_that_nobody_describes_is_not_covered_by_the_first() -> None:
    result = lineage_of(*TRAINING, ("s3://data/scraped", c.digest_of("scraped"), "Dataset"))
    assert (result.outcome, result.reason) == (Outcome.MISSING, Reason.DatasetUndescribed)
    assert "s3://data/scraped" in result.message
    assert "as data-ci" in (result.remedy or "")


def test_a_second_dataset_without_a_digest_is_not_covered_by_the_first() -> None:
    result = lineage_of(*TRAINING, ("s3://data/scraped", "", "Dataset"))
    assert (result.outcome, result.reason) == (Outcome.MISSING, Reason.LineageMissing)
    assert result.message.startswith("dataset s3://data/scraped of training run")


def test_an_ingredient_that_nobody_gave_a_part_could_be_data() -> None:
    result = lineage_of(*TRAINING, ("s3://data/scraped", c.digest_of("scraped"), None))
    assert (result.outcome, result.reason) == (Outcome.MISSING, Reason.LineageUnclear)
    assert "s3://data/scraped" in result.message


def test_a_described_dataset_is_one_whatever_the_run_calls_it() -> None:
    rules = policy(DATA_SCOPE | {"licences": ["MIT"]})
    result = lineage_of(("s3://data/churn-2026", DATA, "Environment"), *TRAINING[1:], rules=rules)
    assert result.reason is Reason.DataOutOfScope


def test_what_the_release_lists_as_dataset_code_or_parameters_needs_no_annotation() -> None:
    spec = release()
    spec["artifacts"].append({"name": "data", "type": "Dataset", "digest": DATA})
    spec["artifacts"].append({"name": "archive", "type": "Code", "digest": c.digest_of("archive")})
    plain = [(f"https://files.example.com/{digest}", digest, None) for digest in (DATA, PARAMETERS, c.digest_of("archive"))]
    assert lineage_of(*plain, spec=spec).outcome is Outcome.SATISFIED


def test_a_signer_who_may_not_say_how_things_are_made_is_not_believed() -> None:
    rules = policy(LINEAGE)
    rules["signers"][0]["may"] = ["ModelSignature"]
    result = result_of(world(signed("training"), signed("dataset"), rules=rules))
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.SignerNotPermitted)


def test_a_dataset_described_by_somebody_who_may_not_is_undescribed() -> None:
    result = result_of(world(signed("training"), c.sign(described())))
    assert result.reason is Reason.DatasetUndescribed
    assert f"{c.TRAINER} (issuer {c.ISSUER}), verified by TrustRoot ci describes it and may not" in result.message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda spec: spec["training"].update(run="mlflow:/runs/other"), f"was made by run {RUN}"),
        (lambda spec: spec["training"].update(parametersDigest=c.digest_of("other")), "the parameters of training run"),
        (lambda spec: spec["artifacts"][-1].update(digest="gitCommit:" + "b" * 40), "the code of training run"),
    ],
)
def test_a_release_and_a_run_that_contradict_each_other_are_held(change: Callable[[Spec], object], words: str) -> None:
    spec = release()
    change(spec)
    result = result_of(world(signed("training"), signed("dataset"), spec=spec))
    assert (result.outcome, result.reason) == (Outcome.MISSING, Reason.LineageDiffers)
    assert words in result.message


def test_provenance_of_no_run_does_not_make_the_run_that_the_release_names() -> None:
    assert "no statement says that training run" in lineage_of(*TRAINING, run="").message


def test_a_builder_or_a_parameter_that_policy_does_not_accept_is_no_link() -> None:
    strict = policy(LINEAGE | {"builders": ["https://ci.example.com/runners/other"]})
    assert f"builder {c.BUILDER} is not accepted" in lineage_of(*TRAINING, rules=strict).message
    listed = policy(LINEAGE | {"externalParameters": {"/epochs": "3"}})
    assert lineage_of(*TRAINING, rules=listed, parameters={"epochs": 3}).outcome is Outcome.SATISFIED
    assert "/epochs = '4'; policy accepts '3'" in lineage_of(*TRAINING, rules=listed, parameters={"epochs": 4}).message


def bill(*, trained_on: str = made.DATA) -> Spec:
    document = made.cyclonedx()
    document["metadata"]["component"].pop("pedigree")
    document["components"][0]["hashes"][0]["content"] = made.hex_of(trained_on)
    return statement("https://cyclonedx.org/bom", [subject("weights", c.weights_digest())], document)


def test_several_statements_together_may_name_what_none_names_alone() -> None:
    without = c.sign(training(c.weights_digest(), TRAINING[1:]))
    assert result_of(world(without, signed("dataset"))).reason is Reason.LineageMissing
    result = result_of(world(without, signed("dataset"), c.sign(bill(trained_on=DATA))))
    assert (result.outcome, len(result.evidence)) == (Outcome.SATISFIED, 3)


def test_one_more_statement_takes_nothing_out_of_service() -> None:
    before = world(signed("training"), signed("dataset"))
    result = result_of(before)
    later = c.sign(training(c.weights_digest(), [("s3://data/scraped", c.digest_of("scraped"), "Dataset")]), when=c.NOW)
    before.put("ReleaseEvidence", c.evidence("later", later))
    assert result_of(before) == result


# Models that are made from models


def with_parent(known: c.World, *, approved: bool) -> c.World:
    """Add the release whose weights are the parent's."""
    spec = release("Train", training={"run": "mlflow:/runs/parent"}) | {"version": "2.0.0", "model": "churn"}
    spec["artifacts"] = [{"name": "weights", "type": "Weights", "digest": PARENT}, *spec["artifacts"][1:]]
    known.put("ModelRelease", c.item("ModelRelease", c.BASELINE, spec))
    if approved:
        known.put("ReleaseEvidence", c.evidence("parent", signed("parent")))
    return known


def test_quantized_weights_are_reached_through_the_data_of_their_parent() -> None:
    quantized = world(signed("quantized"), signed("dataset"), signed("parent"), spec=release("Quantize"))
    result = result_of(quantized)
    assert (result.outcome, len(result.evidence)) == (Outcome.SATISFIED, 3)


def test_the_missing_link_may_lie_behind_the_parent() -> None:
    result = result_of(world(signed("quantized"), signed("dataset"), spec=release("Quantize")))
    assert result.outcome is Outcome.MISSING
    assert f"no statement says how base model oci://registry.example.com/churn ({PARENT}) was made" in result.message


def test_retrained_weights_need_data_of_their_own() -> None:
    result = result_of(world(signed("quantized"), signed("dataset"), signed("parent"), spec=release("Retrain")))
    assert result.message.startswith("no statement names the dataset of training run")


@pytest.mark.parametrize("change", ["FineTune", "Distill", "Quantize", "Prune", "Merge"])
def test_weights_made_from_weights_name_them(change: str) -> None:
    result = result_of(world(signed("training"), signed("dataset"), spec=release(change)))
    assert result.message.startswith("no statement names the base model of training run")
    # Who asks for data only asks for it behind the base model, too.
    data = result_of(world(signed("training"), signed("dataset"), spec=release(change), rules=policy(DATA_SCOPE)))
    assert data.message.startswith("no statement names the base model of training run")


def test_a_base_model_from_elsewhere_is_a_root_where_policy_names_it() -> None:
    parts = [*TRAINING, ("hf://acme/base", ELSEWHERE, "BaseModel")]
    assert lineage_of(*parts, spec=release("FineTune")).reason is Reason.LineageMissing
    rules = policy(LINEAGE | {"roots": [{"name": "acme-base", "digest": ELSEWHERE}]})
    result = lineage_of(*parts, spec=release("FineTune"), rules=rules)
    assert result.outcome is Outcome.SATISFIED
    assert "base model acme-base (a root of the policy)" in result.message


def test_a_parent_counts_by_its_own_evidence_or_as_a_release_that_may_serve() -> None:
    key = c.Key(c.NAMESPACE, c.BASELINE)
    entitled = with_parent(world(signed("quantized"), signed("dataset"), spec=release("Quantize")), approved=True)
    assert result_of(entitled, key).outcome is Outcome.SATISFIED
    assert result_of(entitled).outcome is Outcome.SATISFIED
    denied = with_parent(world(signed("quantized"), signed("dataset"), spec=release("Quantize")), approved=False)
    assert result_of(denied, key).outcome is Outcome.MISSING
    assert result_of(denied).outcome is Outcome.MISSING


def test_a_release_that_satisfies_the_requirement_in_its_own_terms_is_a_root() -> None:
    """The parent names another parameters file than its run would need for somebody else: only its own release makes the link."""
    plain = [(f"https://files.example.com/{digest}", digest, None) for digest in (DATA, PARAMETERS)]
    parent = c.sign(training(PARENT, [*plain, TRAINING[1]], run="mlflow:/runs/parent"))
    known = world(signed("quantized"), signed("dataset"), parent, spec=release("Quantize", training={"run": RUN}))
    assert result_of(known).reason is Reason.LineageUnclear
    spec = release("Train", training={"run": "mlflow:/runs/parent", "parametersDigest": PARAMETERS}) | {"version": "2.0.0"}
    spec["artifacts"] = [{"name": "weights", "type": "Weights", "digest": PARENT}, *spec["artifacts"][1:]]
    known.put("ModelRelease", c.item("ModelRelease", c.BASELINE, spec))
    result = result_of(known)
    assert result.outcome is Outcome.SATISFIED
    assert f"of release {c.BASELINE}" in result.message
    rejection = c.approval("no", known, role="security", username="sam@example.com", groups=[], key=c.Key(c.NAMESPACE, c.BASELINE), decision="Reject")
    assert c.KEY in known.put("ReleaseApproval", rejection), "who descends from it is looked at again"
    assert result_of(known).outcome is Outcome.MISSING


def test_a_parent_whose_lineage_was_waived_is_no_root() -> None:
    rules = policy(LINEAGE | {"waivableBy": ["security"]})
    known = with_parent(world(signed("quantized"), signed("dataset"), spec=release("Quantize"), rules=rules), approved=False)
    key = c.Key(c.NAMESPACE, c.BASELINE)
    waiver = {
        "release": {"name": c.BASELINE}, "releaseDigest": verdict_of(known, key).release_digest, "requirements": ["lineage"], "reason": "old",
        "riskOwner": "risk", "ticket": "T-1", "expires": "2027-01-01T00:00:00Z", "approver": {"username": "sam@example.com", "groups": []},
    }  # fmt: skip
    c.waive(known, c.item("ReleaseWaiver", "old", waiver))
    assert verdict_of(known, key).allows is Allowance.SERVE
    assert result_of(known).outcome is Outcome.MISSING


def test_models_that_are_said_to_be_made_from_each_other_are_no_chain() -> None:
    there = c.sign(training(c.weights_digest(), [*TRAINING[1:], ("x", PARENT, "BaseModel")]))
    back = c.sign(training(PARENT, [*TRAINING[1:], ("y", c.weights_digest(), "BaseModel")], run="other"))
    result = result_of(world(there, back, signed("dataset"), spec=release("Quantize")))
    assert (result.outcome, result.reason) == (Outcome.MISSING, Reason.LineageMissing)
    assert "made from itself" in result.message


def test_a_release_without_weights_has_no_origin_to_look_at() -> None:
    spec = release()
    spec["artifacts"] = spec["artifacts"][1:]
    result = result_of(world(spec=spec))
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.ArtifactMissing)


# What touches whom


def test_a_statement_about_data_touches_the_releases_that_were_made_with_it() -> None:
    known = world(signed("quantized"), signed("parent"), spec=release("Quantize"))
    assert known.put("ReleaseEvidence", c.evidence("data", signed("dataset"))) == {c.KEY}
    assert result_of(known).outcome is Outcome.SATISFIED
    assert known.remove("ReleaseEvidence", c.Key(c.NAMESPACE, "data")) == {c.KEY}
    assert result_of(known).outcome is Outcome.MISSING


def test_evidence_of_another_namespace_is_no_link() -> None:
    known = world(signed("training"))
    known.put("Namespace", c.namespace("elsewhere"))
    foreign = c.evidence("data", signed("dataset"))
    foreign["metadata"]["namespace"] = "elsewhere"
    assert known.put("ReleaseEvidence", foreign) == frozenset()
    assert result_of(known).reason is Reason.DatasetUndescribed


def test_a_revoked_signer_far_up_the_chain_breaks_it() -> None:
    known = world(signed("training"), signed("dataset"))
    root = c.trust_root()
    root["spec"]["revoked"] = [{"type": "Identity", "identity": STEWARD, "issuer": c.ISSUER, "reason": "left"}]
    assert c.KEY in known.put("TrustRoot", root)
    assert (result_of(known).outcome, result_of(known).reason) == (Outcome.FAILED, Reason.SignerRevoked)


def test_revoked_data_far_up_the_chain_breaks_it() -> None:
    known = world(signed("quantized"), signed("dataset"), signed("parent"), spec=release("Quantize"))
    root = c.trust_root()
    root["spec"]["revoked"] = [{"type": "Artifact", "digest": DATA, "reason": "consent withdrawn"}]
    assert c.KEY in known.put("TrustRoot", root)
    assert (result_of(known).outcome, result_of(known).reason) == (Outcome.FAILED, Reason.ArtifactRevoked)
    assert "consent withdrawn" in result_of(known).message
