"""From plain settings to scorers, pair scorers, gates and sums: the one place that knows which type is which function.

A module is loaded when a suite first names a scorer of it: shards and probes start again and again, each for one suite, and the libraries behind JSON Schema
and the phrases of refusals were up to a fifth of the CPU time until the first request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from sluice.scoring.scorers.score import Gate, PairScorer, Scorer, Sum
from sluice.scoring.scorers.settings import GateType, PairScorerType, ScorerType, Settings, SettingsError, SumType

# Module and function below this package.
_SCORERS: Mapping[str, str] = {
    ScorerType.EXACT_MATCH: "text.exact_match",
    ScorerType.REGEX: "text.regex",
    ScorerType.NUMERIC: "text.numeric",
    ScorerType.JSON_SCHEMA: "structured.json_schema",
    ScorerType.STRUCTURED_OUTPUT: "structured.structured_output",
    ScorerType.CLASSIFICATION: "classification.classification",
    ScorerType.REFUSAL: "refusal.refusal",
    ScorerType.TOOL_CHOICE: "tools.tool_choice",
    ScorerType.TOOL_ARGUMENTS: "tools.tool_arguments",
    ScorerType.TOXICITY: "toxicity.toxicity",
    ScorerType.PERSONAL_DATA: "personal_data.personal_data",
    ScorerType.EMBEDDING_SIMILARITY: "embedding.embedding_similarity",
    ScorerType.LATENCY: "latency.latency",
}
_PAIR_SCORERS: Mapping[str, str] = {
    PairScorerType.EMBEDDING_AGREEMENT: "embedding.embedding_agreement",
    PairScorerType.TEXT_AGREEMENT: "agreement.text_agreement",
    PairScorerType.TOOL_AGREEMENT: "agreement.tool_agreement",
    PairScorerType.LABEL_AGREEMENT: "agreement.label_agreement",
}
_GATES: Mapping[str, str] = {GateType.FORBIDDEN_TOOLS: "tools.forbidden_tools", GateType.EXFILTRATION: "exfiltration.exfiltration"}
_SUMS: Mapping[str, str] = {SumType.TOKENS: "amounts.tokens", SumType.COST: "amounts.cost"}


def scorer_of(settings: Settings) -> Scorer:
    """Build the scorer of one answer. Raises SettingsError: another type, or a parameter that is missing, wrong or unknown."""
    build: Callable[[Settings], Scorer] = _named(_SCORERS, settings.type)
    return build(settings)


def pair_scorer_of(settings: Settings) -> PairScorer:
    """Build the scorer of two answers. Raises SettingsError."""
    build: Callable[[Settings], PairScorer] = _named(_PAIR_SCORERS, settings.type)
    return build(settings)


def gate_of(settings: Settings) -> Gate:
    """Build the gate. Raises SettingsError."""
    build: Callable[[Settings], Gate] = _named(_GATES, settings.type)
    return build(settings)


def sum_of(settings: Settings) -> Sum:
    """Build the sum. Raises SettingsError."""
    build: Callable[[Settings], Sum] = _named(_SUMS, settings.type)
    return build(settings)


def _named(table: Mapping[str, str], kind: str) -> Any:  # noqa: ANN401 - a function of the caller's type
    place = table.get(kind)
    if place is None:
        raise SettingsError(f"type is {kind}: write one of {', '.join(table)}")
    module, _, function = place.partition(".")
    return getattr(import_module(f"sluice.scoring.scorers.{module}"), function)
