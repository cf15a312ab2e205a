"""Scores the units of one shard: asks both sides, pair by pair, and keeps count.

1. *Pairs close in time.* Both sides are asked one after the other, which first is by the hash, so that load and warm caches meet both alike.
2. *In rank order.* Units are asked some at a time and counted in the order of their ranks, whichever is done first. So a look is complete when the count
   passes it, and the same answers give the same statistics to the byte.
3. *One retry, for both alike.* A question is repeated only when no connection held, and only once: a blip of the network is not held against the candidate, and
   a server that drops every third connection does not pass as whole. A status, a broken or a late answer stands. When it still fails, the candidate gets
   the worst score, unless the baseline failed as well: then there is no pair.
4. *Gates at once.* What no comparison excuses is told as soon as it is seen, before its unit is counted.

Nothing is stored: a worker that dies is started again and asks everything again. Time is told by the answers; the worker waits, and reads no clock. Answers are
scored between questions, in the same thread: a scorer that takes long delays both sides alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from sluice.scoring.answer import Answer, Failure, NoAnswer
from sluice.scoring.case import Case
from sluice.scoring.compare import Metrics, Repeat, Reply, Unit, compare
from sluice.scoring.counting import Counting
from sluice.scoring.order import ask_seed, candidate_first, draw, of_shard
from sluice.scoring.plan import Plan
from sluice.scoring.readiness import READY_SECONDS, until_ready
from sluice.scoring.remote.panel import Panel
from sluice.scoring.samples import Keep, Sink, sample_line
from sluice.scoring.tally import Samples, ShardStatistics, add

RETRY_AFTER_SECONDS: Final = 0.2
AHEAD: Final = 16
"""Units that may be done before an older one that takes long, for each that is asked at a time: bounds the memory."""


class Client(Protocol):
    """One side, as `sluice.scoring.protocols` gives it."""

    async def ask(self, case: Case, *, seed: int) -> Answer | NoAnswer:
        """Ask once. Raises nothing for what a server does."""

    async def ready(self) -> bool:
        """Whether it can be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    """A unit with all its answers scored, waiting for its turn to be counted."""

    rank: int
    case: Case
    unit: Unit
    line: bytes | None


class Worker:
    """One shard of a run. `run` once; `statistics` may be asked at any time."""

    def __init__(
        self,
        plan: Plan,
        cases: Sequence[Case],
        *,
        shard: int,
        metrics: Metrics,
        candidate: Client,
        baseline: Client,
        sink: Sink | None = None,
        keep: Keep = Keep.DIGESTS,
        panel: Panel | None = None,
        ready_seconds: float = READY_SECONDS,
    ) -> None:
        self._plan = plan
        self._digest = plan.digest
        self._shard = shard
        self._units = of_shard(draw(cases, seed=plan.seed, planned=plan.planned), shard=shard, shards=plan.shards)
        self._metrics = metrics
        self._sides = (candidate, baseline)
        self._panel = panel or Panel({}, seed=plan.seed)
        self._sink = sink
        self._keep = keep
        self._ready_seconds = ready_seconds
        self._counting = Counting(plan, shard=shard, metrics=metrics, units=len(self._units))
        self._done: dict[int, _Done] = {}
        self._gates = dict.fromkeys(metrics.gates, 0)
        self._samples: Samples | None = None
        self._finished = False
        self._ahead = asyncio.Semaphore(plan.protocol.concurrency * AHEAD)
        self._at_once = asyncio.Semaphore(plan.protocol.concurrency)

    async def run(self) -> None:
        """Score everything. Raises OSError when samples cannot be written; a scorer without its audit trail does not go on."""
        candidate, baseline = self._sides
        everybody = {"the candidate": candidate.ready, "the baseline": baseline.ready, "a judge or container that scores": self._panel.ready}
        await until_ready(everybody, run=self._plan.run, seconds=self._ready_seconds)
        try:
            async with asyncio.TaskGroup() as group:
                for index, (rank, case) in enumerate(self._units):
                    await self._ahead.acquire()
                    await self._at_once.acquire()
                    group.create_task(self._score(index, rank, case))
        except* OSError as errors:
            raise errors.exceptions[0] from None
        if self._sink is not None:
            self._samples = await asyncio.to_thread(self._sink.finish)
        self._finished = True

    def statistics(self) -> ShardStatistics:
        """What is known now."""
        return ShardStatistics(
            plan=self._digest,
            shard=self._shard,
            scored=self._counting.taken,
            of=len(self._units),
            finished=self._finished,
            looks=self._counting.looks,
            gates=dict(self._gates),
            samples=self._samples,
            why=self._counting.why,
        )

    async def _score(self, index: int, rank: int, case: Case) -> None:
        try:
            repeats = [await self._repeat(index, case, number) for number in range(self._plan.repeats)]
        finally:
            self._at_once.release()
        repeats = await self._panel.heard(case, repeats)
        unit = compare(case, repeats, self._metrics)
        self._gates = add((self._gates, unit.gates))
        line = None if self._sink is None else sample_line(rank, case, repeats, unit.pairs, keep=self._keep)
        self._done[index] = _Done(rank=rank, case=case, unit=unit, line=line)
        self._fold()

    async def _repeat(self, index: int, case: Case, number: int) -> Repeat:
        seed = ask_seed(self._plan.seed, case.id, number)
        candidate, baseline = self._sides
        if candidate_first(self._plan.seed, case.id, number):
            first, second = await _asked(candidate, case, seed), await _asked(baseline, case, seed)
        else:
            second, first = await _asked(baseline, case, seed), await _asked(candidate, case, seed)
        again = await _asked(baseline, case, seed) if index < self._plan.noise_units else None
        return Repeat(candidate=first, baseline=second, again=again)

    def _fold(self) -> None:
        """Take what is done in rank order, as far as there is no gap."""
        while (done := self._done.pop(self._counting.taken, None)) is not None:
            self._ahead.release()
            self._counting.take(done.rank, done.case, done.unit)
            if self._sink is not None and done.line is not None:
                self._sink.write(done.line)


async def _asked(side: Client, case: Case, seed: int) -> Reply:
    answer = await side.ask(case, seed=seed)
    if not (isinstance(answer, NoAnswer) and answer.failure is Failure.UNREACHABLE):
        return Reply(answer=answer)
    await asyncio.sleep(RETRY_AFTER_SECONDS)
    return Reply(answer=await side.ask(case, seed=seed), retries=1)
