"""The rules that the API server evaluates on a policy, evaluated here: each field about origins with each type of requirement."""

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
    "roots": ([{"name": "base", "digest": DIGEST}], {"Lineage", "DataProvenance"}),
    "builders": (["https://b"], {"Provenance", "Lineage", "DataProvenance"}),
    "externalParameters": ({"/x": "y"}, {"Provenance", "Lineage", "DataProvenance"}),
    "licences": (["MIT"], {"DataProvenance"}),
    "dataClasses": (["Public"], {"DataProvenance"}),
    "collectionScopes": (["contracts"], {"DataProvenance"}),
    "verifiers": (["https://v"], {"VerificationSummary"}),
    "levels": (["SLSA_BUILD_LEVEL_3"], {"VerificationSummary"}),
    "artifactTypes": (["Image"], {"ModelSignature", "Provenance", "Evaluation", "VerificationSummary"}),
}
NEEDS = {"Lineage": "mustReach", "VerificationSummary": "verifiers"}


@cache
def rules(of: str) -> tuple[tuple[cel.Expression, str], ...]:
    """The compiled rules of the items of a list in the spec of a policy, each with its message."""
    (policy,) = (kind for kind in KINDS if kind.name == "ReleasePolicy")
    schema = crd(policy)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"][of]["items"]
    environment = cel.NewEnv(variables={"self": cel.Type.DYN})
    return tuple((environment.compile(rule["rule"]), rule["message"]) for rule in schema["x-kubernetes-validations"])


def refusals(of: str, value: dict[str, Any]) -> list[str]:
    return [message for rule, message in rules(of) if not rule.eval(data={"self": value}).value()]


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
    bare = {"name": "r", "type": kind, "artifactTypes": ["Image"]}
    assert any(message.startswith(f"type {kind} needs {field}") for message in refusals("requirements", bare))
    assert not any(message.startswith("type ") for message in refusals("requirements", bare | {field: value}))


def test_data_provenance_needs_nothing_more() -> None:
    assert refusals("requirements", {"name": "data", "type": "DataProvenance"}) == []


def test_claims_need_a_certificate_and_builders_need_provenance() -> None:
    by_key = {"name": "s", "trustRoot": "t", "key": "k", "may": ["Provenance"]}
    by_identity = {"name": "s", "trustRoot": "t", "issuer": "i", "identity": "j", "may": ["Dataset"]}
    assert refusals("signers", by_key | {"builders": ["https://b"]}) == []
    assert refusals("signers", by_identity | {"claims": {"buildTrigger": "push"}}) == []
    assert refusals("signers", by_key | {"claims": {"buildTrigger": "push"}}) == ["claims go with identity: a plain key has none"]
    assert refusals("signers", by_identity | {"builders": ["https://b"]}) == ["builders go with may: [Provenance]"]
