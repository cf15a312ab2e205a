"""Inputs that led the fuzzer to code which nothing before them had reached: `grown/NAME.tar.xz`, where the next run begins.

They are thousands of small files that nobody reads, so each target has one archive. It says the same whenever and wherever it was packed.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

FOLDER = Path(__file__).with_name("grown")


def unpack(name: str, folder: Path = FOLDER) -> Iterator[bytes]:
    """Give what was kept of a target, nothing where nothing was."""
    path = folder / f"{name}.tar.xz"
    if not path.exists():
        return
    with tarfile.open(path) as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file is not None:
                yield file.read()


def pack(name: str, inputs: Iterable[bytes], folder: Path = FOLDER) -> Path:
    """Keep these inputs of a target and no others, each once."""
    by_digest = {hashlib.sha256(raw).hexdigest()[:16]: raw for raw in inputs}
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.tar.xz"
    with tarfile.open(path, "w:xz") as archive:
        for digest, raw in sorted(by_digest.items()):
            member = tarfile.TarInfo(digest)
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))
    return path
