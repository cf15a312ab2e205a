"""One side alone: the cases of a suite are asked of a release that serves, and each gives one value of one metric.

The same plan as that of a run, with one address; the same cases in the same order each time, so that what differs between two probes is the model. What it
comes to has to fit into what a container may say at its end (4096 bytes, Kubernetes' termination message): values with how often each occurred, rounded as
little as that takes. So nothing needs to be served, fetched or kept, and the controller reads it with the rights that it has.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Final

from sluice.api.strict_json import JsonRefused, canonical, parse
from sluice.scoring.answer import Answer, Failure, NoAnswer
from sluice.scoring.case import Case
from sluice.scoring.cases import Cases
from sluice.scoring.compare import Metrics
from sluice.scoring.interpret import SuiteRefused
from sluice.scoring.order import ask_seed, draw
from sluice.scoring.plan import Plan
from sluice.scoring.protocols.client import client_of
from sluice.scoring.protocols.settings import SettingsError
from sluice.scoring.readiness import READY_SECONDS, until_ready
from sluice.scoring.suite import prepare
from sluice.scoring.worker import RETRY_AFTER_SECONDS, Client

MESSAGE_BYTES: Final = 4096
_DIGITS: Final = (6, 4, 3, 2, 1)
"""Digits behind the point, the most that fit."""

log: Final = logging.getLogger(__name__)


class ProbeRefused(ValueError):
    """What a probe said is not what one says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What one probe came to."""

    plan: str
    """Digest of the plan."""
    values: Mapping[float, int]
    """How many cases had which value: a score in [0, 1], or seconds."""
    missing: int
    """Cases for which there should have been a value: no answer, or one that broke the scorer."""

    @property
    def observations(self) -> tuple[float | None, ...]:
        """One for each case, None where a value is missing; their order means nothing."""
        known = [value for value, number in sorted(self.values.items()) for _ in range(number)]
        return (*known, *(None for _ in range(self.missing)))


def probed(metrics: Metrics, metric: str) -> bool:
    """Tell whether one side alone has a value of this metric: comparisons of two answers, judges, gates and sums have none."""
    return metric in metrics.scorers or metric in metrics.timings


async def probe(plan: Plan, cases: Cases, *, metric: str, token: str | None = None) -> Probed:
    """Ask all cases of the plan of its candidate, once each. Raises SuiteRefused before anything is asked."""
    prepared = prepare(plan, cases)
    if not probed(prepared.metrics, metric):
        raise SuiteRefused(f"the suite measures no {metric!r} in the answers of one side; a score or a latency can be watched")
    try:
        client = client_of(prepared.protocol, plan.candidate, token=token, limits=prepared.limits)
    except SettingsError as error:
        raise SuiteRefused(str(error)) from None
    async with client:
        await until_ready({"the release": client.ready}, run=plan.run, seconds=READY_SECONDS)
        return await ask_all(plan, cases.all, metric=metric, metrics=prepared.metrics, client=client)


async def ask_all(plan: Plan, cases: Iterable[Case], *, metric: str, metrics: Metrics, client: Client) -> Probed:
    """Ask the cases of the plan that are for the metric, some at a time."""
    at_once = asyncio.Semaphore(plan.protocol.concurrency)

    async def one(case: Case) -> float | None:
        async with at_once:
            return value_of(metric, metrics, case, await _asked(client, case, ask_seed(plan.seed, case.id, 0)))

    drawn = [case for case in draw(cases, seed=plan.seed, planned=plan.planned) if is_for(metric, metrics, case)]
    values = await asyncio.gather(*(one(case) for case in drawn))
    return Probed(plan=plan.digest, values=Counter(value for value in values if value is not None), missing=values.count(None))


def is_for(metric: str, metrics: Metrics, case: Case) -> bool:
    """Tell whether a case is for a metric, which no answer has a say in."""
    return metric in metrics.timings or metrics.scorers[metric](case, Answer(latency_seconds=0.0)).value is not None


def value_of(metric: str, metrics: Metrics, case: Case, answer: Answer | NoAnswer) -> float | None:
    """Give the value of one answer; None where there is none to be had."""
    if isinstance(answer, NoAnswer):
        return None
    if metric in metrics.timings:
        return answer.latency_seconds
    try:
        return metrics.scorers[metric](case, answer).value
    except Exception as error:  # noqa: BLE001 - an answer that breaks a scorer is written by a model, and must not end the probe
        # The kind only: a message may quote the answer.
        log.warning("case %s: a scorer failed on an answer, which counts as none: %s", case.id, type(error).__name__)
        return None


def as_message(probed: Probed) -> bytes:
    """Write it as a container says it at its end: at most 4096 bytes, with as many digits as fit."""
    for digits in _DIGITS:
        values: Counter[str] = Counter()
        for value, number in probed.values.items():
            values[f"{value:.{digits}f}"] += number
        message = canonical({"plan": probed.plan, "missing": probed.missing, "values": dict(values)})
        if len(message) <= MESSAGE_BYTES:
            return message
    raise ProbeRefused(f"{len(probed.values):,} different values do not fit into {MESSAGE_BYTES:,} bytes, even with one digit: take fewer cases")


def read_message(raw: bytes, *, plan: str, most: int, least: int = 1) -> Probed:
    """Read what a container of this plan, which has `least` to `most` values, said at its end. Raises ProbeRefused."""
    try:
        told = parse(raw, limit=MESSAGE_BYTES)
    except JsonRefused as error:
        raise ProbeRefused(f"what the probe said {error}") from None
    match told:
        case {"plan": str() as digest, "missing": int() as missing, "values": dict() as counts, **others} if not others:
            pass
        case _:
            raise ProbeRefused("what the probe said has another form")
    if digest != plan:
        raise ProbeRefused(f"it speaks of plan {digest[:80]}, and {plan} was asked")
    values: dict[float, int] = {}
    for text, number in counts.items():
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not isfinite(value) or isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise ProbeRefused(f"{text[:40]!r} with {str(number)[:40]} is no value and how often it occurred")
        values[value] = values.get(value, 0) + number
    if isinstance(missing, bool) or missing < 0 or not least <= missing + sum(values.values()) <= most:
        raise ProbeRefused(f"it has {missing + sum(values.values()):,} values, and at most {most:,} cases were asked")
    return Probed(plan=digest, values=values, missing=missing)


async def _asked(client: Client, case: Case, seed: int) -> Answer | NoAnswer:
    """Ask, and once more if no connection held: a blip of the network is not the model's fault."""
    answer = await client.ask(case, seed=seed)
    if isinstance(answer, NoAnswer) and answer.failure is Failure.UNREACHABLE:
        await asyncio.sleep(RETRY_AFTER_SECONDS)
        return await client.ask(case, seed=seed)
    return answer
