"""The least time of a comparison: a promotion waits for it, nothing else does, and whoever looks comes to the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sluice.controller import canary
from sluice.controller.canary_metrics import Step
from sluice.controller.canary_minimum import too_early
from sluice.controller.observe import Metrics
from sluice.decision.world import World
from sluice.rollout.comparison import Scoring
from tests.unit.api_memory import MemoryClient
from tests.unit.controller.canary_made import made
from tests.unit.controller.test_canary_runs import AT, Feed, reconciler, stored
from tests.unit.decision import case as c
from tests.unit.scoring.test_judgement import FINE_THEN_WORSE, PLANNED, SAME, WORSE, merged

LEAST = timedelta(minutes=10)
CASES = "".join(json.dumps(json.loads(c.CASE) | {"id": f"c-{number}"}) + "\n" for number in range(PLANNED))


def test_a_promotion_waits_until_the_time_is_over_and_not_longer() -> None:
    began = datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert too_early(began, LEAST, now=began + LEAST) == ""
    assert too_early(began, timedelta(), now=began) == ""
    told = too_early(began, LEAST, now=began + LEAST - timedelta(microseconds=1))
    assert "at 2026-11-21 12:10:00 UTC" in told


class Scored:
    """Scorers at work for `minutes`, who have found `pattern` so far."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.minutes = 0.0
        self.pattern: Sequence[int] = SAME
        self.gates: dict[str, int] = {}
        self.until = PLANNED
        monkeypatch.setattr(canary, "advance", self.advance)

    async def advance(self, *_: Any, now: datetime) -> Scoring:  # noqa: ANN401 - all that a look has
        found = merged({"accuracy": {"all": self.pattern}}, gates=self.gates, until=self.until)
        return Scoring(merged=found, started_at=now - timedelta(minutes=self.minutes), plan="{}", node="n1")


async def asked(**terms: Any) -> tuple[MemoryClient, World]:  # noqa: ANN401 - fields of the requirement
    world = c.canary_world()
    world.put("ScoringSuite", c.item("ScoringSuite", "churn-core", c.suite_spec(cases={"inline": CASES})))
    world.put("ReleasePolicy", c.canary_policy(c.canary_requirement(margin="0.05", planned=PLANNED, **terms)))
    return await made(world)


async def test_a_good_candidate_is_promoted_when_its_time_is_over_whichever_process_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    client, world = await asked(minDuration="10m")
    scored = Scored(monkeypatch)
    scored.minutes = 9
    assert await reconciler(client, Feed(world)).settle(AT) == 1.0, "it looks again by itself"
    status = stored(client)["status"]
    until = datetime.now(UTC) + timedelta(minutes=1)
    assert (status["phase"], status["decision"], status["reason"]) == ("Scoring", "Pending", "MinDurationNotOver")
    assert f"it is promoted at {until:%Y-%m-%d}" in status["message"]
    assert "decidedAt" not in status
    # Another process knows nothing but what is in the cluster.
    scored.minutes = 9.5
    assert await reconciler(client, Feed(world)).settle(AT) == 1.0
    assert stored(client)["status"]["decision"] == "Pending"
    scored.minutes = 10
    assert await reconciler(client, Feed(world)).settle(AT) == 0.0
    assert (stored(client)["status"]["decision"], stored(client)["status"]["reason"]) == ("Promote", "WithinMargin")


async def test_a_run_that_waits_for_its_time_does_not_stand_still(monkeypatch: pytest.MonkeyPatch) -> None:
    client, world = await asked(minDuration="10m")
    scored, metrics, steps = Scored(monkeypatch), Metrics(leads=lambda: True), list[Step]()
    monkeypatch.setattr(metrics.canaries, "stands", lambda _key, step: steps.append(step))
    await reconciler(client, Feed(world), metrics=metrics).settle(AT)
    scored.minutes = 10
    await reconciler(client, Feed(world), metrics=metrics).settle(AT)
    assert [step.waits for step in steps] == [True, False]


async def test_without_a_least_time_it_is_promoted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    client, world = await asked()
    Scored(monkeypatch)
    assert await reconciler(client, Feed(world)).settle(AT) == 0.0
    assert stored(client)["status"]["decision"] == "Promote"


@pytest.mark.parametrize(("pattern", "gates", "reason"), [(WORSE, {}, "WorseThanMargin"), (SAME, {"leaks": 1}, "GateHit")])
async def test_a_rollback_does_not_wait(monkeypatch: pytest.MonkeyPatch, pattern: Sequence[int], gates: dict[str, int], reason: str) -> None:
    client, world = await asked(minDuration="10m")
    scored = Scored(monkeypatch)
    scored.pattern, scored.gates = pattern, gates
    assert await reconciler(client, Feed(world)).settle(AT) == 0.0
    assert (stored(client)["status"]["decision"], stored(client)["status"]["reason"]) == ("RollBack", reason)


async def test_what_is_found_worse_while_it_waits_rolls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    client, world = await asked(minDuration="10m")
    looks, scored = reconciler(client, Feed(world)), Scored(monkeypatch)
    await looks.settle(AT)
    assert stored(client)["status"]["reason"] == "MinDurationNotOver"
    scored.gates = {"leaks": 1}
    assert await looks.settle(AT) == 0.0
    assert stored(client)["status"]["decision"] == "RollBack"


async def test_a_loss_that_shows_while_it_waits_rolls_back_though_it_was_good_enough_before(monkeypatch: pytest.MonkeyPatch) -> None:
    client, world = await asked(minDuration="10m")
    looks, scored = reconciler(client, Feed(world)), Scored(monkeypatch)
    scored.pattern, scored.until = FINE_THEN_WORSE["accuracy"]["all"], 250
    await looks.settle(AT)
    assert stored(client)["status"]["reason"] == "MinDurationNotOver"
    scored.until = PLANNED
    assert await looks.settle(AT) == 0.0
    assert (stored(client)["status"]["decision"], stored(client)["status"]["reason"]) == ("RollBack", "WorseThanMargin")


async def test_users_meet_nobody_before_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    client, world = await asked(minDuration="10m", exposure=[{"share": "0.5", "for": "10m"}])
    scored = Scored(monkeypatch)
    await reconciler(client, Feed(world)).settle(AT)
    assert stored(client)["status"]["phase"] == "Scoring"
    scored.minutes = 11
    await reconciler(client, Feed(world)).settle(AT)
    assert stored(client)["status"]["phase"] == "Exposing"


async def test_what_is_not_decided_waits_for_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    client, world = await asked(minDuration="10m")
    scored = Scored(monkeypatch)
    scored.pattern = (0, 0, 0, 0, 0, 0, 0, 0, 0, -1000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    assert await reconciler(client, Feed(world)).settle(AT) == 0.0
    assert (stored(client)["status"]["decision"], stored(client)["status"]["reason"]) == ("Inconclusive", "AllScored")
