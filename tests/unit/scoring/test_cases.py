"""Cases are read as they were written, or refused with their line and a remedy."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from sluice.scoring import cases as module
from sluice.scoring.case import Case, Chat, Fields, Input, Prompt, Tensor, Tensors, Text
from sluice.scoring.cases import CasesRefused, read_cases

GOOD = {"id": "c-1", "input": {"prompt": "2 + 2?"}}


def lines(*cases: object) -> bytes:
    return b"".join(json.dumps(case).encode() + b"\n" for case in cases)


def refusal_of(raw: bytes) -> str:
    with pytest.raises(CasesRefused) as refused:
        read_cases(raw)
    return str(refused.value)


def tensor(**members: object) -> dict[str, Any]:
    return {"id": "c-1", "input": {"tensors": [{"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [1, 2.5, 3, 4]} | members]}}


def test_a_case_is_read_with_everything_it_says() -> None:
    raw = lines(GOOD | {"expect": {"text": "4"}, "slices": {"region": "DACH"}, "tags": ["unsafe"]})
    cases = read_cases(raw)
    assert cases.all == (Case(id="c-1", input=Prompt(text="2 + 2?"), expect={"text": "4"}, slices={"region": "DACH"}, tags=frozenset({"unsafe"})),)
    assert cases.digest == "sha256:" + hashlib.sha256(raw).hexdigest()


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({"prompt": "p"}, Prompt(text="p")),
        ({"text": "t"}, Text(text="t")),
        ({"fields": {"a": [1]}}, Fields(values={"a": [1]})),
        ({"messages": [{"role": "user", "content": "m"}]}, Chat(turns=(({"role": "user", "content": "m"},),))),
        (
            {"turns": [[{"role": "user", "content": "1"}], [{"role": "user", "content": "2"}]], "tools": [{"type": "function"}]},
            Chat(turns=(({"role": "user", "content": "1"},), ({"role": "user", "content": "2"},)), tools=({"type": "function"},)),
        ),
        (
            {"tensors": [{"name": "x", "shape": [1, 2], "datatype": "BYTES", "data": ["a", "b"]}]},
            Tensors(inputs=(Tensor(name="x", shape=(1, 2), datatype="BYTES", data=("a", "b")),)),
        ),
    ],
)
def test_each_kind_of_input_has_its_shape(given: object, read: Input) -> None:
    assert read_cases(lines({"id": "c-1", "input": given})).all[0].input == read


@pytest.mark.parametrize(
    ("case", "complaint"),
    [
        ([1], "not a JSON object"),
        ({"id": "c-1"}, "'input'"),
        ({"input": {"prompt": "p"}}, "'id'"),
        (GOOD | {"id": ""}, "id is not a text of 1 to 128"),
        (GOOD | {"id": 7}, "id is not a text"),
        (GOOD | {"expected": {}}, "'expected' of a case is unknown; known are expect, id, input, slices, tags"),
        (GOOD | {"expect": "4"}, "expect is not a JSON object"),
        (GOOD | {"slices": {"a=b": "c"}}, "a dimension of slices is 'a=b'"),
        (GOOD | {"slices": {"region": 7}}, "slices.region is not a text"),
        (GOOD | {"slices": {"region": "a\tb"}}, "slices.region is 'a\\tb', which cannot be shown"),
        (GOOD | {"slices": {f"d{n}": "x" for n in range(17)}}, "at most 16"),
        (GOOD | {"tags": ["not safe"]}, "a tag is 'not safe'"),
        (GOOD | {"tags": "unsafe"}, "tags is not a list"),
        (GOOD | {"input": {}}, "none of prompt, messages"),
        (GOOD | {"input": {"prompt": "p", "text": "t"}}, "prompt and text of"),
        (GOOD | {"input": {"prompt": "p", "tools": []}}, "'tools' of input is unknown"),
        (GOOD | {"input": {"messages": []}}, "input.messages is empty"),
        (GOOD | {"input": {"messages": [{"content": "m"}]}}, "input.messages[0].role"),
        (GOOD | {"input": {"turns": []}}, "input.turns is empty"),
        (GOOD | {"input": {"tensors": []}}, "input.tensors is empty"),
        (tensor(datatype="FLOAT"), "'FLOAT' is none of the protocol's"),
        (tensor(shape=[2, 3]), "has 4 values where shape [2, 3] needs 6"),
        (tensor(shape=[-1, 4]), "shape holds -1"),
        (tensor(data=[[1, 2], [3, 4]]), "write it flat"),
        (tensor(data=[1, 2, 3, True]), "holds True, which is no FP32"),
        (tensor(data=[1, 2, 3, None]), "holds None, which is no FP32"),
        (tensor(datatype="UINT8", data=[0, 1, 2, 256]), "holds 256, which is no UINT8"),
        (tensor(datatype="INT8", data=[0, 1, 2, -129]), "holds -129, which is no INT8"),
        (tensor(extra=1), "'extra' of input.tensors[0] is unknown"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(case: object, complaint: str) -> None:
    message = refusal_of(lines({"id": "before", "input": {"prompt": "p"}}, case))
    assert message.startswith("line 2: ")
    assert complaint in message


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (b"", "there is no case"),
        (lines(GOOD) + b"\n" + lines(GOOD | {"id": "c-2"}), "line 2: is empty; remove it"),
        (lines(GOOD, GOOD), "line 2: id 'c-1' is there twice"),
        (b'{"id":"a","id":"b","input":{"prompt":"p"}}', "line 1: is not the JSON we accept: member 'id' appears twice"),
        (b'{"id":"a","input":{"prompt":"p"}', "line 1: is not the JSON we accept"),
        (b'{"id":"a","input":{"fields":{"x":NaN}}}', "NaN"),
        (b'{"id":"a","input":{"fields":' + b'{"x":' * 70 + b"1" + b"}" * 72, "deeper than 64"),
        (b'{"id":"a","input":{"prompt":"' + b"p" * (1 << 20) + b'"}}', "at most 1,048,576"),
    ],
)
def test_what_is_no_file_of_cases_is_refused(raw: bytes, complaint: str) -> None:
    assert complaint in refusal_of(raw)


def test_the_last_line_needs_no_end() -> None:
    assert len(read_cases(lines(GOOD, GOOD | {"id": "c-2"}).rstrip()).all) == 2


def test_bytes_values_and_cases_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = lines(GOOD, GOOD | {"id": "c-2"})
    monkeypatch.setattr(module, "CASES", 1)
    assert "more than 1 cases" in refusal_of(raw)
    monkeypatch.setattr(module, "VALUES", 3)
    assert "more than 3 values" in refusal_of(raw)
    monkeypatch.setattr(module, "FILE_BYTES", 10)
    assert "at most 10 are read" in refusal_of(raw)
