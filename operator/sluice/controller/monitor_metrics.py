"""What can be seen of monitors from outside: how many watch, learn, are silent or found something, and when they were last heard.

As with canary runs, labels are ours and the namespace of the release, never the name of a release or a monitor: `kubectl get mrm` names them. Everything but
the errors is told from the objects as they were last seen, so that a process that starts anew tells it again.
"""

from __future__ import annotations

import threading
from collections import Counter as Counts
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sluice.api.base import parse_time
from sluice.api.monitor import Cause, MonitorPhase
from sluice.controller.canary_metrics import NAMESPACES, OTHERS
from sluice.controller.monitor_status import HEARD, findings_of
from sluice.decision.records import Key

_NAMESPACE: Final = "release_namespace"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    phase: MonitorPhase
    hears: bool
    """Something is expected, and was heard the last time."""
    observations: int
    last: float | None
    found: frozenset[tuple[str, str]]
    """Cause and what it asks for."""
    drift_at: float | None


class MonitorMetrics:
    """Of all monitors that this process looks at."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register everything."""
        # Scrapes come from threads of their own.
        self._lock = threading.Lock()
        self._known: dict[Key, _Known] = {}
        self._unread = Counter(
            "sluice_monitor_read_errors_total", "Sources that did not answer, or with something that cannot be used.", ("cause",), registry=registry
        )
        registry.register(_Standings(self))

    def stands(self, key: Key, status: Mapping[str, Any]) -> None:
        """Note the status of a monitor."""
        findings = findings_of(dict(status))
        drifted = [parse_time(finding.at).timestamp() for finding in findings if finding.cause is Cause.DRIFT]
        conditions = status.get("conditions") or ()
        known = _Known(
            phase=MonitorPhase(status.get("phase") or MonitorPhase.LEARNING),
            hears=any(item.get("type") == HEARD and item.get("status") == "True" for item in conditions),
            observations=int(status.get("observations") or 0),
            last=parse_time(status["lastReading"]).timestamp() if "lastReading" in status else None,
            found=frozenset((str(finding.cause), str(finding.ask)) for finding in findings),
            drift_at=max(drifted, default=None),
        )
        with self._lock:
            self._known[key] = known

    def forget(self, key: Key) -> None:
        """Note that a monitor is gone."""
        with self._lock:
            self._known.pop(key, None)

    def unread(self, cause: str) -> None:
        """Count a source that could not be read; `cause` is a word of ours."""
        self._unread.labels(cause).inc()

    def standings(self) -> Iterable[Metric]:
        """Give the gauges, as of now."""
        with self._lock:
            known = sorted(self._known.items())
        apart = dict.fromkeys(key.namespace for key, _ in known)
        shown = set(list(apart)[:NAMESPACES])
        by_namespace: dict[str, list[_Known]] = defaultdict(list)
        for key, item in known:
            by_namespace[key.namespace if key.namespace in shown else OTHERS].append(item)
        phases = GaugeMetricFamily("sluice_monitors", "Monitors of releases by phase.", labels=(_NAMESPACE, "phase"))
        findings = GaugeMetricFamily(
            "sluice_monitor_findings", "Monitors that found drift or are silent, and what that asks for.", labels=(_NAMESPACE, "cause", "ask")
        )
        observations = GaugeMetricFamily("sluice_monitor_observations", "Observations that monitors have taken in.", labels=(_NAMESPACE,))
        last = GaugeMetricFamily(
            "sluice_monitor_oldest_reading_timestamp_seconds",
            "When the monitor that was heard least recently, of those that hear something, was last heard, as Unix time.",
            labels=(_NAMESPACE,),
        )
        drift = GaugeMetricFamily("sluice_monitor_last_drift_timestamp_seconds", "When drift was last found, as Unix time.", labels=(_NAMESPACE,))
        for namespace, items in by_namespace.items():
            for phase, number in sorted(Counts(str(item.phase) for item in items).items()):
                phases.add_metric((namespace, phase), number)
            for (cause, ask), number in sorted(Counts(found for item in items for found in item.found).items()):
                findings.add_metric((namespace, cause, ask), number)
            observations.add_metric((namespace,), sum(item.observations for item in items))
            if heard := [item.last for item in items if item.hears and item.last is not None]:
                last.add_metric((namespace,), min(heard))
            if found := [item.drift_at for item in items if item.drift_at is not None]:
                drift.add_metric((namespace,), max(found))
        return phases, findings, observations, last, drift


class _Standings(Collector):
    """What the registry asks at each scrape."""

    def __init__(self, metrics: MonitorMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        """Give the gauges."""
        return self._metrics.standings()
