"""Groups of commands that are loaded one by one, when somebody asks for them.

The controller starts `sluice probe` and `sluice score` again and again, and each needs one command of twenty.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click


class Loaded(click.Group):
    """A group whose commands are named by where they are: `{"approve": "decisions.approve"}`, module and function below this package."""

    def __init__(self, *args: Any, places: Mapping[str, str], **given: Any) -> None:  # noqa: ANN401 - click's own
        """Keep where the commands are, and load none."""
        super().__init__(*args, **given)
        self._places = places

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name them all, in the order of the alphabet."""
        return sorted(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Load one; None when there is none of this name."""
        if cmd_name not in self._places:
            return None
        module, _, function = self._places[cmd_name].rpartition(".")
        command: click.Command = getattr(import_module(f"sluice.cli.{module}"), function)
        return command
