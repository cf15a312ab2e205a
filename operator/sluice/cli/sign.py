"""`sluice sign …`: make the bundles that `sluice verify` and the cluster believe, so that nobody needs a second tool."""

from __future__ import annotations

import click

from sluice.cli.loaded import Loaded


@click.group(cls=Loaded, places={"model": "sign_model.sign_model", "statement": "sign_statement.sign_statement"})
def sign() -> None:
    """Sign models and statements, with a key, with a certificate, or keyless as who you are."""
