"""Programs get the same from every command, and people can read it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from sluice.cli.answers import as_text

ANSWER = {"who": "Zoë <zoe@example.com>", "counts": [1, 2], "note": "first\nsecond\x9b"}


@pytest.mark.parametrize(("output", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_an_answer_is_read_back_as_it_was_in_its_order_and_with_its_letters(output: str, read: Callable[[str], dict[str, Any]]) -> None:
    said = as_text(ANSWER, output)
    assert list(read(said).items()) == list(ANSWER.items())
    assert "Zoë" in said
    assert not said.endswith("\n")


def test_what_no_program_could_read_is_refused() -> None:
    for output in ("json", "yaml"):
        with pytest.raises((TypeError, yaml.YAMLError)):
            as_text({"who": object()}, output)
