"""Clusters that grant something, around a release of which nothing is asked but that it has no more than it declares."""

from __future__ import annotations

from typing import Any

from sluice.api.release import Outcome
from sluice.decision.model import Allowance, Result
from sluice.decision.reasons import Reason
from tests.unit.decision import case as c

Object = dict[str, Any]
DISCOVERY = [
    {"nonResourceURLs": ["/api", "/apis/*", "/version"], "verbs": ["get"]},
    {"apiGroups": ["authorization.k8s.io"], "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"], "verbs": ["create"]},
    {"apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"], "verbs": ["create"]},
]
DNS = {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}], "ports": [{"protocol": "UDP", "port": 53}, {"port": 53}]}
CHURN: Object = {"kind": "ServiceAccount", "name": "churn", "namespace": c.NAMESPACE}


def role(name: str, *rules: Object, kind: str = "Role", namespace: str = c.NAMESPACE) -> Object:
    return {"kind": kind, "metadata": {"name": name} | ({"namespace": namespace} if kind == "Role" else {}), "rules": list(rules)}


def binding(of: Object, *subjects: Object, kind: str = "RoleBinding", namespace: str = c.NAMESPACE, name: str = "binding") -> Object:
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": of["kind"], "name": of["metadata"]["name"]}
    metadata = {"name": name} | ({"namespace": namespace} if kind == "RoleBinding" else {})
    return {"kind": kind, "metadata": metadata, "roleRef": reference, "subjects": list(subjects or [CHURN])}


def network_policy(*egress: Object, name: str = "limit", selector: Object | None = None, namespace: str = c.NAMESPACE) -> Object:
    spec = {"podSelector": selector or {}, "policyTypes": ["Egress"], "egress": list(egress)}
    return {"kind": "NetworkPolicy", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def world(*granting: Object, authority: Object | None = None, whole: bool = True, **fields: Any) -> c.World:  # noqa: ANN401 - fields of the requirement
    """A release of which nothing else is asked, in a cluster where everybody has what every cluster gives."""
    known = c.World()
    known.put("Namespace", c.namespace())
    rules = c.policy_spec()
    rules["requirements"] = [{"name": "authority", "type": "Authority"} | fields]
    known.put("ReleasePolicy", c.item("ReleasePolicy", "customer-facing", rules, namespace=""))
    spec = c.release_spec()
    declared = spec["authority"] | (authority or {})
    known.put("ModelRelease", c.item("ModelRelease", c.NAME, spec | {"authority": {name: value for name, value in declared.items() if value is not None}}))
    everybody = role("system:basics", *DISCOVERY, kind="ClusterRole")
    default = [everybody, binding(everybody, {"kind": "Group", "name": "system:authenticated"}, kind="ClusterRoleBinding"), network_policy(DNS)]
    for item in [*default, *granting]:
        known.put(item["kind"], item)
    if whole:
        known.listed_all()
    return known


def result_of(known: c.World) -> Result:
    verdict = known.verdict(c.KEY, now=c.NOW)
    assert verdict is not None
    assert (verdict.allows is Allowance.SERVE) == all(each.outcome in {Outcome.SATISFIED, Outcome.WAIVED} for each in verdict.results)
    (result,) = [result for result in verdict.results if result.requirement == "authority"]
    return result


def exceeds(known: c.World) -> str:
    result = result_of(known)
    assert (result.outcome, result.reason) == (Outcome.MISSING, Reason.AuthorityExceeded)
    assert result.remedy
    return result.message


def within(known: c.World) -> bool:
    result = result_of(known)
    return (result.outcome, result.reason) == (Outcome.SATISFIED, Reason.AuthorityWithinBounds)


def rule(verbs: str, resources: str, *, group: str = "", names: str = "") -> Object:
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()} | ({"resourceNames": names.split()} if names else {})


def granted(*rules: Object, **authority: Any) -> c.World:  # noqa: ANN401 - fields of the authority
    of = role("scorer-admin", *rules)
    return world(of, binding(of), authority=authority)


def to(cidr: str, *ports: Object) -> Object:
    return {"to": [{"ipBlock": {"cidr": cidr}}], "ports": list(ports) or [{"port": 443}]}
