"""Answers that users got: each of its time counts once, what cannot be read counts as missing, and what nobody can date is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sluice.api.base import parse_time
from sluice.scoring import live
from sluice.scoring.compare import Metrics
from sluice.scoring.live import Source, scored
from sluice.scoring.probe import Probed, ProbeRefused
from sluice.scoring.protocols.settings import Limits, ProtocolSettings, ProtocolType, SettingsError
from sluice.scoring.replay.exchange import Rules
from sluice.scoring.scorers.latency import LatencySettings
from tests.unit.scoring.sides import METRICS

TIMED = Metrics(scorers=METRICS.scorers, timings={"latency": LatencySettings(limit_seconds=1, quantile=0.9, tolerance=0.1, confidence=0.95)})
RULES = Rules(protocol=ProtocolSettings(type=ProtocolType.OPENAI_COMPLETIONS, model="churn"), limits=Limits(timeout_seconds=2), metrics=METRICS)
CHECKOUT = Path(__file__).parents[3]
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)

Json = Any


def says(text: str, seconds: float = 0.1) -> dict[str, Json]:
    return {"seconds": seconds, "body": {"choices": [{"text": text}]}}


def exchange(second: float, answer: Json, **more: Json) -> dict[str, Json]:
    at = (NOON + timedelta(seconds=second)).isoformat()
    return {"at": at, "request": {"prompt": "May I?"}, "expect": {"text": "yes"}, "answer": answer, **more}


def of(*lines: Json, metric: str = "accuracy", metrics: Metrics = METRICS, since: datetime = NOON, until: datetime = LATER) -> Probed:
    raw = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    rules = Rules(protocol=RULES.protocol, limits=RULES.limits, metrics=metrics)
    return scored(raw, rules, plan="sha256:p", metric=metric, between=(since, until))


def test_each_answer_gives_one_value() -> None:
    found = of(exchange(1, says("yes")), exchange(2, says("no")), b"", exchange(3, says("yes")))
    assert found == Probed(plan="sha256:p", values={1.0: 2, 0.0: 1}, missing=0)


def test_two_times_that_follow_each_other_count_everything_once() -> None:
    lines = [exchange(second, says("yes")) for second in (0, 0.5, 60, 60.5, 120, 121)]
    numbers = [sum(of(*lines, since=NOON + timedelta(minutes=n - 1), until=NOON + timedelta(minutes=n)).values.values()) for n in (0, 1, 2, 3)]
    assert numbers == [1, 2, 2, 1]


@pytest.mark.parametrize(
    "answer",
    [None, {"failure": "Timeout"}, {"status": 500, "body": ""}, {"body": "{"}, {"seconds": 3, "body": {"choices": [{"text": "yes"}]}}, 7, {"text": "yes"}],
)
def test_an_answer_that_is_none_or_cannot_be_read_is_missing(answer: Json) -> None:
    assert of(exchange(1, answer)).observations == (None,)


def test_a_question_that_cannot_be_used_is_left_out() -> None:
    found = of(exchange(1, says("no"), request={"image": "…"}), exchange(2, says("no"), expect={}), exchange(3, says("yes")))
    assert found.observations == (1.0,)


def test_seconds_are_the_values_of_a_latency() -> None:
    found = of(exchange(1, says("yes", 0.25)), exchange(2, {"body": "{}"}), metric="latency", metrics=TIMED)
    assert found.observations == (0.25, None)


def test_of_very_many_the_newest_count() -> None:
    old = [exchange(n / 1000, says("no")) for n in range(1, 501)]
    new = [exchange(1 + n / 1000, says("yes")) for n in range(1000)]
    assert of(*new, *old).values == {1.0: 1000}


@pytest.mark.parametrize(
    ("line", "complaint"),
    [(b"{", "line 2"), (b"[]", "line 2"), ({"at": "noon"}, "at is no time"), ({"answer": None}, "at is no time"), ({"at": 1}, "at is no time")],
)
def test_a_line_that_nobody_can_date_is_refused(line: Json, complaint: str) -> None:
    with pytest.raises(ProbeRefused, match=complaint):
        of(exchange(1, says("yes")), line)


def test_a_line_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LINE_BYTES", 100)
    with pytest.raises(ProbeRefused, match="line 1"):
        of(exchange(1, says("yes" * 100)))


def test_a_source_says_where_and_of_which_time() -> None:
    source = Source.parse("http://10.0.0.7:9000/v1/samples", since=NOON.isoformat(), until="2026-11-21T12:01:00Z")
    assert (source.endpoint.origin, source.path) == ("http://10.0.0.7:9000", "/v1/samples")
    assert (source.since, source.until) == (NOON, parse_time("2026-11-21T12:01:00Z")) == (NOON, LATER)
    as_documented = replace(source, since=parse_time("2026-11-21T15:00:00Z"))
    assert f"`GET {source.path}?{as_documented.query}`" in (CHECKOUT / "docs" / "monitors.md").read_text(encoding="utf-8")


def test_a_source_that_is_none_is_refused() -> None:
    with pytest.raises(ProbeRefused, match="no time"):
        Source.parse("http://10.0.0.7:9000/", since="noon", until=NOON.isoformat())
    with pytest.raises(SettingsError):
        Source.parse("file:///etc/passwd", since=NOON.isoformat(), until=NOON.isoformat())
