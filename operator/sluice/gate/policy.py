"""The shape of an admission policy and its binding.

Everything fails closed: a policy that cannot be evaluated refuses the request. Expressions have no loops inside loops over what one
client wrote, so their cost grows with the size of the object only; the API server bounds both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sluice.api.names import CONTROLLER, GOVERN_LABEL, RELEASE_LABEL

Manifest = dict[str, Any]

OPTED_IN: Final = "true"
"""Value of the namespace labels `sluice.dev/govern` and `sluice.dev/strict` that opts in."""

CREATE: Final = ("CREATE",)
UPDATE: Final = ("UPDATE",)
DELETE: Final = ("DELETE",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """What differs between installations. Each value is CEL or a name, or a Helm expression that renders to one."""

    namespace: str
    """The namespace of controller and webhook."""
    trusted_users: str
    """CEL list of the users who may opt a namespace out again."""
    trusted_groups: str
    """CEL list of the groups whose members may."""

    @property
    def controller(self) -> str:
        """User name of the controller. Compared as it is: a wildcard role passes any question to the authorizer."""
        return f"system:serviceaccount:{self.namespace}:{CONTROLLER}"

    @property
    def by_controller(self) -> str:
        """CEL: the request comes from the controller."""
        return f"request.userInfo.username == '{self.controller}'"

    @property
    def by_platform_team(self) -> str:
        """CEL: the request comes from somebody whom the chart's values list."""
        groups = f"request.userInfo.?groups.orValue([]).exists(g, g in {self.trusted_groups})"
        return f"request.userInfo.username in {self.trusted_users}\n  || {groups}"


def by_kubernetes(controller: str) -> str:
    """CEL: the request comes from this controller of Kubernetes itself; all of them may share one user."""
    return f"request.userInfo.username in ['system:serviceaccount:kube-system:{controller}', 'system:kube-controller-manager']"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing a validating policy demands, and what it tells the person who is refused."""

    expression: str
    message: str
    details: str | None = None
    """CEL for the message with names and values; `message` stands in when it cannot be evaluated."""

    def manifest(self) -> Manifest:
        """Give it as the API server reads it."""
        parts = {"expression": self.expression, "message": self.message, "reason": "Forbidden"}
        return parts | ({"messageExpression": self.details} if self.details else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """Which requests a policy is asked about."""

    group: str
    version: str
    resources: Sequence[str]
    operations: Sequence[str]
    namespaces: Mapping[str, Any] | None = None
    """Namespace selector; None for every namespace and for cluster-scoped objects."""

    def manifest(self) -> Manifest:
        """Give it as the API server reads it. Other served versions of a resource are converted and asked about too."""
        rule = {
            "apiGroups": [self.group],
            "apiVersions": [self.version],
            "operations": list(self.operations),
            "resources": list(self.resources),
        }
        return {"matchPolicy": "Equivalent", "resourceRules": [rule]} | ({"namespaceSelector": dict(self.namespaces)} if self.namespaces else {})


def governed(installation: Installation, labels: Mapping[str, str] | None = None) -> Manifest:
    """Select governed namespaces; `labels` narrows it.

    Never the own namespace and `kube-system`: what is held there could not be lifted by anybody.
    """
    never = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system", installation.namespace]}
    return {"matchLabels": {GOVERN_LABEL: OPTED_IN, **(labels or {})}, "matchExpressions": [never]}


def release_named_by(path: str) -> str:
    """CEL: the release that the object at `path` (a Pod or a Pod template) names; empty when it names none."""
    return f"{path}.?metadata.?labels['{RELEASE_LABEL}'].orValue('')"


def apply(expression: str) -> Manifest:
    """Mutate by server-side apply of `expression`, a partial object."""
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}


def patch(expression: str) -> Manifest:
    """Mutate by the JSON patch that `expression` gives.

    Needed for atomic lists and to remove something. Values are map literals: an object initialiser inside a list makes API server 1.36 panic.
    """
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}


def mutating(
    name: str, *, why: str, matches: Matches, mutations: Sequence[Manifest], conditions: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
) -> list[Manifest]:  # fmt: skip
    """Give a mutating policy and its binding.

    `reinvocationPolicy: Never`, because a policy that ran again after the webhook would put back what the webhook took off.
    """
    parts = {"reinvocationPolicy": "Never", "mutations": list(mutations)}
    return _policy("MutatingAdmissionPolicy", name, why=why, matches=matches, conditions=conditions, variables=variables, parts=parts, binding={})


def validating(
    name: str, *, why: str, matches: Matches, rules: Sequence[Rule], conditions: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
) -> list[Manifest]:  # fmt: skip
    """Give a validating policy and its binding."""
    parts: Manifest = {"validations": [rule.manifest() for rule in rules]}
    binding: Manifest = {"validationActions": ["Deny"]}
    return _policy("ValidatingAdmissionPolicy", name, why=why, matches=matches, conditions=conditions, variables=variables, parts=parts, binding=binding)


def _policy(
    kind: str, name: str, *, why: str, matches: Matches, conditions: Mapping[str, str] | None, variables: Mapping[str, str] | None,
    parts: Manifest, binding: Manifest,
) -> list[Manifest]:  # fmt: skip
    metadata = {"name": name, "annotations": {"kubernetes.io/description": why}}
    spec: Manifest = {"failurePolicy": "Fail", "matchConstraints": matches.manifest()}
    if conditions:
        spec["matchConditions"] = _named(conditions)
    if variables:
        spec["variables"] = _named(variables)
    version = "admissionregistration.k8s.io/v1"
    return [
        {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec | parts},
        {"apiVersion": version, "kind": f"{kind}Binding", "metadata": {"name": name}, "spec": {"policyName": name} | binding},
    ]


def _named(expressions: Mapping[str, str]) -> list[Manifest]:
    return [{"name": name, "expression": expression} for name, expression in expressions.items()]
