"""A release changes while it serves: a monitor hears it from a real Prometheus, and the baseline serves again before anybody is awake."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path

from e2e.cluster import Cluster
from tests.cluster.canary_story import BASELINE, CANDIDATE, PORT, Canary, sluice_image
from tests.cluster.controller import Controller, Process
from tests.cluster.namespace import Namespace, Object
from tests.cluster.prometheus import Prometheus
from tests.cluster.story import Story

REFUSALS: Object = {
    "name": "refusals",
    "prometheus": {
        "query": 'sum by (refused) (increase(answers_total{namespace="$namespace",release="$release"}[$period]))',
        "answer": "Counts", "label": "refused", "event": "true",
    },
    "period": "2s", "detects": "Mean", "reference": {"baseline": {"window": "1h", "atLeast": 200}}, "changes": "Rise", "falseAlarmEvery": 100_000,
    "onDrift": "RollBack", "silentAfter": "10m",
}  # fmt: skip
ACCURACY: Object = {
    "name": "accuracy", "probe": {"suite": {"name": "churn-core"}, "metric": "accuracy"}, "period": "5s", "detects": "Mean", "missing": "0",
    "reference": {"baseline": {"window": "1h", "atLeast": 300}}, "falseAlarmEvery": 100_000, "onDrift": "Alert", "silentAfter": "1h",
}  # fmt: skip
"""Its cases are asked of a Pod that serves, and the first time they were is what is normal."""
ANSWERS: Object = ACCURACY | {
    "name": "answers", "probe": ACCURACY["probe"] | {"live": {"port": PORT, "path": "/samples"}},
    "reference": {"baseline": {"window": "1h", "atLeast": 20}}, "period": "20s",
}  # fmt: skip
"""What users were answered, as the Pods keep it; the first of it is what is normal."""
_SERVER = """
import json, sys
from collections import deque
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
release, every, counts, kept = sys.argv[1], 10, {"true": 0, "false": 0}, deque(maxlen=1000)
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self, text, kind="application/json"):
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        if self.path == "/metrics":
            return self.answer("".join('answers_total{refused="%s"} %d\\n' % item for item in counts.items()), "text/plain; version=0.0.4")
        if self.path.startswith("/samples"):
            return self.answer("".join(kept.copy()), "application/jsonl")
        if self.path == "/":
            said = {"request": {"text": "1"}, "expect": {"text": "yes"}, "answer": {"body": {"label": "yes"}}}
            kept.append(json.dumps({"at": datetime.now(timezone.utc).isoformat(), **said}) + "\\n")
            counts["true" if sum(counts.values()) % every == 0 else "false"] += 1
        self.answer(json.dumps({"release": release}))
    def do_POST(self):
        global every
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/drift":
            every = 2
        self.answer(json.dumps({"label": "yes" if int(asked.get("text", 0)) % 2 else "no"}))
    def log_message(self, *_):
        pass
ThreadingHTTPServer.request_queue_size = 128
ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""
SECONDS = 40
LEAD_SECONDS = 120
"""A process that was killed holds the Lease for 15 s more, and the next one has to start."""


class Watched(Canary):
    """Models that refuse one answer in ten, and, once they are told to, every second one."""

    def __init__(self, ns: Namespace, image: str, prometheus: Prometheus, *, release: str, baseline: str | None) -> None:
        super().__init__(ns, image, release=release, baseline=baseline)
        self.prometheus = prometheus

    def policy_spec(self) -> Object:
        return Story.policy_spec(self) | {"monitors": [REFUSALS, ACCURACY, ANSWERS]}

    def deployment_of(self, wrong: int, *, replicas: int = 2) -> Object:
        deployment = super().deployment_of(wrong, replicas=replicas)
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        container["command"] = ["/opt/sluice/bin/python3", "-c", _SERVER, self.release]
        container["readinessProbe"]["httpGet"]["path"] = "/ready"
        return deployment

    def pods(self) -> dict[str, Object]:
        """The Pods of the release that have an address."""
        found = self.ns.list("pods", selector=f"sluice.dev/release={self.release}")
        return {f"{pod['status']['podIP']}:{PORT}": pod for pod in found if pod["status"].get("podIP")}

    def answers_given(self) -> int:
        """How many answers users got of all Pods so far."""
        lines = [line for address in self.pods() for line in urllib.request.urlopen(f"http://{address}/metrics", timeout=5).read().decode().splitlines()]
        return sum(int(line.rpartition(" ")[2]) for line in lines)

    def roll_out(self) -> None:
        """Git names the release, which people have approved, and it serves."""
        self.propose()
        self.wait_phase("AwaitingApproval")
        self.approve()
        self.wait_phase("Serving")
        self.ns.apply(self.deployment_of(0))
        self.until_rolled_out()

    def monitor(self, name: str = "refusals") -> Object:
        """The one of this release with that name; empty while there is none."""
        found = [item for item in self.ns.list("releasemonitors") if (item["spec"]["release"]["name"], item["spec"]["monitor"]["name"]) == (self.release, name)]
        assert len(found) <= 1
        return {"spec": {}, "status": {}} | found[0] if found else {"spec": {}, "status": {}}


def no_answer_counted_twice(fetched: Object, given: int) -> None:
    """What users were answered is normal, and no more of it was taken in than there was."""
    normal = json.loads(fetched["spec"]["reference"]["mean"])
    assert (normal["mean"], "findings" in fetched["status"]) == (1.0, False)
    assert normal["n"] >= 20
    assert normal["n"] + fetched["status"]["observations"] <= given


def scrape(prometheus: Prometheus, *stories: Watched) -> None:
    prometheus.scrape({address: {"namespace": story.ns.name, "release": story.release} for story in stories for address in story.pods()})


def test_a_release_that_drifts_is_found_out_and_rolled_back_though_the_controller_is_killed(cluster: Cluster, ns: Namespace, tmp_path: Path) -> None:
    image = sluice_image(cluster)
    with Prometheus(cluster, tmp_path / "prometheus") as prometheus, Controller(cluster, tmp_path) as installed:

        def lead(identity: str) -> Process:
            process = installed.start(identity, prometheus_url=prometheus.url, scorer_image=image)
            process.wait_said("lease sluice-controller: held by", seconds=LEAD_SECONDS)
            return process

        process = lead("controller-0")
        first = Watched(ns, image, prometheus, release=BASELINE, baseline=None)
        first.platform()
        ns.apply(first.suite())
        first.prove()
        first.roll_out()
        ports = [{"port": 80, "targetPort": PORT}]
        ns.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "churn"}, "spec": {"selector": {"app": "churn"}, "ports": ports}})
        scrape(prometheus, first)
        with first.users(pause=0.03) as users:
            # 1. What the baseline does is known: it is what it did itself, as it has none.
            first.until(lambda: "reference" in first.monitor()["spec"])
            first.until(lambda: first.monitor("accuracy")["status"].get("observations", 0) >= 400, seconds=120)
            probed = first.monitor("accuracy")
            first.until(lambda: first.monitor("answers")["status"].get("observations", 0) > 0, seconds=120)
            fetched, given = first.monitor("answers"), first.answers_given()
            # 2. The candidate serves, and is held against what the baseline did.
            candidate = Watched(ns, image, prometheus, release=CANDIDATE, baseline=BASELINE)
            candidate.roll_out()
            scrape(prometheus, first, candidate)
            candidate.until(lambda: candidate.monitor()["status"].get("observations", 0) > 0)
            watched = candidate.monitor()
            assert watched["status"]["phase"] == "Watching", watched["status"]
            # 3. It begins to refuse every second answer. The controller is killed between what it finds and what follows.
            drifted = time.monotonic()
            for address in candidate.pods():
                urllib.request.urlopen(f"http://{address}/drift", data=b"{}", timeout=5).close()
            process.wait_said("which asks for RollBack", seconds=SECONDS)
            process.kill()
            found_after = time.monotonic() - drifted
            found = candidate.monitor()
            lead("controller-1")
            candidate.wait_phase("RolledBack")
            candidate.until(lambda: candidate.pods() == {}, seconds=SECONDS)
            gone_after = time.monotonic() - drifted
        (finding,) = found["status"]["findings"]
        assert found_after < SECONDS / 2
        assert gone_after < LEAD_SECONDS
        assert (finding["cause"], finding["ask"]) == ("Drift", "RollBack")
        assert "refusals: rise to 0." in finding["message"]
        assert users["failed"] == 0, users
        assert '"mean":1.0' in probed["spec"]["reference"]["mean"]
        assert "findings" not in probed["status"]
        no_answer_counted_twice(fetched, given)
        assert len(ns.list("releasemonitors")) == 6
        assert candidate.monitor()["status"]["findings"] == [finding], "another process found nothing else"
        assert "findings" not in first.monitor()["status"]
