"""What a client makes of every way in which a model server can fail, over real connections."""

import asyncio
import gzip
import json
import logging

import pytest
from aiohttp import web

from sluice.scoring.answer import Failure
from sluice.scoring.protocols.settings import Limits, ProtocolSettings
from tests.faults.model_servers import BareServer, ModelServer, endless, events
from tests.faults.questions import (
    CHAT,
    CHAT_STREAM,
    EACH,
    EMBEDDINGS,
    OPEN_INFERENCE,
    STREAMED,
    TOKEN,
    answered,
    asked,
    delta,
    unanswered,
    whole,
)
from tests.faults.scripted import answer, forever, text, until


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
            result = await unanswered(settings, server.address)
        assert (result.failure, "not followed" in result.message) == (Failure.REFUSED, True)
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

    async def test_a_tool_call_that_never_gets_a_name_is_malformed(self) -> None:
        async with ModelServer(events(delta(tool_calls=[{"index": 0, "function": {"arguments": "{}"}}]), delta("tool_calls"), "[DONE]")) as server:
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

    @pytest.mark.parametrize("status", [401, 403, 407])
    async def test_nothing_is_quoted_of_a_refusal_of_credentials_since_servers_say_back_a_part_of_them(self, status: int) -> None:
        async with ModelServer(text(f"Incorrect API key provided: {TOKEN[:8]}***", status=status)) as server:
            assert (await unanswered(CHAT, server.address)).message == f"POST /v1/chat/completions: answered {status}"

    async def test_nothing_is_quoted_of_a_page_since_its_end_may_cut_through_a_token(self) -> None:
        async with ModelServer(text("x" * 5000, status=500)) as server:
            assert (await unanswered(CHAT, server.address)).message == "POST /v1/chat/completions: answered 500"

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
