"""What can be seen of the controller from outside: metrics, and whether it lives and is ready. Served from threads, so that a scrape delays no work.

Labels are ours (phase, outcome, kind): their number is bounded, whatever people create. What is seen of canary runs is in `canary_metrics`.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter as Counts
from collections.abc import Callable, Iterable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar, Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from sluice.api.release import Outcome, Phase
from sluice.controller.canary_metrics import CanaryMetrics
from sluice.controller.drill_metrics import DrillMetrics
from sluice.controller.monitor_metrics import MonitorMetrics
from sluice.decision.discovery_reasons import DiscoveryReason
from sluice.decision.records import Key

BEAT_SECONDS: Final = 1.0
STUCK_SECONDS: Final = 15.0
"""A loop that does not run for this long is taken for dead: no piece of our work blocks it for a tenth of that."""
_REQUEST_SECONDS: Final = 5.0
_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """One registry for each process. `clock` gives seconds since any moment."""

    def __init__(self, *, leads: Callable[[], bool], clock: Callable[[], float] = time.monotonic) -> None:
        self._registry = CollectorRegistry()
        self._clock = clock
        self._known: dict[Key, tuple[Phase, Counts[Outcome]]] = {}
        self._since: dict[Key, tuple[Phase, float]] = {}
        self._releases = Gauge("sluice_releases", "Releases by phase, as this process last saw them.", ("phase",), registry=self._registry)
        self._outcomes = Gauge("sluice_requirement_outcomes", "Requirements of all releases by outcome.", ("outcome",), registry=self._registry)
        self._moves = Counter("sluice_release_transitions_total", "Releases that came to a phase.", ("phase",), registry=self._registry)
        self._durations = Histogram(
            "sluice_reconcile_duration_seconds", "One look at an object, writes included.", ("kind",), buckets=_BUCKETS, registry=self._registry
        )
        self._errors = Counter("sluice_reconcile_errors_total", "Looks at an object that failed and are repeated.", ("kind",), registry=self._registry)
        self._depth = Gauge("sluice_queue_depth", "Objects that wait for a look.", registry=self._registry)
        leader = Gauge("sluice_leader", "1 while this process is the one that writes.", registry=self._registry)
        leader.set_function(lambda: float(leads()))
        self._age = Gauge("sluice_world_age_seconds", "Since the API server last proved that everything decided on is up to date.", registry=self._registry)
        self._refused: dict[str, set[Key]] = {}
        self._not_accepted = Gauge(
            "sluice_objects_not_accepted", "Policies, trust roots and suites that cannot be used as they are.", ("kind",), registry=self._registry
        )
        self._abandoned: set[Key] = set()
        self._without_stand_in = Gauge(
            "sluice_releases_without_stand_in", "Releases that were withdrawn and still serve, because nobody can stand in for them.", registry=self._registry
        )
        self._revoked: set[Key] = set()
        self._revoked_running = Gauge("sluice_releases_revoked_running", "Revoked releases of which a Pod still runs.", registry=self._registry)
        self._discovery = Gauge(
            "sluice_discovery_outcomes", "Releases and evidence by what came of the last look for them in registries.", ("reason",), registry=self._registry
        )
        self.canaries = CanaryMetrics(self._registry, clock=time.time)
        """Of canary runs."""
        self.monitors = MonitorMetrics(self._registry)
        """Of what is watched after release."""
        self.drills = DrillMetrics(self._registry)
        """Of drills of the way back."""
        longest = Gauge(
            "sluice_releases_longest_seconds", "How long one of these releases has been in its phase at most, since this process leads.", ("phase",),
            registry=self._registry,
        )  # fmt: skip
        for phase in Phase:
            self._releases.labels(phase)
            # A series that begins with its first transition would not have increased by it.
            self._moves.labels(phase)
            longest.labels(phase).set_function(partial(self._longest, phase))
        for outcome in Outcome:
            self._outcomes.labels(outcome)

    def age_of_world(self, seconds: Callable[[], float]) -> None:
        """Read the age of the world from here, at each scrape."""
        self._age.set_function(seconds)

    def judged(self, key: Key, phase: Phase, outcomes: Iterable[Outcome]) -> None:
        """Note where a release stands."""
        self._uncount(key)
        counts = Counts(outcomes)
        if self._since.get(key, (None, 0.0))[0] is not phase:
            self._since[key] = (phase, self._clock())
        self._known[key] = (phase, counts)
        self._releases.labels(phase).inc()
        for outcome, number in counts.items():
            self._outcomes.labels(outcome).inc(number)

    def forget(self, key: Key) -> None:
        """Note that a release is gone."""
        self._uncount(key)
        self._since.pop(key, None)
        self.stood_in(key, problem="")
        self.revoked(key, runs=False)
        self.canaries.inconclusive(key, waits=False)
        self.drills.overdue(key, overdue=False)

    def _longest(self, phase: Phase) -> float:
        # Called by a scrape, in another thread: the copy is made at once.
        began = [since for at, since in tuple(self._since.values()) if at is phase]
        return self._clock() - min(began) if began else 0.0

    def _uncount(self, key: Key) -> None:
        known = self._known.pop(key, None)
        if known is not None:
            self._releases.labels(known[0]).dec()
            for outcome, number in known[1].items():
                self._outcomes.labels(outcome).dec(number)

    def accepted(self, kind: str, key: Key, *, accepted: bool) -> None:
        """Note whether an object can be used; one that is gone is no trouble to anybody."""
        refused = self._refused.setdefault(kind, set())
        (refused.discard if accepted else refused.add)(key)
        self._not_accepted.labels(kind).set(len(refused))

    def stood_in(self, release: Key, *, problem: str) -> None:
        """Note why nobody can stand in for a release that was withdrawn; empty: somebody can, or nobody has to."""
        (self._abandoned.add if problem else self._abandoned.discard)(release)
        self._without_stand_in.set(len(self._abandoned))

    def revoked(self, release: Key, *, runs: bool) -> None:
        """Note whether a Pod of a revoked release still runs."""
        (self._revoked.add if runs else self._revoked.discard)(release)
        self._revoked_running.set(len(self._revoked))

    def discovering(self, reasons: Callable[[], Iterable[DiscoveryReason]]) -> None:
        """Read what came of the last looks from here, at each scrape."""
        for reason in DiscoveryReason:
            self._discovery.labels(reason).set_function(partial(_count, reasons, reason))

    def moved(self, phase: Phase) -> None:
        """Count a transition."""
        self._moves.labels(phase).inc()

    def looked(self, kind: str, *, seconds: float, failed: bool) -> None:
        """Count one look at an object."""
        self._durations.labels(kind).observe(seconds)
        if failed:
            self._errors.labels(kind).inc()

    def depth(self, depth: int) -> None:
        """Note how much waits."""
        self._depth.set(depth)

    def render(self) -> bytes:
        """Write all of it in Prometheus' text format."""
        return generate_latest(self._registry)


def _count(reasons: Callable[[], Iterable[DiscoveryReason]], wanted: DiscoveryReason) -> float:
    return float(sum(found is wanted for found in reasons()))


class Heartbeat:
    """Tells other threads whether the event loop still runs."""

    def __init__(self) -> None:
        self._at = time.monotonic()

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            self._at = time.monotonic()
            await asyncio.sleep(BEAT_SECONDS)

    def problem(self) -> str:
        """Why the loop is taken for dead; empty when it lives."""
        silent = time.monotonic() - self._at
        return f"the event loop has not run for {silent:.0f} s" if silent > STUCK_SECONDS else ""


class Probes:
    """Serves `/metrics`, `/healthz` (the loop runs) and `/readyz` (everything decided on is known) until closed."""

    def __init__(self, *, host: str, port: int, metrics: Metrics, healthy: Callable[[], str], ready: Callable[[], str]) -> None:
        checks = {"/healthz": healthy, "/readyz": ready}

        class Handler(BaseHTTPRequestHandler):
            timeout: ClassVar[float | None] = _REQUEST_SECONDS

            def do_GET(self) -> None:
                """Answer a probe or a scrape."""
                path = self.path.partition("?")[0]
                if path == "/metrics":
                    self._answer(200, metrics.render(), CONTENT_TYPE_LATEST)
                elif path in checks:
                    problem = checks[path]()
                    self._answer(503 if problem else 200, f"{problem or 'ok'}\n".encode(), "text/plain; charset=utf-8")
                else:
                    self._answer(404, b"there are /metrics, /healthz and /readyz\n", "text/plain; charset=utf-8")

            def log_message(self, *_: object) -> None:
                """Say nothing: probes come every few seconds."""

            def _answer(self, status: int, content: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="probes", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
