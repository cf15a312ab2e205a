"""`sluice evidence …`: files that become evidence, before they are signed and after."""

from __future__ import annotations

import click

from sluice.cli.loaded import Loaded


@click.group(cls=Loaded, places={"convert": "evidence_convert.convert", "create": "sign_statement.create"})
def evidence() -> None:
    """Evidence as files: what other tools measured, converted before it is signed, and manifests that Git carries to the cluster."""
