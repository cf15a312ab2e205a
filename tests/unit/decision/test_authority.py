"""What RBAC grants, held against what a release declares: each excess is found, named by its rule, and nothing else is."""

from __future__ import annotations

import pytest

from sluice.api.release import Outcome
from sluice.decision.access import MOST_RULES
from sluice.decision.reasons import Reason
from tests.unit.decision import case as c
from tests.unit.decision.granting import CHURN, DNS, Object, binding, exceeds, granted, network_policy, result_of, role, rule, within, world


def test_what_every_account_of_a_cluster_has_is_nobodys_excess() -> None:
    result = result_of(world())
    assert (result.outcome, result.reason) == (Outcome.SATISFIED, Reason.AuthorityWithinBounds)
    assert result.message.startswith("service account payments/churn has no more than spec.authority declares")


def test_an_excess_names_the_binding_the_role_and_the_number_of_the_rule() -> None:
    known = granted(rule("get", "configmaps"), rule("update", "secrets"), permissions=[{"resource": "configmaps", "verbs": ["get"]}])
    assert exceeds(known) == (
        "RoleBinding payments/binding → Role payments/scorer-admin rule 2 grants `update` on `secrets` in namespace payments (effect Admin), "
        "which spec.authority does not declare"
    )
    verdict = known.verdict(c.KEY, now=c.NOW)
    assert verdict is not None
    # It can be taken back: held, and not denied.
    assert not verdict.hopeless


DECLARED: Object = {"resource": "configmaps", "verbs": ["get", "list"]}


@pytest.mark.parametrize(
    ("rules", "declared", "enough"),
    [
        ([rule("get list", "configmaps")], DECLARED, True),
        ([rule("get", "configmaps", names="a")], DECLARED, True),
        ([rule("get watch", "configmaps")], DECLARED, False),
        ([rule("get", "configmaps pods")], DECLARED, False),
        ([rule("get", "configmaps", group="apps")], DECLARED, False),
        ([rule("get", "configmaps", group="apps")], DECLARED | {"apiGroup": "apps"}, True),
        ([rule("get", "configmaps/status")], DECLARED, False),
        ([rule("*", "configmaps")], DECLARED, False),
        ([rule("get", "*")], DECLARED, False),
        ([rule("get", "configmaps", group="*")], DECLARED, False),
        ([rule("get", "configmaps", names="a")], DECLARED | {"names": ["a", "b"]}, True),
        ([rule("get", "configmaps", names="a c")], DECLARED | {"names": ["a", "b"]}, False),
        ([rule("get", "configmaps")], DECLARED | {"names": ["a"]}, False),
    ],
)
def test_a_rule_is_declared_when_all_that_it_grants_is(rules: list[Object], declared: Object, *, enough: bool) -> None:
    known = granted(*rules, permissions=[declared])
    assert within(known) if enough else "rule 1 grants" in exceeds(known)


def test_what_holds_in_the_whole_cluster_or_in_another_namespace_is_declared_for_the_cluster_only() -> None:
    reader = role("reader", rule("get", "configmaps"), kind="ClusterRole")
    elsewhere = binding(reader, namespace="other")
    everywhere = binding(reader, kind="ClusterRoleBinding", name="churn")
    here, wide = {"permissions": [DECLARED]}, {"permissions": [DECLARED | {"scope": "Cluster"}]}
    assert within(world(reader, binding(reader), authority=here))
    assert "RoleBinding other/binding → ClusterRole reader rule 1 grants `get` on `configmaps` in namespace other" in exceeds(
        world(reader, elsewhere, authority=here)
    )
    assert "ClusterRoleBinding churn → ClusterRole reader rule 1 grants `get` on `configmaps` in every namespace" in exceeds(
        world(reader, everywhere, authority=here)
    )
    assert within(world(reader, elsewhere, everywhere, authority=wide))
    assert (result_of(world(reader, everywhere, authority=here)).remedy or "").startswith("the platform team takes back")
    assert (result_of(world(reader, elsewhere, authority=here)).remedy or "").startswith("whoever administers namespace payments takes back")


@pytest.mark.parametrize(
    ("subject", "counts"),
    [
        (CHURN, True),
        ({"kind": "ServiceAccount", "name": "churn"}, True),
        ({"kind": "ServiceAccount", "name": "churn", "namespace": "other"}, False),
        ({"kind": "ServiceAccount", "name": "default", "namespace": c.NAMESPACE}, False),
        ({"kind": "User", "name": "system:serviceaccount:payments:churn"}, True),
        ({"kind": "User", "name": "system:serviceaccount:other:churn"}, False),
        ({"kind": "User", "name": "churn"}, False),
        ({"kind": "Group", "name": "system:serviceaccounts"}, True),
        ({"kind": "Group", "name": "system:serviceaccounts:payments"}, True),
        ({"kind": "Group", "name": "system:serviceaccounts:other"}, False),
        ({"kind": "Group", "name": "system:authenticated"}, True),
        ({"kind": "Group", "name": "system:masters"}, False),
    ],
)
def test_a_binding_means_the_account_by_each_of_its_names_and_groups(subject: Object, *, counts: bool) -> None:
    of = role("writer", rule("create", "configmaps"))
    known = world(of, binding(of, subject))
    assert not within(known) if counts else within(known)


def test_a_role_that_is_not_there_and_a_binding_without_subjects_grant_nothing() -> None:
    of = role("writer", rule("create", "configmaps"))
    assert within(world(binding(of)))
    assert within(world(of, binding(of) | {"subjects": None}))


def test_urls_count_where_a_cluster_role_is_bound_for_the_whole_cluster() -> None:
    of = role("metrics", {"nonResourceURLs": ["/metrics", "/version"], "verbs": ["get"]}, kind="ClusterRole")
    assert "grants `get` on the URL `/metrics`, which" in exceeds(world(of, binding(of, kind="ClusterRoleBinding", name="b")))
    assert within(world(of, binding(of)))
    writes = role("writes", {"nonResourceURLs": ["/version"], "verbs": ["post"]}, kind="ClusterRole")
    assert "`post` on the URL `/version`" in exceeds(world(writes, binding(writes, kind="ClusterRoleBinding", name="b")))


@pytest.mark.parametrize(
    ("verb", "resource", "group", "admin"),
    [
        ("get", "configmaps", "", False), ("update", "configmaps", "", False), ("create", "services", "", False), ("get", "pods", "", False),
        ("create", "pods", "", True), ("create", "deployments", "apps", True), ("get", "pods/exec", "", True), ("create", "serviceaccounts/token", "", True),
        ("list", "secrets", "", True), ("escalate", "roles", "rbac.authorization.k8s.io", True), ("bind", "roles", "rbac.authorization.k8s.io", True),
        ("impersonate", "users", "", True), ("create", "releaseapprovals", "sluice.dev", True), ("get", "releaseapprovals", "sluice.dev", False),
    ],
)  # fmt: skip
def test_whoever_could_come_to_have_more_has_effect_admin(verb: str, resource: str, group: str, *, admin: bool) -> None:
    assert ("(effect Admin)" in exceeds(granted(rule(verb, resource, group=group)))) == admin


@pytest.mark.parametrize(("effect", "verb", "resource", "fits"), [
    ("Read", "get", "configmaps", True), ("Read", "update", "configmaps", False), ("Write", "update", "configmaps", True),
    ("Write", "create", "pods", False), ("Admin", "create", "pods", True),
])  # fmt: skip
def test_a_permission_reaches_no_further_than_the_tools_do(effect: str, verb: str, resource: str, *, fits: bool) -> None:
    declared = {"tools": [{"name": "t", "effect": effect}], "permissions": [{"resource": resource, "verbs": [verb]}]}
    result = result_of(world(authority=declared))
    if fits:
        assert result.outcome is Outcome.SATISFIED
    else:
        assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.AuthorityNotDeclared)
        assert f"`{verb}` on `{resource}` has effect" in result.message


def test_a_secret_that_is_declared_may_be_read_by_its_name_and_no_other() -> None:
    declared = {"secrets": [{"name": "crm-token", "maxLifetime": "1h"}]}
    assert within(granted(rule("get watch", "secrets", names="crm-token"), **declared))
    for beyond in (rule("get", "secrets"), rule("get", "secrets", names="crm-token other"), rule("update", "secrets", names="crm-token")):
        assert "secrets" in exceeds(granted(beyond, **declared))
    elsewhere = role("reader", rule("get", "secrets", names="crm-token"), kind="ClusterRole")
    assert "in namespace other" in exceeds(world(elsewhere, binding(elsewhere, namespace="other"), authority=declared))


def test_a_release_without_service_account_cannot_be_judged() -> None:
    result = result_of(world(authority={"serviceAccount": None}))
    assert (result.outcome, result.reason) == (Outcome.FAILED, Reason.AuthorityNotDeclared)
    assert "spec.authority.serviceAccount" in result.message
    assert within(world(authority={"serviceAccount": None}, grants=["Egress"]))


def test_more_rules_than_are_looked_at_are_too_many() -> None:
    of = role("many", *[rule("get", "configmaps")] * (MOST_RULES + 1))
    assert "than are looked at" in exceeds(world(of, binding(of), authority={"permissions": [DECLARED]}))
    long = role("long", {"apiGroups": [str(n) for n in range(150)], "resources": [f"r{n}" for n in range(150)], "verbs": ["get"]})
    assert "longer than is looked at" in exceeds(world(long, binding(long)))


def test_of_many_excesses_a_message_names_some_and_counts_the_rest() -> None:
    assert exceeds(granted(*[rule("create", "configmaps")] * 12)).endswith("; and 4 more")


def test_files_are_not_all_that_a_cluster_grants() -> None:
    result = result_of(world(whole=False))
    assert (result.outcome, result.reason) == (Outcome.MISSING, Reason.AuthorityUnknown)
    assert "sluice check --on-cluster" in (result.remedy or "")
    # Nor is it known that nothing limits egress.
    known = world(whole=False)
    known.remove("NetworkPolicy", c.Key(c.NAMESPACE, "limit"))
    assert result_of(known).reason is Reason.AuthorityUnknown


def test_an_excess_in_files_is_one_whatever_else_there_may_be() -> None:
    of = role("writer", rule("create", "configmaps"))
    assert "grants `create`" in exceeds(world(of, binding(of), whole=False))


@pytest.mark.parametrize(
    ("item", "named"),
    [
        (role("odd") | {"rules": [{"verbs": "get"}]}, "Role payments/odd"),
        (binding(role("odd")) | {"roleRef": {}}, "RoleBinding payments/binding"),
        (binding(role("odd"), {"kind": "ServiceAccount", "name": 3}), "RoleBinding payments/binding"),
        (network_policy({"to": [{"ipBlock": {"cidr": "ten"}}]}, name="odd"), "NetworkPolicy payments/odd"),
        (network_policy(name="odd", selector={"matchExpressions": [{"key": "a", "operator": "Like"}]}), "NetworkPolicy payments/odd"),
        (network_policy({"ports": [{"port": 1.5}]}, name="odd"), "NetworkPolicy payments/odd"),
        (network_policy(name="odd", selector={"matchExpressions": [{"key": [], "operator": "Exists"}]}), "NetworkPolicy payments/odd"),
    ],
)
def test_what_cannot_be_read_might_grant_anything_until_it_can(item: Object, named: str) -> None:
    known = world(item)
    result = result_of(known)
    assert (result.outcome, result.reason) == (Outcome.MISSING, Reason.AuthorityUnknown)
    assert named in result.message
    touched = known.remove(item["kind"], c.Key.of(item))
    assert touched == {c.KEY}
    assert within(known)


def test_a_change_of_what_is_granted_touches_exactly_the_releases_that_it_may_concern() -> None:
    known, of = world(), role("writer", rule("create", "configmaps"))
    assert known.put("Role", of) == set()
    assert known.put("RoleBinding", binding(of)) == {c.KEY}
    assert not within(known)
    assert known.put("RoleBinding", binding(of)) == set()
    assert known.put("Role", role("writer")) == {c.KEY}
    assert within(known)
    assert known.put("Role", of) == {c.KEY}
    assert known.remove("RoleBinding", c.Key(c.NAMESPACE, "binding")) == {c.KEY}
    assert within(known)
    assert known.put("RoleBinding", binding(of, {"kind": "ServiceAccount", "name": "other", "namespace": c.NAMESPACE})) == set()
    assert known.put("NetworkPolicy", network_policy(DNS, namespace="other")) == set()
    assert known.put("NetworkPolicy", network_policy()) == {c.KEY}


def test_where_no_policy_asks_nothing_is_touched() -> None:
    known, of = c.approved_world(), role("writer", rule("create", "configmaps"))
    known.put("Role", of)
    assert known.put("RoleBinding", binding(of)) == set()
    assert known.listed_all() == set()
    assert world(whole=False).listed_all() == {c.KEY}
