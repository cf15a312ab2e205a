"""`sluice sign …`: make the bundles that `sluice verify` and the cluster believe, so that nobody needs a second tool."""

from __future__ import annotations

import click


@click.group()
def sign() -> None:
    """Sign models and statements, with a key, with a certificate, or keyless as who you are."""
