"""One side alone: each case gives one value, what has none is told, and what it comes to fits into what a container may say at its end."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sluice.scoring import probe as probing
from sluice.scoring.case import Case, Prompt
from sluice.scoring.compare import Metrics
from sluice.scoring.probe import MESSAGE_BYTES, Probed, ProbeRefused, as_message, ask_all, probed, read_message
from sluice.scoring.scorers.latency import LatencySettings
from sluice.scoring.scorers.score import Score
from tests.unit.scoring import sides
from tests.unit.scoring.sides import METRICS, TIMEOUT, UNREACHABLE, Side, said

PLAN = sides.plan(planned=6)
LATENCY = LatencySettings(limit_seconds=1, quantile=0.95, tolerance=0.1, confidence=0.95)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "RETRY_AFTER_SECONDS", 0)


async def asked(cases: list[Case], side: Side, *, metric: str = "accuracy", metrics: Metrics = METRICS) -> Probed:
    return await ask_all(PLAN, cases, metric=metric, metrics=metrics, client=side)


async def test_each_case_gives_one_value_and_what_was_not_answered_is_missing() -> None:
    cases = sides.cases(4)
    answers: dict[str, list[sides.Reply]] = {"c-0": [said("yes")], "c-1": [said("no")], "c-2": [TIMEOUT], "c-3": [UNREACHABLE, said("yes")]}
    found = await asked(cases, Side(answers))
    assert (found.values, found.missing) == ({1.0: 2, 0.0: 1}, 1)
    assert found.observations == (0.0, 1.0, 1.0, None)


async def test_what_is_no_connection_twice_is_missing() -> None:
    assert (await asked(sides.cases(1), Side({"c-0": [UNREACHABLE, UNREACHABLE]}))).missing == 1


async def test_the_same_cases_are_asked_each_time_and_no_more_than_planned() -> None:
    cases = sides.cases(40)
    first, second = Side({case.id: [said("yes")] for case in cases}), Side({case.id: [said("yes")] for case in cases})
    found = await asked(cases, first)
    await asked(list(reversed(cases)), second)
    assert sum(found.values.values()) == PLAN.planned == 6
    assert sorted(first.asked) == sorted(second.asked)


async def test_a_case_that_is_not_for_the_metric_is_not_asked() -> None:
    other = Case(id="other", input=Prompt(text="?"), expect={})
    side = Side({"c-0": [said("yes")]})
    found = await asked([*sides.cases(1), other], side)
    assert (sum(found.values.values()), found.missing) == (1, 0)
    assert all("other" not in str(call) for call in side.asked)


async def test_seconds_are_the_values_of_a_latency() -> None:
    metrics = replace(METRICS, timings={"latency": LATENCY})
    found = await asked(sides.cases(2), Side({"c-0": [said("x", seconds=0.25)], "c-1": [said("y", seconds=2.0)]}), metric="latency", metrics=metrics)
    assert found.observations == (0.25, 2.0)


async def test_an_answer_that_breaks_a_scorer_is_missing() -> None:
    def breaks(case: Case, answer: object) -> Score:
        if getattr(answer, "text", ""):
            raise ValueError(case.id)
        return Score(value=1.0)

    found = await asked(sides.cases(1), Side({"c-0": [said("x")]}), metrics=Metrics(scorers={"accuracy": breaks}))
    assert found.observations == (None,)


def test_only_what_one_side_alone_has_a_value_of_can_be_watched() -> None:
    metrics = replace(METRICS, timings={"latency": LATENCY}, pair_scorers={"agreement": lambda *_: Score(value=1.0)})
    assert [name for name in ("accuracy", "latency", "agreement", "exfiltration", "tokens", "unknown") if probed(metrics, name)] == ["accuracy", "latency"]


# What the container says.


def test_what_was_said_is_read_as_it_was() -> None:
    told = Probed(plan=PLAN.digest, values={0.0: 20, 0.5: 1, 1.0: 80}, missing=2)
    assert read_message(as_message(told), plan=PLAN.digest, most=1000) == told


def test_many_different_values_are_rounded_as_little_as_it_takes() -> None:
    told = Probed(plan=PLAN.digest, values={0.1 + n / 7919: 1 for n in range(1000)}, missing=0)
    message = as_message(told)
    assert 1000 < len(message) <= MESSAGE_BYTES
    read = read_message(message, plan=PLAN.digest, most=1000)
    assert sum(read.values.values()) == 1000
    mean = sum(value * number for value, number in read.values.items()) / 1000
    assert mean == pytest.approx(sum(told.values) / 1000, abs=1e-4)


def test_values_that_do_not_fit_at_all_are_refused() -> None:
    with pytest.raises(ProbeRefused, match="do not fit"):
        as_message(Probed(plan=PLAN.digest, values={float(n): 1 for n in range(1000)}, missing=0))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"plan": "sha256:other"}, "speaks of plan"),
        ({"missing": -1}, "values"),
        ({"missing": True}, "values"),
        ({"missing": 0, "values": {}}, "values"),
        ({"values": {"1.0": 1001}}, "at most 1,000"),
        ({"values": {"1.0": 0}}, "how often"),
        ({"values": {"1.0": True}}, "how often"),
        ({"values": {"nan": 1}}, "how often"),
        ({"values": {"inf": 1}}, "how often"),
        ({"values": {"x": 1}}, "how often"),
        ({"values": []}, "another form"),
        ({"more": 1}, "another form"),
    ],
)
def test_what_no_probe_says_is_refused(changes: dict[str, object], problem: str) -> None:
    told = {"plan": PLAN.digest, "missing": 0, "values": {"1.0": 5}} | changes
    with pytest.raises(ProbeRefused, match=problem):
        read_message(json.dumps(told).encode(), plan=PLAN.digest, most=1000)


@pytest.mark.parametrize("raw", [b"", b"[]", b"the suite measures no 'x'", b" " * 5000, b"\xff"])
def test_what_is_not_even_json_is_refused(raw: bytes) -> None:
    with pytest.raises(ProbeRefused):
        read_message(raw, plan=PLAN.digest, most=1000)
