"""What it costs to ask the webhook: latency and CPU of a review of an 8 KB Pod, on one core, beside a reference in the same run.

The reference `allow-all` is an aiohttp handler that parses nothing and lets everything in: what any webhook on this HTTP server costs at least.
Each server is a process of its own, pinned to one core; the clients are here, on the other cores, with kept-alive TLS connections. Times inside the process
are CPU times, so that a busy machine does not change them much; latencies are what the clients waited.

Targets: Gatekeeper's own for latency (p95 < 50 ms, p99 < 100 ms); for CPU what Kyverno 1.19.1 spends on a review with two trivial policies (1,700 µs).

    python benchmarks/admission.py [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import aiohttp.web

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from e2e.sigstore import slsa_statement
from sluice.decision.world import World
from sluice.webhook.admission import Path as ReviewPath
from sluice.webhook.admission import review
from sluice.webhook.certificates import Lifetimes, renew
from sluice.webhook.metrics import Metrics
from sluice.webhook.server import AdmissionServer
from sluice.webhook.sight import Sight
from sluice.webhook.tls import SwappableTls
from tests.unit.decision.case import BUILDER, KEY, NOW, approved_world, digest_of, evidence, sign, verified_world
from tests.unit.webhook.reviews import body, pod

SERVERS: Final = ("sluice", "allow-all")
TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
UID: Final = json.loads(body({}))["request"]["uid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number beside what it should be."""

    name: str
    value: float
    unit: str
    at_most: float | None = None

    def __str__(self) -> str:
        target = "" if self.at_most is None else f"  target ≤ {self.at_most:g} {self.unit}  {'met' if self.value <= self.at_most else 'MISSED'}"
        return f"{self.name:<62} {self.value:>10.3f} {self.unit:<3}{target}"


def review_body() -> bytes:
    """A review of an ordinary Pod of 8 KB: sidecars, environment, managed fields."""
    env = [{"name": f"SETTING_{number}", "value": "x" * 40} for number in range(40)]
    probe = {"httpGet": {"path": "/v2/health/ready", "port": 8080}, "periodSeconds": 5}
    obj = pod()
    obj["spec"]["containers"][0] |= {"env": env, "readinessProbe": probe, "resources": {"limits": {"memory": "2Gi"}, "requests": {"cpu": "1"}}}
    fields: dict[str, dict[str, object]] = {f"f:field{number}": {f"f:inner{inner}": {} for inner in range(4)} for number in range(40)}
    obj["metadata"]["managedFields"] = [{"manager": "kube-controller-manager", "operation": "Update", "fieldsV1": {"f:spec": fields}}]
    return body(obj)


# In process


def microseconds(call: Callable[[], object], *, seconds: float) -> float:
    """Median CPU time of a call."""
    call()
    times, ending = [], time.perf_counter() + seconds
    while time.perf_counter() < ending:
        started = time.thread_time()
        call()
        times.append(time.thread_time() - started)
    return statistics.median(times) * 1e6


def crowded(world: World, count: int) -> World:
    """Add evidence about another artifact in the same namespace, as other teams' releases leave it."""
    bundle = sign(slsa_statement({"other": digest_of("other image")}, BUILDER, []))
    for number in range(count):
        world.put("ReleaseEvidence", evidence(f"other-{number}", bundle))
    return world


def in_process(seconds: float) -> list[Figure]:
    """What deciding costs without a server: anew, as after each change in the cluster, and while nothing changes."""
    approved, verified, sent = approved_world(), verified_world(), review_body()
    crowd = crowded(approved_world(), 1000)

    def decided(world: World) -> Callable[[], object]:
        return lambda: world.verdict(KEY, now=NOW)

    def answer(world: World, path: ReviewPath) -> Callable[[], object]:
        return lambda: review(path, sent, Sight(world=world, now=NOW))

    def anew(world: World, call: Callable[[], object]) -> Callable[[], object]:
        def asked() -> object:
            world.changes += 1
            return call()

        return asked

    calls: dict[str, tuple[Callable[[], object], float | None]] = {
        "decide: verdict of a release, anew": (anew(approved, decided(approved)), 700),
        "decide: the same beside 1,000 other pieces of evidence": (anew(crowd, decided(crowd)), 700),
        "decide: while nothing changes": (decided(approved), None),
        "review: entitled, with patch, anew": (anew(approved, answer(approved, ReviewPath.MUTATE)), 1000),
        "review: held, with warnings, anew": (anew(verified, answer(verified, ReviewPath.VALIDATE)), 1000),
        "review: entitled, while nothing changes": (answer(approved, ReviewPath.MUTATE), None),
    }
    return [Figure(name=name, value=microseconds(call, seconds=seconds), unit="µs", at_most=at_most) for name, (call, at_most) in calls.items()]


# Servers, each in a process of its own


async def serve(name: str, folder: Path) -> None:
    """Serve until killed; the first line on stdout is the port."""
    material = renew(None, ["localhost"], Lifetimes(), now=datetime.now(UTC))
    (folder / "ca.crt").write_bytes(material.bundle_pem)
    tls = SwappableTls()
    tls.swap(certificate_pem=material.leaf_pem, key_pem=material.leaf_key_pem)
    if name == "sluice":
        world = approved_world()
        metrics = Metrics(world_age_seconds=lambda: 0.0, certificate_expires=lambda: 0.0)
        server = AdmissionServer(lambda: Sight(world=world, now=NOW), tls, metrics, deadline_seconds=5, drain_seconds=0)
        await server.start(host="127.0.0.1", port=0, probe_port=0)
        port = server.port
    else:
        port = await _allow_all(tls)
    print(port, flush=True)
    await asyncio.Event().wait()


async def _allow_all(tls: SwappableTls) -> int:
    answer = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {"uid": UID, "allowed": True}}
    written = json.dumps(answer).encode()

    async def handle(request: aiohttp.web.BaseRequest) -> aiohttp.web.StreamResponse:
        await request.read()
        return aiohttp.web.Response(body=written, content_type="application/json")

    runner = aiohttp.web.ServerRunner(aiohttp.web.Server(handle, access_log=None))
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls.context).start()
    port: int = runner.addresses[0][1]
    return port


# Clients


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one server did under one load."""

    requests: int
    cpu_microseconds: float
    latencies: list[float]

    def percentile(self, share: float) -> float:
        """Latency in milliseconds."""
        return sorted(self.latencies)[min(len(self.latencies) - 1, int(len(self.latencies) * share))] * 1e3


async def load(port: int, authority: bytes, process: int, *, clients: int, seconds: float) -> Load:
    """Ask in `clients` closed loops."""
    sent, context = review_body(), ssl.create_default_context(cadata=authority.decode())
    head = f"POST /mutate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(sent)}\r\n\r\n".encode()
    latencies: list[float] = []

    async def ask(*, warm: float, ending: float) -> None:
        reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
        while (started := time.perf_counter()) < ending:
            writer.write(head + sent)
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(answer.decode())
            length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            content = await reader.readexactly(int(length.split(b":")[1]))
            if started >= warm:
                latencies.append(time.perf_counter() - started)
            if not json.loads(content)["response"]["allowed"]:
                raise RuntimeError(content.decode())
        writer.close()

    warm = time.perf_counter() + min(1.0, seconds / 4)
    used = asyncio.get_running_loop().call_later(warm - time.perf_counter(), lambda: before.append(_cpu_seconds(process)))
    before: list[float] = []
    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(ask(warm=warm, ending=warm + seconds))
    used.cancel()
    spent = _cpu_seconds(process) - before[0]
    return Load(requests=len(latencies), cpu_microseconds=spent / len(latencies) * 1e6, latencies=latencies)


def _cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def served(seconds: float) -> list[Figure]:
    """Latency and CPU of each server, one at a time."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, cores[1:])
    figures, cpu = [], {}
    for name in SERVERS:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, __file__, "--serve", name, "--folder", folder]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]) as process:
                try:
                    os.sched_setaffinity(process.pid, cores[:1])
                    assert process.stdout is not None  # noqa: S101 - for mypy: it is a pipe
                    port, authority = int(process.stdout.readline()), (Path(folder) / "ca.crt").read_bytes()
                    one = asyncio.run(load(port, authority, process.pid, clients=1, seconds=seconds))
                    many = asyncio.run(load(port, authority, process.pid, clients=8, seconds=seconds))
                finally:
                    process.kill()
        cpu[name] = many.cpu_microseconds
        ours = name == "sluice"
        figures += [
            Figure(name=f"{name}: latency p50, 1 client", value=one.percentile(0.5), unit="ms", at_most=5 if ours else None),
            Figure(name=f"{name}: latency p95, 8 clients", value=many.percentile(0.95), unit="ms", at_most=50 if ours else None),
            Figure(name=f"{name}: latency p99, 8 clients", value=many.percentile(0.99), unit="ms", at_most=100 if ours else None),
            Figure(name=f"{name}: reviews a second, 8 clients", value=many.requests / seconds, unit="/s"),
            Figure(name=f"{name}: CPU of a review, 8 clients", value=many.cpu_microseconds, unit="µs", at_most=1700 if ours else None),
        ]
    figures.append(Figure(name="CPU of a review, beside allow-all", value=cpu["sluice"] / cpu["allow-all"], unit="x", at_most=6))
    return figures


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="under a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--serve", choices=SERVERS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve(arguments.serve, arguments.folder))
        return
    print(f"Pod review of {len(review_body()):,} bytes; Python {sys.version.split()[0]}, {len(os.sched_getaffinity(0))} cores")
    figures = in_process(0.5 if arguments.quick else 3) + served(4 if arguments.quick else 20)
    for figure in figures:
        print(figure)
    if arguments.json:
        figures_json = [{"name": f.name, "value": f.value, "unit": f.unit, "at_most": f.at_most} for f in figures]
        arguments.json.write_text(json.dumps({"bytes": len(review_body()), "figures": figures_json}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
