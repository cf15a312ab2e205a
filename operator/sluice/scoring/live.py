"""Answers that users got, as a sample of them that the Pods of a release keep: fetched once a period, scored where they are, and forgotten.

`GET PATH?since=TIME` gives JSON Lines, one exchange a line (`replay.exchange`): a request, `answer` beside it, and `at`, when it was answered. Counted is what
was answered after `since`, which was taken in before, until `until`, where the next time begins, whatever the server thinks of it: so nothing counts twice.
Only values leave the Pod that fetches them.

Nobody wrote what is right, so what can be watched is what an answer shows by itself: refusals, personal data, toxicity, a schema, seconds. A line whose
question cannot be used is left out; one whose answer cannot be read counts as missing: a model must not hide what it breaks.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self
from urllib.parse import quote, urlsplit

from sluice.api.base import parse_time
from sluice.api.strict_json import JsonObject
from sluice.scoring.answer import Failure, NoAnswer
from sluice.scoring.bounds import FETCH_BYTES, LINE_BYTES, PROBED_MOST, VALUES
from sluice.scoring.cases import Cases
from sluice.scoring.interpret import SuiteRefused
from sluice.scoring.plan import Plan
from sluice.scoring.probe import Probed, ProbeRefused, is_for, probed, value_of
from sluice.scoring.protocols.channel import Budget, HttpChannel
from sluice.scoring.protocols.endpoint import Endpoint, check_token
from sluice.scoring.protocols.settings import Limits, SettingsError
from sluice.scoring.protocols.unanswered import Unanswered
from sluice.scoring.replay.exchange import ReplyRefused, Rules, case_of, reply_of
from sluice.scoring.replay.requests import Unusable, document_of
from sluice.scoring.suite import prepare

FETCH_SECONDS: Final = 30.0

log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a Pod says what it keeps, and about which time it is asked: what was answered after `since`, and not after `until`."""

    endpoint: Endpoint
    path: str
    since: datetime
    until: datetime

    @classmethod
    def parse(cls, url: str, *, since: str, until: str) -> Self:
        """Read a URL and two times. Raises SettingsError, ProbeRefused."""
        try:
            parts, begins, ends = urlsplit(url), parse_time(since), parse_time(until)
        except ValueError as error:
            raise ProbeRefused(str(error)) from None
        return cls(endpoint=Endpoint.parse(f"{parts.scheme}://{parts.netloc}"), path=parts.path or "/", since=begins, until=ends)

    @property
    def query(self) -> str:
        """Ask for what was answered since, escaped: a plus sign would be a space."""
        return f"since={quote(self.since.isoformat(), safe='')}"


async def watch(plan: Plan, cases: Cases, *, metric: str, source: Source, token: str | None = None) -> Probed:
    """Fetch what the Pod keeps and give each answer its value. Raises SuiteRefused, and ProbeRefused for what is no such file."""
    prepared = prepare(plan, cases)
    if not probed(prepared.metrics, metric):
        raise SuiteRefused(f"the suite measures no {metric!r} in the answers of one side; a score or a latency can be watched")
    rules = Rules(protocol=prepared.protocol, limits=prepared.limits, metrics=prepared.metrics)
    return scored(await _fetched(source, token=token), rules, plan=plan.digest, metric=metric, between=(source.since, source.until))


def scored(raw: bytes, rules: Rules, *, plan: str, metric: str, between: tuple[datetime, datetime]) -> Probed:
    """Give each answer of that time its value, the newest thousand at most. Raises ProbeRefused for a line that is none, or has no time."""
    newest = sorted(_dated(raw, *between), key=lambda dated: dated[0])[-PROBED_MOST:]
    values: Counter[float] = Counter()
    missing = 0
    for _, document in newest:
        try:
            case = case_of(document, rules)
        except Unusable as error:
            log.debug("an exchange is left out: %s", error.reason)
            continue
        if not is_for(metric, rules.metrics, case):
            continue
        try:
            answer = reply_of(document, "answer", rules)
        except ReplyRefused as error:
            answer = NoAnswer(failure=Failure.MALFORMED, message=str(error)[:500])
        value = value_of(metric, rules.metrics, case, answer)
        if value is None:
            missing += 1
        else:
            values[value] += 1
    return Probed(plan=plan, values=values, missing=missing)


def _dated(raw: bytes, since: datetime, until: datetime) -> Iterator[tuple[datetime, JsonObject]]:
    for number, line in enumerate(raw.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            document = document_of(line, limit=LINE_BYTES, values=VALUES)
        except Unusable as error:
            raise ProbeRefused(f"line {number} of what the Pod keeps: {error}") from None
        try:
            at = parse_time(str(document.get("at")))
        except ValueError:
            raise ProbeRefused(f"line {number} of what the Pod keeps: at is no time, so nobody knows whether it was counted before") from None
        if since < at <= until:
            yield at, document


async def _fetched(source: Source, *, token: str | None) -> bytes:
    limits = Limits(response_bytes=FETCH_BYTES)
    try:
        check_token(token)
    except SettingsError as error:
        raise SuiteRefused(str(error)) from None
    channel = HttpChannel(source.endpoint, token=token, limits=limits)
    await channel.open()
    try:
        async with asyncio.timeout(FETCH_SECONDS):
            return await channel.read(source.path, query=source.query, budget=Budget(limits))
    except TimeoutError:
        raise ProbeRefused(f"GET {source.path}: not complete within {FETCH_SECONDS:g} s") from None
    except Unanswered as error:
        raise ProbeRefused(f"GET {source.path}: {error.message}"[:1000]) from None
    finally:
        await channel.close()
