"""What the webhook adds to the creation of a Pod on a real API server: dry runs in a governed namespace beside the same in one that is not governed.

Two replicas behind the chart's own Service and configurations, on the embedded cluster; clients, API server, etcd and both replicas share the cores of this
machine, so the ratios say more than the times. The reference is what was measured the same way for others (no webhook = 1): an allow-all Go webhook 1.3,
Kyverno 1.19.1 with two trivial policies 2.1, each with one call for a Pod. An entitled Pod makes two calls: one takes its gates off, one looks at the result.

    python benchmarks/admission_cluster.py [--quick] [--json FILE] [--cluster NAME]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from e2e.cluster import Cluster, Narrator
from sluice.cluster.connection import Connection
from tests.cluster.namespace import Namespace
from tests.cluster.release import ReleaseCase
from tests.cluster.webhook import Webhook
from tests.unit.decision.case import digest_of
from tests.unit.webhook.reviews import pod

CLIENTS: Final = (1, 10)
TARGETS: Final = {"one call": 2.1, "two calls": 3.2}
"""Times the same without a webhook: Kyverno's figure for one call, and what two such calls would add."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Latency of one kind of Pod at one number of clients."""

    name: str
    clients: int
    p50_ms: float
    p99_ms: float
    ratio: float
    target: float | None

    def __str__(self) -> str:
        target = "" if self.target is None else f"  target ≤ {self.target:.1f}x  {'met' if self.ratio <= self.target else 'MISSED'}"
        return f"{self.name:<34} {self.clients:>3} clients   p50 {self.p50_ms:7.2f} ms   p99 {self.p99_ms:7.2f} ms   {self.ratio:5.2f}x{target}"


class Api:
    """Creates Pods in dry run."""

    def __init__(self, cluster: Cluster) -> None:
        self._connection = Connection.load(kubeconfig=Path(cluster.kubeconfig))

    async def latencies(self, namespace: str, obj: dict[str, Any], *, clients: int, seconds: float) -> list[float]:
        """Ask in closed loops; seconds for each answer. Raises RuntimeError for anything but a created Pod."""
        url = f"{self._connection.server}/api/v1/namespaces/{namespace}/pods?dryRun=All"
        times: list[float] = []
        ending = time.perf_counter() + seconds

        async def ask(session: aiohttp.ClientSession) -> None:
            while (started := time.perf_counter()) < ending:
                async with session.post(url, json=obj) as response:
                    if response.status != 201:  # noqa: PLR2004 - Created
                        raise RuntimeError(await response.text())
                    await response.read()
                times.append(time.perf_counter() - started)

        connector = aiohttp.TCPConnector(ssl=self._connection.tls or False)
        async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(ask(session))
        return sorted(times)


def _wait_entitled(ns: Namespace) -> None:
    deadline, row = time.monotonic() + 30, 0
    while row < 4:  # noqa: PLR2004 - either replica may be asked
        done = ns.kubectl("create", "--filename=-", "--dry-run=server", "--output=json", stdin=json.dumps(pod()), check=False)
        row = row + 1 if done.returncode == 0 and "schedulingGates" not in done.stdout else 0
        if time.monotonic() > deadline:
            raise TimeoutError(done.stderr)


def measure(cluster: Cluster, seconds: float) -> list[Figure]:
    """Alternate between the kinds, so that a busy moment of the machine hits all of them."""
    api, figures = Api(cluster), []
    web = {"serviceAccountName": "default", "volumes": [], "containers": [{"name": "web", "image": f"registry.example.com/web@{digest_of('web')}"}]}
    with tempfile.TemporaryDirectory() as folder, Webhook(cluster, Path(folder), drain=0.5), Namespace(cluster) as plain, Namespace(cluster) as governed:
        release = ReleaseCase(governed)
        release.apply_all_but_approvals()
        release.approve()
        _wait_entitled(governed)
        kinds: dict[str, tuple[str, dict[str, Any]]] = {
            "no webhook": (plain.name, pod(release=None, gated=False, **web)),
            "one call: an unnamed digest": (governed.name, pod(release=None, gated=False, **web)),
            "two calls: an entitled Pod": (governed.name, pod()),
        }
        for clients in CLIENTS:
            times: dict[str, list[float]] = {name: [] for name in kinds}
            for _ in range(4):
                for name, (namespace, obj) in kinds.items():
                    times[name] += asyncio.run(api.latencies(namespace, obj, clients=clients, seconds=seconds / 4))
            base = _percentile(times["no webhook"], 0.5)
            for name, found in times.items():
                p50, p99 = _percentile(found, 0.5), _percentile(found, 0.99)
                figures.append(Figure(name=name, clients=clients, p50_ms=p50, p99_ms=p99, ratio=p50 / base, target=TARGETS.get(name.partition(":")[0])))
    return figures


def _percentile(times: list[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * share))] * 1e3


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="under a minute, once the cluster is up")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--cluster", default="bench", metavar="NAME", help="local cluster to use; brought up if need be (default: bench)")
    arguments = parser.parse_args()
    figures = measure(Cluster.up(arguments.cluster, narrator=Narrator()), 4 if arguments.quick else 20)
    for figure in figures:
        print(figure)
    if arguments.json:
        names = ("name", "clients", "p50_ms", "p99_ms", "ratio", "target")
        rows = [{name: getattr(figure, name) for name in names} for figure in figures]
        arguments.json.write_text(json.dumps({"figures": rows}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
