"""A conversation goes on only while its script answers what the model asked for."""

import json

import pytest

from sluice.scoring.case import Case, Chat, Fields, Input, Json, Prompt, Tensor, Tensors, Text
from sluice.scoring.protocols.client import check_case
from sluice.scoring.protocols.gathering import Gathering
from sluice.scoring.protocols.openai_chat import ChatPieces, chat_of, continued, turn_of
from sluice.scoring.protocols.settings import HttpExchange, Limits, ProtocolSettings, ProtocolType
from sluice.scoring.protocols.turn import Call, Timed, Turn, Usage, answer_of
from sluice.scoring.protocols.unanswered import UnsuitableCase

LIMITS = Limits()
USER = {"role": "user", "content": "and then?"}
ASKED = [{"role": "user", "content": "?"}]


def turn(text: str = "", *, calls: tuple[Call, ...] = (), usage: Usage | None = None) -> Turn:
    """What a model wrote."""
    return Turn(text=text, calls=calls, finish_reason="stop", usage=usage or Usage())


FIND = Call(id="call-1", name="find", arguments='{"x": 1}')
SEND = Call(id="call-2", name="send", arguments="")


def test_the_models_words_stand_before_the_next_message() -> None:
    assert continued(ASKED, turn("this"), [USER]) == [*ASKED, {"role": "assistant", "content": "this"}, USER]


def test_results_of_tools_get_the_ids_of_the_calls_in_their_order() -> None:
    results = [{"role": "tool", "content": "1"}, {"role": "tool", "content": "sent", "tool_call_id": "from the script"}, USER]
    history = continued(ASKED, turn(calls=(FIND, SEND)), results)
    assert history is not None
    assert history[1]["tool_calls"] == [
        {"id": "call-1", "type": "function", "function": {"name": "find", "arguments": '{"x": 1}'}},
        {"id": "call-2", "type": "function", "function": {"name": "send", "arguments": ""}},
    ]
    assert [message.get("tool_call_id") for message in history[2:]] == ["call-1", "call-2", None]
    assert results[0] == {"role": "tool", "content": "1"}


@pytest.mark.parametrize(
    ("calls", "following"),
    [((), [{"role": "tool", "content": "1"}]), ((FIND,), [USER]), ((FIND, SEND), [{"role": "tool", "content": "1"}])],
    ids=["a result of no call", "a call without a result", "two calls and one result"],
)
def test_where_model_and_script_part_ways_the_conversation_ends(calls: tuple[Call, ...], following: list[dict[str, str]]) -> None:
    assert continued(ASKED, turn("this", calls=calls), following) is None


def test_a_refusal_is_what_was_written_when_there_is_no_content() -> None:
    assert turn_of({"choices": [{"message": {"content": None, "refusal": "No."}}]}).text == "No."


def test_a_streamed_refusal_is_text_too() -> None:
    pieces = ChatPieces()
    assert [pieces.take({"delta": {"refusal": part}}) for part in ("", "N", "o.")] == [False, True, True]
    assert pieces.turn(finish_reason="stop", usage=Usage()).text == "No."


def test_thoughts_count_as_a_first_token_and_not_as_text() -> None:
    pieces = ChatPieces()
    assert pieces.take({"delta": {"reasoning_content": "Hmm"}})
    assert pieces.turn(finish_reason="stop", usage=Usage()).text == ""


def test_streamed_calls_are_in_the_order_of_their_index_whichever_began_first() -> None:
    pieces = ChatPieces()
    for index, name in ((1, "second"), (0, "first")):
        pieces.take({"delta": {"tool_calls": [{"index": index, "function": {"name": name, "arguments": "{}"}}]}})
    assert [call.name for call in pieces.turn(finish_reason="tool_calls", usage=Usage()).calls] == ["first", "second"]


def test_what_a_stream_has_said_once_stays_said() -> None:
    gathering = Gathering(ChatPieces(), limits=LIMITS)
    chunks: list[Json] = [
        {"choices": [{"delta": {"content": "ye"}}], "usage": {"prompt_tokens": 3, "completion_tokens": 1}},
        {"choices": [{"delta": {"content": "s"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
        {"choices": [{"delta": {}, "finish_reason": None}], "usage": None},
        {"choices": None},
        {},
    ]
    assert not any(gathering.take(json.dumps(chunk).encode(), float(elapsed)) for elapsed, chunk in enumerate(chunks, start=1))
    assert gathering.take(b"[DONE]", 9.0)
    assert gathering.first_token_seconds == 1.0
    assert gathering.turn() == turn("yes", usage=Usage(prompt_tokens=3, completion_tokens=2))


@pytest.mark.parametrize("arguments", ["", "{", "[]", '"x"', "null", '{"x": NaN}', "[" * 100 + "]" * 100, "{'x': 1}"])
def test_arguments_that_are_no_object_are_the_models_mistake_and_kept_as_written(arguments: str) -> None:
    answer = answer_of([Timed(turn=turn(calls=(Call(id="", name="find", arguments=arguments),)), seconds=1.0)], limits=LIMITS)
    assert [(call.arguments, call.raw) for call in answer.tool_calls] == [(None, arguments)]


def test_arguments_that_a_server_has_parsed_already_are_taken() -> None:
    calls = [{"function": {"name": "find", "arguments": {"x": 1}}}, {"function": {"name": "find"}}]
    assert [call.arguments for call in turn_of({"choices": [{"message": {"tool_calls": calls}}]}).calls] == ['{"x":1}', ""]


def test_several_turns_are_one_answer_with_sums_of_times_and_tokens() -> None:
    first = Timed(turn=turn("a", calls=(FIND,), usage=Usage(prompt_tokens=1, completion_tokens=2)), seconds=1.0, first_token_seconds=0.5)
    second = Timed(turn=turn("b", calls=(SEND,), usage=Usage(prompt_tokens=10, completion_tokens=20)), seconds=2.0, first_token_seconds=0.1)
    answer = answer_of([first, second], limits=LIMITS)
    assert (answer.text, answer.turns, [call.name for call in answer.tool_calls]) == ("a\nb", ("a", "b"), ["find", "send"])
    assert (answer.latency_seconds, answer.first_token_seconds) == (3.0, 0.5)
    assert (answer.prompt_tokens, answer.completion_tokens) == (11, 22)


def test_tokens_that_one_turn_does_not_tell_are_not_told() -> None:
    counted = Timed(turn=turn("a", usage=Usage(prompt_tokens=1, completion_tokens=2)), seconds=1.0)
    uncounted = Timed(turn=turn("b", usage=Usage(prompt_tokens=5)), seconds=1.0)
    answer = answer_of([counted, uncounted], limits=LIMITS)
    assert (answer.prompt_tokens, answer.completion_tokens) == (6, None)


def test_a_prompt_is_the_only_message_of_a_user() -> None:
    assert chat_of(Case(id="c", input=Prompt(text="?"))) == Chat(turns=(tuple(ASKED),))


TENSORS = Tensors(inputs=(Tensor(name="x", shape=(1,), datatype="FP32", data=(1.0,)),))
CHAT = Chat(turns=(tuple(ASKED),))
TAKEN: dict[ProtocolType, tuple[Input, ...]] = {
    ProtocolType.OPENAI_CHAT: (Prompt(text="?"), CHAT),
    ProtocolType.OPENAI_COMPLETIONS: (Prompt(text="?"),),
    ProtocolType.OPENAI_EMBEDDINGS: (Text(text="?"),),
    ProtocolType.OPEN_INFERENCE: (TENSORS,),
    ProtocolType.OPEN_INFERENCE_GRPC: (TENSORS,),
    ProtocolType.HTTP: (Fields(values={}), Prompt(text="?"), Text(text="?")),
}


@pytest.mark.parametrize("asks", [Prompt(text="?"), CHAT, Text(text="?"), TENSORS, Fields(values={})], ids=lambda asks: type(asks).__name__)
@pytest.mark.parametrize("kind", list(ProtocolType))
def test_a_case_that_a_protocol_cannot_ask_is_known_before_a_run(kind: ProtocolType, asks: Input) -> None:
    http = HttpExchange(body="{}", answer="") if kind is ProtocolType.HTTP else None
    protocol = ProtocolSettings(type=kind, model="m", http=http)
    if asks in TAKEN[kind]:
        check_case(protocol, Case(id="c-9", input=asks))
    else:
        with pytest.raises(UnsuitableCase, match="'c-9'"):
            check_case(protocol, Case(id="c-9", input=asks))


@pytest.mark.parametrize("chat", [Chat(turns=()), Chat(turns=((),)), Chat(turns=(tuple(ASKED), ()))])
def test_a_conversation_without_a_message_in_each_turn_cannot_be_asked(chat: Chat) -> None:
    with pytest.raises(UnsuitableCase, match="at least one message"):
        chat_of(Case(id="c", input=chat))


def test_a_field_that_a_template_asks_for_and_a_case_lacks_is_known_before_a_run() -> None:
    protocol = ProtocolSettings(type=ProtocolType.HTTP, http=HttpExchange(body='"{{row}}"', answer=""))
    check_case(protocol, Case(id="c", input=Fields(values={"row": 1})))
    with pytest.raises(UnsuitableCase, match="asks for 'row'"):
        check_case(protocol, Case(id="c", input=Fields(values={"rows": 1})))
