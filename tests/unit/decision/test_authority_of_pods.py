"""What a Pod brings in and may reach, held against what its release declares."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sluice.api.release import Outcome
from sluice.decision.gate import Action, Decision, Namespace, decide_pod
from sluice.decision.granted import Granted
from sluice.decision.pod import PodMalformedError, view_pod, view_template
from sluice.decision.reasons import Reason
from tests.unit.decision import case as c
from tests.unit.decision.granting import DNS, Object, binding, network_policy, result_of, role, rule, to, within, world
from tests.unit.decision.test_gate import pod

NAMESPACE = Namespace(name=c.NAMESPACE, labels=c.namespace()["metadata"]["labels"])


def decided(known: c.World, item: Object, *, final: bool = True, namespace: Namespace = NAMESPACE) -> Decision:
    view = view_pod(item) if final else view_template(item)
    return decide_pod(view, namespace, known.subject(c.NAMESPACE, c.NAME, now=c.NOW, where=namespace.name), serves={})


def container(**fields: Any) -> Object:  # noqa: ANN401 - fields of the container
    return {"containers": [pod()["spec"]["containers"][0] | fields]}


def projected(**source: Any) -> Object:  # noqa: ANN401 - a source
    return {"volumes": [{"name": "v", "projected": {"sources": [{"configMap": {"name": "c"}}, source]}}]}


SECRETS: list[tuple[Object, str]] = [
    ({"volumes": [{"name": "v", "secret": {"secretName": "s"}}]}, "spec.volumes[v].secret brings in Secret s"),
    (projected(secret={"name": "s"}), "spec.volumes[v].projected.sources[1].secret brings in Secret s"),
    (
        {"volumes": [{"name": "v", "csi": {"driver": "secrets-store.csi.k8s.io", "volumeAttributes": {"secretProviderClass": "s"}}}]},
        "spec.volumes[v].csi brings in Secret s",
    ),
    (container(env=[{"name": "E", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]), "spec.containers[server].env[E] brings in Secret s"),
    (container(envFrom=[{"configMapRef": {"name": "c"}}, {"secretRef": {"name": "s"}}]), "spec.containers[server].envFrom[1].secretRef brings in Secret s"),
    (
        {"initContainers": [pod()["spec"]["initContainers"][0] | {"envFrom": [{"secretRef": {"name": "s"}}]}]},
        "spec.initContainers[model].envFrom[0].secretRef brings in Secret s",
    ),
    (
        {"ephemeralContainers": [{"name": "debug", "image": pod()["spec"]["containers"][0]["image"], "envFrom": [{"secretRef": {"name": "s"}}]}]},
        "spec.ephemeralContainers[debug].envFrom[0].secretRef brings in Secret s",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "words"), SECRETS)
def test_a_secret_that_is_not_declared_is_denied_and_the_field_named(spec: Object, words: str) -> None:
    decision = decided(world(), pod(**spec))
    assert (decision.action, decision.reason) == (Action.DENY, Reason.CredentialNotDeclared)
    assert decision.message.startswith(words)
    # Declared, or not asked about, or still changing: it is no reason.
    assert decided(world(authority={"secrets": [{"name": "s"}]}), pod(**spec)).action is Action.ALLOW
    assert decided(world(grants=["Permissions", "Tokens", "Egress"]), pod(**spec)).action is Action.ALLOW
    assert decided(world(), pod(**spec), final=False).action is Action.ALLOW


def test_what_the_node_itself_uses_and_other_drivers_bring_in_no_secret() -> None:
    volumes = [{"name": "v", "csi": {"driver": "disk.example.com", "nodePublishSecretRef": {"name": "s"}}}, {"name": "e", "emptyDir": {}}]
    env = [{"name": "A", "value": "a"}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    assert decided(world(), pod(imagePullSecrets=[{"name": "s"}], volumes=volumes, **container(env=env))).action is Action.ALLOW


@pytest.mark.parametrize(
    ("source", "lifetime", "enough"),
    [
        ({"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}, "1h", True),
        ({"serviceAccountToken": {"path": "t"}}, "1h", True),
        ({"serviceAccountToken": {"path": "t"}}, "59m", False),
        ({"serviceAccountToken": {"path": "t", "expirationSeconds": 3601}}, "1h", False),
        ({"serviceAccountToken": {"path": "t", "expirationSeconds": 600}}, None, False),
        # Automounted: the API server makes it a year.
        ({"serviceAccountToken": {"path": "t", "expirationSeconds": 3607}}, "364d", False),
        ({"serviceAccountToken": {"path": "t", "expirationSeconds": 3607}}, "365d", True),
        ({"podCertificate": {"signerName": "s", "maxExpirationSeconds": 3600}}, "1h", True),
        ({"podCertificate": {"signerName": "s"}}, "1h", False),
        ({"podCertificate": {"signerName": "s"}}, "24h", True),
    ],
)
def test_a_token_lives_no_longer_than_is_declared(source: Object, lifetime: str | None, *, enough: bool) -> None:
    decision = decided(world(authority={"tokenLifetime": lifetime}), pod(**projected(**source)))
    if enough:
        assert decision.action is Action.ALLOW
    else:
        assert (decision.action, decision.reason) == (Action.DENY, Reason.CredentialNotDeclared)
        assert "spec.volumes[v].projected.sources[1]." in decision.message
        assert decided(world(authority={"tokenLifetime": lifetime}, grants=["Secrets"]), pod(**projected(**source))).action is Action.ALLOW


def test_a_token_whose_lifetime_is_no_number_and_a_label_that_is_no_text_make_no_pod() -> None:
    with pytest.raises(PodMalformedError):
        view_pod(pod(**projected(serviceAccountToken={"expirationSeconds": "long"})))
    with pytest.raises(PodMalformedError):
        view_pod({"metadata": {"labels": {"app": 1}}, "spec": pod()["spec"]})


def test_a_policy_that_selects_the_pod_by_another_label_counts_for_that_pod() -> None:
    wide = network_policy(to("0.0.0.0/0"), name="wide", selector={"matchLabels": {"app": "web"}})
    known, item = world(wide), pod()
    assert decided(known, item).action is Action.ALLOW
    item["metadata"]["labels"]["app"] = "web"
    for final in (True, False):
        decision = decided(known, item, final=final)
        assert (decision.action, decision.reason) == (Action.HOLD, Reason.AuthorityExceeded)
        assert decision.message.startswith("NetworkPolicy payments/wide egress rule 1 allows anywhere, port 443, which")
    known.remove("NetworkPolicy", c.Key(c.NAMESPACE, "wide"))
    assert decided(known, item).action is Action.ALLOW


def test_a_policy_for_pods_without_a_label_counts_for_those_and_not_for_the_release() -> None:
    known = world(network_policy(to("0.0.0.0/0"), name="wide", selector={"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}))
    assert within(known)
    item = pod()
    assert decided(known, item).action is Action.HOLD
    item["metadata"]["labels"]["app"] = "churn"
    assert decided(known, item).action is Action.ALLOW


def test_what_was_waived_is_not_held_against_the_pod() -> None:
    of = role("writer", rule("create", "configmaps"))
    known = world(of, binding(of), waivableBy=["security"])
    verdict = known.verdict(c.KEY, now=c.NOW)
    assert verdict is not None
    spec = {
        "release": {"name": c.NAME}, "releaseDigest": verdict.release_digest, "requirements": ["authority"], "reason": "r", "riskOwner": "o", "ticket": "t",
        "expires": "2026-12-01T00:00:00Z", "approver": {"username": "sam@example.com", "groups": ["appsec"]},
    }  # fmt: skip
    c.waive(known, c.item("ReleaseWaiver", "waiver", spec))
    assert result_of(known).outcome is Outcome.WAIVED
    assert decided(known, pod(**SECRETS[0][0])).action is Action.ALLOW


def test_in_another_namespace_a_pod_is_held_to_what_is_granted_there() -> None:
    known = world(network_policy(DNS, namespace="scratch"))
    scratch = replace(NAMESPACE, name="scratch")
    assert decided(known, pod(), namespace=scratch).action is Action.ALLOW
    of = role("writer", rule("create", "configmaps"), namespace="scratch")
    there = binding(of, {"kind": "ServiceAccount", "name": "churn"}, namespace="scratch")
    for item in (of, there):
        known.put(item["kind"], item)
    decision = decided(known, pod(), namespace=scratch)
    assert (decision.action, decision.reason) == (Action.HOLD, Reason.AuthorityExceeded)
    assert "RoleBinding scratch/binding" in decision.message
    known.remove("RoleBinding", c.Key("scratch", "binding"))
    known.remove("NetworkPolicy", c.Key("scratch", "limit"))
    assert "may reach everything" in decided(known, pod(), namespace=scratch).message


def test_while_the_verdict_stands_a_pod_is_held_against_grants_without_a_look_at_any_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    known, plain = world(), c.approved_world()
    for each in (known, plain):
        each.verdict(c.KEY, now=c.NOW)
    monkeypatch.setattr(c.World, "_policies_for", lambda *_: pytest.fail("the policies of the namespace were asked"))
    asked, nobody_asks = (each.subject(c.NAMESPACE, c.NAME, now=c.NOW) for each in (known, plain))
    assert asked is not None
    assert asked.granted.account is not None
    assert nobody_asks is not None
    assert nobody_asks.granted == Granted()
