"""A plan with its suite and its cases, ready to be worked with; and whether the cases fit.

Everything that can be wrong is found here, before a model server is asked: a case that the protocol cannot ask, or that expects something no scorer can read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sluice.scoring.answer import Answer
from sluice.scoring.case import Case
from sluice.scoring.cases import Cases
from sluice.scoring.compare import Metrics
from sluice.scoring.interpret import SuiteRefused, limits_of, metrics_of, protocol_of
from sluice.scoring.plan import Plan, answers_needed
from sluice.scoring.protocols.client import check_case
from sluice.scoring.protocols.settings import Limits, ProtocolSettings
from sluice.scoring.protocols.unanswered import UnsuitableCase
from sluice.scoring.scorers.judge import known_of
from sluice.scoring.scorers.settings import ExpectError
from sluice.scoring.wire import SLICES

_SILENT: Final = Answer(latency_seconds=0.0)


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
    if plan.cases_count not in {None, cases.count}:
        if plan.recorded:
            raise SuiteRefused(
                f"whoever signed the recording says that it has {plan.cases_count:,} questions, and this suite finds {cases.count:,}: sign it again"
            )
        raise SuiteRefused(f"the suite says that there are {plan.cases_count:,} cases, and the file has {cases.count:,}: write cases.oci.count: {cases.count}")
    if plan.planned > len(cases.all):
        raise SuiteRefused(f"{plan.planned:,} units are planned, and there are {len(cases.all):,} cases: plan at most so many, each is asked once")
    slices = {(dimension, case.slices[dimension]) for case in cases.all for dimension in plan.slices if dimension in case.slices}
    if len(slices) >= SLICES:
        raise SuiteRefused(f"the cases have {len(slices):,} slices; at most {SLICES - 1} are told apart: use fewer dimensions, or coarser values")
    needed, own = answers_needed(prepared.metrics), min(plan.noise_units, plan.planned // plan.shards) * plan.repeats
    if own < needed:
        raise SuiteRefused(
            f"a latency without limitSeconds is measured on {needed} answers of the baseline, and the smallest of {plan.shards} shards asks for {own} in time: "
            f"write limitSeconds, have more than {len(cases.all):,} cases, or plan no more units than there are cases, so that fewer shards share them"
        )
    for case in cases.all:
        check_fits(case, prepared.protocol, prepared.metrics)
    return prepared


def check_fits(case: Case, protocol: ProtocolSettings, metrics: Metrics) -> None:
    """Look whether a case can be asked and scored. Raises SuiteRefused."""
    try:
        check_case(protocol, case)
        # A scorer reads what a case expects before it looks at the answer.
        for scorer in metrics.scorers.values():
            scorer(case, _SILENT)
        for pair_scorer in metrics.pair_scorers.values():
            pair_scorer(case, _SILENT, _SILENT)
        for gate in metrics.gates.values():
            gate(case, _SILENT)
        if metrics.judges:
            known_of(case)
    except (UnsuitableCase, ExpectError) as error:
        raise SuiteRefused(str(error)) from None


def reach(metrics: Metrics, cases: Iterable[Case]) -> dict[str, int]:
    """For how many of these cases each metric says something; 0 for one that needs what no case expects. All of them fit (`check_fits`)."""
    counts = dict.fromkeys([*metrics.scorers, *metrics.pair_scorers, *metrics.timings, *metrics.gates, *metrics.remotes], 0)
    for case in cases:
        scores = {name: scorer(case, _SILENT) for name, scorer in metrics.scorers.items()}
        scores |= {name: scorer(case, _SILENT, _SILENT) for name, scorer in metrics.pair_scorers.items()}
        for name in (*metrics.timings, *metrics.gates, *metrics.remotes, *(name for name, score in scores.items() if score.value is not None)):
            counts[name] += 1
    return counts
