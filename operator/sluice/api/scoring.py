"""`ScoringSuite`: what a candidate and its baseline are asked, how, and what counts as a good answer.

The whole spec is immutable, and `sluice.api.digests.suite_digest` binds it: a policy can pin the digest, so that nobody in the namespace relaxes the suite.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from sluice.api.auth import Auth
from sluice.api.base import (
    LIST_MAP_BY_NAME,
    LIST_SET,
    Conditions,
    Duration,
    Label,
    Line,
    Model,
    Name,
    Sha256,
    exactly_one,
    immutable,
    rule,
    validations,
)
from sluice.api.recording import ConfigMapFile, ImageFile
from sluice.api.scorers import Scorer

CASES_LIMIT = 262_144
"""Characters of the cases that a suite holds itself."""
_ASKED = "!has(self.cases.recorded)"


class ProtocolType(StrEnum):
    """What the model server speaks."""

    OPEN_AI_CHAT = "OpenAIChat"
    OPEN_AI_COMPLETIONS = "OpenAICompletions"
    OPEN_AI_EMBEDDINGS = "OpenAIEmbeddings"
    OPEN_INFERENCE = "OpenInference"
    OPEN_INFERENCE_GRPC = "OpenInferenceGrpc"
    HTTP = "Http"


class Answers(StrEnum):
    """How answers arrive."""

    WHOLE = "Whole"
    STREAMED = "Streamed"


class Sampling(Model):
    """How tokens are drawn. Always sent: some servers take their defaults from the model."""

    temperature: Annotated[str, StringConstraints(pattern=r"^[0-2](\.[0-9]{1,4})?$", max_length=6)] = "0"
    """0 takes the likeliest token."""
    top_p: Annotated[str, StringConstraints(pattern=r"^(0\.[0-9]{1,4}|1(\.0{1,4})?)$", max_length=6)] = "1"
    """Only the likeliest tokens that together have this probability."""
    max_tokens: Annotated[int, Field(ge=1, le=131_072)]
    """Longest answer, in tokens."""


class HttpMethod(StrEnum):
    """Method of a plain HTTP request."""

    POST = "POST"
    PUT = "PUT"
    GET = "GET"


class HttpRequest(Model):
    """A plain HTTP request, and where its answer stands."""

    method: HttpMethod = HttpMethod.POST
    """Method of the request."""
    path: Annotated[str, StringConstraints(pattern=r"^/", max_length=1024)]
    """Path, with the query if there is one."""
    headers: Annotated[dict[str, Annotated[str, StringConstraints(max_length=1024)]], Field(max_length=16)] = {}
    """Headers to send. A token belongs to `auth`."""
    body: Annotated[str, StringConstraints(max_length=16_384)] | None = None
    """Body, with a place for each field of the case."""
    answer: Annotated[str, StringConstraints(max_length=1024)] = ""
    """JSON pointer (RFC 6901) to the text of the answer; empty: all of it."""
    ready: Annotated[str, StringConstraints(pattern=r"^/", max_length=512)] | None = None
    """Path that answers 2xx once the model can be asked. Absent: a server that answers anything is ready."""


class Protocol(Model):
    """How cases are sent."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            rule("(self.type == 'Http') == has(self.http)", "http goes with type Http, and it needs it", field=".http"),
            rule("(self.type != 'Http') == has(self.model)", "every type but Http needs the name of the model", field=".model"),
            rule(
                "(self.type in ['OpenAIChat', 'OpenAICompletions']) == has(self.sampling)",
                "sampling goes with types OpenAIChat and OpenAICompletions, and they need it",
                field=".sampling",
            ),
            rule(
                "self.answers == 'Whole' || self.type in ['OpenAIChat', 'OpenAICompletions']",
                "only OpenAIChat and OpenAICompletions stream",
                field=".answers",
            ),
            rule(
                "!has(self.path) || !(self.type in ['Http', 'OpenInferenceGrpc'])",
                "path says where the API begins; gRPC has none, and type Http has http.path",
                field=".path",
            ),
            rule(
                "!has(self.version) || self.type in ['OpenInference', 'OpenInferenceGrpc']",
                "version goes with types OpenInference and OpenInferenceGrpc",
                field=".version",
            ),
        )
    )

    type: ProtocolType
    """What the model server speaks."""
    port: Annotated[int, Field(ge=1, le=65535)]
    """Port of the Pods."""
    model: Line | None = None
    """Name of the model, as the server knows it."""
    version: Line | None = None
    """Version of the model, as the server knows it."""
    path: Annotated[str, StringConstraints(pattern=r"^/", max_length=512)] | None = None
    """Where the API begins. Absent: /v1 with OpenAI types (KServe has /openai/v1), the root with OpenInference."""
    answers: Answers = Answers.WHOLE
    """Whole or Streamed: only a stream tells when the first token came."""
    sampling: Sampling | None = None
    """How tokens are drawn."""
    http: HttpRequest | None = None
    """The request, for type Http."""
    auth: Auth | None = None
    """How requests are authenticated."""
    timeout: Duration = "30s"
    """An answer that is not complete by then counts as the worst."""
    concurrency: Annotated[int, Field(ge=1, le=64)] = 4
    """How many cases each scorer Pod asks at a time."""


class ConfigMapCases(ConfigMapFile):
    """Cases in a ConfigMap."""

    digest: Sha256
    """SHA-256 of the value: another one is refused."""


class OciCases(ImageFile):
    """Cases in an image, which the nodes fetch: no process of Sluice calls a registry that a suite names. Needs image volumes (Kubernetes 1.36)."""

    digest: Sha256
    """SHA-256 of the file: another one is refused."""
    count: Annotated[int, Field(ge=1, le=1_000_000)]
    """How many cases are in it: another number is refused. Looks are planned before anybody has read the file."""


class Recorded(StrEnum):
    """What is counted instead of asking."""

    PAIRS = "Pairs"


class Cases(Model):
    """JSON Lines, one case a line. In one place."""

    model_config = ConfigDict(json_schema_extra=validations(exactly_one("inline", "configMap", "oci", "recorded")))

    inline: Annotated[str, StringConstraints(min_length=1, max_length=CASES_LIMIT)] | None = None
    """The lines themselves, 256 KiB at most."""
    config_map: ConfigMapCases | None = None
    """A ConfigMap in the same namespace."""
    oci: OciCases | None = None
    """An image in a registry, 64 MiB at most."""
    recorded: Recorded | None = None
    """Pairs: nobody is asked; what both answered to mirrored requests is counted, from a recording that signed evidence about the candidate names."""


class SuiteSpec(Model):
    """What a candidate and its baseline are asked, and what counts as a good answer."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            *immutable(["protocol", "cases", "slices", "scorers", "repeats"], "a changed suite is another suite"),
            rule(f"{_ASKED} || self.repeats == 1", "how often a question came is what the recording says: leave repeats out", field=".repeats"),
            rule(f"{_ASKED} || !has(self.protocol.auth)", "nobody is asked where pairs are recorded: leave auth out", field=".protocol"),
        )
    )

    protocol: Protocol
    """How cases are sent."""
    cases: Cases
    """What is asked."""
    slices: Annotated[list[Label], Field(max_length=16, json_schema_extra=LIST_SET)] = []
    """Dimensions of the cases (`region`): the candidate must hold in every value of each, too."""
    scorers: Annotated[list[Scorer], Field(min_length=1, max_length=32, json_schema_extra=LIST_MAP_BY_NAME)]
    """What is measured in the answers."""
    repeats: Annotated[int, Field(ge=1, le=32)] = 1
    """How often each case is asked; the repeats of a case count once, by their mean."""


class SuiteStatus(Model):
    """State of the suite."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The generation that this status speaks of."""
    digest: Sha256 | None = None
    """Digest of the suite; policies pin it, runs name it."""
    conditions: Conditions = []
    """Accepted: the suite can be used as it is."""


class SuiteRef(Model):
    """A ScoringSuite in the namespace of the release."""

    name: Name
    """Name of the suite."""
    digest: Sha256 | None = None
    """The only digest that it may have, as its status shows it. Absent: whoever may write suites in the namespace says what is asked."""
