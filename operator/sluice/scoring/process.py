"""A scorer from its files to its end: reads, asks or counts what is recorded, serves, and leaves when it is told to.

Two ways to run it. In a Job it serves what it has and stays, because the controller reads when it can, and again after a restart. At a desk it scores all units
of a plan once and gives what they come to.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

from sluice.scoring.cases import Cases
from sluice.scoring.interpret import SuiteRefused
from sluice.scoring.plan import Plan
from sluice.scoring.protocols.client import client_of
from sluice.scoring.protocols.settings import SettingsError
from sluice.scoring.remote.panel import Panel, panel_of
from sluice.scoring.replay.pairs import Pairs, PairsWorker
from sluice.scoring.samples import Keep, Sink
from sluice.scoring.statistics_server import StatisticsServer
from sluice.scoring.suite import Prepared, prepare
from sluice.scoring.tally import SIDES, Merged, ShardStatistics, merge
from sluice.scoring.worker import Worker

PROGRESS_SECONDS: Final = 5.0

log: Final = logging.getLogger(__name__)


class Terminated(Exception):
    """A signal came, or an end before everything was scored: what was scored is to be scored again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """What a scorer works on."""

    plan: Plan
    cases: Cases
    token: str | None = None
    """For the model servers."""
    pairs: Pairs | None = None
    """What both have answered, where the plan counts a recording; `cases` are its questions then."""
    judge_tokens: Mapping[str, str] = field(default_factory=dict)
    """For judges, by metric."""
    sink: Sink | None = None
    keep: Keep = Keep.DIGESTS


class Works(Protocol):
    """One shard, that is asked for or counted."""

    async def run(self) -> None:
        """Score everything."""

    def statistics(self) -> ShardStatistics:
        """What is known now."""


async def serve(scoring: Scoring, *, shard: int, host: str, port: int) -> None:
    """Score one shard and serve its statistics until somebody with the token ends it.

    Raises SuiteRefused before anything is asked, Terminated on SIGTERM, SIGINT and an end before everything is scored, and OSError when it cannot listen or
    write samples.
    """
    terminated = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, terminated.set)
    async with _worker(scoring, shard=shard) as worker:
        server = StatisticsServer(scoring.plan, worker, sink=scoring.sink)
        await server.start(host=host, port=port)
        log.info("%s: shard %d of %d, %s listens on %s:%d", scoring.plan.run, shard, scoring.plan.shards, scoring.plan.digest, host, server.port)
        try:
            await _until_told(worker, scoring.plan.run, server, terminated)
        finally:
            await server.stop()


async def score_once(scoring: Scoring) -> Merged:
    """Score all units, in this process; the plan has one shard. Raises SuiteRefused, OSError."""
    async with _worker(scoring, shard=0) as worker:
        await _run(worker, scoring.plan.run)
        return merge([worker.statistics()], plan=scoring.plan.digest, of=scoring.plan.shards)


@asynccontextmanager
async def _worker(scoring: Scoring, *, shard: int) -> AsyncIterator[Works]:
    plan = scoring.plan
    prepared = prepare(plan, scoring.cases)
    panel = _panel(scoring, prepared)
    if scoring.pairs is not None:
        async with panel:
            yield PairsWorker(plan, scoring.pairs, prepared.metrics, heard=panel.heard, sink=scoring.sink, keep=scoring.keep, ready=panel.ready)
        return
    try:
        candidate = client_of(prepared.protocol, plan.candidate, token=scoring.token, limits=prepared.limits)
        baseline = client_of(prepared.protocol, plan.baseline, token=scoring.token, limits=prepared.limits)
    except SettingsError as error:
        raise SuiteRefused(str(error)) from None
    async with candidate, baseline, panel:
        yield Worker(
            plan,
            scoring.cases.all,
            shard=shard,
            metrics=prepared.metrics,
            candidate=candidate,
            baseline=baseline,
            sink=scoring.sink,
            keep=scoring.keep,
            panel=panel,
        )


def _panel(scoring: Scoring, prepared: Prepared) -> Panel:
    try:
        return panel_of(scoring.plan, prepared.metrics, timeout_seconds=prepared.limits.timeout_seconds, tokens=scoring.judge_tokens)
    except SettingsError as error:
        raise SuiteRefused(str(error)) from None


async def _until_told(worker: Works, run: str, server: StatisticsServer, terminated: asyncio.Event) -> None:
    running = asyncio.create_task(_run(worker, run))
    ends = {asyncio.create_task(server.ended.wait()), asyncio.create_task(terminated.wait())}
    try:
        # A worker that fails ends the process at once; one that is done stays to be read.
        await asyncio.wait({running, *ends}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (running, *ends):
            task.cancel()
        await asyncio.gather(running, *ends, return_exceptions=True)
    if not (server.ended.is_set() and worker.statistics().finished):
        raise Terminated


async def _run(worker: Works, run: str) -> None:
    """Score everything, and say now and then how far it is."""
    running = asyncio.ensure_future(worker.run())
    try:
        while not (await asyncio.wait({running}, timeout=PROGRESS_SECONDS))[0]:
            log.info("%s: %s", run, _progress(worker.statistics()))
    finally:
        running.cancel()
        # A cancelled worker has given back its connections before the clients are closed.
        await asyncio.wait({running})
    await running
    log.info("%s: %s", run, _progress(worker.statistics()))


def _progress(statistics: ShardStatistics) -> str:
    failures = {side: sum(look.sums[side].get("Asked", 0) - look.sums[side].get("Answered", 0) for look in statistics.looks) for side in SIDES}
    lost = [f"{count:,} without an answer of the {side} (the first: {statistics.why.get(side, '')})" for side, count in failures.items() if count]
    return ", ".join([f"{statistics.scored:,} of {statistics.of:,} scored", *lost])
