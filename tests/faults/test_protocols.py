"""What a client of a model server makes of every way in which a server can fail, over real connections."""

import asyncio
import gzip
import json
import logging
from typing import Any

import pytest
from aiohttp import web

from sluice.scoring.answer import Answer, Failure, NoAnswer
from sluice.scoring.case import Case, Chat, Fields, Input, Prompt, Tensor, Tensors, Text
from sluice.scoring.protocols.client import client_of
from sluice.scoring.protocols.settings import HttpExchange, Limits, ProtocolSettings, ProtocolType, Sampling
from sluice.scoring.protocols.unanswered import UnsuitableCase
from tests.faults.model_servers import BareServer, ModelServer, endless, events
from tests.faults.scripted import Step, answer, forever, text, until

TOKEN = "s3cret-0123456789"
PROMPT = Prompt(text="Say yes")

CHAT = ProtocolSettings(type=ProtocolType.OPENAI_CHAT, model="m")
CHAT_STREAM = ProtocolSettings(type=ProtocolType.OPENAI_CHAT, model="m", stream=True)
COMPLETIONS = ProtocolSettings(type=ProtocolType.OPENAI_COMPLETIONS, model="m")
COMPLETIONS_STREAM = ProtocolSettings(type=ProtocolType.OPENAI_COMPLETIONS, model="m", stream=True)
EMBEDDINGS = ProtocolSettings(type=ProtocolType.OPENAI_EMBEDDINGS, model="m")
OPEN_INFERENCE = ProtocolSettings(type=ProtocolType.OPEN_INFERENCE, model="m")
HTTP = ProtocolSettings(type=ProtocolType.HTTP, path="/predict", http=HttpExchange(body='{"text": "{{prompt}}"}', answer="/label"))

INPUTS: dict[ProtocolType, Input] = {
    ProtocolType.OPENAI_EMBEDDINGS: Text(text="Say yes"),
    ProtocolType.OPEN_INFERENCE: Tensors(inputs=(Tensor(name="x", shape=(1,), datatype="FP32", data=(1.0,)),)),
}
EACH = pytest.mark.parametrize("settings", [CHAT, COMPLETIONS, EMBEDDINGS, OPEN_INFERENCE, HTTP], ids=lambda settings: settings.type)
STREAMED = pytest.mark.parametrize("settings", [CHAT_STREAM, COMPLETIONS_STREAM], ids=lambda settings: settings.type)
EITHER_WAY = pytest.mark.parametrize("settings", [CHAT, CHAT_STREAM], ids=["whole", "streamed"])


def whole(content: object, **message: object) -> Step:
    """A chat answer that is not streamed."""
    return answer({"choices": [{"message": {"role": "assistant", "content": content, **message}, "finish_reason": "stop"}]})


def delta(finish_reason: str | None = None, **members: object) -> dict[str, object]:
    """A chunk of a chat answer."""
    return {"choices": [{"index": 0, "delta": members, "finish_reason": finish_reason}]}


def piece(written: str, finish_reason: str | None = None) -> dict[str, object]:
    """A chunk of a completion."""
    return {"choices": [{"index": 0, "text": written, "finish_reason": finish_reason}]}


async def asked(
    settings: ProtocolSettings, address: str, asks: Input | None = None, *, limits: Limits | None = None, token: str | None = TOKEN, seed: int = 7
) -> Answer | NoAnswer:
    """One answer of the server at `address`."""
    async with client_of(settings, address, token=token, limits=limits or Limits(timeout_seconds=5)) as client:
        return await client.ask(Case(id="c-1", input=asks or INPUTS.get(settings.type, PROMPT)), seed=seed)


async def answered(settings: ProtocolSettings, address: str, asks: Input | None = None, **options: Any) -> Answer:  # noqa: ANN401 - passed on
    """One answer, of which there must be one."""
    result = await asked(settings, address, asks, **options)
    assert isinstance(result, Answer), result
    return result


async def unanswered(settings: ProtocolSettings, address: str, asks: Input | None = None, **options: Any) -> NoAnswer:  # noqa: ANN401 - passed on
    """Why there is no answer."""
    result = await asked(settings, address, asks, **options)
    assert isinstance(result, NoAnswer), result
    return result


class TestWhatIsSent:
    async def test_sampling_is_always_said_so_that_no_default_of_the_model_counts(self) -> None:
        async with ModelServer(whole("yes")) as server:
            await answered(CHAT, server.address)
        assert server.bodies == [
            {"model": "m", "messages": [{"role": "user", "content": "Say yes"}], "temperature": 0.0, "top_p": 1.0, "max_tokens": 512, "seed": 7}
        ]

    async def test_the_settings_decide_how_is_sampled_and_where_the_api_begins(self) -> None:
        settings = ProtocolSettings(
            type=ProtocolType.OPENAI_COMPLETIONS, model="m", path="/openai/v1", sampling=Sampling(temperature=0.7, top_p=0.9, max_tokens=3)
        )
        async with ModelServer(answer({"choices": [{"text": "yes"}]})) as server:
            await answered(settings, server.address, seed=99)
        assert server.paths == ["POST /openai/v1/completions"]
        assert server.bodies == [{"model": "m", "prompt": "Say yes", "temperature": 0.7, "top_p": 0.9, "max_tokens": 3, "seed": 99}]

    async def test_the_token_goes_with_every_request_and_nothing_does_without_one(self) -> None:
        async with ModelServer(whole("yes")) as server:
            await answered(CHAT, server.address)
            await answered(CHAT, server.address, token=None)
        assert [headers.get("Authorization") for headers in server.headers] == [f"Bearer {TOKEN}", None]

    async def test_no_proxy_and_no_credentials_come_from_the_environment(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:  # noqa: ANN401
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login somebody password something\n")
        monkeypatch.setenv("NETRC", str(netrc))
        async with ModelServer(text("", status=500)) as proxy, ModelServer(whole("yes")) as server:
            for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
                monkeypatch.setenv(name, proxy.address)
            await answered(CHAT, server.address, token=None)
        assert proxy.paths == []
        assert "Authorization" not in server.headers[0]

    async def test_no_compression_is_asked_for(self) -> None:
        async with ModelServer(whole("yes")) as server:
            await answered(CHAT, server.address)
        assert server.headers[0]["Accept-Encoding"] == "identity"

    async def test_a_case_that_the_protocol_cannot_ask_is_the_suites_mistake_and_nothing_is_sent(self) -> None:
        async with ModelServer(whole("yes")) as server:
            with pytest.raises(UnsuitableCase, match="'c-1'"):
                await asked(CHAT, server.address, Text(text="to embed"))
        assert server.paths == []


class TestChat:
    @EITHER_WAY
    async def test_an_answer_has_text_tokens_and_times(self, settings: ProtocolSettings) -> None:
        usage = {"usage": {"prompt_tokens": 3, "completion_tokens": 2}}
        if settings.stream:
            step = events(delta(content="ye"), delta(content="s"), delta("stop"), {"choices": [], **usage}, "[DONE]")
        else:
            step = answer({"choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}], **usage})
        async with ModelServer(step) as server:
            result = await answered(settings, server.address)
        assert (result.text, result.turns, result.finish_reason, result.prompt_tokens, result.completion_tokens) == ("yes", ("yes",), "stop", 3, 2)
        assert 0 < result.latency_seconds < 5
        assert (result.first_token_seconds is not None) == settings.stream

    async def test_the_first_token_is_timed_when_it_comes_and_not_when_the_stream_opens(self) -> None:
        async def slow(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            for chunk, pause in ((delta(role="assistant", content=""), 0.2), (delta(content="yes"), 0.2), (delta("stop"), 0.0)):
                await response.write(f"data: {json.dumps(chunk)}\r\n\r\n".encode())
                await asyncio.sleep(pause)
            return response

        async with ModelServer(slow) as server:
            result = await answered(CHAT_STREAM, server.address)
        assert result.first_token_seconds is not None
        assert 0.2 <= result.first_token_seconds <= result.latency_seconds - 0.2

    async def test_a_stream_asks_for_the_usage(self) -> None:
        async with ModelServer(events(delta("stop", content="yes"), "[DONE]")) as server:
            await answered(CHAT_STREAM, server.address)
        assert (server.bodies[0]["stream"], server.bodies[0]["stream_options"]) == (True, {"include_usage": True})

    @EITHER_WAY
    async def test_tool_calls_are_put_together_and_broken_arguments_are_kept_raw(self, settings: ProtocolSettings) -> None:
        if settings.stream:
            step = events(
                delta(tool_calls=[{"index": 0, "id": "a", "function": {"name": "find", "arguments": ""}}]),
                delta(tool_calls=[{"index": 1, "id": "b", "function": {"name": "send", "arguments": '{"to'}}]),
                delta(tool_calls=[{"index": 0, "function": {"arguments": '{"x": '}}]),
                delta(tool_calls=[{"index": 0, "function": {"arguments": "1}"}}]),
                delta("tool_calls"),
                "[DONE]",
            )
        else:
            calls = [{"id": "a", "function": {"name": "find", "arguments": '{"x": 1}'}}, {"id": "b", "function": {"name": "send", "arguments": '{"to'}}]
            step = whole(None, tool_calls=calls)
        tools = ({"type": "function", "function": {"name": "find"}},)
        async with ModelServer(step) as server:
            result = await answered(settings, server.address, Chat(turns=(({"role": "user", "content": "?"},),), tools=tools))
        assert [(call.name, call.arguments, call.raw) for call in result.tool_calls] == [("find", {"x": 1}, '{"x": 1}'), ("send", None, '{"to')]
        assert result.text == ""
        assert server.bodies[0]["tools"] == list(tools)

    @EITHER_WAY
    async def test_more_tool_calls_than_allowed_are_too_large(self, settings: ProtocolSettings) -> None:
        calls = [{"index": index, "id": "a", "function": {"name": "find", "arguments": "{}"}} for index in range(3)]
        step = events(delta(tool_calls=calls), delta("tool_calls")) if settings.stream else whole(None, tool_calls=calls)
        async with ModelServer(step) as server:
            assert len((await answered(settings, server.address, limits=Limits(tool_calls=3))).tool_calls) == 3
            assert (await unanswered(settings, server.address, limits=Limits(tool_calls=2))).failure is Failure.TOO_LARGE

    async def test_a_conversation_is_asked_turn_by_turn_with_the_models_own_words_in_between(self) -> None:
        turns = (({"role": "user", "content": "one"},), ({"role": "user", "content": "two"},))
        async with ModelServer(whole("1"), whole("2")) as server:
            result = await answered(CHAT, server.address, Chat(turns=turns))
        assert [message["content"] for message in server.bodies[1]["messages"]] == ["one", "1", "two"]
        assert (result.text, result.turns) == ("1\n2", ("1", "2"))

    async def test_a_broken_second_turn_is_no_answer(self) -> None:
        turns = (({"role": "user", "content": "one"},), ({"role": "user", "content": "two"},))
        async with ModelServer(whole("1"), text("", status=500)) as server:
            assert (await unanswered(CHAT, server.address, Chat(turns=turns))).failure is Failure.REFUSED

    async def test_the_size_of_all_turns_together_is_bounded(self) -> None:
        turns = (({"role": "user", "content": "one"},), ({"role": "user", "content": "two"},))
        async with ModelServer(whole("x" * 600)) as server:
            assert isinstance(await asked(CHAT, server.address, limits=Limits(response_bytes=1000)), Answer)
            assert (await unanswered(CHAT, server.address, Chat(turns=turns), limits=Limits(response_bytes=1000))).failure is Failure.TOO_LARGE


class TestOthers:
    async def test_a_completion_continues_a_prompt(self) -> None:
        async with ModelServer(events(piece("ye"), piece("s", "length"), "[DONE]")) as server:
            result = await answered(COMPLETIONS_STREAM, server.address)
        assert (result.text, result.finish_reason) == ("yes", "length")

    async def test_an_embedding_is_a_vector(self) -> None:
        async with ModelServer(answer({"data": [{"embedding": [1, -0.5]}], "usage": {"prompt_tokens": 2, "total_tokens": 2}})) as server:
            result = await answered(EMBEDDINGS, server.address)
        assert (result.embedding, result.prompt_tokens, result.text) == ((1.0, -0.5), 2, "")
        assert server.bodies == [{"model": "m", "input": "Say yes", "encoding_format": "float"}]

    async def test_tensors_go_and_come_at_the_path_of_model_and_version(self) -> None:
        settings = ProtocolSettings(type=ProtocolType.OPEN_INFERENCE, model="a b", version="v1")
        async with ModelServer(answer({"outputs": [{"name": "y", "shape": [1, 2], "datatype": "FP32", "data": [[0.5, 1]]}]})) as server:
            result = await answered(settings, server.address)
        assert server.paths == ["POST /v2/models/a%20b/versions/v1/infer"]
        assert server.bodies == [{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1.0]}]}]
        assert result.tensors == {"y": Tensor(name="y", shape=(1, 2), datatype="FP32", data=(0.5, 1))}

    async def test_plain_http_fills_a_template_and_reads_what_the_pointer_leads_to(self) -> None:
        http = HttpExchange(
            method="PUT",
            query="q={{country}}&s={{$seed}}",
            headers={"X-Team": "fraud"},
            body='{"rows": ["{{row}}"], "note": "{{country}} for {{$model}}"}',
            answer="/labels/0",
        )
        settings = ProtocolSettings(type=ProtocolType.HTTP, model="m", path="/predict", http=http)
        async with ModelServer(answer({"labels": [{"b": 1, "ü": None}]})) as server:
            result = await answered(settings, server.address, Fields(values={"row": [1, {"a": None}], "country": 'D"&=/…'}))
        assert server.paths == ["PUT /predict?q=D%22%26%3D%2F%E2%80%A6&s=7"]
        assert server.bodies == [{"rows": [[1, {"a": None}]], "note": 'D"&=/… for m'}]
        assert server.headers[0]["X-Team"] == "fraud"
        assert result.text == '{"b":1,"ü":null}'

    async def test_plain_http_may_ask_with_get(self) -> None:
        settings = ProtocolSettings(type=ProtocolType.HTTP, http=HttpExchange(method="GET", query="q={{prompt}}", answer=""))
        async with ModelServer(answer("yes")) as server:
            assert (await answered(settings, server.address)).text == "yes"
        assert (server.paths, server.bodies) == (["GET /?q=Say%20yes"], [None])

    @pytest.mark.parametrize("document", [{"other": "yes"}, {"label": None}, ["yes"]])
    async def test_an_answer_to_which_the_pointer_does_not_lead_is_malformed(self, document: object) -> None:
        async with ModelServer(answer(document)) as server:
            assert (await unanswered(HTTP, server.address)).failure is Failure.MALFORMED


class TestReadiness:
    @pytest.mark.parametrize(
        ("settings", "path"),
        [
            (CHAT, "GET /v1/models"),
            (COMPLETIONS, "GET /v1/models"),
            (EMBEDDINGS, "GET /v1/models"),
            (OPEN_INFERENCE, "GET /v2/models/m/ready"),
            (ProtocolSettings(type=ProtocolType.HTTP, http=HttpExchange(body="{}", answer="", ready="/healthz")), "GET /healthz"),
        ],
        ids=lambda value: value.type if isinstance(value, ProtocolSettings) else "",
    )
    async def test_a_server_is_ready_when_it_says_so(self, settings: ProtocolSettings, path: str) -> None:
        async with ModelServer(text("", status=503), answer({})) as server, client_of(settings, server.address, token=TOKEN, limits=Limits()) as client:
            assert [await client.ready(), await client.ready()] == [False, True]
        assert server.paths == [path, path]

    async def test_without_a_path_for_that_any_answer_is_ready_and_none_is_not(self) -> None:
        async with ModelServer(text("", status=404)) as server:
            address = server.address
            async with client_of(HTTP, address, token=None, limits=Limits()) as client:
                assert await client.ready()
        async with client_of(HTTP, address, token=None, limits=Limits()) as client:
            assert not await client.ready()


class TestNoAnswer:
    @EACH
    async def test_silence_is_a_timeout(self, settings: ProtocolSettings) -> None:
        async with ModelServer(forever()) as server:
            result = await unanswered(settings, server.address, limits=Limits(timeout_seconds=0.2))
        assert result.failure is Failure.TIMEOUT
        assert "0.2 s" in result.message

    @EACH
    async def test_a_trickle_of_bytes_does_not_stretch_the_time(self, settings: ProtocolSettings) -> None:
        async with ModelServer(endless(b" ", pause=0.01)) as server:
            assert (await unanswered(settings, server.address, limits=Limits(timeout_seconds=0.3))).failure is Failure.TIMEOUT

    @EACH
    async def test_nobody_at_the_address_is_unreachable(self, settings: ProtocolSettings) -> None:
        async with ModelServer(forever()) as server:
            address = server.address
        assert (await unanswered(settings, address)).failure is Failure.UNREACHABLE

    @EACH
    @pytest.mark.parametrize(
        "sent",
        [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"],
        ids=["at once", "in the head", "in the body", "in a chunk"],
    )
    async def test_a_cut_line_is_unreachable(self, settings: ProtocolSettings, sent: bytes) -> None:
        async with BareServer(sent) as server:
            assert (await unanswered(settings, server.address)).failure is Failure.UNREACHABLE

    @EACH
    @pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
    async def test_a_status_that_is_no_success_is_refused(self, settings: ProtocolSettings, status: int) -> None:
        async with ModelServer(text("", status=status)) as server:
            result = await unanswered(settings, server.address)
        assert result.failure is Failure.REFUSED
        assert f"answered {status}" in result.message

    @EACH
    async def test_a_redirect_is_refused_and_not_followed(self, settings: ProtocolSettings) -> None:
        async with ModelServer(whole("yes")) as elsewhere, ModelServer(text("", status=307, Location=f"{elsewhere.address}/v1")) as server:
            assert (await unanswered(settings, server.address)).failure is Failure.REFUSED
        assert elsewhere.paths == []

    @EACH
    async def test_an_endless_answer_is_too_large(self, settings: ProtocolSettings) -> None:
        async with ModelServer(endless(b" " * 1000)) as server:
            assert (await unanswered(settings, server.address, limits=Limits(response_bytes=100_000))).failure is Failure.TOO_LARGE

    @EACH
    async def test_a_compressed_answer_is_malformed_and_never_unpacked(self, settings: ProtocolSettings) -> None:
        async def bomb(_: web.Request) -> web.StreamResponse:
            return web.Response(body=gzip.compress(b" " * (8 << 20)), headers={"Content-Encoding": "gzip"})

        async with ModelServer(bomb) as server:
            result = await unanswered(settings, server.address)
        assert (result.failure, "compressed" in result.message) == (Failure.MALFORMED, True)

    @EACH
    @pytest.mark.parametrize(
        "sent",
        ["", "{", "yes", '{"a": NaN}', '{"a": 1e999}', '"\\ud800"', "[" * 100 + "]" * 100, "[" * 100_000, "null", "[]", '"text"', "1", "{}"],
        ids=["empty", "cut", "text", "NaN", "infinite", "surrogate", "deep", "deeper", "null", "list", "string", "number", "no members"],
    )
    async def test_what_is_no_answer_of_the_protocol_is_malformed(self, settings: ProtocolSettings, sent: str) -> None:
        async with ModelServer(text(sent)) as server:
            assert (await unanswered(settings, server.address)).failure is Failure.MALFORMED

    @EACH
    async def test_more_values_than_any_answer_has_are_too_large(self, settings: ProtocolSettings) -> None:
        async with ModelServer(text("[" + "[]," * 400_000 + "[]]")) as server:
            assert (await unanswered(settings, server.address)).failure is Failure.TOO_LARGE

    @pytest.mark.parametrize(
        "document",
        [
            {"choices": []},
            {"choices": [1]},
            {"choices": [{"message": "yes"}]},
            {"choices": [{"message": {"content": 1}}]},
            {"choices": [{"message": {"content": ["yes"]}}]},
            {"choices": [{"message": {"tool_calls": {"id": "a"}}}]},
            {"choices": [{"message": {"tool_calls": [{"function": {"name": 1, "arguments": ""}}]}}]},
            {"choices": [{"message": {"content": "yes"}, "finish_reason": 1}]},
            {"choices": [{"message": {"content": "yes"}}], "usage": 3},
            {"choices": [{"message": {"content": "yes"}}], "usage": {"prompt_tokens": -1}},
            {"choices": [{"message": {"content": "yes"}}], "usage": {"completion_tokens": True}},
            {"choices": [{"message": {"content": "yes"}}], "usage": {"completion_tokens": 1.5}},
        ],
        ids=json.dumps,
    )
    async def test_members_of_wrong_types_are_malformed(self, document: object) -> None:
        async with ModelServer(answer(document)) as server:
            assert (await unanswered(CHAT, server.address)).failure is Failure.MALFORMED

    @pytest.mark.parametrize("embedding", [[], ["1"], [True], [None], [[1.0]], "AAAA"], ids=json.dumps)
    async def test_an_embedding_that_is_no_vector_is_malformed(self, embedding: object) -> None:
        async with ModelServer(answer({"data": [{"embedding": embedding}]})) as server:
            assert (await unanswered(EMBEDDINGS, server.address)).failure is Failure.MALFORMED

    async def test_an_embedding_beyond_the_limit_is_too_large(self) -> None:
        async with ModelServer(answer({"data": [{"embedding": [0.5] * 9}]})) as server:
            assert (await unanswered(EMBEDDINGS, server.address, limits=Limits(tensor_elements=8))).failure is Failure.TOO_LARGE

    async def test_binary_tensors_are_malformed_with_a_clear_word(self) -> None:
        async def binary(_: web.Request) -> web.StreamResponse:
            return web.Response(text='{"outputs": []}', headers={"Inference-Header-Content-Length": "15"})

        async with ModelServer(binary) as server:
            result = await unanswered(OPEN_INFERENCE, server.address)
        assert (result.failure, "binary tensors" in result.message) == (Failure.MALFORMED, True)

    async def test_a_cancellation_passes(self) -> None:
        async with ModelServer(forever()) as server:
            asking = asyncio.create_task(asked(CHAT, server.address))
            await until(lambda: server.paths)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking


class TestNoAnswerInAStream:
    @STREAMED
    async def test_a_stream_that_falls_silent_is_a_timeout(self, settings: ProtocolSettings) -> None:
        async with ModelServer(events({"choices": []}, ends="never")) as server:
            assert (await unanswered(settings, server.address, limits=Limits(timeout_seconds=0.2))).failure is Failure.TIMEOUT

    @STREAMED
    @pytest.mark.parametrize("ends", ["cleanly", "cut"])
    async def test_a_stream_that_ends_before_the_model_stopped_is_unreachable(self, settings: ProtocolSettings, ends: str) -> None:
        async with ModelServer(events({"choices": []}, ends=ends)) as server:
            assert (await unanswered(settings, server.address)).failure is Failure.UNREACHABLE

    async def test_a_stream_is_complete_when_the_model_stopped_even_without_a_last_word(self) -> None:
        async with ModelServer(events(delta("stop", content="yes"))) as server:
            assert (await answered(CHAT_STREAM, server.address)).text == "yes"

    @STREAMED
    async def test_a_last_word_before_the_model_stopped_is_malformed(self, settings: ProtocolSettings) -> None:
        async with ModelServer(events({"choices": []}, "[DONE]", ends="never")) as server:
            assert (await unanswered(settings, server.address)).failure is Failure.MALFORMED

    @STREAMED
    async def test_nothing_after_the_last_word_is_waited_for(self, settings: ProtocolSettings) -> None:
        last = {"choices": [{"delta": {"content": "yes"}, "text": "yes", "finish_reason": "stop"}]}
        async with ModelServer(events(last, "[DONE]", ends="never")) as server:
            assert (await answered(settings, server.address)).text == "yes"

    @STREAMED
    async def test_an_error_in_a_stream_is_refused(self, settings: ProtocolSettings) -> None:
        async with ModelServer(events({"error": {"message": "out of memory"}}, ends="never")) as server:
            assert (await unanswered(settings, server.address)).failure is Failure.REFUSED

    @STREAMED
    async def test_more_events_than_allowed_are_too_large(self, settings: ProtocolSettings) -> None:
        async with ModelServer(events(*[{"choices": []}] * 4, ends="never")) as server:
            assert (await unanswered(settings, server.address, limits=Limits(stream_events=3))).failure is Failure.TOO_LARGE

    @STREAMED
    @pytest.mark.parametrize("piece_", [b": still here\n\n", b"data: x", b"\n\r"], ids=["comments", "one line", "empty lines"])
    async def test_an_endless_stream_is_too_large(self, settings: ProtocolSettings, piece_: bytes) -> None:
        step = endless(piece_ * 100, content_type="text/event-stream")
        async with ModelServer(step) as server:
            assert (await unanswered(settings, server.address, limits=Limits(response_bytes=200_000))).failure is Failure.TOO_LARGE

    @STREAMED
    @pytest.mark.parametrize("datum", ["yes", "[]", '{"choices": [1]}', '{"choices": {"0": 1}}', "[" * 10_000, '{"choices": [{"delta": 1, "text": 1}]}'])
    async def test_an_event_that_is_no_chunk_is_malformed(self, settings: ProtocolSettings, datum: str) -> None:
        async with ModelServer(events(datum, ends="never")) as server:
            assert (await unanswered(settings, server.address)).failure is Failure.MALFORMED

    @pytest.mark.parametrize("call", [1, {"function": {}}, {"index": -1}, {"index": "0"}, {"index": 0, "function": 1}, {"index": 0, "id": 1}], ids=json.dumps)
    async def test_a_piece_of_a_tool_call_that_is_none_is_malformed(self, call: object) -> None:
        async with ModelServer(events(delta(tool_calls=[call]), ends="never")) as server:
            assert (await unanswered(CHAT_STREAM, server.address)).failure is Failure.MALFORMED

    @STREAMED
    async def test_an_answer_that_is_no_stream_is_malformed(self, settings: ProtocolSettings) -> None:
        async with ModelServer(whole("yes")) as server:
            assert (await unanswered(settings, server.address)).failure is Failure.MALFORMED


class TestMessages:
    async def test_a_message_names_the_path_and_what_the_server_said(self) -> None:
        async with ModelServer(answer({"error": {"message": "the model `m` does\nnot exist"}}, status=404)) as server:
            result = await unanswered(CHAT, server.address)
        assert result.message == "POST /v1/chat/completions: answered 404: the model `m` does not exist"

    @EACH
    @pytest.mark.parametrize("status", [200, 302, 400, 401, 500])
    async def test_a_token_that_the_server_says_back_is_in_no_message_and_no_log(
        self, settings: ProtocolSettings, status: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        for sent in (TOKEN, json.dumps({"error": {"message": f"bad key {TOKEN}"}}), " " * 3000 + TOKEN * 100):
            async with ModelServer(text(sent, status=status, Location=f"/{TOKEN}")) as server:
                result = await unanswered(settings, server.address)
                assert TOKEN[:6] not in result.message
                assert server.headers[0]["Authorization"] == f"Bearer {TOKEN}"
        assert TOKEN[:6] not in caplog.text

    async def test_a_message_is_bounded_and_one_line(self) -> None:
        async with ModelServer(text("no\n\x00\x1b[31m " * 300, status=500)) as server:
            result = await unanswered(CHAT, server.address)
        assert len(result.message) <= 500
        assert result.message.isprintable()

    async def test_a_refusal_that_never_ends_is_still_a_refusal(self) -> None:
        async def slowly(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(status=500)
            await response.prepare(request)
            await asyncio.Event().wait()
            return response

        async with ModelServer(slowly) as server:
            assert (await unanswered(CHAT, server.address)).failure is Failure.REFUSED
