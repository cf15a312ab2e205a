"""A run that is over, counted again from its samples: the question of an auditor. Pure.

1. *The order*: the rank of every sample is that which the seed gives to its case. Whoever chose afterwards which cases count would have to find a seed for it.
2. *The scores*: where samples keep texts, answers are scored again, and must come to the differences that the sample tells. Elsewhere differences must at least
   be possible: an answer of the baseline, and the worst where the candidate gave none.
3. *The counts*, by the code that counted for the run, shard by shard.

What it cannot show: that the models said what the samples say. Samples are believed as far as their digest is in the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from sluice.api.strict_json import JsonObject, JsonRefused, JsonValue, parse
from sluice.scoring.answer import Answer, Failure, NoAnswer
from sluice.scoring.case import Case
from sluice.scoring.compare import Metrics, Pair, Repeat, Reply, Unit, compare
from sluice.scoring.counting import Counting
from sluice.scoring.order import draw, of_shard
from sluice.scoring.plan import Plan
from sluice.scoring.protocols.settings import Limits
from sluice.scoring.protocols.turn import Call, tool_call_of
from sluice.scoring.samples import TEXT_LENGTH, answer_digest
from sluice.scoring.scorers.score import Hit
from sluice.scoring.tally import BASELINE, CANDIDATE, WORST, Merged, ShardStatistics, add, merge

LINE_BYTES: Final = 64 << 20
VALUES: Final = 200_000
_DIFFERENCE_LENGTH: Final = 64
_LIMITS: Final = Limits()


class SamplesRefused(ValueError):
    """Samples that are not those of this run, or contradict themselves; the message names the rank, or the line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """What samples come to. `rescored` of all `answers` were scored again from their texts."""

    merged: Merged
    units: int
    answers: int
    rescored: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    rank: int
    unit: Unit
    answers: int
    rescored: int


def repeat(plan: Plan, cases: Sequence[Case], metrics: Metrics, lines: Iterable[bytes]) -> Repeated:
    """Count samples again; lines in any order. Ranks may be missing: what is behind a gap does not count. Raises SamplesRefused."""
    drawn = draw(cases, seed=plan.seed, planned=plan.planned)
    samples: dict[int, _Sample] = {}
    names = _Names(compared=frozenset(plan.compared), told=frozenset(plan.expected(0).metrics) - metrics.timings.keys())
    for number, line in enumerate(lines, start=1):
        sample = _sample(line, number, drawn, plan, metrics, names)
        if sample.rank in samples:
            raise SamplesRefused(f"line {number}: rank {sample.rank} is there twice; give each file of samples once")
        samples[sample.rank] = sample
    shards = [_shard(plan, drawn, metrics, samples, shard) for shard in range(plan.shards)]
    return Repeated(
        merged=merge(shards, plan=plan.digest, of=plan.shards),
        units=len(samples),
        answers=sum(sample.answers for sample in samples.values()),
        rescored=sum(sample.rescored for sample in samples.values()),
    )


def _shard(plan: Plan, drawn: Sequence[Case], metrics: Metrics, samples: Mapping[int, _Sample], shard: int) -> ShardStatistics:
    units = of_shard(drawn, shard=shard, shards=plan.shards)
    counting = Counting(plan, shard=shard, metrics=metrics, units=len(units))
    for rank, case in units:
        if rank not in samples:
            break
        counting.take(rank, case, samples[rank].unit)
    # A hit counts whenever it was seen, also behind a gap.
    hits = add([dict.fromkeys(metrics.gates, 0), *(samples[rank].unit.gates for rank, _ in units if rank in samples)])
    return ShardStatistics(
        plan=plan.digest, shard=shard, scored=counting.taken, of=len(units), finished=counting.taken == len(units), looks=counting.looks, gates=hits
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    """Names of metrics: those of the plan, for every sample; once, because the plan computes its looks to tell them."""

    compared: frozenset[str]
    told: frozenset[str]
    """With what judges and containers tell of themselves; latencies are told in seconds."""


def _sample(line: bytes, number: int, drawn: Sequence[Case], plan: Plan, metrics: Metrics, names: _Names) -> _Sample:  # noqa: PLR0917 - private, all of it needed
    try:
        members = _members(parse(line, limit=LINE_BYTES, values=VALUES), f"line {number}")
    except JsonRefused as error:
        raise SamplesRefused(f"line {number} {error}") from None
    rank, case_id, repeats = members.get("rank"), members.get("case"), members.get("repeats")
    if not isinstance(rank, int) or isinstance(rank, bool) or not 0 <= rank < len(drawn):
        raise SamplesRefused(f"line {number}: rank is {rank!r:.40}; the run has {len(drawn):,} units")
    case = drawn[rank]
    if case_id != case.id:
        raise SamplesRefused(f"rank {rank} is case {case_id!r:.150} here; seed {plan.seed} gives this rank to {case.id!r}")
    # How often a question was recorded is what the recording says.
    if not isinstance(repeats, list) or not repeats or (len(repeats) != plan.repeats and not plan.recorded):
        raise SamplesRefused(f"rank {rank}: repeats are not the {plan.repeats} of the suite")
    read = [_Reading(_members(value, f"rank {rank}"), rank, case, names, metrics) for value in repeats]
    pairs = tuple(reading.pair() for reading in read)
    void = all(isinstance(reading.baseline.answer, NoAnswer) for reading in read)
    return _Sample(rank=rank, unit=Unit(pairs=pairs, void=void, sums={CANDIDATE: {}, BASELINE: {}}), answers=len(read), rescored=sum(r.rescored for r in read))


class _Reading:
    """One repeat of a case, as its sample tells it."""

    def __init__(self, members: JsonObject, rank: int, case: Case, names: _Names, metrics: Metrics) -> None:
        self._members, self._rank, self._case, self._metrics = members, rank, case, metrics
        self._names = names
        self.candidate = self._reply(CANDIDATE)
        self.baseline = self._reply(BASELINE)
        self.rescored = False

    def pair(self) -> Pair:
        """The pair, checked. Raises SamplesRefused."""
        told = Pair(differences=self._differences(), seconds=(_seconds(self.candidate), _seconds(self.baseline), None), hits=self._hits())
        own = {name: difference for name, difference in told.differences.items() if name in self._names.compared}
        if isinstance(self.baseline.answer, NoAnswer) and own:
            raise self._wrong("has differences, and the baseline gave no answer")
        if isinstance(self.candidate.answer, NoAnswer) and any(difference != WORST for difference in own.values()):
            raise self._wrong("has a difference other than -1, and the candidate gave no answer")
        self._score_again(own, told)
        return told

    def _score_again(self, own: Mapping[str, Fraction], told: Pair) -> None:
        """Compare with what the texts come to, where they are whole."""
        known = [reply.answer if isinstance(reply.answer, NoAnswer) else self._whole(side) for side, reply in self._sides()]
        if any(answer is None for answer in known):
            return
        candidate, baseline = (Reply(answer=answer) for answer in known if answer is not None)
        (pair,) = compare(self._case, [Repeat(candidate=candidate, baseline=baseline)], self._metrics).pairs
        for name in sorted({*self._metrics.scorers, *self._metrics.pair_scorers}):
            if pair.differences.get(name) != own.get(name):
                raise self._wrong(f"tells a difference of {own.get(name)} in {name}; its texts come to {pair.differences.get(name)}")
        if {name for name, hits in pair.hits.items() if hits} != {name for name, hits in told.hits.items() if hits}:
            raise self._wrong("tells other hits of gates than its texts come to")
        self.rescored = True

    def _whole(self, side: str) -> Answer | None:
        """The answer with all that it said; None when the sample keeps no text, or not all of it."""
        reply, told = _members(self._members.get(side), side), dict(self._sides())[side].answer
        text, calls = reply.get("text"), reply.get("toolCalls")
        if not isinstance(text, str) or not isinstance(calls, list) or isinstance(told, NoAnswer) or len(text) >= TEXT_LENGTH:
            return None
        made = [_members(call, side) for call in calls]
        answer = Answer(
            text=text,
            turns=(text,),
            tool_calls=tuple(tool_call_of(Call(id="", name=str(call.get("name")), arguments=str(call.get("raw"))), limits=_LIMITS) for call in made),
            latency_seconds=told.latency_seconds,
        )
        # Several turns, tensors and vectors are not kept: then the digest is one of more than this.
        return answer if answer_digest(answer) == reply.get("digest") else None

    def _sides(self) -> tuple[tuple[str, Reply], ...]:
        return (CANDIDATE, self.candidate), (BASELINE, self.baseline)

    def _reply(self, side: str) -> Reply:
        reply = _members(self._members.get(side), f"rank {self._rank}: {side}")
        if "failure" in reply:
            try:
                return Reply(answer=NoAnswer(failure=Failure(str(reply["failure"])), message=""))
            except ValueError:
                raise self._wrong(f"names a failure {reply['failure']!r:.40} of the {side} that there is not") from None
        seconds = reply.get("seconds")
        if not isinstance(seconds, (int, float)) or isinstance(seconds, bool) or seconds < 0:
            raise self._wrong(f"does not say how long the {side} took")
        return Reply(answer=Answer(latency_seconds=float(seconds)))

    def _differences(self) -> dict[str, Fraction]:
        found = {}
        for name, text in _members(self._members.get("differences"), f"rank {self._rank}: differences").items():
            if name not in self._names.told:
                raise self._wrong(f"names a metric {name!r:.80} that the suite does not have")
            found[name] = self._difference(text)
        return found

    def _difference(self, text: JsonValue) -> Fraction:
        try:
            if not isinstance(text, str) or len(text) > _DIFFERENCE_LENGTH or "e" in text.lower():
                raise ValueError(text)
            value = Fraction(text)
        except (ValueError, ZeroDivisionError):
            raise self._wrong(f"has a difference {text!r:.40} that is no fraction") from None
        if not -1 <= value <= 1:
            raise self._wrong(f"has a difference {text}; one lies in [-1, 1]")
        return value

    def _hits(self) -> dict[str, tuple[Hit, ...]]:
        hits = _members(self._members.get("hits"), f"rank {self._rank}: hits")
        if unknown := sorted(hits.keys() - self._metrics.gates.keys()):
            raise self._wrong(f"names a gate {unknown[0]!r:.80} that the suite does not have")
        return {name: (Hit(where="sample", what="as it was told"),) for name, found in hits.items() if found}

    def _wrong(self, what: str) -> SamplesRefused:
        return SamplesRefused(f"rank {self._rank} {what}")


def _seconds(reply: Reply) -> float | None:
    return reply.answer.latency_seconds if isinstance(reply.answer, Answer) else None


def _members(value: JsonValue, where: str) -> JsonObject:
    if not isinstance(value, dict):
        raise SamplesRefused(f"{where} is no object")
    return value
