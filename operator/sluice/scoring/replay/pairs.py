"""Pairs that were recorded where the models serve: a request, the baseline's answer, the candidate's answer to its mirror.

Neither model is asked again, so what users wrote stays where it is, and the same engine decides. One JSON object a line: a request in any form that a recording
has (`requests`), and beside it the replies (`exchange`) `baseline` and `candidate`; `again`, where the baseline was asked twice, tells the noise; `expect` is
what somebody wrote.

A line that cannot be read ends everything: a candidate that breaks the lines in which it errs must not look better for it. Only what depends on the question
alone is left out, and counted. A question that came several times is one unit with so many repeats: its answers depend on each other. No line is redacted
here, because what a scorer looks for would be gone with it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sluice.api.strict_json import JsonObject
from sluice.scoring.bounds import LINE_BYTES, VALUES
from sluice.scoring.case import Case
from sluice.scoring.cases import Cases
from sluice.scoring.compare import Metrics, Repeat, Reply, compare
from sluice.scoring.counting import Counting
from sluice.scoring.order import draw
from sluice.scoring.plan import Plan
from sluice.scoring.readiness import READY_SECONDS, Ready, until_ready
from sluice.scoring.replay.exchange import ReplyRefused, Rules, case_of, reply_of
from sluice.scoring.replay.requests import LeftOut, Unusable, document_of
from sluice.scoring.samples import Keep, Sink, sample_line
from sluice.scoring.tally import BASELINE, CANDIDATE, Merged, Samples, ShardStatistics, add, merge

REPEATS: Final = 32
AT_ONCE: Final = 64
"""Units that judges are asked about before the next ones are."""


Heard = Callable[[Case, Sequence[Repeat]], Awaitable[Sequence[Repeat]]]
"""The repeats of a case, with what judges and containers made of them (`remote.panel`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Of a file of pairs, all of which is held in memory: bytes, lines, and JSON values as commas and brackets tell."""

    size: int
    lines: int
    values: int


PINNED: Final = Bounds(size=64 << 20, lines=200_000, values=16_000_000)
"""Of a recording that a `CanaryRun` counts, in the Pod of a scorer."""
AT_A_DESK: Final = Bounds(size=4 * PINNED.size, lines=4 * PINNED.lines, values=4 * PINNED.values)


class PairsRefused(ValueError):
    """The file cannot be compared by; the message names the line, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Units by the id of their case, each with its repeats in the order of the recording. `alike`: pairs beyond the 32 that a unit may have."""

    cases: Cases
    repeats: Mapping[str, Sequence[Repeat]]
    left_out: Mapping[LeftOut, int]
    alike: int


def read_pairs(raw: bytes, rules: Rules, *, bounds: Bounds = AT_A_DESK) -> Pairs:
    """Read a file of pairs. Raises PairsRefused."""
    _check_bounds(raw, bounds)
    cases: dict[str, Case] = {}
    repeats: dict[str, list[Repeat]] = {}
    left_out: dict[LeftOut, int] = {}
    alike = 0
    for number, line in enumerate(raw.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            document = document_of(line, limit=LINE_BYTES, values=VALUES)
        except Unusable as error:
            raise PairsRefused(f"line {number}: {error}; a pair that cannot be read could be the one in which the candidate errs") from None
        try:
            case = case_of(document, rules)
        except Unusable as error:
            left_out[error.reason] = left_out.get(error.reason, 0) + 1
            continue
        try:
            repeat = _repeat(document, rules)
        except ReplyRefused as error:
            raise PairsRefused(f"line {number}: {error}") from None
        case = cases.setdefault(case.id, case)
        known = repeats.setdefault(case.id, [])
        if len(known) < REPEATS:
            known.append(repeat)
        else:
            alike += 1
    if not cases:
        told = ", ".join(f"{reason} {count:,}" for reason, count in sorted(left_out.items()))
        raise PairsRefused(f"there is no pair in the file{f'; left out: {told}' if told else ''}")
    found = Cases(digest="sha256:" + hashlib.sha256(raw).hexdigest(), all=tuple(cases.values()))
    return Pairs(cases=found, repeats=repeats, left_out=left_out, alike=alike)


def _check_bounds(raw: bytes, bounds: Bounds) -> None:
    """Look at the size of what would be built before anything is."""
    if len(raw) > bounds.size:
        what = f"more than {bounds.size >> 20} MiB"
    elif raw.count(b"\n") >= bounds.lines:
        what = f"more than {bounds.lines:,} lines"
    elif sum(map(raw.count, (b",", b"{", b"["))) > bounds.values:
        what = f"more than {bounds.values:,} values"
    else:
        return
    raise PairsRefused(f"the pairs are {what}; take a random part of the requests, such as those of every tenth minute")


class PairsWorker:
    """Counts all units in the random order of a plan, which has one shard. `run` once; `statistics` may be asked at any time."""

    def __init__(
        self, plan: Plan, pairs: Pairs, metrics: Metrics, *, heard: Heard, sink: Sink | None, keep: Keep, ready: Ready | None = None
    ) -> None:  # fmt: skip
        self._plan = plan
        self._digest = plan.digest
        self._pairs = pairs
        self._metrics = metrics
        self._heard = heard
        self._sink = sink
        self._keep = keep
        self._ready = ready
        self._units = draw(pairs.cases.all, seed=plan.seed, planned=plan.planned)
        self._counting = Counting(plan, shard=0, metrics=metrics, units=len(self._units))
        self._gates = dict.fromkeys(metrics.gates, 0)
        self._samples: Samples | None = None
        self._finished = False

    async def run(self) -> None:
        """Count everything; judges and containers are `heard` once they are `ready`. Raises OSError when samples cannot be written."""
        if self._ready is not None:
            await until_ready({"a judge or container that scores": self._ready}, run=self._plan.run, seconds=READY_SECONDS)
        for start in range(0, len(self._units), AT_ONCE):
            some = self._units[start : start + AT_ONCE]
            judged = await asyncio.gather(*(self._heard(case, self._pairs.repeats[case.id]) for case in some))
            for rank, case, repeats in zip(range(start, len(self._units)), some, judged, strict=False):
                unit = compare(case, repeats, self._metrics)
                self._counting.take(rank, case, unit)
                self._gates = add((self._gates, unit.gates))
                if self._sink is not None:
                    self._sink.write(sample_line(rank, case, repeats, unit.pairs, keep=self._keep))
        if self._sink is not None:
            self._samples = await asyncio.to_thread(self._sink.finish)
        self._finished = True

    def statistics(self) -> ShardStatistics:
        """What is known now."""
        return ShardStatistics(
            plan=self._digest,
            shard=0,
            scored=self._counting.taken,
            of=len(self._units),
            finished=self._finished,
            looks=self._counting.looks,
            gates=dict(self._gates),
            samples=self._samples,
            why=self._counting.why,
        )


async def score_pairs(plan: Plan, pairs: Pairs, metrics: Metrics, *, heard: Heard, sink: Sink | None, keep: Keep) -> Merged:
    """Count all units in the random order of the plan, which has one shard; judges and containers are `heard`.

    Raises OSError when samples cannot be written.
    """
    worker = PairsWorker(plan, pairs, metrics, heard=heard, sink=sink, keep=keep)
    await worker.run()
    return merge([worker.statistics()], plan=plan.digest, of=plan.shards)


def _repeat(document: JsonObject, rules: Rules) -> Repeat:
    """All replies of a line. Raises ReplyRefused."""
    candidate, baseline = (Reply(answer=reply_of(document, side, rules)) for side in (CANDIDATE, BASELINE))
    again = Reply(answer=reply_of(document, "again", rules)) if document.get("again") is not None else None
    return Repeat(candidate=candidate, baseline=baseline, again=again)
