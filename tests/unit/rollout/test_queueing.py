"""A scoring Job that is suspended, let go on, and suspended again, as queues do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sluice.rollout.comparison import Scoring, Starting, Waiting
from sluice.rollout.endings import Ending
from tests.unit.rollout.canary_bench import LOOKS, NOW, Bench

BEFORE, SUSPENDED = {"startTime": "2026-11-20T12:00:00Z"}, {"conditions": [{"type": "Suspended", "status": "True"}]}


@pytest.mark.parametrize(
    ("suspend", "status"),
    [(True, {}), (True, BEFORE), (True, BEFORE | SUSPENDED), (False, SUSPENDED), (False, BEFORE | SUSPENDED)],
    ids=["never begun", "just suspended", "suspended", "let go on, and not noticed", "let go on, and not noticed, with the time of before"],
)
async def test_while_a_queue_holds_the_scorers_they_are_waited_for_and_their_time_does_not_run(suspend: bool, status: Any) -> None:  # noqa: ANN401
    bench = Bench()
    await bench.until_scoring()
    bench.job["spec"]["suspend"], bench.job["status"] = suspend, status
    waits = await bench.step(now=NOW + timedelta(days=1))
    assert isinstance(waits, Waiting)
    assert waits.reason == "ScoringSuspended"


async def test_a_job_that_waits_says_in_which_queue_and_one_that_waits_in_none_says_that() -> None:
    bench = Bench()
    await bench.until_scoring()
    bench.job["spec"]["suspend"] = True
    alone = await bench.step()
    assert isinstance(alone, Waiting)
    assert "waits in no queue" in alone.message
    bench.job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = "evaluations"
    queued = await bench.step()
    assert isinstance(queued, Waiting)
    assert "queue evaluations" in queued.message
    assert "kubectl get workloads -n payments" in queued.message


async def test_the_time_of_scorers_begins_when_their_job_is_let_go_on() -> None:
    bench = Bench()
    await bench.until_scoring()
    bench.job["status"] = {}
    assert isinstance(await bench.step(now=NOW + timedelta(days=1)), Starting), "let go on a moment ago, after a day in a queue"
    bench.job["status"] = {"startTime": "2026-11-21T12:00:00Z", "conditions": [{"type": "Suspended", "status": "False"}]}
    scoring = await bench.step(now=NOW + timedelta(days=1, seconds=3599))
    assert isinstance(scoring, Scoring)
    assert scoring.started_at == NOW + timedelta(days=1)
    with pytest.raises(Ending):
        await bench.step(now=NOW + timedelta(days=1, seconds=3601))


async def test_scorers_that_lose_their_turn_lose_no_pair_and_count_none_twice() -> None:
    bench = Bench()
    bench.scorers.looks = 1
    before = (await bench.until_scoring()).merged
    assert before.scored == LOOKS[0]
    scorers = {path: pod for path, pod in bench.client.objects.items() if "churn-2-1-scorer-" in path}
    for path in scorers:
        del bench.client.objects[path]
    bench.job["spec"]["suspend"], bench.job["status"] = True, SUSPENDED
    waits = await bench.step()
    assert isinstance(waits, Waiting)
    bench.job["spec"]["suspend"], bench.job["status"] = False, BEFORE
    # They ask everything again, and this time the candidate looks better: what was read stands.
    bench.client.objects |= scorers
    bench.scorers.difference, bench.scorers.looks = 1000, 2
    after = await bench.step()
    assert isinstance(after, Scoring)
    assert after.merged.scored == LOOKS[1]
    assert after.merged.looks[0] == before.looks[0]
    assert after.merged.looks[1].tallies["accuracy"]["all"] == {1000: (LOOKS[1] - LOOKS[0]) * 1000}
