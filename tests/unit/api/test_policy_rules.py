"""The rules that the API server evaluates on a policy, evaluated here: fields with each type of requirement."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from cel_expr_python import cel

from sluice.api.crd import crd
from sluice.api.kinds import KINDS
from sluice.api.requirement import RequirementType

DIGEST = "sha256:" + "a" * 64
FIELDS: dict[str, tuple[Any, set[str]]] = {
    "mustReach": (["Dataset"], {"Lineage"}),
    "roots": ([{"name": "base", "digest": DIGEST}], {"Lineage", "DataProvenance", "Evaluation"}),
    "suiteDigests": ({"churn-core": DIGEST}, {"Evaluation"}),
    "contamination": ("Refuse", {"Evaluation"}),
    "distinctFrom": (["Trainer"], {"Approval", "Evaluation"}),
    "builders": (["https://b"], {"Provenance", "Lineage", "DataProvenance"}),
    "externalParameters": ({"/x": "y"}, {"Provenance", "Lineage", "DataProvenance"}),
    "licences": (["MIT"], {"DataProvenance"}),
    "dataClasses": (["Public"], {"DataProvenance"}),
    "collectionScopes": (["contracts"], {"DataProvenance"}),
    "verifiers": (["https://v"], {"VerificationSummary"}),
    "levels": (["SLSA_BUILD_LEVEL_3"], {"VerificationSummary"}),
    "drillMaxAge": ("30d", {"RollbackPlan"}),
    "ownerRoles": (["risk"], {"ResidualRisk"}),
    "grants": (["Egress"], {"Authority"}),
    "controls": ([{"type": "Logging", "images": [DIGEST]}], {"RuntimeControls"}),
    "maxAge": ("30d", {"RollbackDrill", "ChangeTicket", "ImpactAssessment"}),
    "artifactTypes": (["Image"], {"ModelSignature", "Provenance", "Evaluation", "VerificationSummary"}),
}
NEEDS = {"Lineage": "mustReach", "VerificationSummary": "verifiers", "ResidualRisk": "ownerRoles", "RuntimeControls": "controls", "RollbackDrill": "maxAge"}


@cache
def rules(*of: str) -> tuple[tuple[cel.Expression, str], ...]:
    """The compiled rules of the items of a list in the spec of a policy, or of a list in these, each with its message."""
    (policy,) = (kind for kind in KINDS if kind.name == "ReleasePolicy")
    schema = crd(policy)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    for name in of:
        schema = schema["properties"][name]["items"]
    environment = cel.NewEnv(variables={"self": cel.Type.DYN})
    return tuple((environment.compile(rule["rule"]), rule["message"]) for rule in schema["x-kubernetes-validations"])


def refusals(of: str, value: dict[str, Any], *within: str) -> list[str]:
    return [message for rule, message in rules(of, *within) if not rule.eval(data={"self": value}).value()]


@pytest.mark.parametrize(
    ("measure", "refused"),
    [
        ({"atLeast": "0.999999999"}, False),
        ({"atLeast": "1"}, True),
        ({"atLeast": "1.00"}, True),
        ({"atLeast": "5"}, True),
        ({"atMost": "0.000000001"}, False),
        ({"atMost": "0"}, True),
        ({"atMost": "0.00"}, True),
        ({"atMost": "-0.5"}, True),
        ({"notWorseThanBaselineBy": "0"}, False),
    ],
)
def test_a_bound_that_no_number_of_samples_reaches_is_refused(measure: dict[str, str], refused: bool) -> None:
    said = refusals("requirements", {"suite": "s", "metric": "m"} | measure, "measures")
    assert [message.startswith("no number of samples") for message in said] == [True] * refused


@pytest.mark.parametrize("kind", list(RequirementType))
@pytest.mark.parametrize("field", FIELDS)
def test_a_field_goes_with_the_types_that_read_it_and_no_other(field: str, kind: RequirementType) -> None:
    value, types = FIELDS[field]
    about = [message for message in refusals("requirements", {"name": "r", "type": kind.value, field: value}) if not message.startswith("type ")]
    about = [message for message in about if message.startswith(f"{field} go with") or "for the release, not for artifacts" in message]
    assert bool(about) is (kind.value not in types)


@pytest.mark.parametrize(("kind", "field"), NEEDS.items())
def test_a_type_says_what_it_needs(kind: str, field: str) -> None:
    value, _ = FIELDS[field]
    bare = {"name": "r", "type": kind}
    assert any(message.startswith(f"type {kind} needs {field}") for message in refusals("requirements", bare))
    assert not any(message.startswith("type ") for message in refusals("requirements", bare | {field: value}))


@pytest.mark.parametrize("kind", ["DataProvenance", "RollbackPlan", "ChangeTicket", "ImpactAssessment", "VendorAssurance"])
def test_some_types_need_nothing_more(kind: str) -> None:
    assert refusals("requirements", {"name": "r", "type": kind}) == []


EVALUATION: dict[str, Any] = {"name": "quality", "type": "Evaluation", "artifactTypes": ["Weights"], "measures": []}


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"distinctFrom": ["Trainer"]}, []),
        ({"distinctFrom": ["Evaluator"]}, ["who evaluates can be asked to be distinct from the Trainer"]),
        ({"distinctFrom": ["Trainer", "Evaluator"]}, ["who evaluates can be asked to be distinct from the Trainer"]),
        ({"suiteDigests": {"a": DIGEST}}, []),
        ({"suiteDigests": {"a": DIGEST}, "contamination": "Refuse", "roots": [{"name": "base", "digest": DIGEST}]}, []),
        ({"contamination": "Refuse"}, ["contamination goes with suiteDigests: what the test set is"]),
        ({"roots": [{"name": "base", "digest": DIGEST}]}, ["with type Evaluation roots go with contamination: nothing is walked back otherwise"]),
    ],
)
def test_what_makes_an_evaluation_worth_believing_goes_together(fields: dict[str, Any], refused: list[str]) -> None:
    assert refusals("requirements", EVALUATION | fields) == refused


FAMILY = {"family": "Quality"}
SUITE = {"suite": "s", "metric": "m"}
ORIENTED = "numbers of a family are read so that 1 is best, whichever way the tool counts"


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        (SUITE | {"atLeast": "0.9"}, []),
        (SUITE | {"notWorseThanBaselineBy": "0.1", "better": "Lower"}, []),
        (FAMILY | {"atLeast": "0.9", "slice": "language=fr"}, []),
        (FAMILY | {"notWorseThanBaselineBy": "0.1", "slices": ["language"]}, []),
        ({"atLeast": "0.9"}, ["set exactly one of suite, family"]),
        (FAMILY | SUITE | {"atLeast": "0.9"}, ["set exactly one of suite, family"]),
        ({"suite": "s", "atLeast": "0.9"}, ["suite and metric go together; a family has metrics of its own"]),
        (FAMILY | {"metric": "m", "atLeast": "0.9"}, ["suite and metric go together; a family has metrics of its own"]),
        (FAMILY | {"atMost": "0.1"}, [f"atMost goes with suite: {ORIENTED}"]),
        (FAMILY | {"notWorseThanBaselineBy": "0.1", "better": "Higher"}, [f"better goes with suite: {ORIENTED}"]),
    ],
)
def test_a_measure_names_a_suite_or_a_family_which_is_never_read_the_other_way_round(fields: dict[str, Any], refused: list[str]) -> None:
    assert refusals("requirements", fields, "measures") == refused


@pytest.mark.parametrize("field", ["suite", "metric"])
def test_what_a_policy_adds_to_a_family_is_compared_exactly(field: str) -> None:
    member = FAMILY | SUITE | {"harness": "h"}
    assert refusals("families", member) == []
    assert refusals("families", member | {field: "dan.*"}) == [f"{field} is compared exactly; wildcards are not supported"]


@pytest.mark.parametrize("missing", ["expression", "message"])
def test_a_condition_needs_its_expression_and_its_words_and_nothing_else_has_them(missing: str) -> None:
    fields = {"expression": "true", "message": "m"}
    assert refusals("requirements", {"name": "r", "type": "Condition"} | fields) == []
    less = {name: value for name, value in fields.items() if name != missing}
    assert refusals("requirements", {"name": "r", "type": "Condition"} | less) == [f"{missing} goes with type Condition, and it needs it"]
    assert f"{missing} goes with type Condition, and it needs it" in refusals("requirements", {"name": "r", "type": "Approval", "counts": {"o": 1}} | fields)


REFUSAL = [{"suite": "s", "metric": "m"}]


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"changes": ["ToolAdded"]}, []),
        ({"when": "true"}, []),
        ({}, ["say which changes, or when"]),
        ({"changes": ["ToolAdded", "RefusalLowered"], "refusal": REFUSAL}, []),
        ({"changes": ["RefusalLowered"]}, ["RefusalLowered needs refusal"]),
        ({"changes": ["ToolAdded"], "refusal": REFUSAL}, ["RefusalLowered needs refusal"]),
        ({"when": "true", "refusal": REFUSAL}, ["RefusalLowered needs refusal"]),
    ],
)
def test_a_trigger_says_when_it_fires_and_by_what_a_refusal_is_measured(fields: dict[str, Any], refused: list[str]) -> None:
    found = refusals("triggers", {"name": "t", "adds": ["r"]} | fields)
    assert len(found) == len(refused)
    assert all(message.startswith(start) for message, start in zip(found, refused, strict=True))


def test_claims_need_a_certificate_and_builders_need_provenance() -> None:
    by_key = {"name": "s", "trustRoot": "t", "key": "k", "may": ["Provenance"]}
    by_identity = {"name": "s", "trustRoot": "t", "issuer": "i", "identity": "j", "may": ["Dataset"]}
    assert refusals("signers", by_key | {"builders": ["https://b"]}) == []
    assert refusals("signers", by_identity | {"claims": {"buildTrigger": "push"}}) == []
    assert refusals("signers", by_key | {"claims": {"buildTrigger": "push"}}) == ["claims go with identity: a plain key has none"]
    assert refusals("signers", by_identity | {"builders": ["https://b"]}) == ["builders go with may: [Provenance]"]
