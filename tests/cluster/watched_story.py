"""Models behind a Service that a monitor watches: they refuse one answer in ten, and, once they are told to drift, every second one."""

from __future__ import annotations

import urllib.request

from tests.cluster.canary_story import ANSWER_SECONDS, PORT, Canary
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
    "name": "accuracy", "probe": {"suite": {"name": "churn-core"}, "metric": "accuracy"}, "period": "20s", "detects": "Mean", "missing": "0",
    "reference": {"baseline": {"window": "1h", "atLeast": 300}}, "falseAlarmEvery": 100_000, "onDrift": "Alert", "silentAfter": "1h",
}  # fmt: skip
"""Its cases are asked of a Pod that serves, and the first time they were is what is normal."""
ANSWERS: Object = ACCURACY | {
    "name": "answers", "probe": ACCURACY["probe"] | {"live": {"port": 9000, "path": "/v1/samples"}},
    "reference": {"baseline": {"window": "1h", "atLeast": 20}},
}  # fmt: skip
"""What users were answered, as the servers push every fourth of it to the container beside them; the first of it is what is normal."""
_SERVER = """
import json, sys, uuid
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import urlopen
release, every, counts, pushed = sys.argv[1], 10, {"true": 0, "false": 0}, []
def push():
    said = {"request": {"text": "1"}, "expect": {"text": "yes"}, "answer": {"body": {"label": "yes"}}}
    line = json.dumps({"id": str(uuid.uuid4()), "at": datetime.now(timezone.utc).isoformat(), **said}).encode()
    try:
        pushed.append(line)
        for _ in range(2):
            urlopen("http://127.0.0.1:9001/", data=line, timeout=2).close()
    except OSError:
        pass
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
        if self.path == "/pushed":
            return self.answer(json.dumps(len(pushed)))
        if self.path == "/":
            counts["true" if sum(counts.values()) % every == 0 else "false"] += 1
        self.answer(json.dumps({"release": release}))
        if self.path == "/" and sum(counts.values()) % 4 == 0:
            push()
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


class Watched(Canary):
    """Models that refuse one answer in ten, and, once they are told to, every second one."""

    def __init__(self, ns: Namespace, image: str, prometheus: Prometheus, *, release: str, baseline: str | None) -> None:
        super().__init__(ns, image, release=release, baseline=baseline)
        self.prometheus = prometheus

    def policy_spec(self) -> Object:
        return Story.policy_spec(self) | {"monitors": [REFUSALS, ACCURACY, ANSWERS]}

    def suite(self) -> Object:
        suite = super().suite()
        suite["spec"]["protocol"]["auth"] = {"secretRef": {"name": "churn-token", "key": "token"}}
        return suite

    def deployment_of(self, wrong: int, *, replicas: int = 2) -> Object:
        deployment = super().deployment_of(wrong, replicas=replicas)
        spec = deployment["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        mount = {"name": "token", "mountPath": "/etc/sluice-token", "readOnly": True}
        spec["containers"].append(
            {"name": "collect", "image": self.image, "args": ["collect", "--token-file", "/etc/sluice-token/token"], "volumeMounts": [mount]}
        )
        spec["volumes"] = [{"name": "token", "secret": {"secretName": "churn-token"}}]
        container["command"] = ["/opt/sluice/bin/python3", "-c", _SERVER, self.release]
        container["readinessProbe"]["httpGet"]["path"] = "/ready"
        return deployment

    def pods(self) -> dict[str, Object]:
        """The Pods of the release that have an address."""
        found = self.ns.list("pods", selector=f"sluice.dev/release={self.release}")
        return {f"{pod['status']['podIP']}:{PORT}": pod for pod in found if pod["status"].get("podIP")}

    def answers_pushed(self) -> int:
        """How many answers all Pods pushed so far, each twice."""
        return sum(int(urllib.request.urlopen(f"http://{address}/pushed", timeout=ANSWER_SECONDS).read()) for address in self.pods())

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


def scrape(prometheus: Prometheus, *stories: Watched) -> None:
    prometheus.scrape({address: {"namespace": story.ns.name, "release": story.release} for story in stories for address in story.pods()})
