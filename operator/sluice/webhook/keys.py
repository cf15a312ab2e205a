"""The public keys of the controller, as the kubelet keeps them in a folder: read again and again, because nobody is told of a key that comes or goes.

Reading them from files and not from the API server needs no right, and no answer waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Final

from sluice.decision.world import World
from sluice.provenance.published import read_published

EVERY_SECONDS: Final = 5.0
_ENTRIES: Final = 32
_BYTES: Final = 16_384
"""Of one entry. A PEM public key takes less than one."""

log: Final = logging.getLogger(__name__)


async def follow_keys(folder: Path | None, world: World, *, every_seconds: float = EVERY_SECONDS) -> None:
    """Tell `world` which keys it may believe, until cancelled; without a folder, none."""
    known: dict[str, str] = {}
    while True:
        entries = read_folder(folder) if folder is not None else {}
        if entries != known:
            keys = read_published(entries)
            world.trust_controller(keys)
            known = entries
            log.info("public keys of the controller: %s", ", ".join(keys.named_keys) if keys else "none that can be used")
        await asyncio.sleep(every_seconds)


def read_folder(folder: Path) -> dict[str, str]:
    """Read the entries of a mounted ConfigMap; a folder or a file that is not there, is too large or is no text, is as if it were empty."""
    found = {}
    try:
        for path in sorted(folder.glob("*.pem"))[:_ENTRIES]:
            with path.open("rb") as file:
                content = file.read(_BYTES + 1)
            if len(content) <= _BYTES:
                found[path.name] = content.decode("ascii", errors="replace")
    except OSError as error:
        log.warning("public keys of the controller: %s cannot be read: %s", folder, error.strerror)
    return found
