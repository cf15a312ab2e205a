"""The chart's templates say what the code says, and the policies keep to what makes them safe."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice.api.kinds import KINDS
from sluice.gate.chart import HELM, manifests, policies, render
from sluice.gate.policy import Installation

TEMPLATES = Path(__file__).parents[3] / "charts/sluice/templates"
HERE = Installation(namespace="gatekeeping", trusted_users="['root']", trusted_groups="['ops']")
MANIFESTS = manifests(HERE)
POLICIES = [manifest for manifest in MANIFESTS if not manifest["kind"].endswith("Binding")]
BINDINGS = {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in MANIFESTS if manifest["kind"].endswith("Binding")}
NAMES = ["crds.yaml", *(f"policies-{group}.yaml" for group in policies(HELM))]
every_policy = pytest.mark.parametrize("policy", POLICIES, ids=[policy["metadata"]["name"] for policy in POLICIES])


def expressions(node: Any) -> Iterator[str]:  # noqa: ANN401 - any part of a manifest
    if isinstance(node, dict):
        for key, value in node.items():
            if key in {"expression", "messageExpression"} and isinstance(value, str):
                yield value
            else:
                yield from expressions(value)
    elif isinstance(node, list):
        for item in node:
            yield from expressions(item)


@pytest.fixture(scope="module")
def rendered() -> dict[str, str]:
    """What the code writes: once, and not while tests are collected, which every worker does."""
    return render()


@pytest.mark.parametrize("name", NAMES)
def test_templates_are_those_of_the_code(rendered: dict[str, str], name: str) -> None:
    assert (TEMPLATES / name).read_text() == rendered[name], "run `make chart`"


def test_the_chart_has_every_template_of_the_code_and_no_older_one(rendered: dict[str, str]) -> None:
    there = {path.name for path in TEMPLATES.iterdir() if path.name == "crds.yaml" or path.name.startswith("policies-")}
    assert there == set(rendered) == set(NAMES), "run `make chart`, and remove what it no longer writes"


@every_policy
def test_what_cannot_be_evaluated_is_refused(policy: dict[str, Any]) -> None:
    assert policy["spec"]["failurePolicy"] == "Fail"
    assert policy["spec"]["matchConstraints"]["matchPolicy"] == "Equivalent"


@every_policy
def test_every_policy_is_bound_and_denies(policy: dict[str, Any]) -> None:
    binding = BINDINGS[f"{policy['kind']}Binding", policy["metadata"]["name"]]
    assert binding["spec"]["policyName"] == policy["metadata"]["name"]
    if policy["kind"] == "ValidatingAdmissionPolicy":
        assert binding["spec"]["validationActions"] == ["Deny"]
    else:
        assert policy["spec"]["reinvocationPolicy"] == "Never", "or it would put back what the webhook took off"


@every_policy
def test_nobody_is_trusted_for_what_rbac_grants(policy: dict[str, Any]) -> None:
    assert not [text for text in expressions(policy) if "authorizer" in text], "wildcard roles pass every question to the authorizer"


@every_policy
def test_the_controller_is_the_one_of_this_installation(policy: dict[str, Any]) -> None:
    named = {user for text in expressions(policy) for user in re.findall(r"system:serviceaccount:[^']+", text)}
    kubernetes = {f"system:serviceaccount:kube-system:{name}" for name in ("job-controller", "namespace-controller", "generic-garbage-collector")}
    assert named - kubernetes <= {"system:serviceaccount:gatekeeping:sluice-controller"}
    kept = {"sluice-guard-runs", "sluice-guard-canary-pods", "sluice-guard-monitors", "sluice-guard-revocations"}
    assert not named & kubernetes or policy["metadata"]["name"] in kept


def loop_bodies(text: str) -> Iterator[str]:
    for start in re.finditer(r"\.(?:map|filter|exists|exists_one|all)\(", text):
        depth = 1
        for end in range(start.end(), len(text)):
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            if depth == 0:
                yield text[start.end() : end]
                break


def test_loops_are_found() -> None:
    assert list(loop_bodies("a.map(x, f(x)).all(y, y.exists(z, z))")) == ["x, f(x)", "y, y.exists(z, z)", "z, z"]


@every_policy
def test_no_expression_has_a_loop_within_a_loop(policy: dict[str, Any]) -> None:
    assert [body for text in expressions(policy) for body in loop_bodies(text) if list(loop_bodies(body))] == []


@every_policy
def test_held_namespaces_are_never_those_where_nobody_could_lift(policy: dict[str, Any]) -> None:
    selector = policy["spec"]["matchConstraints"].get("namespaceSelector")
    if selector:
        assert selector["matchExpressions"] == [
            {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system", "gatekeeping"]},
        ]


@every_policy
def test_refusals_say_by_whom_and_what_to_do(policy: dict[str, Any]) -> None:
    for rule in policy["spec"].get("validations", []):
        assert re.match(r"(denied|held|withheld) by sluice: ", rule["message"])
        assert rule["reason"] == "Forbidden"


def test_helm_fills_in_nothing_but_the_installation(rendered: dict[str, str]) -> None:
    known = {HELM.namespace, HELM.trusted_users, HELM.trusted_groups}
    for name, text in rendered.items():
        assert set(re.findall(r"{{ .*? }}", text)) <= known, name
        assert "{{" not in re.sub(r"{{-? .*? -?}}", "", text), name


def test_crds_in_the_chart_are_kept_when_it_is_removed() -> None:
    text = (TEMPLATES / "crds.yaml").read_text().split("\n", 1)[1]
    crds = list(yaml.load_all(text, Loader=yaml.CSafeLoader))
    assert len(crds) == len(KINDS)
    assert {crd["metadata"]["annotations"]["helm.sh/resource-policy"] for crd in crds} == {"keep"}
