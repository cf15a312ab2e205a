"""Pairs that were recorded where the models serve: a request, the baseline's answer, the candidate's answer to its mirror.

Neither model is asked again, so what users wrote stays where it is, and the same engine decides. One JSON object a line: a request in any form that a recording
has (`requests`), and beside it `baseline` and `candidate`; `again`, where the baseline was asked twice, tells the noise; `expect` is what somebody wrote.
A reply is `{"seconds": 0.31, "status": 200, "body": …}`, with the body as an object or, better, as the text that came; or `{"failure": "Timeout"}`; or null.

A line that cannot be read ends everything: a candidate that breaks the lines in which it errs must not look better for it. Only what depends on the question
alone is left out, and counted. A question that came several times is one unit with so many repeats: its answers depend on each other. No line is redacted
here, because what a scorer looks for would be gone with it.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sluice.api.strict_json import JsonObject, JsonValue, canonical
from sluice.scoring.answer import Answer, Failure, NoAnswer
from sluice.scoring.case import Case
from sluice.scoring.cases import Cases, CasesRefused, read_cases
from sluice.scoring.compare import Metrics, Repeat, Reply, compare
from sluice.scoring.counting import Counting
from sluice.scoring.interpret import SuiteRefused
from sluice.scoring.order import draw
from sluice.scoring.plan import Plan
from sluice.scoring.protocols.recorded import recorded_answer
from sluice.scoring.protocols.settings import Limits, ProtocolSettings
from sluice.scoring.replay.requests import LeftOut, Unusable, digest_of, document_of, request_of
from sluice.scoring.samples import Keep, Sink, sample_line
from sluice.scoring.suite import check_fits
from sluice.scoring.tally import Merged, ShardStatistics, add, merge

FILE_BYTES: Final = 256 << 20
LINE_BYTES: Final = 16 << 20
"""Two answers that are as long as a client takes them, and the question."""
VALUES: Final = 2_000_000
"""JSON values of a line: two embeddings, or the tensors of two answers, and commas in texts, which are counted too."""
REPEATS: Final = 32
AT_ONCE: Final = 64
"""Units that judges are asked about before the next ones are."""
_ID_DIGITS: Final = 24
_REPLY: Final = frozenset({"seconds", "status", "body", "failure", "message"})
_OK: Final = range(200, 300)


Heard = Callable[[Case, Sequence[Repeat]], Awaitable[Sequence[Repeat]]]
"""The repeats of a case, with what judges and containers made of them (`remote.panel`)."""


class PairsRefused(ValueError):
    """The file cannot be compared by; the message names the line, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How answers are read."""

    protocol: ProtocolSettings
    limits: Limits
    metrics: Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Units by the id of their case, each with its repeats in the order of the recording. `alike`: pairs beyond the 32 that a unit may have."""

    cases: Cases
    repeats: Mapping[str, Sequence[Repeat]]
    left_out: Mapping[LeftOut, int]
    alike: int


def read_pairs(raw: bytes, rules: Rules) -> Pairs:
    """Read a file of pairs. Raises PairsRefused."""
    if len(raw) > FILE_BYTES:
        raise PairsRefused(f"the pairs are more than {FILE_BYTES >> 20} MiB; take a random part of the requests, such as those of every tenth minute")
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
            case = _case(document, rules)
        except Unusable as error:
            left_out[error.reason] = left_out.get(error.reason, 0) + 1
            continue
        repeat = _Line(document, number, rules).repeat()
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


async def score_pairs(plan: Plan, pairs: Pairs, metrics: Metrics, *, heard: Heard, sink: Sink | None, keep: Keep) -> Merged:
    """Count all units in the random order of the plan, which has one shard; judges and containers are `heard`.

    Raises OSError when samples cannot be written.
    """
    units = draw(pairs.cases.all, seed=plan.seed, planned=plan.planned)
    counting = Counting(plan, shard=0, metrics=metrics, units=len(units))
    gates = dict.fromkeys(metrics.gates, 0)
    for start in range(0, len(units), AT_ONCE):
        some = units[start : start + AT_ONCE]
        judged = await asyncio.gather(*(heard(case, pairs.repeats[case.id]) for case in some))
        for rank, case, repeats in zip(range(start, len(units)), some, judged, strict=False):
            unit = compare(case, repeats, metrics)
            counting.take(rank, case, unit)
            gates = add((gates, unit.gates))
            if sink is not None:
                sink.write(sample_line(rank, case, repeats, unit.pairs, keep=keep))
    statistics = ShardStatistics(
        plan=plan.digest,
        shard=0,
        scored=counting.taken,
        of=len(units),
        finished=True,
        looks=counting.looks,
        gates=gates,
        samples=None if sink is None else sink.finish(),
    )
    return merge([statistics], plan=plan.digest, of=plan.shards)


def _case(document: JsonObject, rules: Rules) -> Case:
    """What was asked. Raises Unusable, for what depends on the question alone."""
    request = request_of(document, slices={})
    line = {
        "id": f"r-{digest_of(request.input)[:_ID_DIGITS]}",
        "input": request.input,
        "expect": document.get("expect", {}),
        "slices": dict(request.slices),
        "tags": [*request.tags],
    }
    try:
        case = read_cases(canonical(line)).all[0]
        check_fits(case, rules.protocol, rules.metrics)
    except CasesRefused as error:
        raise Unusable(LeftOut.INVALID, str(error)) from None
    except SuiteRefused as error:
        raise Unusable(LeftOut.UNSUITABLE, str(error)) from None
    return case


class _Line:
    """The answers of one line."""

    def __init__(self, document: JsonObject, number: int, rules: Rules) -> None:
        self._document, self._number, self._rules = document, number, rules

    def repeat(self) -> Repeat:
        """All replies. Raises PairsRefused."""
        for side in ("baseline", "candidate"):
            if side not in self._document:
                raise self._wrong(side, 'is missing; write {"seconds": …, "body": …}, or null where there is no answer')
        again = Reply(answer=self._reply("again")) if self._document.get("again") is not None else None
        return Repeat(candidate=Reply(answer=self._reply("candidate")), baseline=Reply(answer=self._reply("baseline")), again=again)

    def _reply(self, side: str) -> Answer | NoAnswer:
        reply = self._document[side]
        if reply is None:
            return NoAnswer(failure=Failure.UNREACHABLE, message="the recording has no answer")
        if not isinstance(reply, dict) or (unknown := sorted(reply.keys() - _REPLY)):
            raise self._wrong(side, f"has an unknown member {unknown[0]!r:.80}" if isinstance(reply, dict) else "is neither an object nor null")
        if "failure" in reply:
            return NoAnswer(failure=self._failure(side, reply["failure"]), message="as it was recorded")
        status = reply.get("status", 200)
        if not isinstance(status, int):
            raise self._wrong(f"{side}.status", "is no whole number")
        if status not in _OK:
            return NoAnswer(failure=Failure.REFUSED, message=f"status {status}")
        if "body" not in reply:
            raise self._wrong(f"{side}.body", "is missing; write what the server answered")
        body = reply["body"]
        content = body.encode() if isinstance(body, str) else canonical(body)
        return recorded_answer(content, seconds=self._seconds(side, reply), protocol=self._rules.protocol, limits=self._rules.limits)

    def _failure(self, side: str, value: JsonValue) -> Failure:
        try:
            return Failure(str(value))
        except ValueError:
            raise self._wrong(f"{side}.failure", f"is {value!r:.40}; write one of {', '.join(Failure)}") from None

    def _seconds(self, side: str, reply: JsonObject) -> float:
        seconds = reply.get("seconds")
        if seconds is None and not self._rules.metrics.timings:
            return 0.0
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not (math.isfinite(seconds) and seconds >= 0):
            raise self._wrong(f"{side}.seconds", f"is {seconds!r:.40}; write how long the answer took, which the suite measures")
        return float(seconds)

    def _wrong(self, where: str, what: str) -> PairsRefused:
        return PairsRefused(f"line {self._number}: {where} {what}")
