"""The sample: each exchange once, none by what was answered, nothing without a bound."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sluice.scoring.bounds import PROBED_MOST
from sluice.scoring.collecting import sample as module
from sluice.scoring.collecting.events import BODY_BYTES, Half, Part, Whole
from sluice.scoring.collecting.sample import KEPT_FOR, WAITING_FOR, Draw, Full, Outcome, Sample
from sluice.scoring.live import scored
from tests.unit.scoring.test_live import RULES

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SALT = b"nobody else's"
DRAW = Draw(salt=SALT, per_second=1_000_000)

Json = Any


def asks(id_: str, *, second: float | None = 1, body: bytes = b'{"prompt": "May I?"}') -> Half:
    return Half(key=id_, part=Part.REQUEST, sent=None if second is None else NOON + timedelta(seconds=second), body=body)


def answers(id_: str, *, second: float | None = 1.5, body: bytes = b'{"choices": [{"text": "yes"}]}', too_large: bool = False) -> Half:
    return Half(key=id_, part=Part.RESPONSE, sent=None if second is None else NOON + timedelta(seconds=second), body=body, too_large=too_large)


def exchange(id_: str, *, second: float | None = 1, **more: Json) -> Whole:
    sent = None if second is None else NOON + timedelta(seconds=second)
    return Whole(key=id_, sent=sent, exchange={"request": {"prompt": "May I?"}, "answer": {"body": "{}"}, **more})


class Pod:
    """A sample, and a clock."""

    def __init__(self, draw: Draw = DRAW) -> None:
        self.sample = Sample(draw, now=NOON)
        self.now = NOON + timedelta(seconds=2)

    def take(self, *pushes: Half | Whole) -> list[Outcome]:
        return [self.sample.take(pushed, now=self.now) for pushed in pushes]

    def lines(self, since: datetime = NOON) -> list[Json]:
        return [json.loads(line) for line in self.sample.since(since)]


def test_a_question_and_its_answer_are_one_exchange_in_whatever_order_they_come() -> None:
    for halves in ([asks("a"), answers("a")], [answers("a"), asks("a")]):
        pod = Pod()
        assert pod.take(*halves) == [Outcome.WAITS, Outcome.KEPT]
        (line,) = pod.lines()
        assert line == {
            "at": "2026-11-21T12:00:02+00:00", "tags": [], "request": {"prompt": "May I?"},
            "answer": {"seconds": 0.5, "body": '{"choices": [{"text": "yes"}]}'},
        }  # fmt: skip


def test_an_answer_took_the_time_that_its_sender_tells_or_else_that_between_both_halves() -> None:
    for first, second, took in ((1.0, 1.5, 0.5), (1.5, 1.0, 0.0), (None, 1.5, 3.0), (1.0, None, 3.0)):
        pod = Pod()
        pod.take(asks("a", second=first))
        pod.now += timedelta(seconds=3)
        pod.take(answers("a", second=second))
        assert [line["answer"]["seconds"] for line in pod.lines()] == [took]


def test_halves_of_different_exchanges_stay_apart() -> None:
    pod = Pod()
    assert pod.take(asks("a"), answers("b")) == [Outcome.WAITS, Outcome.WAITS]
    assert pod.lines() == []


def test_nothing_counts_twice_however_often_it_is_sent() -> None:
    pod = Pod()
    pod.take(asks("a"), answers("a"), exchange("b"))
    assert pod.take(asks("a"), answers("a"), exchange("b"), answers("a", second=None)) == [Outcome.KNOWN] * 4
    assert len(pod.lines()) == 2
    assert pod.sample.waiting == 0


def test_who_goes_on_where_the_last_line_ended_gets_each_exchange_once() -> None:
    pod = Pod()
    seen: list[str] = []
    since = NOON
    for number in range(6):
        # Two at the same moment of the clock, and a clock that goes back.
        pod.now = NOON + timedelta(seconds=5 - number // 2)
        pod.take(exchange(f"e-{number}", second=None, tags=[str(number)]))
        if number % 3 == 1:
            fetched = pod.lines(since)
            seen += [line["tags"][0] for line in fetched]
            since = datetime.fromisoformat(fetched[-1]["at"])
    seen += [line["tags"][0] for line in pod.lines(since)]
    assert seen == ["0", "1", "2", "3", "4", "5"]


def test_after_a_restart_what_was_sent_before_is_not_counted_again() -> None:
    first = Pod()
    first.take(exchange("a", second=-5))
    again = Pod()
    assert again.take(exchange("a", second=-5), asks("b", second=0), exchange("c", second=0.1)) == [Outcome.TOO_OLD, Outcome.TOO_OLD, Outcome.KEPT]


def test_an_id_that_was_forgotten_is_too_old_and_not_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KNOWN_MOST", 3)
    pod = Pod()
    for number in range(5):
        pod.now = NOON + timedelta(seconds=10 + number)
        assert pod.take(exchange(f"e-{number}", second=9.5 + number)) == [Outcome.KEPT]
    assert pod.take(*(exchange(f"e-{number}", second=9.5 + number) for number in range(5))) == [Outcome.TOO_OLD] * 2 + [Outcome.KNOWN] * 3
    assert len(pod.lines()) == 5


def test_what_is_drawn_depends_on_the_id_alone_and_on_a_secret() -> None:
    pods = [Pod(Draw(salt=salt, share=0.3, per_second=1_000_000)) for salt in (SALT, SALT, b"another")]
    drawn = [{id_ for id_ in map(str, range(2000)) if pod.take(asks(id_, body=b"{}" if n else b"[]")) != [Outcome.NOT_DRAWN]} for n, pod in enumerate(pods)]
    assert 500 < len(drawn[0]) < 700
    assert drawn[0] == drawn[1] != drawn[2]
    for id_ in list(drawn[0])[:20]:
        assert pods[0].take(answers(id_)) == [Outcome.KEPT]


def test_no_more_than_so_many_a_second_and_an_answer_is_never_turned_away() -> None:
    pod = Pod(Draw(salt=SALT, per_second=2))
    pod.take(asks("a"), exchange("b"))
    for pushed in (asks("c"), exchange("d"), answers("e")):
        with pytest.raises(Full) as full:
            pod.take(pushed)
        assert full.value.seconds == 1
    assert pod.take(answers("a"), exchange("b")) == [Outcome.KEPT, Outcome.KNOWN]
    pod.now += timedelta(seconds=1)
    assert pod.take(asks("c"), exchange("d")) == [Outcome.WAITS, Outcome.KEPT], "what was turned away can come again"


def test_what_waits_is_bounded_in_number_and_bytes_and_says_when_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING_MOST", 2)
    monkeypatch.setattr(module, "WAITING_BYTES", 30)
    pod = Pod()
    pod.take(asks("a", body=b"x" * 20))
    with pytest.raises(Full):
        pod.take(asks("b", body=b"x" * 20))
    pod.take(asks("b", body=b"{}"))
    pod.now += WAITING_FOR - timedelta(seconds=7)
    with pytest.raises(Full) as full:
        pod.take(asks("c", body=b"{}"))
    assert full.value.seconds == 7
    assert pod.take(exchange("w")) == [Outcome.KEPT], "what is whole waits for nothing"
    pod.now += timedelta(seconds=7)
    assert pod.take(asks("c", body=b"x" * 30)) == [Outcome.WAITS]
    assert pod.sample.outcomes[Outcome.UNANSWERED] == 2
    assert pod.take(answers("c")) == [Outcome.UNREADABLE]
    assert pod.take(asks("d", body=b"x" * 30)) == [Outcome.WAITS], "what is joined takes no room any more"


def test_a_question_without_an_answer_is_left_out_and_counted() -> None:
    pod = Pod()
    pod.take(asks("a"))
    pod.now += WAITING_FOR
    pod.take(exchange("b"))
    assert (pod.sample.waiting, pod.sample.outcomes[Outcome.UNANSWERED], len(pod.lines())) == (0, 1, 1)


def test_the_newest_are_kept_up_to_what_a_probe_counts_and_to_what_it_fetches(monkeypatch: pytest.MonkeyPatch) -> None:
    pod = Pod()
    pod.take(*(exchange(str(number), tags=[str(number)]) for number in range(PROBED_MOST + 5)))
    assert [line["tags"][0] for line in pod.lines()][:1] == ["5"]
    assert pod.sample.kept == PROBED_MOST
    monkeypatch.setattr(module, "KEPT_BYTES", 1000)
    pod.take(exchange("large", tags=["large"], expect={"text": "x" * 800}))
    assert [line["tags"][0] for line in pod.lines()] == ["large"]


def test_texts_are_forgotten_after_a_day() -> None:
    pod = Pod()
    pod.take(exchange("a"))
    pod.now += KEPT_FOR
    pod.take(exchange("b"))
    assert pod.sample.kept == 1


def test_tags_are_given_to_those_that_have_none() -> None:
    pod = Pod(Draw(salt=SALT, tags=["safe"]))
    pod.take(exchange("a"), exchange("b", tags=["unsafe"]), asks("c"), answers("c"))
    assert [line["tags"] for line in pod.lines()] == [["safe"], ["unsafe"], ["safe"]]


@pytest.mark.parametrize(
    ("answer", "counts"),
    [
        (answers("a"), (1.0,)),
        (answers("a", body=b"\xff\xfe"), (None,)),
        (answers("a", body=b"<html>"), (None,)),
        (answers("a", body=b"," * BODY_BYTES), (None,)),
        (answers("a", body=b"", too_large=True), (None,)),
    ],
    ids=["fine", "no-text", "no-json", "endless-commas", "too-large"],
)
def test_an_answer_that_is_broken_counts_as_missing_and_takes_no_other_with_it(answer: Half, counts: tuple[float | None, ...]) -> None:
    pod = Pod(Draw(salt=SALT))
    question = b'{"prompt": "May I?"}'
    assert pod.take(asks("a", body=question), answer) == [Outcome.WAITS, Outcome.KEPT]
    pod.take(asks("b", body=question), answers("b", body=b'{"choices": [{"text": "no"}]}'))
    raw = b"".join(line.replace(b'"request"', b'"expect":{"text":"yes"},"request"') for line in pod.sample.since(NOON))
    found = scored(raw, RULES, plan="p", metric="accuracy", between=(NOON, pod.now + timedelta(seconds=1)))
    assert sorted(found.observations, key=str) == sorted([0.0, *counts], key=str)


def test_a_question_that_nobody_can_read_is_left_out() -> None:
    pod = Pod()
    assert pod.take(asks("a", body=b"{"), answers("a")) == [Outcome.WAITS, Outcome.UNREADABLE]
    assert pod.take(exchange("b", expect={"text": "," * 2_000_000})) == [Outcome.UNREADABLE]
    assert pod.lines() == []
