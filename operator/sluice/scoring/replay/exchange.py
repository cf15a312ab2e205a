"""One recorded exchange: what was asked, in any form that a recording has (`requests`), and a reply beside it, read as the client of the protocol would have.

A reply is `{"seconds": 0.31, "status": 200, "body": …}`, with the body as an object or, better, as the text that came; or `{"failure": "Timeout"}`; or null.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sluice.api.scorers import Scorer
from sluice.api.scoring import Protocol
from sluice.api.strict_json import JsonObject, JsonValue, canonical
from sluice.scoring.answer import Answer, Failure, NoAnswer
from sluice.scoring.case import Case
from sluice.scoring.cases import CasesRefused, read_cases
from sluice.scoring.compare import Metrics
from sluice.scoring.interpret import SuiteRefused, limits_of, metrics_of, protocol_of
from sluice.scoring.protocols.recorded import recorded_answer
from sluice.scoring.protocols.settings import Limits, ProtocolSettings
from sluice.scoring.replay.requests import LeftOut, Unusable, digest_of, request_of
from sluice.scoring.suite import check_fits

_ID_DIGITS: Final = 24
_REPLY: Final = frozenset({"seconds", "status", "body", "failure", "message"})
_OK: Final = range(200, 300)


class ReplyRefused(ValueError):
    """A reply that nobody can read; the message names the member, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How answers are read."""

    protocol: ProtocolSettings
    limits: Limits
    metrics: Metrics


def rules_of(protocol: Protocol, scorers: Sequence[Scorer]) -> Rules:
    """The rules of a suite, or of a plan. Raises SuiteRefused for a setting that no client or scorer can follow."""
    return Rules(protocol=protocol_of(protocol), limits=limits_of(protocol), metrics=metrics_of(scorers))


def case_of(document: JsonObject, rules: Rules) -> Case:
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


def reply_of(document: JsonObject, member: str, rules: Rules) -> Answer | NoAnswer:
    """The reply that stands at `member`. Raises ReplyRefused."""
    if member not in document:
        raise ReplyRefused(f'{member} is missing; write {{"seconds": …, "body": …}}, or null where there is no answer')
    reply = document[member]
    if reply is None:
        return NoAnswer(failure=Failure.UNREACHABLE, message="the recording has no answer")
    if not isinstance(reply, dict):
        raise ReplyRefused(f"{member} is neither an object nor null")
    if unknown := sorted(reply.keys() - _REPLY):
        raise ReplyRefused(f"{member} has an unknown member {unknown[0]!r:.80}")
    if "failure" in reply:
        return NoAnswer(failure=_failure(member, reply["failure"]), message="as it was recorded")
    status = reply.get("status", 200)
    if not isinstance(status, int):
        raise ReplyRefused(f"{member}.status is no whole number")
    if status not in _OK:
        return NoAnswer(failure=Failure.REFUSED, message=f"status {status}")
    if "body" not in reply:
        raise ReplyRefused(f"{member}.body is missing; write what the server answered")
    body = reply["body"]
    content = body.encode() if isinstance(body, str) else canonical(body)
    return recorded_answer(content, seconds=_seconds(member, reply, rules), protocol=rules.protocol, limits=rules.limits)


def _failure(member: str, value: JsonValue) -> Failure:
    try:
        return Failure(str(value))
    except ValueError:
        raise ReplyRefused(f"{member}.failure is {value!r:.40}; write one of {', '.join(Failure)}") from None


def _seconds(member: str, reply: JsonObject, rules: Rules) -> float:
    seconds = reply.get("seconds")
    if seconds is None and not rules.metrics.timings:
        return 0.0
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not (math.isfinite(seconds) and seconds >= 0):
        raise ReplyRefused(f"{member}.seconds is {seconds!r:.40}; write how long the answer took, which the suite measures")
    return float(seconds)
