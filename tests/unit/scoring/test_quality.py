"""How good somebody else's scorers are, from what they told."""

from __future__ import annotations

from sluice.scoring.quality import Quality, qualities_of
from sluice.scoring.tally import Look


def look(**tallies: dict[int, int]) -> Look:
    return Look(look=0, units=10, void=0, tallies={name.replace("_", ":"): {"all": tally} for name, tally in tallies.items()}, sums={})


def test_silence_contradictions_and_known_cases_are_shares() -> None:
    looks = [
        look(lost_helpful={0: 9_000, -1000: 1_000}, swapped_helpful={0: 6_000, -1000: 2_000}),
        look(lost_helpful={0: 10_000}, known_helpful={0: 2_000, -500: 1_000, -1000: 1_000}),
    ]
    (found,) = qualities_of(looks, ["accuracy", "helpful"])
    assert found == Quality(metric="helpful", units=20, lost=0.05, contradicts=0.25, known=4, right=0.625)


def test_a_container_has_nothing_to_contradict() -> None:
    (found,) = qualities_of([look(lost_own={0: 5_000})], ["own"])
    assert (found.lost, found.contradicts, found.known, found.right) == (0.0, None, 0, None)
