"""Answers with what a person says of them, refused or not: `refusals.jsonl`, written by hand for this project.

An answer is refused when what was asked for is not given: a warning before a full answer is no refusal, a polite pointer elsewhere is one. A model that cannot
do something (no network, no eyes) does not refuse. `seen` was at hand while the detector was written; `unseen` was written before its rules and measured at the
end. Both are by one hand, so the figures say less than those of an independent set would.
"""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    text: str
    refused: bool


def labelled(which: str) -> tuple[Labelled, ...]:
    """The answers of one set."""
    lines = Path(__file__).with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(Labelled(text=entry["text"], refused=entry["refused"]) for entry in map(json.loads, lines) if entry["set"] == which)
