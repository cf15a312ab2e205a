"""A client for each protocol, all behind one small interface."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from sluice.scoring.answer import Answer, NoAnswer
from sluice.scoring.case import Case
from sluice.scoring.protocols.bounded import BoundedClient, Dialect
from sluice.scoring.protocols.channel import HttpChannel
from sluice.scoring.protocols.endpoint import Endpoint, check_token
from sluice.scoring.protocols.open_inference import OpenInference
from sluice.scoring.protocols.openai_chat import OpenAIChat, chat_of
from sluice.scoring.protocols.openai_completions import OpenAICompletions, prompt_of
from sluice.scoring.protocols.openai_embeddings import OpenAIEmbeddings, text_of
from sluice.scoring.protocols.plain_http import PlainHttp, Request
from sluice.scoring.protocols.settings import Limits, ProtocolSettings, ProtocolType
from sluice.scoring.protocols.tensors import inputs_of


class Client(Protocol):
    """Asks one model server; an async context manager that belongs to the event loop it was entered in.

    Any number of `ask` may run at once: the caller bounds them.
    """

    async def __aenter__(self) -> Self:
        """Make ready for requests; connects to nothing yet."""

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Drop all connections."""

    async def ask(self, case: Case, *, seed: int) -> Answer | NoAnswer:
        """One bounded answer, or why there is none: nothing that a server does raises.

        Raises UnsuitableCase for a case that the protocol cannot ask (`check_case` tells before); a cancellation passes.
        """

    async def ready(self) -> bool:
        """Whether the model can be asked, within five seconds."""


def client_of(protocol: ProtocolSettings, endpoint: str, *, token: str | None, limits: Limits) -> Client:
    """A client that asks at `endpoint`, scheme, host and port; `token` goes with every request.

    Raises SettingsError for an endpoint or a token that cannot be used; neither is repeated in it.
    """
    where = Endpoint.parse(endpoint)
    check_token(token)
    if protocol.type is ProtocolType.OPEN_INFERENCE_GRPC:
        # A fifth of a second, which scorers that speak HTTP need not spend.
        from sluice.scoring.protocols.grpc_channel import GrpcChannel  # noqa: PLC0415
        from sluice.scoring.protocols.open_inference_grpc import OpenInferenceGrpc  # noqa: PLC0415

        calls = GrpcChannel(where, token=token, limits=limits)
        return BoundedClient(OpenInferenceGrpc(protocol, calls, limits=limits), calls, limits=limits)
    channel = HttpChannel(where, token=token, limits=limits)
    return BoundedClient(_dialect_of(protocol, channel, limits=limits), channel, limits=limits)


def check_case(protocol: ProtocolSettings, case: Case) -> None:
    """Refuse a case that `protocol` cannot ask, before a run begins; raises UnsuitableCase."""
    if protocol.http is not None:
        Request(protocol.http, model=protocol.model).of(case, seed=0)
    elif protocol.type is ProtocolType.OPENAI_CHAT:
        chat_of(case)
    elif protocol.type is ProtocolType.OPENAI_COMPLETIONS:
        prompt_of(case)
    elif protocol.type is ProtocolType.OPENAI_EMBEDDINGS:
        text_of(case)
    else:
        inputs_of(case)


def _dialect_of(protocol: ProtocolSettings, channel: HttpChannel, *, limits: Limits) -> Dialect:
    if protocol.http is not None:
        return PlainHttp(protocol, protocol.http, channel, limits=limits)
    if protocol.type is ProtocolType.OPENAI_CHAT:
        return OpenAIChat(protocol, channel, limits=limits)
    if protocol.type is ProtocolType.OPENAI_COMPLETIONS:
        return OpenAICompletions(protocol, channel, limits=limits)
    if protocol.type is ProtocolType.OPENAI_EMBEDDINGS:
        return OpenAIEmbeddings(protocol, channel, limits=limits)
    return OpenInference(protocol, channel, limits=limits)
