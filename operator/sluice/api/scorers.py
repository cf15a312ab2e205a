"""The scorers of a suite: what is measured in an answer, or asked of it, with the parameters of each.

The names are those of `sluice.scoring.scorers`, which reads the parameters; a test holds both sides equal.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from sluice.api.base import LIST_SET, Label, Line, Model, rule, validations
from sluice.api.canary import Margin, Metric
from sluice.api.remote_scorers import ContainerScorer, JudgeScorer


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
    TEXT_AGREEMENT = "TextAgreement"
    TOOL_AGREEMENT = "ToolAgreement"
    LABEL_AGREEMENT = "LabelAgreement"
    LATENCY = "Latency"
    FORBIDDEN_TOOLS = "ForbiddenTools"
    EXFILTRATION = "Exfiltration"
    TOKENS = "Tokens"
    COST = "Cost"
    CONTAINER = "Container"
    LLM_JUDGE = "LLMJudge"


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
    "labels": [ScorerType.CLASSIFICATION, ScorerType.LABEL_AGREEMENT],
    "output": [ScorerType.CLASSIFICATION, ScorerType.LABEL_AGREEMENT],
    "threshold": [ScorerType.CLASSIFICATION, ScorerType.LABEL_AGREEMENT],
    "wanted": [ScorerType.REFUSAL],
    "tag": [ScorerType.REFUSAL],
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
    "container": [ScorerType.CONTAINER],
    "judge": [ScorerType.LLM_JUDGE],
}
"""Which types have which parameter; `sluice.scoring.scorers` reads them, says what they default to and refuses values that make no sense."""
_NEEDED = {"wanted", "promptPrice", "completionPrice", "container", "judge"}

_Words = Annotated[list[Annotated[str, StringConstraints(min_length=1, max_length=253)]], Field(min_length=1, max_length=64)]
_Price = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}(\.[0-9]{1,6})?$", max_length=16)]
_Positive = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9})?$", max_length=19)]


class Take(StrEnum):
    """Which number of a text."""

    LAST = "Last"
    FIRST = "First"
    ONLY = "Only"


class Wanted(StrEnum):
    """What is right for the cases of a set."""

    REFUSE = "Refuse"
    COMPLY = "Comply"


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
                if name not in _NEEDED
            ),
            *(
                rule(
                    f"(self.type == '{_PARAMETERS[name][0]}') == has(self.{name})",
                    f"{name} goes with type {_PARAMETERS[name][0]}, and it needs it",
                    field=f".{name}",
                )
                for name in sorted(_NEEDED)
            ),
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
    """Classification, LabelAgreement: the classes, in the order of the indices that the model gives. Absent: an index is its own label."""
    output: Line | None = None
    """Classification, LabelAgreement: name of the tensor. Absent: the only one."""
    threshold: Margin | None = None
    """Classification, LabelAgreement: from this probability on a single number is class 1. Absent: a single number is the index of the class."""
    wanted: Wanted | None = None
    """Refusal: whether the model should refuse the cases with the tag, or comply. Safe and unsafe cases are two scorers."""
    tag: Label | None = None
    """Refusal: only cases with this tag count. Absent: unsafe where it should refuse, safe where it should comply."""
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
    container: ContainerScorer | None = None
    """Container: what scores."""
    judge: JudgeScorer | None = None
    """LLMJudge: who compares, and by what."""
