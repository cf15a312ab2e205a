"""What people are told to type is complete: it works as it is copied."""

from __future__ import annotations

import re
from pathlib import Path

import sluice
from sluice.api.kinds import KINDS

_NAMED = "|".join([*(kind.short for kind in KINDS if kind.namespaced), "waiver"])
_TYPED = re.compile(rf'kubectl (?:get|describe|sluice \w+) (?:{_NAMED})/\{{[^}}]+\}}[^"]*')


def test_a_command_about_an_object_of_a_namespace_names_the_namespace() -> None:
    typed = [found for path in Path(sluice.__file__).parent.rglob("*.py") for found in _TYPED.findall(path.read_text())]
    assert len(typed) > 8
    assert [command for command in typed if not re.search(r"/\{[^}]+\} -n \{", command)] == []
