"""What a cluster grants, generated: nothing that is granted beyond what is declared gets by, and nothing that is added to it helps."""

from __future__ import annotations

from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.api.release import Authority
from sluice.decision.access import Access
from sluice.decision.egress import excess_egress
from sluice.decision.granted import Account
from sluice.decision.privileges import excess_permissions
from sluice.decision.records import Key
from tests.unit.decision import granting as g

Object = dict[str, Any]
QUICK = settings(max_examples=60, deadline=None)
HERE, CHURN = "payments", Account("payments", "churn")
GROUPS, RESOURCES, VERBS, NAMES = ["", "apps"], ["pods", "configmaps"], ["get", "create"], ["a", "b"]


def some(values: list[str], *, wild: bool = False) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from([*values, *(["*"] if wild else [])]), min_size=1, max_size=2, unique=True)


RULES = st.fixed_dictionaries(
    {"apiGroups": some(GROUPS, wild=True), "resources": some(RESOURCES, wild=True), "verbs": some(VERBS, wild=True)}, optional={"resourceNames": some(NAMES)}
)
SUBJECTS = st.sampled_from(
    [
        g.CHURN, {"kind": "ServiceAccount", "name": "other", "namespace": HERE}, {"kind": "ServiceAccount", "name": "churn", "namespace": "elsewhere"},
        {"kind": "User", "name": "system:serviceaccount:payments:churn"}, {"kind": "User", "name": "olga"}, {"kind": "Group", "name": "system:authenticated"},
        {"kind": "Group", "name": "system:serviceaccounts:payments"}, {"kind": "Group", "name": "system:serviceaccounts:elsewhere"},
    ]
)  # fmt: skip
MEANT = {"system:serviceaccount:payments:churn", "system:authenticated", "system:serviceaccounts:payments"}
BOUND = st.tuples(st.sampled_from([HERE, "elsewhere", None]), st.lists(RULES, max_size=2), st.lists(SUBJECTS, max_size=2))
PERMISSIONS = st.lists(
    st.fixed_dictionaries(
        {"apiGroup": st.sampled_from(GROUPS), "resource": st.sampled_from(RESOURCES), "verbs": some(VERBS)},
        optional={"names": some(NAMES), "scope": st.sampled_from(["Namespace", "Cluster"])},
    ),
    min_size=1,
    max_size=4,
)


def cluster(bound: list[tuple[str | None, list[Object], list[Object]]]) -> Access:
    access = Access()
    for number, (namespace, rules, subjects) in enumerate(bound):
        role = g.role(f"r{number}", *rules, kind="ClusterRole")
        kind = "ClusterRoleBinding" if namespace is None else "RoleBinding"
        binding = g.binding(role, kind=kind, namespace=namespace or "", name=f"b{number}") | {"subjects": subjects}
        for item in (binding, role):
            access.put(item["kind"], Key.of(item), item)
    return access


def excess(bound: list[tuple[str | None, list[Object], list[Object]]], permissions: list[Object]) -> list[str]:
    authority = Authority.model_validate({"permissions": permissions})
    return [*excess_permissions(cluster(bound).of(CHURN, HERE), authority, namespace=HERE)]


def may(bound: list[tuple[str | None, list[Object], list[Object]]], namespace: str, group: str, resource: str, verb: str, name: str) -> bool:
    """What the API server would answer, one request at a time."""

    def meant(subject: Object) -> bool:
        return subject == g.CHURN or subject["name"] in MEANT

    def has(listed: list[str], one: str) -> bool:
        return one in listed or "*" in listed

    return any(
        at in {None, namespace} and any(map(meant, subjects)) and has(rule["apiGroups"], group) and has(rule["resources"], resource)
        and has(rule["verbs"], verb) and ("resourceNames" not in rule or name in rule["resourceNames"])
        for at, rules, subjects in bound for rule in rules
    )  # fmt: skip


def declared(permissions: list[Object], namespace: str, group: str, resource: str, verb: str, name: str) -> bool:
    return any(
        (each["apiGroup"], each["resource"]) == (group, resource) and verb in each["verbs"] and name in each.get("names", [name])
        and (namespace == HERE or each.get("scope") == "Cluster")
        for each in permissions
    )  # fmt: skip


@QUICK
@given(st.lists(BOUND, max_size=3), PERMISSIONS)
def test_whatever_the_api_server_would_allow_and_nobody_declared_is_an_excess(bound: list[Any], permissions: list[Object]) -> None:
    requests = product([HERE, "elsewhere", "third"], [*GROUPS, "new"], [*RESOURCES, "new"], [*VERBS, "new"], [*NAMES, "new"])
    if any(may(bound, *request) and not declared(permissions, *request) for request in requests):
        assert excess(bound, permissions)


@QUICK
@given(PERMISSIONS)
def test_a_cluster_that_grants_just_what_is_declared_has_no_excess(permissions: list[Object]) -> None:
    bound = []
    for each in permissions:
        rule = {"apiGroups": [each["apiGroup"]], "resources": [each["resource"]], "verbs": each["verbs"]}
        names = {"resourceNames": each["names"]} if "names" in each else {}
        bound.append((None if each.get("scope") == "Cluster" else HERE, [rule | names], [g.CHURN]))
    assert excess(bound, permissions) == []


@QUICK
@given(st.lists(BOUND, max_size=3), BOUND, PERMISSIONS)
def test_a_grant_more_never_helps_and_one_less_never_harms(bound: list[Any], more: Any, permissions: list[Object]) -> None:  # noqa: ANN401 - a binding
    assert set(excess(bound, permissions)) <= set(excess([*bound, more], permissions))


@QUICK
@given(st.lists(BOUND, max_size=3), PERMISSIONS, PERMISSIONS)
def test_who_declares_more_has_no_more_in_excess(bound: list[Any], permissions: list[Object], more: list[Object]) -> None:
    assert len(excess(bound, [*permissions, *more])) <= len(excess(bound, permissions))


PEERS = st.sampled_from(["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32", "0.0.0.0/0", "2001:db8::/32"])
EGRESS = st.fixed_dictionaries(
    {}, optional={"to": st.lists(st.builds(lambda cidr: {"ipBlock": {"cidr": cidr}}, PEERS), max_size=2), "ports": st.just([{"port": 443}])}
)


@QUICK
@given(st.lists(EGRESS, max_size=3), EGRESS, st.lists(PEERS, min_size=1, max_size=2, unique=True))
def test_a_rule_for_egress_more_never_helps(rules: list[Object], more: Object, addresses: list[str]) -> None:
    authority = Authority.model_validate({"egress": [{"host": "h", "port": 443, "addresses": addresses}]})

    def found(*egress: Object) -> set[str]:
        access, item = Access(), g.network_policy(*egress)
        access.put("NetworkPolicy", Key.of(item), item)
        return {*excess_egress(access.of(CHURN, HERE).policies, {}, authority, certain=True)}

    assert found(*rules) <= found(*rules, more)
