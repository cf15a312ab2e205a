"""What a scrape says of canary runs: where they stand, what they missed, and never more series than were promised."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from sluice.api.canary import CanaryDecision, CanaryPhase
from sluice.controller.canary_metrics import NAMESPACES, OTHERS, CanaryMetrics, Step, step_of
from sluice.decision.records import Key
from sluice.scoring.tally import Look, Merged

RUN = Key(namespace="payments", name="churn-2-1")
SCORING = Step(phase=CanaryPhase.SCORING, created=100.0, planned=400, scored=10)
DECIDED = Step(phase=CanaryPhase.DECIDED, created=100.0, decision=CanaryDecision.ROLL_BACK, decided=160.0, planned=400, scored=90)


class Bench:
    """Metrics with a clock that is set by hand."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.now = 1000.0
        self.metrics = CanaryMetrics(self.registry, clock=lambda: self.now)

    def series(self, name: str) -> dict[tuple[str, ...], float]:
        """Values of one metric, by the values of its labels in the order of their names."""
        families = text_string_to_metric_families(generate_latest(self.registry).decode())
        samples = (sample for family in families for sample in family.samples if sample.name == name)
        return {tuple(value for _, value in sorted(sample.labels.items())): sample.value for sample in samples}


def merged(*, void: int, asked: int, answered: int) -> Merged:
    sums = {"candidate": {"Asked": asked, "Answered": answered}, "baseline": {"Asked": asked, "Answered": asked}}
    look = Look(look=0, units=asked, void=void, tallies={}, sums=sums)
    return Merged(scored=asked, of=400, finished=False, looks=(look,), gates={}, samples=())


def test_a_run_is_counted_where_it_stands_and_not_at_all_when_it_is_gone() -> None:
    bench = Bench()
    bench.metrics.stands(RUN, SCORING)
    bench.metrics.stands(Key(namespace="payments", name="churn-3-1"), replace(SCORING, created=50.0, scored=5))
    assert bench.series("sluice_canary_runs") == {("Scoring", "payments"): 2}
    assert bench.series("sluice_canary_oldest_run_timestamp_seconds") == {("Scoring", "payments"): 50}
    assert bench.series("sluice_canary_units_planned") == {("payments",): 800}
    assert bench.series("sluice_canary_units_scored") == {("payments",): 15}
    for name in ("churn-2-1", "churn-3-1"):
        bench.metrics.forget(Key(namespace="payments", name=name))
    assert bench.series("sluice_canary_runs") == {}
    assert bench.series("sluice_canary_units_planned") == {}


def test_only_a_run_that_comes_further_has_progressed() -> None:
    bench = Bench()
    bench.metrics.stands(RUN, SCORING)
    bench.now = 1500.0
    bench.metrics.stands(RUN, SCORING)
    assert bench.series("sluice_canary_least_progress_timestamp_seconds") == {("Scoring", "payments"): 1000}
    bench.metrics.stands(RUN, replace(SCORING, scored=11))
    assert bench.series("sluice_canary_least_progress_timestamp_seconds") == {("Scoring", "payments"): 1500}
    bench.now = 2000.0
    bench.metrics.stands(RUN, replace(SCORING, scored=11, waits=True))
    assert bench.series("sluice_canary_least_progress_timestamp_seconds") == {("Scoring", "payments"): 2000}, "time that goes by is all it waits for"


def test_a_decided_run_is_under_way_until_nothing_of_it_is_left_and_its_decision_is_remembered() -> None:
    bench = Bench()
    bench.metrics.stands(RUN, DECIDED)
    assert bench.series("sluice_canary_runs") == {("Decided", "payments"): 1}
    bench.metrics.stands(RUN, replace(DECIDED, complete=True))
    assert bench.series("sluice_canary_runs") == {}
    assert bench.series("sluice_canary_units_planned") == {}
    assert bench.series("sluice_canary_last_decision_timestamp_seconds") == {("RollBack", "payments"): 160}


def test_what_a_run_misses_is_counted_once_however_often_it_is_read() -> None:
    bench = Bench()
    bench.metrics.stands(RUN, SCORING)
    for _ in range(2):
        bench.metrics.counted(RUN, merged(void=1, asked=10, answered=7))
    bench.metrics.counted(RUN, merged(void=3, asked=20, answered=15))
    assert bench.series("sluice_canary_units_void_total") == {("payments",): 3}
    assert bench.series("sluice_canary_answers_missing_total") == {("payments", "candidate"): 5, ("payments", "baseline"): 0}


def test_a_namespace_too_many_is_one_of_the_others() -> None:
    bench = Bench()
    for number in range(NAMESPACES + 40):
        bench.metrics.decided(Key(namespace=f"team-{number}", name="run"), CanaryDecision.PROMOTE, "WithinMargin", seconds=3)
    told = bench.series("sluice_canary_decisions_total")
    assert len(told) == NAMESPACES + 1
    assert told["Promote", "WithinMargin", OTHERS] == 40


def test_a_reason_that_is_none_of_ours_makes_no_series() -> None:
    bench = Bench()
    for reason in ("whatever the user wrote", "something else"):
        bench.metrics.decided(RUN, CanaryDecision.INCONCLUSIVE, reason, seconds=3)
    assert bench.series("sluice_canary_decisions_total") == {("Inconclusive", "Other", "payments"): 2}


def test_releases_that_wait_for_a_person_are_counted_until_they_do_not() -> None:
    bench = Bench()
    release = Key(namespace="payments", name="churn-2")
    for _ in range(2):
        bench.metrics.inconclusive(release, waits=True)
    assert bench.series("sluice_canary_inconclusive_releases") == {("payments",): 1}
    bench.metrics.inconclusive(release, waits=False)
    assert bench.series("sluice_canary_inconclusive_releases") == {}


def test_how_far_a_run_is_can_be_read_from_any_status() -> None:
    run: dict[str, Any] = {"metadata": {"creationTimestamp": "1970-01-01T00:01:40Z"}}
    assert step_of(run) == Step(phase=CanaryPhase.PENDING, created=100.0)
    run["status"] = {"phase": "Scoring", "decision": "Pending", "units": 4, "planned": 400}
    assert step_of(run, scored=7) == replace(SCORING, scored=7)
    run["status"] = {
        "phase": "Decided", "decision": "RollBack", "units": 90, "planned": 400, "decidedAt": "1970-01-01T00:02:40Z",
        "conditions": [{"type": "Complete", "status": "True"}],
    }  # fmt: skip
    assert step_of(run) == replace(DECIDED, complete=True)
