"""What can be seen of monitors: of the objects as they are, by namespace, and nothing by the name of a release."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from sluice.controller.canary_metrics import NAMESPACES, OTHERS
from sluice.controller.monitor_metrics import MonitorMetrics
from sluice.decision.records import Key

Object = dict[str, Any]
DRIFT: Object = {"cause": "Drift", "ask": "RollBack", "at": "2026-11-21T12:00:00Z", "message": "mean: rise to 0.3"}
SILENCE: Object = {"cause": "Silence", "ask": "Alert", "at": "2026-11-21T12:30:00Z", "message": "nothing heard"}
HEARD: Object = {"type": "Heard", "status": "True"}


def status(*findings: Object, phase: str = "Watching", **fields: Any) -> Object:  # noqa: ANN401 - of a status
    return {"phase": phase, "findings": list(findings)} | fields


class Shown:
    """Metrics, and the lines that they show."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = MonitorMetrics(self.registry)

    def value(self, series: str) -> float | None:
        lines = generate_latest(self.registry).decode().splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == series), None)


@pytest.fixture
def shown() -> Shown:
    return Shown()


def at(name: str, namespace: str = "payments") -> Key:
    return Key(namespace=namespace, name=name)


def test_monitors_are_counted_by_phase_and_findings_by_what_they_ask(shown: Shown) -> None:
    shown.metrics.stands(at("a"), status(observations=5))
    shown.metrics.stands(at("b"), status(DRIFT, SILENCE, phase="Alarmed", observations=7))
    shown.metrics.stands(at("c"), {})
    assert shown.value('sluice_monitors{phase="Watching",release_namespace="payments"}') == 1
    assert shown.value('sluice_monitors{phase="Learning",release_namespace="payments"}') == 1, "who has no status yet"
    assert shown.value('sluice_monitor_findings{ask="RollBack",cause="Drift",release_namespace="payments"}') == 1
    assert shown.value('sluice_monitor_findings{ask="Alert",cause="Silence",release_namespace="payments"}') == 1
    assert shown.value('sluice_monitor_observations{release_namespace="payments"}') == 12
    assert shown.value('sluice_monitor_last_drift_timestamp_seconds{release_namespace="payments"}') == 1795262400


def test_the_oldest_reading_is_that_of_a_monitor_that_hears_something(shown: Shown) -> None:
    series = 'sluice_monitor_oldest_reading_timestamp_seconds{release_namespace="payments"}'
    shown.metrics.stands(at("resting"), status(lastReading="2026-11-20T12:00:00Z", conditions=[HEARD | {"status": "False"}]))
    assert shown.value(series) is None
    shown.metrics.stands(at("new"), status(lastReading="2026-11-21T12:10:00Z", conditions=[HEARD]))
    shown.metrics.stands(at("old"), status(lastReading="2026-11-21T12:00:00Z", conditions=[HEARD]))
    assert shown.value(series) == 1795262400


def test_what_is_gone_or_over_is_not_counted(shown: Shown) -> None:
    shown.metrics.stands(at("a"), status(SILENCE, phase="Alarmed"))
    shown.metrics.stands(at("a"), status())
    assert shown.value('sluice_monitor_findings{ask="Alert",cause="Silence",release_namespace="payments"}') is None
    shown.metrics.forget(at("a"))
    shown.metrics.forget(at("never there"))
    assert shown.value('sluice_monitors{phase="Watching",release_namespace="payments"}') is None


def test_whoever_makes_namespaces_makes_no_more_series_than_there_may_be(shown: Shown) -> None:
    for number in range(NAMESPACES + 5):
        shown.metrics.stands(at("a", f"n-{number:04}"), status())
    text = generate_latest(shown.registry).decode()
    assert text.count("\nsluice_monitors{") == NAMESPACES + 1
    assert shown.value(f'sluice_monitors{{phase="Watching",release_namespace="{OTHERS}"}}') == 5
