"""No byte string makes a client raise, whatever layer it breaks: HTTP itself, a stream, JSON, the protocol, HTTP/2."""

import asyncio
import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.scoring.answer import Answer, NoAnswer
from sluice.scoring.case import Case, Chat, Input, Prompt, Tensor, Tensors, Text
from sluice.scoring.protocols.client import client_of
from sluice.scoring.protocols.settings import HttpExchange, Limits, ProtocolSettings, ProtocolType
from tests.faults.model_servers import BareServer

TENSORS = Tensors(inputs=(Tensor(name="x", shape=(1,), datatype="FP32", data=(1.0,)),))
USER = ({"role": "user", "content": "?"},)

ASKED: list[tuple[ProtocolSettings, Input]] = [
    (ProtocolSettings(type=ProtocolType.OPENAI_CHAT, model="m"), Chat(turns=(USER, USER))),
    (ProtocolSettings(type=ProtocolType.OPENAI_CHAT, model="m", stream=True), Chat(turns=(USER, USER))),
    (ProtocolSettings(type=ProtocolType.OPENAI_COMPLETIONS, model="m", stream=True), Prompt(text="?")),
    (ProtocolSettings(type=ProtocolType.OPENAI_EMBEDDINGS, model="m"), Text(text="?")),
    (ProtocolSettings(type=ProtocolType.OPEN_INFERENCE, model="m"), TENSORS),
    (ProtocolSettings(type=ProtocolType.OPEN_INFERENCE_GRPC, model="m"), TENSORS),
    (ProtocolSettings(type=ProtocolType.HTTP, http=HttpExchange(body="{}", answer="/a/0")), Text(text="?")),
]

NAMES = [
    *("a", "choices", "content", "data", "datatype", "delta", "embedding", "error", "finish_reason", "function", "arguments", "id", "index", "message"),
    *("name", "outputs", "refusal", "shape", "text", "tool_calls", "usage", "prompt_tokens"),
]
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["stop", "FP32", "BYTES", "INT64", "BOOL"])
DOCUMENTS = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6), max_leaves=30)
BODIES = st.binary(max_size=200) | DOCUMENTS.map(lambda document: json.dumps(document).encode())
EVENTS = st.lists(st.sampled_from([b"data: ", b"data:", b": ", b"id: ", b"\n\n", b"\r\n\r\n", b"[DONE]"]) | BODIES, max_size=12).map(b"".join)
HEADS = st.sampled_from([b"", b"Content-Type: text/event-stream\r\n", b"Content-Encoding: gzip\r\n", b"Transfer-Encoding: chunked\r\n"]) | st.binary(
    max_size=60
)
STATUSES = st.sampled_from([b"200 OK", b"200", b"204 No Content", b"302 Found", b"500 Oh", b"101 Switching Protocols", b"100 Continue", b"999 x", b"-1"])


@st.composite
def http_answers(draw: st.DrawFn) -> bytes:
    """Bytes that are HTTP at least in parts."""
    head = b"HTTP/1.1 " + draw(STATUSES) + b"\r\n" + draw(HEADS)
    body = draw(BODIES | EVENTS)
    length = draw(st.sampled_from([b"", b"Content-Length: %d\r\n" % len(body), b"Content-Length: 3\r\n", b"Content-Length: -1\r\n", b"Content-Length: x\r\n"]))
    return head + length + b"\r\n" + body


async def ask(protocol: ProtocolSettings, asks: Input, raw: bytes) -> Answer | NoAnswer:
    async with BareServer(raw) as server, client_of(protocol, server.address, token="s3cret", limits=Limits(timeout_seconds=0.5)) as client:
        return await client.ask(Case(id="c", input=asks), seed=1)


async def ask_all(raw: bytes) -> list[Answer | NoAnswer]:
    return [await ask(protocol, asks, raw) for protocol, asks in ASKED]


# To draw an answer costs more than to read it: the clients of all protocols read the same ones.
@given(raw=st.binary(max_size=300) | http_answers())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_no_byte_string_from_a_server_makes_a_client_raise(raw: bytes) -> None:
    for (protocol, _), result in zip(ASKED, asyncio.run(ask_all(raw)), strict=True):
        assert isinstance(result, (Answer, NoAnswer)), protocol
        if isinstance(result, NoAnswer):
            assert len(result.message) <= 500, protocol
