"""A scorer says how far it is, and what is wrong before it asks anybody."""

from __future__ import annotations

import json
import logging
from types import TracebackType
from typing import Self

import pytest

from sluice.api.scoring import SuiteSpec
from sluice.scoring import process
from sluice.scoring.answer import Answer, NoAnswer
from sluice.scoring.cases import read_cases
from sluice.scoring.interpret import SuiteRefused
from sluice.scoring.plan import plan_run
from sluice.scoring.process import Scoring, score_once
from tests.unit.scoring.sides import TIMEOUT, Side, said

CASES = read_cases(b"".join(json.dumps({"id": f"c-{n}", "input": {"prompt": "?"}, "expect": {"text": "yes"}}).encode() + b"\n" for n in range(30)))
SUITE = SuiteSpec.model_validate(
    {
        "protocol": {"type": "OpenAICompletions", "port": 80, "model": "churn", "sampling": {"maxTokens": 8}},
        "cases": {"inline": "elsewhere"},
        "scorers": [{"name": "accuracy", "type": "ExactMatch"}],
    }
)


class Opened(Side):
    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.is_ready = False


def scoring(*, candidate: str = "http://candidate:1") -> Scoring:
    plan = plan_run(SUITE, CASES, run="a/b", candidate=candidate, baseline="http://baseline:1", seed=1, planned=30, minimum=None, shards=1, end_token="t" * 16)
    return Scoring(plan=plan, cases=CASES)


async def test_how_far_it_is_and_who_does_not_answer_is_logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    answers: dict[str, Answer | NoAnswer] = {"http://candidate:1": TIMEOUT, "http://baseline:1": said("yes")}
    monkeypatch.setattr(process, "PROGRESS_SECONDS", 0.0)
    monkeypatch.setattr(process, "client_of", lambda _protocol, endpoint, *, token, limits: Opened(answers[endpoint]))  # noqa: ARG005 - as the real one
    with caplog.at_level(logging.INFO, logger=process.log.name):
        merged = await score_once(scoring())
    assert merged.finished
    messages = [record.getMessage() for record in caplog.records if record.name == process.log.name]
    assert messages[-1] == f"a/b: 30 of 30 scored, 30 without an answer of the candidate (the first: {TIMEOUT.message})"
    assert messages[0].startswith("a/b: 0 of 30 scored")


async def test_an_endpoint_that_is_none_is_refused() -> None:
    with pytest.raises(SuiteRefused, match="the endpoint has no http"):
        await score_once(scoring(candidate="ftp://candidate"))
