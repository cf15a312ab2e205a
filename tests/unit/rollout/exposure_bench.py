"""A cluster in memory for the live share of one run: a candidate that was compared, others that serve, a Service, and a kubelet that knows readiness gates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sluice.cluster.resource import CANARY_RUNS, DEPLOYMENTS, NETWORK_POLICIES, PODS, SERVICES
from sluice.decision.exposure import Stage
from sluice.decision.gate import Action, Decision
from sluice.decision.pod import PodView
from sluice.decision.reasons import Reason
from sluice.rollout.exposure import Exposing, Hands, Schedule, Standing, expose
from sluice.rollout.routing import PodRouter
from sluice.rollout.workloads import Workload
from tests.unit.api_memory import MemoryClient
from tests.unit.rollout.canary_bench import ALLOW

Object = dict[str, Any]
NAMESPACE, CANDIDATE = "payments", "churn-2-1-candidate"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
GATE = "sluice.dev/serving"


class Exposed:
    """`look()` is one look of the controller, after which its status is stored and the kubelet moves."""

    def __init__(self, *, shares: tuple[str, ...] = ("0.05", "0.25"), seconds: int = 60, others: int = 19, skips: bool = False) -> None:
        self.client = MemoryClient()
        self.router = PodRouter(self.client)
        self.denied: Decision | None = None
        self.alarm = ""
        self.now = NOW
        self.schedule = Schedule(
            candidate="churn-2", workload=Workload(kind="Deployment", name="churn"), skips=skips, patience_seconds=3600,
            stages=[Stage(share=Decimal(share), seconds=seconds, written=f"{seconds}s") for share in shares],
        )  # fmt: skip
        self.standing = Standing(started_at=NOW)
        meta = {"namespace": NAMESPACE, "name": "churn-2-1", "uid": "run-1", "resourceVersion": "1"}
        self.run: Object = {"apiVersion": CANARY_RUNS.api_version, "kind": CANARY_RUNS.kind, "metadata": meta}
        held = {"namespace": NAMESPACE, "name": "churn", "uid": "d1", "annotations": {"sluice.dev/held": "churn-2"}}
        self.client.put(DEPLOYMENTS, {"metadata": held, "spec": {}})
        self.service("churn", {"app": "churn"})
        owner = [{"uid": "run-1", "controller": True}]
        closed = {"namespace": NAMESPACE, "name": "churn-2-1-models", "uid": "n1", "ownerReferences": owner}
        self.client.put(NETWORK_POLICIES, {"metadata": closed, "spec": {}})
        labels = {"app": "churn", "sluice.dev/release": "churn-2", "sluice.dev/canary-run": "churn-2-1"}
        self.candidate_path = self.pod(CANDIDATE, labels, gate=GATE, owners=owner)
        for number in range(others):
            self.pod(f"churn-{number}", {"app": "churn", "sluice.dev/release": "churn-1"})
        self.kubelet()

    def service(self, name: str, selector: Object | None) -> None:
        self.client.put(SERVICES, {"metadata": {"namespace": NAMESPACE, "name": name, "uid": name}, "spec": {"selector": selector}})

    def pod(self, name: str, labels: Object, *, gate: str = "", owners: list[Object] | None = None) -> str:
        meta = {"namespace": NAMESPACE, "name": name, "uid": name, "resourceVersion": "1", "labels": labels, "ownerReferences": owners or []}
        spec = {"containers": [], "readinessGates": [{"conditionType": gate}] if gate else []}
        conditions = [{"type": type_, "status": "True", "lastTransitionTime": "2026-11-20T11:00:00Z"} for type_ in ("PodScheduled", "ContainersReady")]
        server = {"name": "server", "restartCount": 0, "ready": True, "state": {"running": {}}}
        status = {"phase": "Running", "podIP": "10.0.0.9", "conditions": conditions, "containerStatuses": [server]}
        return self.client.put(PODS, {"kind": "Pod", "metadata": meta, "spec": spec, "status": status})

    @property
    def candidate(self) -> Object:
        return self.client.objects[self.candidate_path]

    @property
    def exposed(self) -> bool:
        return self.router.exposure(self.candidate).exposed

    def condition(self, type_: str, status: str) -> None:
        """What the cluster says about the candidate."""
        set_condition(self.candidate, type_, status)

    def kubelet(self) -> None:
        """A Pod is ready when its containers are, and its gates are open."""
        for path, pod in self.client.objects.items():
            if "/pods/" in path:
                said = {item["type"]: item["status"] for item in pod["status"]["conditions"]}
                gates = [gate["conditionType"] for gate in pod["spec"]["readinessGates"]]
                set_condition(pod, "Ready", "True" if all(said.get(type_) == "True" for type_ in ("ContainersReady", *gates)) else "False")

    async def look(self, *, seconds: float = 1) -> Exposing:
        """One look, some seconds after the last one."""
        self.now += timedelta(seconds=seconds)
        hands = Hands(client=self.client, judge=self._judge, router=self.router)
        exposing = await expose(self.run, self.schedule, self.standing, hands, alarm=self.alarm, now=self.now)
        self.standing = exposing.standing
        self.kubelet()
        return exposing

    async def until_exposed(self) -> Exposing:
        for _ in range(5):
            exposing = await self.look()
            if exposing.standing.since is not None:
                return exposing
        raise AssertionError(self.standing)

    def _judge(self, view: PodView, namespace: str) -> Decision:
        assert (view.release, namespace) == ("churn-2", NAMESPACE)
        return self.denied or ALLOW

    def deny(self, reason: Reason) -> None:
        self.denied = Decision(action=Action.HOLD, reason=reason, message="it may not")


def set_condition(pod: Object, type_: str, status: str) -> None:
    others = [item for item in pod["status"]["conditions"] if item["type"] != type_]
    pod["status"]["conditions"] = [*others, {"type": type_, "status": status, "lastTransitionTime": "2026-11-20T12:00:00Z"}]
