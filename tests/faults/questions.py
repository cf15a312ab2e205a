"""What the tests of the protocols ask model servers, and how these answer when all is well."""

from typing import Any

import pytest

from sluice.scoring.answer import Answer, NoAnswer
from sluice.scoring.case import Case, Input, Prompt, Tensor, Tensors, Text
from sluice.scoring.protocols.client import client_of
from sluice.scoring.protocols.settings import HttpExchange, Limits, ProtocolSettings, ProtocolType
from tests.faults.scripted import Step, answer

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
    ProtocolType.OPEN_INFERENCE_GRPC: Tensors(inputs=(Tensor(name="x", shape=(1,), datatype="FP32", data=(1.0,)),)),
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
