"""The random order in which units are drawn, fixed by the seed before anything is asked.

Arrival order fools every sequential test: the quick answers come first, and they are not like the others (docs/design/0005). So a unit has a rank before it
is asked, and a look takes the units below a rank, however late they came.

A unit's place is that of SHA-256 over `order:seed:id` among all of them. Any language computes the same order from the seed and the ids, no random number
generator needs to promise to stay as it is, and adding a case to a suite does not shuffle the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

from sluice.scoring.case import Case

_ASK_SEED_BITS: Final = 31
"""What every model server takes: 32 bits with a sign."""


def draw(cases: Iterable[Case], *, seed: int, planned: int) -> tuple[Case, ...]:
    """The first `planned` cases in the order of the seed; all of them when there are fewer. The place in it is the rank of the unit."""
    return tuple(sorted(cases, key=lambda case: _hash(f"order:{seed}", case.id)))[:planned]


def of_shard(drawn: Sequence[Case], *, shard: int, shards: int) -> tuple[tuple[int, Case], ...]:
    """The rank and the case of each unit whose rank modulo the number of shards is this shard: every look is spread evenly over all shards."""
    return tuple((rank, drawn[rank]) for rank in range(shard, len(drawn), shards))


def candidate_first(seed: int, case_id: str, repeat: int) -> bool:
    """Whether the candidate is asked before the baseline: half of the pairs, by the hash, so that neither side always meets a warm cache."""
    return bool(_hash(f"first:{seed}:{repeat}", case_id)[0] & 1)


def ask_seed(seed: int, case_id: str, repeat: int) -> int:
    """The sampling seed that both sides are asked with: the same for both, another one for each repeat."""
    return int.from_bytes(_hash(f"ask:{seed}:{repeat}", case_id)[:4], "big") >> (32 - _ASK_SEED_BITS)


def _hash(purpose: str, case_id: str) -> bytes:
    return hashlib.sha256(f"{purpose}:{case_id}".encode()).digest()
