"""A status is written when it says something new about the object that was judged, and never otherwise."""

from __future__ import annotations

from typing import Any

from sluice.cluster.resource import RELEASES
from sluice.controller.conditions import Moment
from sluice.controller.writing import write_status
from tests.unit.api_memory import MemoryClient

Object = dict[str, Any]


def release(**changes: object) -> Object:
    metadata = {"namespace": "payments", "name": "churn", "uid": "u", "generation": 1, "resourceVersion": "5"} | changes
    return {"apiVersion": "sluice.dev/v1alpha1", "kind": "ModelRelease", "metadata": metadata, "spec": {}}


def status_at(moment: Moment) -> Object:
    return {
        "phase": "Pending",
        "conditions": [moment.condition("Ready", False, "Waits", "it waits").model_dump(mode="json", by_alias=True)],  # noqa: FBT003 - its status
    }


async def test_the_first_status_is_written_and_the_same_one_never_again() -> None:
    client = MemoryClient()
    path = client.put(RELEASES, release())
    assert await write_status(client, RELEASES, release(), status_at) == {}
    # Our watch has not brought our own write yet: the object itself is asked, and nothing is written.
    assert await write_status(client, RELEASES, release(), status_at) is None
    assert await write_status(client, RELEASES, client.objects[path], status_at) is None
    assert client.writes == [("apply", f"{path}/status")]


async def test_nothing_is_written_about_a_successor_or_a_newer_spec() -> None:
    for changed in ({"uid": "other"}, {"generation": 2}):
        client = MemoryClient()
        client.put(RELEASES, release(**changed))
        assert await write_status(client, RELEASES, release(), status_at) is None
        assert client.writes == []


async def test_an_object_that_is_gone_is_no_error() -> None:
    assert await write_status(MemoryClient(), RELEASES, release(), status_at) is None


async def test_who_has_nothing_to_say_writes_nothing() -> None:
    client = MemoryClient()
    client.put(RELEASES, release())
    assert await write_status(client, RELEASES, release(), lambda _: None) is None
    assert client.writes == []


async def test_the_status_before_is_what_tells_a_transition() -> None:
    client = MemoryClient()
    path = client.put(RELEASES, release())
    await write_status(client, RELEASES, release(), status_at)
    before = await write_status(client, RELEASES, client.objects[path], lambda moment: status_at(moment) | {"phase": "Serving"})
    assert before is not None
    assert before["phase"] == "Pending"
