"""The embedded cluster is a real one, and leaves nothing behind."""

import json
import signal
import subprocess
import sys
import tarfile
import urllib.request
from pathlib import Path

import pytest

from e2e.cluster import Cluster, Narrator, StepFailed, build, cgroups, place, sandbox
from e2e.cluster.local import down
from e2e.cluster.pki import NODE_NAME
from tests.cluster.conftest import NAME
from tests.cluster.namespace import Namespace, Object, condition_of

SECOND = f"{NAME}-2"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def pod(cluster: Cluster, name: str, *command: str) -> Object:
    container: Object = {
        "name": "main",
        "image": cluster.images["busybox"],
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65534},
    }
    if command:
        container["command"] = list(command)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }


def fetch(url: str, *, method: str = "GET", body: bytes | None = None, content_type: str | None = None) -> bytes:
    headers = {"Content-Type": content_type} if content_type else {}
    request = urllib.request.Request(url, data=body, method=method, headers=headers)  # noqa: S310  addresses of the cluster
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as response:
        content: bytes = response.read()
        return content


def test_every_part_works_and_the_version_is_the_pinned_one(cluster: Cluster) -> None:
    assert cluster.problems() == []
    version = json.loads(cluster.kubectl("version", "--output=json").stdout)
    assert version["serverVersion"]["gitVersion"] == build.KUBERNETES_VERSION
    node = json.loads(cluster.kubectl("get", "node", NODE_NAME, "--output=json").stdout)
    assert node["status"]["nodeInfo"]["kubeletVersion"] == build.KUBERNETES_VERSION


def test_the_api_server_has_admission_policies_of_both_kinds(cluster: Cluster) -> None:
    group = json.loads(cluster.kubectl("get", "--raw=/apis/admissionregistration.k8s.io/v1").stdout)
    assert {"mutatingadmissionpolicies", "validatingadmissionpolicies"} <= {resource["name"] for resource in group["resources"]}


def test_a_pod_runs_an_image_of_the_registry_by_digest(cluster: Cluster, ns: Namespace) -> None:
    ns.apply(pod(cluster, "hello", "sh", "-c", "echo hello; exec sleep infinity"))
    running = ns.wait_ready("hello")
    digest = cluster.images["busybox"].partition("@")[2]
    assert running["status"]["containerStatuses"][0]["imageID"].endswith(digest)
    assert ns.kubectl("logs", "hello").stdout == "hello\n"
    assert ns.kubectl("exec", "hello", "--", "id", "-u").stdout == "65534\n"


def test_a_service_answers_by_name_inside_and_by_address_outside(cluster: Cluster, ns: Namespace) -> None:
    ns.apply(pod(cluster, "web", "sh", "-c", "mkdir /tmp/w; echo served > /tmp/w/index.html; exec httpd -f -p 8080 -h /tmp/w"))
    service = ns.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
        }
    )
    ns.wait_ready("web")
    ns.wait("endpoints", "web", lambda endpoints: endpoints.get("subsets"))
    url = f"http://web.{ns.name}.svc.cluster.local/"
    # From the Pod that serves it: the answer has to find its way back through the address translation.
    command = f"until timeout 2 wget -qO- {url} 2>/dev/null; do usleep 100000; done"
    assert ns.kubectl("exec", "web", "--", "timeout", "20", "sh", "-c", command).stdout == "served\n"
    assert fetch(f"http://{service['spec']['clusterIP']}/") == b"served\n"


def test_a_disruption_budget_stops_an_eviction(cluster: Cluster, ns: Namespace) -> None:
    ns.apply(pod(cluster, "guarded"))
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "guarded"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "guarded"}}},
    }
    ns.apply(budget)
    ns.wait_ready("guarded")
    ns.wait("poddisruptionbudget", "guarded", lambda obj: obj.get("status", {}).get("currentHealthy") == 1)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "guarded", "namespace": ns.name}}
    with pytest.raises(StepFailed, match="disruption budget"):
        ns.kubectl("create", f"--raw=/api/v1/namespaces/{ns.name}/pods/guarded/eviction", "--filename=-", stdin=json.dumps(eviction))


def test_a_user_made_by_certificate_is_that_user_and_may_nothing_yet(cluster: Cluster, ns: Namespace, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "alice"
    kubeconfig.write_text(cluster.user_kubeconfig("alice", groups=["appsec"]), encoding="utf-8")
    me = json.loads(ns.kubectl(f"--kubeconfig={kubeconfig}", "auth", "whoami", "--output=json").stdout)
    assert me["status"]["userInfo"]["username"] == "alice"
    assert "appsec" in me["status"]["userInfo"]["groups"]
    with pytest.raises(StepFailed, match='User "alice" cannot list resource "pods"'):
        ns.kubectl(f"--kubeconfig={kubeconfig}", "get", "pods")


def test_a_tests_namespace_and_its_cluster_scoped_objects_are_gone_after_it(cluster: Cluster) -> None:
    with Namespace(cluster) as namespace:
        namespace.apply(pod(cluster, "left"))
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": namespace.name}, "rules": []}
        namespace.apply(role)
        namespace.wait_ready("left")
        assert cluster.kubectl("get", "clusterrole", namespace.name).returncode == 0
    namespace.wait_gone()
    for kind in ("clusterrole", "namespace"):
        with pytest.raises(StepFailed, match="NotFound"):
            cluster.kubectl("get", kind, namespace.name)


def test_the_registry_lists_what_refers_to_an_image_also_after_a_restart(cluster: Cluster) -> None:
    digest = cluster.images["busybox"].partition("@")[2]
    subject = fetch(f"http://{cluster.registry}/v2/busybox/manifests/{digest}")
    base = f"http://{cluster.registry}/v2/with-referrers"
    fetch(f"{base}/manifests/{digest}", method="PUT", body=subject, content_type=OCI_MANIFEST)
    empty = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": "sha256:" + "0" * 64, "size": 2}
    referrer = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "config": empty,
        "layers": [],
        "subject": {"mediaType": OCI_MANIFEST, "digest": digest, "size": len(subject)},
    }
    fetch(f"{base}/manifests/bundle", method="PUT", body=json.dumps(referrer).encode(), content_type=OCI_MANIFEST)
    sandbox.kill(cluster.place.folder, lambda process: process.component == "registry")
    assert cluster.problems() != []
    again = Cluster.up(cluster.name)
    assert again.problems() == []
    referrers = json.loads(fetch(f"{base}/referrers/{digest}"))
    assert referrers["mediaType"] == OCI_INDEX
    assert [manifest["artifactType"] for manifest in referrers["manifests"]] == [referrer["artifactType"]]


def test_a_second_cluster_survives_a_killed_up_keeps_an_audit_log_and_leaves_nothing(cluster: Cluster) -> None:
    try:
        # 1. `up` killed in the middle, and nobody wants the cluster any more.
        kill_while("start the API server")
        started = place.find(SECOND)
        assert started is not None
        assert traces(started) != []
        down(SECOND, narrator=Narrator(quiet=True))
        assert traces(started) == []
        # Killed later, it leaves something that the next one takes over.
        kill_while("wait for the node", "--audit")
        second = Cluster.up(SECOND, audit=True)
        assert second.problems() == []
        # 2. Beside the first: other addresses, the first one undisturbed.
        assert second.place.octet != cluster.place.octet
        assert cluster.problems() == []
        # 3. Who wrote what is in the audit log.
        second.kubectl("create", "namespace", "audited", as_user="alice", groups=["system:masters"])
        events = [json.loads(line) for line in second.audit_log.read_text(encoding="utf-8").splitlines()]
        written = [event for event in events if event["verb"] == "create" and event.get("objectRef", {}).get("resource") == "namespaces"]
        authors = {event["objectRef"].get("name"): event["impersonatedUser"]["username"] for event in written if "impersonatedUser" in event}
        assert authors["audited"] == "alice"
        # 4. All of its processes killed: what the API server and the registry stored is there again, and so is the audit log.
        sandbox.kill(second.place.folder, lambda _: True)
        second = Cluster.up(SECOND)
        assert second.problems() == []
        assert second.kubectl("get", "namespace", "audited").returncode == 0
        # 5. A Pod makes shims, mounts, cgroups: `down` has something to clear away.
        second.kubectl("apply", "--filename=-", stdin=json.dumps(pod(second, "one")))
        second.kubectl("wait", "--for=condition=Ready", "pod/one", "--timeout=60s")
        assert cgroups.folders(SECOND) != []
        second.down()
        assert traces(second.place) == []
    finally:
        down(SECOND, narrator=Narrator(quiet=True))


def kill_while(step: str, *options: str) -> None:
    """Start `up` for the second cluster, and kill -9 it when it has announced a step."""
    command = [sys.executable, "-m", "e2e.cluster", "up", "--name", SECOND, *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        assert process.stderr is not None
        assert any(step in line for line in process.stderr), "it ended before that step"
        process.send_signal(signal.SIGKILL)


def traces(location: place.Place) -> list[str]:
    """List what the host still has of a cluster."""
    routes = subprocess.run(["ip", "route"], check=True, capture_output=True, text=True).stdout
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8")
    found = [f"process {process.pid} {process.component}" for process in sandbox.processes(location.folder)]
    found += [f"route {line}" for line in routes.splitlines() if f"10.{location.octet}." in line]
    found += [f"mount {line}" for line in mounts.splitlines() if str(location.folder) in line]
    found += [f"cgroup {folder}" for folder in cgroups.folders(location.name)]
    for path in (location.folder, Path("/sys/class/net") / location.host_link):
        found += [f"file {path}"] if path.exists() else []
    return found


def test_a_condition_that_is_absent_is_not_false() -> None:
    assert condition_of({"status": {"conditions": [{"type": "Ready", "status": "False"}]}}, "Ready") == "False"
    assert condition_of({}, "Ready") is None


def test_an_archive_of_either_kind_is_pushed_and_keeps_its_digest(cluster: Cluster, tmp_path: Path) -> None:
    digest = cluster.images["busybox"].partition("@")[2]
    crane = cluster.binaries["crane"]
    layout, archive = tmp_path / "layout", tmp_path / "layout.tar"
    subprocess.run([crane, "pull", "--insecure", "--format=oci", cluster.images["busybox"], layout], check=True)
    with tarfile.open(archive, "w") as tar:
        tar.add(layout, arcname=".")
    docker_archive = tmp_path / "image.tar"
    subprocess.run([crane, "pull", "--insecure", cluster.images["busybox"], docker_archive], check=True)
    for source in (layout, archive, docker_archive):
        assert cluster.load_image(source, repository="pushed:again") == f"{cluster.registry}/pushed@{digest}"
