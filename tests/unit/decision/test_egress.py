"""What NetworkPolicies allow, held against the destinations that a release declares."""

from __future__ import annotations

import pytest

from tests.unit.decision import case as c
from tests.unit.decision.granting import DNS, Object, exceeds, network_policy, to, within, world

HOST: Object = {"host": "crm.example.com", "port": 443}


def pods_of(namespace: str, port: int = 443) -> Object:
    return {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}], "ports": [{"port": port}]}


@pytest.mark.parametrize(
    ("allowed", "declared", "enough"),
    [
        (to("10.1.2.0/24"), HOST | {"addresses": ["10.1.0.0/16"]}, True),
        (to("10.1.2.3/32"), {"host": "10.1.2.3", "port": 443}, True),
        (to("10.0.0.0/8"), HOST | {"addresses": ["10.1.0.0/16"]}, False),
        (to("10.0.0.0/8"), HOST | {"addresses": ["10.0.0.0/16"]}, False),
        (to("10.1.2.0/24"), HOST, False),
        (to("10.1.2.0/24"), HOST | {"addresses": ["::/0"]}, False),
        (to("2001:db8::/64"), HOST | {"addresses": ["2001:db8::/32"]}, True),
        (to("10.1.2.0/24"), HOST | {"addresses": ["10.1.0.0/16"], "port": 80}, False),
        (to("10.1.2.0/24", {"port": 443, "endPort": 444}), HOST | {"addresses": ["10.1.0.0/16"]}, False),
        (to("10.1.2.0/24", {"port": 443, "protocol": "UDP"}), HOST | {"addresses": ["10.1.0.0/16"]}, False),
        (to("10.1.2.0/24", {"port": "https"}), HOST | {"addresses": ["10.1.0.0/16"]}, False),
        ({"to": to("10.1.2.0/24")["to"]}, HOST | {"addresses": ["10.1.0.0/16"]}, False),
        ({"ports": [{"port": 443}]}, HOST | {"addresses": ["10.1.0.0/16"]}, False),
        ({"ports": [{"port": 443}]}, HOST | {"addresses": ["0.0.0.0/0", "::/0"]}, True),
        (pods_of("crm"), HOST | {"namespace": "crm"}, True),
        (pods_of("crm"), HOST | {"namespace": "other"}, False),
        (pods_of("crm", 80), HOST | {"namespace": "crm"}, False),
        ({"to": [{"podSelector": {}}], "ports": [{"port": 443}]}, HOST | {"namespace": c.NAMESPACE}, True),
        ({"to": [{"podSelector": {}}], "ports": [{"port": 443}]}, HOST | {"namespace": "crm"}, False),
        ({"to": [{"namespaceSelector": {}}], "ports": [{"port": 443}]}, HOST | {"namespace": "crm"}, False),
        (pods_of("kube-system", 53), HOST, True),
        (pods_of("kube-system", 443), HOST, False),
        (to("10.96.0.10/32", {"port": 53, "protocol": "UDP"}), HOST, False),
        (to("10.96.0.10/32", {"port": 53, "protocol": "UDP"}), {"host": "10.96.0.10", "port": 53}, True),
    ],
)
def test_egress_is_declared_when_all_that_a_rule_allows_is(allowed: Object, declared: Object, *, enough: bool) -> None:
    known = world(network_policy(DNS, allowed), authority={"egress": [declared]})
    assert within(known) if enough else "NetworkPolicy payments/limit egress rule 2 allows" in exceeds(known)


def test_a_host_name_is_nothing_that_a_network_policy_could_be_held_against() -> None:
    message = exceeds(world(network_policy(to("10.1.2.0/24")), authority={"egress": [HOST]}))
    assert message.endswith("allows 10.1.2.0/24, port 443, which spec.authority.egress does not declare; "
                            "crm.example.com:443 is declared without addresses, and a NetworkPolicy knows no names")  # fmt: skip


@pytest.mark.parametrize(
    ("selector", "limits"),
    [
        ({}, True),
        ({"matchLabels": {"sluice.dev/release": c.NAME}}, True),
        ({"matchExpressions": [{"key": "sluice.dev/release", "operator": "Exists"}]}, True),
        ({"matchLabels": {"sluice.dev/release": "other"}}, False),
        ({"matchLabels": {"app": "churn"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, False),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
    ],
)
def test_egress_is_limited_by_what_selects_the_pods_whatever_other_labels_they_have(selector: Object, *, limits: bool) -> None:
    known = world(network_policy(DNS, selector=selector))
    assert within(known) if limits else "limits egress, so its Pods may reach everything" in exceeds(known)


def test_a_policy_for_ingress_limits_no_egress() -> None:
    ingress = network_policy()
    ingress["spec"] = {"podSelector": {}, "policyTypes": ["Ingress"]}
    assert "may reach everything" in exceeds(world(ingress))
    ingress["spec"] = {"podSelector": {}}
    assert "may reach everything" in exceeds(world(ingress))
    ingress["spec"] = {"podSelector": {}, "egress": [DNS]}
    assert within(world(ingress))
