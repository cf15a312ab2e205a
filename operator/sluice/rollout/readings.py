"""What was read from the shards of a run, as long as this process lives.

What a shard said at a look stands. A shard that is scored again, because its Pod was killed, adds the looks that it had not reached, and replaces none: or
repeating it until the answer pleases would be a way to be promoted. A process that starts anew reads the Pods that are there, which is all there ever was.
"""

from __future__ import annotations

from dataclasses import replace

from sluice.scoring.tally import ShardStatistics


class Readings:
    """Of one run."""

    def __init__(self) -> None:
        self._shards: dict[int, ShardStatistics] = {}

    @property
    def shards(self) -> tuple[ShardStatistics, ...]:
        """What is known of each shard that has said anything."""
        return tuple(self._shards[index] for index in sorted(self._shards))

    def take(self, said: ShardStatistics) -> bool:
        """Take in what a shard says now; return whether that was anything new."""
        before = self._shards.get(said.shard)
        if before is None:
            self._shards[said.shard] = said
            return True
        looks = (*before.looks, *said.looks[len(before.looks) :])
        gates = {name: max(before.gates.get(name, 0), said.gates.get(name, 0)) for name in {*before.gates, *said.gates}}
        after = replace(
            said, looks=looks, gates=gates, scored=max(before.scored, said.scored), finished=before.finished or said.finished,
            samples=before.samples or said.samples,
        )  # fmt: skip
        self._shards[said.shard] = after
        return after != before
