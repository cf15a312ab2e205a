"""Files that are listed in shards: pieces of one size, each with a digest of its own, so that one large file is hashed by several cores.

An entry is named `<path>:<start>:<end>`. The pieces of a file have to be all there, next to each other, each of the size that the list says but the last one:
a list with a hole, an overlap or a second spelling of a number covers something else than it seems to. An empty file has no pieces, so a list in
shards does not cover it; who verifies a folder hears of it there.

Specification: https://github.com/ossf/model-signing-spec, SPEC.md 6.3.2
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence

from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.model_files import ModelFile

_NAME = re.compile(r"(?P<path>.*):(?P<start>0|[1-9][0-9]{0,15}):(?P<end>[1-9][0-9]{0,15})", re.ASCII | re.DOTALL)
_MALFORMED = Reason.ManifestMalformed


def files_of_shards(listed: Iterable[tuple[str, str]], *, algorithm: str, shard_size: int) -> list[ModelFile]:
    """Put shards (name, digest) together to files. Raises ProvenanceError (ManifestMalformed) naming the file that is not covered as a whole."""
    pieces: dict[str, list[tuple[int, int, str]]] = {}
    for name, digest in listed:
        found = _NAME.fullmatch(name)
        if found is None:
            raise ProvenanceError(_MALFORMED, f"{name[:200]!r} is not the name of a shard: <path>:<start>:<end>")
        pieces.setdefault(found["path"], []).append((int(found["start"]), int(found["end"]), digest))
    return [_whole(path, sorted(of), algorithm=algorithm, shard_size=shard_size) for path, of in pieces.items()]


def sharded_file(name: str, algorithm: str, digests: Sequence[str], *, shard_size: int, size: int) -> ModelFile:
    """A file of `size` bytes whose shards have `digests` (hexadecimal, in order of their offsets)."""
    digest = hashlib.sha256(b"".join(map(bytes.fromhex, digests))).hexdigest()
    return ModelFile(name, algorithm, digest, shard_size=shard_size, shards=tuple(digests), size=size)


def shard_names(file: ModelFile) -> list[str]:
    """How the list names the shards of `file`."""
    size = file.size or 0
    return [f"{file.name}:{start}:{min(start + file.shard_size, size)}" for start in range(0, size, file.shard_size)]


def listed(files: Iterable[ModelFile]) -> list[tuple[str, str]]:
    """The entries of a list, name and digest, by the characters of their names (6.4): one for each file, or one for each of its shards."""
    entries: list[tuple[str, str]] = []
    for file in files:
        entries.extend(zip(shard_names(file), file.shards, strict=True) if file.shard_size else [(file.name, file.digest)])
    return sorted(entries)


def _whole(path: str, pieces: Sequence[tuple[int, int, str]], *, algorithm: str, shard_size: int) -> ModelFile:
    size = pieces[-1][1]
    for index, (start, end, _) in enumerate(pieces):
        if (start, end) != (index * shard_size, min((index + 1) * shard_size, size)) or end <= start:
            message = f"the shards of {path[:200]!r} do not cover it in pieces of {shard_size:,} bytes: bytes {start:,} to {end:,} are out of place"
            raise ProvenanceError(_MALFORMED, message)
    return sharded_file(path, algorithm, [digest for _, _, digest in pieces], shard_size=shard_size, size=size)
