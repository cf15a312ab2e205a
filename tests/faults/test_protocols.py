"""What a client sends to a model server, and what it makes of a proper answer, over real connections."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from sluice.scoring.answer import Answer, Failure
from sluice.scoring.case import Chat, Fields, Tensor, Text
from sluice.scoring.protocols import channel
from sluice.scoring.protocols.client import client_of
from sluice.scoring.protocols.settings import HttpExchange, Limits, ProtocolSettings, ProtocolType, Sampling
from sluice.scoring.protocols.unanswered import UnsuitableCase
from tests.faults.model_servers import ModelServer, events
from tests.faults.questions import (
    CHAT,
    CHAT_STREAM,
    COMPLETIONS,
    COMPLETIONS_STREAM,
    EITHER_WAY,
    EMBEDDINGS,
    HTTP,
    OPEN_INFERENCE,
    TOKEN,
    answered,
    asked,
    delta,
    piece,
    unanswered,
    whole,
)
from tests.faults.scripted import after, answer, text


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
            for chunk, pause in ((delta(role="assistant", content=""), 0.2), (delta(content="ye"), 0.2), (delta("stop", content="s"), 0.0)):
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

    async def test_tool_calls_are_counted_over_all_turns(self) -> None:
        calls = [{"id": "a", "function": {"name": "find", "arguments": "{}"}}]
        turns = (({"role": "user", "content": "one"},), ({"role": "tool", "content": "found"},))
        async with ModelServer(whole(None, tool_calls=calls)) as server:
            assert len((await answered(CHAT, server.address, Chat(turns=turns), limits=Limits(tool_calls=2))).tool_calls) == 2
            assert (await unanswered(CHAT, server.address, Chat(turns=turns), limits=Limits(tool_calls=1))).failure is Failure.TOO_LARGE

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

    async def test_a_silent_server_is_not_ready_and_not_waited_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(channel, "_READY_SECONDS", 0.1)
        async with (
            ModelServer(after(asyncio.Event(), answer({}))) as server,
            client_of(CHAT, server.address, token=None, limits=Limits()) as client,
            asyncio.timeout(5),
        ):
            assert not await client.ready()
