"""Pushed samples: whatever is sent in whatever order, however often, and whenever it is fetched, each exchange is there once or not at all."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sluice.scoring.collecting.events import Half, Part, Pushed, Whole
from sluice.scoring.collecting.sample import Draw, Outcome, Sample

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
STEPS = st.lists(st.tuples(st.sampled_from(["request", "response", "whole", "fetch", "restart"]), st.integers(0, 7), st.integers(-2, 90)), max_size=60)


def pushed(what: str, number: int, at: datetime) -> Pushed:
    if what == "whole":
        return Whole(key=f"w{number}", sent=at, exchange={"request": {"prompt": f"w{number}"}, "answer": None})
    return Half(key=f"h{number}", part=Part(what), sent=at, body=b'{"prompt": "h%d"}' % number)


class Reader:
    """Fetches, and goes on where it ended."""

    def __init__(self) -> None:
        self.since = NOON
        self.found: list[str] = []

    def fetch(self, sample: Sample) -> None:
        lines = [json.loads(line) for line in sample.since(self.since)]
        self.found += [line["request"]["prompt"] for line in lines]
        self.since = max([self.since, *(datetime.fromisoformat(line["at"]) for line in lines)])


@given(STEPS)
def test_whoever_fetches_gets_nothing_twice_and_everything_that_was_kept(steps: list[tuple[str, int, int]]) -> None:
    now, latest, reader = NOON, NOON, Reader()
    sample = Sample(Draw(salt=b"s"), now=now)
    kept: list[str] = []
    sent: dict[tuple[str, int], datetime] = {}
    for what, number, seconds in steps:
        # Clocks go back a little, and a sender tells the same time of a thing whenever it sends it.
        now += timedelta(seconds=seconds)
        latest = max(latest, now, reader.since)
        if what == "restart":
            now = latest
            # What nobody has fetched is lost.
            sample, kept = Sample(Draw(salt=b"t"), now=now), [*reader.found]
        elif what == "fetch":
            reader.fetch(sample)
        else:
            one = pushed(what, number, sent.setdefault((what, number), now))
            if sample.take(one, now=now) is Outcome.KEPT:
                kept.append(one.key)
    reader.fetch(sample)
    assert len(reader.found) == len(set(reader.found))
    assert sorted(reader.found) == sorted(kept)
