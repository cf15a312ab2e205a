"""`sluice policy …`: what a policy asks for, tried before it is applied."""

from __future__ import annotations

import click

from sluice.cli.loaded import Loaded


@click.group(cls=Loaded, places={"simulate": "policy_simulate.simulate", "test": "policy_test.try_cases"})
def policy() -> None:
    """Test policies on cases of your own, and see what a change of them does to the releases of a cluster.

    \b
    Ends with  0  every case came out as expected; no release loses its right to serve
               1  some did not; some does
               2  usage
               3  could not tell: a file that nobody could use, or a cluster that does not answer
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
