"""From a suite as people write it to settings that clients and scorers take: protocol, limits, metrics. Pure; whether cases fit them is another question.

Everything that can be wrong with a suite alone is found here, by whoever decides whether a release may be scored on it: before a run, a Pod, a model server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sluice.api import scoring as api
from sluice.api.durations import parse_duration
from sluice.api.remote_scorers import JudgeScorer
from sluice.api.scorers import Scorer as AskedScorer
from sluice.api.strict_json import JsonRefused, parse
from sluice.scoring.classes import ClassCounter
from sluice.scoring.compare import Metrics
from sluice.scoring.protocols.settings import HttpExchange, Limits, ProtocolSettings, ProtocolType, Sampling
from sluice.scoring.protocols.settings import SettingsError as ProtocolError
from sluice.scoring.remote.settings import JudgeSettings
from sluice.scoring.scorers.build import gate_of, pair_scorer_of, scorer_of, sum_of
from sluice.scoring.scorers.classification import classifier
from sluice.scoring.scorers.latency import LatencySettings, latency_settings
from sluice.scoring.scorers.score import Gate, PairScorer, Scorer, Sum
from sluice.scoring.scorers.settings import GateType, PairScorerType, RemoteType, ScorerType, Settings, SettingsError, SumType

SCHEMA_BYTES: Final = 1 << 18


class SuiteRefused(ValueError):
    """The suite, or its cases, cannot be used; the message names what is wrong and the remedy."""


def protocol_of(protocol: api.Protocol) -> ProtocolSettings:
    """How cases are sent. Raises SuiteRefused."""
    http = protocol.http
    path, _, query = http.path.partition("?") if http else ("", "", "")
    try:
        return ProtocolSettings(
            type=ProtocolType(protocol.type),
            model=protocol.model or "",
            version=protocol.version or "",
            path=path or protocol.path or "",
            stream=protocol.answers is api.Answers.STREAMED,
            sampling=_sampling(protocol.sampling),
            http=_exchange(http, query=query),
        )
    except ProtocolError as error:
        raise SuiteRefused(f"protocol: {error}") from None


def _sampling(sampling: api.Sampling | None) -> Sampling | None:
    if sampling is None:
        return None
    return Sampling(temperature=float(sampling.temperature), top_p=float(sampling.top_p), max_tokens=sampling.max_tokens)


def _exchange(http: api.HttpRequest | None, *, query: str) -> HttpExchange | None:
    if http is None:
        return None
    return HttpExchange(method=http.method, query=query, headers=http.headers, body=http.body or "", answer=http.answer, ready=http.ready or "")


def limits_of(protocol: api.Protocol) -> Limits:
    """What is taken from a model server. Raises SuiteRefused."""
    try:
        return Limits(timeout_seconds=parse_duration(protocol.timeout).total_seconds())
    except ProtocolError as error:
        raise SuiteRefused(f"protocol.timeout: {error}") from None


def metrics_of(scorers: Sequence[AskedScorer]) -> Metrics:
    """What is measured, by name. Raises SuiteRefused."""
    single: dict[str, Scorer] = {}
    pairs: dict[str, PairScorer] = {}
    timings: dict[str, LatencySettings] = {}
    gates: dict[str, Gate] = {}
    sums: dict[str, Sum] = {}
    for scorer in scorers:
        if scorer.type in {*RemoteType}:
            continue
        settings = _settings(scorer)
        try:
            match settings.type:
                case ScorerType.LATENCY:
                    timings[scorer.name] = latency_settings(settings)
                case ScorerType():
                    single[scorer.name] = scorer_of(settings)
                case PairScorerType():
                    pairs[scorer.name] = pair_scorer_of(settings)
                case GateType():
                    gates[scorer.name] = gate_of(settings)
                case SumType():
                    sums[scorer.name] = sum_of(settings)
        except SettingsError as error:
            raise SuiteRefused(f"scorer {scorer.name}: {error}") from None
    return Metrics(
        scorers=single, pair_scorers=pairs, timings=timings, gates=gates, sums=sums,
        classes=tuple(
            ClassCounter(index=index, labels=tuple(scorer.labels), predicted=classifier(_settings(scorer)))
            for index, scorer in enumerate(scorers)
            if scorer.labels and _TYPES.get(scorer.type) is ScorerType.CLASSIFICATION
        ),
        containers=frozenset(scorer.name for scorer in scorers if scorer.container is not None),
        judges={scorer.name: _judge(scorer.name, scorer.judge) for scorer in scorers if scorer.judge is not None},
    )  # fmt: skip


def _judge(name: str, judge: JudgeScorer) -> JudgeSettings:
    try:
        sampling = Sampling(temperature=0.0, top_p=1.0, max_tokens=judge.max_tokens)
        protocol = ProtocolSettings(type=ProtocolType.OPENAI_CHAT, model=judge.model, path=judge.path or "", sampling=sampling)
        timeout_seconds = Limits(timeout_seconds=parse_duration(judge.timeout).total_seconds()).timeout_seconds
    except ProtocolError as error:
        raise SuiteRefused(f"scorer {name}: judge.{error}") from None
    return JudgeSettings(protocol=protocol, rubric=judge.rubric, timeout_seconds=timeout_seconds)


_TYPES: Final[Mapping[str, ScorerType | PairScorerType | GateType | SumType]] = {
    str(kind): kind for kinds in (ScorerType, PairScorerType, GateType, SumType) for kind in kinds
}


def _settings(scorer: AskedScorer) -> Settings:
    parameters = scorer.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"name", "type"})
    if scorer.json_schema is not None:
        # The resource holds it as text: a schema has members that no resource can describe.
        try:
            parameters["schema"] = parse(scorer.json_schema.encode(), limit=SCHEMA_BYTES)
        except JsonRefused as error:
            raise SuiteRefused(f"scorer {scorer.name}: schema {error}") from None
    return Settings(type=_TYPES[scorer.type], parameters=parameters)
