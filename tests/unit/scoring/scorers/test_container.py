"""The contract with scorers of one's own: what they are sent, and what of their reply counts."""

import json
import re
from pathlib import Path

import pytest

from sluice.scoring.answer import Answer, ToolCall
from sluice.scoring.case import Case, Fields, Input, Prompt, Tensor, Tensors, Text
from sluice.scoring.scorers.container import CONTRACT, PATH, REPLY_LIMIT, ReplyError, request_of, score_from
from tests.unit.scoring.scorers.said import case, chat, said


def test_the_request_is_what_the_document_says() -> None:
    asked = Case(id="c-1", input=Prompt(text="2+2?"), expect={"text": "4"}, slices={"topic": "sums"}, tags=frozenset({"b", "a"}))
    answer = Answer(text="4", latency_seconds=0.25, finish_reason="stop", prompt_tokens=3, tool_calls=(ToolCall(name="f", arguments=None, raw="{"),))
    assert json.loads(request_of(asked, answer)) == {
        "contract": CONTRACT,
        "case": {"id": "c-1", "input": {"prompt": "2+2?"}, "expect": {"text": "4"}, "slices": {"topic": "sums"}, "tags": ["a", "b"]},
        "answer": {
            "text": "4",
            "toolCalls": [{"name": "f", "arguments": None, "raw": "{"}],
            "finishReason": "stop",
            "latencySeconds": 0.25,
            "promptTokens": 3,
        },
    }


def test_the_page_for_people_shows_what_is_sent_and_read() -> None:
    page = (Path(__file__).parents[4] / "docs" / "scorer-contract.md").read_text(encoding="utf-8")
    shown = set(re.findall(r'"([a-zA-Z]+)":', page))
    sent = json.loads(
        request_of(
            case(),
            Answer(
                text="x",
                turns=("x",),
                tool_calls=(ToolCall(name="f", arguments={}, raw="{}"),),
                tensors={"p": Tensor(name="p", shape=(1,), datatype="FP32", data=(1,))},
                embedding=(1.0,),
                finish_reason="stop",
                latency_seconds=1.0,
                first_token_seconds=1.0,
                prompt_tokens=1,
                completion_tokens=1,
            ),
        )
    )
    assert shown >= {*sent, *sent["case"], *sent["answer"], *sent["answer"]["toolCalls"][0], *sent["answer"]["tensors"][0]}
    assert CONTRACT in page
    assert f"`POST {PATH}`" in page
    assert f"at most {REPLY_LIMIT // 1024} KiB" in page
    example = page.partition("```json\n")[2].partition("\n```")[0]
    assert score_from(example.encode()).value == 0.7


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        (Text(text="x"), {"text": "x"}),
        (Fields(values={"a": [1]}), {"fields": {"a": [1]}}),
        (
            Tensors(inputs=(Tensor(name="p", shape=(1, 2), datatype="FP32", data=(0.5, 1)),)),
            {"tensors": [{"name": "p", "shape": [1, 2], "datatype": "FP32", "data": [0.5, 1]}]},
        ),
        (chat(), {"turns": [[{"role": "user", "content": "?"}]]}),
    ],
)
def test_an_input_is_written_as_the_line_of_its_case(asked: Input, written: object) -> None:
    assert json.loads(request_of(case(asked=asked), said()))["case"]["input"] == written


def test_the_scorer_is_not_told_whose_answer_it_is() -> None:
    body = request_of(case(), said("x", answer=(1.0,))).decode()
    assert "candidate" not in body
    assert "baseline" not in body


def test_a_lone_surrogate_stays_an_escape() -> None:
    assert json.loads(request_of(case(), said("\ud800")))["answer"]["text"] == "\ud800"


@pytest.mark.parametrize(("reply", "value"), [(b'{"value": 0.7}', 0.7), (b'{"value": 1}', 1.0), (b' {"value": 0}\n', 0.0), (b'{"value": null}', None)])
def test_a_score_is_a_number_or_null(reply: bytes, value: float | None) -> None:
    assert score_from(reply).value == value


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (b"", "the reply is not the JSON"),
        (b"0.7", "reply .* a number from 0 to 1"),
        (b"{}", "no other member"),
        (b'{"value": 0.7, "reason": "x"}', "no other member"),
        (b'{"value": 1.01}', r"value is 1\.01"),
        (b'{"value": -0.1}', r"value is -0\.1"),
        (b'{"value": true}', "value is True"),
        (b'{"value": "0.7"}', "value is '0.7'"),
        (b'{"value": NaN}', "NaN is no JSON number"),
        (b'{"value": 1, "value": 0}', "appears twice"),
        (b'{"value": 1}' + b" " * REPLY_LIMIT, "at most 65,536 are read"),
        (b"\xff", "not the JSON"),
    ],
)
def test_any_other_reply_is_refused_with_what_to_reply(reply: bytes, why: str) -> None:
    with pytest.raises(ReplyError, match=why):
        score_from(reply)
