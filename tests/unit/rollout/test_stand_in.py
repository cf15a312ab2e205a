"""Who stands in for a withdrawn release: first ready, then the others go, and nothing is taken away without a substitute."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.cluster.errors import Unavailable
from sluice.cluster.resource import DEPLOYMENTS, PODS, REPLICA_SETS
from sluice.rollout.stand_in import Outcome, Withdrawal, settle_stand_ins, stand_in_name
from tests.unit.api_memory import MemoryClient
from tests.unit.rollout.canary_bench import Killed

Object = dict[str, Any]
NS = "payments"
RELEASE: Object = {"metadata": {"namespace": NS, "name": "churn-2", "uid": "mr2"}}
STAND_IN = REPLICA_SETS.path(NS, "churn-stand-in")


def template(release: str, hash_: str) -> Object:
    labels = {"app": "churn", "sluice.dev/release": release, "pod-template-hash": hash_}
    return {
        "metadata": {"labels": labels, "annotations": {"argocd.argoproj.io/tracking-id": "x"}},
        "spec": {"containers": [{"name": "server", "image": release}]},
    }


def owner(kind: str, name: str, uid: str) -> Object:
    return {"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid, "controller": True}


class Bench:
    """A Deployment that serves two Pods of churn-2 and keeps the template of churn-1."""

    def __init__(self) -> None:
        self.client = MemoryClient()
        self.entitled = {"churn-1"}
        self.withdrawn = True
        self.regardless = False
        self.at_once = False
        self.baseline: str | None = "churn-1"
        self.client.put(DEPLOYMENTS, self.deployment("churn-2"))
        for name, release in (("old", "churn-1"), ("new", "churn-2")):
            meta = {"namespace": NS, "name": name, "uid": name, "creationTimestamp": "1", "ownerReferences": [owner("Deployment", "churn", "d1")]}
            self.client.put(REPLICA_SETS, {"metadata": meta, "spec": {"replicas": 0, "template": template(release, name)}})
        for name in ("new-a", "new-b"):
            self.pod(name)

    def deployment(self, release: str, *, ready: int = 2) -> Object:
        meta = {"namespace": NS, "name": "churn", "uid": "d1", "generation": 3}
        status = {"observedGeneration": 3, "updatedReplicas": ready, "readyReplicas": ready}
        return {"metadata": meta, "spec": {"replicas": 2, "template": template(release, "x")}, "status": status}

    def pod(self, name: str, *, owned: bool = True) -> str:
        references = [owner("ReplicaSet", "new", "new")] if owned else []
        meta = {"namespace": NS, "name": name, "uid": name, "labels": {"sluice.dev/release": "churn-2"}, "ownerReferences": references}
        return self.client.put(PODS, {"metadata": meta, "spec": {}, "status": {"phase": "Running"}})

    async def settle(self) -> Outcome:
        withdrawal = Withdrawal(
            release=RELEASE, withdrawn=self.withdrawn, baseline=self.baseline, may_serve=self.entitled.__contains__, regardless=self.regardless,
            at_once=self.at_once,
        )  # fmt: skip
        return await settle_stand_ins(withdrawal, self.client)

    def get_ready(self, replicas: int = 2) -> None:
        """So many of two Pods of the stand-in are ready, if it is there."""
        stored = self.client.objects.get(STAND_IN)
        if stored is None:
            return
        owners = [owner("ReplicaSet", "churn-stand-in", stored["metadata"]["uid"])]
        for number in range(2):
            name = f"stand-in-{number}"
            meta = {"namespace": NS, "name": name, "uid": name, "labels": {"sluice.dev/stand-in": "churn"}, "ownerReferences": owners}
            ready = {"type": "Ready", "status": "True" if number < replicas else "False"}
            self.client.put(PODS, {"metadata": meta, "spec": {}, "status": {"phase": "Running", "conditions": [ready]}})

    @property
    def pods(self) -> list[str]:
        """What is left of the Deployment's own."""
        names = sorted(path.rpartition("/")[2] for path in self.client.objects if "/pods/" in path)
        return [name for name in names if not name.startswith("stand-in")]


async def test_the_baseline_is_ready_before_a_withdrawn_pod_goes() -> None:
    bench = Bench()
    assert (await bench.settle()).again_seconds == 1.0
    stored = bench.client.objects[STAND_IN]
    assert stored["spec"]["replicas"] == 2
    assert stored["spec"]["template"]["spec"] == template("churn-1", "")["spec"]
    assert stored["spec"]["template"]["metadata"] == {
        "labels": {"app": "churn", "sluice.dev/release": "churn-1", "sluice.dev/stand-in": "churn"},
        "annotations": {"sluice.dev/instead-of": "churn-2"},
    }  # fmt: skip
    assert stored["spec"]["selector"]["matchLabels"] == {"sluice.dev/stand-in": "churn", "sluice.dev/release": "churn-1"}
    assert "app" not in stored["metadata"]["labels"], "the Deployment must not take it for its own"
    assert stored["metadata"]["ownerReferences"][0]["uid"] == "mr2"
    for ready, left in ((0, ["new-a", "new-b"]), (1, ["new-a"]), (1, ["new-a"]), (2, [])):
        bench.get_ready(ready)
        await bench.settle()
        assert bench.pods == left, "as many serve as before, and no withdrawn one longer than that takes"
    assert [verb for verb, path in bench.client.writes if "/pods/" in path] == ["evict", "evict"], "disruption budgets count"


async def test_it_stays_until_the_deployments_own_pods_of_an_entitled_release_are_ready() -> None:
    bench = Bench()
    await bench.settle()
    bench.get_ready()
    await bench.settle()
    for deployment in (bench.deployment("churn-2"), bench.deployment("churn-1", ready=1)):
        bench.client.put(DEPLOYMENTS, deployment)
        assert (await bench.settle()).again_seconds == 1.0
        assert STAND_IN in bench.client.objects
    bench.client.put(DEPLOYMENTS, bench.deployment("churn-1"))
    assert (await bench.settle()).again_seconds is None
    assert STAND_IN not in bench.client.objects


async def test_a_stand_in_goes_also_when_the_release_may_serve_again_or_its_deployment_is_gone() -> None:
    bench = Bench()
    await bench.settle()
    bench.withdrawn, bench.entitled = False, {"churn-1", "churn-2"}
    await bench.settle()
    assert STAND_IN not in bench.client.objects
    bench = Bench()
    await bench.settle()
    del bench.client.objects[DEPLOYMENTS.path(NS, "churn")]
    await bench.settle()
    assert STAND_IN not in bench.client.objects


@pytest.mark.parametrize(("baseline", "entitled", "words"), [(None, "churn-1", "names no baseline"), ("churn-1", "churn-0", "not entitled")])
async def test_nothing_is_taken_away_while_nobody_may_stand_in(baseline: str | None, entitled: str, words: str) -> None:
    bench = Bench()
    bench.baseline, bench.entitled = baseline, {entitled}
    assert words in (await bench.settle()).problem
    assert bench.client.writes == []


async def test_what_is_scaled_to_zero_goes_at_once_and_nobody_stands_in() -> None:
    bench = Bench()
    bench.at_once = True
    outcome = await bench.settle()
    assert bench.pods == []
    assert STAND_IN not in bench.client.objects
    assert "Pods new-a, new-b went, and nobody stands in: policy scales it to zero" in outcome.unserved
    assert (await bench.settle()).again_seconds is None


async def test_pods_that_no_template_can_replace_stay_and_people_are_told() -> None:
    bench = Bench()
    del bench.client.objects[REPLICA_SETS.path(NS, "old")]
    assert "has a template of churn-1" in (await bench.settle()).problem
    bench = Bench()
    bench.pod("bare", owned=False)
    assert "Pod bare" in (await bench.settle()).problem
    bench.get_ready()
    await bench.settle()
    assert bench.pods == ["bare"]


@pytest.mark.parametrize(("baseline", "entitled", "words"), [(None, "churn-1", "names no baseline"), ("churn-1", "churn-0", "not entitled")])
async def test_what_policy_wanted_withdrawn_goes_though_nobody_may_stand_in(baseline: str | None, entitled: str, words: str) -> None:
    bench = Bench()
    bench.baseline, bench.entitled, bench.regardless = baseline, {entitled}, True
    outcome = await bench.settle()
    assert bench.pods == []
    assert [verb for verb, _ in bench.client.writes] == ["evict", "evict"]
    assert (outcome.again_seconds, outcome.problem) == (1.0, "")
    assert outcome.unserved.startswith("Pods new-a, new-b went, and nobody stands in: ")
    assert words in outcome.unserved
    assert await bench.settle() == Outcome()


async def test_what_policy_wanted_withdrawn_waits_for_a_baseline_that_can_stand_in() -> None:
    bench = Bench()
    bench.regardless = True
    bench.pod("bare", owned=False)
    outcome = await bench.settle()
    assert bench.pods == ["new-a", "new-b"], "the one that nobody can replace went at once"
    assert "Pod bare went, and nobody stands in: it has no Deployment" in outcome.unserved
    bench.get_ready()
    await bench.settle()
    assert bench.pods == []
    bench = Bench()
    bench.regardless = True
    del bench.client.objects[REPLICA_SETS.path(NS, "old")]
    assert "has a template of churn-1" in (await bench.settle()).unserved
    assert bench.pods == []


@pytest.mark.parametrize(
    "said", ["Cannot evict pod as it would violate the pod's disruption budget.", "This pod has more than one PodDisruptionBudget, which…"]
)
async def test_a_budget_keeps_no_pod_that_may_serve_no_more(said: str) -> None:
    bench = Bench()
    await bench.settle()
    bench.get_ready()
    budget = Unavailable(429, "TooManyRequests", said)
    bench.client.refused_evictions = {PODS.path(NS, "new-b"): budget}
    await bench.settle()
    assert bench.pods == []
    assert [verb for verb, path in bench.client.writes if "/pods/" in path] == ["evict", "evict", "delete"], "gracefully, where the budget allows it"


async def test_an_api_server_that_is_busy_is_no_budget() -> None:
    bench = Bench()
    await bench.settle()
    bench.get_ready()
    bench.client.refused_evictions = {PODS.path(NS, "new-a"): Unavailable(429, "TooManyRequests", "too many requests, please try again later")}
    with pytest.raises(Unavailable):
        await bench.settle()
    assert bench.pods == ["new-a", "new-b"]


async def test_many_pods_are_counted_and_some_named() -> None:
    bench = Bench()
    bench.baseline = None
    for number in range(20):
        bench.pod(f"more-{number:02}")
    assert "more-07 and 14 more still serve: nobody can stand in" in (await bench.settle()).problem


async def test_a_release_that_serves_or_has_no_pods_costs_no_write() -> None:
    bench = Bench()
    bench.withdrawn = False
    assert await bench.settle() == Outcome()
    bench = Bench()
    for name in ("new-a", "new-b"):
        del bench.client.objects[PODS.path(NS, name)]
    assert await bench.settle() == Outcome()
    assert bench.client.writes == []


@pytest.mark.parametrize("kill_at", [1, 2, 3])
async def test_it_ends_the_same_whenever_the_process_is_killed(kill_at: int) -> None:
    bench = Bench()
    left = kill_at

    def die() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed

    bench.client.after_write = die
    killed = 0
    for _ in range(4):
        try:
            await bench.settle()
        except Killed:
            killed += 1
        bench.get_ready()
    assert killed == 1
    assert bench.pods == []
    assert [path for path in bench.client.objects if "replicasets/churn-" in path] == [STAND_IN]


def test_the_name_of_a_stand_in_is_one() -> None:
    assert stand_in_name("churn") == "churn-stand-in"
    assert len(stand_in_name("x" * 253)) == 63
