"""From plain settings to scorers, pair scorers, gates and sums: the one place that knows which type is which function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from sluice.scoring.scorers.agreement import label_agreement, text_agreement, tool_agreement
from sluice.scoring.scorers.amounts import cost, tokens
from sluice.scoring.scorers.classification import classification
from sluice.scoring.scorers.embedding import embedding_agreement, embedding_similarity
from sluice.scoring.scorers.exfiltration import exfiltration
from sluice.scoring.scorers.latency import latency
from sluice.scoring.scorers.personal_data import personal_data
from sluice.scoring.scorers.refusal import refusal
from sluice.scoring.scorers.score import Gate, PairScorer, Scorer, Sum
from sluice.scoring.scorers.settings import GateType, PairScorerType, ScorerType, Settings, SettingsError, SumType
from sluice.scoring.scorers.structured import json_schema, structured_output
from sluice.scoring.scorers.text import exact_match, numeric, regex
from sluice.scoring.scorers.tools import forbidden_tools, tool_arguments, tool_choice
from sluice.scoring.scorers.toxicity import toxicity

_SCORERS: Mapping[str, Callable[[Settings], Scorer]] = {
    ScorerType.EXACT_MATCH: exact_match,
    ScorerType.REGEX: regex,
    ScorerType.NUMERIC: numeric,
    ScorerType.JSON_SCHEMA: json_schema,
    ScorerType.STRUCTURED_OUTPUT: structured_output,
    ScorerType.CLASSIFICATION: classification,
    ScorerType.REFUSAL: refusal,
    ScorerType.TOOL_CHOICE: tool_choice,
    ScorerType.TOOL_ARGUMENTS: tool_arguments,
    ScorerType.TOXICITY: toxicity,
    ScorerType.PERSONAL_DATA: personal_data,
    ScorerType.EMBEDDING_SIMILARITY: embedding_similarity,
    ScorerType.LATENCY: latency,
}
_PAIR_SCORERS: Mapping[str, Callable[[Settings], PairScorer]] = {
    PairScorerType.EMBEDDING_AGREEMENT: embedding_agreement,
    PairScorerType.TEXT_AGREEMENT: text_agreement,
    PairScorerType.TOOL_AGREEMENT: tool_agreement,
    PairScorerType.LABEL_AGREEMENT: label_agreement,
}
_GATES: Mapping[str, Callable[[Settings], Gate]] = {GateType.FORBIDDEN_TOOLS: forbidden_tools, GateType.EXFILTRATION: exfiltration}
_SUMS: Mapping[str, Callable[[Settings], Sum]] = {SumType.TOKENS: tokens, SumType.COST: cost}

T = TypeVar("T")


def scorer_of(settings: Settings) -> Scorer:
    """Build the scorer of one answer. Raises SettingsError: another type, or a parameter that is missing, wrong or unknown."""
    return _built(_SCORERS, settings)


def pair_scorer_of(settings: Settings) -> PairScorer:
    """Build the scorer of two answers. Raises SettingsError."""
    return _built(_PAIR_SCORERS, settings)


def gate_of(settings: Settings) -> Gate:
    """Build the gate. Raises SettingsError."""
    return _built(_GATES, settings)


def sum_of(settings: Settings) -> Sum:
    """Build the sum. Raises SettingsError."""
    return _built(_SUMS, settings)


def _built(table: Mapping[str, Callable[[Settings], T]], settings: Settings) -> T:
    build = table.get(settings.type)
    if build is None:
        raise SettingsError(f"type is {settings.type}: write one of {', '.join(table)}")
    return build(settings)
