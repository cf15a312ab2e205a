"""What a push holds, in each of its forms, and what is none."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from multidict import CIMultiDict

from sluice.scoring.collecting.events import BODY_BYTES, EVENTS_MOST, Half, Part, Pushed, PushRefused, Whole, read_push, read_too_large

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
QUESTION = b'{"messages": [{"role": "user", "content": "May I?"}]}'
KSERVE = {
    "Ce-Specversion": "1.0", "Ce-Id": "7f1c", "Ce-Source": "http://localhost:9081/", "Ce-Type": "org.kubeflow.serving.inference.request",
    "Ce-Time": "2026-11-21T12:00:00.123456789Z", "Ce-Inferenceservicename": "churn", "Ce-Namespace": "payments", "Content-Type": "application/json",
}  # fmt: skip
"""Headers as KServe's logger sends them."""

Json = Any


def read(headers: dict[str, str], body: bytes) -> tuple[Pushed, ...]:
    return read_push(CIMultiDict(headers), body)


def structured(kind: str, event: Json) -> tuple[Pushed, ...]:
    return read({"Content-Type": f"application/{kind}+json; charset=utf-8"}, json.dumps(event).encode())


def event(**changes: Json) -> dict[str, Json]:
    told: dict[str, Json] = {"specversion": "1.0", "id": "7f1c", "source": "s", "type": "inference.response", "data": {"choices": []}} | changes
    return {name: value for name, value in told.items() if value is not None}


def test_an_event_of_kserve_is_half_an_exchange() -> None:
    (half,) = read(KSERVE, QUESTION)
    assert half == Half(key="http://localhost:9081/\n7f1c", part=Part.REQUEST, sent=NOON.replace(microsecond=123456), body=QUESTION)
    (other,) = read(KSERVE | {"Ce-Type": "org.kubeflow.serving.inference.response"}, b"{}")
    assert isinstance(other, Half)
    assert (other.part, other.key) == (Part.RESPONSE, half.key)


def test_a_structured_event_says_the_same() -> None:
    (half,) = structured("cloudevents", event(time="2026-11-21T12:00:00Z"))
    assert half == Half(key="s\n7f1c", part=Part.RESPONSE, sent=NOON, body=b'{"choices":[]}')


@pytest.mark.parametrize(("data", "body"), [({"data": "not { json"}, b"not { json"), ({"data": None, "data_base64": "aGk="}, b"hi")], ids=["text", "base64"])
def test_an_answer_stays_as_it_came(data: dict[str, Json], body: bytes) -> None:
    (half,) = structured("cloudevents", event(**data))
    assert isinstance(half, Half)
    assert half.body == body


def test_a_batch_holds_many() -> None:
    found = structured("cloudevents-batch", [event(), event(type="inference.request")])
    assert [half.part for half in found if isinstance(half, Half)] == [Part.RESPONSE, Part.REQUEST]


def test_lines_hold_whole_exchanges_and_nothing_that_nobody_reads() -> None:
    lines = [
        {"id": "a", "at": "2026-11-21T12:00:00Z", "request": {"prompt": "?"}, "answer": None, "tags": ["safe"], "user": "olga"},
        {"id": "b", "request": "{}", "answer": {}},
    ]
    found = read({"Content-Type": "application/jsonl"}, b"\n".join(json.dumps(line).encode() for line in lines))
    assert found == (
        Whole(key="\na", sent=NOON, exchange={"request": {"prompt": "?"}, "answer": None, "tags": ["safe"]}),
        Whole(key="\nb", sent=None, exchange={"request": "{}", "answer": {}}),
    )


def test_an_id_of_one_sender_is_not_that_of_another() -> None:
    keys = {read(KSERVE | {"Ce-Source": source, "Ce-Id": id_}, b"{}")[0].key for source, id_ in (("a", "b"), ("b", "a"), ("a", "a"))}
    assert len(keys) == 3


@pytest.mark.parametrize(
    ("headers", "body", "complaint"),
    [
        (KSERVE | {"Ce-Specversion": "0.3"}, b"", "specversion is '0.3'"),
        (KSERVE | {"Ce-Type": "org.kubeflow.serving.inference.explain"}, b"", "those that end in .request and .response"),
        (KSERVE | {"Ce-Id": ""}, b"", "id is missing"),
        (KSERVE | {"Ce-Source": "s" * 1025}, b"", "source is missing, or no text"),
        (KSERVE | {"Ce-Time": "noon"}, b"", "time: this is no time"),
        ({}, b"", "nothing was sent"),
        ({}, b"[]", "line 1 is not a JSON object"),
        ({}, b"{", "line 1 is not the JSON"),
        ({}, b'{"id": "a", "request": {}}', "line 1 has no answer"),
        ({}, b'{"answer": {}, "request": {}}', "id is missing"),
        ({}, b'{"id": 7, "answer": {}, "request": {}}', "id is missing, or no text"),
        ({}, b"{}\n" * (EVENTS_MOST + 1), "at most 1,000 are read"),
        ({"Content-Type": "application/cloudevents+json"}, b"[]", "an event is a JSON object"),
        ({"Content-Type": "application/cloudevents+json"}, json.dumps(event(id=None)).encode(), "id is missing"),
        ({"Content-Type": "application/cloudevents+json"}, json.dumps(event(data_base64="*")).encode(), "no base64"),
        ({"Content-Type": "application/cloudevents+json"}, json.dumps(event(data_base64="aÿ")).encode(), "no base64"),
        ({"Content-Type": "application/cloudevents-batch+json"}, b"{}", "a batch is a list"),
        ({"Content-Type": "application/cloudevents-batch+json"}, json.dumps([1] * (EVENTS_MOST + 1)).encode(), "at most 1,000 events"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_what_is_no_sample_is_refused_with_what_is_wrong(headers: dict[str, str], body: bytes, complaint: str) -> None:
    with pytest.raises(PushRefused, match=complaint):
        read(headers, body)


def test_an_answer_that_nobody_reads_to_its_end_is_the_models_and_a_question_is_not() -> None:
    half = read_too_large(CIMultiDict(KSERVE | {"Ce-Type": "inference.response"}))
    assert (half.too_large, half.part) == (True, Part.RESPONSE)
    for headers in (KSERVE, {}, {"Content-Type": "application/cloudevents+json"}):
        with pytest.raises(PushRefused, match=f"at most {BODY_BYTES:,} bytes"):
            read_too_large(CIMultiDict(headers))
