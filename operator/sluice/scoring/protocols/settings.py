"""How cases are sent to a model server, and what is taken from it at most.

The members mirror `protocol` of a `ScoringSuite`. Everything is checked here once, so that a client never meets a setting it cannot follow; a member
that the chosen protocol would ignore is refused rather than kept, since its author believes that it does something.

Limits: one path for all requests of a protocol, one token for all of them, sent as `Authorization: Bearer`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Final

from sluice.scoring.protocols.template import BodyTemplate, Pointer, QueryTemplate, TemplateError

MODEL_NAME_LENGTH: Final = 256
PATH_LENGTH: Final = 512
HEADERS: Final = 16
HEADER_LENGTH: Final = 1024
JSON_DEPTH: Final = 200
"""Far below where Python itself gives up."""

_PATH = re.compile(r"(/[A-Za-z0-9._~%!$&'()*+,;=:@-]+)*")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
_OURS: Final = frozenset({"authorization", "accept-encoding", "connection", "content-length", "content-type", "cookie", "host", "transfer-encoding"})


class SettingsError(ValueError):
    """A setting that no client can follow: which member, what is wrong with it, what to do."""


class ProtocolType(StrEnum):
    """What the model server speaks."""

    OPENAI_CHAT = "OpenAIChat"
    OPENAI_COMPLETIONS = "OpenAICompletions"
    OPENAI_EMBEDDINGS = "OpenAIEmbeddings"
    OPEN_INFERENCE = "OpenInference"
    OPEN_INFERENCE_GRPC = "OpenInferenceGrpc"
    HTTP = "Http"


_SAMPLED: Final = frozenset({ProtocolType.OPENAI_CHAT, ProtocolType.OPENAI_COMPLETIONS})
_VERSIONED: Final = frozenset({ProtocolType.OPEN_INFERENCE, ProtocolType.OPEN_INFERENCE_GRPC})
_DEFAULT_PATHS: Final = {
    ProtocolType.OPENAI_CHAT: "/v1",
    ProtocolType.OPENAI_COMPLETIONS: "/v1",
    ProtocolType.OPENAI_EMBEDDINGS: "/v1",
    ProtocolType.OPEN_INFERENCE: "",
    ProtocolType.OPEN_INFERENCE_GRPC: "",
    ProtocolType.HTTP: "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How a text is sampled. Always sent: vLLM takes what a request leaves out from the model's own files, so that two releases would be asked differently."""

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 512

    def __post_init__(self) -> None:
        """Raises SettingsError."""
        # Written so that NaN is refused as well.
        if not 0 <= self.temperature <= 2:  # noqa: PLR2004 - the range of the OpenAI API
            raise SettingsError(f"sampling.temperature is {self.temperature}; write a number from 0 to 2")
        if not 0 < self.top_p <= 1:
            raise SettingsError(f"sampling.topP is {self.top_p}; write a number above 0, at most 1")
        if not 1 <= self.max_tokens <= 1 << 20:
            raise SettingsError(f"sampling.maxTokens is {self.max_tokens}; write a number from 1 to {1 << 20}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpExchange:
    """A plain HTTP request and where its answer is, for `Http`.

    `body` is JSON whose strings hold placeholders, `query` (without its `?`) may hold them too: `{{name}}` is the member `name` of the case, `{{$seed}}` the
    seed, `{{$model}}` the model. `answer` is a JSON pointer (RFC 6901) to the answer; what is no string there becomes its JSON text.
    `ready` is a path that answers 2xx once the model can be asked; without it, a server that answers anything is ready.
    """

    method: str = "POST"
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    answer: str
    ready: str = ""

    def __post_init__(self) -> None:
        """Raises SettingsError."""
        if self.method not in {"GET", "POST", "PUT"}:
            raise SettingsError(f"http.method is {self.method[:16]!r}; write GET, POST or PUT")
        if (self.method == "GET") != (not self.body):
            raise SettingsError("http.body belongs to POST and PUT, which need one, and not to GET")
        try:
            if self.body:
                BodyTemplate.parse(self.body)
            QueryTemplate.parse(self.query)
            Pointer.parse(self.answer)
        except TemplateError as error:
            raise SettingsError(f"http.{error}") from None
        _check_headers(self.headers)
        _check_path("http.ready", self.ready.removesuffix("/"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolSettings:
    """What is spoken and with which model."""

    type: ProtocolType
    model: str = ""
    """Name of the model in the protocol; needed but for `Http`."""
    version: str = ""
    """Version of the model: Open Inference Protocol only; empty leaves the choice to the server."""
    path: str = ""
    """Where the API begins; empty stands for `/v1` with OpenAI (KServe has `/openai/v1`) and for the root with the others. With `Http`, the path itself."""
    stream: bool = False
    """Ask for server-sent events, to learn when the first token came: chat and completions only."""
    sampling: Sampling | None = None
    """Chat and completions only; None stands for the defaults, which are greedy."""
    http: HttpExchange | None = None
    """`Http` only, and needed there."""

    def __post_init__(self) -> None:
        """Raises SettingsError."""
        kind = self.type
        if (kind is ProtocolType.HTTP) != (self.http is not None):
            raise SettingsError("http is for type Http, and needed there")
        if not self.model and kind is not ProtocolType.HTTP:
            raise SettingsError(f"model is empty; write the name under which the server knows the model ({kind} needs it)")
        for name in ("model", "version"):
            value: str = getattr(self, name)
            if len(value) > MODEL_NAME_LENGTH or not value.isprintable():
                raise SettingsError(f"{name} is {value[:32]!r}…; write at most {MODEL_NAME_LENGTH} printable characters")
        if self.version and kind not in _VERSIONED:
            raise SettingsError(f"version is {self.version!r}, but {kind} has no versions; leave it out, or use OpenInference")
        if self.stream and kind not in _SAMPLED:
            raise SettingsError(f"stream is true, but {kind} does not stream; leave it out")
        if self.sampling is not None and kind not in _SAMPLED:
            raise SettingsError(f"sampling is given, but {kind} does not sample; leave it out")
        if self.path and kind is ProtocolType.OPEN_INFERENCE_GRPC:
            raise SettingsError(f"path is {self.path!r}, but gRPC has none; leave it out")
        # The path of a plain request may end in a slash; where an API begins, another path follows.
        _check_path("path", self.path.removesuffix("/") if kind is ProtocolType.HTTP else self.path)

    @property
    def base_path(self) -> str:
        """Where the API begins."""
        return self.path or _DEFAULT_PATHS[self.type]

    @property
    def effective_sampling(self) -> Sampling:
        """What is sent."""
        return self.sampling or Sampling()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is taken from a server at most; whatever goes beyond is no answer."""

    timeout_seconds: float = 60.0
    """From the question to the end of the answer, all turns together."""
    response_bytes: int = 4 << 20
    """Of one response; of all turns and events together when there are several."""
    stream_events: int = 65_536
    """Server-sent events of one answer."""
    tool_calls: int = 64
    """Of one answer, all turns together."""
    tensor_elements: int = 1 << 18
    """Of all tensors of one answer together, and of an embedding."""
    json_depth: int = 32
    """How deep objects and lists are nested, in responses and in the arguments of tool calls."""

    def __post_init__(self) -> None:
        """Raises SettingsError."""
        if self.json_depth > JSON_DEPTH:
            raise SettingsError(f"json_depth is {self.json_depth}; write at most {JSON_DEPTH}")
        for member in fields(self):
            value = getattr(self, member.name)
            if not 0 < value < 1 << 31:
                raise SettingsError(f"{member.name} is {value}; a limit is above zero and finite")


def _check_path(name: str, path: str) -> None:
    if len(path) > PATH_LENGTH or not _PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise SettingsError(
            f"{name} is {path[:64]!r}; write segments that each begin with /, without a query, without . and .., at most {PATH_LENGTH} characters"
        )


def _check_headers(headers: Mapping[str, str]) -> None:
    if len(headers) > HEADERS:
        raise SettingsError(f"http.headers has {len(headers)} entries; write at most {HEADERS}")
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or len(value) > HEADER_LENGTH or not _HEADER_VALUE.fullmatch(value):
            raise SettingsError(f"http.headers[{name[:64]!r}] is no header; write an RFC 9110 name and at most {HEADER_LENGTH} printable ASCII characters")
        if name.lower() in _OURS:
            raise SettingsError(f"http.headers[{name!r}] is set by the client itself; leave it out (credentials belong to auth, which reads a Secret)")
