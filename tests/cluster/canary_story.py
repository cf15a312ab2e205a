"""A baseline that serves users, and candidates of known quality beside it: releases with real signatures, model servers that really answer, a Service.

The servers are one small program in the Sluice image; how often it errs is an argument, so a release's quality is known.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import cached_property
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Any

from e2e.cluster import Cluster, Narrator
from e2e.images import build_sluice
from tests.cluster.namespace import Namespace, condition_of
from tests.cluster.story import OLGA, SAM, Story

Object = dict[str, Any]
BASELINE, CANDIDATE = "churn-2-0-0", "churn-2-1-0"
PORT = 8080
CASES = 400
DRAIN_SECONDS = 7
"""How long a server goes on that is to end: until every part of a cluster that is busy with other tests has heard of it."""
CONNECT_SECONDS, ANSWER_SECONDS = 5, 30
_SERVER = """
import json, signal, sys, zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
release, wrong = sys.argv[1], int(sys.argv[2])
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self, said):
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.answer({"release": release})
    def do_POST(self):
        text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"]
        right = "yes" if int(text) % 2 else "no"
        self.answer({"label": "?" if zlib.crc32((release + text).encode()) % 100 < wrong else right})
    def log_message(self, *_):
        pass
if wrong > 100:
    sys.exit("this model does not start")
ThreadingHTTPServer.request_queue_size = 128
ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""


def sluice_image(cluster: Cluster) -> str:
    """The Sluice image of this checkout in the cluster's registry, by digest."""
    return cluster.load_image(build_sluice(narrator=Narrator(quiet=True)).layout, repository="sluice")


class Canary(Story):
    """One governed namespace whose policy asks for a canary; the candidate is wrong in about `wrong` of 100 cases. 101 does not start at all."""

    def __init__(self, ns: Namespace, image: str, *, release: str = CANDIDATE, baseline: str | None = BASELINE, terms: Object | None = None) -> None:
        super().__init__(ns, release=release)
        self.image, self.image_digest = image, image.rpartition("@")[2]
        self._baseline = baseline
        self._terms = terms or {}

    def policy_spec(self) -> Object:
        policy = super().policy_spec()
        terms = {"suite": {"name": "churn-core"}, "margin": "0.05", "planned": CASES, "maxDuration": "10m"} | self._terms
        policy["requirements"].append({"name": "canary", "type": "Canary", "waivableBy": ["security"]} | terms)
        return policy

    def suite(self) -> Object:
        cases = [json.dumps({"id": f"c-{n}", "input": {"text": str(n)}, "expect": {"text": "yes" if n % 2 else "no"}}) for n in range(CASES)]
        http = {"path": "/label", "body": '{"text": "{{text}}"}', "answer": "/label"}
        spec = {
            "protocol": {"type": "Http", "port": PORT, "http": http, "concurrency": 8},
            "cases": {"inline": "\n".join(cases) + "\n"},
            "scorers": [{"name": "accuracy", "type": "ExactMatch"}],
        }
        return {"apiVersion": "sluice.dev/v1alpha1", "kind": "ScoringSuite", "metadata": {"name": "churn-core"}, "spec": spec}

    def release_object(self) -> Object:
        release = super().release_object()
        release["spec"]["version"] = self.release.removeprefix("churn-").replace("-", ".")
        release["spec"]["change"] = {"type": "Retrain"} | ({"baseline": {"name": self._baseline}} if self._baseline else {})
        return release

    def approve(self) -> None:
        self.decide(f"{self.release}-owner", "owner", OLGA)
        self.decide(f"{self.release}-security", "security", SAM)

    def deployment_of(self, wrong: int, *, replicas: int = 2) -> Object:
        """The Deployment as Git has it: its template names this release."""
        labels = {"app": "churn", "sluice.dev/release": self.release}
        # A node that is busy with other tests is slow to ask, and users have nobody else.
        probe = {"httpGet": {"path": "/", "port": PORT}, "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 10}
        container = {
            "name": "server", "image": self.image, "command": ["/opt/sluice/bin/python3", "-c", _SERVER, self.release, str(wrong)],
            "ports": [{"containerPort": PORT}], "readinessProbe": probe, "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}},
        }  # fmt: skip
        spec = {"serviceAccountName": "churn", "terminationGracePeriodSeconds": DRAIN_SECONDS + 2, "containers": [container]}
        rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
        template = {"metadata": {"labels": labels}, "spec": spec}
        body = {"replicas": replicas, "selector": {"matchLabels": {"app": "churn"}}, "strategy": rolling, "template": template}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "churn"}, "spec": body}

    @cached_property
    def first(self) -> Canary:
        """The release that was there before."""
        return Canary(self.ns, self.image, release=BASELINE, baseline=None, terms=self._terms)

    def serve_baseline(self) -> None:
        """The baseline is approved, the first of its model, and serves two Pods behind a Service."""
        first = self.first
        first.platform()
        self.ns.apply(self.suite())
        first.propose()
        first.prove()
        first.wait_phase("AwaitingApproval")
        first.approve()
        first.wait_phase("Serving")
        self.ns.apply(first.deployment_of(wrong=0))
        ports = [{"port": 80, "targetPort": PORT}]
        self.ns.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "churn"}, "spec": {"selector": {"app": "churn"}, "ports": ports}})
        self.ns.wait("deployment", "churn", lambda d: d.get("status", {}).get("readyReplicas") == 2, seconds=90)

    def push(self, wrong: int) -> Object:
        """Git names the candidate, which people have approved; gives the Deployment as stored."""
        self.propose()
        self.wait_phase("AwaitingApproval")
        self.approve()
        self.wait_phase("Canary")
        return self.ns.apply(self.deployment_of(wrong))

    def wait_decision(self, decision: str, *, run: str | None = None, seconds: float = 120) -> Object:
        """The run, once it has decided and nothing is left of what it made."""
        name = run or f"{self.release}-1"
        decided = self.ns.wait("canaryrun", name, lambda item: item.get("status", {}).get("phase") == "Decided", seconds=seconds)
        assert decided["status"]["decision"] == decision, decided["status"]
        return decided

    def wait_tidy(self, *, run: str | None = None) -> None:
        """Nothing is left of what a run made, but for what its scorers had counted."""
        name = run or f"{self.release}-1"
        self.ns.wait("canaryrun", name, lambda item: condition_of(item, "Complete") == "True", seconds=120)
        left = [f"{kind} {item['metadata']['name']}" for kind in ("pods", "jobs", "configmaps", "networkpolicies") for item in self.ns.list(kind)]
        assert [item for item in left if f" {name}-" in item and item != f"configmaps {name}-statistics"] == []

    def until(self, happened: Callable[[], object], *, seconds: float = 60) -> None:
        """Wait for what no watch of one object shows."""
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline
            time.sleep(0.2)

    def until_rolled_out(self) -> None:
        """The Deployment has two ready Pods of its newest template, and no other."""

        def done(deployment: Object) -> bool:
            status = deployment["status"]
            current = status.get("observedGeneration") == deployment["metadata"]["generation"]
            return current and {status.get(field) for field in ("replicas", "updatedReplicas", "readyReplicas")} == {2}

        self.ns.wait("deployment", "churn", done, seconds=120)

    def written_by_us(self) -> list[str]:
        """Fields of the Deployment that Sluice wrote and that would show as drift against Git."""
        deployment = json.loads(self.ns.kubectl("get", "deployment", "churn", "--show-managed-fields", "--output=json").stdout)
        return [str(item["fieldsV1"]) for item in deployment["metadata"]["managedFields"] if item["manager"] == "sluice"]

    @cached_property
    def address(self) -> str:
        """Where the Service is reached."""
        return str(self.ns.get("service", "churn")["spec"]["clusterIP"])

    def endpoints(self) -> list[str]:
        """The addresses to which the Service sends requests now."""
        slices = self.ns.list("endpointslices", selector="kubernetes.io/service-name=churn")
        return [address for item in slices for end in item["endpoints"] or [] if end["conditions"]["ready"] for address in end["addresses"]]

    def connected(self, *, again: int = 5) -> HTTPConnection:
        """A connection to the Service, whose requests may take long.

        One that nobody takes is tried again from another port, as proxies do; no server has heard of it. A node keeps in mind for two minutes where it sends a
        connection, and if it came before kube-proxy had written the Service's rules, that is nowhere.
        """
        connection = HTTPConnection(self.address, timeout=CONNECT_SECONDS)
        try:
            connection.connect()
        except TimeoutError:
            if not again:
                raise
            return self.connected(again=again - 1)
        connection.sock.settimeout(ANSWER_SECONDS)
        return connection

    @contextmanager
    def users(self, *, pause: float = 0.25) -> Iterator[Counter[str]]:
        """Two people who use the Service all the time, with a pause of so many seconds; counts who answered them, and `failed`."""
        counts: Counter[str] = Counter()
        over = threading.Event()

        def ask() -> None:
            while not over.is_set():
                try:
                    with closing(self.connected()) as connection:
                        connection.request("GET", "/", headers={"Connection": "close"})
                        with connection.getresponse() as response:
                            if response.status != HTTPStatus.OK:
                                raise HTTPException(response.status)
                            counts[json.load(response)["release"]] += 1
                except (OSError, HTTPException) as error:
                    counts["failed"] += 1
                    counts[f"error {error} at {datetime.now(UTC):%X}, when ready were {self.endpoints()}"] += 1
                time.sleep(pause)

        threads = [threading.Thread(target=ask, daemon=True) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            yield counts
        finally:
            over.set()
            for thread in threads:
                thread.join()
