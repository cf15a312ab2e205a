"""From a suite as people write it to what a scorer works with: protocol settings, limits, metrics; and whether its cases fit them.

Everything that can be wrong with a suite is found here, before a model server is asked: a scorer with a parameter that it does not have, a case that the
protocol cannot ask or that expects something no scorer can read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sluice.api import scoring as api
from sluice.api.durations import parse_duration
from sluice.api.strict_json import JsonRefused, parse
from sluice.scoring.answer import Answer
from sluice.scoring.case import Case
from sluice.scoring.cases import Cases
from sluice.scoring.compare import Metrics
from sluice.scoring.plan import Plan
from sluice.scoring.protocols.client import check_case
from sluice.scoring.protocols.settings import HttpExchange, Limits, ProtocolSettings, ProtocolType, Sampling
from sluice.scoring.protocols.settings import SettingsError as ProtocolError
from sluice.scoring.protocols.unanswered import UnsuitableCase
from sluice.scoring.scorers.build import gate_of, pair_scorer_of, scorer_of, sum_of
from sluice.scoring.scorers.latency import LatencySettings, latency_settings
from sluice.scoring.scorers.score import Gate, PairScorer, Scorer, Sum
from sluice.scoring.scorers.settings import ExpectError, GateType, PairScorerType, ScorerType, Settings, SettingsError, SumType
from sluice.scoring.wire import SLICES

SCHEMA_BYTES: Final = 1 << 18
_SILENT: Final = Answer(latency_seconds=0.0)


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


def metrics_of(scorers: Sequence[api.Scorer]) -> Metrics:
    """What is measured, by name. Raises SuiteRefused."""
    single: dict[str, Scorer] = {}
    pairs: dict[str, PairScorer] = {}
    timings: dict[str, LatencySettings] = {}
    gates: dict[str, Gate] = {}
    sums: dict[str, Sum] = {}
    for scorer in scorers:
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
    return Metrics(scorers=single, pair_scorers=pairs, timings=timings, gates=gates, sums=sums)


_TYPES: Final[Mapping[str, ScorerType | PairScorerType | GateType | SumType]] = {
    str(kind): kind for kinds in (ScorerType, PairScorerType, GateType, SumType) for kind in kinds
}


def _settings(scorer: api.Scorer) -> Settings:
    parameters = scorer.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"name", "type"})
    if scorer.json_schema is not None:
        # The resource holds it as text: a schema has members that no resource can describe.
        try:
            parameters["schema"] = parse(scorer.json_schema.encode(), limit=SCHEMA_BYTES)
        except JsonRefused as error:
            raise SuiteRefused(f"scorer {scorer.name}: schema {error}") from None
    return Settings(type=_TYPES[scorer.type], parameters=parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A plan with everything that its suite says, ready to be worked with."""

    protocol: ProtocolSettings
    limits: Limits
    metrics: Metrics


def prepare(plan: Plan, cases: Cases) -> Prepared:
    """Look at everything before anything is asked.

    Raises SuiteRefused: a setting that no client or scorer can follow, no metric to compare by, another file of cases than planned, or a case in it that this
    plan cannot ask or score.
    """
    prepared = Prepared(protocol=protocol_of(plan.protocol), limits=limits_of(plan.protocol), metrics=metrics_of(plan.scorers))
    if not plan.compared:
        raise SuiteRefused("no scorer compares candidate and baseline; add one, such as {name: accuracy, type: ExactMatch}")
    if cases.digest != plan.cases_digest:
        raise SuiteRefused(f"the cases are {cases.digest}, and the plan is for {plan.cases_digest}: mount the file that it was made with")
    if plan.planned > len(cases.all):
        raise SuiteRefused(f"{plan.planned:,} units are planned, and there are {len(cases.all):,} cases: plan at most so many, each is asked once")
    slices = {(dimension, case.slices[dimension]) for case in cases.all for dimension in plan.slices if dimension in case.slices}
    if len(slices) >= SLICES:
        raise SuiteRefused(f"the cases have {len(slices):,} slices; at most {SLICES - 1} are told apart: use fewer dimensions, or coarser values")
    for case in cases.all:
        _check_case(case, prepared.protocol, prepared.metrics)
    return prepared


def _check_case(case: Case, protocol: ProtocolSettings, metrics: Metrics) -> None:
    try:
        check_case(protocol, case)
        # A scorer reads what a case expects before it looks at the answer.
        for scorer in metrics.scorers.values():
            scorer(case, _SILENT)
        for pair_scorer in metrics.pair_scorers.values():
            pair_scorer(case, _SILENT, _SILENT)
        for gate in metrics.gates.values():
            gate(case, _SILENT)
    except (UnsuitableCase, ExpectError) as error:
        raise SuiteRefused(str(error)) from None
