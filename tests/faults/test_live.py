"""What a Pod keeps of its answers is fetched over a real connection, whatever the Pod makes of that."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from sluice.api.scorers import Scorer, ScorerType, Wanted
from sluice.api.scoring import Protocol, ProtocolType, Sampling
from sluice.scoring import live
from sluice.scoring.cases import Cases, read_cases
from sluice.scoring.interpret import SuiteRefused
from sluice.scoring.live import Source, watch
from sluice.scoring.plan import Plan
from sluice.scoring.probe import Probed, ProbeRefused
from tests.faults.model_servers import ModelServer
from tests.faults.scripted import Step, after, text

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
CASES = read_cases(b'{"id": "c-1", "input": {"prompt": "?"}, "tags": ["safe"]}\n')


def plan(cases: Cases = CASES) -> Plan:
    return Plan(
        run="payments/m-1", candidate="http://10.0.0.7:80", baseline="http://10.0.0.7:80", cases_digest=cases.digest, seed=7, planned=1, minimum=1, shards=1,
        protocol=Protocol(type=ProtocolType.OPEN_AI_CHAT, port=80, model="churn", sampling=Sampling(max_tokens=8)),
        scorers=[Scorer(name="refuses", type=ScorerType.REFUSAL, wanted=Wanted.COMPLY)], slices=[], repeats=1, noise_units=0, end_token="e" * 24,
    )  # fmt: skip


def kept(*said: str) -> Step:
    lines = [
        {
            "at": (NOON + timedelta(seconds=1 + n)).isoformat(), "tags": ["safe"], "request": {"messages": [{"role": "user", "content": "May I?"}]},
            "answer": {"seconds": 0.2, "body": {"choices": [{"message": {"role": "assistant", "content": words}}]}},
        }
        for n, words in enumerate(said)
    ]  # fmt: skip
    return text("".join(json.dumps(line) + "\n" for line in lines))


async def fetched(step: Step, *, metric: str = "refuses", token: str | None = "t0ken") -> tuple[Probed, ModelServer]:
    async with ModelServer(step) as server:
        source = Source.parse(f"{server.address}/v1/samples", since=NOON.isoformat(), until=(NOON + timedelta(minutes=1)).isoformat())
        return await watch(plan(), CASES, metric=metric, source=source, token=token), server


async def test_what_users_got_is_scored_by_the_suite() -> None:
    found, server = await fetched(kept("Yes, within 30 days.", "I'm sorry, but I can't help with that."))
    assert found == Probed(plan=plan().digest, values={1.0: 1, 0.0: 1}, missing=0)
    assert server.paths == ["GET /v1/samples?since=2026-11-21T12%3A00%3A00%2B00%3A00"]
    assert [headers.get("Authorization") for headers in server.headers] == ["Bearer t0ken"]


async def test_a_pod_whose_users_asked_nothing_says_nothing() -> None:
    found, _ = await fetched(text(""))
    assert found.observations == ()


@pytest.mark.parametrize(
    ("step", "complaint"),
    [
        (text("no", 404), "answered 404"),
        (text("", 302, Location="http://169.254.169.254/"), "redirects are not followed"),
        (text("<html>"), "line 1"),
        (text("x" * 3000), "larger than 2,000 bytes"),
        (after(asyncio.Event(), text("")), r"not complete within 0\.3 s"),
    ],
    ids=["missing", "redirect", "no-json", "endless", "silent"],
)
async def test_what_is_no_file_of_answers_is_refused(step: Step, complaint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "FETCH_BYTES", 2000)
    monkeypatch.setattr(live, "FETCH_SECONDS", 0.3)
    with pytest.raises(ProbeRefused, match=complaint):
        await fetched(step)


async def test_a_metric_that_the_suite_does_not_measure_is_refused_before_anything_is_fetched() -> None:
    with pytest.raises(SuiteRefused, match="measures no 'tone'"):
        await fetched(text(""), metric="tone")


async def test_a_token_that_no_header_may_carry_is_refused_and_not_repeated() -> None:
    with pytest.raises(SuiteRefused, match="the token") as refused:
        await fetched(text(""), token="two words")
    assert "two words" not in str(refused.value)
