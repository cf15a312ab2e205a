"""One file of a model as a signature lists it, and the digest over a list that binds names (docs/name-binding-digest.md)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sluice.provenance.digests import sha256_of
from sluice.provenance.errors import ProvenanceError, Reason
from sluice.provenance.strict_json import canonical

ALGORITHMS: Final = frozenset({"sha256", "blake2b", "blake3"})
"""All of the specification's registry."""

_PATH_LIMIT = 4096
_FORBIDDEN_CHARACTER = re.compile(r"[\x00-\x1f\x7f\\]")
_STRAY_PART = re.compile(r"(?:\A|/)\.{0,2}(?:/|\Z)")  # a part that is empty, "." or ".."


@dataclass(frozen=True, slots=True, order=True)
class ModelFile:
    """One file of a model: its path below the model's folder, with `/`, and its digest."""

    name: str
    algorithm: str
    """One of `ALGORITHMS`, of the content or of each shard."""
    digest: str
    """Lower-case hexadecimal: of the content; of a file in shards, SHA-256 over the raw digests of the shards in order of their offsets."""
    shard_size: int = 0
    """Bytes of each shard but the last one; 0 for a file that is listed whole."""
    shards: tuple[str, ...] = ()
    """Digests of the shards, in order of their offsets."""
    size: int | None = None
    """Bytes, where the list says so: shards do."""

    @property
    def tagged(self) -> str:
        """The digest and what it is made of: `sha256:<hex>`, or `sha256-shards-1048576:<hex>`."""
        return f"{self.algorithm}-shards-{self.shard_size}:{self.digest}" if self.shard_size else f"{self.algorithm}:{self.digest}"


def name_binding_digest(files: Iterable[ModelFile]) -> str:
    """SHA-256 over the canonical JSON of `[[name, tagged digest], …]`, sorted by the UTF-8 bytes of the names (docs/name-binding-digest.md)."""
    return sha256_of(canonical([[file.name, file.tagged] for file in sorted(files, key=lambda file: file.name.encode("utf-8"))]))


def check_path(path: str) -> None:
    """Refuse a path that is not plainly one file below the model's folder (6.1.2). Raises ProvenanceError (ManifestMalformed)."""
    if len(path) > _PATH_LIMIT:
        raise ProvenanceError(Reason.ManifestMalformed, f"a file name is {len(path):,} characters long; at most {_PATH_LIMIT:,} are read")
    if _FORBIDDEN_CHARACTER.search(path):
        raise ProvenanceError(Reason.ManifestMalformed, f"file name {path[:200]!r} holds a backslash or a control character")
    if _STRAY_PART.search(path):
        raise ProvenanceError(
            Reason.ManifestMalformed, f"file name {path[:200]!r} is not plainly a path below the model: no '/' at either end, no empty, '.' or '..' part"
        )
