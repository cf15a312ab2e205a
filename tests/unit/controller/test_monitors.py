"""One monitor after another: what is normal is frozen once, each moment is taken in once, and what is found is written once and stays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from sluice.api.monitor import MonitorSpec
from sluice.cluster.errors import Unavailable
from sluice.cluster.prometheus import PrometheusError, Unread
from sluice.cluster.resource import MONITORS
from sluice.scoring.drift.mean import MeanReference
from sluice.scoring.drift.refused import DriftRefused
from tests.unit.controller.monitor_bench import LEARNT, REFUSALS, Bench, Object
from tests.unit.decision import case as c

MINUTE = timedelta(minutes=1)


# Which monitors there are.


async def test_a_release_that_serves_gets_the_monitors_that_its_policies_ask_for() -> None:
    bench = Bench()
    key = await bench.made()
    spec = MonitorSpec.model_validate(bench.client.objects[MONITORS.path(*key)]["spec"])
    assert (spec.release.name, spec.monitor.name) == (c.NAME, "refusals")
    assert spec.reference is not None
    assert bench.writes() == 1, "the second look made no second one"


async def test_a_release_that_may_not_serve_gets_none() -> None:
    bench = Bench()
    bench.world.remove("ReleaseApproval", c.Key(c.NAMESPACE, "by-owner"))
    assert await bench.reconciler.of_release(c.KEY) == []
    assert bench.writes() == 0


async def test_nothing_is_made_on_knowledge_that_is_too_old() -> None:
    bench = Bench()
    bench.feed.why = "it last heard from the API server 100 s ago"
    await bench.reconciler.of_release(c.KEY)
    assert bench.writes() == 0


async def test_a_monitor_that_can_never_work_is_not_made() -> None:
    bench = Bench(REFUSALS | {"silentAfter": "1s"})
    assert await bench.reconciler.of_release(c.KEY) == []


async def test_a_monitor_whose_definition_was_replaced_goes_and_one_whose_policy_is_gone_rests() -> None:
    bench = Bench()
    key = await bench.started()
    bench.asks()
    await bench.look(key, after=10 * MINUTE)
    assert bench.reason(key) == "NotAskedFor"
    assert "findings" not in bench.status(key)
    bench.asks(REFUSALS | {"tolerance": "0.05"})
    await bench.look(key)
    assert MONITORS.path(*key) not in bench.client.objects


async def test_a_monitor_that_found_something_stays_whatever_is_asked_now() -> None:
    bench = Bench()
    key = await bench.started()
    bench.prometheus.answered, bench.prometheus.refused = 500, 500
    await bench.look(key, after=MINUTE)
    bench.asks(REFUSALS | {"tolerance": "0.05"})
    assert await bench.look(key) is None
    bench.world.remove("ModelRelease", c.KEY)
    assert await bench.look(key) is None
    assert [found["cause"] for found in bench.status(key)["findings"]] == ["Drift"]


# What is normal.


async def test_what_is_normal_is_what_the_baseline_showed_before() -> None:
    bench = Bench(LEARNT)
    key = await bench.made()
    bench.prometheus.reference = MeanReference.of_counts(999 // 10, 999)
    assert await bench.look(key, after=MINUTE) == 15
    assert bench.prometheus.asked == [(c.BASELINE, c.NOW - timedelta(days=1), c.NOW + MINUTE)]
    assert (bench.status(key)["phase"], bench.reason(key)) == ("Learning", "TooFewObservations")
    assert "999 observations" in bench.status(key)["conditions"][0]["message"]
    bench.prometheus.reference = MeanReference.of_counts(100, 1000)
    assert await bench.look(key, after=timedelta(seconds=10)) == 5
    assert len(bench.prometheus.asked) == 1, "too early to ask again"
    await bench.look(key, after=timedelta(seconds=5))
    frozen = MonitorSpec.model_validate(bench.client.objects[MONITORS.path(*key)]["spec"]).reference
    assert frozen is not None
    assert frozen.mean is not None
    assert '"n":1000' in frozen.mean
    await bench.look(key)
    assert bench.status(key)["phase"] == "Watching"


async def test_a_release_without_a_baseline_is_measured_by_its_own_beginning() -> None:
    bench = Bench(LEARNT, change={"type": "Train"})
    key = await bench.made()
    bench.prometheus.reference = MeanReference.of_counts(100, 1000)
    await bench.look(key, after=MINUTE)
    assert bench.prometheus.asked == [(c.NAME, c.NOW, c.NOW + MINUTE)]
    assert "reference" in bench.client.objects[MONITORS.path(*key)]["spec"]
    await bench.look(key)
    await bench.look(key, after=MINUTE)
    assert bench.prometheus.asked[-1] == (c.NAME, c.NOW + MINUTE, c.NOW + 2 * MINUTE), "what was learnt from is not watched, too"


# Readings.


async def test_each_moment_is_taken_in_once_and_none_is_left_out() -> None:
    bench = Bench()
    key = await bench.started()
    bench.prometheus.answered, bench.prometheus.refused = 90, 10
    assert await bench.look(key, after=timedelta(seconds=40)) == 20
    assert bench.prometheus.asked == []
    await bench.look(key, after=timedelta(seconds=20))
    await bench.look(key, after=3 * MINUTE)
    assert [(begin - c.NOW, end - c.NOW) for _, begin, end in bench.prometheus.asked] == [(timedelta(0), MINUTE), (MINUTE, 4 * MINUTE)]
    assert bench.status(key)["observations"] == 200
    assert bench.reason(key) == "Heard"


@pytest.mark.parametrize("when", ["before_write", "after_write"])
async def test_a_process_that_dies_at_the_write_counts_nothing_twice_and_nothing_is_lost(when: str) -> None:
    bench = Bench()
    key = await bench.started()
    bench.prometheus.answered, bench.prometheus.refused = 90, 10

    def dies() -> None:
        raise Unavailable(0, "Timeout", "nobody heard of it")

    setattr(bench.client, when, dies)
    with pytest.raises(Unavailable):
        await bench.look(key, after=MINUTE)
    setattr(bench.client, when, lambda: None)
    bench.restart()
    await bench.look(key)
    assert bench.status(key)["observations"] == 100
    if when == "before_write":
        assert bench.prometheus.asked[0] == bench.prometheus.asked[1], "the same time is asked about again"


async def test_a_reading_on_a_state_that_somebody_changed_meanwhile_is_dropped() -> None:
    bench = Bench()
    key = await bench.started()
    await bench.look(key)
    bench.prometheus.answered, bench.prometheus.refused = 90, 10
    real, changed = bench.client.get, iter([False, True])

    async def get(path: str) -> Object:
        found: Object = await real(path)
        if "/releasemonitors/" in path and next(changed):
            found["status"]["state"] = found["status"]["state"].replace('"seen":0', '"seen":7')
        return found

    bench.client.get = get  # type: ignore[method-assign]
    await bench.look(key, after=MINUTE)
    assert "observations" not in bench.status(key) or bench.status(key)["observations"] == 0


@pytest.mark.parametrize(
    ("error", "cause"),
    [(PrometheusError(Unread.UNREACHABLE, "refused"), "Unreachable"), (DriftRefused("the answer is a 'matrix'"), "Refused")],
)
async def test_a_source_that_cannot_be_read_is_told_counted_and_asked_again_soon(error: Exception, cause: str) -> None:
    bench = Bench()
    key = await bench.started()
    bench.prometheus.fails = error
    assert await bench.look(key, after=MINUTE) == 15
    assert bench.reason(key) == "Unreadable"
    assert str(error) in bench.status(key)["conditions"][0]["message"]
    assert f'sluice_monitor_read_errors_total{{cause="{cause}"}} 1.0' in bench.metrics.render().decode()


LIVE: Object = {
    "name": "complied", "probe": {"suite": {"name": "churn-core"}, "metric": "complied", "live": {"port": 9000, "path": "/samples"}}, "period": "5m",
    "detects": "Mean", "missing": "0", "falseAlarmEvery": 10_000, "onDrift": "Alert",
}  # fmt: skip


@pytest.mark.parametrize("reference", [{"mean": "0.9"}, {"baseline": {"window": "1h", "atLeast": 500}}], ids=["watching", "learning"])
async def test_users_who_are_slow_to_ask_cost_one_job_a_period(reference: Object) -> None:
    bench = Bench(LIVE | {"reference": reference})
    key = await bench.started()
    for _ in range(3):
        assert await bench.look(key, after=timedelta(minutes=5)) == 300
    assert bench.reason(key) in {"NothingObserved", "TooFewObservations"}
    bench.prometheus.fails = DriftRefused("the probe failed")
    assert await bench.look(key, after=timedelta(minutes=5)) == 15, "what may be mended is asked again soon"


# What is found.


async def test_drift_is_found_written_once_and_told() -> None:
    bench = Bench()
    key = await bench.started()
    bench.prometheus.answered, bench.prometheus.refused = 700, 300
    assert await bench.look(key, after=MINUTE) is not None
    (found,) = bench.status(key)["findings"]
    assert (found["cause"], found["ask"]) == ("Drift", "RollBack")
    assert bench.status(key)["phase"] == "Alarmed"
    assert bench.events() == [("Drift", "RollBack")]
    verdict = bench.world.verdict(c.KEY, now=c.NOW)
    assert verdict is not None
    assert verdict.rolled_back
    writes, asked = bench.writes(), len(bench.prometheus.asked)
    assert await bench.look(key, after=MINUTE) is None
    assert (bench.writes(), len(bench.prometheus.asked)) == (writes, asked), "nothing is asked or written any more"


async def test_a_release_that_is_as_it_was_is_left_alone() -> None:
    bench = Bench()
    key = await bench.started()
    bench.prometheus.answered, bench.prometheus.refused = 90, 10
    for _ in range(20):
        await bench.look(key, after=MINUTE)
    assert "findings" not in bench.status(key)
    assert bench.status(key)["observations"] == 2000


@pytest.mark.parametrize("prometheus", [True, False])
async def test_silence_is_found_by_the_clock_and_an_alert_goes_when_something_is_heard(prometheus: bool) -> None:
    bench = Bench(prometheus=prometheus)
    key = await bench.started()
    await bench.look(key, after=5 * MINUTE)
    assert "findings" not in bench.status(key)
    await bench.look(key, after=timedelta(seconds=20))
    (found,) = bench.status(key)["findings"]
    assert (found["cause"], found["ask"]) == ("Silence", "Alert")
    bench.uses_prometheus = True
    bench.restart()
    bench.prometheus.answered, bench.prometheus.refused = 90, 10
    await bench.look(key, after=MINUTE)
    assert bench.reason(key) == "Heard"
    assert "findings" not in bench.status(key)


async def test_silence_that_withdraws_stays() -> None:
    bench = Bench(REFUSALS | {"onSilence": "Withdraw"})
    key = await bench.started()
    await bench.look(key, after=6 * MINUTE)
    verdict = bench.world.verdict(c.KEY, now=c.NOW)
    assert verdict is not None
    assert verdict.withdrawn
    bench.prometheus.answered, bench.prometheus.refused = 90, 10
    assert await bench.look(key, after=MINUTE) is None
    assert [found["ask"] for found in bench.status(key)["findings"]] == ["Withdraw"]


@pytest.mark.parametrize("away", [lambda bench: bench.pod(ready=False, phase="Pending"), lambda bench: bench.asks()], ids=["no Pod", "no policy"])
async def test_of_a_release_that_nobody_uses_nothing_is_expected(away: Callable[[Bench], None]) -> None:
    bench = Bench()
    key = await bench.started()
    bench.prometheus.answered, bench.prometheus.refused = 90, 10
    await bench.look(key, after=MINUTE)
    away(bench)
    await bench.look(key, after=MINUTE)
    bench.prometheus.answered, bench.prometheus.refused = 0, 0
    await bench.look(key, after=timedelta(hours=9))
    assert "findings" not in bench.status(key)
    bench.pod(ready=True)
    bench.asks(REFUSALS)
    await bench.look(key)
    await bench.look(key, after=4 * MINUTE)
    assert "findings" not in bench.status(key), "the clock begins anew"
    assert bench.prometheus.asked[-1][1] == c.NOW + 2 * MINUTE + timedelta(hours=9), "what was meanwhile does not count"
    await bench.look(key, after=2 * MINUTE)
    assert [found["cause"] for found in bench.status(key)["findings"]] == ["Silence"]


async def test_a_release_whose_pods_are_hardly_ever_ready_is_silent_like_any_other() -> None:
    bench = Bench()
    key = await bench.started()
    for minute in range(7):
        bench.pod(ready=bool(minute % 2))
        await bench.look(key, after=MINUTE)
    assert [found["cause"] for found in bench.status(key)["findings"]] == ["Silence"]


async def test_a_state_that_something_else_wrote_is_told_and_kept() -> None:
    bench = Bench()
    key = await bench.started()
    bench.client.objects[MONITORS.path(*key)]["status"]["state"] = '{"started":1}'
    assert await bench.look(key) is None
    assert bench.reason(key) == "Unusable"
    assert bench.status(key)["state"] == '{"started":1}'


async def test_a_look_without_news_writes_nothing() -> None:
    bench = Bench()
    key = await bench.started()
    await bench.look(key)
    writes = bench.writes()
    for _ in range(3):
        await bench.look(key, after=timedelta(seconds=5))
    assert bench.writes() == writes


async def test_a_monitor_that_is_gone_is_forgotten() -> None:
    bench = Bench()
    key = await bench.started()
    assert 'sluice_monitors{phase="Watching",release_namespace="payments"} 1.0' in bench.metrics.render().decode()
    del bench.client.objects[MONITORS.path(*key)]
    assert await bench.look(key) is None
    assert "sluice_monitors{" not in bench.metrics.render().decode()
