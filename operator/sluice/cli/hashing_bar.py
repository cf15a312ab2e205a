"""A bar on the terminal while a model is hashed; nothing where nobody looks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sluice.provenance.model_hashing import Progress


@contextmanager
def hashing_bar(model: Path, *, quiet: bool) -> Iterator[Progress | None]:
    """Give what `verify_on_disk` and `manifest_of` tell their progress: a bar on the standard error when that is a terminal, else None."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 - see the package
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn  # noqa: PLC0415

    columns = (BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("hashing", total=_bytes_below(model))
        yield lambda more: shown.advance(task, more)


def _bytes_below(model: Path) -> int | None:
    from sluice.provenance.model_tree import TooMany, Tree  # noqa: PLC0415 - see the package

    try:
        with Tree(model) as tree:
            return sum(entry.size for entry in tree.entries())
    except (OSError, TooMany):
        # Whoever hashes meets it again, and tells it.
        return None
