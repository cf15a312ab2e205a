"""What can be seen of drills from outside. Labels are ours, and the namespace of the release: `canary_metrics` says why, and how many of these there are."""

from __future__ import annotations

import threading
from collections import Counter as Counts
from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sluice.api.drill import DrillPhase
from sluice.decision.drills import Drill
from sluice.decision.records import Key

NAMESPACES: Final = 256
OTHERS: Final = "(others)"
_NAMESPACE: Final = "release_namespace"
_BUCKETS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
STEPS: Final = {"restore_seconds": "restore", "out_seconds": "out", "back_seconds": "back"}
"""Fields of what is measured → values of the label `step`."""


class DrillMetrics:
    """Of all drills that this process looks at. `drills` gives those that there are."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register everything."""
        self._lock = threading.Lock()
        self._overdue: set[Key] = set()
        self._drills: Callable[[], Iterable[tuple[Key, Drill]]] = tuple
        self._namespaces: set[str] = set()
        self._ended = Counter("sluice_rollback_drills_total", "Drills that ended.", (_NAMESPACE, "outcome", "reason"), registry=registry)
        self._seconds = Histogram(
            "sluice_rollback_drill_step_duration_seconds", "How long each step of drills took, as measured.", ("step",), buckets=_BUCKETS, registry=registry
        )
        for step in STEPS.values():
            self._seconds.labels(step)
        registry.register(_Standings(self.standings))

    def known(self, drills: Callable[[], Iterable[tuple[Key, Drill]]]) -> None:
        """Read the drills that there are from here, at each scrape."""
        self._drills = drills

    def measured(self, field: str, seconds: float) -> None:
        """Note how long a step took."""
        self._seconds.labels(STEPS[field]).observe(seconds)

    def ended(self, key: Key, phase: DrillPhase, reason: str) -> None:
        """Count a drill that has just passed or failed."""
        with self._lock:
            self._ended.labels(self._told_apart(key.namespace), str(phase), reason).inc()

    def overdue(self, release: Key, *, overdue: bool) -> None:
        """Note whether a release that a workload names wants a drill now."""
        with self._lock:
            (self._overdue.add if overdue else self._overdue.discard)(release)

    def standings(self) -> Iterable[Metric]:
        """Give the gauges, as of now."""
        drills = list(self._drills())
        with self._lock:
            overdue = Counts(self._told_apart(key.namespace) for key in self._overdue)
            last: dict[Key, tuple[str, str]] = {}
            for key, drill in drills:
                if drill.over:
                    release = Key(namespace=key.namespace, name=drill.release)
                    last[release] = max(last.get(release, ("", "")), (drill.finished_at, drill.phase))
            failed = Counts(self._told_apart(key.namespace) for key, (_, phase) in last.items() if phase == DrillPhase.FAILED)
        late = GaugeMetricFamily(
            "sluice_rollback_drills_overdue", "Releases that a workload names and whose way back should be tried now.", labels=(_NAMESPACE,)
        )
        broken = GaugeMetricFamily("sluice_rollback_drills_failed", "Releases whose last drill failed.", labels=(_NAMESPACE,))
        for family, counts in ((late, overdue), (broken, failed)):
            for namespace, number in sorted(counts.items()):
                family.add_metric((namespace,), number)
        return late, broken

    def _told_apart(self, namespace: str) -> str:
        if len(self._namespaces) < NAMESPACES:
            self._namespaces.add(namespace)
        return namespace if namespace in self._namespaces else OTHERS


class _Standings(Collector):
    """What the registry asks at each scrape."""

    def __init__(self, standings: Callable[[], Iterable[Metric]]) -> None:
        self._standings = standings

    def collect(self) -> Iterable[Metric]:
        """Give the gauges."""
        return self._standings()
