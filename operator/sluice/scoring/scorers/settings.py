"""Settings of scorers and gates, as plain as the resource that holds them: a type, and named parameters.

Parameters come from whoever writes a suite. Each is looked at once, when the scorer is built, and an error names the parameter, its value and what to write
instead. A parameter that nobody reads is an error too: it is a typing mistake, and the person believes that it does something.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sluice.scoring.case import Case, Json

_SHOWN = 80
_TEXT_LIMIT = 4096
_LIST_LIMIT = 256


class ScorerType(StrEnum):
    """Scorers of one answer."""

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
    LATENCY = "Latency"


class PairScorerType(StrEnum):
    """Scorers of two answers beside each other."""

    EMBEDDING_AGREEMENT = "EmbeddingAgreement"
    TEXT_AGREEMENT = "TextAgreement"
    TOOL_AGREEMENT = "ToolAgreement"
    LABEL_AGREEMENT = "LabelAgreement"


class GateType(StrEnum):
    """Gates: one hit is enough to roll back."""

    FORBIDDEN_TOOLS = "ForbiddenTools"
    EXFILTRATION = "Exfiltration"


class SumType(StrEnum):
    """Quantities that are added up and reported."""

    TOKENS = "Tokens"
    COST = "Cost"


class RemoteType(StrEnum):
    """Scorers that somebody else runs: their answers come over a connection (`sluice.scoring.remote`)."""

    CONTAINER = "Container"
    LLM_JUDGE = "LLMJudge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One scorer, gate or sum of a suite."""

    type: ScorerType | PairScorerType | GateType | SumType
    parameters: Mapping[str, Json] = field(default_factory=dict)


class SettingsError(ValueError):
    """Settings that do not make a scorer; the message names the parameter, its value and the remedy."""


class ExpectError(ValueError):
    """A case whose `expect` the scorer cannot read; the message names the case, the member and the remedy.

    Scorers read `expect` before they look at the answer: giving each case an empty answer once finds all such cases before a model server is asked.
    """


class Parameters:
    """Reads the parameters of one scorer; `done` refuses those that were not read."""

    def __init__(self, settings: Settings) -> None:
        self._type = settings.type
        self._left = dict(settings.parameters)

    def text(self, name: str, *, default: str | None = None, limit: int = _TEXT_LIMIT) -> str:
        """A string of 1 to `limit` characters. Raises SettingsError, as all of these do."""
        value = self._take(name, default)
        if not isinstance(value, str) or not 1 <= len(value) <= limit:
            raise self.wrong(name, value, f"write a string of 1 to {limit:,} characters")
        return value

    def choice(self, name: str, choices: type[StrEnum], *, default: StrEnum | None = None) -> str:
        """One of the values of `choices`."""
        value = self._take(name, default)
        if value not in list(choices):
            raise self.wrong(name, value, "write one of " + ", ".join(choices))
        return str(value)

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false."""
        value = self._take(name, default)
        if not isinstance(value, bool):
            raise self.wrong(name, value, "write true or false")
        return value

    def number(self, name: str, *, default: float | None = None, minimum: float = 0.0, maximum: float = math.inf) -> float:
        """A finite number from `minimum` to `maximum`; also as a string, because resources hold decimal numbers as strings."""
        value = self._take(name, default)
        number = number_of(value)
        if number is None or not minimum <= number <= maximum:
            bounds = f"of at least {minimum:g}" if maximum == math.inf else f"from {minimum:g} to {maximum:g}"
            raise self.wrong(name, value, f"write a number {bounds}")
        return number

    def texts(self, name: str, *, default: tuple[str, ...] | None = None, limit: int = _LIST_LIMIT) -> tuple[str, ...]:
        """A list of at most `limit` strings of 1 to 4,096 characters."""
        value = self._take(name, default)
        if not isinstance(value, (list, tuple)) or len(value) > limit or not all(isinstance(text, str) and 1 <= len(text) <= _TEXT_LIMIT for text in value):
            raise self.wrong(name, value, f"write a list of at most {limit} strings")
        return tuple(value)

    def json(self, name: str, *, default: Json = None) -> Json:
        """Any JSON value, which the caller looks at."""
        return self._take(name, default, optional=True)

    def done(self) -> None:
        """Raises SettingsError for a parameter that the scorer does not have."""
        for name, value in self._left.items():
            raise self.wrong(name, value, f"{self._type} has no such parameter: remove it or correct its name")

    def wrong(self, name: str, value: Json, remedy: str) -> SettingsError:
        """The error for a parameter, to be raised by the caller."""
        return SettingsError(f"{self._type}.{name} is {shown(value)}: {remedy}")

    def _take(self, name: str, default: Json, *, optional: bool = False) -> Json:
        value = self._left.pop(name, None)
        if value is not None:
            return value
        if default is None and not optional:
            raise SettingsError(f"{self._type}.{name} is missing: it has no default")
        return default


def number_of(value: Json) -> float | None:
    """`value` as a finite number: itself, or the text of one; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)) or (isinstance(value, str) and len(value) > _SHOWN):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def shown(value: Json) -> str:
    """`value` for a message: on one line, cut."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def expected(case: Case, member: str, kind: type | tuple[type, ...], remedy: str) -> Json:
    """`case.expect[member]`, None when absent. Raises ExpectError when it is of another kind than `kind`; a boolean is no number."""
    value = case.expect.get(member)
    if value is None or (isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool)):
        return value
    raise expect_error(case, member, value, remedy)


def expect_error(case: Case, member: str, value: Json, remedy: str) -> ExpectError:
    """The error for one member of `expect`, to be raised by the caller."""
    return ExpectError(f"case {shown(case.id)}: expect.{member} is {shown(value)}: {remedy}")
