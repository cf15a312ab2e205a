"""`sluice completion`: what a shell, or kubectl, needs to complete commands, options and their values."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

_SHELLS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
_FOR_KUBECTL = """\
#!/bin/sh
# kubectl gives the words after `kubectl sluice`, and takes a candidate a line; `:4` says that no file names follow.
COMP_WORDS="sluice $*" COMP_CWORD=$# _KUBECTL_SLUICE_COMPLETE=bash_complete kubectl-sluice | sed 's/^[a-z]*,//'
echo :4
"""


@click.command()
@click.argument("shell", type=click.Choice([*_SHELLS, "kubectl"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what SHELL needs to complete commands, options and their values.

    \b
      source <(sluice completion bash)                       # in ~/.bashrc; bash 4.4 or newer
      source <(sluice completion zsh)                        # in ~/.zshrc, after compinit
      sluice completion fish > ~/.config/fish/completions/sluice.fish

    `kubectl sluice …` is completed where kubectl is, by a program on PATH:

    \b
      sluice completion kubectl > ~/.local/bin/kubectl_complete-sluice && chmod +x ~/.local/bin/kubectl_complete-sluice

    Ends with  0  printed
               2  usage
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
    if shell == "kubectl":
        click.echo(_FOR_KUBECTL, nl=False)
        return
    click.echo(_SHELLS[shell](context.find_root().command, {}, "sluice", "_SLUICE_COMPLETE").source())
