"""From the answers to one case to numbers: what a unit adds to the tallies. Pure.

A pair needs an answer of the baseline; without one there is nothing to compare with, and the repeat is left out. A candidate that does not answer where the
baseline does gets the worst difference: a model that stays silent must never do better than one that errs.

Scores are decimal numbers as they are written, and differences exact fractions of them: no order of adding changes a bit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from typing import Final

from sluice.scoring.answer import Answer, Failure, NoAnswer
from sluice.scoring.case import Case
from sluice.scoring.classes import ClassCounter
from sluice.scoring.remote.settings import JudgeSettings
from sluice.scoring.scorers.latency import LatencySettings
from sluice.scoring.scorers.score import Gate, Hit, PairScorer, Score, Scorer, Sum
from sluice.scoring.tally import BASELINE, CANDIDATE, NOISE, WORST, add

_SILENT: Final = NoAnswer(failure=Failure.MALFORMED, message="it cannot be read")

log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """What a suite measures, by name."""

    scorers: Mapping[str, Scorer] = field(default_factory=dict)
    pair_scorers: Mapping[str, PairScorer] = field(default_factory=dict)
    timings: Mapping[str, LatencySettings] = field(default_factory=dict)
    """Latencies, whose limit the suite names or the baseline's first answers fix."""
    gates: Mapping[str, Gate] = field(default_factory=dict)
    sums: Mapping[str, Sum] = field(default_factory=dict)
    classes: tuple[ClassCounter, ...] = ()
    """Classifications that name their classes: what precision and recall come from."""
    containers: frozenset[str] = frozenset()
    """Scorers in containers of their own."""
    judges: Mapping[str, JudgeSettings] = field(default_factory=dict)

    @property
    def remotes(self) -> tuple[str, ...]:
        """Scorers that somebody else runs: what they say comes with the repeats (`Repeat.said`)."""
        return (*sorted(self.containers), *sorted(self.judges))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What one side gave, and how often the question was repeated because no connection held."""

    answer: Answer | NoAnswer
    retries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """One repeat of a case. `again` is the baseline asked a second time, for the noise; None when it was not."""

    candidate: Reply
    baseline: Reply
    again: Reply | None = None
    said: Mapping[str, Fraction] = field(default_factory=dict)
    """What scorers that somebody else runs made of it: differences by metric, with those that tell how good they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One repeat, scored; metrics that are not for this case are left out."""

    differences: Mapping[str, Fraction]
    seconds: tuple[float | None, float | None, float | None]
    """Latency of candidate, baseline and baseline again; None where there is no answer."""
    hits: Mapping[str, tuple[Hit, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What a case and all its repeats come to."""

    pairs: tuple[Pair, ...]
    void: bool
    """The baseline answered no repeat."""
    sums: Mapping[str, Mapping[str, int]]
    why: Mapping[str, str] = field(default_factory=dict)
    """Side to why its first answer that is missing is."""

    @property
    def gates(self) -> dict[str, int]:
        """Answers of the candidate with a hit, by gate."""
        return add({name: 1 for name, hits in pair.hits.items() if hits} for pair in self.pairs)

    def differences(self, limits: Mapping[str, float]) -> dict[str, Fraction]:
        """The mean difference of each metric over the repeats, in [−1, 1]; `limits` are the seconds of the timings that have one."""
        found: dict[str, list[Fraction]] = {}
        for pair in self.pairs:
            for name, difference in (*pair.differences.items(), *_in_time(pair.seconds, limits)):
                found.setdefault(name, []).append(difference)
        return {name: sum(differences, Fraction(0)) / len(differences) for name, differences in found.items()}


def compare(case: Case, repeats: Sequence[Repeat], metrics: Metrics) -> Unit:
    """Score all repeats of a case. Raises nothing for what an answer holds: one that a scorer cannot read has no score."""
    return Unit(
        pairs=tuple(_pair(case, repeat, metrics) for repeat in repeats),
        void=all(isinstance(repeat.baseline.answer, NoAnswer) for repeat in repeats),
        sums={
            CANDIDATE: add(chain((_sums(repeat.candidate, metrics) for repeat in repeats), _classes(case, repeats, CANDIDATE, metrics))),
            BASELINE: add(
                chain(
                    (_sums(reply, metrics) for repeat in repeats for reply in (repeat.baseline, repeat.again) if reply is not None),
                    _classes(case, repeats, BASELINE, metrics),
                )
            ),
        },
        why={
            **_why(BASELINE, (reply for repeat in repeats for reply in (repeat.baseline, repeat.again))),
            **_why(CANDIDATE, (repeat.candidate for repeat in repeats)),
        },
    )


def _why(side: str, replies: Iterable[Reply | None]) -> dict[str, str]:
    return next(({side: reply.answer.message} for reply in replies if reply is not None and isinstance(reply.answer, NoAnswer)), {})


def _pair(case: Case, repeat: Repeat, metrics: Metrics) -> Pair:
    candidate, baseline = repeat.candidate.answer, repeat.baseline.answer
    again = None if repeat.again is None else repeat.again.answer
    differences: dict[str, Fraction] = dict(repeat.said)
    if isinstance(baseline, Answer):
        for name, scorer in metrics.scorers.items():
            own = _score(scorer, case, baseline)
            if own is not None:
                differences[name] = _against(_score(scorer, case, candidate), own)
                if isinstance(again, Answer):
                    differences[NOISE + name] = _against(_score(scorer, case, again), own)
        for name, pair_scorer in metrics.pair_scorers.items():
            if _beside(pair_scorer, case, baseline, baseline) is not None:
                differences[name] = _against(_beside(pair_scorer, case, candidate, baseline), Fraction(1))
                if isinstance(again, Answer):
                    differences[NOISE + name] = _against(_beside(pair_scorer, case, again, baseline), Fraction(1))
    return Pair(
        differences=differences,
        seconds=(_seconds(candidate), _seconds(baseline), _seconds(again)),
        hits={} if isinstance(candidate, NoAnswer) else {name: _hits(gate, case, candidate) for name, gate in metrics.gates.items()},
    )


def _against(score: Fraction | None, baseline: Fraction) -> Fraction:
    return WORST if score is None else score - baseline


def _score(scorer: Scorer, case: Case, answer: Answer | NoAnswer) -> Fraction | None:
    return None if isinstance(answer, NoAnswer) else _value(case, lambda: scorer(case, answer))


def _beside(scorer: PairScorer, case: Case, answer: Answer | NoAnswer, baseline: Answer) -> Fraction | None:
    return None if isinstance(answer, NoAnswer) else _value(case, lambda: scorer(case, answer, baseline))


def _value(case: Case, score: Callable[[], Score]) -> Fraction | None:
    try:
        value = score().value
    except Exception as error:  # noqa: BLE001 - an answer that breaks a scorer is written by a model, and must not end the run
        # The kind only: a message may quote the answer.
        log.warning("case %s: a scorer failed on an answer, which counts as none: %s", case.id, type(error).__name__)
        return None
    # The decimal number that a person reads, not the binary one next to it: 0.9 - 0.6 lies on the grid.
    return None if value is None else Fraction(repr(value))


def _hits(gate: Gate, case: Case, answer: Answer) -> tuple[Hit, ...]:
    try:
        return gate(case, answer)
    except Exception as error:  # noqa: BLE001 - a gate that can be broken by an answer could be passed by breaking it
        log.warning("case %s: a gate failed on an answer, which counts as a hit: %s", case.id, type(error).__name__)
        return (Hit(where="answer", what="the gate failed on this answer, so nobody knows what is in it"),)


def _seconds(answer: Answer | NoAnswer | None) -> float | None:
    return answer.latency_seconds if isinstance(answer, Answer) else None


def _in_time(seconds: tuple[float | None, float | None, float | None], limits: Mapping[str, float]) -> Iterator[tuple[str, Fraction]]:
    candidate, baseline, again = seconds
    if baseline is None:
        return
    for name, limit in limits.items():
        own = Fraction(baseline <= limit)
        yield name, WORST if candidate is None else Fraction(candidate <= limit) - own
        if again is not None:
            yield NOISE + name, Fraction(again <= limit) - own


def _classes(case: Case, repeats: Sequence[Repeat], side: str, metrics: Metrics) -> Iterator[dict[str, int]]:
    """Classes of one side, of the repeats that are pairs."""
    for repeat in repeats:
        if isinstance(repeat.baseline.answer, NoAnswer):
            continue
        answer = (repeat.candidate if side == CANDIDATE else repeat.baseline).answer
        for counter in metrics.classes:
            try:
                yield counter.of(case, answer)
            except Exception as error:  # noqa: BLE001 - as for scorers: an answer must not end the run
                log.warning("case %s: an answer's class cannot be read, which counts as none: %s", case.id, type(error).__name__)
                yield counter.of(case, _SILENT)


def _sums(reply: Reply, metrics: Metrics) -> dict[str, int]:
    counts = {"Asked": 1, "Retried": reply.retries}
    if isinstance(reply.answer, NoAnswer):
        return counts | {str(reply.answer.failure): 1}
    told = {name: total for name, quantity in metrics.sums.items() if (total := quantity(reply.answer)) is not None}
    return counts | {"Answered": 1} | told
