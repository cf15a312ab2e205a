"""Which lines of a recording are questions, and what of them is taken."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sluice.scoring.protocols.template import Pointer
from sluice.scoring.replay.requests import LeftOut, Request, Unusable, digest_of, document_of, request_of

HELLO = [{"role": "user", "content": "hello"}]
TENSOR = {"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [[1, 2], [3, 4]]}


def read(document: Any, **slices: str) -> Request:  # noqa: ANN401 - any JSON
    pointers = {name: Pointer.parse(pointer) for name, pointer in slices.items()}
    return request_of(document_of(json.dumps(document).encode()), slices=pointers)


@pytest.mark.parametrize(
    ("document", "asked"),
    [
        ({"model": "m", "messages": HELLO, "user": "anna", "temperature": 1}, {"messages": HELLO}),
        ({"request": {"messages": HELLO, "tools": [{"type": "function"}]}}, {"messages": HELLO, "tools": [{"type": "function"}]}),
        ({"request": json.dumps({"messages": HELLO})}, {"messages": HELLO}),
        ({"request": {"method": "POST", "path": "/v1/chat/completions", "body": {"messages": HELLO}}}, {"messages": HELLO}),
        ({"custom_id": "7", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": HELLO}}, {"messages": HELLO}),
        ({"messages": [*HELLO, {"role": "assistant", "content": "hi"}]}, {"messages": HELLO}),
        ({"messages": [{"role": "user", "content": "hello", "refusal": None, "annotations": []}]}, {"messages": HELLO}),
        ({"prompt": "once", "max_tokens": 4}, {"prompt": "once"}),
        ({"prompt": ["once"]}, {"prompt": "once"}),
        ({"input": "to embed", "model": "m"}, {"text": "to embed"}),
        ({"inputs": [TENSOR], "outputs": [{"name": "y"}]}, {"tensors": [TENSOR | {"data": [1, 2, 3, 4]}]}),
        (
            {"specversion": "1.0", "id": "k", "type": "org.kubeflow.serving.inference.request", "data": {"inputs": [TENSOR]}},
            {"tensors": [TENSOR | {"data": [1, 2, 3, 4]}]},
        ),
        ({"id": "1", "input": {"fields": {"age": 7}}}, {"fields": {"age": 7}}),
        ({"request": {"text": "to embed"}}, {"text": "to embed"}),
    ],
)
def test_what_is_asked_is_taken_from_every_form_and_nothing_else(document: Any, asked: Any) -> None:  # noqa: ANN401 - any JSON
    assert read(document).input == asked


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"GET /healthz 200", LeftOut.NOT_JSON),
        (b'["prompt"]', LeftOut.NOT_JSON),
        (b'{"prompt": "a", "prompt": "b"}', LeftOut.NOT_JSON),
        (b'{"request": "{"}', LeftOut.NOT_JSON),
        (b'{"level": "info", "message": "started"}', LeftOut.NO_REQUEST),
        (b'{"messages": "hello"}', LeftOut.NO_REQUEST),
        (b'{"messages": [{"role": "assistant", "content": "hi"}]}', LeftOut.NO_REQUEST),
        (b'{"prompt": [1, 2]}', LeftOut.SEVERAL),
        (b'{"input": ["a", "b"]}', LeftOut.SEVERAL),
        (b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "parameters": {"binary_data_size": 4}}]}', LeftOut.NO_REQUEST),
        (b'{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]}', LeftOut.NOT_TEXT),
        (b'{"specversion": "1.0", "type": "org.kubeflow.serving.inference.response", "data": {"prompt": "a"}}', LeftOut.RESPONSE),
    ],
)
def test_what_asks_nothing_is_left_out_with_its_reason(line: bytes, reason: LeftOut) -> None:
    with pytest.raises(Unusable) as refused:
        request_of(document_of(line), slices={})
    assert refused.value.reason is reason


def test_an_id_is_the_recordings_own_or_that_of_the_question() -> None:
    assert [read({member: "7", "prompt": "a"}).id for member in ("id", "custom_id", "request_id")] == ["7"] * 3
    assert read({"prompt": "a", "user": "anna"}).id == read({"prompt": "a", "user": "bob"}).id == digest_of({"prompt": "a"})
    assert read({"id": 7, "prompt": "a"}).id == digest_of({"prompt": "a"})


def test_slices_come_from_the_envelope_and_from_where_one_says() -> None:
    document = {"slices": {"tier": "gold"}, "request": {"prompt": "a", "metadata": {"region": "dach", "shop": 12, "nested": {}}}}
    found = read(document, region="/request/metadata/region", shop="/request/metadata/shop", nested="/request/metadata/nested", none="/nowhere")
    assert found.slices == {"tier": "gold", "region": "dach", "shop": "12"}
