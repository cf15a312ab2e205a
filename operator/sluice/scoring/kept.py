"""What is kept of a comparison once its scorers are gone: the plan, and what each shard had counted when it was decided.

From that, and the terms of the run, everybody comes to the same decision, and sees how it came about. No answer is in it, and no case.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sluice.api.strict_json import JsonRefused, canonical, parse
from sluice.scoring.tally import ShardStatistics
from sluice.scoring.wire import STATISTICS_BYTES, VALUES, as_json, look_as_json

PACKED_BYTES: Final = 900_000
"""A ConfigMap holds 1 MiB at most."""
_FILE_BYTES: Final = 2 * STATISTICS_BYTES


class NotKept(ValueError):
    """What was kept cannot be used; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A packed file, and the digest of what is in it."""

    packed: bytes
    digest: str


def pack(plan: str, shards: Sequence[ShardStatistics]) -> Kept | None:
    """Pack it; None when it is larger than what can be kept. The same statistics give the same bytes and digest."""
    said = [as_json(shard, map(look_as_json, shard.looks)).decode() for shard in sorted(shards, key=lambda shard: shard.shard)]
    content = canonical({"plan": plan, "shards": said})
    packed = gzip.compress(content, mtime=0)
    return Kept(packed=packed, digest=_digest(content)) if len(packed) <= PACKED_BYTES else None


def unpack(packed: bytes, *, digest: str) -> tuple[bytes, list[bytes]]:
    """Give the plan, and what each shard said. Raises NotKept for anything else than what has this digest."""
    try:
        unpacking = zlib.decompressobj(zlib.MAX_WBITS | 16)
        content = unpacking.decompress(packed, _FILE_BYTES)
    except zlib.error as error:
        raise NotKept(f"it is not packed as it should be: {error}") from None
    if unpacking.unconsumed_tail or not unpacking.eof:
        raise NotKept(f"it is cut off, or longer than {_FILE_BYTES:,} bytes")
    if _digest(content) != digest:
        raise NotKept(f"it has digest {_digest(content)}, not {digest}: somebody changed it")
    try:
        value = parse(content, limit=_FILE_BYTES, values=VALUES)
    except JsonRefused as error:
        raise NotKept(f"it {error}") from None
    plan, shards = (value.get("plan"), value.get("shards")) if isinstance(value, dict) else (None, None)
    if not isinstance(plan, str) or not isinstance(shards, list):
        raise NotKept("it has no plan, or no shards")
    return plan.encode(), [shard.encode() for shard in shards if isinstance(shard, str)]


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()
