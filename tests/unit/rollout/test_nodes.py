"""A node that dies does not roll its candidate back, and one that lives does not save it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sluice.api.canary import CanaryDecision
from sluice.cluster.resource import LEASES
from sluice.rollout.endings import Ending
from sluice.rollout.nodes import Doubt, unanswered, waits_for
from sluice.scoring.tally import Look, Merged
from tests.unit.api_memory import MemoryClient

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def renewed(client: MemoryClient, at: str) -> None:
    client.put(LEASES, {"metadata": {"namespace": "kube-node-lease", "name": "node-1"}, "spec": {"renewTime": at}})


async def test_a_sign_of_life_after_the_doubt_began_is_waited_for() -> None:
    client, doubt = MemoryClient(), Doubt()
    renewed(client, "2026-11-21T11:59:58.000000Z")
    for seconds in (0, 5, 60):
        assert "sign of life of its node node-1" in await waits_for(client, "node-1", doubt, now=NOW + timedelta(seconds=seconds))
    renewed(client, "2026-11-21T12:00:08.000000Z")
    assert await waits_for(client, "node-1", doubt, now=NOW + timedelta(seconds=61)) == ""


async def test_a_node_that_stays_silent_is_nobodys_fault() -> None:
    client, doubt = MemoryClient(), Doubt()
    renewed(client, "2026-11-21T11:59:58.000000Z")
    await waits_for(client, "node-1", doubt, now=NOW)
    with pytest.raises(Ending) as raised:
        await waits_for(client, "node-1", doubt, now=NOW + timedelta(seconds=61))
    assert (raised.value.decision, raised.value.reason) == (CanaryDecision.INCONCLUSIVE, "CandidateLost")


@pytest.mark.parametrize("node", ["", "node-2"])
async def test_where_nobody_can_know_nothing_is_waited_for(node: str) -> None:
    client = MemoryClient()
    renewed(client, "2026-11-21T11:59:58.000000Z")
    assert await waits_for(client, node, Doubt(), now=NOW) == ""


def test_only_answers_of_the_candidate_that_were_asked_for_are_missed() -> None:
    def merged(**sums: dict[str, int]) -> Merged:
        look = Look(look=0, units=5, void=0, tallies={}, sums=sums)
        return Merged(scored=5, of=5, finished=True, looks=(look, look), gates={}, samples=())

    assert unanswered(merged(candidate={"Asked": 5, "Answered": 4}, baseline={"Asked": 5})) == 2
    assert unanswered(merged(candidate={"Asked": 5, "Answered": 5})) == 0
    assert unanswered(merged()) == 0
