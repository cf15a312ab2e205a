"""The sample: which exchanges are drawn, what waits for its other half, what is kept, and what was there already.

What users got is drawn by a keyed hash of the id, before anybody has seen the answer: nothing that a model says, and no id that a user chooses, changes its
chance. Where there is no room, the *question* is turned away (`Full`); an answer to a question that waits is always taken, or slow answers would be missing.

An exchange gets its time here, when it is complete, and each a later one: who fetches what is after a moment, and goes on there, misses nothing and gets
nothing twice. What came before is known by its id. When more ids are known than fit, the oldest is forgotten, and then nothing counts any more that says it was
sent before that one came, nor, after a restart, before the start: a replay is never counted twice, as long as senders say when. Pure; texts are in memory only.
"""

from __future__ import annotations

import hashlib
from collections import Counter, OrderedDict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sluice.api.strict_json import JsonObject, JsonRefused, JsonValue, canonical, parse
from sluice.scoring.bounds import FETCH_BYTES, LINE_BYTES, PROBED_MOST, VALUES
from sluice.scoring.collecting.events import BODY_BYTES, Half, Part, Pushed
from sluice.scoring.collecting.events import VALUES as PUSHED_VALUES
from sluice.scoring.replay.requests import Unusable, document_of

KEPT_BYTES: Final = FETCH_BYTES * 3 // 4
"""What is fetched has a limit; the newest are kept."""
KEPT_FOR: Final = timedelta(days=1)
WAITING_MOST: Final = 2000
WAITING_BYTES: Final = 16 << 20
WAITING_FOR: Final = timedelta(minutes=5)
"""How long a question waits for its answer. KServe logs no answer but those of status 200."""
KNOWN_MOST: Final = 100_000
"""Ids that are remembered."""
_TURN_SECONDS: Final = 1.0
"""What the rate is counted in."""
_TICK: Final = timedelta(microseconds=1)


class Outcome(StrEnum):
    """What became of a push."""

    KEPT = "Kept"
    WAITS = "Waits"
    """For its other half."""
    NOT_DRAWN = "NotDrawn"
    KNOWN = "Known"
    """It was there before."""
    TOO_OLD = "TooOld"
    """It was sent before what is remembered begins, so nobody knows whether it was there."""
    UNREADABLE = "Unreadable"
    """A question that is no JSON, or an exchange that is too large to be fetched."""
    UNANSWERED = "Unanswered"
    """A half whose other half never came."""


class Full(Exception):
    """There is no room now for another exchange; there may be in `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"no room now; try again in {seconds} s")
        self.seconds = seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """Which exchanges are taken: a `share` in (0, 1], at most `per_second` of these. `tags` go to those that have none; `salt` is nobody else's."""

    share: float = 1.0
    per_second: int = 50
    tags: Sequence[str] = ()
    salt: bytes


class Sample:
    """What is known of live answers. Times are those of this process's clock, and go forward."""

    def __init__(self, draw: Draw, *, now: datetime) -> None:
        self._draw = draw
        self._forgotten = now
        self._known: OrderedDict[bytes, datetime] = OrderedDict()
        self._waiting: OrderedDict[bytes, tuple[Half, datetime]] = OrderedDict()
        self._waiting_bytes = 0
        self._kept: deque[tuple[datetime, bytes]] = deque()
        self._kept_bytes = 0
        self._last = now
        self._turn, self._taken = now, 0
        self.outcomes: Counter[Outcome] = Counter()

    @property
    def waiting(self) -> int:
        """How many halves wait."""
        return len(self._waiting)

    @property
    def kept(self) -> int:
        """How many exchanges can be fetched."""
        return len(self._kept)

    def take(self, pushed: Pushed, *, now: datetime) -> Outcome:
        """Take in what was pushed. Raises Full: nothing of it was."""
        self._forget(now)
        outcome = self._take(pushed, now)
        self.outcomes[outcome] += 1
        return outcome

    def since(self, moment: datetime) -> Iterator[bytes]:
        """The exchanges that were complete after `moment`, as the lines of a file."""
        return (line + b"\n" for at, line in self._kept if at > moment)

    def _take(self, pushed: Pushed, now: datetime) -> Outcome:
        key = hashlib.blake2b(pushed.key.encode(), key=self._draw.salt, digest_size=16).digest()
        if int.from_bytes(key[:8]) >= self._draw.share * 2**64:
            return Outcome.NOT_DRAWN
        mark = key + (pushed.part.encode() if isinstance(pushed, Half) else b"")
        if mark in self._known:
            return Outcome.KNOWN
        other = self._waiting.get(key)
        if other is None:
            if pushed.sent is not None and pushed.sent <= self._forgotten:
                return Outcome.TOO_OLD
            self._make_room(pushed, now)
        self._remember(mark, now)
        if not isinstance(pushed, Half):
            return self._keep(pushed.exchange, now)
        if other is None:
            self._waiting[key] = (pushed, now)
            self._waiting_bytes += len(pushed.body)
            return Outcome.WAITS
        del self._waiting[key]
        self._waiting_bytes -= len(other[0].body)
        return self._join(other, (pushed, now), now)

    def _make_room(self, pushed: Pushed, now: datetime) -> None:
        if isinstance(pushed, Half) and (len(self._waiting) >= WAITING_MOST or self._waiting_bytes + len(pushed.body) > WAITING_BYTES):
            _, since = next(iter(self._waiting.values()))
            raise Full(max(1, min(60, round((since + WAITING_FOR - now).total_seconds()))))
        if (now - self._turn).total_seconds() >= _TURN_SECONDS:
            self._turn, self._taken = now, 0
        if self._taken >= self._draw.per_second:
            raise Full(1)
        self._taken += 1

    def _remember(self, mark: bytes, now: datetime) -> None:
        self._known[mark] = now
        if len(self._known) > KNOWN_MOST:
            _, self._forgotten = self._known.popitem(last=False)

    def _join(self, one: tuple[Half, datetime], two: tuple[Half, datetime], now: datetime) -> Outcome:
        asked, answered = (one, two) if one[0].part is Part.REQUEST else (two, one)
        try:
            request = parse(asked[0].body, limit=BODY_BYTES, values=PUSHED_VALUES)
        except JsonRefused:
            return Outcome.UNREADABLE
        told = asked[0].sent, answered[0].sent
        began, ended = (told[0], told[1]) if told[0] and told[1] else (asked[1], answered[1])
        # Events come from a queue, side by side: a second one may be dated before the first.
        seconds = max(0.0, (ended - began).total_seconds())
        try:
            answer: JsonObject = {"seconds": seconds, "body": answered[0].body.decode()}
        except UnicodeDecodeError:
            # Who is asked over JSON and answers something else has answered nothing.
            answer = {"failure": "Malformed"}
        return self._keep({"request": request, "answer": {"failure": "TooLarge"} if answered[0].too_large else answer}, now)

    def _keep(self, exchange: JsonObject, now: datetime) -> Outcome:
        self._last = at = max(now, self._last + _TICK)
        tags: list[JsonValue] = [*self._draw.tags]
        whole: JsonObject = {"tags": tags, **exchange, "at": at.isoformat()}
        # One line that cannot be read would take all others with it. What is too much of an answer is the model's fault, and counts.
        line = next((line for told in (whole, whole | {"answer": {"failure": "TooLarge"}}) if _is_readable(line := canonical(told))), None)
        if line is None:
            return Outcome.UNREADABLE
        self._kept.append((at, line))
        self._kept_bytes += len(line)
        while len(self._kept) > PROBED_MOST or self._kept_bytes > KEPT_BYTES:
            self._drop()
        return Outcome.KEPT

    def _forget(self, now: datetime) -> None:
        while self._kept and self._kept[0][0] <= now - KEPT_FOR:
            self._drop()
        while self._waiting:
            key, (half, since) = next(iter(self._waiting.items()))
            if since > now - WAITING_FOR:
                return
            del self._waiting[key]
            self._waiting_bytes -= len(half.body)
            self.outcomes[Outcome.UNANSWERED] += 1

    def _drop(self) -> None:
        _, line = self._kept.popleft()
        self._kept_bytes -= len(line)


def _is_readable(line: bytes) -> bool:
    try:
        document_of(line, limit=LINE_BYTES, values=VALUES)
    except Unusable:
        return False
    return True
