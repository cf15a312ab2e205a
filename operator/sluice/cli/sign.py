"""`sluice sign …`: make the bundles that `sluice verify` and the cluster believe, so that nobody needs a second tool."""

from __future__ import annotations

import click

from sluice.cli.loaded import Loaded


@click.group(cls=Loaded, places={"model": "sign_model.sign_model", "pairs": "sign_pairs.sign_pairs", "statement": "sign_statement.sign_statement"})
def sign() -> None:
    """Sign models, recorded pairs and statements, with a key, with a certificate, or keyless as who you are.

    \b
    Ends with  0  signed, and the bundle is written
               1  not signed: nobody would believe it; the reason is printed
               2  usage: options, or a file that cannot be used
               3  could not sign: something cannot be read, written or reached
    """  # noqa: D301 - \b is the backspace by which click keeps the lines of a paragraph
