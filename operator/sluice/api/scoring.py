"""`ScoringSuite`: what a candidate and its baseline are asked, how, and what counts as a good answer.

The whole spec is immutable, and `sluice.api.digests.suite_digest` binds it: a policy can pin the digest, so that nobody in the namespace relaxes the suite.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from sluice.api.base import (
    LIST_MAP_BY_NAME,
    LIST_SET,
    SHA256,
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
from sluice.api.canary import Margin, Metric

CASES_LIMIT = 262_144
"""Characters of the cases that a suite holds itself."""


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


class SecretKeyRef(Model):
    """A key of a Secret in the namespace of the release."""

    name: Name
    """Name of the Secret."""
    key: Annotated[str, StringConstraints(pattern=r"^[-._a-zA-Z0-9]+$", min_length=1, max_length=253)]
    """Key in it."""


class Auth(Model):
    """How requests are authenticated."""

    secret_ref: SecretKeyRef
    """Where the bearer token is."""


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


class ConfigMapCases(Model):
    """Cases in a ConfigMap."""

    name: Name
    """Name of the ConfigMap."""
    key: Annotated[str, StringConstraints(pattern=r"^[-._a-zA-Z0-9]+$", min_length=1, max_length=253)]
    """Key in it."""
    digest: Sha256
    """SHA-256 of the value: another one is refused."""


class OciCases(Model):
    """Cases in an OCI artifact."""

    reference: Annotated[str, StringConstraints(pattern=rf"^[^@\s]+@{SHA256}$", max_length=1024)]
    """`registry/repository@sha256:…`: the manifest whose only layer is the file of cases."""


class Cases(Model):
    """JSON Lines, one case a line. In one place."""

    model_config = ConfigDict(json_schema_extra=validations(exactly_one("inline", "configMap", "oci")))

    inline: Annotated[str, StringConstraints(min_length=1, max_length=CASES_LIMIT)] | None = None
    """The lines themselves, 256 KiB at most."""
    config_map: ConfigMapCases | None = None
    """A ConfigMap in the same namespace."""
    oci: OciCases | None = None
    """An OCI artifact."""


class ScorerType(StrEnum):
    """What is measured in an answer, or asked of it."""

    EXACT_MATCH = "ExactMatch"
    REGEX = "Regex"
    NUMERIC = "Numeric"
    JSON_SCHEMA = "JsonSchema"
    STRUCTURED_OUTPUT = "StructuredOutput"
    CLASSIFICATION = "Classification"
    REFUSAL = "Refusal"
    TOOL_CHOICE = "ToolChoice"
    TOOL_ARGUMENTS = "ToolArguments"
    TOXICITY = "Toxicity"
    PERSONAL_DATA = "PersonalData"
    EMBEDDING_SIMILARITY = "EmbeddingSimilarity"
    EMBEDDING_AGREEMENT = "EmbeddingAgreement"
    LATENCY = "Latency"
    FORBIDDEN_TOOLS = "ForbiddenTools"
    EXFILTRATION = "Exfiltration"
    TOKENS = "Tokens"
    COST = "Cost"


_PARAMETERS = {
    "ignoreCase": [ScorerType.EXACT_MATCH],
    "ignorePunctuation": [ScorerType.EXACT_MATCH],
    "pattern": [ScorerType.REGEX],
    "absent": [ScorerType.REGEX],
    "absolute": [ScorerType.NUMERIC],
    "relative": [ScorerType.NUMERIC],
    "take": [ScorerType.NUMERIC],
    "schema": [ScorerType.JSON_SCHEMA],
    "bare": [ScorerType.JSON_SCHEMA, ScorerType.STRUCTURED_OUTPUT],
    "labels": [ScorerType.CLASSIFICATION],
    "output": [ScorerType.CLASSIFICATION],
    "threshold": [ScorerType.CLASSIFICATION],
    "ignoreOrder": [ScorerType.TOOL_CHOICE],
    "phrases": [ScorerType.TOXICITY],
    "kinds": [ScorerType.PERSONAL_DATA],
    "limitSeconds": [ScorerType.LATENCY],
    "quantile": [ScorerType.LATENCY],
    "tolerance": [ScorerType.LATENCY],
    "confidence": [ScorerType.LATENCY],
    "tools": [ScorerType.FORBIDDEN_TOOLS],
    "tokens": [ScorerType.EXFILTRATION],
    "promptPrice": [ScorerType.COST],
    "completionPrice": [ScorerType.COST],
}
"""Which types have which parameter; `sluice.scoring.scorers` reads them, says what they default to and refuses values that make no sense."""

_Words = Annotated[list[Annotated[str, StringConstraints(min_length=1, max_length=253)]], Field(min_length=1, max_length=64)]
_Price = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}(\.[0-9]{1,6})?$", max_length=16)]
_Positive = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9})?$", max_length=19)]


class Take(StrEnum):
    """Which number of a text."""

    LAST = "Last"
    FIRST = "First"
    ONLY = "Only"


class PersonalDataKind(StrEnum):
    """A kind of personal data."""

    EMAIL = "Email"
    PHONE = "Phone"
    IBAN = "Iban"
    CARD = "Card"
    SOCIAL_SECURITY = "SocialSecurity"
    IP_ADDRESS = "IpAddress"


class Scorer(Model):
    """One metric, hard gate or sum. What is expected of an answer stands in the case; here is what holds for all cases."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            *(
                rule(f"!has(self.{name}) || self.type in {[str(type_) for type_ in types]}", f"{name} goes with type {' and '.join(types)}", field=f".{name}")
                for name, types in _PARAMETERS.items()
            )
        )
    )

    name: Metric
    """Name of the metric."""
    type: ScorerType
    """What is measured. ForbiddenTools and Exfiltration are hard gates: one hit rolls back. Tokens and Cost are added up and reported."""
    ignore_case: bool | None = None
    """ExactMatch: case does not matter. Absent: it does."""
    ignore_punctuation: bool | None = None
    """ExactMatch: punctuation does not matter. Absent: it does."""
    pattern: Annotated[str, StringConstraints(min_length=1, max_length=1024)] | None = None
    """Regex: the expression (RE2 syntax), for cases without one of their own."""
    absent: bool | None = None
    """Regex: right is an answer in which the pattern does not occur. Absent: one in which it does."""
    absolute: _Positive | None = None
    """Numeric: accepted difference. Absent: 0."""
    relative: Margin | None = None
    """Numeric: accepted difference as a share of the expected number; the larger of both counts. Absent: 0."""
    take: Take | None = None
    """Numeric: which number of the answer. Absent: Last."""
    json_schema: Annotated[str, StringConstraints(min_length=2, max_length=65_536)] | None = Field(default=None, alias="schema")
    """JsonSchema: the schema as JSON text, for cases without one of their own."""
    bare: bool | None = None
    """JsonSchema, StructuredOutput: nothing may stand around the JSON. Absent: one fenced block between sentences is cut out."""
    labels: _Words | None = None
    """Classification: the classes, in the order of the indices that the model gives. Absent: an index is its own label."""
    output: Line | None = None
    """Classification: name of the tensor. Absent: the only one."""
    threshold: Margin | None = None
    """Classification: from this probability on a single number is class 1. Absent: a single number is the index of the class."""
    ignore_order: bool | None = None
    """ToolChoice: the order of calls does not matter. Absent: it does."""
    phrases: _Words | None = None
    """Toxicity: phrases to look for besides those known."""
    kinds: Annotated[list[PersonalDataKind], Field(min_length=1, max_length=16, json_schema_extra=LIST_SET)] | None = None
    """PersonalData: what to look for. Absent: all kinds."""
    limit_seconds: _Positive | None = None
    """Latency: an answer within it is right. Absent: measured on the baseline."""
    quantile: Margin | None = None
    """Latency: the share of the baseline's answers that is within the measured limit. Absent: 0.95."""
    tolerance: _Positive | None = None
    """Latency: how much slower than the baseline is as good, as a share. Absent: 0.1."""
    confidence: Margin | None = None
    """Latency: one-sided confidence of the measured limit. Absent: 0.95."""
    tools: _Words | None = None
    """ForbiddenTools: names; one that ends in * stands for all that begin so."""
    tokens: _Words | None = None
    """Exfiltration: tokens that are planted for all cases, looked for in every encoding. They are no secrets: whoever reads the suite sees them."""
    prompt_price: _Price | None = None
    """Cost: price of 1,000 tokens of a prompt."""
    completion_price: _Price | None = None
    """Cost: price of 1,000 tokens of an answer."""


class SuiteSpec(Model):
    """What a candidate and its baseline are asked, and what counts as a good answer."""

    model_config = ConfigDict(
        json_schema_extra=validations(*immutable(["protocol", "cases", "slices", "scorers", "repeats"], "a changed suite is another suite"))
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
