"""Two sides that answer as the test says, a small plan, and cases to ask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from sluice.api.scorers import Scorer, ScorerType
from sluice.api.scoring import Protocol, ProtocolType
from sluice.scoring.answer import Answer, Failure, NoAnswer
from sluice.scoring.case import Case, Prompt
from sluice.scoring.compare import Metrics
from sluice.scoring.plan import Plan
from sluice.scoring.scorers.score import Hit, Score

Reply = Answer | NoAnswer
UNREACHABLE = NoAnswer(failure=Failure.UNREACHABLE, message="no connection")
TIMEOUT = NoAnswer(failure=Failure.TIMEOUT, message="too late")
CASES_DIGEST = "sha256:" + "c" * 64


def said(text: str, *, seconds: float = 0.1) -> Answer:
    """An answer with this text."""
    return Answer(text=text, latency_seconds=seconds, completion_tokens=len(text))


def cases(number: int) -> list[Case]:
    """Cases that expect `yes`; every third one in region EMEA, the others in DACH."""
    regions = ("EMEA", "DACH", "DACH")
    return [Case(id=f"c-{index}", input=Prompt(text=f"{index}?"), expect={"text": "yes"}, slices={"region": regions[index % 3]}) for index in range(number)]


def exact(case: Case, answer: Answer) -> Score:
    """1 for what is expected, 0 for anything else, nothing for a case that expects nothing."""
    return Score(value=None if "text" not in case.expect else float(answer.text == case.expect["text"]))


def secret(_case: Case, answer: Answer) -> tuple[Hit, ...]:
    """A gate that the word `secret` hits."""
    return (Hit(where="text", what="the word"),) if "secret" in answer.text else ()


METRICS = Metrics(scorers={"accuracy": exact}, gates={"exfiltration": secret}, sums={"tokens": lambda answer: answer.completion_tokens})


def plan(*, planned: int = 40, shards: int = 1, seed: int = 7, repeats: int = 1, noise_units: int = 0, concurrency: int = 4, minimum: int = 10) -> Plan:
    """A plan that the metrics above fit."""
    return Plan(
        run="payments/churn-2-1-0-1",
        candidate="http://10.0.0.7:8080",
        baseline="http://10.0.0.8:8080",
        cases_digest=CASES_DIGEST,
        seed=seed,
        planned=planned,
        minimum=min(minimum, planned),
        shards=shards,
        protocol=Protocol(type=ProtocolType.OPEN_INFERENCE, port=8080, model="churn", concurrency=concurrency),
        scorers=[
            Scorer(name="accuracy", type=ScorerType.EXACT_MATCH),
            Scorer(name="length", type=ScorerType.NUMERIC),
            Scorer(name="exfiltration", type=ScorerType.EXFILTRATION),
            Scorer(name="tokens", type=ScorerType.TOKENS),
        ],
        slices=["region"],
        repeats=repeats,
        noise_units=noise_units,
        end_token="a-token-of-the-run",
    )


class Side:
    """Answers from a table by case id, or always the same; keeps what it was asked, in order."""

    def __init__(
        self, answers: Mapping[str, Sequence[Reply]] | Reply, *, journal: list[str] | None = None, name: str = "", pause: Callable[[str], int] = len
    ) -> None:
        self._answers = answers
        self._left = {case: list(replies) for case, replies in answers.items()} if isinstance(answers, Mapping) else {}
        self._journal = journal
        self._name = name
        self._pause = pause
        self.asked: list[tuple[str, int]] = []
        self.is_ready = True

    async def ask(self, case: Case, *, seed: int) -> Reply:
        """Give the next answer for the case; the last one repeats."""
        self.asked.append((case.id, seed))
        if self._journal is not None:
            self._journal.append(f"{self._name} {case.id}")
        # Some take longer than others, so that they do not arrive in the order in which they were asked.
        for _ in range(self._pause(case.id)):
            await asyncio.sleep(0)
        if not isinstance(self._answers, Mapping):
            return self._answers
        replies = self._left[case.id]
        return replies.pop(0) if len(replies) > 1 else replies[0]

    async def ready(self) -> bool:
        """As the test says."""
        return self.is_ready
