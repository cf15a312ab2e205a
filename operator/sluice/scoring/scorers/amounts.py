"""Tokens and cost: sums of whole units, so that shards add to the same bits in any order."""

from __future__ import annotations

import re
from decimal import Decimal

from sluice.scoring.answer import Answer
from sluice.scoring.scorers.score import Sum
from sluice.scoring.scorers.settings import Parameters, Settings

COST_UNIT = Decimal("1e-9")
"""What a cost is counted in: billionths of the currency of the prices."""
_PRICE = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?")


def tokens(settings: Settings) -> Sum:
    """Prompt and completion tokens of an answer; None when the server told neither. No parameters. Raises SettingsError."""
    Parameters(settings).done()

    def count(answer: Answer) -> int | None:
        if answer.prompt_tokens is None and answer.completion_tokens is None:
            return None
        return (answer.prompt_tokens or 0) + (answer.completion_tokens or 0)

    return count


def cost(settings: Settings) -> Sum:
    """What an answer costs, in billionths of a currency unit; None unless the server told both counts.

    Parameters `promptPrice`, `completionPrice`: per 1,000 tokens, decimal numbers as strings with at most six places, which makes every sum exact.
    Raises SettingsError.
    """
    parameters = Parameters(settings)
    prompt = _price(parameters, "promptPrice")
    completion = _price(parameters, "completionPrice")
    parameters.done()

    def amount(answer: Answer) -> int | None:
        if answer.prompt_tokens is None or answer.completion_tokens is None:
            return None
        return answer.prompt_tokens * prompt + answer.completion_tokens * completion

    return amount


def _price(parameters: Parameters, name: str) -> int:
    """Units for one token."""
    text = parameters.text(name)
    if not _PRICE.fullmatch(text):
        raise parameters.wrong(name, text, "write a decimal number with at most six places as a string, such as '0.0025'")
    return int(Decimal(text) / 1000 / COST_UNIT)
