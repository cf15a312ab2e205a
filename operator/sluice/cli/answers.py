"""How an answer reads that a program asked for: the same in every command, with the letters of every language as they are."""

from __future__ import annotations

import json


def as_text(answer: object, output: str) -> str:
    """Give an answer as JSON where `output` is `json`, else as YAML, without the last line break.

    Raises TypeError or yaml.YAMLError for what is neither text, number, list nor mapping.
    """
    if output == "json":
        return json.dumps(answer, indent=2, ensure_ascii=False)
    import yaml  # noqa: PLC0415 - see the package

    return str(yaml.safe_dump(answer, sort_keys=False, allow_unicode=True)).rstrip()
