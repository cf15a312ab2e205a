"""What a decided run keeps of its scorers: exactly what it decided on, for as long as the run is there."""

from __future__ import annotations

import pytest

from sluice.cluster.resource import CONFIG_MAPS
from sluice.rollout.endings import Ending
from sluice.rollout.kept_statistics import keep
from sluice.scoring.kept import Kept
from tests.unit.rollout.canary_bench import NAMESPACE, Bench

NAME = "churn-2-1-statistics"
PATH = CONFIG_MAPS.path(NAMESPACE, NAME)
KEPT = Kept(packed=b"packed", digest="sha256:" + "1" * 64)


async def test_it_stays_when_all_else_of_a_run_goes() -> None:
    bench = Bench()
    await bench.until_scoring()
    await keep(bench.client, bench.run, KEPT)
    assert not await bench.tidy()
    assert await bench.tidy()
    assert bench.names == {f"ConfigMap {NAME}"}
    assert bench.client.objects[PATH]["binaryData"] == {"statistics.json.gz": "cGFja2Vk"}
    assert bench.client.objects[PATH]["metadata"]["ownerReferences"][0]["uid"] == bench.run["metadata"]["uid"]


async def test_it_is_written_once_and_what_a_killed_process_left_is_replaced() -> None:
    bench = Bench()
    await keep(bench.client, bench.run, Kept(packed=b"of an earlier look", digest="sha256:" + "2" * 64))
    await keep(bench.client, bench.run, KEPT)
    await keep(bench.client, bench.run, KEPT)
    assert [verb for verb, _ in bench.client.writes] == ["create", "delete", "create"]
    assert bench.client.objects[PATH]["binaryData"] == {"statistics.json.gz": "cGFja2Vk"}


async def test_what_has_its_name_and_is_somebody_elses_is_left_alone() -> None:
    bench = Bench()
    bench.client.put(CONFIG_MAPS, {"metadata": {"namespace": NAMESPACE, "name": NAME, "uid": "x"}})
    with pytest.raises(Ending):
        await keep(bench.client, bench.run, KEPT)
    assert bench.client.writes == []
