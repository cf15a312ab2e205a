"""What can be seen of canary runs from outside.

Where they stand is told from what was last seen of each run, so that a process that starts anew tells it again. Counters and durations begin at zero with each
process, as Prometheus expects it.

Labels are ours (phase, decision, reason, side, cause), and the namespace of the run: `release_namespace`, because `namespace` is what Prometheus calls that of
the process it asks. Never the name of a release or a run. Who may create namespaces may create many, so only the first `NAMESPACES` are told apart.

Limit: how long nothing happened is known since this process leads; an alert on it is late by the time of one restart, and never early.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sluice.api.base import parse_time
from sluice.api.canary import CanaryDecision, CanaryPhase
from sluice.cluster.client import Object
from sluice.controller.canary_status import FINAL, decision_of, is_complete
from sluice.decision.records import Key
from sluice.decision.run_reasons import RunReason
from sluice.scoring.tally import BASELINE, CANDIDATE, Merged

NAMESPACES: Final = 256
"""Namespaces that are told apart; all others are one."""
OTHERS: Final = "(others)"
"""What the others are called: no namespace can be."""
_DECISION_BUCKETS: Final = (5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 3 * 3600.0, 12 * 3600.0, 24 * 3600.0)
_CLEANUP_BUCKETS: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
_NAMESPACE: Final = "release_namespace"
_REASONS: Final = frozenset(RunReason)
_UNKNOWN_REASON: Final = "Other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How far a run is, at one look. Times are Unix times."""

    phase: CanaryPhase
    created: float
    decision: CanaryDecision = CanaryDecision.PENDING
    decided: float | None = None
    planned: int = 0
    scored: int = 0
    waits: bool = False
    """It waits for nothing but time, which goes by: it does not stand still."""
    complete: bool = False
    """It has decided, and nothing that it made is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    step: Step
    progressed: float
    """When it last came further."""
    void: int = 0
    missing: Mapping[str, int]


class CanaryMetrics:
    """Of all runs that this process looks at. `clock` gives Unix time."""

    def __init__(self, registry: CollectorRegistry, *, clock: Callable[[], float]) -> None:
        """Register everything."""
        self._clock = clock
        # Scrapes come from threads of their own.
        self._lock = threading.Lock()
        self._known: dict[Key, _Known] = {}
        self._inconclusive: set[Key] = set()
        self._namespaces: set[str] = set()
        self._decisions = Counter("sluice_canary_decisions_total", "Canary runs that decided.", (_NAMESPACE, "decision", "reason"), registry=registry)
        self._void = Counter(
            "sluice_canary_units_void_total", "Units without a pair: the baseline answered none of their repeats.", (_NAMESPACE,), registry=registry
        )
        self._missing = Counter(
            "sluice_canary_answers_missing_total", "Answers that were missing, broken or too late.", (_NAMESPACE, "side"), registry=registry
        )
        self._unread = Counter("sluice_canary_statistics_errors_total", "Scorers that did not say what they have counted.", ("cause",), registry=registry)
        self._decision_seconds = Histogram(
            "sluice_canary_duration_seconds", "From the making of a run to its decision.", ("decision",), buckets=_DECISION_BUCKETS, registry=registry
        )
        self._cleanup_seconds = Histogram(
            "sluice_canary_cleanup_duration_seconds", "From a decision until nothing is left of what the run made, its candidate first.", ("decision",),
            buckets=_CLEANUP_BUCKETS, registry=registry,
        )  # fmt: skip
        for decision in sorted(FINAL):
            self._decision_seconds.labels(decision)
            self._cleanup_seconds.labels(decision)
        registry.register(_Standings(self.standings))

    def stands(self, key: Key, step: Step) -> None:
        """Note how far a run is."""
        now = self._clock()
        with self._lock:
            before = self._known.get(key)
            further = before is None or step.waits or (step.phase, step.scored) != (before.step.phase, before.step.scored)
            after = _Known(
                step=step, progressed=now if before is None or further else before.progressed,
                void=before.void if before else 0, missing=before.missing if before else {},
            )  # fmt: skip
            self._known[key] = after

    def counted(self, key: Key, merged: Merged) -> None:
        """Note what the scorers of a run have counted. What was counted before is not counted again, as long as this process lives."""
        void = sum(look.void for look in merged.looks)
        missing = {
            side: sum(max(0, look.sums.get(side, {}).get("Asked", 0) - look.sums.get(side, {}).get("Answered", 0)) for look in merged.looks)
            for side in (CANDIDATE, BASELINE)
        }
        with self._lock:
            known = self._known.get(key)
            if known is None:
                return
            namespace = self._told_apart(key.namespace)
            self._void.labels(namespace).inc(max(0, void - known.void))
            for side, number in missing.items():
                self._missing.labels(namespace, side).inc(max(0, number - known.missing.get(side, 0)))
            self._known[key] = replace(known, void=void, missing=missing)

    def decided(self, key: Key, decision: CanaryDecision, reason: str, *, seconds: float) -> None:
        """Count a decision that was just written, `seconds` after the run was made."""
        with self._lock:
            namespace = self._told_apart(key.namespace)
        self._decisions.labels(namespace, decision, reason if reason in _REASONS else _UNKNOWN_REASON).inc()
        self._decision_seconds.labels(decision).observe(max(0.0, seconds))

    def cleaned_up(self, decision: CanaryDecision, *, seconds: float) -> None:
        """Count a run of which nothing is left, `seconds` after its decision."""
        self._cleanup_seconds.labels(decision).observe(max(0.0, seconds))

    def unread(self, cause: str) -> None:
        """Count a scorer that did not say what it has counted; `cause` is a word of ours."""
        self._unread.labels(cause).inc()

    def inconclusive(self, release: Key, *, waits: bool) -> None:
        """Note whether a release waits because its comparison came to nothing."""
        with self._lock:
            (self._inconclusive.add if waits else self._inconclusive.discard)(release)

    def forget(self, key: Key) -> None:
        """Note that a run is gone."""
        with self._lock:
            self._known.pop(key, None)

    def standings(self) -> Iterable[Metric]:
        """Give the gauges, as of now."""
        with self._lock:
            known = [(self._told_apart(key.namespace), item) for key, item in self._known.items()]
            waiting = [self._told_apart(key.namespace) for key in self._inconclusive]
        labels = (_NAMESPACE, "phase")
        runs = GaugeMetricFamily("sluice_canary_runs", "Canary runs by phase; Decided: something that they made is still there.", labels=labels)
        created = GaugeMetricFamily("sluice_canary_oldest_run_timestamp_seconds", "When the oldest of these runs was made, as Unix time.", labels=labels)
        progressed = GaugeMetricFamily(
            "sluice_canary_least_progress_timestamp_seconds",
            "When the run of these that stands still for longest last came further, as Unix time.",
            labels=labels,
        )
        planned = GaugeMetricFamily("sluice_canary_units_planned", "Units that runs under way ask at most.", labels=(_NAMESPACE,))
        scored = GaugeMetricFamily("sluice_canary_units_scored", "Units that runs under way have scored.", labels=(_NAMESPACE,))
        last = GaugeMetricFamily("sluice_canary_last_decision_timestamp_seconds", "When a run last decided so, as Unix time.", labels=(_NAMESPACE, "decision"))
        held = GaugeMetricFamily("sluice_canary_inconclusive_releases", "Releases that wait because their comparison came to nothing.", labels=(_NAMESPACE,))
        for place, items in _grouped(((namespace, str(item.step.phase)), item) for namespace, item in known if not item.step.complete):
            runs.add_metric(place, len(items))
            created.add_metric(place, min(item.step.created for item in items))
            progressed.add_metric(place, min(item.progressed for item in items))
        for place, items in _grouped(((namespace,), item) for namespace, item in known if item.step.phase is not CanaryPhase.DECIDED):
            planned.add_metric(place, sum(item.step.planned for item in items))
            scored.add_metric(place, sum(item.step.scored for item in items))
        for place, items in _grouped(((namespace, str(item.step.decision)), item) for namespace, item in known if item.step.decided is not None):
            last.add_metric(place, max(item.step.decided or 0.0 for item in items))
        for namespace in sorted(set(waiting)):
            held.add_metric((namespace,), waiting.count(namespace))
        return runs, created, progressed, planned, scored, last, held

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


def _grouped(items: Iterable[tuple[tuple[str, ...], _Known]]) -> Iterable[tuple[tuple[str, ...], list[_Known]]]:
    groups: dict[tuple[str, ...], list[_Known]] = defaultdict(list)
    for place, item in items:
        groups[place].append(item)
    return sorted(groups.items())


def step_of(run: Object, *, scored: int | None = None) -> Step:
    """Read from a run, as the API server gives it, how far it is. `scored`: what its scorers say by now; else what its status says."""
    status = run.get("status") or {}
    decision = decision_of(run)
    phase = status.get("phase")
    return Step(
        phase=CanaryPhase(phase) if phase in set(CanaryPhase) else CanaryPhase.PENDING,
        created=parse_time(run["metadata"]["creationTimestamp"]).timestamp(),
        decision=decision,
        decided=parse_time(status["decidedAt"]).timestamp() if decision in FINAL and "decidedAt" in status else None,
        planned=int(status.get("planned") or 0),
        scored=int(status.get("units") or 0) if scored is None else scored,
        complete=is_complete(run),
    )
