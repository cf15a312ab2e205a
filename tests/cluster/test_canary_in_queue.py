"""A run whose scorers wait for their turn, get it, lose it in the middle and get it again. `tests.cluster.queue` stands in for Kueue, and says how."""

from __future__ import annotations

from pathlib import Path

from e2e.cluster import Cluster
from tests.cluster.canary_story import CANDIDATE, Canary, Object, sluice_image
from tests.cluster.controller import Controller
from tests.cluster.namespace import Namespace
from tests.cluster.queue import QUEUE, Queue

RUN = f"{CANDIDATE}-1"
JOB = f"{RUN}-scorer"
SLOW = "__import__('time').sleep(0.7)"
"""What a candidate does before each answer: a comparison lasts more than the five seconds between two statuses, so that something can happen in the middle."""


class Slow(Canary):
    """A release whose server takes its time."""

    def deployment_of(self, wrong: int, *, replicas: int = 2) -> Object:
        deployment = super().deployment_of(wrong, replicas=replicas)
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        container["command"][2] = container["command"][2].replace("def do_POST(self):", f"def do_POST(self):\n        {SLOW}")
        return deployment


def test_scorers_that_wait_for_their_turn_and_lose_it_in_the_middle_come_to_the_same_decision(cluster: Cluster, ns: Namespace, tmp_path: Path) -> None:
    image = sluice_image(cluster)
    scorers = f"sluice.dev/canary-run={RUN},sluice.dev/canary-role=scorer"

    def stands(phase: str, *, units: int = 0) -> Object:
        run = ns.wait("canaryrun", RUN, lambda item: (status := item.get("status", {})).get("phase") == phase and status.get("units", 0) >= units, seconds=60)
        status: Object = run["status"]
        return status

    with Controller(cluster, tmp_path) as installed:
        process = installed.lead(ns.name, scorer_image=image, scorer_queue=QUEUE)
        canary, queue = Slow(ns, image), Queue(ns)
        canary.serve_baseline()
        canary.push(wrong=0)

        # 1. It waits, and says for what. Nothing is asked.
        ns.wait("canaryrun", RUN, lambda item: item.get("status", {}).get("reason") == "ScoringSuspended", seconds=60)
        waits = stands("Pending")
        assert f"queue {QUEUE}" in waits["message"]
        assert "startedAt" not in waits
        assert ns.list("pods", selector=scorers) == []

        # 2. It gets its turn, on the nodes of the queue, and loses it.
        queue.admit(JOB)
        before = stands("Scoring", units=1)
        (first,) = ns.list("pods", selector=scorers)
        assert first["spec"]["nodeSelector"] == {"kubernetes.io/os": "linux"}
        queue.preempt(JOB)
        lost = stands("Pending", units=before["units"])
        assert lost["reason"] == "ScoringSuspended"
        assert lost["decision"] == "Pending"

        # 3. It gets its turn again: what was read stands, what was not is asked, and a turn that was lost is no failure of the shard.
        queue.admit(JOB)
        stands("Scoring", units=lost["units"])
        canary.until(lambda: [pod["metadata"]["uid"] for pod in ns.list("pods", selector=scorers)] not in ([], [first["metadata"]["uid"]]))
        second = next(pod for pod in ns.list("pods", selector=scorers) if pod["metadata"]["uid"] != first["metadata"]["uid"])
        assert second["metadata"]["annotations"]["batch.kubernetes.io/job-index-failure-count"] == "0"
        decided = canary.wait_decision("Promote")["status"]
        assert before["units"] < decided["units"] <= decided["planned"]
        canary.wait_tidy()
        process.end()
