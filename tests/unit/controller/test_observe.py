"""What can be seen from outside: bounded, true, and served while the loop is busy."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from sluice.api.release import Outcome, Phase
from sluice.controller import observe
from sluice.controller.observe import Heartbeat, Metrics, Probes
from sluice.decision.discovery_reasons import DiscoveryReason
from sluice.decision.records import Key

KEY = Key(namespace="payments", name="churn")


def value(metrics: Metrics, series: str) -> float:
    lines = metrics.render().decode().splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == series)


def test_a_release_is_counted_once_where_it_stands_and_not_at_all_when_it_is_gone() -> None:
    metrics = Metrics(leads=lambda: True)
    metrics.judged(KEY, Phase.PENDING, [Outcome.MISSING, Outcome.MISSING])
    metrics.judged(KEY, Phase.SERVING, [Outcome.SATISFIED, Outcome.WAIVED])
    assert value(metrics, 'sluice_releases{phase="Pending"}') == 0
    assert value(metrics, 'sluice_releases{phase="Serving"}') == 1
    assert value(metrics, 'sluice_requirement_outcomes{outcome="Missing"}') == 0
    assert value(metrics, 'sluice_requirement_outcomes{outcome="Waived"}') == 1
    metrics.forget(KEY)
    metrics.forget(KEY)
    assert value(metrics, 'sluice_releases{phase="Serving"}') == 0


def test_work_leader_age_and_queue_are_shown() -> None:
    metrics = Metrics(leads=lambda: False)
    metrics.age_of_world(lambda: 12.5)
    metrics.depth(3)
    metrics.moved(Phase.SERVING)
    metrics.looked("ModelRelease", seconds=0.2, failed=True)
    assert value(metrics, "sluice_leader") == 0
    assert value(metrics, "sluice_world_age_seconds") == 12.5
    assert value(metrics, "sluice_queue_depth") == 3
    assert value(metrics, 'sluice_release_transitions_total{phase="Serving"}') == 1
    assert value(metrics, 'sluice_reconcile_errors_total{kind="ModelRelease"}') == 1


def test_how_long_a_release_has_waited_is_told_from_when_it_came_to_its_phase() -> None:
    now = 100.0
    metrics = Metrics(leads=lambda: True, clock=lambda: now)
    metrics.judged(KEY, Phase.AWAITING_APPROVAL, [Outcome.MISSING])
    now = 160.0
    metrics.judged(KEY, Phase.AWAITING_APPROVAL, [Outcome.WAIVED])
    metrics.judged(Key(namespace="payments", name="other"), Phase.AWAITING_APPROVAL, [])
    assert value(metrics, 'sluice_releases_longest_seconds{phase="AwaitingApproval"}') == 60
    metrics.judged(KEY, Phase.SERVING, [Outcome.WAIVED])
    now = 165.0
    assert value(metrics, 'sluice_releases_longest_seconds{phase="AwaitingApproval"}') == 5
    metrics.forget(KEY)
    assert value(metrics, 'sluice_releases_longest_seconds{phase="Serving"}') == 0


def test_what_has_to_be_repaired_is_counted_once_until_it_is() -> None:
    metrics = Metrics(leads=lambda: True)
    policy = Key(namespace="", name="production")
    for _ in range(2):
        metrics.accepted("ReleasePolicy", policy, accepted=False)
    assert value(metrics, 'sluice_objects_not_accepted{kind="ReleasePolicy"}') == 1
    metrics.accepted("ReleasePolicy", policy, accepted=True)
    assert value(metrics, 'sluice_objects_not_accepted{kind="ReleasePolicy"}') == 0


def test_a_release_without_a_stand_in_is_counted_until_there_is_one_or_it_is_gone() -> None:
    metrics = Metrics(leads=lambda: True)
    metrics.stood_in(KEY, problem="2 Pods of it run, and nobody can stand in for them")
    metrics.judged(KEY, Phase.ROLLED_BACK, [])
    assert value(metrics, "sluice_releases_without_stand_in") == 1
    metrics.stood_in(KEY, problem="")
    assert value(metrics, "sluice_releases_without_stand_in") == 0
    metrics.stood_in(KEY, problem="nobody")
    metrics.forget(KEY)
    assert value(metrics, "sluice_releases_without_stand_in") == 0


def test_a_revoked_release_that_runs_is_counted_until_it_does_not_or_is_gone() -> None:
    metrics = Metrics(leads=lambda: True)
    other = Key(namespace="search", name="rank")
    for key in (KEY, KEY, other):
        metrics.revoked(key, runs=True)
    assert value(metrics, "sluice_releases_revoked_running") == 2
    metrics.revoked(other, runs=False)
    metrics.forget(KEY)
    assert value(metrics, "sluice_releases_revoked_running") == 0


def test_a_phase_is_shown_before_the_first_release_comes_to_it() -> None:
    """A counter that begins at one has not increased, and no alert would tell."""
    metrics = Metrics(leads=lambda: True)
    assert [value(metrics, f'sluice_release_transitions_total{{phase="{phase}"}}') for phase in Phase] == [0] * len(Phase)


def test_what_came_of_looking_in_registries_is_shown_as_it_stands() -> None:
    metrics, reasons = Metrics(leads=lambda: True), [DiscoveryReason.NotAuthorized, DiscoveryReason.Fetched, DiscoveryReason.NotAuthorized]
    metrics.discovering(lambda: reasons)
    assert value(metrics, 'sluice_discovery_outcomes{reason="NotAuthorized"}') == 2
    assert value(metrics, 'sluice_discovery_outcomes{reason="RegistryUnreachable"}') == 0
    reasons.clear()
    assert value(metrics, 'sluice_discovery_outcomes{reason="NotAuthorized"}') == 0


def test_a_loop_that_does_not_run_is_taken_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    heartbeat = Heartbeat()
    assert heartbeat.problem() == ""
    later = time.monotonic() + observe.STUCK_SECONDS + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert "has not run for" in heartbeat.problem()


@pytest.fixture
def probes(socket_enabled: None) -> Iterator[Probes]:  # noqa: ARG001 - loopback
    server = Probes(host="127.0.0.1", port=0, metrics=Metrics(leads=lambda: True), healthy=lambda: "", ready=lambda: "it has not listed Namespace yet")
    yield server
    server.close()


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [("/healthz", 200, "ok"), ("/readyz", 503, "has not listed"), ("/metrics?x=1", 200, "sluice_leader 1.0"), ("/", 404, "/metrics"), ("/admin", 404, "")],
)
def test_probes_say_what_is_wrong(probes: Probes, path: str, status: int, says: str) -> None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{probes.port}{path}", timeout=5) as response:
            got, text = response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            got, text = error.code, error.read().decode()
    assert got == status
    assert says in text
