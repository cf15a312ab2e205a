"""Which workload waits for a candidate, and which templates it and its history have."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.cluster.resource import CONTROLLER_REVISIONS, DEPLOYMENTS, PODS, REPLICA_SETS, STATEFUL_SETS
from sluice.rollout.comparison import Scoring
from sluice.rollout.workloads import Workload, baseline_of, candidate_of, waiting_for
from tests.unit.api_memory import MemoryClient
from tests.unit.rollout.canary_bench import NAMESPACE, Bench

Object = dict[str, Any]
SET = Workload(kind="StatefulSet", name="churn")
BARE = Workload(kind="ReplicaSet", name="churn-2")


def template(release: str, image: str = "server") -> Object:
    container = {"name": "server", "image": f"registry.example.com/{image}@sha256:{'2' * 64}", "volumeMounts": [{"name": "cache", "mountPath": "/cache"}]}
    return {"metadata": {"labels": {"app": "churn", "sluice.dev/release": release}}, "spec": {"containers": [container]}}


def meta(name: str, *, owner: tuple[str, str] | None = None, made: str = "2026-11-01T00:00:00Z", **more: object) -> Object:
    owners = [{"apiVersion": "apps/v1", "kind": owner[0], "name": owner[1], "uid": f"uid-{owner[1]}", "controller": True}] if owner else []
    return {"namespace": NAMESPACE, "name": name, "uid": f"uid-{name}", "creationTimestamp": made, "ownerReferences": owners, **more}


def stateful_set(client: MemoryClient, release: str = "churn-2") -> None:
    claim = {"metadata": {"name": "cache"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
    client.put(STATEFUL_SETS, {"metadata": meta("churn"), "spec": {"template": template(release), "volumeClaimTemplates": [claim]}})
    for name, of, made in (
        ("churn-a", "churn-1", "2026-11-01T00:00:00Z"),
        ("churn-b", "churn-1", "2026-11-02T00:00:00Z"),
        ("churn-c", "churn-2", "2026-11-03T00:00:00Z"),
    ):
        kept = {"spec": {"template": template(of, image=name) | {"$patch": "replace"}}}
        client.put(CONTROLLER_REVISIONS, {"metadata": meta(name, owner=("StatefulSet", "churn"), made=made), "data": kept})
    foreign = {"spec": {"template": template("churn-1", image="foreign")}}
    client.put(CONTROLLER_REVISIONS, {"metadata": meta("other-a", owner=("StatefulSet", "other"), made="2026-11-09T00:00:00Z"), "data": foreign})


def replica_sets(client: MemoryClient) -> None:
    for name, release, made in (("churn-1", "churn-1", "2026-11-01T00:00:00Z"), ("churn-2", "churn-2", "2026-11-02T00:00:00Z")):
        client.put(REPLICA_SETS, {"metadata": meta(name, made=made), "spec": {"template": template(release)}})


def pod(client: MemoryClient, name: str, owner: tuple[str, str] | None, *, gated: bool = True, release: str = "churn-2") -> None:
    labels = {"app": "churn", "sluice.dev/release": release}
    gates = [{"name": "sluice.dev/release"}] if gated else []
    client.put(PODS, {"metadata": meta(name, owner=owner, labels=labels), "spec": {"schedulingGates": gates}})


async def test_what_waits_is_a_held_deployment_or_the_owner_of_a_pod_at_the_gate() -> None:
    client = MemoryClient()
    stateful_set(client)
    assert await waiting_for(client, NAMESPACE, "churn-2") is None
    pod(client, "churn-1", ("StatefulSet", "churn"), gated=False)
    assert await waiting_for(client, NAMESPACE, "churn-2") is None
    pod(client, "churn-2", ("StatefulSet", "churn"))
    assert await waiting_for(client, NAMESPACE, "churn-2") == SET
    assert await waiting_for(client, NAMESPACE, "churn-3") is None
    client.put(DEPLOYMENTS, {"metadata": meta("serving", annotations={"sluice.dev/held": "churn-2"}), "spec": {}})
    assert str(await waiting_for(client, NAMESPACE, "churn-2")) == "Deployment serving"


@pytest.mark.parametrize("owner", [None, ("Job", "batch"), ("ReplicaSet", "churn-of-a-deployment"), ("DaemonSet", "churn")])
async def test_pods_that_nobody_asks_are_no_workload_to_compare(owner: tuple[str, str] | None) -> None:
    client = MemoryClient()
    client.put(REPLICA_SETS, {"metadata": meta("churn-of-a-deployment", owner=("Deployment", "churn")), "spec": {"template": template("churn-2")}})
    pod(client, "churn-x", owner)
    assert await waiting_for(client, NAMESPACE, "churn-2") is None


async def test_a_stateful_set_gives_its_template_and_the_newest_of_its_own_that_names_the_baseline() -> None:
    client = MemoryClient()
    stateful_set(client)
    found = await candidate_of(client, NAMESPACE, SET, "churn-2")
    assert found is not None
    assert found["spec"]["template"]["spec"]["volumes"][0]["ephemeral"]["volumeClaimTemplate"]["spec"]["accessModes"] == ["ReadWriteOnce"]
    kept = await baseline_of(client, found, "StatefulSet", "churn-1")
    assert kept is not None
    assert "churn-b@" in kept["spec"]["template"]["spec"]["containers"][0]["image"]
    assert [volume["name"] for volume in kept["spec"]["template"]["spec"]["volumes"]] == ["cache"]
    assert "$patch" not in kept["spec"]["template"]
    assert await baseline_of(client, found, "StatefulSet", "churn-0") is None
    assert client.writes == []


async def test_a_workload_that_came_to_name_another_release_waits_no_more() -> None:
    client = MemoryClient()
    stateful_set(client, release="churn-1")
    assert await candidate_of(client, NAMESPACE, SET, "churn-2") is None
    assert await candidate_of(client, NAMESPACE, Workload(kind="StatefulSet", name="gone"), "churn-2") is None
    assert await candidate_of(client, NAMESPACE, Workload(kind="Secret", name="churn"), "churn-2") is None


async def test_a_bare_replica_set_is_compared_with_the_newest_other_that_names_the_baseline() -> None:
    client = MemoryClient()
    replica_sets(client)
    pod(client, "churn-2-x", ("ReplicaSet", "churn-2"))
    assert await waiting_for(client, NAMESPACE, "churn-2") == BARE
    found = await candidate_of(client, NAMESPACE, BARE, "churn-2")
    assert found is not None
    kept = await baseline_of(client, found, "ReplicaSet", "churn-1")
    assert kept is not None
    assert kept["metadata"]["name"] == "churn-1"


@pytest.mark.parametrize("workload", [SET, BARE], ids=str)
async def test_a_run_of_another_workload_goes_the_same_way(workload: Workload) -> None:
    bench = Bench()
    bench.client.objects.clear()
    bench.comparison = bench.comparing(workload=workload)
    (stateful_set if workload == SET else replica_sets)(bench.client)
    assert isinstance(await bench.until_scoring(), Scoring)
    assert {"Pod churn-2-1-candidate", "Pod churn-2-1-baseline"} <= bench.names
    assert "pod-template-hash" not in bench.pod("churn-2-1-candidate")["metadata"]["labels"]
