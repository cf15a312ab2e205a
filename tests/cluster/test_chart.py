"""The chart: well formed, refused with a sentence when its values are wrong, taken by the API server as it is, and with no more rights than it says."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from e2e.cluster import Cluster
from sluice.api.kinds import KINDS
from sluice.api.names import CANARY_ROLE_LABEL
from sluice.rollout.canary_pods import Role
from sluice.rollout.scoring_job import STATISTICS_PORT
from tests.cluster.gate import WEBHOOK
from tests.cluster.installation import CONTROLLER, HOME, ROOT, disturbed, rendered
from tests.cluster.namespace import Namespace

CHART = ROOT / "charts/sluice"
IMAGE = ("--set=image.repository=registry.example.com/sluice", f"--set=image.digest=sha256:{'0' * 64}")

Object = dict[str, Any]


def helm(cluster: Cluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(cluster.binaries["helm"]), *arguments], check=False, capture_output=True, text=True)


def template(cluster: Cluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    return helm(cluster, "template", "sluice", str(CHART), f"--namespace={HOME}", "--kube-version=1.36.3", *arguments)


@pytest.fixture(scope="module")
def objects(cluster: Cluster) -> list[Object]:
    """All that the chart installs."""
    return [obj for obj in yaml.safe_load_all(rendered(cluster)) if obj]


def of_kind(objects: list[Object], kind: str) -> Iterator[Object]:
    return (obj for obj in objects if obj["kind"] == kind)


def test_helm_finds_nothing_wrong(cluster: Cluster) -> None:
    done = helm(cluster, "lint", "--strict", str(CHART), *IMAGE)
    assert done.returncode == 0, done.stdout + done.stderr


def pods_of(cluster: Cluster, *values: str) -> dict[str, Object]:
    """The Pods of both Deployments with these values, by their container."""
    done = template(cluster, *IMAGE, "--show-only=templates/deployments.yaml", *(f"--set={value}" for value in values))
    assert done.returncode == 0, done.stderr
    pods = [obj["spec"]["template"]["spec"] for obj in yaml.safe_load_all(done.stdout) if obj and obj["kind"] == "Deployment"]
    return {pod["containers"][0]["name"]: pod for pod in pods}


def test_the_controller_alone_pushes_samples_and_only_where_somebody_said_so(cluster: Cluster) -> None:
    plain = pods_of(cluster)
    told = pods_of(cluster, "samples.repository=registry.example.com/ml/samples", "samples.keep=texts", "samples.authSecret=push")
    assert "samples" not in str(plain)
    assert told["webhook"] == plain["webhook"]
    controller = told["controller"]["containers"][0]
    assert [word for word in controller["args"] if "samples" in word] == [
        "--samples-repository=registry.example.com/ml/samples",
        "--samples-keep=texts",
        "--samples-auth-file=/etc/sluice/samples/.dockerconfigjson",
    ]
    assert {"name": "samples-auth", "mountPath": "/etc/sluice/samples", "readOnly": True} in controller["volumeMounts"]
    assert {"name": "samples-auth", "secret": {"secretName": "push"}} in told["controller"]["volumes"]
    assert template(cluster, *IMAGE, "--set=samples.keep=everything").returncode != 0


def test_the_controller_alone_keeps_samples_in_a_bucket_and_reaches_the_port_that_it_is_behind(cluster: Cluster) -> None:
    plain = pods_of(cluster)
    bucket = (
        "samples.repository=s3://ml-audit/samples",
        "samples.authSecret=keys",
        "samples.region=eu-central-1",
        "samples.endpoint=https://minio.storage:9000",
    )
    told = pods_of(cluster, *bucket)
    assert told["webhook"] == plain["webhook"]
    assert told["controller"]["volumes"] == plain["controller"]["volumes"]
    controller = told["controller"]["containers"][0]
    assert [word for word in controller["args"] if "samples" in word] == [
        "--samples-repository=s3://ml-audit/samples",
        "--samples-keep=digests",
        "--samples-endpoint=https://minio.storage:9000",
        "--samples-region=eu-central-1",
    ]
    assert {each["name"]: each["valueFrom"]["secretKeyRef"] for each in controller["env"] if each["name"].startswith("AWS_")} == {
        name: {"name": "keys", "key": name, "optional": name == "AWS_SESSION_TOKEN"}
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    }
    for endpoint, more in (("https://minio.storage:9000", {9000}), ("http://minio.storage", {80}), ("https://minio.storage", set()), ("", set())):
        done = template(cluster, *IMAGE, "--show-only=templates/disruption.yaml", f"--set={bucket[0]}", f"--set=samples.endpoint={endpoint}")
        policies = [obj for obj in yaml.safe_load_all(done.stdout) if obj and obj["kind"] == "NetworkPolicy"]
        ports = {policy["metadata"]["name"]: {port["port"] for port in policy["spec"]["egress"][0]["ports"]} for policy in policies}
        assert ports["sluice-controller"] - ports["sluice-webhook"] == more
    for wrong in ("samples.endpoint=minio:9000", "samples.endpoint=https://user:secret@minio", "samples.region=EU"):
        assert template(cluster, *IMAGE, f"--set={wrong}").returncode != 0


def test_the_controller_alone_fetches_evidence_and_reads_only_the_pull_secrets_that_somebody_named(cluster: Cluster) -> None:
    values = ("evidence.registries={registry.example.com/acme,http://registry.dev.svc:5000}", "evidence.pullSecrets={regcred}")
    plain, told = pods_of(cluster), pods_of(cluster, *values)
    assert told["webhook"] == plain["webhook"]
    assert [word for word in told["controller"]["containers"][0]["args"] if "evidence" in word] == [
        "--evidence-registry=registry.example.com/acme",
        "--evidence-registry=http://registry.dev.svc:5000",
        "--evidence-pull-secret=regcred",
    ]
    for given, names in (((), []), (values, ["regcred"])):
        rendered = template(cluster, *IMAGE, "--show-only=templates/rbac.yaml", *(f"--set={value}" for value in given)).stdout
        roles = [obj for obj in yaml.safe_load_all(rendered) if obj and obj["kind"] == "ClusterRole"]
        secrets = [rule for role in roles for rule in role["rules"] if "secrets" in rule["resources"]]
        assert [name for rule in secrets for name in rule["resourceNames"]] == names
        assert all(rule["verbs"] == ["get"] for rule in secrets)
    for wrong in ("evidence.registries={registry.example.com/Team}", "evidence.registries={ftp://x}", "evidence.pullSecrets={*}"):
        assert template(cluster, *IMAGE, f"--set={wrong}").returncode != 0


def test_the_controller_alone_knows_further_authorities_of_registries(cluster: Cluster) -> None:
    plain, told = pods_of(cluster), pods_of(cluster, "registries.caConfigMap.name=company", "registries.caConfigMap.key=root.pem")
    assert "registr" not in str(plain["controller"]["containers"][0]["args"])
    assert told["webhook"] == plain["webhook"]
    assert "--registry-ca-file=/etc/sluice/registries/ca.crt" in told["controller"]["containers"][0]["args"]
    assert {"name": "registries-ca", "mountPath": "/etc/sluice/registries", "readOnly": True} in told["controller"]["containers"][0]["volumeMounts"]
    volume = {"name": "registries-ca", "configMap": {"name": "company", "items": [{"key": "root.pem", "path": "ca.crt"}]}}
    assert volume in told["controller"]["volumes"]
    assert template(cluster, *IMAGE, "--set=registries.caConfigMap.key=").returncode != 0


def test_the_controller_alone_is_told_where_prometheus_is_and_how_to_prove_who_it_is(cluster: Cluster) -> None:
    url = "prometheus.url=https://prometheus.monitoring:9090/x"
    plain, told = pods_of(cluster), pods_of(cluster, url, "prometheus.tokenSecret.name=token", "prometheus.caConfigMap.name=ca")
    assert "prometheus" not in str(plain)
    assert told["webhook"] == plain["webhook"]
    flags = [word for word in told["controller"]["containers"][0]["args"] if "prometheus" in word]
    assert flags == [
        "--prometheus-url=https://prometheus.monitoring:9090/x",
        "--prometheus-token-file=/etc/prometheus/token/token",
        "--prometheus-ca-file=/etc/prometheus/ca/ca.crt",
    ]
    mounts = {mount["mountPath"] for mount in told["controller"]["containers"][0]["volumeMounts"] if mount.get("readOnly")}
    assert {"/etc/prometheus/token", "/etc/prometheus/ca"} <= mounts
    refused = template(cluster, *IMAGE, "--set=prometheus.url=http://me:secret@prometheus")
    assert refused.returncode != 0
    assert "prometheus/url" in refused.stderr


def test_an_older_kubernetes_is_refused(cluster: Cluster) -> None:
    done = helm(cluster, "template", "sluice", str(CHART), "--kube-version=1.35.9", *IMAGE)
    assert "requires kubeVersion: >=1.36.0-0" in done.stderr
    assert helm(cluster, "template", "sluice", str(CHART), "--kube-version=1.36.2-gke.1", *IMAGE).returncode == 0


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("image.digest=latest", "image/digest"),
        ("image.digest=", "image/digest"),
        ("logLevel=loud", "logLevel"),
        ("webhook.replicas=0", "webhook/replicas"),
        ("webhok.replicas=2", "webhok"),
    ],
)
def test_a_wrong_value_is_refused_by_name(cluster: Cluster, value: str, named: str) -> None:
    done = template(cluster, *IMAGE, f"--set={value}")
    assert done.returncode != 0
    assert named in done.stderr


def test_the_api_server_takes_all_of_it(cluster: Cluster) -> None:
    namespace = yaml.safe_dump({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME}})
    cluster.kubectl("apply", "--filename=-", stdin=namespace)
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "--filename=-", stdin=rendered(cluster))


def test_the_namespace_guard_trusts_whom_the_values_name(cluster: Cluster) -> None:
    odd = 'it\'s "odd"'
    done = template(cluster, *IMAGE, "--show-only=templates/policies-people.yaml", f"--set-json=namespaceGuard.groups={yaml_json([odd])}")
    guard = next(obj for obj in yaml.safe_load_all(done.stdout) if obj["metadata"]["name"] == "sluice-guard-namespaces")
    assert '["it\'s \\"odd\\""]' in guard["spec"]["variables"][0]["expression"]
    cluster.kubectl("apply", "--dry-run=server", "--filename=-", stdin=yaml.safe_dump(guard))


def yaml_json(value: object) -> str:
    """JSON, which is YAML on one line."""
    return yaml.safe_dump(value, default_flow_style=True, width=1_000, default_style='"').strip()


def test_both_run_as_nobody_on_a_read_only_file_system(objects: list[Object]) -> None:
    deployments = list(of_kind(objects, "Deployment"))
    assert {deployment["metadata"]["name"] for deployment in deployments} == {"sluice-controller", "sluice-webhook"}
    for deployment in deployments:
        spec = deployment["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        assert container["image"] == f"registry.example.com/sluice@sha256:{'0' * 64}"
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 65532
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"requests", "limits"} <= container["resources"].keys()
        assert {"livenessProbe", "readinessProbe", "startupProbe"} <= container.keys()


def test_pods_of_sluice_meet_the_restricted_standard(cluster: Cluster, objects: list[Object]) -> None:
    with Namespace(cluster, labels={"pod-security.kubernetes.io/enforce": "restricted"}) as restricted:
        for deployment in of_kind(objects, "Deployment"):
            # The template's service account and priority class belong to another namespace.
            spec = {k: v for k, v in deployment["spec"]["template"]["spec"].items() if k not in {"serviceAccountName", "priorityClassName"}}
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": deployment["metadata"]["name"]}, "spec": spec}
            restricted.kubectl("create", "--dry-run=server", "--filename=-", stdin=yaml.safe_dump(pod))


def test_one_of_two_may_always_be_evicted(objects: list[Object]) -> None:
    selectors = {deployment["metadata"]["name"]: deployment["spec"]["selector"] for deployment in of_kind(objects, "Deployment")}
    assert all(deployment["spec"]["replicas"] >= 2 for deployment in of_kind(objects, "Deployment"))
    assert {budget["metadata"]["name"]: budget["spec"]["selector"] for budget in of_kind(objects, "PodDisruptionBudget")} == selectors
    assert {policy["metadata"]["name"]: policy["spec"]["podSelector"] for policy in of_kind(objects, "NetworkPolicy")} == selectors


def test_the_controller_reaches_scorers_and_the_webhook_does_not(objects: list[Object]) -> None:
    rules = {policy["metadata"]["name"]: policy["spec"]["egress"] for policy in of_kind(objects, "NetworkPolicy")}
    scorers = {"namespaceSelector": {}, "podSelector": {"matchLabels": {CANARY_ROLE_LABEL: str(Role.SCORER)}}}
    to_scorers = {"to": [scorers], "ports": [{"protocol": "TCP", "port": STATISTICS_PORT}]}
    assert to_scorers in rules["sluice-controller"]
    assert rules["sluice-webhook"] == [rule for rule in rules["sluice-controller"] if rule != to_scorers]


def test_the_webhook_is_asked_with_a_deadline_and_never_about_itself(objects: list[Object]) -> None:
    configurations = [*of_kind(objects, "MutatingWebhookConfiguration"), *of_kind(objects, "ValidatingWebhookConfiguration")]
    for call in (call for configuration in configurations for call in configuration["webhooks"]):
        assert call["timeoutSeconds"] <= 5
        assert call["sideEffects"] == "None"
        assert call["matchPolicy"] == "Equivalent"
        assert "objectSelector" not in call, "labels of an object are its author's"
        assert "caBundle" not in call["clientConfig"], "the webhook publishes its own, and an upgrade must not take it away"
        if [resource for rule in call["rules"] for resource in rule["resources"]] == ["releasepolicies"]:
            # Policies are in no namespace; one that cannot be used denies by itself, so nobody has to wait for this.
            assert (call["failurePolicy"], "namespaceSelector" in call) == ("Ignore", False)
            continue
        assert call["namespaceSelector"]["matchLabels"] == {"sluice.dev/govern": "true"}
        assert call["namespaceSelector"]["matchExpressions"][0]["values"] == [HOME, "kube-system"]


def test_rights_name_what_they_are_for(objects: list[Object]) -> None:
    rules = [rule for obj in (*of_kind(objects, "ClusterRole"), *of_kind(objects, "Role")) for rule in obj["rules"]]
    assert [rule for rule in rules if "*" in (*rule["verbs"], *rule["resources"], *rule["apiGroups"])] == []


FORBIDDEN = [
    (CONTROLLER, "get", "secrets"), (CONTROLLER, "create", "pods/exec"), (CONTROLLER, "patch", "jobs.batch"), (CONTROLLER, "update", "canaryruns.sluice.dev"),
    (CONTROLLER, "delete", "canaryruns.sluice.dev"), (CONTROLLER, "list", "configmaps"),
    (CONTROLLER, "update", "modelreleases.sluice.dev"), (CONTROLLER, "create", "releaseapprovals.sluice.dev"),
    (CONTROLLER, "patch", "mutatingadmissionpolicies.admissionregistration.k8s.io"), (CONTROLLER, "patch", "namespaces"),
    (CONTROLLER, "delete", "deployments.apps"), (CONTROLLER, "list", "leases.coordination.k8s.io"),
    (WEBHOOK, "get", "pods"), (WEBHOOK, "patch", "pods"), (WEBHOOK, "patch", "modelreleases.sluice.dev/status"), (WEBHOOK, "list", "secrets"),
    (WEBHOOK, "get", "secrets/another"), (WEBHOOK, "patch", "validatingwebhookconfigurations.admissionregistration.k8s.io/another"),
    (WEBHOOK, "create", "rolebindings.rbac.authorization.k8s.io"), (CONTROLLER, "bind", "clusterroles.rbac.authorization.k8s.io"),
    (WEBHOOK, "create", "releaseapprovals.sluice.dev"), (WEBHOOK, "patch", "deployments.apps"),
]  # fmt: skip
NEEDED = [
    (CONTROLLER, "watch", "modelreleases.sluice.dev"), (CONTROLLER, "patch", "pods"), (CONTROLLER, "patch", "deployments.apps"),
    (CONTROLLER, "update", "leases.coordination.k8s.io/sluice-controller"), (CONTROLLER, "create", "events.events.k8s.io"),
    (CONTROLLER, "create", "canaryruns.sluice.dev"), (CONTROLLER, "create", "pods"), (CONTROLLER, "create", "jobs.batch"), (CONTROLLER, "delete", "jobs.batch"),
    (CONTROLLER, "create", "networkpolicies.networking.k8s.io"), (CONTROLLER, "create", "replicasets.apps"), (CONTROLLER, "create", "pods/eviction"),
    (WEBHOOK, "watch", "namespaces"), (WEBHOOK, "watch", "rolebindings.rbac.authorization.k8s.io"), (WEBHOOK, "update", "secrets/sluice-webhook-tls"),
    (WEBHOOK, "patch", "validatingwebhookconfigurations.admissionregistration.k8s.io/sluice-webhook"),
]  # fmt: skip


# Who looks, who works in a namespace, and who signs off, each by the role that they are bound to there.
VERA, EDWIN, OLGA, EVA = "vera", "edwin", "olga", "eva"
PEOPLE = {VERA: "view", EDWIN: "edit", OLGA: "sluice-approver", EVA: "sluice-evaluator"}
FORBIDDEN += [
    (VERA, "create", "modelreleases.sluice.dev"), (VERA, "patch", "modelreleases.sluice.dev/status"),
    (EDWIN, "create", "releaseapprovals.sluice.dev"), (EDWIN, "create", "releasewaivers.sluice.dev"), (EDWIN, "create", "scoringsuites.sluice.dev"),
    (EDWIN, "delete", "canaryruns.sluice.dev"), (EDWIN, "delete", "releasemonitors.sluice.dev"), (EDWIN, "delete", "releaseapprovals.sluice.dev"),
    (EDWIN, "patch", "modelreleases.sluice.dev/status"), (OLGA, "delete", "releaseapprovals.sluice.dev"), (OLGA, "update", "releaseapprovals.sluice.dev"),
    (OLGA, "create", "releaseevidences.sluice.dev"), (EVA, "create", "releaseapprovals.sluice.dev"), (EVA, "create", "modelreleases.sluice.dev"),
]  # fmt: skip
NEEDED += [
    (VERA, "list", "modelreleases.sluice.dev"), (VERA, "watch", "canaryruns.sluice.dev"), (EDWIN, "create", "modelreleases.sluice.dev"),
    (EDWIN, "get", "releasemonitors.sluice.dev"), (EDWIN, "create", "releasedrills.sluice.dev"), (OLGA, "get", "modelreleases.sluice.dev"),
    (OLGA, "create", "releaseapprovals.sluice.dev"), (OLGA, "create", "releasewaivers.sluice.dev"), (EVA, "create", "scoringsuites.sluice.dev"),
]  # fmt: skip


def test_whoever_may_look_at_workloads_may_look_at_every_kind(objects: list[Object]) -> None:
    (view,) = [obj for obj in of_kind(objects, "ClusterRole") if obj["metadata"]["name"] == "sluice-view"]
    assert [(set(rule["resources"]), rule["verbs"]) for rule in view["rules"]] == [({kind.plural for kind in KINDS}, ["get", "list", "watch"])]


_EFFECTIVE_SECONDS = 30


def bound(who: str, role: str) -> Object:
    """Bind somebody to a ClusterRole in one namespace."""
    group = "rbac.authorization.k8s.io"
    binding = {"apiVersion": f"{group}/v1", "kind": "RoleBinding", "metadata": {"name": who, "namespace": HOME}}
    return {**binding, "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role}, "subjects": [{"apiGroup": group, "kind": "User", "name": who}]}


@pytest.fixture(scope="module")
def rights(cluster: Cluster, crds: None) -> Iterator[None]:  # noqa: ARG001 - kubectl asks about another resource when it does not know one
    """The chart's roles, and nothing else of it."""
    namespace = yaml.safe_dump({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME}})
    cluster.kubectl("apply", "--filename=-", stdin=namespace)
    roles = rendered(cluster, "rbac", "people") + "---\n" + yaml.safe_dump_all(bound(who, role) for who, role in PEOPLE.items())
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=roles)
    # The API server takes roles up some time after it stores them: before that it forbids everything.
    deadline = time.monotonic() + _EFFECTIVE_SECONDS
    while set(answers_to(cluster, NEEDED).values()) != {"true"} and time.monotonic() < deadline:
        time.sleep(0.2)
    yield
    cluster.kubectl("delete", "--ignore-not-found", "--filename=-", stdin=roles)
    disturbed(cluster)


def review(user: str, verb: str, resource: str) -> Object:
    """The question whether a user may do this in the namespace of Sluice, to `plural.group/name`; a subresource may stand in place of a name."""
    target, _, rest = resource.partition("/")
    plural, _, group = target.partition(".")
    which = {"subresource": rest} if rest in {"status", "exec", "eviction"} else {"name": rest}
    attributes = {"namespace": HOME, "verb": verb, "group": group, "resource": plural, **which}
    spec = {"user": user, "groups": ["system:serviceaccounts", "system:authenticated"], "resourceAttributes": attributes}
    return {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}


def answers_to(cluster: Cluster, cases: list[tuple[str, str, str]]) -> dict[tuple[str, str, str], str]:
    """Whether each may, in one call."""
    reviews = yaml.safe_dump_all(review(*case) for case in cases)
    told = cluster.kubectl("create", "--filename=-", '--output=jsonpath={.status.allowed}{"\\n"}', stdin=reviews).stdout.split()
    return dict(zip(cases, told, strict=True))


@pytest.mark.parametrize(("answer", "cases"), [("false", FORBIDDEN), ("true", NEEDED)], ids=["forbidden", "needed"])
def test_each_process_may_do_what_it_does_and_no_more(cluster: Cluster, rights: None, answer: str, cases: list[tuple[str, str, str]]) -> None:  # noqa: ARG001
    assert {case: told for case, told in answers_to(cluster, cases).items() if told != answer} == {}
