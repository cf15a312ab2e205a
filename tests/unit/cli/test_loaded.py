"""Commands that are loaded when they are asked for: all are there, under their names, and no other is loaded."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
from click.testing import CliRunner

from sluice.cli import main
from sluice.cli.loaded import Loaded


def groups(group: Loaded = main, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Loaded]]:
    yield before, group
    for word in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), word)
        if isinstance(command, Loaded):
            yield from groups(command, (*before, word))


def test_every_command_is_where_it_is_said_to_be_and_has_the_name_that_it_is_called_by() -> None:
    seen = 0
    for _, group in groups():
        context = click.Context(group)
        for word in group.list_commands(context):
            command = group.get_command(context, word)
            assert isinstance(command, click.Command)
            assert command.name == word
            seen += 1
    assert seen > 20


def test_a_word_that_is_no_command_is_refused_with_the_word() -> None:
    done = CliRunner().invoke(main, ["aprove"])
    assert done.exit_code == 2
    assert "No such command 'aprove'" in done.output


def test_one_command_loads_no_other() -> None:
    program = "import sys; from sluice.cli import main; main(['probe', '--help'], standalone_mode=False); print(sorted(m for m in sys.modules if 'cli.' in m))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == "['sluice.cli.loaded', 'sluice.cli.probe']"


def test_a_shard_and_a_probe_of_a_plain_suite_load_neither_numbers_nor_schemas_nor_expressions() -> None:
    program = """
import sys
from sluice.scoring import live, process
from sluice.scoring.scorers.build import scorer_of
from sluice.scoring.scorers.settings import ScorerType, Settings
scorer_of(Settings(type=ScorerType.EXACT_MATCH))
print({"numpy", "jsonschema", "cel_expr_python", "kubernetes", "sluice.scoring.scorers.refusal_phrases"} & set(sys.modules))
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"
