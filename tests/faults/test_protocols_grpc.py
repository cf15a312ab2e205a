"""What the gRPC client of the Open Inference Protocol makes of every way in which a server can fail, over real connections."""

import asyncio
import gzip
import logging
import os
import sys
from typing import Any

import grpc
import pytest
from grpc import aio

from sluice.scoring.answer import Answer, Failure, NoAnswer
from sluice.scoring.case import Case, Prompt, Tensor, Tensors
from sluice.scoring.protocols import grpc_channel
from sluice.scoring.protocols.client import client_of
from sluice.scoring.protocols.open_inference_messages import new
from sluice.scoring.protocols.settings import Limits, ProtocolSettings, ProtocolType
from sluice.scoring.protocols.unanswered import UnsuitableCase
from tests.faults.model_servers import BareGrpcServer, BareServer, Call, GrpcModelServer, LeavingGrpcServer, ModelServer
from tests.faults.scripted import text, until

TOKEN = "s3cret-0123456789"
SETTINGS = ProtocolSettings(type=ProtocolType.OPEN_INFERENCE_GRPC, model="m", version="v1")
CASE = Case(id="c-1", input=Tensors(inputs=(Tensor(name="x", shape=(2,), datatype="FP32", data=(1.0, 0.5)),)))

Context = aio.ServicerContext[bytes, bytes]


def response(*outputs: dict[str, Any], raw: tuple[bytes, ...] = ()) -> bytes:
    """A ModelInferResponse."""
    answer = new("ModelInferResponse", raw_output_contents=raw)
    for output in outputs:
        contents = output.pop("contents", {})
        described = answer.outputs.add(**output)
        for name, values in contents.items():
            getattr(described.contents, name).extend(values)
    return bytes(answer.SerializeToString())


def saying(raw: bytes) -> Call:
    """Answer with these bytes."""

    async def call(_: bytes, __: Context) -> bytes:
        return raw

    return call


def refusing(code: grpc.StatusCode, details: str = "") -> Call:
    """Answer with a status."""

    async def call(_: bytes, context: Context) -> bytes:
        await context.abort(code, details)

    return call


async def asked(address: str, *, limits: Limits | None = None, case: Case = CASE) -> Answer | NoAnswer:
    """One answer of the server at `address`."""
    async with client_of(SETTINGS, address, token=TOKEN, limits=limits or Limits(timeout_seconds=5)) as client:
        return await client.ask(case, seed=7)


async def unanswered(address: str, *, limits: Limits | None = None) -> NoAnswer:
    """Why there is no answer."""
    result = await asked(address, limits=limits)
    assert isinstance(result, NoAnswer), result
    return result


OUTPUT = {"name": "y", "datatype": "INT64", "shape": [2], "contents": {"int64_contents": [3, -1]}}


async def test_tensors_go_and_come_with_model_version_and_token() -> None:
    async with GrpcModelServer(saying(response(dict(OUTPUT)))) as server:
        result = await asked(server.address)
    assert isinstance(result, Answer), result
    assert result.tensors == {"y": Tensor(name="y", shape=(2,), datatype="INT64", data=(3, -1))}
    assert 0 < result.latency_seconds < 5
    assert server.methods == ["/inference.GRPCInferenceService/ModelInfer"]
    request = new("ModelInferRequest").FromString(server.requests[0])
    assert (request.model_name, request.model_version, list(request.inputs[0].contents.fp32_contents)) == ("m", "v1", [1.0, 0.5])
    assert server.metadata[0]["authorization"] == f"Bearer {TOKEN}"


async def test_readiness_is_what_the_server_says_of_the_model() -> None:
    ready = new("ModelReadyResponse", ready=True).SerializeToString()
    async with GrpcModelServer(saying(ready)) as server, client_of(SETTINGS, server.address, token=None, limits=Limits()) as client:
        assert await client.ready()
        assert server.requests == [new("ModelReadyRequest", name="m", version="v1").SerializeToString()]
        for call in (saying(b""), saying(b"\xff"), refusing(grpc.StatusCode.NOT_FOUND)):
            server.call = call
            assert not await client.ready()


async def test_a_silent_server_is_not_ready_and_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(_: bytes, __: Context) -> bytes:
        await asyncio.Event().wait()
        return b""

    monkeypatch.setattr(grpc_channel, "_READY_SECONDS", 0.1)
    async with GrpcModelServer(silent) as server, client_of(SETTINGS, server.address, token=None, limits=Limits()) as client, asyncio.timeout(5):
        assert not await client.ready()


async def test_a_server_is_told_how_long_is_waited() -> None:
    left: list[float] = []

    async def call(_: bytes, context: Context) -> bytes:
        left.append(context.time_remaining())
        return response(dict(OUTPUT))

    async with GrpcModelServer(call) as server:
        assert isinstance(await asked(server.address, limits=Limits(timeout_seconds=7)), Answer)
    assert 0 < left[0] <= 7


async def test_a_server_that_comes_up_late_is_seen_by_the_same_client() -> None:
    async with GrpcModelServer(saying(b"")) as gone:
        address = gone.address
    async with client_of(SETTINGS, address, token=None, limits=Limits(timeout_seconds=5)) as client:
        assert not await client.ready()
        assert isinstance(await client.ask(CASE, seed=1), NoAnswer)
        async with GrpcModelServer(saying(new("ModelReadyResponse", ready=True).SerializeToString()), address=address):
            looks = 0
            while not await client.ready():
                looks += 1
                assert looks < 100
                await asyncio.sleep(0.05)


async def test_no_proxy_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ModelServer(text("")) as proxy, GrpcModelServer(saying(response(dict(OUTPUT)))) as server:
        for name in ("grpc_proxy", "http_proxy", "https_proxy"):
            monkeypatch.setenv(name, proxy.address)
        assert isinstance(await asked(server.address), Answer)
    assert proxy.paths == []


async def test_a_prompt_is_no_case_for_tensors() -> None:
    async with GrpcModelServer(saying(b"")) as server:
        with pytest.raises(UnsuitableCase, match="'c-1'"):
            await asked(server.address, case=Case(id="c-1", input=Prompt(text="Say yes")))
    assert server.methods == []


async def test_silence_is_a_timeout() -> None:
    async def silent(_: bytes, __: Context) -> bytes:
        await asyncio.Event().wait()
        return b""

    async with GrpcModelServer(silent) as server:
        result = await unanswered(server.address, limits=Limits(timeout_seconds=0.2))
    assert (result.failure, "0.2 s" in result.message) == (Failure.TIMEOUT, True)


async def test_nobody_at_the_address_is_unreachable() -> None:
    async with GrpcModelServer(saying(b"")) as server:
        address = server.address
    assert (await unanswered(address)).failure is Failure.UNREACHABLE


@pytest.mark.parametrize("sent", [b"", b"\x00\x00\x12\x04", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"\xff" * 1000])
async def test_what_speaks_no_grpc_is_unreachable(sent: bytes) -> None:
    async with BareServer(sent) as server:
        assert (await unanswered(server.address, limits=Limits(timeout_seconds=10))).failure is Failure.UNREACHABLE


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, Failure.REFUSED),
        (grpc.StatusCode.CANCELLED, Failure.REFUSED),
        (grpc.StatusCode.INTERNAL, Failure.REFUSED),
        (grpc.StatusCode.UNIMPLEMENTED, Failure.REFUSED),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Failure.REFUSED),
        (grpc.StatusCode.UNAVAILABLE, Failure.UNREACHABLE),
        (grpc.StatusCode.DEADLINE_EXCEEDED, Failure.TIMEOUT),
    ],
    ids=str,
)
async def test_a_status_that_is_no_success_is_no_answer(code: grpc.StatusCode, failure: Failure) -> None:
    async with GrpcModelServer(refusing(code, "not today")) as server:
        assert (await unanswered(server.address)).failure is failure


async def test_a_message_names_the_method_the_model_and_what_the_server_said() -> None:
    async with GrpcModelServer(refusing(grpc.StatusCode.NOT_FOUND, "no\nsuch model")) as server:
        result = await unanswered(server.address)
    assert result.message == "/inference.GRPCInferenceService/ModelInfer of m: answered NOT_FOUND: no such model"


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE], ids=str)
async def test_a_token_that_the_server_says_back_is_in_no_message_and_no_log(code: grpc.StatusCode, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with GrpcModelServer(refusing(code, f"bad key {TOKEN}" * 50)) as server:
        result = await unanswered(server.address)
    assert TOKEN[:6] not in result.message + caplog.text
    assert len(result.message) <= 500


ASKING = """
import asyncio, sys
from sluice.scoring.case import Case, Tensor, Tensors
from sluice.scoring.protocols.client import client_of
from sluice.scoring.protocols.settings import Limits, ProtocolSettings, ProtocolType

async def ask():
    settings = ProtocolSettings(type=ProtocolType.OPEN_INFERENCE_GRPC, model="m")
    async with client_of(settings, sys.argv[1], token=sys.argv[2], limits=Limits(timeout_seconds=5)) as client:
        print(await client.ask(Case(id="c", input=Tensors(inputs=(Tensor(name="x", shape=(1,), datatype="FP32", data=(1.0,)),))), seed=1))

asyncio.run(ask())
"""


async def test_the_library_underneath_writes_no_last_words_of_a_server_to_standard_error() -> None:
    async with LeavingGrpcServer(b"bye " + TOKEN.encode()) as server:
        # A process of its own: the library decides what it writes while it is being loaded.
        environment = {name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"}
        asking = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", ASKING, server.address, TOKEN), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment
        )
        written, errors = await asking.communicate()
    assert b"Unreachable" in written
    assert b"bye" in written
    assert TOKEN.encode() not in written
    assert errors == b""


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED], ids=str)
async def test_nothing_is_quoted_of_a_refusal_of_credentials_since_servers_say_back_a_part_of_them(code: grpc.StatusCode) -> None:
    async with GrpcModelServer(refusing(code, f"bad key {TOKEN[:8]}***")) as server:
        assert (await unanswered(server.address)).message.endswith(f"answered {code.name}")


async def test_an_answer_beyond_the_limit_is_too_large() -> None:
    async with GrpcModelServer(saying(b"\x00" * 2000)) as server:
        assert (await unanswered(server.address, limits=Limits(response_bytes=1000))).failure is Failure.TOO_LARGE


async def test_a_compressed_answer_is_malformed_and_never_unpacked() -> None:
    small, large = ({"name": "y", "datatype": "UINT8", "shape": [size]} for size in (1, 8 << 20))
    plain = response(small, raw=(b"\x00",))
    async with BareGrpcServer(plain, encoding=b"identity") as server:
        assert isinstance(await asked(server.address), Answer)
    for message in (plain, response(large, raw=(b"\x00" * (8 << 20),))):
        async with BareGrpcServer(gzip.compress(message), encoding=b"gzip") as server:
            assert (await unanswered(server.address)).failure is Failure.MALFORMED


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff",
        response({"name": "y", "datatype": "FP32", "shape": [1]}),
        response({"name": "y", "datatype": "FP32", "shape": [1]}, raw=(b"\x00" * 4, b"")),
        response({"name": "y", "datatype": "FP32", "shape": [1]}, raw=(b"\x00" * 3,)),
        response({"name": "y", "datatype": "BYTES", "shape": [1]}, raw=(b"\x05\x00\x00\x00yes",)),
    ],
)
async def test_what_is_no_answer_of_the_protocol_is_malformed(raw: bytes) -> None:
    async with GrpcModelServer(saying(raw)) as server:
        assert (await unanswered(server.address)).failure is Failure.MALFORMED


async def test_a_cancellation_passes() -> None:
    async def silent(_: bytes, __: Context) -> bytes:
        await asyncio.Event().wait()
        return b""

    async with GrpcModelServer(silent) as server:
        asking = asyncio.create_task(asked(server.address))
        await until(lambda: server.requests)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
