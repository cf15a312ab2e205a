"""A cluster in memory for one canary run: a held Deployment, its old ReplicaSet, a kubelet that starts what no gate holds, and scorers that answer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sluice.cluster.resource import CANARY_RUNS, DEPLOYMENTS, JOBS, PODS, REPLICA_SETS
from sluice.decision.gate import Action, Decision
from sluice.decision.pod import PodView
from sluice.decision.reasons import Reason
from sluice.rollout.canary import advance
from sluice.rollout.comparison import Comparison, Endpoints, Plan, Progress, Scoring, Tools
from sluice.rollout.readings import Readings
from sluice.rollout.routing import PodRouter
from sluice.rollout.scoring_job import ScorerImage
from sluice.rollout.statistics_client import StatisticsClient
from sluice.rollout.tidying import tidy_up
from sluice.rollout.workloads import Workload
from sluice.scoring.tally import Look, ShardStatistics
from sluice.scoring.wire import Expected, as_json, look_as_json, stretches
from tests.unit.api_memory import MemoryClient

Object = dict[str, Any]
NAMESPACE = "payments"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SHARDS, LOOKS = 2, (10, 20)
ALLOW = Decision(action=Action.ALLOW, reason=Reason.Entitled, message="may take part")


class Killed(BaseException):
    """The process ends here: nothing catches this."""


class Scorers(StatisticsClient):
    """Say what they are told to have counted: thousandths to units, for each look that is done."""

    def __init__(self) -> None:
        super().__init__()
        self.plan = ""
        self.difference = 0
        self.looks = len(LOOKS)
        self.gates: dict[str, int] = {}
        self.asked = 0

    async def read(self, scorers: Any) -> dict[int, bytes]:  # noqa: ANN401 - Pods by shard
        self.asked += 1
        return {shard: self.say(shard) for shard in scorers}

    def say(self, shard: int) -> bytes:
        looks = []
        for index, units in enumerate(stretches(LOOKS, shard=shard, shards=SHARDS)[: self.looks]):
            tallies = {"accuracy": {"all": {self.difference: units * 1000}}}
            looks.append(Look(look=index, units=units, void=0, tallies=tallies, sums={"candidate": {}, "baseline": {}}))
        of = sum(stretches(LOOKS, shard=shard, shards=SHARDS))
        said = ShardStatistics(
            plan=self.plan,
            shard=shard,
            scored=sum(look.units for look in looks),
            of=of,
            finished=len(looks) == len(LOOKS),
            looks=tuple(looks),
            gates=self.gates,
        )
        return as_json(said, [look_as_json(look) for look in looks])


class Bench:
    """Everything about one run. `kubelet()` does what a cluster does between two looks."""

    def __init__(self) -> None:
        self.client = MemoryClient()
        self.scorers = Scorers()
        self.denied: dict[str, Decision] = {}
        self.readings = Readings()
        self.tools = Tools(
            client=self.client,
            judge=self._judge,
            scorers=self.scorers,
            image=ScorerImage(reference="registry.example.com/sluice@sha256:" + "1" * 64, controller_namespace="sluice-system"),
            start_seconds=600,
        )
        self.comparison = self.comparing()
        self.broken: set[str] = set()
        meta = {"namespace": NAMESPACE, "name": "churn-2-1", "uid": "run-1", "resourceVersion": "1"}
        self.run: Object = {"apiVersion": CANARY_RUNS.api_version, "kind": CANARY_RUNS.kind, "metadata": meta}
        self.client.put(DEPLOYMENTS, self._deployment())
        self.client.put(REPLICA_SETS, self._replica_set())

    def comparing(self, **instead: Any) -> Comparison:  # noqa: ANN401 - fields of a Comparison
        fields: Object = {
            "workload": Workload(kind="Deployment", name="churn"),
            "candidate": "churn-2", "baseline": "churn-1", "own_baseline": True, "port": 8080, "token": None, "cases": "{}\n",
            "shards": SHARDS, "seconds": 3600, "plan": self.plan,
        }  # fmt: skip
        return Comparison(**fields | instead)

    def plan(self, endpoints: Endpoints) -> Plan:
        digest = f"sha256:{abs(hash(endpoints)):064x}"
        self.scorers.plan = self.scorers.plan or digest

        def expected(shard: int) -> Expected:
            return Expected(plan=digest, shard=shard, stretches=stretches(LOOKS, shard=shard, shards=SHARDS), metrics={"accuracy"}, gates={"leaks"})

        return Plan(text=f"{endpoints.candidate} {endpoints.baseline}", digest=digest, expected=expected)

    def _judge(self, view: PodView, namespace: str) -> Decision:
        assert namespace == NAMESPACE
        return self.denied.get(view.release or "", ALLOW)

    async def step(self, *, now: datetime = NOW) -> Progress:
        """One look of the controller, and then the cluster moves."""
        progress = await advance(self.run, self.comparison, self.tools, self.readings, now=now)
        self.kubelet()
        return progress

    async def until_scoring(self) -> Scoring:
        for _ in range(10):
            progress = await self.step()
            if isinstance(progress, Scoring):
                return progress
        raise AssertionError(f"not scoring: {self.names}")

    async def tidy(self, *, now: datetime = NOW) -> bool:
        """One look at a run that has decided."""
        return await tidy_up(self.client, self.run, PodRouter(self.client), now=now)

    def kubelet(self) -> None:
        """Start Pods without a gate, and the Pods of Jobs."""
        for number, pod in enumerate(self.all("/pods/")):
            if not pod["spec"].get("schedulingGates") and "status" not in pod:
                ready = "False" if pod["metadata"]["name"] in self.broken else "True"
                conditions = [_condition("PodScheduled", "True"), _condition("ContainersReady", ready), _condition("Ready", "False")]
                pod["status"] = {"phase": "Running", "podIP": f"10.0.0.{number + 10}", "conditions": conditions}
        for job in self.all("/jobs/"):
            job.setdefault("status", {"startTime": NOW.isoformat()})
            for index in range(job["spec"]["completions"]):
                self._scorer(job, index)

    def _scorer(self, job: Object, index: int) -> None:
        labels = {**job["spec"]["template"]["metadata"]["labels"], "batch.kubernetes.io/job-completion-index": str(index)}
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": job["metadata"]["name"], "uid": job["metadata"]["uid"], "controller": True}
        name = f"{job['metadata']['name']}-{index}-abcde"
        meta = {"namespace": NAMESPACE, "name": name, "uid": f"u-{name}", "resourceVersion": "1", "labels": labels, "ownerReferences": [owner]}
        status = {"phase": "Running", "podIP": f"10.0.1.{index}", "conditions": []}
        self.client.objects.setdefault(PODS.path(NAMESPACE, name), {"metadata": meta, "spec": {}, "status": status})

    def all(self, part: str) -> list[Object]:
        return [obj for path, obj in self.client.objects.items() if part in path]

    def pod(self, name: str) -> Object:
        return self.client.objects[PODS.path(NAMESPACE, name)]

    @property
    def job(self) -> Object:
        return self.client.objects[JOBS.path(NAMESPACE, "churn-2-1-scorer")]

    @property
    def names(self) -> set[str]:
        """What there is, but for what was there before."""
        return {f"{obj['kind']} {obj['metadata']['name']}" for obj in self.client.objects.values() if "kind" in obj}

    def _deployment(self) -> Object:
        template = _template("churn-2")
        meta = {"namespace": NAMESPACE, "name": "churn", "uid": "d1", "resourceVersion": "3", "annotations": {"sluice.dev/held": "churn-2"}}
        return {"metadata": meta, "spec": {"template": template, "paused": True}}

    def _replica_set(self) -> Object:
        owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "churn", "uid": "d1", "controller": True}
        meta = {"namespace": NAMESPACE, "name": "churn-old", "uid": "r1", "creationTimestamp": "2026-11-01T00:00:00Z", "ownerReferences": [owner]}
        return {"metadata": meta, "spec": {"template": _template("churn-1")}}


def _template(release: str) -> Object:
    return {
        "metadata": {"labels": {"app": "churn", "sluice.dev/release": release}},
        "spec": {"containers": [{"name": "server", "image": f"registry.example.com/server@sha256:{'2' * 64}"}]},
    }


def _condition(type_: str, status: str) -> Object:
    return {"type": type_, "status": status, "lastTransitionTime": "2026-11-20T12:00:00Z"}
